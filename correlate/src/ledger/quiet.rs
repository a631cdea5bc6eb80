//! Trouble in which nothing ended: pods and nodes that are not ready, children that were killed in a container that went
//! on. It has no row; incidents tell of it, and clients may fail by it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_buffers::Scoped;
use whyd_buffers::state::{NamespaceState, Record};
use whyd_signals::objects::Pod;
use whyd_signals::schema::{Anomaly, Evidence, EvidenceSource, Root};
use whyd_signals::{Resource, Team, Timestamp};

use super::Ledger;
use crate::cause::{node_not_ready, oom_child, readiness_failed};
use crate::failures::Failure;
use crate::finding::kube;
use crate::incidents::Member;
use crate::probe::PROBE_TOTAL;
use crate::readiness::Unready;

/// A pod that is unready around a restart of its workload is part of that restart.
const AROUND: Duration = Duration::from_secs(120);

/// Children of a container that the OOM killer took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Killed {
    namespace: String,
    /// The first of them.
    pub(super) at: Timestamp,
    kills: u64,
}

impl Ledger {
    /// The counter of OOM kills of a running container rose: a child of it was killed.
    pub fn child_killed(&mut self, namespace: &str, (pod_uid, container): (&str, &str), at: Timestamp, kills: u64) {
        let key = (pod_uid.to_owned(), container.to_owned());
        let fresh = || Killed { namespace: namespace.to_owned(), at, kills };
        let known = self.children.entry(key).or_insert_with(fresh);
        known.at = known.at.min(at);
        known.kills = known.kills.max(kills);
    }

    /// Pods that stopped being ready by their readiness probe, and in which nothing restarted. What was over long ago is
    /// not looked at again: what would excuse it may be forgotten by now.
    pub(super) fn watch_readiness(&mut self, touched: &BTreeSet<String>, now: Timestamp, scoped: &Scoped) {
        let cluster = scoped.cluster();
        let events_known = cluster.synced(Resource::Events);
        let stands = |span: &Unready| span.until.is_some_and(|until| now > until.plus(self.lateness));
        let mut found: Vec<(String, Option<(String, Member)>, Option<Failure>)> = Vec::new();
        let mut told: Vec<(String, BTreeSet<Timestamp>, Option<String>)> = Vec::new();
        for space in touched.iter().filter_map(|n| cluster.namespace(n)) {
            for uid in self.readiness.watched_of(&space.name) {
                let Some(pod) = space.pods.get(uid) else { continue };
                let workload = space.workload_of(&pod.object);
                let mut spans = BTreeSet::new();
                let mut over = true;
                for span in self.readiness.unready(uid) {
                    let id = span_id(uid, span.since);
                    if stands(&span) {
                        spans.insert(span.since);
                        continue;
                    }
                    over = false;
                    let (from, to) = (span.since.minus(AROUND), span.until.map(|until| until.plus(AROUND)));
                    let part = self.failures.between((&space.name, &workload), from, to).any(is_restart);
                    let calm = span.calm && !part;
                    let said = calm.then(|| readiness_failed::said(space, pod, &span, events_known)).flatten();
                    let member = said.map(|said| {
                        let probed = probe_anomaly(scoped, &space.name, &pod.object.metadata.name, &span);
                        unready_member(space, pod, &workload, &span, said, probed)
                    });
                    let failure = member.as_ref().map(|(key, m)| unready_failure(key, m, &span, pod));
                    if member.is_some() {
                        spans.insert(span.since);
                    }
                    found.push((id, member, failure));
                }
                told.push((uid.clone(), spans, over.then(|| space.name.clone())));
            }
        }
        for (uid, spans, over) in told {
            if let Some(namespace) = over {
                self.readiness.unwatch(&namespace, &uid);
            }
            // A turn that came late may have moved where a time began. What lies before the turns that are still known
            // stays as it was told.
            let from = self.readiness.known_from(&uid);
            let before = self.unready.insert(uid.clone(), spans.clone()).unwrap_or_default();
            let moved = before.difference(&spans).filter(|since| **since >= from);
            found.extend(moved.map(|since| (span_id(&uid, *since), None, None)));
        }
        for (id, member, failure) in found {
            self.incidents.put(&id, member);
            self.failures.put(&id, self.failed.get(&id), failure.clone());
            match failure {
                Some(f) => self.failed.insert(id, f),
                None => self.failed.remove(&id),
            };
        }
    }

    /// Nodes that stopped answering, with the pods on them that went unready for it.
    pub(super) fn watch_nodes(&mut self, scoped: &Scoped) {
        let mut found = Vec::new();
        let touched = std::mem::take(&mut self.nodes_touched);
        for node in touched.iter().flat_map(|name| scoped.cluster().nodes_called(name)) {
            let meta = &node.object.metadata;
            for down in node_not_ready::downs(node, scoped.cluster().node_events(&meta.name)) {
                let root = Root {
                    kind: "Node".into(),
                    namespace: String::new(),
                    name: meta.name.clone(),
                    uid: meta.uid.clone(),
                };
                let member = Member {
                    team: Team::platform(),
                    namespace: String::new(),
                    workload: format!("Node/{}", meta.name),
                    name: format!("Node/{}", meta.name),
                    pod_uid: String::new(),
                    at: down.since,
                    seen: down.since,
                    until: down.until,
                    cause: node_not_ready::ID.into(),
                    mechanism: node_not_ready::ID.into(),
                    shares: Vec::new(),
                    root: Some(root),
                    summary: format!("node {} is not ready: {}", meta.name, down.message),
                    evidence: vec![not_ready(&format!("Node/{}", meta.name), down.since)],
                    speaks_of: Vec::new(),
                    own: true,
                    ended: false,
                    never_started: false,
                };
                let id = format!("node/{}/{}", meta.uid, down.since.nanos());
                // Pods that were given up with it are the same trouble, told by their rows.
                let from = self.rows.partition_point(|r| r.finished_at.unwrap_or(r.seen_at) < down.since);
                let lost =
                    self.rows[from..].iter().any(|r| r.cause == "node-lost" && r.node.as_ref() == Some(&meta.name));
                let key = format!("team {}/Node/{}/{}", Team::PLATFORM, meta.name, node_not_ready::ID);
                found.push((id, (!lost).then_some((key, member))));
            }
        }
        for (id, member) in found {
            self.incidents.put(&id, member);
        }
    }

    /// Containers that went on after the OOM killer took a child of theirs.
    pub(super) fn watch_children(&mut self, scoped: &Scoped) {
        let mut found = Vec::new();
        for ((uid, container), killed) in &self.children {
            let space = scoped.cluster().namespace(&killed.namespace);
            let pod = space.and_then(|s| s.pods.get(uid).map(|p| (s, p)));
            // One that ended by it has a row.
            let went_on = pod.filter(|_| !self.entries.killed_since(uid, container, killed.at));
            let member = went_on.map(|(space, pod)| child_member(space, pod, container, killed));
            found.push((format!("child/{uid}/{container}"), member));
        }
        for (id, member) in found {
            self.incidents.put(&id, member);
        }
    }
}

fn span_id(uid: &str, since: Timestamp) -> String {
    format!("unready/{uid}/{}", since.nanos())
}

/// Whether it is a restart, by which a pod is unready as well.
fn is_restart(failure: &Failure) -> bool {
    failure.incident_key.as_ref().is_some_and(|k| !k.ends_with(readiness_failed::ID))
}

fn child_member(space: &NamespaceState, pod: &Record<Pod>, container: &str, killed: &Killed) -> (String, Member) {
    let Killed { at, kills, .. } = *killed;
    let workload = space.workload_of(&pod.object);
    let meta = &pod.object.metadata;
    let root =
        Root { kind: "Pod".into(), namespace: space.name.clone(), name: meta.name.clone(), uid: meta.uid.clone() };
    let key = format!("{}/{workload}/{}", space.name, oom_child::ID);
    let member = Member {
        team: space.team.clone(),
        namespace: space.name.clone(),
        workload,
        name: format!("{}/{}/{container}", space.name, meta.name),
        pod_uid: String::new(),
        at,
        seen: at,
        until: Some(at),
        cause: oom_child::ID.into(),
        mechanism: oom_child::ID.into(),
        shares: Vec::new(),
        root: Some(root),
        summary: format!("the OOM killer took {kills} children of {container}, which went on"),
        evidence: Vec::new(),
        speaks_of: Vec::new(),
        own: true,
        ended: false,
        never_started: false,
    };
    (key, member)
}

fn unready_member(
    space: &NamespaceState,
    pod: &Record<Pod>,
    workload: &str,
    span: &Unready,
    said: readiness_failed::Said,
    probed: Option<Evidence>,
) -> (String, Member) {
    let meta = &pod.object.metadata;
    // Several pods of a workload may turn at one time, and none of them is the first: the workload is the root.
    let (kind, name) = workload.split_once('/').unwrap_or(("Pod", &meta.name));
    let root = Root { kind: kind.into(), namespace: space.name.clone(), name: name.into(), uid: String::new() };
    let mut evidence = vec![not_ready(&format!("Pod/{}", meta.name), span.since)];
    evidence.extend(said.event.into_iter().chain(probed));
    let member = Member {
        team: space.team.clone(),
        namespace: space.name.clone(),
        workload: workload.to_owned(),
        name: format!("{}/{}", space.name, meta.name),
        pod_uid: String::new(),
        at: span.since,
        seen: span.since,
        until: span.until,
        cause: readiness_failed::ID.into(),
        mechanism: readiness_failed::ID.into(),
        shares: Vec::new(),
        root: Some(root),
        summary: format!("{workload} is not ready: {}", said.words),
        evidence,
        speaks_of: Vec::new(),
        own: true,
        ended: false,
        never_started: false,
    };
    (format!("{}/{workload}/{}", space.name, readiness_failed::ID), member)
}

/// Since when it is not ready, by its own condition.
fn not_ready(object: &str, since: Timestamp) -> Evidence {
    kube(Some(since), object.to_owned(), "status.conditions[Ready].status", "False", "not ready since then")
}

/// What was unusual about the probes of a pod shortly before it stopped being ready, or since: the first of it.
fn probe_anomaly(scoped: &Scoped, namespace: &str, pod: &str, span: &Unready) -> Option<Evidence> {
    let (from, to) = (span.since.minus(AROUND), span.until);
    let of_pod = |a: &&Arc<Anomaly>| a.metric == PROBE_TOTAL && a.namespace == namespace && a.pod == pod;
    let then = |a: &&Arc<Anomaly>| from <= a.ts && to.is_none_or(|to| a.ts <= to);
    let first = scoped.each_anomaly().filter(of_pod).filter(then).min_by_key(|a| a.ts)?;
    Some(Evidence {
        source: EvidenceSource::Metrics,
        at: Some(first.ts),
        object: format!("Pod/{pod}"),
        field: first.metric.clone(),
        value: first.value.into(),
        text: first.text.clone(),
    })
}

/// An unready pod as a link: its clients may have given up on it.
fn unready_failure(key: &str, member: &Member, span: &Unready, pod: &Record<Pod>) -> Failure {
    let meta = &pod.object.metadata;
    let field = "status.conditions[Ready].status";
    let object = format!("Pod/{}", meta.name);
    Failure {
        namespace: member.namespace.clone(),
        workload: member.workload.clone(),
        owner: meta.controller().map_or(String::new(), |o| o.name.clone()),
        onset: span.since,
        finished: span.since,
        recovered: span.until,
        root: member.root.clone(),
        incident_key: Some(key.to_owned()),
        evidence: Some(kube(Some(span.since), object, field, "False", &member.summary)),
        own_fault: true,
        wanted: false,
    }
}
