//! Promises 1 to 4: the daemon's core and its log on the model disk, through crashes at any moment, lost writes, faults,
//! full disks, jumps of the clock and rows out of order, with checkpoints at any time and the log cut back to the last
//! of them, held against an oracle of all that was acknowledged.
//! `WHYD_SIM_SEEDS=10000 cargo test --release --workspace --test it log::simulator` runs more of them.

use std::time::Duration;

use whyd::checkpointing;
use whyd::config::{Config, ConfigFile};
use whyd::ingest::Ingest;
use whyd::wiring;
use whyd_buffers::checkpoint::{Checkpoints, KeepLimits};
use whyd_buffers::wal::{Bounds, Log};
use whyd_collector::inlet::{Reply, Written};
use whyd_core::{Core, Rest};
use whyd_signals::{Envelope, Timestamp};

use super::model::{Faults, ModelDisk};
use super::oracle::{Message, Oracle, space_at};
use super::random::Random;
use super::shelf::Shelf;
use super::{cases, seeds};

/// What becomes of what is old.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Old {
    /// Nothing grows too old: whatever is gone is lost.
    Stays,
    /// It goes, series, streams and the numbers of namespaces with it, of which there are few.
    Goes,
}

/// A namespace is there for a quarter of an hour, so of two hours there are some nine.
const WINDOW: Duration = Duration::from_secs(7200);
const NAMESPACES: usize = 12;

fn config(old: Old) -> Config {
    let mut config = ConfigFile::default().validate().unwrap();
    config.window = if old == Old::Goes { WINDOW } else { Duration::from_secs(100_000_000) };
    config.memory = 256 << 20;
    config
}

struct Simulation {
    seed: u64,
    random: Random,
    config: Config,
    old: Old,
    /// The latest time there was.
    latest: Timestamp,
    disk: ModelDisk,
    bounds: Bounds,
    now: Timestamp,
    oracle: Oracle,
    /// What was sent, to be sent again by those who were refused, did not hear the answer or are two.
    sent: Vec<Message>,
    token: u64,
    life: usize,
    /// How often each came up: a simulation in which nothing happens proves nothing.
    seen: Seen,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    acknowledged: u64,
    refused: u64,
    full: u64,
    failed: u64,
    crashes: u64,
    replayed: u64,
    checkpoints: u64,
    /// Tries that came to nothing.
    unwritten: u64,
    /// Starts from one.
    taken_up: u64,
    /// Segments of the log that went because a checkpoint has what they hold.
    cut_back: u64,
    /// Whether more namespaces came than there are numbers.
    reused: u64,
}

impl Simulation {
    fn new(seed: u64, old: Old) -> Self {
        let mut random = Random::new(seed);
        let disk = ModelDisk::new(random.next());
        let bytes = if random.one_in(2) { 500 + random.below(4000) as u64 } else { u64::MAX };
        let bounds = Bounds { segment_bytes: 200 + random.below(4000) as u64, bytes };
        let now = Timestamp(1_790_000_000_000_000_000 + random.below(1 << 40) as i64);
        let (config, oracle, latest) = (config(old), Oracle::default(), now);
        let (sent, token, life, seen) = (Vec::new(), 0, 0, Seen::default());
        Self { seed, random, config, old, latest, disk, bounds, now, oracle, sent, token, life, seen }
    }

    fn why(&self) -> String {
        format!("WHYD_SEED={}, life {}", self.seed, self.life)
    }

    /// From when on everything is there. What counts is when a row was received, of which its time may be ahead by the
    /// lateness where the clock went back.
    fn since(&self) -> Timestamp {
        let Config { window, lateness, .. } = self.config;
        if self.old == Old::Goes { self.latest.minus(window).plus(lateness) } else { Timestamp::MIN }
    }

    fn core(&self) -> Core {
        match self.old {
            Old::Stays => wiring::core(&self.config),
            Old::Goes => wiring::core_within(&self.config, |limits| limits.namespaces = NAMESPACES),
        }
    }

    fn crash(&mut self) {
        self.seen.crashes += 1;
        if self.random.one_in(3) { self.disk.killed() } else { self.disk.power_lost() }
    }

    fn start(&mut self) -> (Ingest, Checkpoints) {
        loop {
            if self.random.one_in(4) {
                self.disk.die_in(self.random.below(10) as u64);
            }
            let log = Log::on(Box::new(self.disk.clone()), self.bounds).unwrap();
            let window = self.config.window;
            let limits = KeepLimits { memory: usize::MAX, window, retention: window, bytes: u64::MAX };
            let mut checkpoints = Checkpoints::new(Box::new(Shelf(self.disk.clone())), limits);
            let mut core = self.core();
            let found = log.begins().ok().and_then(|from| checkpoints.open("", from, Rest::read).ok()).flatten();
            let point = found.as_ref().map(|(checkpoint, _)| (checkpoint.point.lsn, checkpoint.point.at));
            if let Some((checkpoint, rest)) = found {
                core.take_up(checkpoint, rest);
            }
            match Ingest::open_after(point, core, log) {
                Ok((ingest, _)) => {
                    let why = self.why();
                    assert!(self.disk.is_dead() || checkpoints.stats().damaged == 0, "{why}: a synced file is damaged");
                    let recovery = ingest.recovery();
                    assert!(
                        self.disk.is_dead() || recovery.missing == 0,
                        "{why}: a gap behind {point:?}: {recovery:?}"
                    );
                    self.seen.taken_up += u64::from(point.is_some());
                    self.seen.replayed += self.oracle.check(ingest.core(), self.since(), &why);
                    return (ingest, checkpoints);
                }
                Err(e) => assert!(self.disk.is_dead(), "{}: not read back: {e}", self.why()),
            }
            self.crash();
        }
    }

    /// Time goes on, now and then it jumps.
    fn pass_time(&mut self) {
        let seconds = match (self.random.below(40), self.old) {
            (0, _) => -(self.random.below(900) as i64),
            (1, _) => self.random.below(7200) as i64,
            (_, Old::Stays) => self.random.below(5) as i64,
            (_, Old::Goes) => self.random.below(300) as i64,
        };
        self.now = Timestamp(self.now.0 + seconds * 1_000_000_000 + self.random.below(1_000_000) as i64);
        self.latest = self.latest.max(self.now);
    }

    fn message(&mut self) -> Message {
        if !self.sent.is_empty() && self.random.one_in(3) {
            let n = self.random.below(self.sent.len());
            return self.sent[n].clone();
        }
        let space = if self.old == Old::Goes { space_at(self.now.0 / 1_000_000) } else { 0 };
        let message = Message::any(&mut self.random, self.now, space);
        self.sent.push(message.clone());
        message
    }

    /// One batch; false when the process is gone or takes nothing any more.
    fn batch(&mut self, ingest: &mut Ingest) -> bool {
        let mut waiting = Vec::new();
        for _ in 0..1 + self.random.below(5) {
            self.pass_time();
            let message = self.message();
            self.token += 1;
            self.oracle.tried(&message);
            let (media, body) = (message.media, message.body.clone());
            let envelope = Envelope { received: self.now, media, tenant: None, body };
            match ingest.take(self.token, envelope) {
                None => waiting.push((self.token, message)),
                Some(Reply::Overloaded(_)) => return false,
                // Nothing of it was to be kept, so nothing is in the log.
                Some(Reply::Partial { written, .. }) if written == Written::default() => {}
                Some(other) => panic!("{}: {other:?} for {message:?}", self.why()),
            }
        }
        let before = self.disk.counts();
        let answers = ingest.commit(self.now);
        if self.disk.is_dead() {
            // Nobody heard an answer.
            return false;
        }
        assert_eq!(answers.len(), waiting.len(), "{}", self.why());
        let after = self.disk.counts();
        for ((token, reply), (sent, message)) in answers.into_iter().zip(waiting) {
            assert_eq!(token, sent, "{}: answers in the order of the questions", self.why());
            match reply {
                Reply::Stored { .. } => {
                    assert_eq!(after.failed, before.failed, "{}: acknowledged after a failed sync", self.why());
                    self.seen.acknowledged += 1;
                    self.oracle.acknowledged(&message);
                }
                // Some of it was too old or too new by the clock of then; which is not said.
                Reply::Partial { .. } => {}
                Reply::Overloaded(_) => self.seen.refused += 1,
                other => panic!("{}: {other:?}", self.why()),
            }
        }
        self.seen.full += after.full - before.full;
        self.seen.failed += after.failed - before.failed;
        true
    }

    /// A checkpoint; where it is durable the log need not hold what is in it.
    fn checkpoint(&mut self, ingest: &mut Ingest, checkpoints: &mut Checkpoints) {
        let Some(held) = ingest.hold() else { return };
        match checkpointing::write(checkpoints, held, self.now, "") {
            Ok(generation) => {
                self.seen.checkpoints += 1;
                ingest.keep(generation);
                if self.random.one_in(2) {
                    let before = ingest.dropped().over;
                    ingest.trim(Timestamp::MIN);
                    self.seen.cut_back += ingest.dropped().over - before;
                }
            }
            Err(_) => self.seen.unwritten += 1,
        }
    }

    fn live(&mut self) {
        let (mut ingest, mut checkpoints) = self.start();
        let random = &mut self.random;
        let write = if random.one_in(5) { 2 + random.below(12) } else { 0 };
        let sync = if random.one_in(4) { 2 + random.below(12) } else { 0 };
        self.disk.faults(Faults { write, sync, late: random.one_in(2) });
        if random.one_in(3) {
            self.disk.leave_space(random.below(3000));
        }
        if random.one_in(2) {
            self.disk.die_in(random.below(60) as u64);
        }
        for _ in 0..2 + self.random.below(20) {
            let goes_on = self.batch(&mut ingest);
            if self.disk.is_dead() {
                break;
            }
            if self.random.one_in(4) {
                ingest.tick(self.now);
            }
            if self.random.one_in(5) {
                self.checkpoint(&mut ingest, &mut checkpoints);
                if self.disk.is_dead() {
                    break;
                }
            }
            if self.random.one_in(6) {
                self.disk.leave_space(self.random.below(20_000));
            }
            if self.random.one_in(4) {
                self.oracle.check(ingest.core(), self.since(), &self.why());
            }
            if !goes_on && self.random.one_in(2) {
                break;
            }
        }
        drop(ingest);
        self.disk.faults(Faults::default());
        if !self.random.one_in(4) {
            self.disk.leave_space(usize::MAX);
        }
        self.crash();
    }

    fn run(mut self) -> Seen {
        for life in 0..2 + self.random.below(4) {
            self.life = life;
            self.live();
        }
        self.disk.leave_space(usize::MAX);
        self.disk.power_lost();
        self.life += 1;
        self.start();
        self.seen.reused = u64::from(self.oracle.spaces() > NAMESPACES);
        self.seen
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_whatever_happens() {
    let count = cases("WHYD_SIM_SEEDS", 300);
    simulated(count, Old::Stays);
}

#[test]
fn namespaces_that_come_and_go_are_neither_mixed_up_nor_lost() {
    simulated(cases("WHYD_SIM_SEEDS", 300), Old::Goes);
}

fn simulated(count: u64, old: Old) {
    let mut all = Seen::default();
    for seed in seeds(count) {
        let seen = Simulation::new(seed, old).run();
        all.acknowledged += seen.acknowledged;
        all.refused += seen.refused;
        all.full += seen.full;
        all.failed += seen.failed;
        all.crashes += seen.crashes;
        all.replayed += seen.replayed;
        all.checkpoints += seen.checkpoints;
        all.unwritten += seen.unwritten;
        all.taken_up += seen.taken_up;
        all.cut_back += seen.cut_back;
        all.reused += seen.reused;
    }
    if count >= 300 {
        assert!(
            old == Old::Stays || all.reused > count / 4,
            "{} of {count} simulations had many namespaces",
            all.reused
        );
        let rare = [all.acknowledged / 20, all.refused, all.full, all.failed * 4, all.crashes, all.replayed / 20];
        let of_checkpoints = [all.checkpoints, all.unwritten, all.taken_up, all.cut_back * 2];
        assert!(rare.iter().chain(&of_checkpoints).all(|n| *n > count / 4), "hardly anything happened: {all:?}");
    }
}
