//! The same as it is said, with a look at all each time: what the rest is held against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use whyd_signals::schema::Shared;
use whyd_signals::{Team, Timestamp};

use super::super::facts::{Facts, Had, fits};
use super::super::whole::root_of;
use super::{CHANCE, Figures, SPAN, VARIES};
use crate::exact::Factorials;
use crate::population::{LEAST, Population};

/// A thing that some of the incidents share.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::incidents) struct Found<'a> {
    pub(in crate::incidents) shared: Shared,
    pub(in crate::incidents) figures: Figures,
    /// Their ids.
    pub(in crate::incidents) parts: BTreeSet<&'a str>,
}

/// Incidents, in the order in which they began.
type Incidents<'a> = BTreeMap<(Timestamp, &'a str), &'a Facts>;

/// Which incidents are looked at, and against whom they are held.
#[derive(Clone, Copy)]
pub(in crate::incidents) struct Scope<'a> {
    /// `None`: those of all teams; what one team alone has is not looked for.
    pub(in crate::incidents) team: Option<&'a Team>,
    pub(in crate::incidents) class: &'a str,
    /// What is one takes in nothing that begins later than this after its last.
    pub(in crate::incidents) reach: Duration,
    pub(in crate::incidents) population: &'a Population,
}

impl<'a> Scope<'a> {
    /// What an incident has that may be to blame. What its verdict names as its root is told of all teams by that already.
    fn things(self, facts: &'a Facts) -> impl Iterator<Item = (&'a Had, &'a Shared)> {
        let is_root = move |shared: &Shared| {
            let named = facts.root.as_ref().filter(|_| self.team.is_none());
            named.is_some_and(|root| {
                let thing = root_of(shared);
                (&thing.kind, &thing.namespace, &thing.name) == (&root.kind, &root.namespace, &root.name)
            })
        };
        let all = facts.pods.iter().flat_map(|had| had.shares.iter().map(move |shared| (had, shared)));
        all.filter(move |(_, shared)| fits(shared.what, self.class) && !is_root(shared))
    }

    fn has(self, facts: &'a Facts, thing: &Shared) -> bool {
        self.things(facts).any(|(_, shared)| shared == thing)
    }
}

/// What they share, by as many incidents of one class as began close in time; `members` in the order in which they began. No
/// incident is of two things: the least likely by chance takes it.
pub(in crate::incidents) fn among<'a>(members: &[(&'a str, &'a Facts)], scope: Scope<'a>) -> Vec<Found<'a>> {
    let mut sharing: BTreeMap<&Shared, BTreeSet<&str>> = BTreeMap::new();
    for (had, shared) in members.iter().flat_map(|(_, facts)| scope.things(facts)) {
        sharing.entry(shared).or_default().insert(&had.workload);
    }
    sharing.retain(|_, workloads| workloads.len() as u64 >= LEAST);
    if sharing.is_empty() {
        return Vec::new();
    }
    let mut course = Course {
        scope,
        worth: sharing.into_keys().collect(),
        looked_at: scope.population.looked_at(scope.team) as f64,
        factorials: Factorials::upto(0),
        left: BTreeMap::new(),
        sharing: BTreeMap::new(),
        grows: Vec::new(),
        over: Vec::new(),
    };
    for at_once in members.chunk_by(|a, b| a.1.opened == b.1.opened) {
        course.go_on(at_once);
    }
    course.end()
}

/// Incidents that are one.
struct One<'a> {
    shared: &'a Shared,
    parts: Incidents<'a>,
    /// Those that had begun shortly before it was one, and do not have the thing.
    others: Incidents<'a>,
    chance: f64,
    last: Timestamp,
}

/// How far a run was gone through.
struct Course<'a> {
    scope: Scope<'a>,
    /// Things that enough workloads have, at whatever time.
    worth: BTreeSet<&'a Shared>,
    looked_at: f64,
    factorials: Factorials,
    /// Those that began shortly before and are of nothing yet.
    left: Incidents<'a>,
    /// Which of them have a thing.
    sharing: BTreeMap<&'a Shared, Incidents<'a>>,
    grows: Vec<One<'a>>,
    /// What takes in nothing any more.
    over: Vec<One<'a>>,
}

impl<'a> Course<'a> {
    /// Takes in what began at one instant.
    fn go_on(&mut self, at_once: &[(&'a str, &'a Facts)]) {
        let Some(now) = at_once.first().map(|(_, facts)| facts.opened) else { return };
        let reach = self.scope.reach;
        self.over.extend(self.grows.extract_if(.., |one| one.last.plus(reach) < now));
        while let Some((place, facts)) = self.left.first_key_value().map(|(place, facts)| (*place, *facts))
            && place.0 < now.minus(SPAN)
        {
            self.take(place, facts);
        }
        let mut things: BTreeSet<&'a Shared> = BTreeSet::new();
        for (id, facts) in at_once {
            let place = (facts.opened, *id);
            things.extend(self.scope.things(facts).map(|(_, shared)| shared).filter(|s| self.worth.contains(*s)));
            let having = self.grows.iter_mut().filter(|one| self.scope.has(facts, one.shared));
            match having.min_by(|a, b| a.chance.total_cmp(&b.chance).then(a.shared.cmp(b.shared))) {
                Some(one) => {
                    one.parts.insert(place, facts);
                    one.last = now;
                }
                None => self.enter(place, facts),
            }
        }
        loop {
            let mut best: Option<One<'a>> = None;
            for shared in &things {
                // Of two as likely the first stays.
                let found = self.weigh(shared, now);
                best = match (best, found) {
                    (Some(best), Some(found)) if found.chance < best.chance => Some(found),
                    (best, found) => best.or(found),
                };
            }
            let Some(best) = best else { return };
            for (place, facts) in &best.parts {
                self.take(*place, facts);
            }
            self.grows.retain(|one| !one.parts.keys().all(|place| best.parts.contains_key(place)));
            self.grows.push(best);
        }
    }

    fn enter(&mut self, place: (Timestamp, &'a str), facts: &'a Facts) {
        self.left.insert(place, facts);
        for (_, shared) in self.scope.things(facts).filter(|(_, shared)| self.worth.contains(shared)) {
            self.sharing.entry(shared).or_default().insert(place, facts);
        }
    }

    fn take(&mut self, place: (Timestamp, &'a str), facts: &'a Facts) {
        if self.left.remove(&place).is_none() {
            return;
        }
        for (_, shared) in self.scope.things(facts) {
            if let Some(having) = self.sharing.get_mut(shared) {
                having.remove(&place);
                if having.is_empty() {
                    self.sharing.remove(shared);
                }
            }
        }
    }

    /// Those that have a thing, if they are one.
    fn weigh(&mut self, shared: &'a Shared, now: Timestamp) -> Option<One<'a>> {
        // One that is told already takes in by itself.
        if self.grows.iter().any(|one| one.shared == shared) {
            return None;
        }
        let mut parts = self.sharing.get(shared).cloned().unwrap_or_default();
        let mut bound = 1.0_f64;
        let mut most = 1;
        for one in &self.grows {
            if one.parts.values().all(|facts| self.scope.has(facts, shared)) {
                parts.extend(&one.parts);
                (bound, most) = (bound.min(one.chance), most.max(one.parts.len()));
            }
        }
        // One incident is not told with others, whatever it holds.
        if parts.len() <= most {
            return None;
        }
        let teams = || parts.values().map(|facts| &facts.team).collect::<BTreeSet<_>>().len();
        if self.scope.team.is_none() && teams() < 2 {
            return None;
        }
        let others: Incidents<'a> =
            self.left.iter().filter(|(place, _)| !parts.contains_key(*place)).map(|(p, f)| (*p, *f)).collect();
        let counted = self.count(shared, (&parts, &others), now);
        // One that most of those who have it bear is not to blame.
        if counted.with < LEAST || counted.with * 2 < counted.having {
            return None;
        }
        let chance = self.figures(shared, &counted, (&parts, &others)).chance;
        let is_one = chance <= CHANCE && (chance < bound || most == 1);
        is_one.then_some(One { shared, parts, others, chance, last: now })
    }

    fn count(
        &self,
        shared: &Shared,
        (parts, others): (&Incidents<'a>, &Incidents<'a>),
        last: Timestamp,
    ) -> Counted<'a> {
        let Scope { team, population, .. } = self.scope;
        let first = parts.keys().chain(others.keys()).map(|(at, _)| *at).min().unwrap_or(last);
        let span = (first.max(last.minus(SPAN)), last);
        let of_parts = parts.values().flat_map(|facts| self.scope.things(facts));
        let with: BTreeSet<&str> =
            of_parts.filter(|(_, s)| *s == shared).map(|(had, _)| had.workload.as_str()).collect();
        let having = population.sharing(shared, team, span, &with);
        let all = parts.values().chain(others.values()).flat_map(|facts| &facts.pods);
        let troubled = all.map(|had| had.workload.as_str()).collect();
        Counted { span, with: with.len() as u64, having, troubled }
    }

    fn figures(
        &mut self,
        shared: &Shared,
        counted: &Counted<'a>,
        (parts, others): (&Incidents<'a>, &Incidents<'a>),
    ) -> Figures {
        let Scope { team, population, .. } = self.scope;
        let there = population.workloads(team, counted.span, &counted.troubled);
        let (both, having, troubled) = (counted.with, counted.having.min(there), counted.troubled.len() as u64);
        self.factorials.reach(there);
        let mut by_chance = self.factorials.tail(both, having, troubled, there);
        if VARIES.contains(&shared.what) {
            let pods = Pods::of(parts.values().chain(others.values()).copied(), shared, counted.span, population);
            self.factorials.reach(pods.all);
            by_chance = by_chance.max(pods.chance(&self.factorials));
        }
        let chance = (by_chance * self.looked_at).min(1.0);
        Figures { both, having, troubled, there, chance }
    }

    fn end(mut self) -> Vec<Found<'a>> {
        let mut all = std::mem::take(&mut self.over);
        all.append(&mut self.grows);
        let mut found = Vec::new();
        for One { shared, parts, others, last, .. } in all {
            let counted = self.count(shared, (&parts, &others), last);
            let figures = self.figures(shared, &counted, (&parts, &others));
            found.push(Found { shared: shared.clone(), figures, parts: parts.into_keys().map(|(_, id)| id).collect() });
        }
        found
    }
}

struct Counted<'a> {
    span: (Timestamp, Timestamp),
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
        incidents: impl Iterator<Item = &'a Facts>,
        shared: &Shared,
        span: (Timestamp, Timestamp),
        population: &'a Population,
    ) -> Self {
        // Of each workload its pods: whether one is in trouble, and whether it has the thing.
        let mut known: BTreeMap<&str, BTreeMap<&str, (bool, bool)>> = BTreeMap::new();
        for facts in incidents {
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
