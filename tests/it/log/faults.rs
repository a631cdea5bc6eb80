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
