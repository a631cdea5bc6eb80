//! Requests that are under way: their lines wait for those of other workloads, which others send.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::SOMEBODY;
use crate::hash::{Fixed, hash64, in_order};

/// A request is over when no line of it came for so long, by the clock of the receipt: senders wait for seconds at the most.
pub(super) const WAITS: Duration = Duration::from_secs(15);
/// And after so long in any case.
const LONGEST: Duration = Duration::from_secs(60);
/// What has more lines is no request but a job.
const LINES: usize = 256;
/// A request takes as much as so many lines beside its own.
const LINES_OF_REQUEST: usize = 8;
/// More of them are looked at again where so many times as much as is held would have room.
const ROOMY: usize = 4;

/// One request.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open {
    owner: u64,
    request: u64,
    first: Timestamp,
    last: Timestamp,
    /// When it is looked at again.
    due: Timestamp,
    /// When each was written, and by whom; those of a job are let go.
    lines: Vec<(i64, u64)>,
    is_job: bool,
}

impl Open {
    fn ends(&self) -> Timestamp {
        self.last.plus(WAITS).min(self.first.plus(LONGEST))
    }
}

/// What an owner has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Share {
    held: usize,
    /// Of its requests one of two to this power is looked at, since when.
    level: u32,
    since: Timestamp,
}

/// All of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Requests {
    #[serde(serialize_with = "in_order")]
    open: HashMap<u64, Open, Fixed>,
    /// When to look at each again.
    due: BTreeSet<(Timestamp, u64)>,
    #[serde(serialize_with = "in_order")]
    shares: HashMap<u64, Share, Fixed>,
    /// Who has lines of a request.
    #[serde(serialize_with = "in_order")]
    owners: HashMap<u64, Vec<u64>, Fixed>,
    total: usize,
    #[serde(skip)]
    most: usize,
    /// Lines that there was no room for.
    pub(super) refused: u64,
}

impl Requests {
    /// The most that a line takes, in bytes.
    pub(super) const BYTES: usize = 2 * size_of::<(i64, u64)>();

    /// Of so many lines at the most, a request counted as some more.
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Goes on with what was held before; the bound stays this one's.
    pub(super) fn resume(&mut self, held: Self) {
        *self = Self { most: self.most, ..held };
    }

    pub(super) fn bytes(&self) -> usize {
        self.total * Self::BYTES
    }

    /// Takes a line of a request, of which each owner has its own. Who has as much as there is room left for gets no more, so that
    /// there is always room for another: of its requests only every other is looked at then, or fewer, but those whole.
    pub(super) fn take(&mut self, (owner, request): (u64, u64), line: (i64, u64), received: Timestamp) {
        let key = key_of(owner, request);
        self.tell_others((owner, request), line.0);
        let share = self.shares.entry(owner).or_default();
        if !is_looked_at(key, share.level) {
            self.refused += 1;
            return;
        }
        let room = self.most.saturating_sub(self.total);
        if share.held >= room {
            share.level += 1;
            share.since = received;
            let level = share.level;
            self.leave_out(owner, level);
            self.refused += 1;
            return;
        }
        // By a clock that was ahead.
        share.since = share.since.min(received);
        if share.level > 0 && share.held * ROOMY < room && received >= share.since.plus(LONGEST) {
            (share.level, share.since) = (share.level - 1, received);
        }
        let mut added = 1;
        let open = self.open.entry(key).or_insert_with(|| {
            added += LINES_OF_REQUEST;
            let due = received.plus(WAITS);
            Open { owner, request, first: received, last: received, due, lines: Vec::new(), is_job: false }
        });
        if open.owner != owner {
            self.refused += 1;
            return;
        }
        if added > 1 {
            self.due.insert((open.due, key));
            let lines = self.of_others((owner, request));
            self.owners.entry(request).or_default().push(owner);
            added += lines.len();
            if let Some(open) = self.open.get_mut(&key) {
                open.lines = lines;
            }
        }
        let (Some(open), Some(share)) = (self.open.get_mut(&key), self.shares.get_mut(&owner)) else { return };
        open.last = open.last.max(received);
        if open.is_job {
            return;
        }
        if open.lines.len() >= LINES {
            let gone = std::mem::take(&mut open.lines).len();
            open.is_job = true;
            self.let_go(owner, gone);
            return;
        }
        open.lines.push(line);
        share.held += added;
        self.total += added;
    }

    /// One request that is over by now: whose it is, its number and its lines.
    pub(super) fn over(&mut self, now: Timestamp) -> Option<(u64, u64, Vec<(i64, u64)>)> {
        // What came by a clock that was ahead would be held until then.
        while let Some((_, key)) = self.due.last().copied().filter(|(at, _)| *at > now.plus(LONGEST)) {
            self.due.pop_last();
            self.close(key);
        }
        loop {
            let (at, key) = *self.due.first().filter(|(at, _)| *at <= now)?;
            self.due.pop_first();
            let Some(open) = self.open.get_mut(&key) else { continue };
            if open.ends() > at {
                open.due = open.ends();
                self.due.insert((open.due, key));
                continue;
            }
            let open = self.close(key)?;
            if !open.is_job {
                return Some((open.owner, open.request, open.lines));
            }
        }
    }

    /// Lets go of an owner's requests that are not looked at any more.
    fn leave_out(&mut self, owner: u64, level: u32) {
        let left_out = self.open.iter().filter(|(key, open)| open.owner == owner && !is_looked_at(**key, level));
        let left_out: Vec<u64> = left_out.map(|(key, _)| *key).collect();
        for key in left_out {
            let Some(open) = self.close(key) else { continue };
            self.refused += open.lines.len() as u64;
            self.due.remove(&(open.due, key));
        }
    }

    /// Takes a request away.
    fn close(&mut self, key: u64) -> Option<Open> {
        let open = self.open.remove(&key)?;
        self.let_go(open.owner, open.lines.len() + LINES_OF_REQUEST);
        if let Some(owners) = self.owners.get_mut(&open.request) {
            owners.retain(|owner| *owner != open.owner);
            if owners.is_empty() {
                self.owners.remove(&open.request);
            }
        }
        Some(open)
    }

    /// Lets the others that have lines of this request know that somebody wrote one then: what lies around it is not theirs alone.
    fn tell_others(&mut self, (owner, request): (u64, u64), at: i64) {
        let Some(owners) = self.owners.get(&request).filter(|owners| owners.iter().any(|other| *other != owner)) else {
            return;
        };
        for other in owners.iter().filter(|other| **other != owner) {
            let open = self.open.get_mut(&key_of(*other, request)).filter(|open| open.owner == *other && !open.is_job);
            let (Some(open), Some(share)) = (open, self.shares.get_mut(other)) else { continue };
            if open.lines.len() < LINES && self.total < self.most {
                open.lines.push((at, SOMEBODY));
                share.held += 1;
                self.total += 1;
            }
        }
    }

    /// When others wrote lines of this request so far.
    fn of_others(&self, (owner, request): (u64, u64)) -> Vec<(i64, u64)> {
        let others = self.owners.get(&request).into_iter().flatten().filter(|other| **other != owner);
        let opens = others.filter_map(|other| self.open.get(&key_of(*other, request)));
        let lines = opens.flat_map(|open| &open.lines).filter(|(_, whose)| *whose != SOMEBODY);
        lines.take(LINES / 2).map(|(at, _)| (*at, SOMEBODY)).collect()
    }

    fn let_go(&mut self, owner: u64, gone: usize) {
        self.total = self.total.saturating_sub(gone);
        if let Some(share) = self.shares.get_mut(&owner) {
            share.held = share.held.saturating_sub(gone);
            if share.held == 0 {
                self.shares.remove(&owner);
            }
        }
    }
}

fn key_of(owner: u64, request: u64) -> u64 {
    hash64(&((u128::from(owner) << 64) | u128::from(request)).to_le_bytes())
}

fn is_looked_at(key: u64, level: u32) -> bool {
    key.trailing_zeros() >= level
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000_000_000)
    }

    /// How many lines and requests an owner holds.
    fn held(requests: &Requests, owner: u64) -> usize {
        requests.open.values().filter(|open| open.owner == owner).map(|open| open.lines.len() + LINES_OF_REQUEST).sum()
    }

    #[test]
    fn a_request_is_over_when_nothing_more_of_it_comes() {
        let mut requests = Requests::new(1000);
        for second in [0, 10, 20] {
            requests.take((1, 7), (second, 5), at(second));
            assert_eq!(requests.over(at(second)), None);
        }
        assert_eq!(requests.over(at(34)), None);
        assert_eq!(requests.over(at(35)), Some((1, 7, vec![(0, 5), (10, 5), (20, 5)])));
        assert_eq!((requests.over(at(99)), requests.total, requests.shares.len()), (None, 0, 0));
        (0..70).for_each(|second| requests.take((1, 7), (second, 5), at(second)));
        assert_eq!(requests.over(at(59)), None);
        assert_eq!(requests.over(at(60)).map(|(.., lines)| lines.len()), Some(70), "one that does not end");
    }

    #[test]
    fn who_has_many_leaves_room_for_others_and_is_looked_at_whole_where_it_is() {
        let mut requests = Requests::new(4000);
        let mut sent = 0;
        let mut take = |requests: &mut Requests, owner: u64, n: u64| {
            (0..4).for_each(|line| requests.take((owner, (owner << 32) | n), (line, 5), at(0)));
            sent += 4;
        };
        (0..2000).for_each(|n| take(&mut requests, 1, n));
        assert!(requests.total * 2 <= requests.most + 16 && held(&requests, 1) > 300, "{}", requests.total);
        for owner in [2, 3] {
            (0..20).for_each(|n| take(&mut requests, owner, n));
            assert_eq!(held(&requests, owner), 20 * (4 + LINES_OF_REQUEST), "it has little and gets all");
        }
        let all: usize = [1, 2, 3].map(|owner| held(&requests, owner)).into_iter().sum();
        assert_eq!((all, requests.due.len()), (requests.total, requests.open.len()));
        let lines: u64 = requests.open.values().map(|open| open.lines.len() as u64).sum();
        assert_eq!(requests.refused, sent - lines);
        let over: Vec<_> = std::iter::from_fn(|| requests.over(at(15))).collect();
        let whole = over.iter().filter(|(.., lines)| lines.len() == 4).count();
        assert!(whole + 20 > over.len(), "all but those of the moment: {whole} of {}", over.len());
        assert_eq!((requests.total, requests.open.len()), (0, 0));
    }

    #[test]
    fn less_is_more_again() {
        let mut requests = Requests::new(400);
        (0..500).for_each(|n| requests.take((1, n), (0, 5), at(0)));
        let level = requests.shares[&1].level;
        assert!(level > 2, "{level}");
        for second in 1..2000 {
            requests.take((1, (1 << 40) | second as u64), (0, 5), at(second));
            while requests.over(at(second)).is_some() {}
        }
        assert!(requests.shares.get(&1).is_none_or(|share| share.level < level));
    }

    #[test]
    fn each_owner_learns_that_another_was_there_and_no_more() {
        let mut requests = Requests::new(1000);
        requests.take((1, 7), (0, 5), at(0));
        requests.take((2, 7), (3, 6), at(0));
        requests.take((1, 7), (9, 5), at(0));
        requests.take((2, 8), (1, 6), at(0));
        let mut over: Vec<_> = std::iter::from_fn(|| requests.over(at(15))).collect();
        over.sort();
        let own = vec![(2, 7, vec![(0, SOMEBODY), (3, 6), (9, SOMEBODY)]), (2, 8, vec![(1, 6)])];
        assert_eq!(over, [vec![(1, 7, vec![(0, 5), (3, SOMEBODY), (9, 5)])], own].concat());
        assert_eq!((requests.total, requests.owners.len(), requests.shares.len()), (0, 0, 0));
    }

    #[test]
    fn what_came_by_a_clock_that_was_ahead_holds_no_room() {
        let mut requests = Requests::new(100);
        (0..50).for_each(|n| requests.take((1, n), (0, 5), at(1_000_000)));
        assert!(requests.shares[&1].level > 0);
        assert_eq!((requests.over(at(10)), requests.open.len(), requests.total), (None, 0, 0));
        requests.take((1, 7), (10, 5), at(10));
        assert_eq!(requests.over(at(25)), Some((1, 7, vec![(10, 5)])));
    }

    #[test]
    fn nothing_is_left_to_look_at_of_what_is_left_out() {
        let mut requests = Requests::new(200);
        for n in 0..100 {
            requests.take((1, n), (0, 5), at(0));
            requests.take((1, n), (1, 5), at(9));
        }
        assert_eq!(requests.due.len(), requests.open.len());
        while requests.over(at(16)).is_some() {}
        assert_eq!(requests.due.len(), requests.open.len());
    }

    #[test]
    fn a_job_is_no_request_and_holds_nothing() {
        let mut requests = Requests::new(10_000);
        (0..5000).for_each(|n| requests.take((1, 7), (n, 5), at(0)));
        assert!(requests.total == LINES_OF_REQUEST && requests.refused == 0, "{}", requests.total);
        assert_eq!((requests.over(at(100)), requests.open.len(), requests.total), (None, 0, 0));
    }
}
