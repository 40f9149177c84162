//! The file is taken whole or not at all.

use std::{collections::BTreeSet, thread};

use super::*;

fn record(flags: &str) -> FlagsRecord {
    FlagsRecord {
        stored_at: Timestamp::from_unix_millis(1_700_000_000_000),
        origin: "https://api.lab.amplitude.com".to_owned(),
        etag: Some("\"1\"".to_owned()),
        flags: Bytes::copy_from_slice(flags.as_bytes()),
    }
}

fn cohorts() -> CohortStore {
    let at = Timestamp::from_unix_millis;
    let users = Cohort::new("User", CohortSet::from_iter(["u1", "u2"]), at(1))
        .with_last_modified(Some(2))
        .confirmed(at(3));
    let nobody = Cohort::new("org name", CohortSet::default(), at(4));
    CohortStore::from_iter([("c1", users), ("g1", nobody)])
}

/// A file in a directory of its own, and the directory.
fn file() -> (CacheFile, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    (CacheFile::new(directory.path().join("flags")), directory)
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect()
}

#[test]
fn what_is_stored_is_loaded_flags_and_cohorts() {
    let (file, directory) = file();
    assert!(file.load().expect("no file is no error").is_none());
    for flags in ["[]", "[{\"key\":\"é\"}]", ""] {
        file.store(&record(flags), &cohorts()).expect("stored");
        let loaded = file.load().expect("readable").expect("there");
        assert_eq!(loaded.record, record(flags));
        assert_eq!(format!("{:?}", loaded.cohorts), format!("{:?}", cohorts()));
        let users = loaded.cohorts.get("c1").expect("stored").members();
        assert!(users.contains("u1") && users.contains("u2") && !users.contains("u3"));
    }
    assert_eq!(
        names(directory.path()),
        BTreeSet::from(["flags".to_owned()])
    );
}

#[test]
fn a_file_that_is_cut_off_or_longer_is_not_taken() {
    let (file, _directory) = file();
    file.store(&record("[{\"key\":\"a\"}]"), &cohorts())
        .expect("stored");
    let whole = fs::read(&file.path).expect("stored");
    for end in 0..whole.len() {
        fs::write(&file.path, &whole[..end]).expect("written");
        assert!(matches!(file.load(), Err(Error::Malformed { .. })), "{end}");
    }
    fs::write(&file.path, [whole.as_slice(), b"\0"].concat()).expect("written");
    assert!(matches!(file.load(), Err(Error::Malformed { .. })));
    // As after a power failure on some file systems: the length is right, the end is not.
    for end in 0..whole.len() {
        let mut zeroed = whole.clone();
        zeroed[end..].fill(0);
        if zeroed != whole {
            assert!(read(&zeroed.into()).is_err(), "{end}");
        }
    }
}

#[test]
fn a_file_with_one_wrong_bit_is_not_taken() {
    let (file, _directory) = file();
    file.store(&record("[{\"key\":\"a\"}]"), &cohorts())
        .expect("stored");
    let whole = fs::read(&file.path).expect("stored");
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&damaged.into()).is_err(), "bit {bit}");
    }
}

#[test]
fn a_section_that_lies_is_not_taken_although_the_checksum_is_right() {
    let sections = |sections: &[([u8; 4], &[u8])]| {
        let mut body = Vec::new();
        for (tag, content) in sections {
            body.extend_from_slice(tag);
            body.extend_from_slice(&(content.len() as u64).to_le_bytes());
            body.extend_from_slice(content);
        }
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&(body.len() as u64).to_le_bytes());
        file.extend_from_slice(&body);
        let checksum = crc32fast::hash(&file);
        file.extend_from_slice(&checksum.to_le_bytes());
        read(&file.into())
    };
    let head: &[u8] = br#"{"stored_at":1,"origin":"","etag":null}"#;
    let mut cohort = br#"{"id":"c","group_type":"User","last_modified":null,"loaded_at":1,"confirmed_at":1,"key":[1,2]}"#.to_vec();
    let length = u32::try_from(cohort.len()).expect("short");
    cohort.splice(0..0, length.to_le_bytes());
    let with = |numbers: &[u8]| [cohort.as_slice(), numbers].concat();
    let ascending = [[1; 8], [2; 8]].concat();
    let descending = [[2; 8], [1; 8]].concat();
    assert!(sections(&[(HEAD, head), (FLAGS, b"[]"), (COHORT, &with(&ascending))]).is_ok());
    for lie in [
        &[][..],
        &[(HEAD, head)],
        &[(FLAGS, b"[]")],
        &[(HEAD, b"{}"), (FLAGS, b"[]")],
        &[(HEAD, head), (FLAGS, b"[]"), (*b"none", b"")],
        &[(HEAD, head), (FLAGS, b"[]"), (COHORT, b"")],
        &[(HEAD, head), (FLAGS, b"[]"), (COHORT, b"\xFF\xFF\xFF\xFF")],
        &[(HEAD, head), (FLAGS, b"[]"), (COHORT, &with(&[0; 7]))],
        &[(HEAD, head), (FLAGS, b"[]"), (COHORT, &with(&descending))],
    ] {
        assert!(sections(lie).is_err());
    }
}

#[test]
fn many_writers_leave_one_of_their_files_and_nothing_else() {
    let (file, directory) = file();
    let flags = |number: usize| format!("[{}]", "1,".repeat(number * 1000));
    file.store(&record(&flags(0)), &cohorts()).expect("stored");
    thread::scope(|scope| {
        for writer in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for round in 0..10 {
                    let number = (writer + round) % 7;
                    file.store(&record(&flags(number)), &cohorts())
                        .expect("stored");
                    let loaded = file.load().expect("whole").expect("there");
                    let length = loaded.record.flags.len();
                    assert_eq!(loaded.record.flags, flags((length - 2) / 2000));
                }
            });
        }
    });
    assert_eq!(
        names(directory.path()),
        BTreeSet::from(["flags".to_owned()])
    );
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;

    let (file, _directory) = file();
    fs::write(&file.path, "an old file that all may read").expect("written");
    file.store(&record("[]"), &cohorts()).expect("stored");
    let mode = fs::metadata(&file.path)
        .expect("stored")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_cannot_be_stored_is_an_error_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    for path in ["no/such/directory/flags", ".."] {
        let file = CacheFile::new(directory.path().join(path));
        let error = file.store(&record("[]"), &cohorts()).expect_err("no place");
        assert!(matches!(error, Error::Storage { .. }), "{error:?}");
    }
    // A directory stands in its place.
    let file = CacheFile::new(directory.path().join("taken"));
    fs::create_dir(&file.path).expect("created");
    assert!(matches!(
        file.store(&record("[]"), &cohorts()),
        Err(Error::Storage { .. })
    ));
    assert!(matches!(file.load(), Err(Error::Storage { .. })));
    assert_eq!(
        names(directory.path()),
        BTreeSet::from(["taken".to_owned()])
    );
}

#[test]
fn debug_shows_no_flags() {
    let shown = format!("{:?}", record("[\"secret\"]"));
    assert!(
        shown.contains("10 bytes") && !shown.contains("secret"),
        "{shown}"
    );
}
