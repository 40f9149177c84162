//! [`Options`] and [`Limits`].

pub use crate::pattern::RegexMatching;

/// How flags are compiled and evaluated.
///
/// ```
/// use experiment_evaluation::{Options, RegexMatching};
///
/// let mut options = Options::default();
/// options.regex_matching = RegexMatching::Search;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whether a pattern must match the whole property. Default: it must, as in the canonical
    /// engine and the JVM and Android SDKs.
    pub regex_matching: RegexMatching,
    /// Bounds on what a configuration and a user can cost.
    pub limits: Limits,
}

/// Bounds on what a configuration and a user can cost.
///
/// Beyond a limit of compilation the flag (or the pattern) gets a diagnostic; beyond a limit of
/// evaluation a property does not match.
///
/// With the defaults, the stack is bounded too. Compiling, evaluating and explaining take up to
/// 16 KiB of it however many flags depend on each other, up to 128 KiB where JSON is nested as deep
/// as it may be, and up to 64 KiB where patterns are (release builds on x86-64; debug builds take up
/// to 48 KiB, 384 KiB and 1 MiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes that the compiled form of one regular expression may take. A larger pattern never
    /// matches and is a diagnostic. Default: [`Limits::PATTERN_SIZE`].
    pub pattern_size: usize,
    /// Bytes that the compiled forms of all different patterns of a plan may take together, as
    /// estimated from their text. Patterns beyond it never match and are diagnostics. Default:
    /// [`Limits::PATTERNS_SIZE`].
    pub patterns_size: usize,
    /// Steps that a pattern with look-around or back-references may take for one property before
    /// it counts as not matching (feature `lookaround`; other patterns run in linear time).
    /// Default: [`Limits::PATTERN_STEPS`].
    pub pattern_steps: usize,
    /// Bytes of a property that are searched by `contains` and regular expressions, or read as a
    /// JSON array. Longer text does not match and is no list. Default: [`Limits::TEXT_LENGTH`].
    pub text_length: usize,
    /// How deep lists and objects of a property may be nested to be compared, or hashed, as text.
    /// Deeper ones count as absent. Default: [`Limits::NESTING`].
    pub nesting: usize,
    /// How many flags may depend on each other in a row. Flags at the end of a longer chain give
    /// no variant and are diagnostics. Default: [`Limits::DEPENDENCY_DEPTH`].
    pub dependency_depth: usize,
    /// How many values one condition may have. A flag with more gives no variant and is a
    /// diagnostic. Default: [`Limits::VALUES`].
    pub values: usize,
}

impl Limits {
    /// Default of [`pattern_size`](Limits::pattern_size).
    pub const PATTERN_SIZE: usize = crate::pattern::DEFAULT_SIZE_LIMIT;
    /// Default of [`patterns_size`](Limits::patterns_size): 64 MiB, some thousand patterns, of which
    /// most take a few KiB.
    pub const PATTERNS_SIZE: usize = 64 << 20;
    /// Default of [`pattern_steps`](Limits::pattern_steps): 100,000, some milliseconds.
    pub const PATTERN_STEPS: usize = crate::pattern::DEFAULT_STEP_LIMIT;
    /// Default of [`text_length`](Limits::text_length): 1 MiB.
    pub const TEXT_LENGTH: usize = 1 << 20;
    /// Default of [`nesting`](Limits::nesting): 128, the depth to which JSON is read.
    pub const NESTING: usize = 128;
    /// Default of [`dependency_depth`](Limits::dependency_depth): 10,000. Evaluating takes the
    /// same stack however deep it is, and time in proportion to it.
    pub const DEPENDENCY_DEPTH: usize = 10_000;
    /// Default of [`values`](Limits::values): 1,000,000.
    pub const VALUES: usize = 1_000_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pattern_size: Self::PATTERN_SIZE,
            patterns_size: Self::PATTERNS_SIZE,
            pattern_steps: Self::PATTERN_STEPS,
            text_length: Self::TEXT_LENGTH,
            nesting: Self::NESTING,
            dependency_depth: Self::DEPENDENCY_DEPTH,
            values: Self::VALUES,
        }
    }
}
