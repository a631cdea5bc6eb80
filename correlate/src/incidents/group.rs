//! The members of one root, what is kept of those that were let go, and the incidents that were made of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;
use whyd_signals::schema::Incident;

use super::episodes;
use super::head::Head;
use super::member::Member;
use crate::readiness::Readiness;

/// Ids of others that an incident remembers; the newest are kept.
pub(super) const FORMER: usize = 16;

/// A member's place in its group: by time, then by what it is.
pub(super) type Place = (Timestamp, String);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) members: BTreeMap<Place, Member>,
    /// What is kept of those that were let go.
    pub(super) heads: Vec<Head>,
    /// Those of the members that an incident once began with: it was told under an id that is theirs.
    pub(super) led: BTreeSet<Place>,
    pub(super) made: Vec<Arc<Incident>>,
    /// When time alone will change something: its newest trouble will have been over for long enough.
    pub(super) due: Option<Timestamp>,
}

impl Group {
    /// Lets go of these members: their incidents go on to tell of them.
    pub(super) fn let_go(&mut self, key: &str, places: &BTreeSet<Place>, quiet: Duration, readiness: &Readiness) {
        if places.is_empty() {
            return;
        }
        let mut going: Vec<(Option<usize>, Vec<Place>)> = Vec::new();
        for episode in episodes::cut(quiet, self, readiness) {
            let own = episode.members.into_iter().map(|(place, _)| place).filter(|place| places.contains(*place));
            going.push((episode.at.first().copied(), own.cloned().collect()));
        }
        for (mut at, places) in going {
            for place in places {
                let Some(member) = self.members.remove(&place) else { continue };
                match at.and_then(|at| self.heads.get_mut(at)) {
                    Some(head) => head.take(key, place, member, readiness),
                    None => {
                        at = Some(self.heads.len());
                        self.heads.push(Head::of(key, place, member, readiness));
                    }
                }
            }
        }
        for (first, last) in self.heads.iter().map(Head::range) {
            let let_go = |place: &&Place| **place != first && !self.members.contains_key(*place);
            let led: Vec<Place> = self.led.range(&first..=&last).rev().filter(let_go).skip(FORMER).cloned().collect();
            for place in led {
                self.led.remove(&place);
            }
        }
    }

    /// Lets go of the oldest members that are more than so many. What is not over stays: that is one at most of each pod, node or
    /// controller.
    pub(super) fn keep(&mut self, key: &str, kept: usize, quiet: Duration, readiness: &Readiness) -> BTreeSet<Place> {
        let over = self.members.len().saturating_sub(kept);
        let oldest = self.members.iter().filter(|(_, member)| member.until.is_some()).take(over);
        let places: BTreeSet<Place> = oldest.map(|(place, _)| place.clone()).collect();
        self.let_go(key, &places, quiet, readiness);
        places
    }

    /// Lets go of the oldest members that are more than so many and were heard of before a time, but for the last of each incident.
    pub(super) fn condense(
        &mut self,
        key: &str,
        (kept, before): (usize, Timestamp),
        quiet: Duration,
        readiness: &Readiness,
    ) -> BTreeSet<Place> {
        let over = self.members.len().saturating_sub(kept);
        let mut places = BTreeSet::new();
        for episode in episodes::cut(quiet, self, readiness) {
            let old =
                episode.members.iter().rev().skip(1).rev().filter(|(place, member)| place.0.max(member.seen) < before);
            let old = old.filter(|(place, member)| member.until.is_some() && self.members.contains_key(*place));
            places.extend(old.map(|(place, _)| (*place).clone()).take(over - places.len()));
        }
        self.let_go(key, &places, quiet, readiness);
        places
    }

    /// Forgets what no member is held of any more, when it has been resolved for as long again; gives when that is of those
    /// that are not.
    pub(super) fn forget(&mut self, now: Timestamp, quiet: Duration, readiness: &Readiness) -> Option<Timestamp> {
        if self.heads.is_empty() {
            return None;
        }
        self.heads.iter_mut().for_each(|head| head.settle(readiness));
        let ends = |over: Timestamp| {
            let resolves = readiness.quiet_until(over, quiet);
            if readiness.is_known(resolves) { resolves.plus(quiet) } else { Timestamp::MAX }
        };
        let left = episodes::cut(quiet, self, readiness).into_iter().filter(|episode| !episode.is_held);
        let left: Vec<(Vec<usize>, Timestamp)> = left.filter_map(|e| Some((e.at, ends(e.over?)))).collect();
        let gone: Vec<usize> = left.iter().filter(|(_, ends)| *ends <= now).flat_map(|(at, _)| at).copied().collect();
        let mut n = 0;
        let led = &mut self.led;
        self.heads.retain(|head| {
            n += 1;
            let stays = !gone.contains(&(n - 1));
            if !stays {
                let (first, last) = head.range();
                led.retain(|place| *place < first || *place > last);
            }
            stays
        });
        left.into_iter().map(|(_, ends)| ends).filter(|ends| *ends > now).min()
    }
}
