//! Promises 4 and 5: a sync that failed ends it until the restart, a full disk does not.

use whyd_buffers::wal::{Bounds, Log, Record, WalError};
use whyd_signals::Lsn;

use super::model::{Faults, ModelDisk};
use super::random::Random;
use super::{record, seeds};

const SMALL: Bounds = Bounds { segment_bytes: 400, bytes: u64::MAX };

fn opened(disk: &ModelDisk) -> (Log, Vec<Record>) {
    let mut log = Log::on(Box::new(disk.clone()), SMALL).unwrap();
    let mut found = Vec::new();
    log.replay(|r| found.push(r)).unwrap();
    (log, found)
}

#[test]
fn a_sync_or_write_that_failed_is_final_and_never_tried_again() {
    let (mut syncs, mut writes) = (0, 0);
    for seed in seeds(2_000) {
        let random = &mut Random::new(seed);
        let disk = ModelDisk::new(seed);
        let (mut log, _) = opened(&disk);
        let (write, sync) = if random.one_in(2) { (3 + random.below(10), 0) } else { (0, 3 + random.below(10)) };
        disk.faults(Faults { write, sync, late: false });
        for _ in 0..40 {
            match log.append_batch(&[record(log.next_lsn(), random)]) {
                Ok(()) => {}
                Err(e) => {
                    assert!(matches!(e, WalError::Io(_)), "seed {seed}: {e}");
                    break;
                }
            }
        }
        let acknowledged = log.next_lsn().0 - 1;
        *(if sync > 0 { &mut syncs } else { &mut writes }) += u64::from(log.is_poisoned());
        if log.is_poisoned() {
            let before = disk.counts();
            for _ in 0..3 {
                let again = log.append_batch(&[record(log.next_lsn(), random)]);
                assert!(matches!(again, Err(WalError::Poisoned)), "seed {seed}");
                assert!(!log.probe(), "seed {seed}: it is not healed by space");
            }
            let after = disk.counts();
            assert_eq!((after.after_failure, after.syncs), (0, before.syncs), "seed {seed}: it was tried again");
        }
        drop(log);
        disk.faults(Faults::default());
        disk.power_lost();
        let (mut log, found) = opened(&disk);
        let there: Vec<u64> = found.iter().map(|r| r.lsn.0).take_while(|n| *n <= acknowledged).collect();
        assert_eq!(there, (1..=acknowledged).collect::<Vec<_>>(), "seed {seed}");
        log.append_batch(&[record(log.next_lsn(), random)]).unwrap();
    }
    assert!(syncs > 500 && writes > 500, "{syncs} syncs and {writes} writes failed");
}

#[test]
fn a_full_disk_is_left_as_soon_as_there_is_space() {
    let (mut full, mut late_full) = (0, 0);
    for seed in seeds(200) {
        let random = &mut Random::new(seed);
        let late = random.one_in(2);
        let disk = ModelDisk::new(seed);
        let (mut log, _) = opened(&disk);
        disk.faults(Faults { late, ..Faults::default() });
        disk.leave_space(random.below(2500));
        let mut sent: Vec<Record> = Vec::new();
        for _ in 0..30 {
            let one = record(Lsn(sent.len() as u64 + 1), random);
            match log.append_batch(std::slice::from_ref(&one)) {
                Ok(()) => sent.push(one),
                Err(e) => {
                    assert!(matches!(e, WalError::Full), "seed {seed}: {e}");
                    *(if late { &mut late_full } else { &mut full }) += 1;
                    assert_eq!(log.next_lsn(), one.lsn, "seed {seed}: its place stays free");
                    assert!(!log.probe(), "seed {seed}: there is less than a batch");
                    if random.one_in(3) {
                        disk.leave_space(3 << 20);
                        assert!(log.probe(), "seed {seed}: there is space");
                        disk.leave_space(random.below(2500));
                    }
                }
            }
        }
        assert!(!log.is_poisoned(), "seed {seed}");
        drop(log);
        // A start finds its way on a full disk too.
        disk.leave_space(0);
        if random.one_in(2) {
            disk.power_lost();
        } else {
            disk.killed();
        }
        let (mut log, found) = opened(&disk);
        assert!(found == sent, "seed {seed}: {} of {}", found.len(), sent.len());
        assert!(!disk.contents().contains_key("probe"), "seed {seed}");
        disk.leave_space(usize::MAX);
        log.append_batch(&[record(log.next_lsn(), random)]).unwrap();
    }
    assert!(full > 200 && late_full > 200, "{full} and {late_full} times full");
}

/// What a start shows without being able to sync it, for want of space, may go with the power; but not once another
/// segment has begun behind it.
#[test]
fn what_a_full_disk_shows_is_durable_before_more_is_acknowledged() {
    let mut shown = 0;
    for seed in seeds(500) {
        let random = &mut Random::new(seed);
        let disk = ModelDisk::new(seed);
        let (mut log, _) = opened(&disk);
        let acknowledged = random.below(4) as u64;
        for _ in 0..acknowledged {
            log.append_batch(&[record(log.next_lsn(), random)]).unwrap();
        }
        let unheard: Vec<Record> = (1..4).map(|n| record(Lsn(acknowledged + n), random)).collect();
        disk.faults(Faults { late: true, ..Faults::default() });
        // Of making a segment, writing and syncing, up to the sync itself.
        disk.die_in(random.below(6) as u64);
        let _ = log.append_batch(&unheard);
        drop(log);
        disk.killed();
        disk.leave_space(0);
        let (mut log, found) = opened(&disk);
        shown += u64::from(found.len() as u64 > acknowledged);
        let next = record(log.next_lsn(), random);
        // A torn record that was cut made room.
        disk.leave_space(0);
        let unwritten = log.append_batch(std::slice::from_ref(&next));
        assert!(matches!(unwritten, Err(WalError::Full)), "seed {seed}: {unwritten:?}, {disk:?}");
        disk.leave_space(usize::MAX);
        log.append_batch(std::slice::from_ref(&next)).unwrap();
        drop(log);
        disk.power_lost();
        let (log, there) = opened(&disk);
        let recovery = log.recovery().unwrap();
        assert_eq!((recovery.missing, recovery.corrupt), (0, 0), "seed {seed}: {recovery:?}");
        assert!(there[..found.len()] == found[..] && there[found.len()..] == [next], "seed {seed}");
        assert!(disk.contents().keys().all(|name| name.ends_with(".log")), "seed {seed}: {:?}", disk.contents().keys());
    }
    assert!(shown > 50, "only {shown} times something was shown that was not acknowledged");
}
