//! What of an incident tells whether it is one with others: when it began, of what, and what its pods have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyd_signals::schema::{Incident, Root, Shared, Sharing};
use whyd_signals::{Team, Timestamp};

use super::head::Head;
use super::{Member, Place};

/// Pods of one incident that are looked at, the first.
pub(super) const PODS: usize = 200;

/// A pod that was in trouble, with what it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Had {
    /// `namespace/Kind/name`.
    pub(super) workload: String,
    pub(super) pod: String,
    pub(super) shares: Vec<Shared>,
}

/// The facts of one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) opened: Timestamp,
    pub(super) team: Team,
    /// The group that the incident was made of.
    pub(super) group: String,
    pub(super) root: Option<Root>,
    /// What its own members died of; `None` where a root elsewhere is known already.
    pub(super) class: Option<String>,
    pub(super) pods: BTreeSet<Had>,
}

/// The facts of an incident that is known, as what it shares is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) id: Arc<str>,
    pub(super) facts: Facts,
    /// What it has that fits what it died of, each with the workloads that have it.
    pub(super) things: BTreeMap<Arc<Shared>, BTreeSet<Arc<str>>>,
}

impl Known {
    pub(super) fn new(id: &str, facts: Facts) -> Self {
        let mut things: BTreeMap<Arc<Shared>, BTreeSet<Arc<str>>> = BTreeMap::new();
        let class = facts.class.as_deref().unwrap_or_default();
        for had in &facts.pods {
            let workload: Arc<str> = Arc::from(had.workload.as_str());
            for shared in had.shares.iter().filter(|shared| fits(shared.what, class)) {
                if let Some(workloads) = things.get_mut(shared) {
                    workloads.insert(Arc::clone(&workload));
                } else {
                    things.insert(Arc::new(shared.clone()), [Arc::clone(&workload)].into());
                }
            }
        }
        Self { id: Arc::from(id), facts, things }
    }
}

/// By their ids; written are the facts alone.
pub(super) mod by_id {
    use serde::{Deserializer, Serializer};

    use super::{Arc, BTreeMap, Deserialize, Facts, Known};

    pub(in crate::incidents) fn serialize<S: Serializer>(
        all: &BTreeMap<String, Arc<Known>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(all.iter().map(|(id, known)| (id, &known.facts)))
    }

    pub(in crate::incidents) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, Arc<Known>>, D::Error> {
        let all = BTreeMap::<String, Facts>::deserialize(from)?;
        Ok(all.into_iter().map(|(id, facts)| (id.clone(), Arc::new(Known::new(&id, facts)))).collect())
    }
}

impl Facts {
    pub(super) fn of(group: &str, incident: &Incident, (members, heads): (&[(&Place, &Member)], &[&Head])) -> Self {
        let of_heads = || heads.iter().flat_map(|head| &head.had);
        let own = || members.iter().filter_map(|(_, m)| Some((class_in(group, m)?, *m)));
        let class = of_heads().map(|(class, _)| class.as_str()).next().or_else(|| own().map(|(class, _)| class).next());
        let mut held: BTreeMap<(&str, &str, &str), BTreeSet<&Shared>> = BTreeMap::new();
        for (_, member) in own().filter(|(of, _)| Some(*of) == class) {
            if held.len() >= PODS {
                break;
            }
            let pod = (member.namespace.as_str(), member.workload.as_str(), member.pod_uid.as_str());
            held.entry(pod).or_default().extend(&member.shares);
        }
        let let_go = of_heads().filter(|(of, _)| Some(of.as_str()) == class);
        let mut pods: BTreeMap<(String, &str), BTreeSet<&Shared>> = BTreeMap::new();
        for (_, had) in let_go {
            pods.entry((had.workload.clone(), &had.pod)).or_default().extend(&had.shares);
        }
        for ((namespace, workload, pod), shares) in held {
            let key = (format!("{namespace}/{workload}"), pod);
            if pods.len() < PODS || pods.contains_key(&key) {
                pods.entry(key).or_default().extend(shares);
            }
        }
        let had = |((workload, pod), shares): ((String, &str), BTreeSet<&Shared>)| Had {
            workload,
            pod: pod.to_owned(),
            shares: shares.into_iter().cloned().collect(),
        };
        Self {
            opened: incident.opened_at,
            team: incident.team.clone(),
            group: group.to_owned(),
            root: incident.root.clone(),
            class: class.map(str::to_owned),
            pods: pods.into_iter().map(had).collect(),
        }
    }
}

/// What a member had that it may have died of with others, and what it died of.
pub(super) fn had_of(group: &str, member: &Member) -> Option<(String, Had)> {
    let class = class_in(group, member)?;
    let workload = format!("{}/{}", member.namespace, member.workload);
    let had = Had { workload, pod: member.pod_uid.clone(), shares: member.shares.clone() };
    Some((class.to_owned(), had))
}

/// What a member died of; `None` where it was another's trouble, or nothing that others could share.
fn class_in<'a>(group: &str, member: &'a Member) -> Option<&'a str> {
    // What a Job's attempts died of is one trouble with its giving up, and named by that.
    let of_job = || member.cause == "app-error" && group.ends_with("/job-failed");
    let is_shared = |class: &&str| Sharing::ALL.iter().any(|what| fits(*what, class));
    Some(class_of(member)).filter(|_| member.own || of_job()).filter(is_shared)
}

/// A rollout that crashes and a first version that does die of the same.
fn class_of(member: &Member) -> &str {
    if member.cause == "bad-rollout" { &member.mechanism } else { &member.cause }
}

/// Causes that may come out of the program and how it was set up.
const OF_PROGRAM: [&str; 19] = [
    "abort",
    "app-error",
    "bus-error",
    "clean-exit",
    "command-not-found",
    "exec-format",
    "heap-exhausted",
    "hook-failed",
    "image-pull",
    "init-failed",
    "killed-by-signal",
    "liveness-failed",
    "not-executable",
    "oom-limit",
    "port-conflict",
    "security-context",
    "segfault",
    "sidecar-failed",
    "startup-failed",
];
/// Those of them for which a ConfigMap is not to blame.
const NOT_OF_CONFIG: [&str; 2] = ["exec-format", "image-pull"];
/// Causes that may come of the machine, the network around it or its disks.
const OF_MACHINE: [&str; 17] = [
    "abort",
    "app-error",
    "bus-error",
    "evicted-disk",
    "evicted-memory",
    "evicted-pids",
    "exec-format",
    "hook-failed",
    "image-pull",
    "init-failed",
    "killed-by-signal",
    "liveness-failed",
    "sandbox",
    "segfault",
    "startup-failed",
    "status-unknown",
    "volume",
];
/// Causes that may come of another that does not answer.
const OF_OTHERS: [&str; 7] = [
    "app-error",
    "clean-exit",
    "dependency-missing",
    "init-failed",
    "liveness-failed",
    "sidecar-failed",
    "startup-failed",
];

/// Whether a thing of this kind may be to blame for what was died of.
pub(super) fn fits(what: Sharing, class: &str) -> bool {
    match what {
        Sharing::Dependency => OF_OTHERS.contains(&class),
        Sharing::Image => OF_PROGRAM.contains(&class),
        Sharing::Config => OF_PROGRAM.contains(&class) && !NOT_OF_CONFIG.contains(&class),
        Sharing::Node | Sharing::Zone => OF_MACHINE.contains(&class),
    }
}
