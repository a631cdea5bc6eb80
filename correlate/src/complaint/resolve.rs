//! Which workloads a host stands for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use whyd_buffers::Scoped;
use whyd_buffers::state::{NamespaceState, Record};
use whyd_signals::Timestamp;
use whyd_signals::objects::Pod;

use crate::case::Case;

/// A workload that a host stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Dependency {
    /// `Kind/name`.
    pub(crate) workload: String,
    pub(crate) namespace: String,
}

/// The workloads behind a host name or address, without its port, for a program of the case's pod.
pub(crate) fn resolve(case: &Case<'_>, host: &str) -> Vec<Dependency> {
    workloads_of(case.scoped, &case.space.name, case.started(), host)
}

/// The workloads behind a host name or address, without its port, for a program in the namespace `own`; pods that were
/// gone at `since` had it before.
pub(crate) fn workloads_of(scoped: &Scoped, own: &str, since: Timestamp, host: &str) -> Vec<Dependency> {
    let cluster = scoped.cluster();
    let of = |s: &NamespaceState, workload| Dependency { workload, namespace: s.name.clone() };
    if host.parse::<std::net::IpAddr>().is_ok() {
        let mut found = Vec::new();
        for s in cluster.namespaces() {
            let pods = s.pods.values().filter(|p| has_address(p, since, host));
            found.extend(pods.map(|p| of(s, s.workload_of(&p.object))));
            let services = s.services.values().filter(|v| v.object.spec.cluster_ip == host);
            found.extend(services.flat_map(|v| selected(s, &v.object.spec.selector)).map(|w| of(s, w)));
        }
        return found;
    }
    let labels: Vec<&str> = host.split('.').collect();
    // `service`, `service.namespace.svc`, and `pod.service.namespace.svc` of a StatefulSet.
    let candidates = match labels.as_slice() {
        [service] => vec![(*service, own)],
        [first, second] => vec![(*first, *second), (*second, own)],
        [first, second, third, ..] => vec![(*first, *second), (*second, *third)],
        [] => Vec::new(),
    };
    let mut found = Vec::new();
    for (service, namespace) in candidates {
        let Some(space) = cluster.namespace(namespace) else { continue };
        found.extend(named(space, service).into_iter().map(|w| of(space, w)));
    }
    found
}

/// The workloads that a service's name stands for. Services are not always watched: then by what usually bears it.
fn named(space: &NamespaceState, service: &str) -> BTreeSet<String> {
    let of_service = space.services.values().filter(|v| v.object.metadata.name == service);
    let mut names: BTreeSet<String> = of_service.flat_map(|v| selected(space, &v.object.spec.selector)).collect();
    if !names.is_empty() {
        return names;
    }
    let own = space.workloads.values().filter(|(r, _)| r.kind() != "ReplicaSet");
    let bears = own.filter(|(_, w)| {
        let labels = &w.object.spec.template.metadata.labels;
        let label = |key| labels.get(key).is_some_and(|v| v == service);
        w.object.metadata.name == service
            || w.object.spec.service_name == service
            || label("app")
            || label("app.kubernetes.io/name")
    });
    names.extend(bears.map(|(r, w)| format!("{}/{}", r.kind(), w.object.metadata.name)));
    if names.is_empty() {
        names.extend(space.pods_called(service).map(|p| space.workload_of(&p.object)));
    }
    names
}

/// The workloads of this namespace that say they listen on a port: the last resort for an address that nothing bears.
pub(crate) fn listening(space: &NamespaceState, port: u16) -> Vec<Dependency> {
    let listens = |pod: &Pod| {
        let all = pod.spec.containers.iter().chain(&pod.spec.init_containers);
        all.into_iter().any(|c| c.ports.iter().any(|p| p.container_port == i64::from(port)))
    };
    let pods = space.pods.values().filter(|p| listens(&p.object));
    let workloads: BTreeSet<String> = pods.map(|p| space.workload_of(&p.object)).collect();
    workloads.into_iter().map(|workload| Dependency { workload, namespace: space.name.clone() }).collect()
}

/// Whether the pod has had this address of its own since then: addresses are given anew.
fn has_address(pod: &Record<Pod>, since: Timestamp, host: &str) -> bool {
    let there = pod.deleted_at.is_none_or(|at| at >= since);
    pod.object.status.pod_ip == host && !pod.object.spec.host_network && there
}

/// The workloads of the pods that a selector selects.
fn selected(space: &NamespaceState, selector: &BTreeMap<String, String>) -> BTreeSet<String> {
    if selector.is_empty() {
        return BTreeSet::new();
    }
    let matches = |labels: &BTreeMap<String, String>| selector.iter().all(|(k, v)| labels.get(k) == Some(v));
    let pods = space.pods.values().filter(|p| matches(&p.object.metadata.labels)).map(|p| space.workload_of(&p.object));
    let without_pods = space
        .workloads
        .values()
        .filter(|(r, w)| r.kind() != "ReplicaSet" && matches(&w.object.spec.template.metadata.labels))
        .map(|(r, w)| format!("{}/{}", r.kind(), w.object.metadata.name));
    pods.chain(without_pods).collect()
}
