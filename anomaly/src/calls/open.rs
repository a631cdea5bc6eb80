//! Requests that are under way: their lines wait for those of other workloads, which others send.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::AWAY;
use super::marks::{self, Marks};
use super::over::Over;
use super::party::Writer;
use crate::hash::{Fixed, fold, hash64, in_order};

/// A request is over when no line of it came for so long, by the clock of the receipt: senders wait for seconds at the most.
const WAITS: Duration = Duration::from_secs(15);
/// And after so long in any case.
const LONGEST: Duration = Duration::from_secs(60);
/// What has more lines is no request but a job.
const LINES: usize = 256;
/// A request takes as much as so many lines beside its own, with what is known of others in it.
const LINES_OF_REQUEST: usize = 8 + marks::MOST / 2;
/// More of them are looked at again where so many times as much as is held would have room.
const ROOMY: usize = 4;
/// Of those who have requests in common with one so many are known.
const COMPANY: usize = 8;
/// There is a place for a request that was looked at for so many lines.
const LINES_OF_OVER: usize = 16;
/// Of so many owners it is known what they have in common, though they have nothing under way.
const OWNERS: usize = 4096;

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
    lines: Vec<(i64, Writer)>,
    /// And when others wrote some.
    others: Marks,
    /// Until when lines of it were written that have been looked at already.
    looked_at: Option<i64>,
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
    /// Who else had lines of a request of its, and when that was last.
    company: Vec<(u64, Timestamp)>,
}

impl Share {
    fn meets(&mut self, other: u64, now: Timestamp) {
        if let Some(known) = self.company.iter_mut().find(|(known, _)| *known == other) {
            known.1 = now;
        } else if self.company.len() < COMPANY {
            self.company.push((other, now));
        } else if let Some(oldest) = self.company.iter_mut().min_by_key(|(_, last)| *last) {
            *oldest = (other, now);
        }
    }

    /// Whether somebody had a request in common with it not long ago.
    fn has_company(&self, now: Timestamp) -> bool {
        self.company.iter().any(|(_, last)| is_recent(*last, now))
    }
}

/// A clock may have been set back.
fn is_recent(last: Timestamp, now: Timestamp) -> bool {
    now < last.plus(AWAY) && last <= now.plus(AWAY)
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
    over: Over,
    total: usize,
    #[serde(skip)]
    most: usize,
    /// Lines that there was no room for.
    pub(super) refused: u64,
}

impl Requests {
    /// The most that a line takes, in bytes.
    pub(super) const BYTES: usize = 2 * size_of::<(i64, Writer)>() + Over::BYTES / LINES_OF_OVER;

    /// Of so many lines at the most, a request counted as some more.
    pub(super) fn new(most: usize) -> Self {
        Self { most, over: Over::new(most / LINES_OF_OVER), ..Self::default() }
    }

    /// Goes on with what was held before; the bound stays this one's.
    pub(super) fn resume(&mut self, held: Self) {
        let mut over = std::mem::take(&mut self.over);
        over.resume(held.over);
        *self = Self { most: self.most, over, ..held };
    }

    pub(super) fn bytes(&self) -> usize {
        self.total * 2 * size_of::<(i64, Writer)>() + self.over.bytes()
    }

    /// Takes a line of a request, of which each owner has its own; whether it lies among lines of it that have been looked at without.
    /// Who has as much as there is room left for gets no more, so that there is always room for another: of its requests only every
    /// other is looked at then, or fewer, but those whole, and with them those of others that have them too.
    pub(super) fn take(&mut self, (owner, request): (u64, u64), line: (i64, Writer), received: Timestamp) -> bool {
        let key = key_of(owner, request);
        self.tell_others((owner, request), line.0);
        if !self.shares.contains_key(&owner) && self.shares.len() >= OWNERS {
            self.shares.retain(|_, share| share.held > 0);
        }
        let level = self.level(owner, received);
        let share = self.shares.entry(owner).or_default();
        if !is_looked_at(request, level) {
            self.refused += 1;
            return false;
        }
        let room = self.most.saturating_sub(self.total);
        if share.held >= room {
            share.level += 1;
            share.since = received;
            let level = share.level;
            self.leave_out((owner, level), received);
            self.refused += 1;
            return false;
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
            let (lines, others, looked_at) = (Vec::new(), Marks::default(), self.over.last(key));
            Open { owner, request, first: received, last: received, due, lines, others, looked_at, is_job: false }
        });
        if open.owner != owner {
            self.refused += 1;
            return false;
        }
        if added > 1 {
            self.due.insert((open.due, key));
            let others = self.of_others((owner, request), received);
            self.owners.entry(request).or_default().push(owner);
            if let Some(open) = self.open.get_mut(&key) {
                open.others = others;
            }
        }
        let (Some(open), Some(share)) = (self.open.get_mut(&key), self.shares.get_mut(&owner)) else { return false };
        open.last = open.last.max(received);
        let is_late = open.looked_at.is_some_and(|until| line.0 < until);
        if open.is_job {
            return is_late;
        }
        if open.lines.len() >= LINES {
            let gone = std::mem::take(&mut open.lines).len();
            open.is_job = true;
            self.let_go((owner, gone), received);
            return is_late;
        }
        open.lines.push(line);
        share.held += added;
        self.total += added;
        is_late
    }

    /// Of an owner's requests one of two to this power is looked at: no more than of those of its company, since what is
    /// not looked at there would not be known here to be theirs.
    fn level(&self, owner: u64, now: Timestamp) -> u32 {
        let Some(share) = self.shares.get(&owner) else { return 0 };
        let company = share.company.iter().filter(|(_, last)| is_recent(*last, now));
        let levels = company.filter_map(|(other, _)| self.shares.get(other)).map(|other| other.level);
        levels.max().unwrap_or_default().max(share.level)
    }

    /// One request that is over by now: whose it is, its number and its lines.
    pub(super) fn over(&mut self, now: Timestamp) -> Option<(u64, u64, Vec<(i64, Writer)>)> {
        // What came by a clock that was ahead would be held until then.
        while let Some((_, key)) = self.due.last().copied().filter(|(at, _)| *at > now.plus(LONGEST)) {
            self.due.pop_last();
            self.close(key, now);
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
            let mut open = self.close(key, now)?;
            if !open.is_job {
                let last = open.lines.iter().map(|(ts, _)| *ts).max().unwrap_or(i64::MIN);
                self.over.note(key, open.looked_at.map_or(last, |until| until.max(last)));
                open.others.among(&mut open.lines);
                return Some((open.owner, open.request, open.lines));
            }
        }
    }

    /// Lets go of an owner's requests that are not looked at any more.
    fn leave_out(&mut self, (owner, level): (u64, u32), now: Timestamp) {
        let left_out = self.open.iter().filter(|(_, open)| open.owner == owner && !is_looked_at(open.request, level));
        let left_out: Vec<u64> = left_out.map(|(key, _)| *key).collect();
        for key in left_out {
            let Some(open) = self.close(key, now) else { continue };
            self.refused += open.lines.len() as u64;
            self.due.remove(&(open.due, key));
        }
    }

    /// Takes a request away.
    fn close(&mut self, key: u64, now: Timestamp) -> Option<Open> {
        let open = self.open.remove(&key)?;
        self.let_go((open.owner, open.lines.len() + LINES_OF_REQUEST), now);
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
            if let Some(Open { lines, others, .. }) = open {
                others.note(at, lines);
            }
        }
    }

    /// When others wrote lines of this request so far; they are company from now on.
    fn of_others(&mut self, (owner, request): (u64, u64), now: Timestamp) -> Marks {
        let mut marks = Marks::default();
        let owners = self.owners.get(&request).map(Vec::as_slice).unwrap_or_default();
        for other in owners.iter().filter(|other| **other != owner) {
            let Some(open) = self.open.get(&key_of(*other, request)) else { continue };
            open.lines.iter().for_each(|(at, _)| marks.note(*at, &[]));
            for (one, whom) in [(owner, *other), (*other, owner)] {
                if let Some(share) = self.shares.get_mut(&one) {
                    share.meets(whom, now);
                }
            }
        }
        marks
    }

    fn let_go(&mut self, (owner, gone): (u64, usize), now: Timestamp) {
        self.total = self.total.saturating_sub(gone);
        if let Some(share) = self.shares.get_mut(&owner) {
            share.held = share.held.saturating_sub(gone);
            if share.held == 0 && !share.has_company(now) {
                self.shares.remove(&owner);
            }
        }
    }
}

fn key_of(owner: u64, request: u64) -> u64 {
    hash64(&((u128::from(owner) << 64) | u128::from(request)).to_le_bytes())
}

/// The same for all who have it.
fn is_looked_at(request: u64, level: u32) -> bool {
    fold(request ^ REQUEST, REQUEST).trailing_zeros() >= level
}

const REQUEST: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests;
