//! What the workloads of a few incidents share beyond chance, held against all others that were there then.
//!
//! Workloads are counted and not pods. Of `there`, `having` have a thing; of the `troubled` among them, `both`. If trouble had
//! chosen at random, so many or more would have it with a chance that is hypergeometric (Fisher's exact test), times the things
//! that could have stood out (Bonferroni). A node or zone has to stand out among the pods of the workloads in trouble as well.
//!
//! A run of incidents is gone through in the order in which they began. At each instant what began shortly before is weighed: what
//! passes is one from then on. It takes in what has the thing and comes soon enough after its last, without being weighed again,
//! and gives way only to a thing that all of it has and more besides, less likely by chance. So who comes later and has nothing
//! in common undoes nothing, and all follows from the incidents alone, however they came in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::schema::{Shared, Sharing};
use whyd_signals::{Team, Timestamp};

use super::facts::Known;
use super::whole::root_of;
use crate::exact::Factorials;
use crate::population::{LEAST, Population, Span};

/// No more likely than this by chance is one trouble.
const CHANCE: f64 = 0.01;
/// What began longer before than this is no evidence of one trouble.
const SPAN: Duration = Duration::from_secs(1800);
/// What the pods of one workload may differ in.
const VARIES: [Sharing; 2] = [Sharing::Node, Sharing::Zone];

/// The numbers behind it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// In trouble and having it.
    pub(super) both: u64,
    pub(super) having: u64,
    pub(super) troubled: u64,
    pub(super) there: u64,
    pub(super) chance: f64,
}

/// A thing that some of the incidents share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) shared: Shared,
    pub(super) figures: Figures,
    /// Their ids.
    pub(super) parts: BTreeSet<String>,
}

/// When an incident began, and its id.
type Place = (Timestamp, Arc<str>);
/// Incidents, in the order in which they began.
type Incidents = BTreeMap<Place, Arc<Known>>;

/// Which incidents are looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scope {
    /// `None`: those of all teams; what one team alone has is not looked for.
    pub(super) team: Option<Team>,
    /// What is one takes in nothing that begins later than this after its last.
    pub(super) reach: Duration,
}

impl Scope {
    /// Whether an incident has a thing that may be to blame. What its verdict names as its root is told of all teams by that
    /// already.
    fn is_to_blame(&self, known: &Known, shared: &Shared) -> bool {
        let named = known.facts.root.as_ref().filter(|_| self.team.is_none());
        named.is_none_or(|root| {
            let thing = root_of(shared);
            (&thing.kind, &thing.namespace, &thing.name) != (&root.kind, &root.namespace, &root.name)
        })
    }

    /// What an incident has that may be to blame, each with its workloads that have it.
    fn things<'a>(&self, known: &'a Known) -> impl Iterator<Item = (&'a Arc<Shared>, &'a BTreeSet<Arc<str>>)> {
        known.things.iter().filter(move |(shared, _)| self.is_to_blame(known, shared))
    }

    /// Its workloads that have a thing.
    fn having<'a>(&self, known: &'a Known, thing: &Shared) -> Option<&'a BTreeSet<Arc<str>>> {
        known.things.get(thing).filter(|_| self.is_to_blame(known, thing))
    }
}

/// Incidents that are one.
#[derive(Debug, Clone)]
struct One {
    shared: Arc<Shared>,
    parts: Incidents,
    /// Those that had begun shortly before it was one, and do not have the thing.
    others: Incidents,
    /// What all of it has, with no fewer than as many of its workloads as have it.
    common: BTreeMap<Arc<Shared>, u64>,
    /// By what it was one.
    chance: f64,
    /// `None`: since they were counted it took in more.
    figures: Option<Figures>,
    last: Timestamp,
}

/// Incidents that have a thing and are of nothing yet.
#[derive(Debug, Clone, Default)]
struct Having {
    parts: Incidents,
    /// The workloads of them that have it, each with how many of the incidents it is in.
    workloads: BTreeMap<Arc<str>, u64>,
}

/// How far the incidents of one class that began close in time were gone through: which are one, by what they share. No
/// incident is of two things: the least likely by chance takes it.
#[derive(Debug, Clone)]
pub(super) struct Course {
    scope: Scope,
    looked_at: u64,
    /// Those that began shortly before and are of nothing yet.
    left: Incidents,
    /// Which of them have a thing.
    sharing: BTreeMap<Arc<Shared>, Having>,
    grows: Vec<One>,
    /// What takes in nothing any more.
    over: Vec<One>,
}

impl Course {
    /// Nothing is gone through.
    pub(super) fn new(scope: Scope, population: &Population) -> Self {
        let looked_at = population.looked_at(scope.team.as_ref());
        Self { scope, looked_at, left: BTreeMap::new(), sharing: BTreeMap::new(), grows: Vec::new(), over: Vec::new() }
    }

    /// Whether to go on from here is to have gone through all of it now, but for what changed of the population.
    pub(super) fn is_of(&self, scope: &Scope, population: &Population) -> bool {
        self.scope == *scope && self.looked_at == population.looked_at(scope.team.as_ref())
    }

    /// Takes in what began at one instant, later than all before.
    pub(super) fn go_on(&mut self, at_once: &[Arc<Known>], against: &mut Against<'_>) {
        let Some(now) = at_once.first().map(|known| known.facts.opened) else { return };
        let reach = self.scope.reach;
        for mut one in self.grows.extract_if(.., |one| one.last.plus(reach) < now) {
            one.figures = Some(against.figures_of(&self.scope, self.looked_at, &one));
            self.over.push(one);
        }
        while let Some((place, known)) = self.left.first_key_value()
            && place.0 < now.minus(SPAN)
        {
            let (place, known) = (place.clone(), Arc::clone(known));
            self.take(&place, &known);
        }
        let mut things: BTreeSet<Arc<Shared>> = BTreeSet::new();
        for known in at_once {
            let place = (now, Arc::clone(&known.id));
            things.extend(self.scope.things(known).map(|(shared, _)| Arc::clone(shared)));
            let scope = &self.scope;
            let having = self.grows.iter_mut().filter(|one| scope.having(known, &one.shared).is_some());
            match having.min_by(|a, b| a.chance.total_cmp(&b.chance).then(a.shared.cmp(&b.shared))) {
                Some(one) => one.take_in(place, known, scope),
                None => self.enter(place, known),
            }
        }
        loop {
            let mut best: Option<One> = None;
            for shared in &things {
                // Of two as likely the first stays.
                let found = self.weigh(shared, now, against);
                best = match (best, found) {
                    (Some(best), Some(found)) if found.chance < best.chance => Some(found),
                    (best, found) => best.or(found),
                };
            }
            let Some(best) = best else { return };
            for (place, known) in &best.parts {
                self.take(place, known);
            }
            self.grows.retain(|one| !one.parts.keys().all(|place| best.parts.contains_key(place)));
            self.grows.push(best);
        }
    }

    fn enter(&mut self, place: Place, known: &Arc<Known>) {
        for (shared, workloads) in self.scope.things(known) {
            let having = self.sharing.entry(Arc::clone(shared)).or_default();
            having.parts.insert(place.clone(), Arc::clone(known));
            for workload in workloads {
                *having.workloads.entry(Arc::clone(workload)).or_default() += 1;
            }
        }
        self.left.insert(place, Arc::clone(known));
    }

    fn take(&mut self, place: &Place, known: &Known) {
        if self.left.remove(place).is_none() {
            return;
        }
        for (shared, workloads) in self.scope.things(known) {
            let Some(having) = self.sharing.get_mut(shared) else { continue };
            having.parts.remove(place);
            if having.parts.is_empty() {
                self.sharing.remove(shared);
                continue;
            }
            for workload in workloads {
                if let Some(n) = having.workloads.get_mut(workload) {
                    *n -= 1;
                    if *n == 0 {
                        having.workloads.remove(workload);
                    }
                }
            }
        }
    }

    /// Those that have a thing, if they are one. What costs little is asked first: whether enough have it at all.
    fn weigh(&self, shared: &Arc<Shared>, now: Timestamp, against: &mut Against<'_>) -> Option<One> {
        let own = self.sharing.get(shared);
        let (mut len, mut with) = own.map_or((0, 0), |own| (own.parts.len(), own.workloads.len() as u64));
        let mut first = self.left.first_key_value().map(|((at, _), _)| *at);
        let (mut bound, mut most) = (1.0_f64, 1);
        for one in &self.grows {
            // One that is told already takes in by itself.
            if one.shared == *shared {
                return None;
            }
            let Some(workloads) = one.common.get(shared) else { continue };
            len += one.parts.len();
            with += workloads;
            (bound, most) = (bound.min(one.chance), most.max(one.parts.len()));
            let began = one.parts.first_key_value().map(|((at, _), _)| *at);
            first = first.into_iter().chain(began).min();
        }
        // One incident is not told with others, whatever it holds.
        if len <= most || with < LEAST {
            return None;
        }
        let span = (first.unwrap_or(now).max(now.minus(SPAN)), now);
        // One that most of those who have it bear is not to blame; there are no fewer of them than are known to have it.
        if with * 2 < against.population.sharing(shared, self.scope.team.as_ref(), span, &BTreeSet::new()) {
            return None;
        }
        let mut parts = own.map_or_else(Incidents::new, |own| own.parts.clone());
        for one in self.grows.iter().filter(|one| one.common.contains_key(shared)) {
            parts.extend(one.parts.iter().map(|(place, known)| (place.clone(), Arc::clone(known))));
        }
        let teams = || parts.values().map(|known| &known.facts.team).collect::<BTreeSet<_>>().len();
        if self.scope.team.is_none() && teams() < 2 {
            return None;
        }
        let others = self.left.iter().filter(|(place, _)| !parts.contains_key(*place));
        let others: Incidents = others.map(|(place, known)| (place.clone(), Arc::clone(known))).collect();
        let counted = against.count(&self.scope, shared, (&parts, &others), now);
        if counted.with < LEAST || counted.with * 2 < counted.having {
            return None;
        }
        let (most, bound) = (CHANCE, if most == 1 { f64::INFINITY } else { bound });
        let is_one = |chance: f64| chance <= most && chance < bound;
        let figures = against.figures(&self.scope, self.looked_at, shared, &counted, (&parts, &others), &is_one)?;
        let mut one = One {
            shared: Arc::clone(shared),
            parts: BTreeMap::new(),
            others,
            common: BTreeMap::new(),
            chance: figures.chance,
            figures: None,
            last: now,
        };
        for (place, known) in parts {
            one.take_in(place, &known, &self.scope);
        }
        (one.last, one.figures) = (now, Some(figures));
        Some(one)
    }

    /// What was found so far.
    pub(super) fn found(&self, against: &mut Against<'_>) -> Vec<Found> {
        let mut found = Vec::new();
        for one in self.over.iter().chain(&self.grows) {
            let figures = against.figures_of(&self.scope, self.looked_at, one);
            let parts = one.parts.keys().map(|(_, id)| id.as_ref().to_owned()).collect();
            found.push(Found { shared: Shared::clone(&one.shared), figures, parts });
        }
        found
    }
}

impl One {
    fn take_in(&mut self, place: Place, known: &Arc<Known>, scope: &Scope) {
        self.last = self.last.max(place.0);
        if self.parts.is_empty() {
            let all = scope.things(known);
            self.common = all.map(|(shared, workloads)| (Arc::clone(shared), workloads.len() as u64)).collect();
        } else {
            self.common.retain(|shared, all| {
                let workloads = scope.having(known, shared);
                *all += workloads.map_or(0, |workloads| workloads.len() as u64);
                workloads.is_some()
            });
        }
        self.parts.insert(place, Arc::clone(known));
        self.figures = None;
    }
}

/// Against what they are held.
pub(super) struct Against<'a> {
    population: &'a Population,
    factorials: Factorials,
}

impl<'a> Against<'a> {
    /// The workloads that there are.
    pub(super) fn new(population: &'a Population) -> Self {
        Self { population, factorials: Factorials::upto(0) }
    }

    fn count<'k>(
        &self,
        scope: &Scope,
        shared: &Shared,
        (parts, others): (&'k Incidents, &'k Incidents),
        last: Timestamp,
    ) -> Counted<'k> {
        let firsts = parts.first_key_value().into_iter().chain(others.first_key_value());
        let first = firsts.map(|((at, _), _)| *at).min().unwrap_or(last);
        let span = (first.max(last.minus(SPAN)), last);
        let of_parts = parts.values().filter_map(|known| scope.having(known, shared)).flatten();
        let with: BTreeSet<&str> = of_parts.map(AsRef::as_ref).collect();
        let having = self.population.sharing(shared, scope.team.as_ref(), span, &with);
        let all = parts.values().chain(others.values()).flat_map(|known| &known.facts.pods);
        let troubled = all.map(|had| had.workload.as_str()).collect();
        Counted { span, with: with.len() as u64, having, troubled }
    }

    /// The figures, where they come to what `is_one` asks of the chance.
    fn figures(
        &mut self,
        scope: &Scope,
        looked_at: u64,
        shared: &Shared,
        counted: &Counted<'_>,
        (parts, others): (&Incidents, &Incidents),
        is_one: &dyn Fn(f64) -> bool,
    ) -> Option<Figures> {
        let there = self.population.workloads(scope.team.as_ref(), counted.span, &counted.troubled);
        let (both, having, troubled) = (counted.with, counted.having.min(there), counted.troubled.len() as u64);
        self.factorials.reach(there);
        let by_chance = self.factorials.tail(both, having, troubled, there);
        let corrected = |by_chance: f64| (by_chance * looked_at as f64).min(1.0);
        let mut chance = corrected(by_chance);
        // Among the pods it is no less likely.
        if !is_one(chance) {
            return None;
        }
        if VARIES.contains(&shared.what) {
            let all = parts.values().chain(others.values()).map(AsRef::as_ref);
            let pods = Pods::of(all, shared, counted.span, self.population);
            self.factorials.reach(pods.all);
            chance = corrected(by_chance.max(pods.chance(&self.factorials)));
        }
        is_one(chance).then_some(Figures { both, having, troubled, there, chance })
    }

    fn figures_of(&mut self, scope: &Scope, looked_at: u64, one: &One) -> Figures {
        if let Some(figures) = one.figures {
            return figures;
        }
        let all = (&one.parts, &one.others);
        let counted = self.count(scope, &one.shared, all, one.last);
        let none = Figures { both: 0, having: 0, troubled: 0, there: 0, chance: 1.0 };
        self.figures(scope, looked_at, &one.shared, &counted, all, &|_| true).unwrap_or(none)
    }
}

struct Counted<'a> {
    span: Span,
    /// Workloads in trouble that have the thing.
    with: u64,
    having: u64,
    troubled: BTreeSet<&'a str>,
}

/// The pods of the workloads in trouble, and how many have a thing: a large workload is on most nodes.
#[derive(Default)]
struct Pods {
    all: u64,
    troubled: u64,
    having: u64,
    both: u64,
}

impl Pods {
    fn of<'a>(
        incidents: impl Iterator<Item = &'a Known>,
        shared: &Shared,
        span: Span,
        population: &'a Population,
    ) -> Self {
        // Of each workload its pods: whether one is in trouble, and whether it has the thing.
        let mut known: BTreeMap<&str, BTreeMap<&str, (bool, bool)>> = BTreeMap::new();
        for facts in incidents.map(|known| &known.facts) {
            for had in &facts.pods {
                let pods = known.entry(had.workload.as_str()).or_insert_with(|| {
                    let there = population.pods_of(&facts.team, &had.workload, span);
                    there.map(|(uid, shares)| (uid, (false, shares.contains(shared)))).collect()
                });
                let (troubled, has) = pods.entry(had.pod.as_str()).or_default();
                *troubled = true;
                *has |= had.shares.contains(shared);
            }
        }
        let mut pods = Self::default();
        for (troubled, has) in known.values().flat_map(BTreeMap::values) {
            pods.all += 1;
            pods.troubled += u64::from(*troubled);
            pods.having += u64::from(*has);
            pods.both += u64::from(*troubled && *has);
        }
        pods
    }

    /// The chance that so many of those in trouble have it, as they do. Where all have it there is nothing to be compared with: 0.
    fn chance(&self, factorials: &Factorials) -> f64 {
        if self.all == self.having { 0.0 } else { factorials.tail(self.both, self.having, self.troubled, self.all) }
    }
}

#[cfg(test)]
mod plain;
#[cfg(test)]
mod tests;
