//! One ended instance, or one pod that was replaced or never started, with all that can be read about it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::state::{EventSeen, NamespaceState, Record};
use whyd_buffers::{LogLine, Scoped};
use whyd_signals::objects::{Container, Pod, Terminated};
use whyd_signals::schema::{Anomaly, Evidence, EvidenceSource, Root};
use whyd_signals::{Resource, Sample, Timestamp};

use crate::finding;
use crate::ledger::Failure;
use crate::redact::redact;

/// Status times are whole seconds, cut off.
const SECOND: Duration = Duration::from_secs(1);
/// How many lines count as last words, and how far back they are looked for before the whole life is searched.
const LAST_WORDS: usize = 64;
const RECENT: Duration = Duration::from_secs(300);

/// How it came into the ledger.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// A container instance ended.
    Ended {
        /// How, as the status says.
        terminated: Terminated,
        /// Whether it was still the current state or already the last one.
        field: &'static str,
        /// The container's restarts before this end.
        restart_count: i64,
    },
    /// A container that could not be started.
    NeverStarted {
        /// Why it waits.
        reason: String,
        /// The kubelet's words.
        message: String,
    },
    /// The pod went away and no instance of it was seen to end.
    Replaced,
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
    /// Failures judged so far, in order of time: the links of a chain.
    pub failures: &'a [Failure],
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// What [`Case::lines`] read; empty to begin with.
    pub said: OnceCell<Vec<LogLine>>,
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
            Ending::Ended { field, .. } => field,
            _ => "state",
        };
        let name = self.container.unwrap_or_default();
        let init = self.pod.object.spec.init_containers.iter().any(|c| c.name == name);
        let list = if init { "initContainerStatuses" } else { "containerStatuses" };
        format!("status.{list}[{name}].{state}.terminated.{leaf}")
    }

    /// When the instance started; the pod's creation where it never did.
    pub fn started(&self) -> Timestamp {
        let created = self.pod.object.metadata.creation_timestamp.unwrap_or(self.pod.first_seen);
        self.terminated().and_then(|t| t.started_at).filter(|t| t.nanos() > 0).unwrap_or(created)
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
        let known = self.space.workloads.values().find(|(r, w)| r.kind() == kind && w.object.metadata.name == name);
        let job = self.space.jobs.values().find(|j| kind == "Job" && j.object.metadata.name == name);
        let uid = known.map(|(_, w)| &w.object.metadata.uid).or(job.map(|j| &j.object.metadata.uid));
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

    /// Whether the end came because the pod was asked to go.
    pub fn deleting(&self) -> bool {
        match (self.deletion_asked(), self.ending) {
            (Some(asked), Ending::Ended { .. }) => self.finished() >= asked.minus(SECOND),
            (Some(_), Ending::Replaced) => true,
            _ => false,
        }
    }

    /// Whether the kubelet evicted the pod.
    pub fn evicted(&self) -> bool {
        self.pod.object.status.reason == "Evicted"
    }

    /// The events of this reason about the pod and this container while the instance lived.
    pub fn events<'s>(&'s self, reason: &'s str) -> impl Iterator<Item = &'s EventSeen> {
        let (from, to) = (self.started().minus(SECOND), self.finished().plus(SECOND * 3));
        self.pod_events(reason).filter(move |e| from <= e.at && e.at <= to)
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

    /// Whether any log lines of this namespace came in.
    pub fn logs_known(&self) -> bool {
        self.scoped.has_logs(&self.space.name)
    }

    /// Whether any metrics of this namespace came in.
    pub fn metrics_known(&self) -> bool {
        self.scoped.has_metrics(&self.space.name)
    }

    /// The last lines that the instance wrote, without the secrets in them; read once, whoever asks.
    pub fn lines(&self) -> &[LogLine] {
        self.said.get_or_init(|| self.last_words())
    }

    fn last_words(&self) -> Vec<LogLine> {
        let Some(container) = self.container else { return Vec::new() };
        let to = self.finished().plus(SECOND);
        let of = (self.space.name.as_str(), self.pod_name(), container);
        let recent = self.started().max(to.minus(RECENT));
        let mut lines = self.scoped.last_lines_of(of, recent, to, LAST_WORDS);
        if lines.is_empty() && recent > self.started() {
            lines = self.scoped.last_lines_of(of, self.started(), to, LAST_WORDS);
        }
        for line in &mut lines {
            if let Cow::Owned(clean) = redact(&line.line) {
                line.line = clean;
            }
        }
        lines
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
        self.scoped.anomalies().into_iter().filter(own).max_by_key(|a| a.ts)
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

    /// A line as evidence.
    pub fn line(&self, line: &LogLine, text: &str) -> Evidence {
        Evidence {
            source: EvidenceSource::Logs,
            at: Some(line.ts),
            object: format!("Pod/{}", self.pod_name()),
            field: format!("{}/{}", self.pod_name(), self.container.unwrap_or_default()),
            value: line.line.to_string().into(),
            text: text.to_owned(),
        }
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

/// A Kubernetes quantity in its base unit.
pub fn quantity(text: &str) -> Option<f64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}
