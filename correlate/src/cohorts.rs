//! What workloads in trouble have in common more than chance would have it: a node, a zone, an image, a ConfigMap.
//!
//! Workloads are counted and not pods, since the pods of one share nearly everything anyway. Of `workloads`, `sharing` have a
//! pod with an attribute; of those in trouble, `troubled_sharing` had it with a pod that was in trouble. If trouble chose
//! workloads at random, that number would be hypergeometric at most, and its upper tail is the chance (Fisher's exact test,
//! 1935). Nodes and zones have to stand out among the pods of the workloads in trouble, too, since trouble does choose the large
//! ones. It is multiplied by the number of attributes that could have stood out (Bonferroni).

use std::collections::{BTreeMap, BTreeSet};

use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::objects::Pod;

use crate::cause::config_changed::names_read;

/// No more likely than this by chance is told.
const CHANCE: f64 = 0.01;
/// Fewer workloads have nothing in common.
const LEAST: u64 = 3;
/// Workloads that a cohort names.
const NAMED: usize = 20;
/// What the pods of one workload may differ in.
const VARIES: [&str; 2] = ["node", "zone"];
/// The label by which a node says its zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// Workloads in trouble that share something.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// What they share: `node`, `zone`, `image` or `config`.
    pub shares: &'static str,
    /// Which one: its name; of a ConfigMap with its namespace.
    pub value: String,
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

type Attribute = (&'static str, String);

/// A pod as it counts.
#[derive(Debug, Clone)]
struct Counted {
    workload: u32,
    attributes: Vec<Attribute>,
    troubled: bool,
}

/// What the pods that restarted, did not start or were replaced from `from` to `to` have in common, of what may be seen.
pub fn of(scoped: &Scoped, from: Timestamp, to: Timestamp) -> Cohorts {
    let troubled: BTreeSet<&str> = scoped
        .each_restart()
        .filter(|row| (from..=to).contains(&row.finished_at.unwrap_or(row.seen_at)))
        .filter_map(|row| row.pod_uid.as_deref())
        .collect();
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
            pods.push(Counted {
                workload,
                attributes: attributes(scoped, pod),
                troubled: troubled.contains(uid.as_str()),
            });
        }
    }
    counted(&names, &pods)
}

fn attributes(scoped: &Scoped, pod: &Pod) -> Vec<Attribute> {
    let mut all = Vec::new();
    let node = &pod.spec.node_name;
    if !node.is_empty() {
        all.push(("node", node.clone()));
        let labels = scoped.cluster().node_named(node).map(|record| &record.object.metadata.labels);
        all.extend(labels.and_then(|labels| labels.get(ZONE)).map(|zone| ("zone", zone.clone())));
    }
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    all.extend(containers.filter(|c| !c.image.is_empty()).map(|c| ("image", c.image.clone())));
    let maps = pod.spec.containers.iter().flat_map(|c| names_read(pod, &c.name));
    // Each pod has the one with the cluster's certificates.
    let maps = maps.filter(|name| !name.is_empty() && name != "kube-root-ca.crt");
    all.extend(maps.map(|name| ("config", format!("{}/{name}", pod.metadata.namespace))));
    all.sort();
    all.dedup();
    all
}

fn counted(names: &[String], pods: &[Counted]) -> Cohorts {
    let of_all: BTreeSet<u32> = pods.iter().map(|pod| pod.workload).collect();
    let of_troubled: BTreeSet<u32> = pods.iter().filter(|pod| pod.troubled).map(|pod| pod.workload).collect();
    let (workloads, troubled) = (of_all.len() as u64, of_troubled.len() as u64);
    let mut sharing: BTreeMap<&Attribute, (BTreeSet<u32>, BTreeSet<u32>)> = BTreeMap::new();
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
    let cohort = |((shares, value), (all, in_trouble)): (&Attribute, (BTreeSet<u32>, BTreeSet<u32>))| {
        let (k, of) = (in_trouble.len() as u64, all.len() as u64);
        let by_workloads = factorials.tail(k, of, troubled, workloads);
        // A large workload has pods on most nodes: the pods in trouble have to be on this one more than its others are.
        let by_pods =
            if VARIES.contains(shares) { within(&factorials, pods, &of_troubled, shares, value) } else { 0.0 };
        let chance = (by_workloads.max(by_pods) * looked_at as f64).min(1.0);
        let members = in_trouble.iter().filter_map(|n| names.get(*n as usize)).take(NAMED).cloned().collect();
        Cohort { shares, value: value.clone(), troubled_sharing: k, sharing: of, chance, members }
    };
    let mut cohorts: Vec<Cohort> = found.map(cohort).filter(|c| c.chance <= CHANCE).collect();
    cohorts.sort_by(|a, b| a.chance.total_cmp(&b.chance).then_with(|| (a.shares, &a.value).cmp(&(b.shares, &b.value))));
    Cohorts { workloads, troubled, cohorts }
}

/// The chance that of the pods of workloads in trouble so many of those in trouble have this, as they do. Where all have it
/// there is nothing to be compared with: 0.
fn within(
    factorials: &Factorials,
    pods: &[Counted],
    of_troubled: &BTreeSet<u32>,
    shares: &'static str,
    value: &String,
) -> f64 {
    let (mut all, mut having, mut troubled, mut both) = (0, 0, 0, 0);
    for pod in pods.iter().filter(|pod| of_troubled.contains(&pod.workload)) {
        let has = pod.attributes.iter().any(|(kind, of)| *kind == shares && of == value);
        (all, having) = (all + 1, having + u64::from(has));
        (troubled, both) = (troubled + u64::from(pod.troubled), both + u64::from(pod.troubled && has));
    }
    if all == having { 0.0 } else { factorials.tail(both, having, troubled, all) }
}

/// Logarithms of factorials.
struct Factorials(Vec<f64>);

impl Factorials {
    fn upto(most: u64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=most).map(|n| {
            sum += (n as f64).ln();
            sum
        });
        Self(std::iter::once(0.0).chain(sums).collect())
    }

    fn choose(&self, n: u64, k: u64) -> f64 {
        let of = |n: u64| self.0.get(n as usize).copied().unwrap_or(f64::INFINITY);
        of(n) - of(k) - of(n - k)
    }

    /// The chance that of `drawn` out of `all`, of which `marked` are marked, `least` or more are marked.
    fn tail(&self, least: u64, marked: u64, drawn: u64, all: u64) -> f64 {
        let some = (least..=marked.min(drawn)).filter(|k| drawn - k <= all - marked);
        let whole = self.choose(all, drawn);
        let of = |k: u64| (self.choose(marked, k) + self.choose(all - marked, drawn - k) - whole).exp();
        some.map(of).sum::<f64>().min(1.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_lady_tasting_tea() {
        let of = |k| Factorials::upto(8).tail(k, 4, 4, 8);
        for (k, wanted) in [(4, 1.0 / 70.0), (3, 17.0 / 70.0), (0, 1.0)] {
            assert!((of(k) - wanted).abs() < 1e-12, "{k}: {}", of(k));
        }
        // All of them drawn, or all of them marked: nothing is to be learnt.
        assert!((Factorials::upto(9).tail(3, 3, 9, 9) - 1.0).abs() < 1e-12);
        assert!((Factorials::upto(9).tail(3, 9, 3, 9) - 1.0).abs() < 1e-12);
    }

    /// Twenty workloads with a pod on each of two of five nodes.
    fn pods(troubled: impl Fn(u32, &str) -> bool) -> (Vec<String>, Vec<Counted>) {
        let names = (0..20).map(|n| format!("shop/Deployment/app-{n}")).collect();
        let pods = (0..20u32).flat_map(|n| {
            [n % 5, (n + 1 + n / 5) % 5].map(|node| {
                let node = format!("node-{node}");
                let image = format!("app-{}", n % 10);
                let troubled = troubled(n, &node);
                Counted { workload: n, attributes: vec![("node", node), ("image", image)], troubled }
            })
        });
        (names, pods.collect())
    }

    #[test]
    fn a_node_whose_pods_died_is_found_and_a_scatter_is_nothing() {
        let (names, all) = pods(|_, node| node == "node-3");
        let found = counted(&names, &all);
        let [node] = &found.cohorts[..] else { panic!("{found:?}") };
        assert_eq!((node.shares, node.value.as_str()), ("node", "node-3"));
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
            let attributes = vec![("zone", format!("zone-{zone}"))];
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
            let attributes = vec![("image", "loud".into()), ("node", "node-1".into())];
            all.push(Counted { workload: 20, attributes, troubled: true });
        }
        let found = counted(&names, &all);
        assert_eq!((found.workloads, found.troubled, found.cohorts), (21, 1, Vec::new()));
    }
}
