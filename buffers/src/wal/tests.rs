#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use whyd_signals::{Compression, Media, Resource, Team, Timestamp, Verb};

use super::*;

fn record(lsn: u64) -> Record {
    let mut refused = Bitmap::new();
    if lsn.is_multiple_of(3) {
        refused.set(lsn);
    }
    let media = match lsn % 11 {
        0 => Media::RemoteWrite1(Compression::Snappy),
        1 => Media::LokiProto,
        2 => Media::LokiJson,
        3 => Media::RemoteWrite1(Compression::Zstd),
        4 => Media::RemoteWrite2(Compression::Snappy),
        5 => Media::RemoteWrite2(Compression::Zstd),
        6 => Media::OtlpMetricsProto,
        7 => Media::OtlpMetricsJson,
        8 => Media::OtlpLogsProto,
        9 => Media::OtlpLogsJson,
        _ => Media::Kube(Resource::Pods, Verb::Delete),
    };
    let tenant = lsn.is_multiple_of(2).then(|| Team::new("shop"));
    let body = format!("body of {lsn}").into_bytes().into();
    Record { lsn: Lsn(lsn), envelope: Envelope { received: Timestamp(lsn as i64 * 100), media, tenant, body }, refused }
}

fn open(dir: &Path, bounds: Bounds) -> (Log, Recovery, Vec<Record>) {
    let mut records = Vec::new();
    let mut log = Log::open(dir, bounds).unwrap();
    assert!(matches!(log.append_batch(&[record(1)]), Err(WalError::Order(Lsn(1)))), "not before the replay");
    log.replay(|r| records.push(r)).unwrap();
    let recovery = log.recovery().unwrap();
    (log, recovery, records)
}

const SMALL: Bounds = Bounds { segment_bytes: 200, bytes: 1 << 20 };

/// A log of these records, each committed by itself and then left as a kill would leave it.
fn log(dir: &Path, bounds: Bounds, lsns: std::ops::RangeInclusive<u64>) {
    let (mut wal, ..) = open(dir, bounds);
    for lsn in lsns {
        wal.append_batch(&[record(lsn)]).unwrap();
    }
}

/// The segments of a directory in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    segment::list(&Directory::new(dir)).unwrap().into_iter().map(|(_, name)| dir.join(name)).collect()
}

fn path_of(dir: &Path, first: Lsn) -> PathBuf {
    dir.join(segment::name_of(first))
}

fn expected(lsns: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    lsns.map(record).collect()
}

#[test]
fn what_was_appended_comes_back_over_segments() {
    let dir = TempDir::new().unwrap();
    log(dir.path(), SMALL, 1..=20);
    assert!(segments(dir.path()).len() > 3);
    let (mut wal, recovery, records) = open(dir.path(), SMALL);
    assert_eq!(records, expected(1..=20));
    assert_eq!(recovery, Recovery { records: 20, ..Recovery::default() });
    assert_eq!(wal.next_lsn(), Lsn(21));
    wal.append_batch(&[record(21), record(22)]).unwrap();
    drop(wal);
    assert_eq!(open(dir.path(), SMALL).2, expected(1..=22));
}

#[test]
fn one_owner_and_dense_order() {
    let dir = TempDir::new().unwrap();
    let (mut wal, ..) = open(dir.path(), SMALL);
    assert!(matches!(Log::open(dir.path(), SMALL), Err(WalError::Locked)));
    assert!(matches!(wal.append_batch(&[record(2)]), Err(WalError::Order(Lsn(2)))));
    assert!(matches!(wal.append_batch(&[record(1), record(3)]), Err(WalError::Order(Lsn(3)))));
    wal.append_batch(&[record(1)]).unwrap();
    wal.append_batch(&[]).unwrap();
    assert_eq!(wal.next_lsn(), Lsn(2));
}

#[test]
fn truncated_at_every_length_a_prefix_comes_back() {
    let whole = TempDir::new().unwrap();
    log(whole.path(), Bounds::default(), 1..=4);
    let path = segments(whole.path()).remove(0);
    let bytes = fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        let dir = TempDir::new().unwrap();
        fs::write(path_of(dir.path(), Lsn(1)), &bytes[..length]).unwrap();
        let (mut wal, recovery, records) = open(dir.path(), Bounds::default());
        let n = records.len() as u64;
        assert_eq!(records, expected(1..=n), "cut at {length}");
        assert_eq!((recovery.corrupt, wal.next_lsn()), (0, Lsn(n + 1)));
        wal.append_batch(&[record(n + 1)]).unwrap();
        drop(wal);
        assert_eq!(open(dir.path(), Bounds::default()).2, expected(1..=n + 1));
    }
}

#[test]
fn any_byte_flipped_loses_at_most_its_record() {
    let whole = TempDir::new().unwrap();
    log(whole.path(), SMALL, 1..=7);
    let paths = segments(whole.path());
    assert!(paths.len() > 1);
    for (i, path) in paths.iter().enumerate() {
        let bytes = fs::read(path).unwrap();
        for at in 0..bytes.len() {
            let dir = TempDir::new().unwrap();
            for p in &paths {
                fs::copy(p, dir.path().join(p.file_name().unwrap())).unwrap();
            }
            let mut flipped = bytes.clone();
            flipped[at] ^= 0xff;
            fs::write(dir.path().join(path.file_name().unwrap()), flipped).unwrap();
            let (mut wal, recovery, records) = open(dir.path(), SMALL);
            assert_eq!(records.len(), 6, "byte {at} of segment {i}");
            assert!(records.iter().all(|r| *r == record(r.lsn.0)));
            assert_eq!(recovery.corrupt + u64::from(recovery.cut_bytes > 0), 1);
            if i + 1 < paths.len() {
                assert_eq!(recovery.corrupt, 1);
            }
            let next = wal.next_lsn().0;
            wal.append_batch(&[record(next)]).unwrap();
            drop(wal);
            let (_, again, records) = open(dir.path(), SMALL);
            assert_eq!((again.corrupt, again.cut_bytes, records.len()), (0, 0, 7));
        }
    }
}

#[test]
fn old_and_surplus_segments_go() {
    let dir = TempDir::new().unwrap();
    log(dir.path(), SMALL, 1..=20);
    let (mut wal, ..) = open(dir.path(), SMALL);
    let before = wal.bytes();
    wal.drop_before(Timestamp(1000)).unwrap();
    assert!(wal.dropped().old > 0 && wal.dropped().over == 0 && wal.bytes() < before);
    wal.append_batch(&[record(21)]).unwrap();
    drop(wal);
    let (mut wal, _, records) = open(dir.path(), Bounds { bytes: 500, ..SMALL });
    assert!(records.first().unwrap().envelope.received <= Timestamp(1000));
    assert_eq!(records.last(), Some(&record(21)));
    wal.drop_before(Timestamp(0)).unwrap();
    assert!(wal.dropped().over > 0);
    assert!(wal.bytes() <= 500);
    wal.drop_before(Timestamp::MAX).unwrap();
    assert_eq!(segments(dir.path()).len(), 1, "the one being written stays");
}

#[test]
fn a_failed_sync_poisons_for_good() {
    let dir = TempDir::new().unwrap();
    let (mut wal, ..) = open(dir.path(), SMALL);
    wal.append_batch(&[record(1)]).unwrap();
    // Takes every write and cannot be synced.
    wal.write_to(fs::OpenOptions::new().append(true).open("/dev/null").unwrap());
    assert!(matches!(wal.append_batch(&[record(2)]), Err(WalError::Io(_))));
    assert!(wal.is_poisoned());
    assert!(matches!(wal.append_batch(&[record(2)]), Err(WalError::Poisoned)));
    drop(wal);
    assert_eq!(open(dir.path(), SMALL).2, expected(1..=1));
}

#[test]
fn a_write_that_cannot_be_taken_back_poisons() {
    let dir = TempDir::new().unwrap();
    let (mut wal, ..) = open(dir.path(), SMALL);
    wal.append_batch(&[record(1)]).unwrap();
    wal.write_to(fs::OpenOptions::new().append(true).open("/dev/full").unwrap());
    assert!(matches!(wal.append_batch(&[record(2)]), Err(WalError::Io(_))));
    assert!(wal.is_poisoned());
}

#[test]
fn a_record_made_up_within_a_torn_body_is_not_read() {
    let dir = TempDir::new().unwrap();
    let mut forged = Vec::new();
    record::write(&record(9), &mut forged).unwrap();
    let mut outer = record(1);
    outer.envelope.body = [forged, vec![0; 50]].concat().into();
    let mut bytes = Vec::new();
    record::write(&outer, &mut bytes).unwrap();
    bytes.truncate(bytes.len() - 10);
    fs::write(path_of(dir.path(), Lsn(1)), bytes).unwrap();
    let (wal, recovery, records) = open(dir.path(), SMALL);
    assert_eq!((records.len(), recovery.corrupt, wal.next_lsn()), (0, 1, Lsn(1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_as_a_segment_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let dir = TempDir::new().unwrap();
        fs::write(path_of(dir.path(), Lsn(1)), bytes).unwrap();
        let (_, recovery, records) = open(dir.path(), SMALL);
        prop_assert_eq!(recovery.records, records.len() as u64);
    }
}
