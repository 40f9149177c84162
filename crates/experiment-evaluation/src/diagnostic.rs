//! [`Diagnostic`]: what is wrong, or worth knowing, about a configuration.

use alloc::{string::String, vec::Vec};
use core::fmt;

use experiment_model::{Malformed, Text};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// A finding about one flag. Its JSON form is described by `diagnostic.schema.json` beside the
/// conformance cases.
///
/// ```
/// use experiment_evaluation::{Code, Options, Plan, Severity};
/// use experiment_model::read_flags;
///
/// let flags = read_flags(br#"[{"key": "f", "variants": {}, "segments": [], "dependencies": ["f"]}]"#)?;
/// let plan = Plan::compile(&flags, &Options::default());
/// let finding = &plan.diagnostics()[0];
/// assert_eq!(finding.code, Code::DependencyCycle);
/// assert_eq!(finding.severity(), Severity::Error);
/// assert_eq!(finding.to_string(), "error: flag `f`, `dependencies`: flags depend on each other in a circle: f -> f");
/// # Ok::<(), experiment_model::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What kind of finding this is.
    pub code: Code,
    /// Key of the flag; absent where it could not be read.
    pub flag: Option<Text>,
    /// Where in the flag: `segments[0].conditions[0][1].values[2]`; empty for the flag as a whole.
    pub path: String,
    /// What is found there, for people.
    pub message: String,
}

impl Diagnostic {
    pub(crate) fn new(code: Code, flag: &Text, path: String, message: String) -> Self {
        Self {
            code,
            flag: Some(flag.clone()),
            path,
            message,
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        self.code.advice()
    }
}

impl From<Malformed> for Diagnostic {
    fn from(malformed: Malformed) -> Self {
        let message = match malformed.key {
            Some(_) => malformed.message,
            None => alloc::format!("at position {}: {}", malformed.index, malformed.message),
        };
        Self {
            code: Code::MalformedFlag,
            flag: malformed.key,
            path: malformed.path,
            message,
        }
    }
}

impl Serialize for Diagnostic {
    /// An object with `code`, `severity`, `flag` if its key could be read, `path` and `message`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", &self.code)?;
        map.serialize_entry("severity", &self.severity())?;
        if let Some(flag) = &self.flag {
            map.serialize_entry("flag", flag)?;
        }
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("message", &self.message)?;
        map.end()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity())?;
        if let Some(flag) = &self.flag {
            write!(f, "flag `{flag}`")?;
        } else {
            f.write_str("flag")?;
        }
        if !self.path.is_empty() {
            write!(f, ", `{}`", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Works as configured, but official SDKs may answer differently, or a reader may be misled.
    Note,
    /// Works, but probably not as intended.
    Warning,
    /// The flag, or a part of it, cannot work.
    Error,
}

impl Severity {
    /// The word in the JSON form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares the codes once: variant, stable text, severity, advice, documentation.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident, $advice:literal;)*) => {
        /// What kind of finding a [`Diagnostic`] is. The texts are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The stable text, for programs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// How bad such a finding is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// What to do about it.
            pub fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)*
                }
            }
        }
    };
}

codes! {
    /// The flag cannot be read; it gives no variant.
    MalformedFlag = "malformed-flag", Error, "correct the field; until then the flag gives no variant";
    /// Flags depend on each other in a circle; none of them gives a variant.
    DependencyCycle = "dependency-cycle", Error, "remove one of the dependencies; until then none of these flags gives a variant";
    /// The flag depends on flags that depend on each other in a circle; it gives no variant.
    DependsOnCycle = "depends-on-cycle", Error, "break the circle; until then the flag gives no variant";
    /// More flags depend on each other in a row than `Limits::dependency_depth` allows.
    DependencyDepth = "dependency-depth", Error, "shorten the chain of dependencies; until then the flag gives no variant";
    /// A condition has more values than `Limits::values` allows.
    TooManyValues = "too-many-values", Error, "use a cohort; until then the flag gives no variant";
    /// A regular expression is not one.
    InvalidPattern = "invalid-pattern", Error, "correct the pattern; until then it never matches";
    /// A regular expression uses something this build does not have.
    UnsupportedPattern = "unsupported-pattern", Error, "write the pattern without it; until then it never matches";
    /// A regular expression is larger than `Limits::pattern_size` allows once compiled, or the patterns
    /// of the plan together are larger than `Limits::patterns_size` allows.
    PatternTooLarge = "pattern-too-large", Error, "shorten its repetitions; until then it never matches";
    /// A range is not a pair of integers; it never matches.
    MalformedRange = "malformed-range", Error, "give the range a start and an end; until then it takes no users";
    /// An operator is not known; its condition never matches.
    UnknownOperator = "unknown-operator", Warning, "use one of the 20 operators; until then the condition never matches";
    /// A flag key is used twice; the last definition stands.
    DuplicateFlagKey = "duplicate-flag-key", Warning, "remove one of the definitions; the last one stands";
    /// A dependency is not among the flags; it is skipped.
    MissingDependency = "missing-dependency", Warning, "add the flag or remove the dependency; its result counts as absent";
    /// A segment or distribution names a variant that the flag does not have.
    UnknownVariant = "unknown-variant", Warning, "add the variant or correct the key; its users go to the next segment";
    /// A condition reads the result of a flag that is not a dependency.
    UndeclaredDependency = "undeclared-dependency", Warning, "add the flag to the dependencies; without it the result counts as absent when this flag is asked alone";
    /// No user can reach a segment.
    UnreachableSegment = "unreachable-segment", Warning, "remove the segment, or narrow the ones before it";
    /// No user can satisfy a condition, or every user does.
    ConstantCondition = "constant-condition", Note, "remove the condition if it is not a deliberate switch";
    /// Ranges that stand side by side overlap by more than one: the first one wins.
    OverlappingRanges = "overlapping-ranges", Warning, "let each range start where the one before it ends";
    /// Users of an allocation fall beside its distributions.
    IncompleteRanges = "incomplete-ranges", Warning, "let the distributions reach from 0 to 42949673; users in the gap get the segment's variant";
    /// A range starts behind its end; it takes no users.
    InvertedRange = "inverted-range", Warning, "swap the start and the end; until then the range takes no users, and the Swift SDK crashes on it (D33)";
    /// A range reaches beyond what a hash can be.
    RangeOutOfBounds = "range-out-of-bounds", Warning, "keep allocations within 0 and 100, distributions within 0 and 42949673; what lies beyond takes no users, and below 0 the Go SDK reads no flag of the configuration";
    /// A range starts where it ends; it takes no users.
    EmptyRange = "empty-range", Note, "remove the range if it is not switched off on purpose";
    /// A flag is evaluated for this one, but nothing reads its result.
    UnusedDependency = "unused-dependency", Note, "remove the dependency: it costs an evaluation, and a circle there would take this flag along";
    /// `(none)` stands among the patterns of a condition.
    NoneInPattern = "none-in-pattern", Warning, "ask for absence with `is` or `is not`; as a pattern it matches the text `none`";
    /// A pattern has no anchors and is not written to match the whole property.
    UnanchoredPattern = "portability-unanchored-pattern", Note, "write `.*x.*` or `^x$`, which all engines read alike (D1): JVM and Android match the whole property, JavaScript, Python, Go, Ruby, PHP and Swift search in it";
    /// A pattern has something that an official engine rejects or reads differently.
    PatternDialect = "portability-pattern-dialect", Note, "write the pattern without it (D1, D3): an engine that rejects a pattern fails the whole call in JavaScript, Python and Ruby, and never matches in Go and PHP";
    /// A negated operator on a property that may be absent.
    NegatedAbsent = "portability-negated-absent", Note, "target users who have the property first (D2): for absent properties `set is not` and `regex does not match` are true in Kotlin, Go, Swift and Android, false in JavaScript, Python, Ruby and PHP";
    /// A version compared with text that engines read differently, or that is no version.
    VersionText = "portability-version-text", Note, "compare with MAJOR.MINOR.PATCH (D6, D7, D27): Go does not fall back to comparing as text, and engines read unusual versions differently";
    /// A number compared with text that only some engines read as a number.
    NumberText = "portability-number-text", Note, "compare with plain decimal numbers (D8, D9, D26): engines read other notations differently, and JavaScript does not fall back to comparing as text";
    /// A number, truth value, list or object that is compared or bucketed as text.
    TypedText = "portability-typed-text", Note, "send the property as text (D10 to D18): engines write numbers, truth values, lists and objects differently";
    /// Empty text among the values of a condition.
    EmptyText = "portability-empty-text", Note, "leave the property out and compare with `(none)` (D13, D22): Python and PHP take empty text for an absent property, JavaScript and PHP drop it from lists";
    /// A value stands twice in a condition that counts them.
    RepeatedValue = "portability-repeated-value", Note, "remove the repetition (D23): JavaScript, Python, Ruby and PHP count values that stand twice";
    /// A letter that engines lower-case differently.
    LetterCase = "portability-letter-case", Note, "match such text with `is` or a pattern (D29): PHP lower-cases ASCII only, Go one letter at a time";
    /// A condition list that engines read differently when it is empty.
    EmptyConditions = "portability-empty-conditions", Note, "leave `conditions` out for everyone (D20): Python matches an empty list, PHP never matches an empty inner one";
    /// A selector that engines resolve differently.
    UnusualSelector = "portability-unusual-selector", Note, "select properties by non-empty names, and of results `key`, `value` or `metadata` (D19, D21, D28, D32)";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A configuration with findings, where none were accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} in the flags, the first: {}", count(.diagnostics.len()), first(.diagnostics))]
#[non_exhaustive]
pub struct CompileError {
    /// All findings, in the order of the flags.
    pub diagnostics: Vec<Diagnostic>,
}

fn count(findings: usize) -> String {
    if findings == 1 {
        String::from("1 finding")
    } else {
        alloc::format!("{findings} findings")
    }
}

fn first(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .first()
        .map_or_else(String::new, |diagnostic| alloc::format!("{diagnostic}"))
}
