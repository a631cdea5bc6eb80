//! Which incidents are one: those of one team, or of all, that died of the same close in time and share something beyond
//! chance; and those of several teams that name one root.
//!
//! Incidents of one pool lie in order of opening; a run of them is what began close in time, and a piece of it where it is
//! long. Only the runs around what changed are weighed anew, and each once more when what may come late has come: from then on its figures stand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::schema::{Incident, Link};
use whyd_signals::{Team, Timestamp};

use super::facts::{Facts, Known, by_id};
use super::runs::around;
use super::shared::Scope;
use super::stages::Stages;
use super::whole::{Bond, Whole};
use super::{FORMER, Place};
use crate::population::{LEAST, Population};

/// What begins no later than this after the one before began close to it.
const WITHIN: Duration = Duration::from_secs(600);

/// Among which incidents something shared is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Pool {
    /// Those of a team, or of all, that died of the same.
    Cause { team: Option<Team>, class: String },
    /// Those of all teams that have this root.
    Root { kind: String, namespace: String, name: String },
}

/// Incidents of one pool that began close in time, by the first of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    last: Place,
    /// Ids of what is made of it.
    wholes: Vec<String>,
    due: Option<Timestamp>,
}

/// What changed by weighing.
#[derive(Debug, Default)]
pub(super) struct Weighed {
    /// Incidents that are no more.
    pub(super) gone: Vec<Arc<Incident>>,
    /// Ids of those that are new, or made of others than before.
    pub(super) wholes: BTreeSet<String>,
    /// Ids of incidents that may be part of others than before.
    pub(super) parts: BTreeSet<String>,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Merged {
    #[serde(with = "by_id")]
    facts: BTreeMap<String, Arc<Known>>,
    pools: BTreeMap<Pool, BTreeSet<Place>>,
    runs: BTreeMap<Pool, BTreeMap<Place, Run>>,
    wholes: BTreeMap<String, Whole>,
    /// Incident -> what it is a part of.
    of: BTreeMap<String, BTreeSet<String>>,
    dirty: BTreeSet<(Pool, Place)>,
    due: BTreeSet<(Timestamp, Pool, Place)>,
    /// Where runs begin that were weighed while not all pods were known.
    blind: BTreeSet<(Pool, Place)>,
    /// How close what was weighed had to begin.
    reach: Duration,
    /// How far the newest of a pool were gone through.
    #[serde(skip)]
    stages: Stages,
}

fn pools(facts: &Facts) -> Vec<Pool> {
    let class = facts
        .class
        .iter()
        .flat_map(|class| [Some(facts.team.clone()), None].map(|team| Pool::Cause { team, class: class.clone() }));
    let root = facts.root.iter().map(|root| Pool::Root {
        kind: root.kind.clone(),
        namespace: root.namespace.clone(),
        name: root.name.clone(),
    });
    class.chain(root).collect()
}

impl Merged {
    /// Sets what is known of an incident; `None`: it is no more.
    pub(super) fn put(&mut self, id: &str, facts: Option<Facts>) {
        if self.facts.get(id).map(|known| &known.facts) == facts.as_ref() {
            return;
        }
        if let Some(old) = self.facts.remove(id) {
            let place = (old.facts.opened, id.to_owned());
            for pool in pools(&old.facts) {
                self.stages.change(&pool, &place);
                if let Some(places) = self.pools.get_mut(&pool) {
                    places.remove(&place);
                    if places.is_empty() {
                        self.pools.remove(&pool);
                    }
                }
                self.dirty.insert((pool, place.clone()));
            }
        }
        if let Some(new) = facts {
            let place = (new.opened, id.to_owned());
            for pool in pools(&new) {
                self.stages.change(&pool, &place);
                self.pools.entry(pool.clone()).or_default().insert(place.clone());
                self.dirty.insert((pool, place.clone()));
            }
            self.facts.insert(id.to_owned(), Arc::new(Known::new(id, new)));
        }
    }

    /// Whether a run is to be weighed.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        !self.dirty.is_empty() || self.due.first().is_some_and(|(at, ..)| *at <= now)
    }

    /// The group that an incident was made of.
    pub(super) fn group(&self, id: &str) -> Option<&str> {
        self.facts.get(id).map(|known| known.facts.group.as_str())
    }

    /// What an incident is a part of.
    pub(super) fn wholes_of(&self, id: &str) -> impl Iterator<Item = &String> {
        self.of.get(id).into_iter().flatten()
    }

    /// As what an incident that is made of others was told last.
    pub(super) fn shown(&self, whole: &str) -> Option<&Incident> {
        self.wholes.get(whole)?.made.as_deref()
    }

    /// The incidents that were made of others, to be shared with those that are shown.
    pub(super) fn made(&mut self) -> impl Iterator<Item = &mut Arc<Incident>> {
        self.wholes.values_mut().filter_map(|whole| whole.made.as_mut())
    }

    /// Weighs the runs around what changed, and those whose time has come. After so long a quiet an incident is resolved, and
    /// takes in nothing any more.
    pub(super) fn weigh(
        &mut self,
        cluster: &str,
        (now, lateness): (Timestamp, Duration),
        quiet: Duration,
        population: &Population,
    ) -> Weighed {
        let reach = WITHIN.min(quiet).max(Duration::from_secs(1));
        if self.reach != reach {
            self.reach = reach;
            let all = self.pools.iter().flat_map(|(pool, places)| places.iter().map(|at| (pool.clone(), at.clone())));
            self.dirty.extend(all);
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        while self.due.first().is_some_and(|(at, ..)| *at <= now) {
            dirty.extend(self.due.pop_first().map(|(_, pool, first)| (pool, first)));
        }
        if population.is_whole() {
            dirty.append(&mut self.blind);
        }
        let mut before: BTreeMap<String, Whole> = BTreeMap::new();
        // Up to which place, and before which time, nothing is to be looked for any more.
        let mut seen: Option<(Pool, Place, Timestamp)> = None;
        // An incident may have moved from one run to another: all that is old goes before anything new comes.
        let mut fresh: BTreeMap<(Pool, Place), VecDeque<Place>> = BTreeMap::new();
        for (pool, place) in dirty {
            let is_seen =
                |(of, last, covers): &(Pool, Place, Timestamp)| *of == pool && place <= *last && place.0 < *covers;
            if seen.as_ref().is_some_and(is_seen) {
                continue;
            }
            let around = self.pools.get(&pool).map(|places| around(places, &place, reach)).unwrap_or_default();
            let runs = around.pieces;
            let lowest = runs.first().and_then(|run| run.front()).map_or(&place, |first| first.min(&place)).clone();
            let highest = runs.last().and_then(|run| run.back()).map_or(&place, |last| last.max(&place)).clone();
            self.forget(&pool, &lowest, &highest, &mut before);
            let with_first = runs.into_iter().filter_map(|run| Some(((pool.clone(), run.front()?.clone()), run)));
            fresh.extend(with_first);
            seen = Some((pool, highest, around.covers));
        }
        for ((pool, _), run) in &fresh {
            self.weigh_run(cluster, pool, run, (now, lateness), population);
        }
        let mut weighed = Weighed::default();
        for (id, old) in before {
            weighed.parts.extend(old.parts.iter().cloned());
            match self.wholes.get_mut(&id) {
                Some(new) => {
                    let is_same = (&new.bond, &new.parts) == (&old.bond, &old.parts);
                    new.made = old.made;
                    if !is_same {
                        weighed.parts.extend(new.parts.iter().cloned());
                        weighed.wholes.insert(id);
                    }
                }
                None => weighed.gone.extend(old.made),
            }
        }
        for (id, whole) in self.wholes.iter().filter(|(_, whole)| whole.made.is_none()) {
            weighed.parts.extend(whole.parts.iter().cloned());
            weighed.wholes.insert(id.clone());
        }
        weighed
    }

    /// Takes away the runs that reach between two places, with what was made of them.
    fn forget(&mut self, pool: &Pool, lowest: &Place, highest: &Place, before: &mut BTreeMap<String, Whole>) {
        let Some(runs) = self.runs.get_mut(pool) else { return };
        let reaching = runs.range(..=highest).rev().take_while(|(_, run)| run.last >= *lowest);
        let firsts: Vec<Place> = reaching.map(|(first, _)| first.clone()).collect();
        let taken: Vec<(Place, Run)> = firsts.into_iter().filter_map(|f| runs.remove(&f).map(|run| (f, run))).collect();
        if runs.is_empty() {
            self.runs.remove(pool);
        }
        for (first, run) in taken {
            if let Some(at) = run.due {
                self.due.remove(&(at, pool.clone(), first));
            }
            for id in run.wholes {
                let Some(whole) = self.wholes.remove(&id) else { continue };
                for part in &whole.parts {
                    if let Some(of) = self.of.get_mut(part) {
                        of.remove(&id);
                        if of.is_empty() {
                            self.of.remove(part);
                        }
                    }
                }
                before.insert(id, whole);
            }
        }
    }

    fn weigh_run(
        &mut self,
        cluster: &str,
        pool: &Pool,
        run: &VecDeque<Place>,
        (now, lateness): (Timestamp, Duration),
        population: &Population,
    ) {
        let members: Vec<Arc<Known>> = run.iter().filter_map(|(_, id)| self.facts.get(id).cloned()).collect();
        let (Some(first), Some(last)) = (run.front().cloned(), run.back().cloned()) else { return };
        let workloads: BTreeSet<&str> =
            members.iter().flat_map(|known| &known.facts.pods).map(|had| had.workload.as_str()).collect();
        let teams: BTreeSet<&Team> = members.iter().map(|known| &known.facts.team).collect();
        let mut due = None;
        let found: Vec<(Bond, BTreeSet<String>)> = match pool {
            Pool::Cause { team: None, .. } if teams.len() < 2 => return,
            Pool::Cause { team, .. } if workloads.len() as u64 >= LEAST => {
                due = Some(last.0.plus(lateness)).filter(|at| *at > now);
                if !population.is_whole() {
                    self.blind.insert((pool.clone(), first.clone()));
                }
                let scope = Scope { team: team.clone(), reach: self.reach };
                // What came long enough ago is seldom told anew.
                let stays = due.is_some().then(|| last.0.minus(lateness));
                let found = self.stages.go_through((pool, scope), &first, &members, stays, population).into_iter();
                found.map(|f| (Bond::Shared(f.shared, f.figures), f.parts)).collect()
            }
            Pool::Root { .. } if teams.len() > 1 => {
                vec![(Bond::Root, members.iter().map(|known| known.id.as_ref().to_owned()).collect())]
            }
            _ => return,
        };
        let mut wholes = Vec::new();
        for (bond, parts) in found {
            // Of one thing the next begins later than this after the one before: no two have the same. When the first of them
            // turns out to be of something else, the others still began then.
            let reach = i64::try_from(self.reach.as_nanos()).unwrap_or(i64::MAX).max(1);
            let begun = run.iter().filter(|(_, id)| parts.contains(id)).map(|(at, _)| at.0.div_euclid(reach));
            let mut periods: Vec<i64> = begun.collect();
            periods.dedup();
            let mut ids = periods.iter().map(|period| Whole::id(cluster, pool, &bond, &period.to_string()));
            let Some(id) = ids.next() else { continue };
            // Before the first of them was found it began in one of the others.
            let formerly = ids.take(FORMER).collect();
            for part in &parts {
                self.of.entry(part.clone()).or_default().insert(id.clone());
            }
            self.wholes.insert(id.clone(), Whole { pool: pool.clone(), bond, parts, formerly, made: None });
            wholes.push(id);
        }
        if let Some(at) = due {
            self.due.insert((at, pool.clone(), first.clone()));
        }
        if due.is_some() || !wholes.is_empty() {
            self.runs.entry(pool.clone()).or_default().insert(first, Run { last, wholes, due });
        }
    }

    /// What an incident is made of.
    pub(super) fn parts_of(&self, whole: &str) -> impl Iterator<Item = &String> {
        self.wholes.get(whole).into_iter().flat_map(|whole| &whole.parts)
    }

    /// By which incident this one of that team is told with others: the team's own before one of several teams, and none of
    /// those that are left out.
    pub(super) fn told_with(&self, id: &str, team: &Team, left_out: &BTreeSet<String>) -> Option<&String> {
        let is_own = |whole: &Whole| matches!(&whole.pool, Pool::Cause { team: Some(of), .. } if of == team);
        let wholes = self.wholes_of(id).filter(|whole| !left_out.contains(*whole));
        let wholes = wholes.filter_map(|whole| Some((whole, self.wholes.get(whole)?)));
        wholes.min_by_key(|(id, whole)| (!is_own(whole), *id)).map(|(id, _)| id)
    }

    /// What an incident says that is a part of this one.
    pub(super) fn link_to(&self, whole: &str) -> Option<Link> {
        self.wholes.get(whole).map(|of| self.link(whole, of))
    }

    fn link(&self, id: &str, whole: &Whole) -> Link {
        let teams = whole.parts.iter().filter_map(|part| Some(self.facts.get(part)?.facts.team.clone()));
        let teams: BTreeSet<Team> = teams.chain([whole.team()]).collect();
        Link { id: id.to_owned(), team: whole.team(), teams: teams.into_iter().collect() }
    }

    /// What a team's own whole is a part of in turn.
    fn part_of_whole(&self, whole: &Whole) -> Option<Link> {
        if !matches!(&whole.pool, Pool::Cause { team: Some(_), .. }) {
            return None;
        }
        let wider = whole.parts.iter().flat_map(|part| self.wholes_of(part));
        let wider = wider.filter_map(|id| Some((id, self.wholes.get(id)?)));
        let is_wider = |(_, other): &(&String, &Whole)| !matches!(&other.pool, Pool::Cause { team: Some(_), .. });
        let (id, other) = wider.filter(is_wider).min_by_key(|(id, _)| *id)?;
        Some(self.link(id, other))
    }

    /// Tells a whole anew, of its parts as they are: what it was told as and what it is, where that differs.
    pub(super) fn tell(
        &mut self,
        id: &str,
        part: impl Fn(&str, &Facts) -> Option<Arc<Incident>>,
    ) -> Option<(Option<Arc<Incident>>, Option<Arc<Incident>>)> {
        let whole = self.wholes.get(id)?;
        let known = |part_id: &String| part(part_id, &self.facts.get(part_id)?.facts);
        let mut parts: Vec<Arc<Incident>> = whole.parts.iter().filter_map(known).collect();
        parts.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
        let new = whole.incident(id, &parts, self.part_of_whole(whole)).map(Arc::new);
        let whole = self.wholes.get_mut(id)?;
        if new == whole.made {
            return None;
        }
        Some((std::mem::replace(&mut whole.made, new.clone()), new))
    }
}

#[cfg(test)]
mod tests;
