//! [`Arguments`]: what a person types, and the help they get.

use std::path::PathBuf;

use clap::{
    ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint,
    builder::{NonEmptyStringValueParser, OsStringValueParser, TypedValueParser, ValueParser},
};
use clap_complete::Shell;
use experiment_evaluation::{Options, RegexMatching};

use crate::input::Input;

/// Amplitude Experiment flags on the command line: which variant would this user get, and why?
#[derive(Debug, Parser)]
#[command(name = "xpmt", version, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Files: `-` is standard input. Exit codes: 0 fine, 1 findings, 2 usage or unreadable input.

Examples:
  xpmt evaluate --flags flags.json --user '{\"user_id\": \"user-1\"}'
  xpmt explain --flags flags.json --user-file user.json --flag checkout
  xpmt check --flags flags.json --strict
  xpmt simulate --flags flags.json --flag checkout --users 100000 --html split.html";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Evaluate(Evaluate),
    Explain(Explain),
    Check(Check),
    Simulate(Simulate),
    Conformance(Conformance),
    Completions(Completions),
    Man(Man),
}

fn file() -> ValueParser {
    ValueParser::new(OsStringValueParser::new().map(Input::file))
}

fn inline(option: &'static str) -> ValueParser {
    ValueParser::new(OsStringValueParser::new().map(move |text| Input::inline(option, text)))
}

/// How regular expressions are read.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Regex {
    /// A pattern must match the whole property, as in the JVM and Android SDKs
    #[default]
    Full,
    /// A pattern may match a part of it, as in the JavaScript, Python and Go SDKs
    Search,
}

impl Regex {
    /// The options of the engine.
    pub(crate) fn options(self) -> Options {
        let mut options = Options::default();
        options.regex_matching = match self {
            Self::Full => RegexMatching::Full,
            Self::Search => RegexMatching::Search,
        };
        options
    }
}

/// The flags, and how they are compiled.
#[derive(Debug, Args)]
pub(crate) struct FlagsArguments {
    /// The flags: a JSON array of flags, or an object of flags by key
    #[arg(long, value_name = "FILE", value_parser = file(), value_hint = ValueHint::FilePath)]
    pub(crate) flags: Input,
    /// How regular expressions are read
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub(crate) regex: Regex,
}

/// For whom flags are evaluated.
#[derive(Debug, Args)]
#[group(id = "subject", multiple = false)]
pub(crate) struct SubjectArguments {
    /// The user, as JSON: `{"user_id": …, "user_properties": {…}, …}`
    #[arg(long, value_name = "JSON", value_parser = inline("--user"))]
    pub(crate) user: Option<Input>,
    /// A file with the user, as JSON
    #[arg(long, value_name = "FILE", value_parser = file(), value_hint = ValueHint::FilePath)]
    pub(crate) user_file: Option<Input>,
    /// The evaluation context, as JSON: `{"user": {…}, "groups": {…}}`
    #[arg(long, value_name = "JSON", value_parser = inline("--context"))]
    pub(crate) context: Option<Input>,
}

/// Evaluate flags: for one user, for a file of users, or case by case
///
/// For one user it prints a table of flag, variant, value, payload, segment and reason, fitted to
/// the terminal. Without a user it evaluates for somebody of whom nothing is known. What is wrong
/// with the flags goes to standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
With --users, a line of results has the ids that are set:
  {\"user_id\":…,\"device_id\":…,\"results\":{flagKey: variant}}
A bad line gives, in its place, and the exit code is 1:
  {\"line\":N,\"error\":{\"kind\":\"json\"|\"shape\",\"message\":…}}
With --cases it is {\"results\":{flagKey: variant}} or {\"error\":{…}}; the exit code is 0.

Examples:
  xpmt evaluate --flags flags.json --user-file user.json
  xpmt evaluate --flags flags.json --user '{\"user_id\": \"u1\"}' --format json
  xpmt evaluate --flags flags.json --users users.ndjson > results.ndjson
  xpmt evaluate --cases - < cases.ndjson")]
pub(crate) struct Evaluate {
    /// The flags: a JSON array of flags, or an object of flags by key
    #[arg(long, value_name = "FILE", value_parser = file(), value_hint = ValueHint::FilePath,
        required_unless_present = "cases", conflicts_with = "cases")]
    pub(crate) flags: Option<Input>,
    #[command(flatten)]
    pub(crate) subject: SubjectArguments,
    /// A file of users, one JSON object per line: evaluates the flags for each of them, on all
    /// cores, one line of results per user in the same order
    #[arg(long, value_name = "FILE", value_parser = file(), value_hint = ValueHint::FilePath,
        conflicts_with_all = ["subject", "cases"])]
    pub(crate) users: Option<Input>,
    /// A file of cases, one `{"flags": […], "context": {…}}` per line (`"user": {…}` may stand for
    /// the context): one line of results per case in the same order
    #[arg(long, value_name = "FILE", value_parser = file(), value_hint = ValueHint::FilePath,
        conflicts_with_all = ["subject", "flag"])]
    pub(crate) cases: Option<Input>,
    /// Only the flag with this key; may be given several times [default: all flags]
    #[arg(long, value_name = "KEY")]
    pub(crate) flag: Vec<String>,
    /// How results are written [default: table, and json for --users and --cases]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<EvaluateFormat>,
    /// How regular expressions are read
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub(crate) regex: Regex,
}

/// How the results of one user are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EvaluateFormat {
    /// For people
    Table,
    /// For programs: `{flagKey: variant}`
    Json,
}

/// How other things are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Say why a flag gives a user the variant it gives
///
/// Segment by segment and condition by condition: what was compared with what, how the user was
/// hashed, and what the flags it depends on gave. It shows properties of the user.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("somebody").required(true).args(["user", "user_file", "context"]),
    after_help = "\
Examples:
  xpmt explain --flags flags.json --user '{\"user_id\": \"user-1\"}' --flag checkout
  xpmt explain --flags flags.json --user-file user.json --flag checkout --format json"
)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) flags: FlagsArguments,
    #[command(flatten)]
    pub(crate) subject: SubjectArguments,
    /// Key of the flag
    #[arg(long, value_name = "KEY")]
    pub(crate) flag: String,
    /// How the explanation is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Find what is wrong with flags, or worth knowing about them
///
/// Every finding with its flag, path and advice. The exit code is 1 if there are errors.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xpmt check --flags flags.json
  xpmt check --flags flags.json --strict --format json")]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) flags: FlagsArguments,
    /// Warnings count as errors for the exit code [default: they do not]
    #[arg(long)]
    pub(crate) strict: bool,
    /// How findings are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Show how users are split between the variants of a flag, expected against observed
///
/// What is expected follows from the flag's allocations and distributions and from how many users
/// arrive at each segment that splits them. A chi-square test says whether the difference is more
/// than chance.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xpmt simulate --flags flags.json --flag checkout --users 100000
  xpmt simulate --flags flags.json --flag checkout --users 50000 --user '{\"country\": \"Norway\"}'
  xpmt simulate --flags flags.json --flag checkout --users users.ndjson --html split.html")]
pub(crate) struct Simulate {
    #[command(flatten)]
    pub(crate) flags: FlagsArguments,
    /// Key of the flag
    #[arg(long, value_name = "KEY")]
    pub(crate) flag: String,
    /// How many synthetic users, or a file of users, one JSON object per line
    #[arg(long, value_name = "N|FILE", value_parser = ValueParser::new(OsStringValueParser::new().map(Population::from)),
        value_hint = ValueHint::FilePath)]
    pub(crate) users: Population,
    /// Which ids synthetic users have, separated by commas: fields of the user such as `user_id`,
    /// `user_properties.NAME`, or `groups.TYPE`
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new(), default_value = "user_id,device_id")]
    pub(crate) by: Vec<String>,
    /// What else synthetic users have, as JSON: a user [default: nothing]
    #[arg(long, value_name = "JSON", value_parser = inline("--user"))]
    pub(crate) user: Option<Input>,
    /// Any number: another seed gives other synthetic users
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write a page with a plot to this file as well [default: no page]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,
}

/// Who takes part in a simulation.
#[derive(Clone, Debug)]
pub(crate) enum Population {
    /// So many synthetic users.
    Synthetic(u64),
    /// The users of a file.
    File(Input),
}

impl From<std::ffi::OsString> for Population {
    fn from(text: std::ffi::OsString) -> Self {
        match text.to_str().map(str::parse) {
            Some(Ok(count)) => Self::Synthetic(count),
            _ => Self::File(Input::file(text)),
        }
    }
}

/// Run a directory of conformance cases
///
/// Reads every *.json (a list of cases) and *.jsonl (a case per line) and prints how many cases
/// pass. The exit code is 1 if one fails, or if an accepted difference no longer exists.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xpmt conformance crates/experiment-conformance/cases")]
pub(crate) struct Conformance {
    /// The directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: PathBuf,
    /// A file of accepted differences, as JSON [default: those of this engine]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ledger: Option<PathBuf>,
}

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xpmt completions bash > ~/.local/share/bash-completion/completions/xpmt")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}

/// Print a man page
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xpmt man > ~/.local/share/man/man1/xpmt.1
  xpmt man evaluate | man -l -")]
pub(crate) struct Man {
    /// The command whose page to print [default: xpmt itself]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
}
