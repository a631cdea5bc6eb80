//! What workloads in trouble have in common more than chance would have it: a node, a zone, an image, a ConfigMap in one
//! version, something that did not answer.
//!
//! Workloads are counted and not pods, since the pods of one share nearly everything anyway. Of `workloads`, `sharing` have a
//! pod with an attribute; of those in trouble, `troubled_sharing` had it with a pod that was in trouble. If trouble chose
//! workloads at random, that number would be hypergeometric at most, and its upper tail is the chance (Fisher's exact test,
//! 1935). Nodes and zones have to stand out among the pods of the workloads in trouble, too, since trouble does choose the large
//! ones. It is multiplied by the number of attributes that could have stood out (Bonferroni).
//!
//! Who depends on something is known of those alone that said it did not answer, now or before: of a dependency `sharing` is a
//! lower bound, and so is the chance.

use std::collections::{BTreeMap, BTreeSet};

use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::schema::{Restart, Shared, Sharing};

use crate::exact::Factorials;
use crate::population::LEAST;
use crate::shares;

/// No more likely than this by chance is told.
const CHANCE: f64 = 0.01;
/// Workloads that a cohort names.
const NAMED: usize = 20;
/// What the pods of one workload may differ in.
const VARIES: [Sharing; 2] = [Sharing::Node, Sharing::Zone];

/// Workloads in trouble that share something.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// What they share.
    pub shared: Shared,
    /// How many in trouble share it.
    pub troubled_sharing: u64,
    /// How many share it, in trouble or not.
    pub sharing: u64,
    /// How likely so many or more are by chance, times the attributes looked at.
    pub chance: f64,
    /// Some of those in trouble that share it, `namespace/Kind/name`.
    pub members: Vec<String>,
}

/// What was compared, and what was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cohorts {
    /// Workloads there are.
    pub workloads: u64,
    /// Those with trouble in the time looked at.
    pub troubled: u64,
    /// What they share, the least likely by chance first.
    pub cohorts: Vec<Cohort>,
}

/// A pod as it counts.
#[derive(Debug, Clone)]
struct Counted {
    workload: u32,
    attributes: Vec<Shared>,
    troubled: bool,
}

/// What befell a pod.
#[derive(Default)]
struct Befell<'a> {
    /// The last time within what is looked at.
    at: Option<Timestamp>,
    /// What it said did not answer: within what is looked at, and at other times.
    now: BTreeSet<&'a Shared>,
    before: BTreeSet<&'a Shared>,
}

/// What the pods that restarted, did not start or were replaced from `from` to `to` have in common, of what may be seen.
pub fn of(scoped: &Scoped, from: Timestamp, to: Timestamp) -> Cohorts {
    let mut befell: BTreeMap<&str, Befell<'_>> = BTreeMap::new();
    for row in scoped.each_restart() {
        let Some(uid) = row.pod_uid.as_deref() else { continue };
        let at = row.finished_at.unwrap_or(row.seen_at);
        let known = befell.entry(uid).or_default();
        let within = (from..=to).contains(&at);
        if within {
            known.at = known.at.max(Some(at));
        }
        let said = if within { &mut known.now } else { &mut known.before };
        said.extend(named(scoped, row));
    }
    let mut names: Vec<String> = Vec::new();
    let mut pods = Vec::new();
    for space in scoped.cluster().namespaces() {
        let mut known: BTreeMap<String, u32> = BTreeMap::new();
        for (uid, record) in &space.pods {
            let pod = &record.object;
            let workload = *known.entry(space.workload_of(pod)).or_insert_with_key(|workload| {
                names.push(format!("{}/{workload}", space.name));
                names.len() as u32 - 1
            });
            let befell = befell.get(uid.as_str());
            let at = befell.and_then(|b| b.at);
            let mut attributes = shares::of_pod(scoped, pod);
            for config in attributes.iter_mut().filter(|a| a.what == Sharing::Config) {
                let name = config.value.rsplit('/').next().unwrap_or_default();
                config.version = shares::version_at(space, name, at.or(record.deleted_at).unwrap_or(to).min(to));
            }
            let said = befell.into_iter().flat_map(|b| if at.is_some() { &b.now } else { &b.before });
            attributes.extend(said.map(|shared| Shared::clone(shared)));
            pods.push(Counted { workload, attributes, troubled: at.is_some() });
        }
    }
    counted(&names, &pods)
}

/// What the row says did not answer; not what is in a namespace that may not be seen.
fn named<'a>(scoped: &Scoped, row: &'a Restart) -> impl Iterator<Item = &'a Shared> {
    let dependencies = row.shares.iter().filter(|shared| shared.what == Sharing::Dependency);
    dependencies.filter(|shared| {
        let namespace = shared.value.split_once('/').map(|(namespace, _)| namespace);
        namespace.is_none_or(|n| scoped.access().allows(&scoped.team_of(n)))
    })
}

fn counted(names: &[String], pods: &[Counted]) -> Cohorts {
    let of_all: BTreeSet<u32> = pods.iter().map(|pod| pod.workload).collect();
    let of_troubled: BTreeSet<u32> = pods.iter().filter(|pod| pod.troubled).map(|pod| pod.workload).collect();
    let (workloads, troubled) = (of_all.len() as u64, of_troubled.len() as u64);
    let mut sharing: BTreeMap<&Shared, (BTreeSet<u32>, BTreeSet<u32>)> = BTreeMap::new();
    for pod in pods {
        for attribute in &pod.attributes {
            let (all, in_trouble) = sharing.entry(attribute).or_default();
            all.insert(pod.workload);
            if pod.troubled {
                in_trouble.insert(pod.workload);
            }
        }
    }
    // All that could have come out, whatever did.
    let looked_at = sharing.values().filter(|(all, _)| all.len() as u64 >= LEAST).count();
    let factorials = Factorials::upto(pods.len() as u64);
    let found = sharing.into_iter().filter(|(_, (_, in_trouble))| in_trouble.len() as u64 >= LEAST);
    let cohort = |(shared, (all, in_trouble)): (&Shared, (BTreeSet<u32>, BTreeSet<u32>))| {
        let (k, of) = (in_trouble.len() as u64, all.len() as u64);
        let by_workloads = factorials.tail(k, of, troubled, workloads);
        // A large workload has pods on most nodes: the pods in trouble have to be on this one more than its others are.
        let by_pods = if VARIES.contains(&shared.what) { within(&factorials, pods, &of_troubled, shared) } else { 0.0 };
        let chance = (by_workloads.max(by_pods) * looked_at as f64).min(1.0);
        let members = in_trouble.iter().filter_map(|n| names.get(*n as usize)).take(NAMED).cloned().collect();
        Cohort { shared: shared.clone(), troubled_sharing: k, sharing: of, chance, members }
    };
    let mut cohorts: Vec<Cohort> = found.map(cohort).filter(|c| c.chance <= CHANCE).collect();
    cohorts.sort_by(|a, b| a.chance.total_cmp(&b.chance).then_with(|| a.shared.cmp(&b.shared)));
    Cohorts { workloads, troubled, cohorts }
}

/// The chance that of the pods of workloads in trouble so many of those in trouble have this, as they do. Where all have it
/// there is nothing to be compared with: 0.
fn within(factorials: &Factorials, pods: &[Counted], of_troubled: &BTreeSet<u32>, shared: &Shared) -> f64 {
    let (mut all, mut having, mut troubled, mut both) = (0, 0, 0, 0);
    for pod in pods.iter().filter(|pod| of_troubled.contains(&pod.workload)) {
        let has = pod.attributes.contains(shared);
        (all, having) = (all + 1, having + u64::from(has));
        (troubled, both) = (troubled + u64::from(pod.troubled), both + u64::from(pod.troubled && has));
    }
    if all == having { 0.0 } else { factorials.tail(both, having, troubled, all) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn has(what: Sharing, value: String) -> Shared {
        Shared { what, value, version: String::new() }
    }

    /// Twenty workloads with a pod on each of two of five nodes.
    fn pods(troubled: impl Fn(u32, &str) -> bool) -> (Vec<String>, Vec<Counted>) {
        let names = (0..20).map(|n| format!("shop/Deployment/app-{n}")).collect();
        let pods = (0..20u32).flat_map(|n| {
            [n % 5, (n + 1 + n / 5) % 5].map(|node| {
                let node = format!("node-{node}");
                let image = format!("app-{}", n % 10);
                let troubled = troubled(n, &node);
                Counted {
                    workload: n,
                    attributes: vec![has(Sharing::Node, node), has(Sharing::Image, image)],
                    troubled,
                }
            })
        });
        (names, pods.collect())
    }

    #[test]
    fn a_node_whose_pods_died_is_found_and_a_scatter_is_nothing() {
        let (names, all) = pods(|_, node| node == "node-3");
        let found = counted(&names, &all);
        let [node] = &found.cohorts[..] else { panic!("{found:?}") };
        assert_eq!(&node.shared, &has(Sharing::Node, "node-3".into()));
        assert_eq!((node.troubled_sharing, node.sharing, found.workloads), (found.troubled, node.sharing, 20));
        assert!(node.chance < 0.01 && node.members.len() as u64 == node.troubled_sharing, "{node:?}");
        // As many workloads, wherever they are.
        let (names, all) = pods(|n, _| n % 3 == 0);
        assert_eq!(counted(&names, &all).cohorts, []);
        let (names, all) = pods(|_, _| true);
        assert_eq!(counted(&names, &all).cohorts, [], "all are in trouble: no node is to blame");
    }

    #[test]
    fn large_workloads_are_in_every_zone_and_no_zone_is_to_blame() {
        let names: Vec<String> = (0..100).map(|n| format!("shop/Deployment/app-{n}")).collect();
        let one = |workload: u32, zone: u32, troubled| {
            let attributes = vec![has(Sharing::Zone, format!("zone-{zone}"))];
            Counted { workload, attributes, troubled }
        };
        let small = (0..80u32).map(|n| one(n, n % 3, false));
        let large = (80..100u32).flat_map(|n| (0..9u32).map(move |pod| one(n, pod % 3, pod < 3)));
        assert_eq!(counted(&names, &small.chain(large).collect::<Vec<_>>()).cohorts, []);
    }

    #[test]
    fn many_pods_of_one_workload_are_one() {
        let (mut names, mut all) = pods(|_, _| false);
        names.push("shop/Deployment/loud".into());
        for _ in 0..50 {
            let attributes = vec![has(Sharing::Image, "loud".into()), has(Sharing::Node, "node-1".into())];
            all.push(Counted { workload: 20, attributes, troubled: true });
        }
        let found = counted(&names, &all);
        assert_eq!((found.workloads, found.troubled, found.cohorts), (21, 1, Vec::new()));
    }
}
