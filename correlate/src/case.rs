//! One ended instance, or one pod that was replaced or never started, with all that can be read about it.

mod heard;
mod said;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_buffers::state::{EventSeen, NamespaceState, Record};
use whyd_buffers::{LogLine, Scoped};
use whyd_signals::objects::{Condition, Container, Node, Pod, Terminated, Waiting};
use whyd_signals::schema::{Anomaly, Evidence, EvidenceSource, Root};
use whyd_signals::{Range, Resource, Sample, Timestamp};

use crate::cause::WORKING_SET;
use crate::changes::ChangeLog;
use crate::failures::Failures;
use crate::finding;
use crate::quantity::quantity;

/// Status times are whole seconds, cut off.
const SECOND: Duration = Duration::from_secs(1);
/// What is new is new in this last part of its life.
const BEFORE_END: Duration = Duration::from_secs(60);
/// `Container is in "unknown" state, try killing it before restart`: that it goes on is not known, and what
/// had ended before was told nothing.
const IN_UNKNOWN_STATE: &str = " state, try killing it before ";
/// Which field of a container's status tells of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToldIn {
    /// The current state.
    State,
    /// The one before it.
    LastState,
}

impl ToldIn {
    /// The field's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::LastState => "lastState",
        }
    }
}

/// How it came into the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// A container instance ended.
    Ended {
        /// How, as the status says.
        terminated: Terminated,
        /// Where the status says so.
        field: ToldIn,
        /// The container's restarts before this end.
        restart_count: i64,
        /// What the container waited for afterwards, the first reason that is no back-off.
        then: Option<Waiting>,
    },
    /// A container, or a pod as a whole, that could not be started.
    NeverStarted {
        /// Why it waits.
        reason: String,
        /// The kubelet's words.
        message: String,
    },
    /// The pod failed as a whole and no instance of it was seen to end.
    Failed,
    /// The pod went away and no instance of it was seen to end.
    Replaced,
    /// An instance that must have ended, since the count of restarts rose by more than one between two looks.
    Unseen {
        /// The container's restarts before this end.
        restart_count: i64,
        /// When the count was last seen lower.
        after: Timestamp,
    },
}

/// What a cause looks at.
pub struct Case<'a> {
    /// The data.
    pub scoped: &'a Scoped,
    /// The pod's namespace.
    pub space: &'a NamespaceState,
    /// The pod, with its history.
    pub pod: &'a Record<Pod>,
    /// The container's name; `None` for a pod as a whole.
    pub container: Option<&'a str>,
    /// How it ended.
    pub ending: &'a Ending,
    /// `Kind/name`.
    pub workload: String,
    /// Failures judged so far: the links of chains.
    pub failures: &'a Failures,
    /// What was changed in the cluster.
    pub(crate) changes: &'a ChangeLog,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// When the instance before it ended and the one after it started, where that is known.
    pub neighbours: (Option<Timestamp>, Option<Timestamp>),
    /// What [`Case::lines`] read; empty to begin with.
    pub said: OnceCell<Vec<LogLine>>,
    /// Why lines of it may be missing, once that was asked for.
    pub unheard: OnceCell<Option<String>>,
}

impl Case<'_> {
    /// How the instance ended.
    pub fn terminated(&self) -> Option<&Terminated> {
        match self.ending {
            Ending::Ended { terminated, .. } => Some(terminated),
            _ => None,
        }
    }

    /// Its exit code.
    pub fn exit(&self) -> Option<i32> {
        self.terminated().map(|t| t.exit_code)
    }

    /// The status field that says so, as a path.
    pub fn field(&self, leaf: &str) -> String {
        let state = match self.ending {
            Ending::Ended { field, .. } => *field,
            _ => ToldIn::State,
        };
        let state = state.as_str();
        let name = self.container.unwrap_or_default();
        format!("status.{}[{name}].{state}.terminated.{leaf}", self.pod.object.status_list(name))
    }

    /// A field of the container's spec, as a path.
    pub fn spec_field(&self, rest: &str) -> String {
        let name = self.container.unwrap_or_default();
        format!("spec.{}[{name}].{rest}", self.pod.object.spec_list(name))
    }

    /// A field of what the container waits for, as a path.
    pub fn waiting_field(&self, leaf: &str) -> String {
        let name = self.container.unwrap_or_default();
        format!("status.{}[{name}].state.waiting.{leaf}", self.pod.object.status_list(name))
    }

    /// A fact of the pod itself as evidence.
    pub fn of_pod(
        &self,
        at: Option<Timestamp>,
        field: &str,
        value: impl Into<serde_json::Value>,
        text: &str,
    ) -> Evidence {
        finding::kube(at, format!("Pod/{}", self.pod_name()), field, value, text)
    }

    /// What the container waited for after this end, as evidence.
    pub fn then(&self, reason: &str) -> Option<Evidence> {
        let Ending::Ended { then: Some(waiting), .. } = self.ending else { return None };
        let said = if waiting.message.is_empty() { &waiting.reason } else { &waiting.message };
        let leaf = if waiting.message.is_empty() { "reason" } else { "message" };
        (waiting.reason == reason).then(|| {
            self.of_pod(Some(self.seen_at), &self.waiting_field(leaf), said.clone(), "what the kubelet says of it")
        })
    }

    /// The node that the pod ran on.
    pub fn node(&self) -> Option<&Record<Node>> {
        self.scoped.cluster().node_named(&self.pod.object.spec.node_name)
    }

    /// The node as root; `None` for a pod that was bound to none.
    pub fn node_root(&self) -> Option<Root> {
        let name = &self.pod.object.spec.node_name;
        let uid = self.node().map_or(String::new(), |n| n.object.metadata.uid.clone());
        (!name.is_empty()).then(|| Root { kind: "Node".into(), namespace: String::new(), name: name.clone(), uid })
    }

    /// All events about the pod's node.
    pub fn node_events(&self) -> impl Iterator<Item = &EventSeen> {
        self.scoped.cluster().node_events(&self.pod.object.spec.node_name)
    }

    /// The condition by which a controller or the kubelet says that it took the pod away, and why.
    pub fn disruption(&self) -> Option<&Condition> {
        self.pod.object.condition("DisruptionTarget").filter(|c| c.status == "True")
    }

    /// The last working set that was seen of it, with its share of the limit and its age in words.
    pub fn usage(&self) -> Option<(Sample, String)> {
        const MIB: f64 = 1024.0 * 1024.0;
        let sample = self.last_sample(WORKING_SET)?;
        let age = self.finished().seconds_since(sample.ts).max(0.0);
        let of = self.memory_limit().map_or(String::new(), |(bytes, text)| {
            format!(", {:.0} % of the limit of {text}", sample.value / bytes * 100.0)
        });
        Some((sample, format!("{:.0} MiB{of}, {age:.0} s before the end", sample.value / MIB)))
    }

    /// When the instance started; the pod's creation where it never did.
    pub fn started(&self) -> Timestamp {
        let created = self.pod.object.metadata.creation_timestamp.unwrap_or(self.pod.first_seen);
        self.terminated().and_then(|t| t.started_at).filter(|t| t.nanos() > 0).unwrap_or(created)
    }

    /// From when on what happened to the container is this instance's: times are whole seconds, and what happened in
    /// the second in which the instance before it ended is that one's.
    fn began(&self) -> Timestamp {
        match self.neighbours.0 {
            Some(before) if before >= self.started() => before.plus(SECOND),
            _ => self.started().minus(SECOND),
        }
    }

    /// When it ended; when it was seen where nothing ended.
    pub fn finished(&self) -> Timestamp {
        self.terminated().and_then(|t| t.finished_at).unwrap_or(self.seen_at)
    }

    /// The pod's name.
    pub fn pod_name(&self) -> &str {
        &self.pod.object.metadata.name
    }

    /// The container's spec.
    pub fn spec(&self) -> Option<&Container> {
        self.pod.object.container(self.container?)
    }

    /// The pod as root.
    pub fn pod_root(&self) -> Root {
        self.root("Pod", self.pod_name(), &self.pod.object.metadata.uid)
    }

    /// The workload as root.
    pub fn workload_root(&self) -> Root {
        let (kind, name) = self.workload.split_once('/').unwrap_or(("Pod", &self.workload));
        let known = self.space.workloads_called(name).filter(|(r, _)| r.kind() == kind);
        let known = known.max_by_key(|(_, w)| (w.deleted_at.is_none(), w.object.metadata.creation_timestamp));
        let owner = self.pod.object.metadata.controller().filter(|o| o.kind == kind && o.name == name);
        let uid = known.map(|(_, w)| &w.object.metadata.uid).or(owner.map(|o| &o.uid));
        self.root(kind, name, uid.map_or("", String::as_str))
    }

    /// An object of this namespace as root.
    pub fn root(&self, kind: &str, name: &str, uid: &str) -> Root {
        Root { kind: kind.into(), namespace: self.space.name.clone(), name: name.into(), uid: uid.into() }
    }

    /// When the pod was asked to go: the earliest deletion time less its grace.
    pub fn deletion_asked(&self) -> Option<Timestamp> {
        let versions = self.pod.versions.iter().map(|(_, p)| p.as_ref()).chain([self.pod.object.as_ref()]);
        let asked = versions.filter_map(|p| {
            let grace = u64::try_from(p.metadata.deletion_grace_period_seconds.unwrap_or(0)).unwrap_or(0);
            Some(p.metadata.deletion_timestamp?.minus(Duration::from_secs(grace)))
        });
        asked.min().or(self.pod.deleted_at)
    }

    /// When the pod was asked to go, and the seconds of grace that it was given then.
    pub fn deletion(&self) -> Option<(Timestamp, f64)> {
        let versions = self.pod.versions.iter().map(|(_, p)| p.as_ref()).chain([self.pod.object.as_ref()]);
        let asked = versions.filter_map(|p| {
            let grace = p.metadata.deletion_grace_period_seconds.filter(|g| *g > 0)?;
            let seconds = u64::try_from(grace).ok()?;
            Some((p.metadata.deletion_timestamp?.minus(Duration::from_secs(seconds)), grace as f64))
        });
        asked.min_by_key(|(at, _)| *at)
    }

    /// Whether the end came because the pod was asked to go.
    pub fn deleting(&self) -> bool {
        match (self.deletion_asked(), self.ending) {
            (Some(asked), Ending::Ended { .. }) => self.finished() >= asked.minus(SECOND),
            (Some(_), Ending::Replaced) => true,
            _ => false,
        }
    }

    /// Whether the kubelet evicted the pod and this instance ended by it, not before.
    pub fn evicted(&self) -> bool {
        if self.pod.object.status.reason != "Evicted" {
            return false;
        }
        let told = self.space.events_about(&self.pod.object.metadata.uid).filter(|e| e.event.reason == "Evicted");
        let said = self.disruption().and_then(|c| c.last_transition_time);
        let at = told.map(|e| e.at).chain(said).min();
        match (at, self.ending) {
            (Some(at), Ending::Ended { .. }) => self.finished() >= at.minus(SECOND * 2),
            (None, Ending::Ended { .. }) => self.neighbours.1.is_none(),
            _ => true,
        }
    }

    /// The events of this reason about the pod and this container while the instance lived.
    pub fn events<'s>(&'s self, reason: &'s str) -> impl Iterator<Item = &'s EventSeen> {
        let (from, to) = (self.began(), self.finished().plus(SECOND * 3));
        let to = self.neighbours.1.map_or(to, |next| to.min(next.max(self.finished())));
        self.pod_events(reason).filter(move |e| from <= e.at && e.at <= to)
    }

    /// When the kubelet told the container to stop, whatever for.
    pub fn told_to_stop(&self) -> Option<Timestamp> {
        self.terminated()?;
        let told = self.events("Killing").filter(|e| !e.event.message.contains(IN_UNKNOWN_STATE));
        told.map(|e| e.at).filter(|at| *at <= self.finished().plus(SECOND)).min()
    }

    /// The events of this reason about the pod and this container at any time.
    pub fn pod_events<'s>(&'s self, reason: &'s str) -> impl Iterator<Item = &'s EventSeen> {
        self.space.events_about(&self.pod.object.metadata.uid).filter(move |e| {
            let about = e.event.involved_object.container();
            e.event.reason == reason && (self.container.is_none() || about.is_none() || about == self.container)
        })
    }

    /// Whether events were watched at all: only then does their absence mean anything.
    pub fn events_known(&self) -> bool {
        self.scoped.cluster().synced(Resource::Events)
    }

    /// Whether log lines of this namespace came in, and nothing speaks for it that some are missing around the end.
    pub fn logs_known(&self) -> bool {
        let had = self.scoped.has_logs(&self.space.name) && !self.scoped.lacks_logs(self.around_the_end());
        had && self.unheard().is_none()
    }

    /// Whether metrics of this namespace came in, and none is known to be missing around the end.
    pub fn metrics_known(&self) -> bool {
        self.scoped.has_metrics(&self.space.name) && !self.scoped.lacks_metrics(self.around_the_end())
    }

    fn around_the_end(&self) -> Range {
        Range::new(self.finished().minus(BEFORE_END), self.finished().plus(SECOND))
    }

    /// The anomalies of this metric while the instance lived, in words.
    pub fn anomaly(&self, metric: &str) -> Option<Arc<Anomaly>> {
        let (from, to) = (self.started(), self.finished().plus(SECOND));
        let own = |a: &Arc<Anomaly>| {
            a.metric == metric
                && *a.namespace == self.space.name
                && a.pod == self.pod_name()
                && Some(a.container.as_str()) == self.container
                && from <= a.ts
                && a.ts <= to
        };
        self.scoped.each_anomaly().filter(|a| own(a)).max_by_key(|a| a.ts).map(Arc::clone)
    }

    /// The last sample of a metric of this container while the instance lived.
    pub fn last_sample(&self, metric: &str) -> Option<Sample> {
        let (from, to) = (self.started(), self.finished().plus(SECOND));
        let ids = self.scoped.series_of(metric, &self.space.name, self.pod_name(), self.container);
        let samples = ids.into_iter().filter_map(|id| self.scoped.asof(id, to));
        samples.filter(|s| s.ts >= from && !s.value.is_nan()).max_by_key(|s| s.ts)
    }

    /// The memory limit in bytes, with its text.
    pub fn memory_limit(&self) -> Option<(f64, &str)> {
        let text = self.spec()?.resources.limits.get("memory")?;
        Some((quantity(text)?, text))
    }

    /// Exit code, reason or signal of the end as evidence.
    pub fn status(&self, leaf: &str, text: &str) -> Option<Evidence> {
        let t = self.terminated()?;
        let value: serde_json::Value = match leaf {
            "exitCode" => t.exit_code.into(),
            "reason" => t.reason.clone().into(),
            _ => t.message.clone().into(),
        };
        Some(finding::kube(t.finished_at, format!("Pod/{}", self.pod_name()), &self.field(leaf), value, text))
    }

    /// A sample as evidence.
    pub fn sample(&self, metric: &str, sample: Sample, text: String) -> Evidence {
        Evidence {
            source: EvidenceSource::Metrics,
            at: Some(sample.ts),
            object: format!("Pod/{}", self.pod_name()),
            field: metric.to_owned(),
            value: sample.value.into(),
            text,
        }
    }
}
