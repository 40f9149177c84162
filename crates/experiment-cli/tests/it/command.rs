//! Running `xpmt`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

/// What a run of the command gave.
pub(crate) struct Run {
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
    /// The exit code.
    pub(crate) code: i32,
}

impl Run {
    /// The output of a run that must have ended with this code and without a complaint.
    pub(crate) fn clean(self, code: i32) -> String {
        assert_eq!((self.err.as_str(), self.code), ("", code), "{}", self.out);
        self.out
    }

    /// The single line of complaint of a run that must have failed.
    pub(crate) fn complaint(self) -> String {
        assert_eq!((self.out.as_str(), self.code), ("", 2), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        self.err.trim_end().to_owned()
    }
}

/// The command, not yet started.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xpmt"));
    command
        .args(arguments)
        .env_remove("CLICOLOR_FORCE")
        .env_remove("NO_COLOR")
        .env("COLUMNS", "120")
        .current_dir(workspace())
        .stdin(Stdio::null());
    command
}

/// Runs the command with nothing on standard input.
pub(crate) fn run(arguments: &[&str]) -> Run {
    finished(&command(arguments).output().expect("the command starts"))
}

/// Runs the command with something on standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: impl Into<Vec<u8>>) -> Run {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.into();
    // A command that fails early does not read its input.
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the command ends");
    writer.join().expect("the input is written");
    finished(&output)
}

fn finished(output: &Output) -> Run {
    Run {
        out: String::from_utf8(output.stdout.clone()).expect("the output is UTF-8"),
        err: String::from_utf8(output.stderr.clone()).expect("the complaint is UTF-8"),
        code: output.status.code().expect("the command ends by itself"),
    }
}

/// The root of the workspace, where the command runs.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate is in the workspace")
        .to_owned()
}

/// A file for one test, named after it.
pub(crate) fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("the file is written");
    path.into_os_string()
        .into_string()
        .expect("the path is UTF-8")
}

/// The example flags.
pub(crate) const FLAGS: &str = "examples/data/flags.json";
/// The example user.
pub(crate) const USER: &str = "examples/data/user.json";
/// The example users.
pub(crate) const USERS: &str = "examples/data/users.ndjson";

/// A flag that gives everybody the variant `on`.
pub(crate) const ON: &str =
    r#"{"key":"f","variants":{"on":{"key":"on","value":"on"}},"segments":[{"variant":"on"}]}"#;
