//! [`TextBuilder`].

use alloc::string::String;
use core::fmt;

use experiment_model::Text;

/// Longest text that is put together without a buffer on the heap, in bytes.
const ON_STACK: usize = 160;

/// Puts a text together on the stack, so that only the finished text is allocated; longer texts than
/// fit move to the heap.
pub(crate) struct TextBuilder {
    stack: [u8; ON_STACK],
    length: usize,
    /// Everything, once the stack is too small.
    heap: Option<String>,
}

impl TextBuilder {
    pub(crate) fn new() -> Self {
        Self {
            stack: [0; ON_STACK],
            length: 0,
            heap: None,
        }
    }

    pub(crate) fn push(&mut self, text: &str) {
        if let Some(heap) = &mut self.heap {
            heap.push_str(text);
            return;
        }
        let end = self.length.saturating_add(text.len());
        if let Some(place) = self.stack.get_mut(self.length..end) {
            place.copy_from_slice(text.as_bytes());
            self.length = end;
        } else {
            let mut heap = String::with_capacity(end.saturating_mul(2));
            heap.push_str(self.on_stack());
            heap.push_str(text);
            self.heap = Some(heap);
        }
    }

    pub(crate) fn finish(self) -> Text {
        match self.heap {
            Some(heap) => Text::from(heap),
            None => Text::new(self.on_stack()),
        }
    }

    /// Only whole texts were copied, so that what is there is UTF-8.
    fn on_stack(&self) -> &str {
        let bytes = self.stack.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Write for TextBuilder {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn texts_of_every_length_are_put_together() {
        for part in ["é", "ab", "😀😀😀"] {
            let (mut builder, mut expected) = (TextBuilder::new(), String::new());
            for _ in 0..ON_STACK {
                builder.push(part);
                expected.push_str(part);
            }
            assert_eq!(builder.finish(), expected.as_str());
        }
        assert_eq!(TextBuilder::new().finish(), "");
    }
}
