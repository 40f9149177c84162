//! Patterns of the operators `regex match` and `regex does not match`.
//!
//! The canonical engine hands them to `java.util.regex` without flags, so the dialect here is
//! Java's: [`java`] reads it and writes what it means in the syntax of the regex crate, with
//! everything spelled out (`\d` becomes `[0-9]`), so that no default of the other dialect shows
//! through. Patterns run in linear time. With feature `lookaround`, the few that need look-around,
//! back-references, atomic groups or possessive quantifiers run on fancy-regex within a step bound.
//!
//! What is answered differently from Java 17, by design:
//!
//! - `$` and `\Z` with something behind them hold at the end of the text only, not in front of a
//!   last line terminator (exact with a construct that needs `lookaround`).
//! - Under `(?m)`, `^` also holds at the very end of a text that is empty or ends a line, and only
//!   `\n` and `\r` end lines.
//! - `\b` is ASCII, as in Java 19 and later.
//! - `\R` under a quantifier may take `\r\n` apart.
//! - A group may match the empty text and still be repeated; Java ends a counted repetition there.
//! - Under `(?iu)`, a class with both characters and properties folds the properties too.
//! - With `lookaround`, a group keeps nothing from an alternative that was given up, and a
//!   look-behind may be accepted although Java sees no end to it.

mod class;
mod cost;
mod escape;
mod group;
mod java;
mod piece;
mod place;
mod property;
mod reader;
mod repetition;
mod script;
mod set;
#[cfg(test)]
mod tests;

use alloc::string::String;

use java::Engine;

/// How a pattern is held against a text.
///
/// The official SDKs do not agree. [`Full`](Self::Full) is what the canonical engine does; a team
/// whose flags were written against one of the SDKs that search gets their answers with
/// [`Search`](Self::Search). The dialect of the patterns is the same for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegexMatching {
    /// The pattern has to match the whole text, as in the JVM server SDK, the evaluation proxy and
    /// the Android SDK: `pro` matches `pro`, but not `profile`.
    #[default]
    Full,
    /// The pattern has to match somewhere in the text, as in the JavaScript, Python, Go, Ruby, PHP
    /// and Swift SDKs: `pro` matches `profile`.
    Search,
}

/// Bytes that the compiled form of one pattern may take. Default: 256 KiB.
///
/// Of the patterns in the conformance data, `\p{L}\p{L}` needs most, 86 kB: one `\p{L}` is 43 kB, one
/// literal character 32 to 72 bytes. Patterns without properties or large counts stay below 4 kB.
pub(crate) const DEFAULT_SIZE_LIMIT: usize = 256 * 1024;

/// Steps that a pattern with look-around or back-references may take on one text. Default: 100,000.
pub(crate) const DEFAULT_STEP_LIMIT: usize = 100_000;

/// Bytes that one thread's search cache of one pattern may take.
///
/// The lazy automaton of the regex crate keeps its states in a cache that every thread has for
/// every pattern it matched, 2 MiB each if nothing is said: a plan with a thousand patterns on 64
/// threads could hold 125 GiB. A small cache costs time on long texts only, and property values
/// are short.
const CACHE_LIMIT: usize = 128 * 1024;

/// Levels of nesting that the regex crate may see: those of the source, each of which takes a few.
const EMITTED_NESTING_LIMIT: u32 = 512;

/// Why a pattern cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PatternError {
    /// Java rejects the pattern.
    #[error("invalid pattern at byte `{offset}`: {reason}")]
    Invalid {
        /// What is wrong.
        reason: &'static str,
        /// Where, in bytes from the start of the pattern.
        offset: usize,
    },
    /// Java runs the pattern, but this build of the library cannot.
    #[error("unsupported in a pattern: {construct}")]
    Unsupported {
        /// What cannot be run.
        construct: String,
    },
    /// The compiled form would be too large.
    #[error("pattern takes more than `{limit}` bytes")]
    TooLarge {
        /// Bytes that it may take.
        limit: usize,
    },
    /// With it, the patterns of the plan would be too large together.
    #[error("the patterns of the flags take more than `{limit}` bytes together")]
    TooMany {
        /// Bytes that they may take.
        limit: usize,
    },
}

impl PatternError {
    fn invalid(reason: &'static str, offset: usize) -> Self {
        Self::Invalid { reason, offset }
    }

    /// A translation that an engine refuses to compile: rare combinations such as a look-behind of
    /// variable length.
    fn refused() -> Self {
        Self::Unsupported {
            construct: "a combination the regular expression engine refuses".into(),
        }
    }
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    program: Program,
    size: usize,
}

/// Bytes that the smallest pattern takes: the engine's own tables and its first cache.
const LEAST_SIZE: usize = 4 << 10;

#[derive(Clone, Debug)]
enum Program {
    Linear(regex::Regex),
    #[cfg(feature = "lookaround")]
    Backtracking(fancy_regex::Regex),
}

impl Pattern {
    /// Compiles a pattern of `java.util.regex`. The time is linear in its length; patterns that
    /// would grow beyond `size_limit` bytes are refused early. `step_limit` bounds what a pattern
    /// with look-around or back-references may try on one text.
    ///
    /// # Errors
    ///
    /// What [`PatternError`] names. Groups, classes and operators in classes that nest deeper than
    /// 64 levels are unsupported.
    pub(crate) fn compile(
        source: &str,
        matching: RegexMatching,
        size_limit: usize,
        step_limit: usize,
    ) -> Result<Self, PatternError> {
        let translation = java::translate(source, matching, Engine::Linear, size_limit)?;
        let program = match translation.backtracking {
            None => Program::Linear(linear(&translation.text, size_limit)?),
            #[cfg(feature = "lookaround")]
            Some(_) => {
                let translation =
                    java::translate(source, matching, Engine::Backtracking, size_limit)?;
                Program::Backtracking(backtracking(&translation.text, size_limit, step_limit)?)
            }
            #[cfg(not(feature = "lookaround"))]
            Some(construct) => {
                let _ = step_limit;
                return Err(PatternError::Unsupported {
                    construct: alloc::format!("{construct} without feature `lookaround`"),
                });
            }
        };
        let size = usize::try_from(translation.cost).unwrap_or(usize::MAX);
        Ok(Self {
            program,
            size: size.saturating_add(LEAST_SIZE),
        })
    }

    /// Bytes that the compiled form takes, estimated and rather low.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether the text matches. A search that ran out of steps did not find anything.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        match &self.program {
            Program::Linear(regex) => regex.is_match(text),
            #[cfg(feature = "lookaround")]
            Program::Backtracking(regex) => regex.is_match(text).unwrap_or(false),
        }
    }
}

fn linear(text: &str, size_limit: usize) -> Result<regex::Regex, PatternError> {
    regex::RegexBuilder::new(text)
        .size_limit(size_limit)
        .dfa_size_limit(CACHE_LIMIT)
        .nest_limit(EMITTED_NESTING_LIMIT)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => PatternError::TooLarge { limit },
            _ => PatternError::refused(),
        })
}

#[cfg(feature = "lookaround")]
fn backtracking(
    text: &str,
    size_limit: usize,
    step_limit: usize,
) -> Result<fancy_regex::Regex, PatternError> {
    use fancy_regex::{CompileError, Error};

    let too_large = PatternError::TooLarge { limit: size_limit };
    fancy_regex::RegexBuilder::new(text)
        .delegate_size_limit(size_limit)
        .delegate_dfa_size_limit(CACHE_LIMIT)
        .max_prog_size(size_limit / cost::INSTRUCTION)
        .backtrack_limit(step_limit)
        .build()
        .map_err(|error| match error {
            Error::CompileError(error) => match *error {
                CompileError::InnerError(error) if error.size_limit().is_some() => too_large,
                CompileError::PatternTooComplex => too_large,
                _ => PatternError::refused(),
            },
            _ => PatternError::refused(),
        })
}
