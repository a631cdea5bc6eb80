//! What is usual of how long one kind of call takes, and whether the last minute is unlike it.
//!
//! The past is a histogram of values that are a second apart at the least: where there are many calls no few minutes stand
//! for it, and a moment of many slow ones is one. Nothing is assumed of how they are distributed: of the last minute's calls
//! more than half took longer than all but few ever did, and that is held against chance.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use crate::detector::chance;
use crate::detector::score::daily::Daily;

/// A minute is judged.
const MINUTE: i64 = 60;
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
const LASTS: i64 = 5;
/// Of rare calls it takes so many slow ones.
const LEAST: u32 = 5;
/// Where it goes on for so long it is what is usual by now.
const SETTLES: i64 = 3600;
/// Calls in so many seconds of a minute are frequent.
const FREQUENT: u64 = 4;
/// Nobody is silent for fewer seconds.
const SOON: u64 = 10;
/// When the past is halved.
const MOST: u32 = 8192;

/// What is known of one kind of call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Usual {
    past: Vec<u16>,
    /// Second and step of the last minute's, in order.
    minute: Vec<(u32, u8)>,
    /// Since when it is slow, and who was blamed for it.
    slow: Option<(u32, u64)>,
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
    /// How likely it was, if chance did it.
    pub(super) chance: f64,
    /// Calls of the minute that are slow, and all that were looked at.
    pub(super) slow: u32,
    pub(super) all: u32,
    /// From the first slow one to the last, in seconds.
    pub(super) lasts: i64,
    /// In the middle of the minute, and of the past, in seconds.
    pub(super) is: f64,
    pub(super) was: f64,
    /// What lies in a later step is slow.
    level: usize,
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

impl Usual {
    /// The most that it takes beside itself, in bytes.
    pub(super) const HEAP: usize = STEPS * 2 + 64 * size_of::<(u32, u8)>() + Daily::HEAP;

    pub(super) fn new() -> Self {
        Self {
            past: vec![0; STEPS],
            minute: Vec::new(),
            slow: None,
            daily: Daily::default(),
            request: 0,
            heard: (0, 0),
        }
    }

    /// A call of a request that was over at this time and took so long, in nanoseconds, by lines received then; the minute that it makes
    /// slow, told once while it is slow. Of each second one is taken.
    pub(super) fn observe(&mut self, at: i64, (took, request): (i64, u64), received: Timestamp) -> Option<Slow> {
        let second = u32::try_from(at.div_euclid(1_000_000_000)).ok()?;
        let now = received.0.div_euclid(1_000_000_000);
        if self.minute.last().is_some_and(|last| i64::from(last.0) > now + MINUTE) {
            // By a clock that was ahead.
            self.minute.clear();
        }
        let newest = self.minute.last().map_or(0, |last| last.0);
        if i64::from(second) <= i64::from(newest) - MINUTE {
            return None;
        }
        let Err(place) = self.minute.binary_search_by_key(&second, |held| held.0) else { return None };
        self.minute.insert(place, (second, step(took)));
        let since = if self.heard.0 == 0 { second } else { self.heard.0.min(second) };
        self.heard = (since, newest.max(second));
        self.turn(newest.max(second));
        let slow = self.judged()?;
        if usize::from(step(took)) > slow.level {
            self.request = request;
        }
        if self.slow.is_some() && slow.slow * 4 <= slow.all {
            self.slow = None;
        }
        let is_more = self.daily.observe(Timestamp(at), slow.is);
        (self.slow.is_none() && slow.is_clear() && is_more).then_some(Slow { request: self.request, ..slow })
    }

    /// The minute is slow, and this is whom to blame.
    pub(super) fn blame(&mut self, whom: u64) {
        self.slow = self.minute.last().map(|last| (last.0, whom));
    }

    /// Who is blamed while it is slow.
    pub(super) fn blamed(&self) -> Option<u64> {
        self.slow.map(|(_, whom)| whom)
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

    /// Whether a call of it was over within so long before this time, in nanoseconds.
    pub(super) fn is_heard(&self, at: i64, within: Duration) -> bool {
        let from = Timestamp(at).minus(within).0.div_euclid(1_000_000_000);
        self.minute.last().is_some_and(|last| i64::from(last.0) > from)
    }

    /// After how long without a word those that take part are silent: some times as long as there is between two calls of the last
    /// minute that had any. `None` where there were few.
    pub(super) fn silent_after(&self) -> Option<Duration> {
        let calls = u64::try_from(self.minute.len()).ok().filter(|calls| *calls >= FREQUENT)?;
        Some(Duration::from_secs((3 * MINUTE.unsigned_abs() / calls).max(SOON)))
    }

    /// Lets the past have what is older than a minute; nothing of a slow time, unless it has settled.
    fn turn(&mut self, newest: u32) {
        if self.slow.is_some_and(|(since, _)| i64::from(newest) - i64::from(since) > SETTLES) {
            (self.slow, self.past) = (None, vec![0; STEPS]);
        }
        let old = self.minute.partition_point(|held| i64::from(held.0) <= i64::from(newest) - MINUTE);
        let is_slow = self.slow.is_some();
        for (_, step) in self.minute.drain(..old) {
            if let Some(count) = self.past.get_mut(usize::from(step)).filter(|_| !is_slow) {
                *count = count.saturating_add(1);
            }
        }
        if self.past.iter().map(|n| u32::from(*n)).sum::<u32>() > MOST {
            self.past.iter_mut().for_each(|n| *n /= 2);
        }
    }

    /// How the minute looks; `None` while nothing is past.
    pub(super) fn judged(&self) -> Option<Slow> {
        let past: u32 = self.past.iter().map(|n| u32::from(*n)).sum();
        if past == 0 {
            return None;
        }
        let usual = self.quantile(|upto| upto * 2 >= past);
        let most = self.quantile(|upto| (past - upto) * 100 <= past * FEW);
        let was = upper(usual);
        let level = most.max(step_of(was * TIMES)).max(step_of(was + LONGER_US));
        let is_slow = |step: usize| step > level;
        let seconds_of_slow = || self.minute.iter().filter(|held| is_slow(usize::from(held.1))).map(|held| held.0);
        let slow = seconds_of_slow().count() as u32;
        let lasts = seconds_of_slow().next_back().zip(seconds_of_slow().next());
        let lasts = lasts.map_or(0, |(last, first)| i64::from(last) - i64::from(first));
        let all = self.minute.len() as u32;
        let before = self.past.iter().enumerate().filter(|(step, _)| is_slow(*step)).map(|(_, n)| u32::from(*n)).sum();
        // What is not much is not worth asking, and what is shorter than the minute is no past.
        let chance = if slow * 4 > all && past >= all { chance::of_so_many((slow, all), (before, past)) } else { 1.0 };
        let mut steps: Vec<u8> = self.minute.iter().map(|held| held.1).collect();
        steps.sort_unstable();
        let middle = steps.get(steps.len() / 2).map_or(0, |step| usize::from(*step));
        let (is, was) = (seconds(middle), seconds(usual));
        Some(Slow { chance, slow, all, lasts, is, was, level, request: self.request })
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::detector::synthetic::Noise;

    const MS: f64 = 1e6;

    /// The seconds at which it is told, of calls that take so many milliseconds at each second.
    fn told(seconds: i64, takes: impl Fn(i64, &mut Noise) -> Option<f64>) -> Vec<i64> {
        let (mut usual, mut noise) = (Usual::new(), Noise::new(11));
        (0..seconds)
            .filter(|s| {
                let Some(ms) = takes(*s, &mut noise) else { return false };
                let at = (1_000_000 + s) * 1_000_000_000;
                let found = usual.observe(at, ((ms * MS) as i64, 7), Timestamp(at)).is_some();
                if found {
                    usual.blame(7);
                }
                found
            })
            .collect()
    }

    /// Some milliseconds, at times many.
    fn skewed(noise: &mut Noise) -> f64 {
        8.0 * (0.8 * noise.normal()).exp()
    }

    #[test]
    fn a_step_ends_where_the_next_begins() {
        for us in [0_u64, 1, 1023, 1024, 1279, 1280, 5000, 99_999, 1_000_000, 60_000_000] {
            let step = step_of(us);
            assert!(us < upper(step) && (step == 0 || us >= upper(step - 1)), "{us} in {step}");
        }
        assert_eq!((step_of(u64::MAX), step(-5), step(i64::MAX)), (STEPS - 1, 0, STEPS as u8 - 1));
    }

    #[test]
    fn calls_that_take_a_second_are_told_once_while_they_do() {
        let often = told(1200, |s, n| Some(if s < 600 { skewed(n) } else { 1000.0 + skewed(n) }));
        assert!(matches!(often[..], [629..640]), "more than half of a minute: {often:?}");
        // Of few calls as many say it as of many.
        let seldom = |s: i64, n: &mut Noise| (s % 7 == 0).then(|| if s < 900 { skewed(n) } else { 1000.0 });
        let seldom = told(1500, seldom);
        assert!(matches!(seldom[..], [930..960]), "{seldom:?}");
        let twice = told(1800, |s, n| Some(if (600..700).contains(&s) || s >= 1200 { 1000.0 } else { skewed(n) }));
        assert!(matches!(twice[..], [629..640, 1229..1240]), "what was slow is not usual: {twice:?}");
    }

    #[test]
    fn what_stays_slow_is_usual_after_an_hour() {
        let found = told(4 * 3600, |s, n| Some(if s < 600 { skewed(n) } else { 1000.0 + skewed(n) }));
        assert_eq!(found.len(), 1, "{found:?}");
        let more = told(4 * 3600, |s, n| {
            Some(if s < 600 {
                skewed(n)
            } else if s < 9000 {
                1000.0
            } else {
                9000.0
            })
        });
        assert_eq!(more.len(), 2, "{more:?}");
    }

    #[test]
    fn what_is_little_or_short_or_was_there_before_is_not_told() {
        let day = 86_400;
        assert!(told(day, |_, n| Some(skewed(n))).is_empty(), "skewed");
        // A tail of seconds, and times by a busy hour of the day.
        assert!(told(day, |_, n| Some(2.0 / n.uniform().max(1e-4).powf(0.8))).is_empty(), "heavy");
        let busy = |s: i64, n: &mut Noise| Some(skewed(n) * 2.0 * (1.2 + (s as f64 / 4000.0).sin()));
        assert!(told(day, busy).is_empty(), "by the hour");
        assert!(told(day, |s, n| Some(skewed(n) + if s % 3600 < 20 { 2000.0 } else { 0.0 })).is_empty(), "pauses");
        assert!(told(day, |s, n| (s % 30 == 0).then(|| skewed(n))).is_empty(), "seldom");
        assert!(told(1200, |s, n| Some(skewed(n) * if s < 600 { 1.0 } else { 3.0 })).is_empty(), "3 times");
        assert!(told(1200, |s, _| Some(if s < 600 { 2.0 } else { 40.0 })).is_empty(), "40 ms are not much");
        assert!(told(110, |s, _| Some(if s < 40 { 2.0 } else { 1000.0 })).is_empty(), "shorter than the minute");
    }

    #[test]
    fn few_slow_calls_need_more_past_than_many() {
        let is_enough = |slow: u32, past: u32| chance::of_so_many((slow, slow), (0, past)) < CHANCE;
        assert!(is_enough(5, 64) && !is_enough(5, 60) && is_enough(8, 26) && !is_enough(8, 22));
    }

    #[test]
    fn what_is_slow_every_night_is_told_on_two_nights() {
        let slow = |s: i64| (7200..8400).contains(&s.rem_euclid(86_400));
        let found = told(6 * 86_400, |s, n| (s % 10 == 0).then(|| if slow(s) { 800.0 } else { skewed(n) }));
        let nights: Vec<i64> = found.iter().map(|s| s / 86_400).collect();
        assert_eq!(nights, [0, 1]);
        let worse = told(6 * 86_400, |s, n| {
            let night = if s < 5 * 86_400 { 800.0 } else { 4000.0 };
            (s % 10 == 0).then(|| if slow(s) { night } else { skewed(n) })
        });
        assert_eq!(worse.last().map(|s| s / 86_400), Some(5), "more than it ever was");
    }

    #[test]
    fn a_clock_that_was_ahead_holds_nothing_back() {
        let mut usual = Usual::new();
        let at = |s: i64| (1_000_000 + s) * 1_000_000_000;
        (0..300).for_each(|s| assert!(usual.observe(at(s), (5_000_000, 7), Timestamp(at(s))).is_none()));
        usual.observe(at(90_000), (5_000_000, 7), Timestamp(at(90_000)));
        let found = (300..400).filter(|s| usual.observe(at(*s), (900_000_000, 8), Timestamp(at(*s))).is_some()).count();
        assert!(found > 0);
    }

    #[test]
    fn a_second_speaks_once_and_what_is_late_not_at_all() {
        let (mut usual, minute) = (Usual::new(), Duration::from_secs(60));
        let at = |s: i64| (1_000_000 + s) * 1_000_000_000;
        for s in (0..100).chain(0..100) {
            usual.observe(at(s), (5_000_000, 7), Timestamp(at(100)));
            usual.observe(at(s) + 1, (900_000_000, 8), Timestamp(at(100)));
        }
        let past: u32 = usual.past.iter().map(|n| u32::from(*n)).sum();
        assert_eq!((usual.minute.len(), past), (60, 40));
        assert!(usual.minute.iter().all(|held| held.1 == step(5_000_000)));
        assert!(usual.is_heard(at(158), minute) && !usual.is_heard(at(159), minute));
        for s in 0..20_000 {
            usual.observe(at(100 + s), (5_000_000, 7), Timestamp(at(100 + s)));
        }
        let past: u32 = usual.past.iter().map(|n| u32::from(*n)).sum();
        assert!((MOST / 2 - 1..=MOST).contains(&past), "{past}");
        assert!(usual.minute.capacity() * 8 + usual.past.capacity() * 2 <= Usual::HEAP);
    }
}
