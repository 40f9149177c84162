use super::*;
use crate::delivery::{event::IdHasher, queue::Size};

fn room(events: usize) -> Size {
    Size { events, bytes: 999 }
}

fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut record = vec![0; HEADER];
    record.extend_from_slice(payload);
    seal(&mut record);
    record
}

#[test]
fn a_full_disk_is_a_failure_and_not_the_end() {
    // Writing to it fails as on a full disk.
    let Ok(full) = File::options().append(true).open("/dev/full") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let mut spool = Spool::new(SpoolOptions::new(directory.path()), 1);
    spool.open(&mut Found::default()).expect("a spool");
    let first = spool.append(&sealed(b"{}")).expect("room on the disk");
    spool.writer = Some(Arc::new(full));
    assert_eq!(spool.append(&sealed(b"{}")), Err(Refusal::Failed));
    assert_eq!(spool.append(&sealed(b"{}")), Err(Refusal::Failed));
    spool.open(&mut Found::default()).expect("a new file");
    let second = spool.append(&sealed(b"{}")).expect("room on the disk");
    assert_ne!(first.segment, second.segment);
    drop(spool);

    let mut next = Spool::new(SpoolOptions::new(directory.path()), 2);
    let mut found = Found::default();
    next.open(&mut found).expect("a spool");
    assert_eq!((found.events, found.damaged), (2, 0));
}

#[test]
fn half_a_record_in_the_middle_costs_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let lane = directory.path().join("1-1-1-0.00000001.spool");
    let record = sealed(br#"{"event_type":"a record of more than one unit"}"#);
    let mut bytes = record.clone();
    bytes.extend_from_slice(&record[..40]);
    bytes.resize(bytes.len().next_multiple_of(UNIT), 0);
    bytes.extend_from_slice(&record);
    std::fs::write(lane, bytes).expect("a file");
    let mut spool = Spool::new(SpoolOptions::new(directory.path()), 1);
    let mut found = Found::default();
    spool.open(&mut found).expect("a spool");
    assert_eq!((found.events, found.damaged), (2, 1));
    let part = spool.next_part().expect("records");
    let loaded = part
        .read(room(9), &IdHasher::default())
        .expect("a file that can be read");
    assert_eq!((loaded.entries.len(), loaded.missing), (2, 0));
}

#[test]
fn what_does_not_fit_is_read_later() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut spool = Spool::new(SpoolOptions::new(directory.path()), 1);
    spool.open(&mut Found::default()).expect("a spool");
    for _ in 0..5 {
        let place = spool.append(&sealed(b"{}")).expect("room on the disk");
        spool.leave_unread(place);
    }
    let mut sizes = Vec::new();
    while let Some(part) = spool.next_part() {
        let loaded = part
            .read(room(2), &IdHasher::default())
            .expect("a file that can be read");
        sizes.push(loaded.entries.len());
        spool.note_loaded(&loaded);
    }
    assert_eq!(sizes, [2, 2, 1]);
}
