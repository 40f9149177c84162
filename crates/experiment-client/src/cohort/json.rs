//! [`Tokens`]: JSON, read as it arrives.

/// How deep lists and objects may stand in each other, as serde_json has it.
const DEPTH: u32 = 127;

/// Reads one JSON object from pieces of any size (RFC 8259) and tells a [`Listener`] what it comes
/// across. It keeps one text or number at most, and only if the listener wants it.
#[derive(Debug)]
pub(super) struct Tokens {
    /// How many bytes a wanted text may have.
    longest: usize,
    /// Bytes read.
    read: u64,
    state: State,
    /// The lists and objects around the place, from the innermost on: 1 for an object.
    around: u128,
    depth: u32,
    /// The text or number that is being read, if it is wanted.
    kept: String,
    wanted: bool,
    /// The first bytes of a character of which more is to come.
    partial: [u8; 4],
    partial_length: usize,
}

/// Hears what is in the JSON.
pub(super) trait Listener {
    /// A value or the key of an entry begins here. Answers whether its text is wanted.
    ///
    /// # Errors
    ///
    /// What is expected instead.
    fn begin(&mut self, kind: Kind) -> Result<bool, &'static str>;

    /// The text that was wanted: of a key or string without quotes and escapes, of a number as it
    /// is written.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn text(&mut self, text: &str) -> Result<(), &'static str>;

    /// A list or object is over.
    fn end(&mut self);
}

/// What begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Text,
    Number,
    Bool,
    Null,
    List,
    Object,
}

/// Where the JSON is wrong, and why. No part of it is in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The position of the first byte that is wrong.
    pub(super) at: u64,
    pub(super) reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The object itself.
    Start,
    Value,
    /// A value or the end of a list.
    First,
    Key,
    /// A key or the end of an object.
    FirstKey,
    Colon,
    /// A comma or an end.
    Next,
    Text(Within, Part),
    Number(Digits),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
    End,
}

/// What a string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Key,
    Value,
}

/// Where in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Plain,
    Backslash,
    /// `\u` with so many digits to come.
    Hex {
        left: u8,
        code: u32,
        high: Option<u32>,
    },
    /// Behind the first half of a surrogate pair: the backslash, then the `u` of the second.
    Second {
        high: u32,
        backslash: bool,
    },
}

/// Where in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digits {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    Power,
}

impl Digits {
    /// Whether the number may end here.
    fn complete(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Whole | Self::Fraction | Self::Power
        )
    }

    /// The place behind one more byte, if it belongs to the number.
    fn then(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::Power, b'0'..=b'9') => Self::Power,
            _ => return None,
        })
    }
}

type Step = Result<State, &'static str>;

impl Tokens {
    pub(super) fn new(longest: usize) -> Self {
        Self {
            longest,
            read: 0,
            state: State::Start,
            around: 0,
            depth: 0,
            kept: String::new(),
            wanted: false,
            partial: [0; 4],
            partial_length: 0,
        }
    }

    /// Reads the next piece.
    pub(super) fn push(
        &mut self,
        mut piece: &[u8],
        listener: &mut impl Listener,
    ) -> Result<(), Wrong> {
        while let Some((byte, rest)) = piece.split_first() {
            let plain = match self.state {
                State::Text(_, Part::Plain) if self.partial_length == 0 => plain_length(piece),
                _ => 0,
            };
            let length = if plain > 0 {
                let (plain, rest) = piece.split_at(plain);
                piece = rest;
                // ASCII, by the way it was found.
                self.keep(str::from_utf8(plain).unwrap_or_default());
                plain.len()
            } else {
                self.state = self
                    .step(*byte, listener)
                    .map_err(|reason| self.wrong(reason))?;
                piece = rest;
                1
            };
            if self.kept.len() > self.longest {
                return Err(self.wrong("longer than 64 KiB"));
            }
            self.read = self.read.saturating_add(length as u64);
        }
        Ok(())
    }

    /// Whether the object is over.
    ///
    /// # Errors
    ///
    /// That it is not.
    pub(super) fn finish(&self) -> Result<(), Wrong> {
        if self.state == State::End {
            return Ok(());
        }
        Err(self.wrong("the body ends too soon"))
    }

    fn wrong(&self, reason: &'static str) -> Wrong {
        Wrong {
            at: self.read,
            reason,
        }
    }

    fn keep(&mut self, text: &str) {
        if self.wanted {
            self.kept.push_str(text);
        }
    }

    fn step(&mut self, byte: u8, listener: &mut impl Listener) -> Step {
        match self.state {
            State::Text(within, part) => return self.text(within, part, byte, listener),
            State::Word([expected, rest @ ..]) => {
                if byte != *expected {
                    return Err("expected a value");
                }
                return Ok(if rest.is_empty() {
                    State::Next
                } else {
                    State::Word(rest)
                });
            }
            State::Number(digits) => match digits.then(byte) {
                Some(next) => {
                    self.keep(char::from(byte).encode_utf8(&mut [0; 4]));
                    return Ok(State::Number(next));
                }
                None if digits.complete() => {
                    self.hand_over(listener)?;
                    self.state = State::Next;
                }
                None => return Err("expected a digit"),
            },
            _ => {}
        }
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(self.state);
        }
        match (self.state, byte) {
            (State::Start, b'{') => self.open(Kind::Object, listener),
            (State::Start, _) => Err("expected an object"),
            (State::First, b']') | (State::FirstKey, b'}') => Ok(self.close(listener)),
            (State::Value | State::First, _) => self.value(byte, listener),
            (State::Key | State::FirstKey, b'"') => {
                self.wanted = listener.begin(Kind::Key)?;
                Ok(State::Text(Within::Key, Part::Plain))
            }
            (State::Key | State::FirstKey, _) => Err("expected a key"),
            (State::Colon, b':') => Ok(State::Value),
            (State::Colon, _) => Err("expected a colon"),
            (State::Next, b',') => Ok(if self.in_object() {
                State::Key
            } else {
                State::Value
            }),
            (State::Next, b'}') if self.in_object() => Ok(self.close(listener)),
            (State::Next, b']') if !self.in_object() => Ok(self.close(listener)),
            (State::Next, _) => Err("expected a comma or an end"),
            _ => Err("expected nothing more"),
        }
    }

    fn value(&mut self, byte: u8, listener: &mut impl Listener) -> Step {
        let (kind, state) = match byte {
            b'"' => (Kind::Text, State::Text(Within::Value, Part::Plain)),
            b'-' => (Kind::Number, State::Number(Digits::Minus)),
            b'0' => (Kind::Number, State::Number(Digits::Zero)),
            b'1'..=b'9' => (Kind::Number, State::Number(Digits::Whole)),
            b't' => (Kind::Bool, State::Word(b"rue")),
            b'f' => (Kind::Bool, State::Word(b"alse")),
            b'n' => (Kind::Null, State::Word(b"ull")),
            b'[' => return self.open(Kind::List, listener),
            b'{' => return self.open(Kind::Object, listener),
            _ => return Err("expected a value"),
        };
        self.wanted = listener.begin(kind)?;
        if kind == Kind::Number {
            self.keep(char::from(byte).encode_utf8(&mut [0; 4]));
        }
        Ok(state)
    }

    fn open(&mut self, kind: Kind, listener: &mut impl Listener) -> Step {
        if self.depth == DEPTH {
            return Err("nested too deep");
        }
        listener.begin(kind)?;
        let object = kind == Kind::Object;
        self.around = self.around << 1 | u128::from(object);
        self.depth = self.depth.saturating_add(1);
        Ok(if object {
            State::FirstKey
        } else {
            State::First
        })
    }

    fn close(&mut self, listener: &mut impl Listener) -> State {
        self.around >>= 1;
        self.depth = self.depth.saturating_sub(1);
        listener.end();
        if self.depth == 0 {
            State::End
        } else {
            State::Next
        }
    }

    fn in_object(&self) -> bool {
        self.around & 1 == 1
    }

    fn text(&mut self, within: Within, part: Part, byte: u8, listener: &mut impl Listener) -> Step {
        let part = match part {
            Part::Plain if self.partial_length > 0 || !byte.is_ascii() => {
                self.character(byte)?;
                Part::Plain
            }
            Part::Plain if byte == b'"' => {
                self.hand_over(listener)?;
                return Ok(match within {
                    Within::Key => State::Colon,
                    Within::Value => State::Next,
                });
            }
            Part::Plain if byte == b'\\' => Part::Backslash,
            // Everything else was read at once: see `plain_length`.
            Part::Plain => return Err("a control character in a string"),
            Part::Backslash if byte == b'u' => hex(None),
            Part::Backslash => {
                self.keep(escaped(byte).ok_or("not an escape")?);
                Part::Plain
            }
            Part::Hex { left, code, high } => {
                let digit = char::from(byte)
                    .to_digit(16)
                    .ok_or("expected a hex digit")?;
                let code = code << 4 | digit;
                match left.saturating_sub(1) {
                    0 => self.code_unit(code, high)?,
                    left => Part::Hex { left, code, high },
                }
            }
            Part::Second {
                high,
                backslash: false,
            } if byte == b'\\' => Part::Second {
                high,
                backslash: true,
            },
            Part::Second {
                high,
                backslash: true,
            } if byte == b'u' => hex(Some(high)),
            Part::Second { .. } => return Err(HALF_A_CHARACTER),
        };
        Ok(State::Text(within, part))
    }

    /// One more byte of a character that is not ASCII.
    fn character(&mut self, byte: u8) -> Result<(), &'static str> {
        if let Some(place) = self.partial.get_mut(self.partial_length) {
            *place = byte;
        }
        self.partial_length = self.partial_length.saturating_add(1);
        let bytes = self.partial;
        let bytes = bytes.get(..self.partial_length).unwrap_or_default();
        match str::from_utf8(bytes) {
            Ok(character) => {
                self.keep(character);
                self.partial_length = 0;
                Ok(())
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err("not UTF-8"),
        }
    }

    /// A UTF-16 code unit that was escaped, behind the first half of a surrogate pair if there was
    /// one.
    fn code_unit(&mut self, code: u32, high: Option<u32>) -> Result<Part, &'static str> {
        let code = match (high, code) {
            (None, 0xD800..=0xDBFF) => {
                return Ok(Part::Second {
                    high: code,
                    backslash: false,
                });
            }
            (None, code) => code,
            (Some(high), 0xDC00..=0xDFFF) => {
                ((high & 0x3FF) << 10 | (code & 0x3FF)).saturating_add(0x1_0000)
            }
            (Some(_), _) => return Err(HALF_A_CHARACTER),
        };
        let character = char::from_u32(code).ok_or(HALF_A_CHARACTER)?;
        if self.wanted {
            self.kept.push(character);
        }
        Ok(Part::Plain)
    }

    fn hand_over(&mut self, listener: &mut impl Listener) -> Result<(), &'static str> {
        if !self.wanted {
            return Ok(());
        }
        self.wanted = false;
        let heard = listener.text(&self.kept);
        self.kept.clear();
        heard
    }
}

const HALF_A_CHARACTER: &str = "half of a surrogate pair";

fn hex(high: Option<u32>) -> Part {
    Part::Hex {
        left: 4,
        code: 0,
        high,
    }
}

/// How many bytes from here on are ASCII and stand for themselves in a string.
fn plain_length(piece: &[u8]) -> usize {
    piece
        .iter()
        .position(|byte| !matches!(byte, b' '..=b'~' | 0x7F) || matches!(byte, b'"' | b'\\'))
        .unwrap_or(piece.len())
}

/// What a backslash and this byte stand for.
fn escaped(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'"' => "\"",
        b'\\' => "\\",
        b'/' => "/",
        b'b' => "\u{8}",
        b'f' => "\u{c}",
        b'n' => "\n",
        b'r' => "\r",
        b't' => "\t",
        _ => return None,
    })
}
