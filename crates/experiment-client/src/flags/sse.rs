//! [`EventReader`]: server-sent events, read as they arrive.

use crate::error::Error;

/// What errors call the stream.
const WHAT: &str = "flag stream";

/// UTF-8 of U+FEFF, which may stand in front of a stream.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads server-sent events (WHATWG HTML, section 9.2.6) from pieces of any size.
///
/// It differs from the standard in two places. Text that is not UTF-8 is an error and not replaced
/// by U+FFFD: flags that are almost what was sent are worse than the last good ones. And `retry` is
/// ignored: when to reconnect is decided by the timers of the flag stream alone.
///
/// It keeps one line and the data of one event, together at most `limit` bytes.
#[derive(Debug)]
pub(crate) struct EventReader {
    limit: usize,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Lines of data, each with a line end.
    data: Vec<u8>,
    kind: String,
    last_id: String,
    /// No line has ended yet.
    at_start: bool,
    /// The last byte was a carriage return: a line feed behind it belongs to it.
    after_return: bool,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The `event` field; empty if there was none.
    pub(crate) kind: String,
    /// The last `id` field so far, of this event or an earlier one; empty if there was none.
    pub(crate) id: String,
    /// The `data` fields, joined by line feeds.
    pub(crate) data: String,
}

impl Event {
    /// Whether it only says that the connection lives: its data is white space. The service sends
    /// one space every 15 s.
    pub(crate) fn is_keep_alive(&self) -> bool {
        self.data.trim().is_empty()
    }
}

impl EventReader {
    /// A reader at the start of a stream, for events of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            kind: String::new(),
            last_id: String::new(),
            at_start: true,
            after_return: false,
        }
    }

    /// Reads on until an event is complete, and takes what it read off the front of `input`. `None`
    /// once `input` is empty; an event that has begun by then goes on with the next piece, and is
    /// lost if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], [`Error::Malformed`] if a field is not UTF-8. The stream is of no use
    /// after an error.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        while let Some(first) = input.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                *input = input.get(1..).unwrap_or_default();
                continue;
            }
            let end = input.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (piece, rest) = input.split_at(end.unwrap_or(input.len()));
            let held = self.line.len().saturating_add(self.data.len());
            if piece.len() > self.limit.saturating_sub(held) {
                return Err(Error::TooLarge {
                    what: WHAT,
                    limit: self.limit,
                });
            }
            self.line.extend_from_slice(piece);
            let Some((line_end, rest)) = rest.split_first() else {
                *input = rest;
                return Ok(None);
            };
            *input = rest;
            self.after_return = *line_end == b'\r';
            if let Some(event) = self.end_line()? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn end_line(&mut self) -> Result<Option<Event>, Error> {
        // Its room is used again, for lines of flags are long.
        let mut buffer = std::mem::take(&mut self.line);
        let mut line = buffer.as_slice();
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        let event = if line.is_empty() {
            self.dispatch()?
        } else {
            self.field(line)?;
            None
        };
        buffer.clear();
        self.line = buffer;
        Ok(event)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Error> {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => text("event", value)?.clone_into(&mut self.kind),
            b"id" if !value.contains(&0) => text("id", value)?.clone_into(&mut self.last_id),
            // Comments, whose name is empty, and fields that nobody knows.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Result<Option<Event>, Error> {
        let kind = std::mem::take(&mut self.kind);
        let mut data = std::mem::take(&mut self.data);
        if data.pop().is_none() {
            return Ok(None);
        }
        Ok(Some(Event {
            kind,
            id: self.last_id.clone(),
            data: String::from_utf8(data).map_err(|_| not_text("data"))?,
        }))
    }
}

fn text<'a>(field: &'static str, value: &'a [u8]) -> Result<&'a str, Error> {
    str::from_utf8(value).map_err(|_| not_text(field))
}

fn not_text(field: &'static str) -> Error {
    Error::Malformed {
        what: WHAT,
        reason: format!("`{field}` is not UTF-8"),
        attempts: 1,
    }
}
