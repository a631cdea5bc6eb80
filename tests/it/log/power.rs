//! Promise 2: whatever was acknowledged survives a loss of power at any moment, and nothing half-written is shown.
//! `WHYD_POWER_CASES=100000 cargo test --release --workspace --test it log::power` runs more of them.

use std::collections::BTreeMap;

use whyd_buffers::wal::{Bounds, Log, Record, WalError};
use whyd_signals::Lsn;

use super::model::{Faults, ModelDisk};
use super::random::Random;
use super::{cases, record, seeds};

/// What was sent to the log, and what it said is durable.
#[derive(Default)]
struct Oracle {
    acknowledged: BTreeMap<u64, Record>,
    /// All that was ever tried at a place: what was not acknowledged may come back, as a whole.
    tried: BTreeMap<u64, Vec<Record>>,
}

impl Oracle {
    fn check(&self, found: &[Record], why: &str) {
        let mut last = 0;
        let mut missing = self.acknowledged.clone();
        for record in found {
            let Lsn(lsn) = record.lsn;
            assert!(lsn > last, "{why}: {lsn} comes after {last}");
            last = lsn;
            assert!(self.tried.get(&lsn).is_some_and(|t| t.contains(record)), "{why}: nobody sent {record:?}");
            if let Some(sent) = missing.remove(&lsn) {
                assert_eq!(sent, *record, "{why}: another was acknowledged");
            }
        }
        assert!(missing.is_empty(), "{why}: lost {:?}", missing.keys().collect::<Vec<_>>());
    }
}

/// Opens the log, which may be interrupted too.
fn reopened(disk: &ModelDisk, bounds: Bounds, oracle: &Oracle, random: &mut Random, why: &str) -> Log {
    loop {
        if random.one_in(4) {
            disk.die_in(random.below(8) as u64);
        }
        let mut found = Vec::new();
        let mut log = Log::on(Box::new(disk.clone()), bounds).unwrap();
        match log.replay(|r| found.push(r)) {
            Ok(n) => {
                assert_eq!(n, found.len() as u64);
                oracle.check(&found, why);
                return log;
            }
            Err(e) => assert!(disk.is_dead(), "{why}: not read back: {e}"),
        }
        drop(log);
        crash(disk, random);
    }
}

fn crash(disk: &ModelDisk, random: &mut Random) {
    if random.one_in(3) { disk.killed() } else { disk.power_lost() }
}

fn case(seed: u64) {
    let random = &mut Random::new(seed);
    let disk = ModelDisk::new(random.next());
    let bounds = Bounds { segment_bytes: 100 + random.below(1500) as u64, bytes: u64::MAX };
    let mut oracle = Oracle::default();
    for life in 0..2 + random.below(4) {
        let why = format!("seed {seed}, life {life}");
        let mut log = reopened(&disk, bounds, &oracle, random, &why);
        let write = if random.one_in(4) { 2 + random.below(12) } else { 0 };
        let sync = if random.one_in(3) { 2 + random.below(12) } else { 0 };
        disk.faults(Faults { write, sync, late: random.one_in(2) });
        if random.one_in(4) {
            disk.leave_space(random.below(2000));
        }
        disk.die_in(random.below(40) as u64);
        for _ in 0..random.below(14) {
            let mut next = log.next_lsn();
            let batch: Vec<Record> = (0..1 + random.below(4))
                .map(|_| {
                    let record = record(next, random);
                    next = next.next();
                    record
                })
                .collect();
            for r in &batch {
                oracle.tried.entry(r.lsn.0).or_default().push(r.clone());
            }
            match log.append_batch(&batch) {
                Ok(()) => {
                    for r in batch {
                        assert!(oracle.acknowledged.insert(r.lsn.0, r).is_none(), "{why}: one place twice");
                    }
                    assert_eq!(log.next_lsn(), next, "{why}");
                }
                Err(WalError::Full) => {
                    assert_eq!(Some(log.next_lsn()), batch.first().map(|r| r.lsn), "{why}: the places stay free");
                    if random.one_in(2) {
                        disk.leave_space(random.below(5000));
                    }
                }
                Err(_) => break,
            }
        }
        drop(log);
        disk.faults(Faults::default());
        if !random.one_in(4) {
            disk.leave_space(usize::MAX);
        }
        crash(&disk, random);
    }
    disk.leave_space(usize::MAX);
    disk.power_lost();
    reopened(&disk, bounds, &oracle, random, &format!("seed {seed}, at the end"));
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() {
    for seed in seeds(cases("WHYD_POWER_CASES", 10_000)) {
        case(seed);
    }
}
