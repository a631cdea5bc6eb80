//! Promise 6: a bit that flipped loses its record and no other; a torn tail is cut in the newest segment only.

use whyd_buffers::wal::{Bounds, Log, Record, Recovery};
use whyd_signals::Lsn;

use super::model::ModelDisk;
use super::random::Random;
use super::record;

const SMALL: Bounds = Bounds { segment_bytes: 250, bytes: u64::MAX };

fn read(disk: &ModelDisk) -> (Log, Recovery, Vec<Record>) {
    let mut log = Log::on(Box::new(disk.clone()), SMALL).unwrap();
    let mut found = Vec::new();
    log.replay(|r| found.push(r)).unwrap();
    let recovery = log.recovery().unwrap();
    (log, recovery, found)
}

/// A log of some segments and its records.
fn small_log() -> (ModelDisk, Vec<Record>) {
    let random = &mut Random::new(6);
    let disk = ModelDisk::new(6);
    let (mut log, ..) = read(&disk);
    let mut all = Vec::new();
    for lsn in 1..=9 {
        let mut one = record(Lsn(lsn), random);
        one.envelope.body.truncate(200);
        log.append_batch(std::slice::from_ref(&one)).unwrap();
        all.push(one);
    }
    drop(log);
    (disk, all)
}

#[test]
fn any_bit_flipped_loses_at_most_its_record() {
    let (disk, all) = small_log();
    let contents = disk.contents();
    let newest = contents.keys().last().unwrap().clone();
    assert!(contents.len() > 2);
    for (name, bytes) in &contents {
        for bit in 0..bytes.len() * 8 {
            let why = format!("bit {bit} of {name}");
            let mut flipped = contents.clone();
            flipped.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let disk = ModelDisk::holding(1, &flipped);
            let (log, recovery, found) = read(&disk);
            assert_eq!(found.len(), all.len() - 1, "{why}");
            assert!(found.iter().all(|r| all.contains(r)), "{why}");
            assert_eq!(recovery.corrupt + u64::from(recovery.cut_bytes > 0), 1, "{why}");
            assert!(recovery.cut_bytes == 0 || *name == newest, "{why}: {recovery:?}");
            assert!(recovery.missing <= 1, "{why}: {recovery:?}");
            let aside = disk.contents().keys().any(|n| n.ends_with(".corrupt"));
            assert_eq!(aside, recovery.corrupt > 0, "{why}: what was damaged is kept");
            drop(log);
            disk.power_lost();
            let (mut log, again, found) = read(&disk);
            assert_eq!((again.corrupt, again.cut_bytes, found.len()), (0, 0, all.len() - 1), "{why}");
            log.append_batch(&[record(log.next_lsn(), &mut Random::new(1))]).unwrap();
        }
    }
}

#[test]
fn a_segment_that_is_gone_is_missed_by_its_places() {
    let (disk, all) = small_log();
    let contents = disk.contents();
    let names: Vec<&String> = contents.keys().collect();
    for gone in &names[1..names.len() - 1] {
        let mut rest = contents.clone();
        rest.remove(*gone);
        let (log, recovery, found) = read(&ModelDisk::holding(1, &rest));
        assert!(found.len() < all.len(), "{gone}");
        assert_eq!(recovery.missing, (all.len() - found.len()) as u64, "{gone}");
        assert_eq!(log.next_lsn(), Lsn(10));
    }
    // What is trimmed is not missed.
    let mut rest = contents.clone();
    rest.remove(names[0]);
    assert_eq!(read(&ModelDisk::holding(1, &rest)).1.missing, 0);
}

#[test]
fn cut_off_anywhere_an_older_segment_is_set_aside_and_the_newest_is_cut() {
    let (disk, all) = small_log();
    let contents = disk.contents();
    let newest = contents.keys().last().unwrap().clone();
    for (name, bytes) in &contents {
        for length in 0..bytes.len() {
            let why = format!("{name} cut to {length}");
            let mut cut = contents.clone();
            cut.get_mut(name).unwrap().truncate(length);
            let disk = ModelDisk::holding(1, &cut);
            let (_, recovery, found) = read(&disk);
            assert!(found.iter().all(|r| all.contains(r)) && found.len() < all.len(), "{why}");
            if *name == newest {
                assert_eq!(recovery.corrupt, 0, "{why}");
            } else {
                assert_eq!(recovery.cut_bytes, 0, "{why}");
            }
        }
    }
}
