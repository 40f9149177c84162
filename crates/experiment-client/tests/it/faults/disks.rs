//! Faults of the disk that the spool is on. The services refuse connections meanwhile, so that all
//! depends on what is kept.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use experiment_client::{Fsync, SpoolOptions, test_kit::Answer};
use tempfile::TempDir;

use super::{
    Fault, Row, memory,
    services::everywhere,
    stage::{Place, Stage},
    wire::Wire,
};
use crate::spool::{boundaries, files};

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    /// Nothing.
    Fine,
    /// The spool is as large as it may become.
    SpoolAtBound,
    /// A file stands where the directory of the spool is to be, until the fault ends.
    Blocked,
    /// Nobody can write there.
    #[cfg(target_os = "linux")]
    ReadOnly,
    /// Files cannot grow: writes end halfway.
    #[cfg(unix)]
    Full,
    /// The process ended, and so many records are cut off the file that it left, the first of them
    /// in its middle.
    Cut(usize),
}

pub(super) fn rows() -> Vec<Row> {
    let row = |name, disk| Row::new(name, Fault::Disk(disk), "Connect");
    vec![
        row("connection refused, with a spool", Disk::Fine),
        row("disk full: the spool at its bound", Disk::SpoolAtBound),
        row("no directory for the spool", Disk::Blocked),
        #[cfg(target_os = "linux")]
        row("read-only spool", Disk::ReadOnly),
        row("spool file as the process left it", Disk::Cut(0)),
        row("spool file cut in its last record", Disk::Cut(1)),
        row("spool file cut in the middle", Disk::Cut(3)),
        row(
            "spool file cut in its first record that matters",
            Disk::Cut(6),
        ),
    ]
}

/// The directory of a row.
pub(super) struct Storage(TempDir);

impl Storage {
    pub(super) fn new(row: &Row) -> Self {
        let this = Self(tempfile::tempdir().expect("a directory"));
        if matches!(row.fault, Fault::Disk(Disk::Blocked)) {
            fs::write(this.directory(), "").expect("a file");
        }
        this
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("spool")
    }

    /// What is forced to the disk when has no part in these rows, and takes real time.
    pub(super) fn spool(&self, row: &Row) -> SpoolOptions {
        let spool = match row.fault {
            Fault::Disk(Disk::SpoolAtBound) => {
                SpoolOptions::new(self.directory()).with_max_bytes(12_000)
            }
            // Not even the administrator makes directories here.
            #[cfg(target_os = "linux")]
            Fault::Disk(Disk::ReadOnly) => SpoolOptions::new("/proc/spool"),
            _ => SpoolOptions::new(self.directory()),
        };
        spool.with_fsync(Fsync::Never)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.path().join("flags")
    }

    pub(super) async fn begin(&self, disk: Disk, wire: &Wire, stage: &mut Stage) {
        stage.services.misbehave(everywhere(Answer::refused()));
        wire.cut(false);
        if let Disk::Cut(records) = disk {
            let directory = self.directory();
            let place = Place::clone(&stage.place);
            stage
                .restart(place, |facts| {
                    cut(&directory, records);
                    facts.truncate(facts.len() - records);
                })
                .await;
            let replayed = stage.client.account().replayed;
            assert_eq!(replayed + records as u64, 6);
        }
    }

    pub(super) fn end(&self, disk: Disk, stage: &Stage) {
        let account = stage.client.account();
        let failed = stage.told.count("SpoolFailed") > 0;
        let kept = (account.spooled > 0, account.queued > 0, failed);
        let expected = match disk {
            Disk::Fine | Disk::Cut(_) => (true, false, false),
            Disk::SpoolAtBound => (true, true, false),
            Disk::Blocked => (false, true, true),
            #[cfg(target_os = "linux")]
            Disk::ReadOnly => (false, true, true),
            // How much of it depends on how little fits.
            #[cfg(unix)]
            Disk::Full => (kept.0, kept.1, true),
        };
        assert_eq!(kept, expected, "{account:?}");
        if disk == Disk::Blocked {
            fs::remove_file(self.directory()).expect("the file");
        }
    }
}

/// Cuts the last records off the newest file, and most of the record before the cut.
fn cut(directory: &Path, records: usize) {
    if records == 0 {
        return;
    }
    let path = files(directory, "spool").pop().expect("a file");
    let bytes = fs::read(&path).expect("records");
    let boundaries = boundaries(&bytes);
    let first = boundaries[boundaries.len() - 1 - records];
    fs::write(&path, &bytes[..first + 40]).expect("a shorter file");
}

/// The limit of the size of files belongs to a process and cannot be set safely from within.
#[cfg(unix)]
#[test]
fn a_full_disk_is_survived() {
    // So many blocks of 512 or 1,024 bytes fit: not a single event, or some.
    for blocks in ["1", "8"] {
        let output = Command::new("sh")
            // Without the trap the signal would end the process; with it, writing fails.
            .args([
                "-c",
                "trap '' XFSZ; ulimit -f $1; exec \"$0\" \"$2\" \"$3\" \"$4\"",
            ])
            .arg(std::env::current_exe().expect("this program"))
            .args([
                blocks,
                "--exact",
                "faults::disks::with_files_that_cannot_grow",
            ])
            .arg("--ignored")
            .output()
            .expect("a child process");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && shown.contains("1 passed"),
            "{shown}"
        );
    }
}

#[cfg(unix)]
#[test]
#[ignore = "the process that the test above starts"]
fn with_files_that_cannot_grow() {
    let row = Row::new("disk full", Fault::Disk(Disk::Full), "Connect");
    memory::run(&row, experiment_client::Updates::polling());
}
