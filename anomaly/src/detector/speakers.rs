//! The pods that lines of one group come from: how many are there, and which of them came just now.

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// Pods that are told from each other, those that spoke last.
const MOST: usize = 128;
/// Who said nothing for so many seconds is not there, as far as lines are counted.
const PRESENT_S: u32 = 120;
/// A pod that said something in so many seconds may come back. Where such a one is let go for want of room, who is new cannot
/// be known for as long.
const RETURNS_S: u32 = 600;
/// Programs say much, and other things than later, for so many seconds after they start.
const STARTS_S: u32 = 120;
/// Of so many minutes it is known how many pods there were.
const MINUTES: u16 = 180;

/// Times are kept as seconds after a base that moves on when they are this many, and is so many behind then.
const FARTHEST_S: u32 = 60_000;
const BEHIND_S: u32 = 10_000;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Pod {
    /// A part of its hash: of two that have the same, the second is not seen to start.
    pod: u16,
    /// After the base; 0 where that is long ago, or not known.
    came: u16,
    last: u16,
}

/// The pod that lines at hand are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// When it was first heard; long ago where that is not known.
    pub came: Timestamp,
    /// From when on its lines are those of a pod that runs.
    pub settles: Timestamp,
    /// Whether it was not there before, or that cannot be known.
    pub may_be_new: bool,
}

impl Speaker {
    /// One that has been there for ever.
    pub const OLD: Self = Self { came: Timestamp::MIN, settles: Timestamp::MIN, may_be_new: false };
}

/// The pods of one group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Speakers {
    /// Who spoke last is last.
    pods: Vec<Pod>,
    /// What times are after.
    base: u32,
    /// When the first of all was heard.
    began: u32,
    /// Until then it is not known who is new.
    crowded_until: u32,
    /// How many there were on average, over so many minutes.
    usual: f32,
    minutes: u16,
}

impl Speakers {
    /// The most that these take beside themselves, in bytes.
    pub const HEAP: usize = MOST * size_of::<Pod>();

    /// Lines of this pod come next, from `oldest` to `newest`.
    pub fn hear(&mut self, pod: u64, (oldest, newest): (Timestamp, Timestamp)) -> Speaker {
        let (from, now, pod) = (seconds(oldest), seconds(newest), pod as u16);
        if self.began == 0 {
            self.began = from;
        }
        self.move_on(now);
        if let Some(at) = self.pods.iter().rposition(|known| known.pod == pod) {
            let mut known = self.pods.remove(at);
            known.last = known.last.max(self.after_base(now));
            self.pods.push(known);
            return self.speaker(known, false);
        }
        if self.pods.len() >= MOST {
            let gone = self.pods.remove(0);
            if self.was(gone.last).is_some_and(|last| last.saturating_add(RETURNS_S) >= now) {
                self.crowded_until = self.crowded_until.max(now.saturating_add(RETURNS_S));
            }
        }
        // Among so many those that start are few.
        let came = if now >= self.crowded_until { self.after_base(from) } else { 0 };
        let new = Pod { pod, came, last: self.after_base(now) };
        self.pods.push(new);
        self.speaker(new, true)
    }

    fn move_on(&mut self, now: u32) {
        if now.saturating_sub(self.base) > FARTHEST_S {
            let base = now.saturating_sub(BEHIND_S);
            let by = u16::try_from(base - self.base).unwrap_or(u16::MAX);
            for pod in &mut self.pods {
                (pod.came, pod.last) = (pod.came.saturating_sub(by), pod.last.saturating_sub(by));
            }
            self.base = base;
        }
    }

    fn after_base(&self, time: u32) -> u16 {
        u16::try_from(time.saturating_sub(self.base)).unwrap_or(u16::MAX)
    }

    /// When that was; `None` where it is long ago.
    fn was(&self, after_base: u16) -> Option<u32> {
        (after_base > 0).then(|| self.base.saturating_add(u32::from(after_base)))
    }

    /// From when on its lines are those of a pod that runs. Who was there from the beginning was not seen to start.
    fn settles(&self, pod: Pod) -> Option<u32> {
        let came = self.was(pod.came).filter(|came| *came > self.began.saturating_add(STARTS_S));
        came.map(|came| came.saturating_add(STARTS_S))
    }

    fn speaker(&self, pod: Pod, may_be_new: bool) -> Speaker {
        let time = |seconds: u32| Timestamp(i64::from(seconds).saturating_mul(1_000_000_000));
        let came = self.was(pod.came).map_or(Timestamp::MIN, time);
        Speaker { came, settles: self.settles(pod).map_or(Timestamp::MIN, time), may_be_new }
    }

    /// How many there are, and how many of them are past their start.
    fn count(&self, now: u32) -> (u16, u16) {
        let is_there = |pod: &&Pod| self.was(pod.last).is_some_and(|last| last.saturating_add(PRESENT_S) >= now);
        let there = self.pods.iter().filter(is_there);
        there.fold((0, 0), |(all, settled), pod| {
            (all + 1, settled + u16::from(self.settles(*pod).is_none_or(|settles| settles <= now)))
        })
    }

    /// Of pods past their start and of all, how many times as many there are as usual; less than usual count as usual, since
    /// what the others did may be left to those that remain.
    pub fn more_than_usual(&self, now: Timestamp) -> (f32, f32) {
        let (all, settled) = self.count(seconds(now));
        let times = |n: u16| if self.minutes == 0 { 1.0 } else { (f32::from(n) / self.usual.max(1.0)).max(1.0) };
        (times(settled), times(all))
    }

    /// A minute with lines is over: whether any of them can have been of a pod past its start.
    pub fn close_minute(&mut self, at: Timestamp) -> bool {
        let (all, settled) = self.count(seconds(at));
        self.minutes = (self.minutes + 1).min(MINUTES);
        self.usual += (f32::from(all.max(1)) - self.usual) / f32::from(self.minutes);
        settled > 0 || all == 0
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from((at.0 / 1_000_000_000).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    #[test]
    fn a_pod_is_new_once_and_starts_for_a_while_unless_it_was_there_from_the_beginning() {
        let mut speakers = Speakers::default();
        let first = speakers.hear(1, (at(1000), at(1001)));
        assert_eq!(first, Speaker { came: at(1000), settles: Timestamp::MIN, may_be_new: true });
        let second = speakers.hear(2, (at(5000), at(5010)));
        assert_eq!(second, Speaker { came: at(5000), settles: at(5120), may_be_new: true });
        assert_eq!(speakers.hear(2, (at(5011), at(5011))), Speaker { may_be_new: false, ..second });
        assert_eq!(speakers.count(5011), (1, 0), "the first said nothing for long");
        assert_eq!(speakers.count(5120), (1, 1));
    }

    #[test]
    fn of_more_than_can_be_told_apart_nobody_starts_and_of_those_that_go_for_good_each_does() {
        let mut speakers = Speakers::default();
        let came = |speakers: &mut Speakers, pod: u64, s: i64| speakers.hear(pod, (at(s), at(s))).came == at(s);
        for round in 0..10 {
            let new = (0..140).filter(|pod| came(&mut speakers, *pod, 1000 + round)).count();
            assert_eq!(new, if round == 0 { MOST } else { 0 }, "round {round}");
        }
        let mut speakers = Speakers::default();
        let new = (0..1000).filter(|pod| came(&mut speakers, *pod, 1000 + *pod as i64 * 60)).count();
        assert_eq!(new, 1000);
    }

    #[test]
    fn more_pods_than_usual_are_more_and_fewer_are_not_less() {
        let mut speakers = Speakers::default();
        let mut minutes = |pods: u64, minutes: std::ops::Range<i64>| {
            for minute in minutes {
                for pod in 0..pods {
                    speakers.hear(pod, (at(minute * 60), at(minute * 60 + 59)));
                }
                assert!(speakers.close_minute(at(minute * 60 + 59)));
            }
            speakers.clone()
        };
        let two = minutes(2, 100..400);
        assert_eq!(two.more_than_usual(at(400 * 60)), (1.0, 1.0));
        let eight = minutes(8, 400..403);
        let (settled, all) = eight.more_than_usual(at(403 * 60));
        assert!((3.5..4.0).contains(&settled) && settled == all, "{settled} {all}");
        assert_eq!(minutes(1, 403..410).more_than_usual(at(410 * 60)), (1.0, 1.0));
    }

    #[test]
    fn a_pod_is_the_same_after_days() {
        let mut speakers = Speakers::default();
        speakers.hear(1, (at(1_000_000), at(1_000_000)));
        for hour in 1..100 {
            let known = speakers.hear(1, (at(1_000_000 + hour * 3600), at(1_000_000 + hour * 3600)));
            assert!(!known.may_be_new && known.settles == Timestamp::MIN, "{hour}: {known:?}");
        }
        let late = 1_000_000 + 400 * 3600;
        assert!(!speakers.hear(1, (at(late), at(late))).may_be_new);
        assert_eq!(speakers.hear(2, (at(late), at(late))).came, at(late));
        assert_eq!(speakers.count(late as u32), (2, 1));
    }
}
