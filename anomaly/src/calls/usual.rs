//! What is usual of how long one kind of call takes, and whether the last minute is unlike it.
//!
//! The past is a histogram of values that are a second apart at the least: where there are many calls no few minutes stand
//! for it, and a moment of many slow ones is one. Nothing is assumed of how they are distributed: of the last minute's calls,
//! or of those of one pod, more than half took longer than all but few ever did, and that is held against chance.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::AWAY;
use super::party::PODS;
use crate::detector::chance;
use crate::detector::score::daily::Daily;

/// A minute is judged.
const MINUTE: u32 = 60;
/// Steps of the histogram, four to a doubling, from a millisecond on: the last is a minute and more.
const STEPS: usize = 64;
const PER_DOUBLING: usize = 4;
/// Of the past so few in a hundred take longer than what is slow.
const FEW: u32 = 5;
/// And what is slow is so many times what is usual, and so much longer, in microseconds: less is felt by nobody.
const TIMES: u64 = 4;
const LONGER_US: u64 = 50_000;
/// A thousand kinds of calls in a week are ten million minutes.
const CHANCE: f64 = 1e-7;
/// A slow minute lasts, in seconds: no one pause is one.
const LASTS: u32 = 5;
/// Of rare calls it takes so many slow ones.
const LEAST: u32 = 5;
/// Where it goes on for so long, as far as it was heard, it is what is usual by now.
const SETTLES: u32 = 3600;
/// Calls in so many seconds of a minute are frequent.
const FREQUENT: u64 = 4;
/// Nobody is silent for fewer seconds.
const SOON: u64 = 10;
/// When nobody could be blamed yet it is looked at again after so many seconds.
const AGAIN: u32 = 10;
/// When the past is halved.
const MOST: u32 = 8192;

/// One call of the minute: which pods it was of, of the caller and of the called.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Held {
    second: u32,
    step: u8,
    pods: [u8; 2],
}

/// Of which of the minute's calls it is said: of all, or of those of one pod, of the caller (0) or of the called (1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Of {
    All,
    Pod(u8, u8),
}

impl Of {
    fn has(self, held: &Held) -> bool {
        match self {
            Self::All => true,
            Self::Pod(side, pod) => held.pods.get(usize::from(side)) == Some(&pod),
        }
    }
}

/// What came of it that it is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Blame {
    /// This workload is to blame.
    On(u64),
    /// It is told, and nobody is to blame in particular.
    Nobody,
    /// It is not told yet: what this workload says may be missing, or what is slow be a start where it is [`super::SOMEBODY`].
    Waits(u64),
}

/// A time in which it is slow.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Spell {
    of: Of,
    blame: Blame,
    /// For how many seconds it was heard, and when it was looked at last.
    heard: u32,
    looked: u32,
}

/// What is known of one kind of call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Usual {
    past: Vec<u16>,
    /// The last minute's, in order of time.
    minute: Vec<Held>,
    spell: Option<Spell>,
    /// Until when it was not slow, in seconds.
    well: u32,
    /// How long they take at each hour: what is slow every night is usual.
    daily: Daily,
    /// A request that was slow, the last one.
    request: u64,
    /// The second at which it was heard first, and last.
    heard: (u32, u32),
}

/// A minute that is slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slow {
    pub(super) of: Of,
    /// How likely it was, if chance did it.
    pub(super) chance: f64,
    /// Calls of the minute that are slow, and all that were looked at.
    pub(super) slow: u32,
    pub(super) all: u32,
    /// From the first slow one to the last, in seconds.
    pub(super) lasts: u32,
    /// In the middle of the minute, and of the past, in seconds.
    pub(super) is: f64,
    pub(super) was: f64,
    /// One of the slow ones.
    pub(super) request: u64,
}

impl Slow {
    /// Above 1 is anomalous.
    pub(super) fn score(&self) -> f64 {
        self.chance.max(f64::MIN_POSITIVE).ln() / CHANCE.ln()
    }

    fn is_clear(&self) -> bool {
        self.slow * 2 > self.all && self.lasts >= LASTS && self.chance < CHANCE
    }

    /// Half as sure is enough beside another that is clear.
    pub(super) fn is_likely(&self) -> bool {
        self.chance < CHANCE.sqrt()
    }
}

/// The pods of one side in the last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pods {
    /// The one with most slow calls, of those that are mostly slow.
    pub(super) slowest: Option<u8>,
    /// Of how many more than a quarter is slow, and how many there are.
    pub(super) slow: u32,
    pub(super) all: u32,
}

/// What of the past a call is held against.
struct Level {
    /// A step above it is slow.
    most: usize,
    usual: usize,
    /// How many of the past are slow, and how many there are.
    before: (u32, u32),
}

impl Level {
    fn is_slow(&self, held: &Held) -> bool {
        usize::from(held.step) > self.most
    }
}

impl Usual {
    /// The most that it takes beside itself, in bytes.
    pub(super) const HEAP: usize = STEPS * 2 + 64 * size_of::<Held>() + Daily::HEAP;

    pub(super) fn new() -> Self {
        Self {
            past: vec![0; STEPS],
            minute: Vec::new(),
            spell: None,
            well: 0,
            daily: Daily::default(),
            request: 0,
            heard: (0, 0),
        }
    }

    /// A call of a request and of these pods that was over at this time and took so long, in nanoseconds, by lines received then; the
    /// minute that it makes slow, told once while it is slow, or again and again while somebody is waited for. Of each second one is
    /// taken.
    pub(super) fn observe(
        &mut self,
        (at, took): (i64, i64),
        (request, pods): (u64, [u8; 2]),
        received: Timestamp,
    ) -> Option<Slow> {
        let second = second(at)?;
        self.set_back(received);
        let before = self.last_second();
        if second + MINUTE <= before {
            return None;
        }
        let Err(place) = self.minute.binary_search_by_key(&second, |held| held.second) else { return None };
        let held = Held { second, step: step(took), pods };
        self.minute.insert(place, held);
        let newest = before.max(second);
        let since = if self.heard.0 == 0 { second } else { self.heard.0.min(second) };
        self.heard = (since, newest);
        self.turn(if before == 0 { newest } else { before }, newest);
        let level = self.level()?;
        if level.is_slow(&held) {
            self.request = request;
        }
        let found = self.clearest(&level);
        if !found.is_likely() {
            self.well = newest;
        }
        if let Some(spell) = self.spell {
            let now = self.judge(&level, spell.of);
            if now.slow * 4 <= now.all {
                self.spell = None;
            }
        }
        let is_due = self
            .spell
            .is_none_or(|spell| matches!(spell.blame, Blame::Waits(_)) && newest >= spell.looked.saturating_add(AGAIN));
        let is_more = self.daily.observe(Timestamp(at), found.is);
        (is_due && found.is_clear() && is_more).then_some(found)
    }

    /// The minute is slow, and this came of it.
    pub(super) fn blame(&mut self, of: Of, blame: Blame) {
        let heard = self.spell.map_or(0, |spell| spell.heard);
        self.spell = Some(Spell { of, blame, heard, looked: self.last_second() });
    }

    /// What came of it, while it is slow.
    pub(super) fn blamed(&self) -> Option<Blame> {
        self.spell.map(|spell| spell.blame)
    }

    /// When the first call of it was over.
    pub(super) fn since(&self) -> Timestamp {
        Timestamp(i64::from(self.heard.0) * 1_000_000_000)
    }

    /// When the newest one was.
    pub(super) fn newest(&self) -> Timestamp {
        Timestamp(i64::from(self.heard.1) * 1_000_000_000)
    }

    /// How long it usually takes, in seconds; `None` while a minute of nothing but slow ones, of as many as there are in one, might
    /// be chance.
    pub(super) fn known(&self) -> Option<f64> {
        let past: u32 = self.past.iter().map(|n| u32::from(*n)).sum();
        let all = (self.minute.len() as u32).max(LEAST);
        let is_known = past >= all && chance::of_so_many((all, all), (0, past)) < CHANCE;
        is_known.then(|| seconds(self.quantile(|upto| upto * 2 >= past)))
    }

    /// Until when it was not slow.
    pub(super) fn well(&self) -> Timestamp {
        Timestamp(i64::from(self.well) * 1_000_000_000)
    }

    /// Whether a call of it was over within so long before this time, in nanoseconds.
    pub(super) fn is_heard(&self, at: i64, within: Duration) -> bool {
        let from = Timestamp(at).minus(within).0.div_euclid(1_000_000_000);
        self.minute.last().is_some_and(|last| i64::from(last.second) > from)
    }

    /// After how long without a word those that take part are silent: some times as long as there is between two calls of the last
    /// minute that had any. `None` where there were few.
    pub(super) fn silent_after(&self) -> Option<Duration> {
        let calls = u64::try_from(self.minute.len()).ok().filter(|calls| *calls >= FREQUENT)?;
        Some(Duration::from_secs((3 * u64::from(MINUTE) / calls).max(SOON)))
    }

    /// How the minute looks; `None` while nothing is past.
    pub(super) fn judged(&self) -> Option<Slow> {
        Some(self.judge(&self.level()?, Of::All))
    }

    /// The pods of a side, and how many of them are slow.
    pub(super) fn pods(&self, side: u8) -> Pods {
        let Some(level) = self.level() else { return Pods::default() };
        let mut pods = Pods::default();
        let mut most = 0;
        for (pod, slow, all) in self.by_pod(&level, side) {
            pods.all += 1;
            pods.slow += u32::from(slow * 4 > all);
            if slow * 2 > all && slow > most {
                (most, pods.slowest) = (slow, Some(pod));
            }
        }
        pods
    }

    fn last_second(&self) -> u32 {
        self.minute.last().map_or(0, |last| last.second)
    }

    /// Forgets what was written after this time, by a clock that was ahead.
    fn set_back(&mut self, received: Timestamp) {
        let now = second(received.0).unwrap_or_default();
        if self.last_second() > now.saturating_add(MINUTE) {
            self.minute.clear();
            self.daily.set_back(received);
            self.well = self.well.min(now);
            if let Some(spell) = &mut self.spell {
                spell.looked = spell.looked.min(now);
            }
        }
    }

    /// Lets the past have what is older than a minute; nothing of a slow time, unless it has settled. One that was not heard for long
    /// is over.
    fn turn(&mut self, before: u32, newest: u32) {
        let silent = newest - before;
        if let Some(spell) = &mut self.spell {
            spell.heard += silent.min(MINUTE);
            if spell.heard > SETTLES {
                (self.spell, self.past) = (None, vec![0; STEPS]);
            }
        }
        let old = self.minute.partition_point(|held| held.second + MINUTE <= newest);
        let is_slow = self.spell.is_some();
        for held in self.minute.drain(..old) {
            if let Some(count) = self.past.get_mut(usize::from(held.step)).filter(|_| !is_slow) {
                *count = count.saturating_add(1);
            }
        }
        if u64::from(silent) > AWAY.as_secs() {
            self.spell = None;
        }
        if self.past.iter().map(|n| u32::from(*n)).sum::<u32>() > MOST {
            self.past.iter_mut().for_each(|n| *n /= 2);
        }
    }

    /// `None` while nothing is past.
    fn level(&self) -> Option<Level> {
        let past: u32 = self.past.iter().map(|n| u32::from(*n)).sum();
        if past == 0 {
            return None;
        }
        let usual = self.quantile(|upto| upto * 2 >= past);
        let few = self.quantile(|upto| (past - upto) * 100 <= past * FEW);
        let was = upper(usual);
        let most = few.max(step_of(was * TIMES)).max(step_of(was + LONGER_US));
        let slow = self.past.iter().skip(most + 1).map(|n| u32::from(*n)).sum();
        Some(Level { most, usual, before: (slow, past) })
    }

    /// How some of the minute's calls look.
    fn judge(&self, level: &Level, of: Of) -> Slow {
        let some = || self.minute.iter().filter(|held| of.has(held));
        let seconds_of_slow = || some().filter(|held| level.is_slow(held)).map(|held| held.second);
        let slow = seconds_of_slow().count() as u32;
        let lasts = seconds_of_slow().next_back().zip(seconds_of_slow().next()).map_or(0, |(last, first)| last - first);
        let mut steps: Vec<u8> = some().map(|held| held.step).collect();
        let all = steps.len() as u32;
        // What is not much is not worth asking, and what is shorter than the minute is no past.
        let is_asked = slow * 4 > all && level.before.1 >= self.minute.len() as u32;
        let chance = if is_asked { chance::of_so_many((slow, all), level.before) } else { 1.0 };
        steps.sort_unstable();
        let middle = steps.get(steps.len() / 2).map_or(0, |step| usize::from(*step));
        let (is, was) = (seconds(middle), seconds(level.usual));
        Slow { of, chance, slow, all, lasts, is, was, request: self.request }
    }

    /// The minute, or where it is not clear what one pod has of it, if that is.
    fn clearest(&self, level: &Level) -> Slow {
        let whole = self.judge(level, Of::All);
        // Without five seconds that are slow none is.
        if whole.is_clear() || whole.lasts < LASTS {
            return whole;
        }
        let mut clearest: Option<Slow> = None;
        for side in [1, 0] {
            let pods = self.by_pod(level, side);
            let many = f64::from(u32::try_from(pods.len()).unwrap_or(u32::MAX));
            for (pod, _, _) in pods.iter().filter(|(_, slow, all)| slow * 2 > *all && pods.len() > 1) {
                let mut of_pod = self.judge(level, Of::Pod(side, *pod));
                // One of many has as many chances.
                of_pod.chance = (of_pod.chance * many).min(1.0);
                if of_pod.is_clear() && clearest.is_none_or(|known| of_pod.chance < known.chance) {
                    clearest = Some(of_pod);
                }
            }
        }
        clearest.unwrap_or(whole)
    }

    /// The pods of a side, each with its slow calls and all.
    fn by_pod(&self, level: &Level, side: u8) -> Vec<(u8, u32, u32)> {
        let mut pods: Vec<(u8, u32, u32)> = Vec::new();
        for held in &self.minute {
            let Some(pod) = held.pods.get(usize::from(side)).copied().filter(|pod| usize::from(*pod) < PODS) else {
                continue;
            };
            let slow = u32::from(level.is_slow(held));
            match pods.iter_mut().find(|known| known.0 == pod) {
                Some(known) => (known.1, known.2) = (known.1 + slow, known.2 + 1),
                None => pods.push((pod, slow, 1)),
            }
        }
        pods.sort_unstable();
        pods
    }

    /// The first step up to which it is enough.
    fn quantile(&self, enough: impl Fn(u32) -> bool) -> usize {
        let mut upto = 0;
        let found = self.past.iter().position(|n| {
            upto += u32::from(*n);
            enough(upto)
        });
        found.unwrap_or(STEPS - 1)
    }
}

/// The second of a time in nanoseconds.
fn second(at: i64) -> Option<u32> {
    u32::try_from(at.div_euclid(1_000_000_000)).ok()
}

/// The step that so many nanoseconds lie in.
fn step(took: i64) -> u8 {
    step_of(u64::try_from(took / 1000).unwrap_or(0)) as u8
}

/// The same of microseconds.
fn step_of(us: u64) -> usize {
    // 1,024 of them begin the first.
    let Some(doublings) = us.checked_ilog2().and_then(|n| n.checked_sub(10)) else { return 0 };
    let part = (us >> (doublings + 8)) as usize % PER_DOUBLING;
    (doublings as usize * PER_DOUBLING + part).min(STEPS - 1)
}

/// Where a step ends, in microseconds.
fn upper(step: usize) -> u64 {
    ((PER_DOUBLING + step % PER_DOUBLING + 1) as u64) << (step / PER_DOUBLING + 8)
}

/// The middle of a step.
fn seconds(step: usize) -> f64 {
    let wide = 1_u64 << (step / PER_DOUBLING + 8);
    (upper(step) - wide / 2) as f64 / 1e6
}

#[cfg(test)]
mod tests;
