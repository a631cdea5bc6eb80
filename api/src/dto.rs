//! The only response types: what the API and `whyd replay --json` print.
//!
//! A field is never left out: what is not known is null. Times are RFC 3339 with nine fraction digits.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use whyd_signals::{Timestamp, schema};

use crate::shown_by;

/// The object at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Root {
    pub kind: String,
    /// Empty where the kind is cluster-scoped.
    pub namespace: String,
    pub name: String,
}

impl From<&schema::Root> for Root {
    fn from(root: &schema::Root) -> Self {
        Self { kind: root.kind.clone(), namespace: root.namespace.clone(), name: root.name.clone() }
    }
}

/// Which of the raw data an item of evidence was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum EvidenceSource {
    Kube,
    Events,
    Metrics,
    Logs,
}

impl From<schema::EvidenceSource> for EvidenceSource {
    fn from(source: schema::EvidenceSource) -> Self {
        match source {
            schema::EvidenceSource::Kube => Self::Kube,
            schema::EvidenceSource::Events => Self::Events,
            schema::EvidenceSource::Metrics => Self::Metrics,
            schema::EvidenceSource::Logs => Self::Logs,
        }
    }
}

/// One fact, as it stands in the raw data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Where it was found.
    pub source: EvidenceSource,
    /// When it was so.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub at: Option<Timestamp>,
    /// The object it is about, `Kind/name`.
    pub object: String,
    /// The field path, event reason, metric or log stream.
    pub field: String,
    /// What it held: exactly the line, message, status value or sample.
    pub value: Value,
    /// The same in words.
    pub text: String,
    /// How much older than the end it is, in seconds; negative where it was seen after it.
    #[serde(default)]
    #[schema(required)]
    pub age_seconds: Option<f64>,
    /// The query that shows it.
    #[serde(default)]
    #[schema(required)]
    pub shown_by: Option<ShownBy>,
}

/// The language of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Language {
    Sql,
    Promql,
    Kubectl,
}

/// A query that shows an item of evidence in the raw data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct ShownBy {
    pub language: Language,
    pub query: String,
}

impl Evidence {
    fn of(row: &schema::Restart, e: &schema::Evidence) -> Self {
        let end = row.finished_at.unwrap_or(row.seen_at);
        Self {
            source: e.source.into(),
            at: e.at,
            object: e.object.clone(),
            field: e.field.clone(),
            value: e.value.clone(),
            text: e.text.clone(),
            age_seconds: e.at.map(|at| (end.seconds_since(at) * 1e3).round() / 1e3),
            shown_by: shown_by::query(row, e),
        }
    }
}

/// A change shortly before an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct ChangeBefore {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `Kind/name`.
    pub object: String,
    /// The sort of change: image, template, replicas, restart, config, created, deleted, cordon, boot...
    pub what: String,
    pub detail: String,
    /// Who made it, where the object says so.
    pub by: String,
    /// Whether it touches what ended: its own workload, a ConfigMap that it reads, its node, what is at fault.
    pub touches: bool,
}

impl From<&schema::ChangeBefore> for ChangeBefore {
    fn from(c: &schema::ChangeBefore) -> Self {
        let (at, touches) = (c.at, c.touches);
        let (object, what, detail, by) = (c.object.clone(), c.what.clone(), c.detail.clone(), c.by.clone());
        Self { at, object, what, detail, by, touches }
    }
}

/// A cause that was considered and is contradicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RuledOut {
    /// Its id.
    pub cause: String,
    /// The contradiction in words.
    pub because: String,
    /// The field that contradicts it.
    pub field: String,
    /// What that field held.
    pub value: Value,
}

impl From<&schema::RuledOut> for RuledOut {
    fn from(r: &schema::RuledOut) -> Self {
        Self { cause: r.cause.clone(), because: r.because.clone(), field: r.field.clone(), value: r.value.clone() }
    }
}

/// Why one container instance ended, or why one pod was replaced or never started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Restart {
    pub team: String,
    pub namespace: String,
    /// `Kind/name`.
    pub workload: String,
    /// Null where no pod was made.
    #[schema(required)]
    pub pod: Option<String>,
    #[schema(required)]
    pub pod_uid: Option<String>,
    #[schema(required)]
    pub node: Option<String>,
    #[schema(required)]
    pub container: Option<String>,
    #[schema(required)]
    pub restart_count: Option<i64>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub finished_at: Option<Timestamp>,
    #[schema(required)]
    pub exit_code: Option<i32>,
    #[schema(required)]
    pub signal: Option<i32>,
    /// What the kubelet says.
    #[schema(required)]
    pub reason: Option<String>,
    /// How the instance ended.
    pub mechanism: String,
    /// The deepest link that has evidence.
    pub cause: String,
    #[schema(required)]
    pub cause_detail: Option<String>,
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: f64,
    #[schema(required)]
    pub root: Option<Root>,
    /// One sentence for people.
    pub summary: String,
    pub evidence: Vec<Evidence>,
    pub ruled_out: Vec<RuledOut>,
    /// What was changed in the half hour before, the newest last.
    #[serde(default)]
    #[schema(required)]
    pub changes: Vec<ChangeBefore>,
    /// Sources that would have been needed and are not there.
    pub missing: Vec<String>,
}

impl From<&schema::Restart> for Restart {
    fn from(r: &schema::Restart) -> Self {
        Self {
            team: r.team.to_string(),
            namespace: r.namespace.clone(),
            workload: r.workload.clone(),
            pod: r.pod.clone(),
            pod_uid: r.pod_uid.clone(),
            node: r.node.clone(),
            container: r.container.clone(),
            restart_count: r.restart_count,
            started_at: r.started_at,
            finished_at: r.finished_at,
            exit_code: r.exit_code,
            signal: r.signal,
            reason: r.reason.clone(),
            mechanism: r.mechanism.clone(),
            cause: r.cause.clone(),
            cause_detail: r.cause_detail.clone(),
            confidence: r.confidence,
            root: r.root.as_ref().map(Root::from),
            summary: r.summary.clone(),
            evidence: r.evidence.iter().map(|e| Evidence::of(r, e)).collect(),
            ruled_out: r.ruled_out.iter().map(RuledOut::from).collect(),
            changes: r.changes.iter().map(ChangeBefore::from).collect(),
            missing: r.missing.clone(),
        }
    }
}

/// How bad, by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Severity {
    Warning,
    Critical,
}

impl From<schema::Severity> for Severity {
    fn from(severity: schema::Severity) -> Self {
        match severity {
            schema::Severity::Warning => Self::Warning,
            schema::Severity::Critical => Self::Critical,
        }
    }
}

/// Whether an incident goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum IncidentStatus {
    Open,
    Resolved,
}

impl From<schema::IncidentStatus> for IncidentStatus {
    fn from(status: schema::IncidentStatus) -> Self {
        match status {
            schema::IncidentStatus::Open => Self::Open,
            schema::IncidentStatus::Resolved => Self::Resolved,
        }
    }
}

/// Trouble with one root and all that it took down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Incident {
    /// The same after a restart of the daemon and on every replay.
    pub id: String,
    pub team: String,
    pub severity: Severity,
    pub status: IncidentStatus,
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub resolved_at: Option<Timestamp>,
    pub cause: String,
    #[schema(required)]
    pub root: Option<Root>,
    /// `namespace/pod/container`.
    pub members: Vec<String>,
    /// How many container instances ended in it.
    #[serde(default)]
    pub restarts: u64,
    /// The incident of the same root before this one, which was resolved.
    #[serde(default)]
    #[schema(required)]
    pub follows: Option<String>,
    /// The suppression that hides it.
    #[serde(default)]
    #[schema(required)]
    pub suppressed_by: Option<String>,
    /// The incident that tells of this one with others, since they have one root. Lists show that one in its place.
    #[serde(default)]
    #[schema(required)]
    pub part_of: Option<String>,
    /// The incidents that this one is made of, which share its root; empty where it is made of members alone.
    #[serde(default)]
    pub parts: Vec<String>,
    pub summary: String,
    /// Alerts that others raised about its members, its root or their namespaces, and that fired shortly before it or
    /// while it was open: the newest, oldest first. Only where one incident, or one pod, is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
}

impl From<&schema::Incident> for Incident {
    fn from(i: &schema::Incident) -> Self {
        Self {
            id: i.id.clone(),
            team: i.team.to_string(),
            severity: i.severity.into(),
            status: i.status.into(),
            opened_at: i.opened_at,
            resolved_at: i.resolved_at,
            cause: i.cause.clone(),
            root: i.root.as_ref().map(Root::from),
            members: i.members.clone(),
            restarts: i.restarts,
            follows: i.follows.clone(),
            suppressed_by: i.suppressed_by.clone(),
            part_of: i.part_of.as_ref().map(|link| link.id.clone()),
            parts: i.parts.iter().map(|link| link.id.clone()).collect(),
            summary: i.summary.clone(),
            alerts: Vec::new(),
        }
    }
}

/// One place of the root-cause ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Ranked {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Higher is likelier.
    pub score: f64,
    /// What is unlike its past, the strongest first, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// Who is suspected of what was wrong at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Suspects {
    /// The ten minutes before this were looked at, and nothing after.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When the trouble of the first began; null where nobody is suspected.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub onset: Option<Timestamp>,
    /// The likeliest root first.
    pub ranking: Vec<Ranked>,
    /// What keeps the answer from being whole, and what was too much to be looked at.
    pub problems: Vec<Problem>,
}

/// Something that keeps an answer from being whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The source that is concerned; null where it is the daemon itself.
    #[schema(required)]
    pub source: Option<String>,
    /// What is wrong with it, for people.
    pub detail: String,
}

/// How one incident differs under the rules of a configuration from what it is by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentChange {
    /// The incident's id.
    pub id: String,
    /// What is different, for people.
    pub what: String,
}

/// An alert that others raised and an Alertmanager told, while it fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Since when it fires, or fired.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When it was over; null while it fires, as far as whyd was told.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub until: Option<Timestamp>,
    /// Its `alertname`.
    pub name: String,
    /// As its rule has it, or empty.
    pub severity: String,
    /// The namespace of what it is about, or empty.
    pub namespace: String,
    /// `Kind/name` of what its labels name, or empty.
    pub object: String,
    /// The container that it names, or empty.
    pub container: String,
    /// Its summary.
    pub summary: String,
    /// Where its rule is evaluated, or empty.
    pub link: String,
}

impl From<&schema::Alert> for Alert {
    fn from(a: &schema::Alert) -> Self {
        Self {
            at: a.starts_at,
            until: a.ends_at,
            name: a.name.clone(),
            severity: a.severity.clone(),
            namespace: a.namespace.clone(),
            object: if a.kind.is_empty() { String::new() } else { format!("{}/{}", a.kind, a.object) },
            container: a.container.clone(),
            summary: a.summary.clone(),
            link: a.link.clone(),
        }
    }
}

/// One entry of a workload's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[allow(missing_docs, clippy::large_enum_variant)]
pub enum Moment {
    /// A container ended, a pod was replaced or never started.
    Restart {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        #[schema(required)]
        pod: Option<String>,
        #[schema(required)]
        pod_uid: Option<String>,
        #[schema(required)]
        container: Option<String>,
        cause: String,
        summary: String,
    },
    /// Something was changed.
    Change {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        object: String,
        what: String,
        detail: String,
        by: String,
    },
    /// A value was unlike its own past.
    Anomaly {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        pod: String,
        container: String,
        metric: String,
        score: f64,
        text: String,
    },
    /// An alert that others raised.
    Alert(Alert),
    /// An incident began.
    Opened {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        id: String,
        cause: String,
        summary: String,
    },
    /// An incident was over.
    Resolved {
        #[schema(value_type = String, format = DateTime)]
        at: Timestamp,
        id: String,
    },
}

impl Moment {
    /// When it was.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Restart { at, .. }
            | Self::Change { at, .. }
            | Self::Anomaly { at, .. }
            | Self::Opened { at, .. }
            | Self::Resolved { at, .. } => *at,
            Self::Alert(alert) => alert.at,
        }
    }
}

/// What happened to a workload, across all its pods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// Its namespace.
    pub namespace: String,
    /// `Kind/name`.
    pub workload: String,
    /// Oldest first.
    pub moments: Vec<Moment>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}

/// What workloads in trouble have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cohorts {
    /// The time looked at.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Workloads there are.
    pub workloads: u64,
    /// Those with trouble in that time.
    pub troubled: u64,
    /// What they share, the least likely by chance first.
    pub cohorts: Vec<Cohort>,
    /// What keeps the answer from being whole.
    pub problems: Vec<Problem>,
}

impl Default for Cohorts {
    fn default() -> Self {
        let (since, until) = (Timestamp::MIN, Timestamp::MIN);
        Self { since, until, workloads: 0, troubled: 0, cohorts: Vec::new(), problems: Vec::new() }
    }
}

/// Workloads in trouble that share something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cohort {
    /// What they share: `dependency`, `image`, `config`, `node` or `zone`. Who depends on something is known of those alone
    /// that said it did not answer.
    pub shares: String,
    /// Which one.
    pub value: String,
    /// Of a ConfigMap the resource version; else empty.
    pub version: String,
    /// How many in trouble share it.
    pub troubled_sharing: u64,
    /// How many share it, in trouble or not.
    pub sharing: u64,
    /// How likely so many or more are by chance, times the number of things looked at.
    pub chance: f64,
    /// Some of those in trouble, `namespace/Kind/name`.
    pub members: Vec<String>,
    /// The same in words.
    pub text: String,
}

/// What a metric of a workload is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BaselineState {
    /// By nothing yet: it is being learnt.
    Learning,
    /// By its last hours.
    Hours,
    /// By its days, the time of day and of the week among them.
    Days,
}

/// What is known of one metric of a container, of all pods of its workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Baseline {
    /// Its namespace; empty for a node's.
    pub namespace: String,
    /// `Kind/name`; `Node/name` for a node's, empty where neither is known.
    pub workload: String,
    /// Its container; empty for what a pod or a node has.
    pub container: String,
    /// The metric.
    pub metric: String,
    /// The metric in words.
    pub words: String,
    /// What it is judged by, in the pod of which most is known.
    pub state: BaselineState,
    /// Since when there are values of it, holes of less than two hours left out.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// While it is learnt: until when, if values go on to come as they do.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub until: Option<Timestamp>,
    /// What is usual now, of a counter per second; of several series the middle one. Null while that is not known.
    #[schema(required)]
    pub usual: Option<f64>,
    /// When its newest value was.
    #[schema(value_type = String, format = DateTime)]
    pub newest: Timestamp,
    /// How many series of it are watched: pods, and what they have several of.
    pub series: u64,
    /// How many of them are still being learnt, as those of a new pod are.
    pub learning: u64,
}

/// What is known of the metrics of workloads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Baselines {
    /// By namespace, workload, container and metric.
    pub baselines: Vec<Baseline>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub next: Option<String>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}

/// A metric that is held against its own past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchedMetric {
    /// Its name.
    pub metric: String,
    /// `gauge`, or `counter`, whose rate is judged.
    pub kind: String,
    /// Which way is bad: `more`, `less` or `both`.
    pub bad: String,
    /// What it is called in answers.
    pub words: String,
    /// Why it is watched.
    pub why: String,
}

/// The metrics that are held against their own past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchedMetrics {
    /// By name.
    pub watched: Vec<WatchedMetric>,
}

/// Metrics that were still being learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Learning {
    /// Since when there are values.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// From when on it is, or was, known what is usual.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// The rows of a query.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SqlAnswer {
    /// What the values of each row are.
    pub columns: Vec<SqlColumn>,
    /// Values in the order of the columns: numbers, truth values, text and null; times are text as RFC 3339 has it, and so are
    /// numbers that JSON cannot hold exactly.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// What keeps the answer from being whole.
    pub problems: Vec<Problem>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// Its type: `text`, `bigint`, `double`, `boolean`, `timestamp`, or as Arrow calls it.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What `whyd replay --json` prints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Replay {
    /// In order of their end.
    pub restarts: Vec<Restart>,
    /// In order of their start.
    pub incidents: Vec<Incident>,
    /// Best first.
    pub ranking: Vec<Ranked>,
    /// What the capture lacks.
    pub problems: Vec<Problem>,
    /// With `--config`: how its rules change the incidents that there would be without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incident_changes: Vec<IncidentChange>,
}

/// How the asked name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// It is a pod's name.
    Pod,
    /// It is a workload's name.
    Workload,
    /// Pods' names begin with it.
    Prefix,
}

/// How much memory a container held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemorySample {
    /// When it was measured.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The working set.
    pub bytes: f64,
}

/// The memory of a container that met its limit, over its instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryUse {
    /// Null where there is none.
    #[schema(required)]
    pub limit_bytes: Option<f64>,
    /// In the order of time.
    pub samples: Vec<MemorySample>,
    /// When instances of it ended.
    #[schema(value_type = Vec<String>)]
    pub ends: Vec<Timestamp>,
}

/// The answer to `why`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// How the name was found.
    pub matched: Match,
    /// Newest first; empty where the pod or workload is known and did not restart.
    pub restarts: Vec<Restart>,
    /// The incidents that these restarts belong to, newest first.
    pub incidents: Vec<Incident>,
    /// Where the newest met its memory limit: how it came to that.
    #[serde(default)]
    #[schema(required)]
    pub memory: Option<MemoryUse>,
    /// Where the metrics of the newest one's container were still being learnt when it ended: nothing unusual could be found in
    /// them. Null where it was known what is usual, where a metric speaks for the cause all the same, and where none is watched.
    #[serde(default)]
    #[schema(required)]
    pub learning: Option<Learning>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}

/// A page of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Restarts {
    /// Newest first.
    pub restarts: Vec<Restart>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub next: Option<String>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}

/// What a suppression hid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Hidden {
    pub suppression: String,
    pub incidents: usize,
}

/// A page of incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Incidents {
    /// Newest first.
    pub incidents: Vec<Incident>,
    /// What suppressions keep out of this list; `suppressed=true` shows it.
    #[serde(default)]
    pub hidden: Vec<Hidden>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub next: Option<String>,
    /// What is missing from the answer.
    pub problems: Vec<Problem>,
}

/// Whether the daemon can be asked, and how fresh its view is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// True once the log has been read back, while it can be written.
    pub ready: bool,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What the last start could not use of what is on disk: it is ready without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Every source; one that is not synced does not make the daemon unready.
    pub sources: Vec<Freshness>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freshness {
    /// Its name.
    pub source: String,
    /// Whether what it does not hold is known not to be.
    pub synced: bool,
    /// When its newest item was received.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub newest: Option<Timestamp>,
}
