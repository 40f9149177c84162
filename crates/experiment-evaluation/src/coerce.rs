//! How a JSON value becomes the text, or the list of texts, that conditions compare and buckets
//! hash (case file `coercion.json`).

use alloc::{string::String, vec::Vec};
use core::fmt::{self, Write};

use experiment_model::Value;

use crate::{
    context::{Elements, Members, Node},
    number::{DOUBLE_TEXT, StackText, write_double},
};

/// Room for the text of one value: scalars fit on the stack, lists and objects do not.
pub(crate) struct TextBuffer {
    scalar: StackText<DOUBLE_TEXT>,
    composite: String,
}

impl TextBuffer {
    pub(crate) const fn new() -> Self {
        Self {
            scalar: StackText::new(),
            composite: String::new(),
        }
    }
}

/// The text of a value; `None` if it has none: null, members, or nested deeper than `nesting`.
///
/// Text is itself; numbers and truth values are written as the JVM writes them; lists and objects
/// are compact JSON in their own order.
#[inline]
pub(crate) fn comparison_text<'b>(
    node: Node<'b>,
    buffer: &'b mut TextBuffer,
    nesting: usize,
) -> Option<&'b str> {
    match node {
        Node::Text(text) => Some(text),
        _ => other_text(node, buffer, nesting),
    }
}

fn other_text<'b>(node: Node<'b>, buffer: &'b mut TextBuffer, nesting: usize) -> Option<&'b str> {
    match node {
        Node::Null | Node::Members(_) => None,
        Node::Text(text) => Some(text),
        Node::Bool(value) => Some(if value { "true" } else { "false" }),
        Node::I64(value) => {
            buffer.scalar = StackText::new();
            write!(buffer.scalar, "{value}").ok()?;
            Some(buffer.scalar.as_str())
        }
        Node::F64(value) => {
            buffer.scalar = StackText::new();
            write_double(value, &mut buffer.scalar).ok()?;
            Some(buffer.scalar.as_str())
        }
        Node::List(_) | Node::Object(_) => {
            buffer.composite.clear();
            write_json(node, &mut buffer.composite, nesting).ok()?;
            Some(&buffer.composite)
        }
    }
}

/// Writes compact JSON with numbers as the JVM writes them.
///
/// # Errors
///
/// `fmt::Error` where lists and objects are nested deeper than `nesting`, or at members.
fn write_json(node: Node<'_>, out: &mut String, nesting: usize) -> fmt::Result {
    match node {
        Node::Null => out.write_str("null"),
        Node::Bool(value) => write!(out, "{value}"),
        Node::I64(value) => write!(out, "{value}"),
        Node::F64(value) => write_double(value, out),
        Node::Text(text) => write_string(text, out),
        Node::List(list) => {
            let inner = nesting.checked_sub(1).ok_or(fmt::Error)?;
            out.push('[');
            for index in 0..list.len() {
                if index > 0 {
                    out.push(',');
                }
                write_json(list.get(index), out, inner)?;
            }
            out.push(']');
            Ok(())
        }
        Node::Object(object) => {
            let inner = nesting.checked_sub(1).ok_or(fmt::Error)?;
            out.push('{');
            let mut first = true;
            let mut result = Ok(());
            object.for_each(&mut |key, value| {
                if result.is_err() {
                    return;
                }
                if !core::mem::take(&mut first) {
                    out.push(',');
                }
                result = write_string(key, out).and_then(|()| {
                    out.push(':');
                    write_json(value, out, inner)
                });
            });
            out.push('}');
            result
        }
        Node::Members(_) => Err(fmt::Error),
    }
}

/// Writes a JSON string; everything from U+0020 on but `"` and `\` stands for itself.
fn write_string(text: &str, out: &mut String) -> fmt::Result {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control))?,
            other => out.push(other),
        }
    }
    out.push('"');
    Ok(())
}

/// A value that is a list of texts.
pub(crate) enum TextList<'a> {
    /// A list of the context.
    Elements(&'a dyn Elements),
    /// The elements of a text that is a JSON array.
    Parsed(Vec<Value>),
    /// A set that can only be asked.
    Members(&'a dyn Members),
}

impl<'a> TextList<'a> {
    /// The list that a value is: a list, members, or text that is a JSON array as a whole. The
    /// first character decides, so other texts cost nothing. Text longer than `length` is no list.
    #[inline]
    pub(crate) fn of(node: Node<'a>, length: usize) -> Option<Self> {
        match node {
            Node::List(list) => Some(Self::Elements(list)),
            Node::Members(members) => Some(Self::Members(members)),
            Node::Text(text) if text.as_bytes().first() == Some(&b'[') => Self::parse(text, length),
            _ => None,
        }
    }

    /// Strict JSON: the canonical engine drops unquoted words, against its own comment (D5).
    #[cold]
    fn parse(text: &str, length: usize) -> Option<Self> {
        if text.len() > length {
            return None;
        }
        serde_json::from_str(text).ok().map(Self::Parsed)
    }

    /// Hands the text of every element that has one to `found` until it answers true.
    pub(crate) fn any(&self, nesting: usize, mut found: impl FnMut(&str) -> bool) -> bool {
        let elements: &dyn Elements = match self {
            Self::Elements(list) => *list,
            Self::Parsed(values) => values,
            Self::Members(_) => return false,
        };
        let mut buffer = TextBuffer::new();
        for index in 0..elements.len() {
            // One level of the nesting is the list itself.
            let text = comparison_text(elements.get(index), &mut buffer, nesting.saturating_sub(1));
            if text.is_some_and(&mut found) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec};

    use experiment_conformance::vectors;

    use super::*;

    fn text(value: &Value) -> Option<String> {
        let mut buffer = TextBuffer::new();
        comparison_text(Node::from(value), &mut buffer, 128).map(String::from)
    }

    fn list(value: &Value) -> Option<Vec<String>> {
        let list = TextList::of(Node::from(value), usize::MAX)?;
        let mut texts: Vec<String> = Vec::new();
        list.any(128, |text| {
            if !texts.iter().any(|known| known == text) {
                texts.push(text.to_string());
            }
            false
        });
        Some(texts)
    }

    /// Texts of number tokens where decision 9 stands over the label: a token with an exponent is
    /// a double, as is `-0`.
    const DECISION_9: &[(&str, &str)] = &[
        ("-0", "-0.0"),
        ("1e3", "1000.0"),
        ("1E3", "1000.0"),
        ("1e+3", "1000.0"),
        ("10e-1", "1.0"),
        ("1e15", "1.0E15"),
        ("1e16", "1.0E16"),
        ("1e18", "1.0E18"),
    ];

    #[test]
    fn every_number_has_its_text() {
        #[derive(serde::Deserialize)]
        struct Row {
            json: String,
            expected: String,
        }

        let rows: Vec<Row> = serde_json::from_str(vectors::NUMBER_TO_STRING).unwrap();
        assert_eq!(rows.len(), 66);
        for Row { json, expected } in rows {
            // A number beyond the range of doubles makes the flag or user malformed.
            let Ok(value) = serde_json::from_str::<Value>(&json) else {
                assert!(expected.ends_with("Infinity"), "{json}");
                continue;
            };
            let ours = DECISION_9.iter().find(|(token, _)| *token == json);
            let expected = ours.map_or(expected, |(_, text)| (*text).to_string());
            assert_eq!(text(&value), Some(expected), "{json}");
        }
    }

    #[test]
    fn every_value_has_its_text_and_its_list() {
        #[derive(serde::Deserialize)]
        struct Row {
            json: String,
            string: Option<String>,
            list_kotlin: Option<Vec<String>>,
            list_strict_json: Option<Vec<String>>,
        }

        let rows: Vec<Row> = serde_json::from_str(vectors::COERCION).unwrap();
        assert_eq!(rows.len(), 77);
        for row in rows {
            let Ok(value) = serde_json::from_str::<Value>(&row.json) else {
                panic!("{} is no JSON", row.json);
            };
            let is_text = matches!(value, Value::Text(_));
            let lists = if is_text {
                row.list_strict_json
            } else {
                row.list_kotlin
            };
            assert_eq!(text(&value), row.string, "{}", row.json);
            let ours = DECISION_9
                .iter()
                .find(|(token, _)| row.json == format!("\"[{token}]\""));
            let lists = match ours {
                Some((_, text)) => Some(vec![(*text).to_string()]),
                None => lists,
            };
            assert_eq!(list(&value), lists, "{}", row.json);
        }
        assert_eq!(
            list(&Value::from(vec!["a", "a"])),
            Some(vec!["a".to_string()])
        );
    }
}
