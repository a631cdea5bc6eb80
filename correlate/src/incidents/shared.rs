//! What the workloads of a few incidents share beyond chance, held against all others that were there then.
//!
//! Workloads are counted and not pods. Of `there`, `having` have a thing; of the `troubled` among them, `both`. If trouble had
//! chosen at random, so many or more would have it with a chance that is hypergeometric (Fisher's exact test), times the things
//! that could have stood out (Bonferroni). A node or zone has to stand out among the pods of the workloads in trouble as well.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use whyd_signals::schema::{Shared, Sharing};
use whyd_signals::{Team, Timestamp};

use super::facts::{Facts, fits};
use crate::exact::Factorials;
use crate::population::{LEAST, Population};

/// No more likely than this by chance is one trouble.
const CHANCE: f64 = 0.01;
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
pub(super) struct Found<'a> {
    pub(super) shared: Shared,
    pub(super) figures: Figures,
    /// Their ids.
    pub(super) parts: BTreeSet<&'a str>,
}

/// Things that the incidents of a run may be of; what is shared beyond them is not told.
const FOUND: usize = 32;

/// What they share, by as many incidents of one class as began close in time. No incident is of two things: the least likely
/// by chance takes it.
pub(super) fn among<'a>(
    members: &[(&'a str, &'a Facts)],
    (team, class): (Option<&Team>, &str),
    population: &'a Population,
) -> Vec<Found<'a>> {
    let times = || members.iter().map(|(_, facts)| facts.opened);
    let Some(span) = times().min().zip(times().max()) else { return Vec::new() };
    let mut left = Left { members: members.iter().copied().collect(), ..Left::default() };
    for (id, facts) in members {
        left.count(id, facts, class);
    }
    if left.sharing.values().all(|(workloads, _)| (workloads.len() as u64) < LEAST) {
        return Vec::new();
    }
    let there = population.workloads(team, span, &left.troubled.keys().copied().collect());
    let enough = left.sharing.iter().filter(|(_, (workloads, _))| workloads.len() as u64 >= LEAST);
    let having = |(shared, (workloads, _)): (&&'a Shared, &Having<'a>)| {
        let workloads = workloads.keys().copied().collect();
        (*shared, population.sharing(shared, team, span, &workloads).min(there))
    };
    let having: BTreeMap<&Shared, u64> = enough.map(having).collect();
    if having.keys().any(|shared| VARIES.contains(&shared.what)) {
        left.pods = Pods::of(members, span, population);
    }
    let run = Run {
        several: team.is_none(),
        there,
        having,
        looked_at: population.looked_at(team) as f64,
        factorials: Factorials::upto(there.max(left.pods.all)),
    };
    let mut found = Vec::new();
    while found.len() < FOUND
        && let Some(best) = run.best(&left)
    {
        for id in &best.parts {
            left.take(id, class);
        }
        found.push(best);
    }
    found
}

/// Of a thing the workloads in trouble that have it, each with how often it was counted, and the incidents that these are in.
type Having<'a> = (BTreeMap<&'a str, u32>, BTreeSet<&'a str>);

/// The incidents that are of nothing yet.
#[derive(Default)]
struct Left<'a> {
    members: BTreeMap<&'a str, &'a Facts>,
    troubled: BTreeMap<&'a str, u32>,
    sharing: BTreeMap<&'a Shared, Having<'a>>,
    /// Where nodes or zones are looked at.
    pods: Pods<'a>,
}

impl<'a> Left<'a> {
    fn count(&mut self, id: &'a str, facts: &'a Facts, class: &str) {
        for had in &facts.pods {
            *self.troubled.entry(&had.workload).or_default() += 1;
            for shared in had.shares.iter().filter(|shared| fits(shared.what, class)) {
                let (workloads, parts) = self.sharing.entry(shared).or_default();
                *workloads.entry(&had.workload).or_default() += 1;
                parts.insert(id);
            }
        }
    }

    fn take(&mut self, id: &str, class: &str) {
        let Some(facts) = self.members.remove(id) else { return };
        for had in &facts.pods {
            if less(&mut self.troubled, &had.workload) {
                self.pods.take(&had.workload);
            }
            for shared in had.shares.iter().filter(|shared| fits(shared.what, class)) {
                let Some((workloads, parts)) = self.sharing.get_mut(shared) else { continue };
                less(workloads, &had.workload);
                parts.remove(id);
                if parts.is_empty() {
                    self.sharing.remove(shared);
                }
            }
        }
    }

    fn teams(&self, parts: &BTreeSet<&str>) -> usize {
        let of = parts.iter().filter_map(|id| self.members.get(id)).map(|facts| &facts.team);
        of.collect::<BTreeSet<_>>().len()
    }
}

/// Counts a workload once less; whether that was the last time.
fn less(counts: &mut BTreeMap<&str, u32>, workload: &str) -> bool {
    let Some(count) = counts.get_mut(workload) else { return false };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        counts.remove(workload);
    }
    is_last
}

/// What does not change while one thing after the other is found among the incidents of a run.
struct Run<'a> {
    /// Whether what one team alone has is not looked for.
    several: bool,
    there: u64,
    having: BTreeMap<&'a Shared, u64>,
    looked_at: f64,
    factorials: Factorials,
}

impl<'a> Run<'a> {
    /// What is shared least likely by chance.
    fn best(&self, left: &Left<'a>) -> Option<Found<'a>> {
        let troubled = left.troubled.len() as u64;
        let mut best: Option<(&Shared, Figures)> = None;
        for (shared, having) in &self.having {
            let Some((workloads, parts)) = left.sharing.get(shared) else { continue };
            let both = workloads.len() as u64;
            // One that most of those who have it bear is not to blame.
            if both < LEAST || both * 2 < *having || self.several && left.teams(parts) < 2 {
                continue;
            }
            let by_workloads = self.factorials.tail(both, *having, troubled, self.there);
            let varies = VARIES.contains(&shared.what);
            let by_pods = if varies { left.pods.chance(shared, &self.factorials) } else { 0.0 };
            let chance = (by_workloads.max(by_pods) * self.looked_at).min(1.0);
            // Of two as likely the first stays.
            if chance <= CHANCE && best.as_ref().is_none_or(|(_, figures)| chance < figures.chance) {
                best = Some((shared, Figures { both, having: *having, troubled, there: self.there, chance }));
            }
        }
        let (shared, figures) = best?;
        let parts = left.sharing.get(shared)?.1.clone();
        Some(Found { shared: shared.clone(), figures, parts })
    }
}

/// The pods of the workloads in trouble, and on which nodes and in which zones they are: a large workload is on most of them.
#[derive(Default)]
struct Pods<'a> {
    /// Of each workload: whether the pod is in trouble, and what it has.
    of: BTreeMap<&'a str, Vec<(bool, BTreeSet<&'a Shared>)>>,
    all: u64,
    troubled: u64,
    /// Of each thing how many have it, and how many of those are in trouble.
    having: BTreeMap<&'a Shared, (u64, u64)>,
}

impl<'a> Pods<'a> {
    fn of(members: &[(&'a str, &'a Facts)], span: (Timestamp, Timestamp), population: &'a Population) -> Self {
        let varies = |shared: &&Shared| VARIES.contains(&shared.what);
        let mut known: BTreeMap<&str, BTreeMap<&str, (bool, BTreeSet<&Shared>)>> = BTreeMap::new();
        for (_, facts) in members {
            for had in &facts.pods {
                if !known.contains_key(had.workload.as_str()) {
                    let there = population.pods_of(&facts.team, &had.workload, span);
                    let pods = there.map(|(uid, shares)| (uid, (false, shares.iter().filter(varies).collect())));
                    known.insert(&had.workload, pods.collect());
                }
                let (troubled, shares) = known.entry(&had.workload).or_default().entry(had.pod.as_str()).or_default();
                *troubled = true;
                shares.extend(had.shares.iter().filter(varies));
            }
        }
        let mut pods = Self::default();
        for (troubled, shares) in known.values().flat_map(BTreeMap::values) {
            pods.all += 1;
            pods.troubled += u64::from(*troubled);
            for shared in shares {
                let (having, both) = pods.having.entry(*shared).or_default();
                (*having, *both) = (*having + 1, *both + u64::from(*troubled));
            }
        }
        pods.of = known.into_iter().map(|(workload, of)| (workload, of.into_values().collect())).collect();
        pods
    }

    /// The pods of a workload count no more.
    fn take(&mut self, workload: &str) {
        for (troubled, shares) in self.of.remove(workload).unwrap_or_default() {
            self.all -= 1;
            self.troubled -= u64::from(troubled);
            for shared in shares {
                if let Some((having, both)) = self.having.get_mut(shared) {
                    (*having, *both) = (*having - 1, *both - u64::from(troubled));
                }
            }
        }
    }

    /// The chance that so many of those in trouble have this, as they do. Where all have it there is nothing to be compared
    /// with: 0.
    fn chance(&self, shared: &Shared, factorials: &Factorials) -> f64 {
        let (having, both) = self.having.get(shared).copied().unwrap_or_default();
        if self.all == having { 0.0 } else { factorials.tail(both, having, self.troubled, self.all) }
    }
}
