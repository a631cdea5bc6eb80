//! Incidents: one for each root and each time it was in trouble, derived from the ledger's rows and from pods that
//! were not ready, so that they are the same however these came in. Only what changed is derived anew.

mod episodes;
mod facts;
mod group;
mod head;
mod member;
mod merged;
mod runs;
mod shared;
mod stages;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;
use whyd_signals::schema::{Incident, IncidentStatus, Link};

use episodes::{Episodes, episodes};
use facts::Facts;
use group::{FORMER, Group, Place};
pub(crate) use member::Member;
use merged::Merged;

use crate::population::Population;
use crate::readiness::Readiness;
use crate::room;
use crate::rules::Rules;

/// Incidents that are kept; the oldest resolved ones of who has most go first and are counted.
const KEPT: usize = 20_000;
/// Members that a group holds; the oldest go first, and their incident goes on to tell of them.
const MEMBERS: usize = 5_000;
/// Of one that lasts twice as many at most whose verdicts stand: it is told by few as well as by many.
const HELD: usize = 500;

/// All groups, each with the incidents that were made of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Incidents {
    #[serde(skip)]
    cluster: String,
    #[serde(skip)]
    rules: Rules,
    groups: BTreeMap<String, Group>,
    /// Which group a member is in, and where.
    places: BTreeMap<String, (String, Place)>,
    dirty: BTreeSet<String>,
    /// Which groups wait for which time.
    due: BTreeSet<(Timestamp, String)>,
    /// Pod uid -> the groups that it is a member of.
    of_pod: BTreeMap<String, BTreeSet<String>>,
    /// Which of them are one.
    merged: Merged,
    all: Arc<Vec<Arc<Incident>>>,
    /// Incidents that went because of the bound.
    pub(crate) dropped: u64,
}

impl Incidents {
    pub(crate) fn new(cluster: &str, rules: Rules) -> Self {
        Self {
            cluster: cluster.to_owned(),
            rules,
            groups: BTreeMap::new(),
            places: BTreeMap::new(),
            dirty: BTreeSet::new(),
            due: BTreeSet::new(),
            of_pod: BTreeMap::new(),
            merged: Merged::default(),
            all: Arc::default(),
            dropped: 0,
        }
    }

    /// Takes the configuration of another, after it was written without and read back.
    pub(crate) fn configure_as(&mut self, other: &Self) {
        self.cluster.clone_from(&other.cluster);
        self.rules.clone_from(&other.rules);
        // Written, each incident came to be there twice.
        let of_groups = self.groups.values_mut().flat_map(|g| &mut g.made);
        for made in of_groups.chain(self.merged.made()) {
            let place = self.all.binary_search_by(|i| (i.opened_at, &i.id).cmp(&(made.opened_at, &made.id)));
            if let Some(known) = place.ok().and_then(|at| self.all.get(at)).filter(|known| *known == made) {
                *made = Arc::clone(known);
            }
        }
    }

    /// All incidents, in order of opening.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Incident>>> {
        Arc::clone(&self.all)
    }

    /// Whether something is to be derived anew.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let is_due = self.due.first().is_some_and(|(at, _)| *at <= now);
        !self.dirty.is_empty() || is_due || self.merged.is_due(now)
    }

    /// The cluster was heard: what only waited for that may be over.
    pub(crate) fn heard(&mut self) {
        let waiting = self.due.range((Timestamp::MAX, String::new())..);
        self.dirty.extend(waiting.map(|(_, key)| key.clone()));
    }

    /// The readiness of a pod changed: what it is a member of may be over, or not any more.
    pub(crate) fn pod_changed(&mut self, uid: &str) {
        if let Some(keys) = self.of_pod.get(uid) {
            self.dirty.extend(keys.iter().cloned());
        }
    }

    /// Forgets which groups a pod that is gone for good was a member of.
    pub(crate) fn retain_pods(&mut self, known: impl Fn(&str) -> bool) {
        self.of_pod.retain(|uid, _| known(uid));
    }

    /// Lets go of what is known under these ids, since there is no room for it: their incidents go on to tell of them.
    pub(crate) fn let_go<'a>(&mut self, ids: impl Iterator<Item = &'a str>, readiness: &Readiness) {
        let mut of_groups: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
        for (key, place) in ids.filter_map(|id| self.places.remove(id)) {
            of_groups.entry(key).or_default().insert(place);
        }
        for (key, places) in of_groups {
            if let Some(group) = self.groups.get_mut(&key) {
                group.let_go(&key, &places, self.rules.quiet, readiness);
                self.dirty.insert(key);
            }
        }
    }

    /// Sets what is known under this id; `None` takes it away.
    pub(crate) fn put(&mut self, id: &str, member: Option<(String, Member)>) {
        let place = member.as_ref().map(|(key, m)| (key.clone(), (m.at, id.to_owned())));
        // One that was let go is told of already, by whatever it is revised to.
        let let_go =
            |(key, at): &(String, Place)| self.groups.get(key).is_some_and(|g| g.heads.iter().any(|h| h.covers(at)));
        if !self.places.contains_key(id) && place.as_ref().is_some_and(let_go) {
            return;
        }
        let mut led = false;
        if let Some((key, old)) = self.places.get(id).filter(|p| Some(*p) != place.as_ref()).cloned() {
            if let Some(group) = self.groups.get_mut(&key) {
                group.members.remove(&old);
                led = group.led.remove(&old);
            }
            self.places.remove(id);
            self.dirty.insert(key);
        }
        let (Some((key, member)), Some(place)) = (member, place) else { return };
        let group = self.groups.entry(key.clone()).or_default();
        if led {
            group.led.insert(place.1.clone());
        }
        if group.members.get(&place.1) != Some(&member) {
            if !member.pod_uid.is_empty() {
                self.of_pod.entry(member.pod_uid.clone()).or_default().insert(key.clone());
            }
            group.members.insert(place.1.clone(), member);
            self.places.insert(id.to_owned(), place);
            self.dirty.insert(key);
        }
    }

    /// Derives anew what changed and what time ends, as of `now`; whether anything is different. What is one with others is
    /// weighed until `lateness` after it began.
    pub(crate) fn derive(
        &mut self,
        (now, lateness): (Timestamp, Duration),
        readiness: &Readiness,
        population: &Population,
    ) -> bool {
        let mut keys = std::mem::take(&mut self.dirty);
        while self.due.first().is_some_and(|(at, _)| *at <= now) {
            keys.extend(self.due.pop_first().map(|(_, key)| key));
        }
        // A row may have moved from one group to another: all that is old goes before anything new comes.
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        let mut known = BTreeMap::new();
        for key in keys {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            let quiet = self.rules.quiet;
            let mut let_go = BTreeSet::new();
            if group.members.len() > 2 * HELD {
                let_go = group.condense(&key, (HELD, now.minus(lateness)), quiet, readiness);
            }
            if group.members.len() > MEMBERS {
                let_go.append(&mut group.keep(&key, MEMBERS, quiet, readiness));
            }
            for (_, id) in let_go {
                self.places.remove(&id);
            }
            let forgotten = group.forget(now, quiet, readiness);
            if let Some(at) = group.due.take() {
                self.due.remove(&(at, key.clone()));
            }
            let Episodes { made, firsts, resolves } =
                episodes(&self.cluster, &self.rules, (&key, group), now, readiness);
            let resolved = resolves.filter(|at| *at > now);
            if let Some(at) = resolved.into_iter().chain(forgotten).min() {
                group.due = Some(at);
                self.due.insert((at, key.clone()));
            }
            let (made, facts): (Vec<Incident>, Vec<Facts>) = made.into_iter().unzip();
            known.extend(made.iter().map(|i| i.id.clone()).zip(facts));
            group.led.extend(firsts);
            if !made.iter().eq(group.made.iter().map(AsRef::as_ref)) {
                let made: Vec<Arc<Incident>> = made.into_iter().map(Arc::new).collect();
                come.extend(made.iter().cloned());
                gone.extend(std::mem::replace(&mut group.made, made));
            }
            if group.members.is_empty() && group.heads.is_empty() {
                self.groups.remove(&key);
            }
        }
        self.merge((now, lateness), population, known, &mut gone, &mut come);
        let changed = !gone.is_empty() || !come.is_empty();
        if changed {
            replace(&mut self.all, &gone, come);
        }
        self.keep(KEPT);
        changed
    }

    /// Drops what is more than so many: of the teams that have most the oldest resolved ones, then the oldest.
    fn keep(&mut self, kept: usize) {
        let over = self.all.len().saturating_sub(kept);
        if over == 0 {
            return;
        }
        let mut gives = room::gives(self.all.iter().map(|i| &i.team), over);
        let mut dropped: BTreeSet<String> = BTreeSet::new();
        let of_old = self.all.iter().filter(|i| i.status == IncidentStatus::Resolved);
        for incident in of_old.chain(self.all.iter().filter(|i| i.status == IncidentStatus::Open)) {
            if let Some(left) = gives.get_mut(&incident.team).filter(|left| **left > 0) {
                *left -= 1;
                dropped.insert(incident.id.clone());
            }
        }
        self.dropped += dropped.len() as u64;
        let all = Arc::make_mut(&mut self.all);
        all.retain(|incident| !dropped.contains(&incident.id));
        // What they were made of is told by itself again.
        for part in all.iter_mut().filter(|i| i.part_of.as_ref().is_some_and(|whole| dropped.contains(&whole.id))) {
            Arc::make_mut(part).part_of = None;
        }
    }

    /// Finds which incidents are one, by what is known of those that were derived anew, and says so in them.
    fn merge(
        &mut self,
        times: (Timestamp, Duration),
        population: &Population,
        known: BTreeMap<String, Facts>,
        gone: &mut Vec<Arc<Incident>>,
        come: &mut Vec<Arc<Incident>>,
    ) {
        let moved: BTreeSet<String> = gone.iter().map(|i| i.id.clone()).collect();
        for id in moved.iter().filter(|id| !known.contains_key(*id)) {
            self.merged.put(id, None);
        }
        for (id, facts) in known {
            self.merged.put(&id, Some(facts));
        }
        let weighed = self.merged.weigh(&self.cluster, times, self.rules.quiet, population);
        gone.extend(weighed.gone);
        let fresh: BTreeSet<String> = come.iter().map(|i| i.id.clone()).collect();
        let touched: Vec<&String> = moved.iter().chain(&fresh).chain(&weighed.parts).collect();
        let of_them = touched.into_iter().flat_map(|id| self.merged.wholes_of(id)).cloned();
        let wholes: BTreeSet<String> = of_them.chain(weighed.wholes).collect();
        // Whether others of it are suppressed, too, says how one is told.
        let siblings: BTreeSet<&String> = wholes.iter().flat_map(|whole| self.merged.parts_of(whole)).collect();
        let of_others: BTreeSet<&String> = siblings.into_iter().chain(&weighed.parts).collect();
        let of_others = of_others.into_iter().filter(|id| !fresh.contains(*id));
        let parts: Vec<Arc<Incident>> = of_others.filter_map(|id| self.made(id)).collect();
        let groups = &self.groups;
        let (mut not_any_more, mut anew) = (Vec::new(), BTreeMap::new());
        for id in wholes {
            let made = |part: &str, facts: &Facts| {
                let of_group = groups.get(&facts.group)?.made.iter();
                of_group.into_iter().find(|i| i.id == part).cloned()
            };
            if let Some((old, new)) = self.merged.tell(&id, made) {
                not_any_more.extend(old);
                anew.extend(new.map(|new| (id, new)));
            }
        }
        let around: BTreeSet<&String> =
            parts.iter().chain(come.iter()).flat_map(|part| self.merged.wholes_of(&part.id)).collect();
        // One that was dropped tells of nothing until it is told anew.
        let is_there = |id: &String| anew.contains_key(id) || self.merged.shown(id).is_some_and(|made| self.has(made));
        let dropped: BTreeSet<String> = around.iter().filter(|id| !is_there(id)).map(|id| (*id).clone()).collect();
        let hidden = around.into_iter().filter(|whole| self.is_hidden(whole)).chain(&dropped).cloned().collect();
        let told_with = |part: &Incident| {
            let left_out: &BTreeSet<String> = if part.suppressed_by.is_some() { &dropped } else { &hidden };
            self.merged.told_with(&part.id, &part.team, left_out)
        };
        let is_told_otherwise = |part: &Incident| {
            let place = self.all.binary_search_by(|i| (i.opened_at, &i.id).cmp(&(part.opened_at, &part.id)));
            let shown = place.ok().and_then(|at| self.all.get(at));
            shown.is_some_and(|shown| shown.part_of.as_ref().map(|whole| &whole.id) != told_with(part))
        };
        come.extend(parts.into_iter().filter(|part| weighed.parts.contains(&part.id) || is_told_otherwise(part)));
        let mut links: BTreeMap<&String, Option<Link>> = BTreeMap::new();
        for part in come.iter_mut() {
            let whole = told_with(part);
            let part_of = whole.and_then(|id| links.entry(id).or_insert_with(|| self.merged.link_to(id)).clone());
            if part.part_of != part_of {
                *part = Arc::new(Incident { part_of, ..Incident::clone(part) });
            }
        }
        gone.extend(not_any_more);
        come.extend(anew.into_values());
    }

    /// Whether it is among all.
    fn has(&self, incident: &Incident) -> bool {
        self.all.binary_search_by(|i| (i.opened_at, &i.id).cmp(&(incident.opened_at, &incident.id))).is_ok()
    }

    /// Whether nobody is to be told of an incident that is made of others.
    fn is_hidden(&self, whole: &str) -> bool {
        let parts: Vec<Arc<Incident>> = self.merged.parts_of(whole).filter_map(|part| self.made(part)).collect();
        whole::is_hidden(&parts)
    }

    /// An incident as its group made it.
    fn made(&self, id: &str) -> Option<Arc<Incident>> {
        let group = self.groups.get(self.merged.group(id)?)?;
        group.made.iter().find(|i| i.id == id).cloned()
    }
}

/// Puts incidents in the place of others, in order of opening.
fn replace(all: &mut Arc<Vec<Arc<Incident>>>, old: &[Arc<Incident>], new: Vec<Arc<Incident>>) {
    let all = Arc::make_mut(all);
    let place = |all: &[Arc<Incident>], of: &Incident| {
        all.binary_search_by(|i| (i.opened_at, &i.id).cmp(&(of.opened_at, &of.id)))
    };
    for incident in old {
        if let Ok(at) = place(all, incident) {
            all.remove(at);
        }
    }
    for incident in new {
        match place(all, &incident) {
            Ok(at) => all[at] = incident,
            Err(at) => all.insert(at, incident),
        }
    }
}

/// 128 bits of FNV-1a over the parts: the same in every process and version.
fn stable_id(parts: &[&str]) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = parts.iter().flat_map(|p| p.bytes().chain([0]));
    let hash = bytes.fold(OFFSET, |h, b| (h ^ u128::from(b)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

/// The incidents that would be made under other rules, from what is known now.
impl Incidents {
    pub(crate) fn under(&self, rules: &Rules, now: Timestamp, readiness: &Readiness) -> Vec<Incident> {
        let of = |(key, group): (&String, &Group)| episodes(&self.cluster, rules, (key, group), now, readiness).made;
        let mut all: Vec<Incident> = self.groups.iter().flat_map(of).map(|(incident, _)| incident).collect();
        all.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
        all
    }
}

#[cfg(test)]
mod tests;
