//! When open entries are looked at: at once, then ever more seldom until their verdict stands. What comes late by some
//! time is in the verdict after at most as much again, and an entry is judged some ten times however much comes; more
//! often only where what it depends on changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::entries::Key;

/// From the first look to the second; each pause is twice the one before.
const FIRST: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Turn {
    at: Timestamp,
    pause: Duration,
    /// The round in which it was judged last; 0: it was not.
    judged: u64,
}

/// The open entries, each with its next turn.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    turns: BTreeSet<(Timestamp, Key)>,
    open: BTreeMap<Key, Turn>,
}

impl Queue {
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.open.contains_key(key)
    }

    /// Whether it is anybody's turn.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.turns.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Whether any is open that was never looked at.
    pub(super) fn has_new(&self) -> bool {
        self.turns.first().is_some_and(|(at, _)| *at == Timestamp::MIN)
    }

    /// Opens an entry, whose turn comes first of all.
    pub(super) fn open(&mut self, key: Key) {
        let at = Timestamp::MIN;
        self.turns.insert((at, key.clone()));
        self.open.insert(key, Turn { at, pause: FIRST, judged: 0 });
    }

    /// Those whose turn it is. Each has to be given another with [`Queue::again`], or closed.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<Key> {
        let mut due = Vec::new();
        while self.is_due(now) {
            due.extend(self.turns.pop_first().map(|(_, key)| key));
        }
        due
    }

    /// Its next turn, after a pause twice as long as the last and no later than `by`.
    pub(super) fn again(&mut self, key: &Key, now: Timestamp, by: Timestamp) {
        let Some(turn) = self.open.get_mut(key) else { return };
        turn.at = now.plus(turn.pause).min(by);
        turn.pause = turn.pause.saturating_mul(2);
        self.turns.insert((turn.at, key.clone()));
    }

    /// Notes that it was judged in this round.
    pub(super) fn judged(&mut self, key: &Key, round: u64) {
        if let Some(turn) = self.open.get_mut(key) {
            turn.judged = round;
        }
    }

    /// The round in which it was judged last; 0 where it was not.
    pub(super) fn last(&self, key: &Key) -> u64 {
        self.open.get(key).map_or(0, |turn| turn.judged)
    }

    pub(super) fn close(&mut self, key: &Key) {
        if let Some(turn) = self.open.remove(key) {
            self.turns.remove(&(turn.at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn turns_are_ever_further_apart_and_end_by_the_time_it_stands() {
        let key: Key = ("uid".into(), "app".into(), "id".into());
        let mut queue = Queue::default();
        queue.open(key.clone());
        assert!(queue.has_new());
        let (start, by) = (Timestamp(0), Timestamp(0).plus(Duration::from_secs(120)));
        let mut now = start;
        let mut turns = Vec::new();
        while now < by {
            if queue.is_due(now) {
                assert_eq!(queue.take(now), std::slice::from_ref(&key));
                turns.push(now.seconds_since(start));
                queue.again(&key, now, by);
            }
            now = now.plus(Duration::from_millis(250));
        }
        assert!(!queue.has_new());
        assert_eq!(turns, [0.0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75, 63.75]);
        assert_eq!(queue.take(by), std::slice::from_ref(&key), "the last turn is when it stands");
        queue.close(&key);
        assert!(!queue.is_due(Timestamp::MAX) && !queue.holds(&key));
    }
}
