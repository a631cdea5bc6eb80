//! What is kept of the oldest members of a time of trouble when they are let go: what it began with, who speaks for all, and
//! what they count for. So its id, its beginning, its words and its numbers stay, however long it lasts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::episodes::NAMED;
use super::facts::{Had, PODS, had_of};
use super::{Member, Place};
use crate::cause::INSUFFICIENT;
use crate::readiness::Readiness;

/// The members that went, as one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    /// The first of all, the first whose own trouble it is and the first whose cause is known.
    pub(super) kept: BTreeMap<Place, Member>,
    /// Up to where members went.
    last: Place,
    /// How many ended, those that are kept not among them.
    pub(super) ends: usize,
    /// Whether one never started.
    pub(super) never_started: bool,
    /// The first of their names.
    pub(super) names: Vec<String>,
    /// What the first of their pods had, each with what it died of.
    pub(super) had: Vec<(String, Had)>,
    /// When their trouble was over, but for those that are open.
    over: Timestamp,
    /// Pods that were not well when they went, and since when.
    open: BTreeMap<String, Timestamp>,
}

impl Head {
    /// A head that holds this member of a group.
    pub(super) fn of(group: &str, place: Place, member: Member, readiness: &Readiness) -> Self {
        let mut head = Self {
            kept: BTreeMap::new(),
            last: place.clone(),
            ends: 0,
            never_started: false,
            names: Vec::new(),
            had: Vec::new(),
            over: Timestamp::MIN,
            open: BTreeMap::new(),
        };
        head.take(group, place, member, readiness);
        head
    }

    /// Takes in one more.
    pub(super) fn take(&mut self, group: &str, place: Place, member: Member, readiness: &Readiness) {
        self.last = self.last.clone().max(place.clone());
        match (member.until, member.pod_uid.as_str()) {
            (until, "") => self.over = self.over.max(until.unwrap_or(member.at)),
            (until, uid) => {
                let at = self.open.entry(uid.to_owned()).or_insert(member.at);
                *at = until.unwrap_or(member.at).max(*at);
                self.settle(readiness);
            }
        }
        if self.names.len() < NAMED && !self.names.contains(&member.name) {
            self.names.push(member.name.clone());
        }
        if let Some((class, had)) = had_of(group, &member) {
            let has_room = self.had.len() < PODS;
            let known =
                self.had.iter_mut().find(|(c, h)| (c, &h.workload, &h.pod) == (&class, &had.workload, &had.pod));
            if let Some((_, known)) = known {
                known.shares.extend(had.shares);
                known.shares.sort();
                known.shares.dedup();
            } else if has_room {
                self.had.push((class, had));
            }
        }
        let has = |is: &dyn Fn(&Member) -> bool| self.kept.values().any(is);
        let is_certain = |m: &Member| m.cause != INSUFFICIENT;
        let is_first = self.kept.first_key_value().is_none_or(|(first, _)| place < *first);
        if is_first || member.own && !has(&|m| m.own) || is_certain(&member) && !has(&is_certain) {
            self.kept.insert(place, member);
        } else {
            self.ends += usize::from(member.ended);
            self.never_started |= member.never_started;
        }
    }

    /// Whether a member of this place went, or would have.
    pub(super) fn covers(&self, place: &Place) -> bool {
        self.kept.first_key_value().is_some_and(|(first, _)| first <= place) && *place <= self.last
    }

    /// From where to where members went.
    pub(super) fn range(&self) -> (Place, Place) {
        let first = self.kept.first_key_value().map_or_else(|| self.last.clone(), |(first, _)| first.clone());
        (first, self.last.clone())
    }

    /// Takes note of pods that are well by now.
    pub(super) fn settle(&mut self, readiness: &Readiness) {
        let over = &mut self.over;
        self.open.retain(|uid, at| {
            let well = readiness.recovered(uid, *at);
            *over = (*over).max(well.unwrap_or(Timestamp::MIN));
            well.is_none()
        });
    }

    /// When their trouble was over; `None`: it is not.
    pub(super) fn over(&self, readiness: &Readiness) -> Option<Timestamp> {
        self.open.iter().try_fold(self.over, |over, (uid, at)| Some(over.max(readiness.recovered(uid, *at)?)))
    }
}
