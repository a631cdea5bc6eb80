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

/// What they share, by as many incidents of one class as began close in time. No incident is of two things: the least likely
/// by chance takes it.
pub(super) fn among<'a>(
    mut members: Vec<(&'a str, &'a Facts)>,
    (team, class): (Option<&Team>, &str),
    population: &Population,
) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let times = || members.iter().map(|(_, facts)| facts.opened);
    let Some(span) = times().min().zip(times().max()) else { return found };
    while let Some(best) = best(&members, (team, class), span, population) {
        members.retain(|(id, _)| !best.parts.contains(id));
        found.push(best);
    }
    found
}

type Having<'a> = BTreeMap<&'a Shared, (BTreeSet<&'a str>, BTreeSet<&'a str>)>;

fn best<'a>(
    members: &[(&'a str, &'a Facts)],
    (team, class): (Option<&Team>, &str),
    span: (Timestamp, Timestamp),
    population: &Population,
) -> Option<Found<'a>> {
    let mut troubled: BTreeSet<&str> = BTreeSet::new();
    let mut sharing: Having<'a> = BTreeMap::new();
    for (id, facts) in members {
        for had in &facts.pods {
            troubled.insert(&had.workload);
            for shared in had.shares.iter().filter(|shared| fits(shared.what, class)) {
                let (workloads, parts) = sharing.entry(shared).or_default();
                workloads.insert(&had.workload);
                parts.insert(id);
            }
        }
    }
    let enough = |workloads: &BTreeSet<&str>| workloads.len() as u64 >= LEAST;
    sharing.retain(|_, (workloads, parts)| enough(workloads) && (team.is_some() || teams(members, parts) > 1));
    if sharing.is_empty() {
        return None;
    }
    let there = population.workloads(team, span, &troubled);
    let looked_at = population.looked_at(team) as f64;
    let factorials = Factorials::upto(there);
    let weighed = sharing.into_iter().filter_map(|(shared, (workloads, parts))| {
        let having = population.sharing(shared, team, span, &workloads).min(there);
        let both = workloads.len() as u64;
        // One that most of those who have it bear is not to blame.
        if both * 2 < having {
            return None;
        }
        let by_workloads = factorials.tail(both, having, troubled.len() as u64, there);
        let by_pods = match shared.what {
            Sharing::Node | Sharing::Zone => among_pods(members, shared, span, population),
            _ => 0.0,
        };
        let chance = (by_workloads.max(by_pods) * looked_at).min(1.0);
        let figures = Figures { both, having, troubled: troubled.len() as u64, there, chance };
        (chance <= CHANCE).then(|| Found { shared: shared.clone(), figures, parts })
    });
    weighed.min_by(|a, b| a.figures.chance.total_cmp(&b.figures.chance).then_with(|| a.shared.cmp(&b.shared)))
}

fn teams(members: &[(&str, &Facts)], parts: &BTreeSet<&str>) -> usize {
    let of = members.iter().filter(|(id, _)| parts.contains(id)).map(|(_, facts)| &facts.team);
    of.collect::<BTreeSet<_>>().len()
}

/// The chance that of the pods of these workloads so many of those in trouble have it, as they do: a large workload is on most
/// nodes. Where all have it there is nothing to be compared with: 0.
fn among_pods(
    members: &[(&str, &Facts)],
    shared: &Shared,
    span: (Timestamp, Timestamp),
    population: &Population,
) -> f64 {
    let mut pods: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for (_, facts) in members {
        for had in &facts.pods {
            for (uid, shares) in population.pods_of(&facts.team, &had.workload, span) {
                pods.entry(uid).or_default().0 |= shares.contains(shared);
            }
        }
    }
    for had in members.iter().flat_map(|(_, facts)| &facts.pods) {
        let (has, troubled) = pods.entry(&had.pod).or_default();
        *has |= had.shares.contains(shared);
        *troubled = true;
    }
    let count = |is: &dyn Fn(bool, bool) -> bool| pods.values().filter(|(a, b)| is(*a, *b)).count() as u64;
    let all = pods.len() as u64;
    let (having, troubled, both) = (count(&|a, _| a), count(&|_, b| b), count(&|a, b| a && b));
    if all == having { 0.0 } else { Factorials::upto(all).tail(both, having, troubled, all) }
}
