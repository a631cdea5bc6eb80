//! Which workloads there are and what each has, kept as pods come and go, so that what a few in trouble share is held
//! against all others without looking at all pods.

mod changes;
mod workloads;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use whyd_buffers::Scoped;
use whyd_buffers::state::{Applied, NamespaceState, Record};
use whyd_signals::objects::{Object, Pod};
use whyd_signals::schema::{Shared, Sharing};
use whyd_signals::{Resource, Team, Timestamp};

use crate::shares;
use changes::Changes;
pub(crate) use changes::State;
use workloads::Workloads;

/// So many workloads have to have a thing for it to be one that may stand out.
pub(crate) const LEAST: u64 = 3;

/// From when until when.
pub(crate) type Span = (Timestamp, Timestamp);

#[derive(Debug, Clone, PartialEq)]
struct Known {
    team: Team,
    workload: String,
    shares: Vec<Shared>,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// The pods that are known, those that are gone too, by what they have. It is made of the cluster's state alone, so it is
/// made anew at a start and no part of a checkpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Population {
    pods: BTreeMap<String, Known>,
    all: BTreeMap<Team, Workloads>,
    having: BTreeMap<Shared, BTreeMap<Team, Workloads>>,
    /// How many things so many workloads have that they may stand out; of a team, and of all.
    standing: BTreeMap<Option<Team>, u64>,
    zones: BTreeMap<String, Option<String>>,
    /// Whether the pods were listed: before, those that are known are not all.
    listed: bool,
    changes: Changes,
}

impl Population {
    /// That of a cluster.
    pub(crate) fn of(scoped: &Scoped) -> Self {
        let mut population = Self { listed: scoped.cluster().synced(Resource::Pods), ..Self::default() };
        for space in scoped.cluster().namespaces() {
            for record in space.pods.values() {
                population.put(scoped, space, record);
            }
        }
        population
    }

    /// Takes in one change of the cluster, which `scoped` already shows.
    pub(crate) fn observe(&mut self, applied: &Applied, scoped: &Scoped) {
        let cluster = scoped.cluster();
        match &applied.object {
            Some(Object::Pod(pod)) => {
                let Some(space) = cluster.namespace(&pod.metadata.namespace) else { return };
                if let Some(record) = space.pods.get(&pod.metadata.uid) {
                    self.put(scoped, space, record);
                }
            }
            Some(Object::ReplicaSet(set)) => {
                // Its pods may have come before it, and it says whose they are.
                let Some(space) = cluster.namespace(&set.metadata.namespace) else { return };
                for record in space.pods_of(&set.metadata.uid) {
                    self.put(scoped, space, record);
                }
            }
            Some(Object::Namespace(named)) => {
                let Some(space) = cluster.namespace(&named.metadata.name) else { return };
                let moved = |r: &&Record<Pod>| {
                    self.pods.get(&r.object.metadata.uid).is_some_and(|known| known.team != space.team)
                };
                for record in space.pods.values().filter(moved).cloned().collect::<Vec<_>>() {
                    self.put(scoped, space, &record);
                }
            }
            Some(Object::Node(node)) => self.observe_node(&node.metadata.name, scoped),
            None if applied.resource == Resource::Pods => {
                if !self.listed {
                    self.listed = true;
                    self.changes.note(Timestamp::MIN);
                }
                for space in cluster.namespaces() {
                    for record in space.pods.values().filter(|r| r.deleted_at == Some(applied.received)) {
                        self.put(scoped, space, record);
                    }
                }
            }
            _ => {}
        }
    }

    /// A node that says another zone than before takes its pods along.
    fn observe_node(&mut self, name: &str, scoped: &Scoped) {
        let zone = shares::zone_of(scoped, name);
        if self.zones.get(name) == Some(&zone) {
            return;
        }
        self.zones.insert(name.to_owned(), zone);
        let of_node = Shared { what: Sharing::Node, value: name.to_owned(), version: String::new() };
        let teams = self.having.get(&of_node).into_iter().flat_map(BTreeMap::values);
        let pods = teams.flat_map(Workloads::pods);
        let pods: Vec<(String, String)> =
            pods.map(|(workload, uid)| (namespace_of(workload).to_owned(), uid.to_owned())).collect();
        for (namespace, uid) in pods {
            let Some(space) = scoped.cluster().namespace(&namespace) else { continue };
            if let Some(record) = space.pods.get(&uid) {
                self.put(scoped, space, record);
            }
        }
    }

    fn put(&mut self, scoped: &Scoped, space: &NamespaceState, record: &Record<Pod>) {
        let pod = &record.object;
        let known = Known {
            team: space.team.clone(),
            workload: format!("{}/{}", space.name, space.workload_of(pod)),
            shares: shares::of_pod(scoped, pod),
            from: pod.metadata.creation_timestamp.unwrap_or(record.first_seen),
            until: record.deleted_at,
        };
        self.enter(&pod.metadata.uid, known);
    }

    fn enter(&mut self, uid: &str, known: Known) {
        let before = self.pods.get(uid);
        if before == Some(&known) {
            return;
        }
        // What is counted of a time before is as it was.
        let is_there = |until: Option<Timestamp>| until.unwrap_or(Timestamp::MAX);
        self.changes.note(match before {
            None => known.from,
            Some(old) if Known { until: known.until, ..old.clone() } == known => {
                is_there(old.until).min(is_there(known.until))
            }
            Some(old) => old.from.min(known.from),
        });
        self.take_out(uid);
        let Known { team, workload, from, until, .. } = &known;
        let stay = (*from, *until);
        self.all.entry(team.clone()).or_default().put(workload, uid, stay);
        for shared in &known.shares {
            let before = self.counts(shared, team);
            let teams = self.having.entry(shared.clone()).or_default();
            teams.entry(team.clone()).or_default().put(workload, uid, stay);
            self.stood(shared, team, before);
        }
        self.pods.insert(uid.to_owned(), known);
    }

    fn remove(&mut self, uid: &str) {
        if let Some(known) = self.pods.get(uid) {
            self.changes.note(known.from);
            self.take_out(uid);
        }
    }

    fn take_out(&mut self, uid: &str) {
        let Some(known) = self.pods.remove(uid) else { return };
        take(&mut self.all, &known, uid);
        for shared in &known.shares {
            let before = self.counts(shared, &known.team);
            if let Some(teams) = self.having.get_mut(shared) {
                take(teams, &known, uid);
                if teams.is_empty() {
                    self.having.remove(shared);
                }
            }
            self.stood(shared, &known.team, before);
        }
    }

    /// How many workloads of the team have it, and how many of all.
    fn counts(&self, shared: &Shared, team: &Team) -> (u64, u64) {
        let Some(teams) = self.having.get(shared) else { return (0, 0) };
        let of_all = teams.values().map(Workloads::len).sum::<usize>();
        (teams.get(team).map_or(0, Workloads::len) as u64, of_all as u64)
    }

    fn stood(&mut self, shared: &Shared, team: &Team, before: (u64, u64)) {
        let after = self.counts(shared, team);
        for (scope, was, is) in [(Some(team.clone()), before.0, after.0), (None, before.1, after.1)] {
            let standing = self.standing.entry(scope).or_default();
            match (was >= LEAST, is >= LEAST) {
                (false, true) => *standing += 1,
                (true, false) => *standing = standing.saturating_sub(1),
                _ => {}
            }
        }
        self.standing.retain(|_, standing| *standing > 0);
    }

    /// Forgets the pods that nobody knows any more.
    pub(crate) fn retain(&mut self, known: impl Fn(&str, &str) -> bool) {
        let is_gone = |(uid, k): &(&String, &Known)| !known(namespace_of(&k.workload), uid);
        let gone: Vec<String> = self.pods.iter().filter(is_gone).map(|(uid, _)| uid.clone()).collect();
        for uid in gone {
            self.remove(&uid);
        }
    }

    /// Forgets the nodes that nobody knows any more.
    pub(crate) fn retain_nodes(&mut self, known: impl Fn(&str) -> bool) {
        self.zones.retain(|node, _| known(node));
    }

    /// Whether all pods are known.
    pub(crate) fn is_whole(&self) -> bool {
        self.listed
    }

    /// As it is now.
    pub(crate) fn state(&self) -> State {
        self.changes.state()
    }

    /// Whether what is counted of times up to this one is what it was then.
    pub(crate) fn is_as(&self, then: State, upto: Timestamp) -> bool {
        self.changes.since(then) > upto
    }

    /// How many things could stand out among the workloads of a team, or of all: at least one.
    pub(crate) fn looked_at(&self, team: Option<&Team>) -> u64 {
        self.standing.get(&team.cloned()).copied().unwrap_or(0).max(1)
    }

    /// How many workloads of a team, or of all, were there in this time; those of `also` were.
    pub(crate) fn workloads(&self, team: Option<&Team>, span: Span, also: &BTreeSet<&str>) -> u64 {
        self.count(&self.all, team, span, also)
    }

    /// How many of them had this, whatever its version; those of `also` had.
    pub(crate) fn sharing(&self, shared: &Shared, team: Option<&Team>, span: Span, also: &BTreeSet<&str>) -> u64 {
        let none = BTreeMap::new();
        let plain = match shared.version.as_str() {
            "" => Cow::Borrowed(shared),
            _ => Cow::Owned(Shared { version: String::new(), ..shared.clone() }),
        };
        self.count(self.having.get(plain.as_ref()).unwrap_or(&none), team, span, also)
    }

    fn count(&self, of: &BTreeMap<Team, Workloads>, team: Option<&Team>, span: Span, also: &BTreeSet<&str>) -> u64 {
        let count = |all: &Workloads| {
            let known = also.iter().filter(|workload| all.was_there(workload, span)).count() as u64;
            all.count(span).saturating_sub(known)
        };
        let others = match team {
            Some(team) => of.get(team).map_or(0, count),
            None => of.values().map(count).sum(),
        };
        others + also.len() as u64
    }

    /// The pods of a workload that were there in this time, each with what it had.
    pub(crate) fn pods_of(&self, team: &Team, workload: &str, span: Span) -> impl Iterator<Item = (&str, &[Shared])> {
        let there = self.all.get(team).into_iter().flat_map(move |all| all.pods_of(workload, span));
        there.filter_map(|uid| Some((uid, self.pods.get(uid)?.shares.as_slice())))
    }
}

fn take(teams: &mut BTreeMap<Team, Workloads>, known: &Known, uid: &str) {
    let Some(all) = teams.get_mut(&known.team) else { return };
    all.remove(&known.workload, uid);
    if all.is_empty() {
        teams.remove(&known.team);
    }
}

fn namespace_of(workload: &str) -> &str {
    workload.split('/').next().unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// A population of these pods: team, `namespace/Kind/name`, what it has; there from second 0 on.
    pub(crate) fn of(pods: &[(&str, String, Vec<Shared>)]) -> Population {
        let mut population = Population { listed: true, ..Population::default() };
        for (n, (team, workload, shares)) in pods.iter().enumerate() {
            let known = Known {
                team: Team::new(team),
                workload: workload.clone(),
                shares: shares.clone(),
                from: Timestamp(0),
                until: None,
            };
            population.enter(&format!("pod-{n}"), known);
        }
        population
    }

    /// A pod of team a comes, or is told of anew; `None`: it is forgotten.
    pub(crate) fn tell(
        population: &mut Population,
        uid: &str,
        pod: Option<(String, Vec<Shared>, Timestamp, Option<Timestamp>)>,
    ) {
        match pod {
            Some((workload, shares, from, until)) => {
                population.enter(uid, Known { team: Team::new("a"), workload, shares, from, until });
            }
            None => population.remove(uid),
        }
    }

    pub(crate) fn image(name: &str) -> Shared {
        Shared { what: Sharing::Image, value: name.into(), version: String::new() }
    }

    #[test]
    fn what_is_kept_is_what_counting_all_would_give() {
        let mut population = Population::default();
        let mut all: BTreeMap<String, Known> = BTreeMap::new();
        let mut seed = 7_u64;
        let mut below = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for _ in 0..2_000 {
            let uid = format!("pod-{}", below(60));
            if below(4) == 0 {
                population.remove(&uid);
                all.remove(&uid);
                continue;
            }
            let team = ["a", "b"][below(2) as usize];
            let shares: BTreeSet<Shared> = (0..below(4)).map(|_| image(&format!("i-{}", below(5)))).collect();
            let from = below(100) as i64;
            let known = Known {
                team: Team::new(team),
                workload: format!("{team}/Deployment/w-{}", below(12)),
                shares: shares.into_iter().collect(),
                from: Timestamp(from),
                until: (below(2) == 0).then(|| Timestamp(from + below(50) as i64)),
            };
            population.enter(&uid, known.clone());
            all.insert(uid, known);
            let span = (Timestamp(below(100) as i64), Timestamp(100));
            for team in [None, Some(Team::new("a"))] {
                let of = |k: &&Known| team.as_ref().is_none_or(|t| *t == k.team);
                let there = |k: &&Known| k.from <= span.1 && k.until.is_none_or(|u| u >= span.0);
                let count = |pods: &dyn Fn(&Known) -> bool| {
                    all.values().filter(|k| pods(k)).map(|k| &k.workload).collect::<BTreeSet<_>>().len() as u64
                };
                let none = BTreeSet::new();
                assert_eq!(population.workloads(team.as_ref(), span, &none), count(&|k| of(&k) && there(&k)));
                let names = ["a/Deployment/w-3", "a/Deployment/w-4", "a/Deployment/unknown"];
                let also: BTreeSet<&str> = names.into_iter().take(below(4) as usize).collect();
                let others = count(&|k| of(&k) && there(&k) && !also.contains(k.workload.as_str()));
                assert_eq!(population.workloads(team.as_ref(), span, &also), others + also.len() as u64);
                let mut standing = 0;
                for shared in (0..5).map(|n| image(&format!("i-{n}"))) {
                    let sharing = population.sharing(&shared, team.as_ref(), span, &none);
                    assert_eq!(sharing, count(&|k| of(&k) && there(&k) && k.shares.contains(&shared)));
                    standing += u64::from(count(&|k| of(&k) && k.shares.contains(&shared)) >= LEAST);
                }
                assert_eq!(population.looked_at(team.as_ref()), standing.max(1));
            }
        }
        for uid in all.into_keys() {
            population.remove(&uid);
        }
        assert!(population.having.is_empty() && population.all.is_empty() && population.standing.is_empty());
    }
}
