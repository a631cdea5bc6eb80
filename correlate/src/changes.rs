//! What was changed in the cluster: rollouts, configuration, scaling, nodes; read from the history of its objects.

mod log;

use whyd_buffers::Scoped;
use whyd_buffers::state::{NamespaceState, Record};
use whyd_signals::objects::{ConfigMap, Node, Workload};
use whyd_signals::schema::Change;
use whyd_signals::{Resource, Team, Timestamp};

use crate::cause::config_changed;
use crate::replacement::RESTARTED_AT;

pub(crate) use log::ChangeLog;

/// What people write beside a rollout.
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// All changes that the caller may see, in order of time.
pub fn all(scoped: &Scoped) -> Vec<Change> {
    let mut found: Vec<Change> = scoped.cluster().namespaces().flat_map(of_namespace).collect();
    if scoped.access().allows(&Team::platform()) {
        found.extend(scoped.cluster().nodes().flat_map(of_node));
    }
    found.sort();
    found
}

/// ConfigMaps that a platform puts into each namespace, with its certificates: Kubernetes, OpenShift, Istio. They change with nobody's
/// doing, and all have them.
pub(crate) const OF_ALL: [&str; 3] = ["kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert"];

/// The changes of one namespace, in no order.
pub fn of_namespace(space: &NamespaceState) -> Vec<Change> {
    let workloads = space.workloads.values().flat_map(|(resource, record)| of_workload(space, *resource, record));
    workloads.chain(space.config_maps.values().flat_map(|record| of_config_map(space, record))).collect()
}

/// The changes of a ConfigMap, in no order.
fn of_config_map(space: &NamespaceState, record: &Record<ConfigMap>) -> Vec<Change> {
    let meta = &record.object.metadata;
    let mut found = Vec::new();
    if OF_ALL.contains(&meta.name.as_str()) {
        return found;
    }
    let mut tell = |ts: Timestamp, what: &str, detail: String, by: &str| {
        found.push(change(space, ts, ("ConfigMap", &meta.name), what, detail, by));
    };
    for (seen, version) in config_changed::rewritten(record) {
        let number = &version.metadata.resource_version;
        tell(seen, "config", format!("resource version {number}"), &version.metadata.changed_by);
    }
    if !record.listed {
        tell(meta.creation_timestamp.unwrap_or(record.first_seen), "created", String::new(), "");
    }
    if let Some(at) = record.deleted_at {
        tell(at, "deleted", String::new(), "");
    }
    found
}

fn change(
    space: &NamespaceState,
    ts: Timestamp,
    (kind, name): (&str, &str),
    what: &str,
    detail: String,
    by: &str,
) -> Change {
    Change {
        ts,
        team: space.team.clone(),
        namespace: space.name.clone(),
        kind: kind.into(),
        name: name.into(),
        what: what.into(),
        detail,
        by: by.into(),
    }
}

/// The changes of a workload, in no order; a ReplicaSet's are its Deployment's.
fn of_workload(space: &NamespaceState, resource: Resource, record: &Record<Workload>) -> Vec<Change> {
    let meta = &record.object.metadata;
    let mut found = Vec::new();
    if resource == Resource::ReplicaSets {
        return found;
    }
    let named = (resource.kind(), meta.name.as_str());
    if !record.listed {
        let at = meta.creation_timestamp.unwrap_or(record.first_seen);
        found.push(change(space, at, named, "created", String::new(), ""));
    }
    for pair in record.versions.windows(2) {
        let [(_, before), (seen, after)] = pair else { continue };
        for (what, detail) in differences(before, after) {
            let said = after.metadata.annotations.get(CHANGE_CAUSE).filter(|s| !s.is_empty());
            let by = said.unwrap_or(&after.metadata.changed_by);
            found.push(change(space, *seen, named, what, detail, by));
        }
    }
    if let Some(at) = record.deleted_at {
        found.push(change(space, at, named, "deleted", String::new(), ""));
    }
    found
}

/// What one generation has that the one before had not.
fn differences(before: &Workload, after: &Workload) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let (was, is) = (&before.spec.template, &after.spec.template);
    for container in is.spec.containers.iter().chain(&is.spec.init_containers) {
        let all = was.spec.containers.iter().chain(&was.spec.init_containers);
        let old = all.into_iter().find(|c| c.name == container.name);
        if let Some(old) = old.filter(|o| o.image != container.image) {
            found.push(("image", format!("{}: {} to {}", container.name, old.image, container.image)));
        }
    }
    let restarted = |t: &whyd_signals::objects::PodTemplate| t.metadata.annotations.get(RESTARTED_AT).cloned();
    if restarted(was) != restarted(is) {
        found.push(("restart", "kubectl rollout restart".to_owned()));
    } else if was != is && found.is_empty() {
        found.push(("template", "its pod template".to_owned()));
    }
    if before.spec.replicas != after.spec.replicas {
        let count = |n: Option<i64>| n.map_or("none".to_owned(), |n| n.to_string());
        found.push(("replicas", format!("{} to {}", count(before.spec.replicas), count(after.spec.replicas))));
    }
    found
}

/// The changes of one node, in no order.
pub fn of_node(record: &Record<Node>) -> Vec<Change> {
    let name = &record.object.metadata.name;
    let mut found = Vec::new();
    let mut tell = |ts: Timestamp, what: &str, detail: String| {
        let (namespace, by) = (String::new(), String::new());
        let (team, kind) = (Team::platform(), "Node".to_owned());
        found.push(Change { ts, team, namespace, kind, name: name.clone(), what: what.to_owned(), detail, by });
    };
    for pair in record.versions.windows(2) {
        let [(_, before), (seen, after)] = pair else { continue };
        if before.spec.unschedulable != after.spec.unschedulable {
            let what = if after.spec.unschedulable { "cordon" } else { "uncordon" };
            tell(*seen, what, String::new());
        }
        let (old, new) = (&before.status.node_info.boot_id, &after.status.node_info.boot_id);
        if old != new && !old.is_empty() {
            tell(*seen, "boot", format!("boot id {new}"));
        }
        let ready = |n: &Node| n.status.conditions.iter().find(|c| c.kind == "Ready").cloned();
        if let (Some(was), Some(is)) = (ready(before), ready(after))
            && was.status != is.status
        {
            let what = if is.status == "True" { "ready" } else { "not-ready" };
            tell(is.last_transition_time.unwrap_or(*seen), what, is.message);
        }
    }
    if let Some(at) = record.deleted_at {
        tell(at, "deleted", String::new());
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn workload(image: &str, replicas: i64, restarted: &str) -> Workload {
        serde_json::from_value(serde_json::json!({
            "spec": {"replicas": replicas, "template": {
                "metadata": {"annotations": {RESTARTED_AT: restarted}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            }},
        }))
        .unwrap()
    }

    #[test]
    fn one_generation_may_hold_several_changes() {
        let before = workload("a:1", 2, "x");
        for (after, want) in [
            (workload("a:2", 2, "x"), vec![("image", "c: a:1 to a:2")]),
            (workload("a:1", 5, "x"), vec![("replicas", "2 to 5")]),
            (workload("a:1", 2, "y"), vec![("restart", "kubectl rollout restart")]),
            (workload("a:2", 0, "x"), vec![("image", "c: a:1 to a:2"), ("replicas", "2 to 0")]),
            (workload("a:1", 2, "x"), vec![]),
        ] {
            let found = differences(&before, &after);
            let found: Vec<(&str, &str)> = found.iter().map(|(what, detail)| (*what, detail.as_str())).collect();
            assert_eq!(found, want);
        }
    }
}
