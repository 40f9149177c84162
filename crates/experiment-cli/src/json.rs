//! Reading users and contexts, with errors that say what is wrong and where, and never show a value.

use experiment_model::{User, Value};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{failure::Failure, input::Input};

/// What kind of mistake a text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It is not JSON.
    Json,
    /// It is JSON of another shape than expected.
    Shape,
}

/// What is wrong with a text, without a value of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Malformed {
    /// What kind of mistake.
    pub(crate) kind: Kind,
    /// What is wrong.
    pub(crate) message: String,
    /// Line of the text, from 1.
    #[serde(skip)]
    pub(crate) line: usize,
    /// Column in bytes, from 1.
    #[serde(skip)]
    pub(crate) column: usize,
}

impl Malformed {
    /// JSON of another shape than expected, as a whole.
    pub(crate) fn shape(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Shape,
            message: message.into(),
            line: 1,
            column: 1,
        }
    }

    /// The message with the column, for texts of one line.
    pub(crate) fn with_column(mut self) -> Self {
        self.message = format!("{} at column {}", self.message, self.column);
        self
    }

    /// The failure that this is in an input.
    pub(crate) fn of(self, input: &Input) -> Failure {
        Failure::Subject {
            input: input.clone(),
            line: self.line as u64,
            column: self.column,
            malformed: self,
        }
    }

    fn new(kind: Kind, error: &serde_json::Error) -> Self {
        Self {
            kind,
            message: message_of(error),
            line: error.line().max(1),
            column: error.column().max(1),
        }
    }
}

/// Reads the user that a text is.
///
/// # Errors
///
/// [`Malformed`] with the field that is wrong, if it is one.
pub(crate) fn read_user(text: &[u8]) -> Result<User, Malformed> {
    read(text, "a user")
}

/// Reads the context that a text is: any JSON object.
///
/// # Errors
///
/// [`Malformed`] if the text is no object, or has a number beyond doubles in it.
pub(crate) fn read_context(text: &[u8]) -> Result<Value, Malformed> {
    read(text, "a context")
}

fn read<T: DeserializeOwned>(text: &[u8], what: &str) -> Result<T, Malformed> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = utf8(text)?;
    match first_byte(text) {
        Some(b'{') => serde_json::from_str(text).map_err(|error| explain(text, &error)),
        _ => Err(not_an_object(text, what)),
    }
}

/// The text of bytes.
///
/// # Errors
///
/// [`Malformed`] with the place of the first byte that is not UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at.saturating_add(1));
        Malformed {
            kind: Kind::Json,
            message: "invalid UTF-8".to_owned(),
            line: memchr::memchr_iter(b'\n', before).count().saturating_add(1),
            column: before.len().saturating_sub(line_start).saturating_add(1),
        }
    })
}

/// Says what is wrong with an object that could not be read.
///
/// Only the shape can be wrong in a text that is JSON, whatever the error calls itself: a number
/// beyond doubles and a deep nesting are JSON, and errors of fields hide their cause.
#[cold]
pub(crate) fn explain(text: &str, error: &serde_json::Error) -> Malformed {
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => Malformed::new(Kind::Json, &error),
        Ok(_) => Malformed::new(Kind::Shape, error),
    }
}

/// Says what a text is that should be `what`, an object.
#[cold]
fn not_an_object(text: &str, what: &str) -> Malformed {
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => Malformed::new(Kind::Json, &error),
        Ok(_) => Malformed::shape(format!("expected {what}, found {}", kind_of(text))),
    }
}

/// What kind of JSON value a text is, by its first byte, as a word for messages.
pub(crate) fn kind_of(text: &str) -> &'static str {
    match first_byte(text) {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(_) => "a number",
        None => "nothing",
    }
}

fn first_byte(text: &str) -> Option<u8> {
    text.as_bytes().trim_ascii_start().first().copied()
}

/// What a serde_json error says, without the position behind it.
fn message_of(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.rfind(" at line ") {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Kind {
        read_user(text.as_bytes()).unwrap_err().kind
    }

    #[test]
    fn what_is_json_has_the_wrong_shape_and_everything_else_is_not_json() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
        for text in [
            "7",
            "null",
            "[]",
            r#""secret""#,
            r#"{"user_id":[]}"#,
            r#"{"a":1e400}"#,
            &deep,
        ] {
            assert_eq!(kind(text), Kind::Shape, "{text}");
        }
        for text in ["", "{", "{}}", r#"{"user_id":[}"#, r#"{"a":}"#, "secret"] {
            assert_eq!(kind(text), Kind::Json, "{text}");
        }
    }

    #[test]
    fn no_message_shows_a_value() {
        for text in [
            r#""secret""#,
            r#"{"groups":"secret"}"#,
            "secret",
            r#"{"a":secret}"#,
        ] {
            let message = read_user(text.as_bytes()).unwrap_err().message;
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_have_a_place() {
        let malformed = read_user(b"{\n \"\xff\"}").unwrap_err();
        assert_eq!((malformed.line, malformed.column), (2, 3));
        assert_eq!(malformed.kind, Kind::Json);
    }
}
