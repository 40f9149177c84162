//! Pieces kept in files.

use std::{io, path::Path};

use experiment_client::{FileStorage, Storage};

#[test]
fn a_file_is_replaced_as_a_whole_and_private() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a/b");
    let storage = FileStorage::new(&path).expect("made");
    assert_eq!(storage.get("x").expect("readable"), None);
    storage.remove("x").expect("nothing to remove");
    for content in [&b"first"[..], b"", b"second"] {
        storage.set("x", content).expect("written");
        assert_eq!(
            storage.get("x").expect("readable").as_deref(),
            Some(content)
        );
    }
    assert_eq!(files(&path), ["x"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path.join("x")), 0o600);
        assert_eq!(mode(&path), 0o700);
    }
    storage.remove("x").expect("removed");
    assert_eq!(files(&path), [] as [String; 0]);
}

#[test]
fn a_file_beyond_the_limit_is_neither_written_nor_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let large = FileStorage::new(directory.path()).expect("made");
    let small = FileStorage::new(directory.path())
        .expect("made")
        .with_max_file_size(4);
    large.set("x", b"12345").expect("written");
    assert_eq!(
        small.get("x").expect_err("too large").kind(),
        io::ErrorKind::FileTooLarge
    );
    assert!(small.set("x", b"67890").is_err());
    assert_eq!(
        large.get("x").expect("readable").as_deref(),
        Some(&b"12345"[..])
    );
    small.set("x", b"1234").expect("written");
    assert_eq!(
        small.get("x").expect("readable").as_deref(),
        Some(&b"1234"[..])
    );
}

#[test]
fn a_failed_write_leaves_the_old_file_and_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = FileStorage::new(directory.path()).expect("made");
    // A directory cannot be replaced by a file.
    std::fs::create_dir(directory.path().join("x")).expect("made");
    assert!(storage.set("x", b"content").is_err());
    assert_eq!(files(directory.path()), ["x"]);
}

#[test]
fn threads_that_write_one_file_leave_one_of_their_contents() {
    let directory = tempfile::tempdir().expect("a directory");
    let contents: Vec<Vec<u8>> = (0..4_u8).map(|n| vec![b'a' + n; 50_000]).collect();
    std::thread::scope(|scope| {
        for content in &contents {
            let storage = FileStorage::new(directory.path()).expect("made");
            scope.spawn(move || {
                for _ in 0..20 {
                    storage.set("x", content).expect("written");
                    let read = storage.get("x").expect("readable").expect("there");
                    assert!(read.len() == 50_000 && read.iter().all(|byte| *byte == read[0]));
                }
            });
        }
    });
    assert_eq!(files(directory.path()), ["x"]);
}

pub(crate) fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("readable")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}
