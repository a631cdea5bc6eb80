//! What enters the daemon: one closed set of messages, each kept in the log as it came.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Where a message came from. The order is the rank by which messages of one instant are merged:
/// the cluster's objects first, since they give the others their identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Source {
    /// A Kubernetes list or watch.
    Kube = 0,
    /// Prometheus remote write.
    RemoteWrite = 1,
    /// Loki push.
    Loki = 2,
    /// OTLP, metrics and logs.
    Otlp = 3,
    /// Asked for by us, of a Prometheus or a Loki.
    Pull = 4,
    /// An Alertmanager's webhook.
    Alertmanager = 5,
}

/// The Kubernetes resources that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Resource {
    Namespaces = 0,
    Nodes = 1,
    Deployments = 2,
    ReplicaSets = 3,
    StatefulSets = 4,
    DaemonSets = 5,
    Jobs = 6,
    ConfigMaps = 7,
    Services = 8,
    Pods = 9,
    Events = 10,
}

impl Resource {
    /// All of them, in the order in which they are listed: owners before what they own.
    pub const ALL: [Self; 11] = [
        Self::Namespaces,
        Self::Nodes,
        Self::Deployments,
        Self::ReplicaSets,
        Self::StatefulSets,
        Self::DaemonSets,
        Self::Jobs,
        Self::ConfigMaps,
        Self::Services,
        Self::Pods,
        Self::Events,
    ];

    /// The plural name in the API's paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Nodes => "nodes",
            Self::Deployments => "deployments",
            Self::ReplicaSets => "replicasets",
            Self::StatefulSets => "statefulsets",
            Self::DaemonSets => "daemonsets",
            Self::Jobs => "jobs",
            Self::ConfigMaps => "configmaps",
            Self::Services => "services",
            Self::Pods => "pods",
            Self::Events => "events",
        }
    }

    /// The kind of one object.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Namespaces => "Namespace",
            Self::Nodes => "Node",
            Self::Deployments => "Deployment",
            Self::ReplicaSets => "ReplicaSet",
            Self::StatefulSets => "StatefulSet",
            Self::DaemonSets => "DaemonSet",
            Self::Jobs => "Job",
            Self::ConfigMaps => "ConfigMap",
            Self::Services => "Service",
            Self::Pods => "Pod",
            Self::Events => "Event",
        }
    }

    /// API group and version.
    pub fn group_version(self) -> (&'static str, &'static str) {
        match self {
            Self::Deployments | Self::ReplicaSets | Self::StatefulSets | Self::DaemonSets => ("apps", "v1"),
            Self::Jobs => ("batch", "v1"),
            _ => ("", "v1"),
        }
    }

    /// The resource with this plural name.
    pub fn from_plural(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.plural() == name)
    }

    /// The resource stored under this number.
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|r| *r as u8 == n)
    }
}

/// What happened to a Kubernetes object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verb {
    /// It was listed, added or modified; the body is the object.
    Apply = 0,
    /// It was deleted; the body is its last state.
    Delete = 1,
    /// A whole list was read. The body is a JSON array of the uids that were in it; what else is known of the
    /// resource was deleted unseen. From here on, absence of an object means that there is none.
    Listed = 2,
}

/// How a body of remote write is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Compression {
    /// A snappy block, as the protocol has it.
    Snappy = 0,
    /// Zstandard frames, as VictoriaMetrics' agent sends.
    Zstd = 1,
}

/// What the answer to a question of ours is. Each body begins with a line that says what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Pulled {
    /// Frames of `prometheus.ChunkedReadResponse`, as a remote read streams them.
    ReadChunks = 0,
    /// `prometheus.ReadResponse` in a snappy block.
    ReadSamples = 1,
    /// A matrix in the JSON of Prometheus' API.
    QueryRange = 2,
    /// Streams in the JSON of Loki's API.
    LokiQuery = 3,
    /// No answer: metrics could not be had for some while. The line alone.
    NoMetrics = 4,
    /// No answer: log lines could not be had for some while. The line alone.
    NoLogs = 5,
}

impl Pulled {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::ReadChunks, Self::ReadSamples, Self::QueryRange, Self::LokiQuery, Self::NoMetrics, Self::NoLogs];

    /// Whether it is about log lines; else it is about metrics.
    pub fn is_logs(self) -> bool {
        matches!(self, Self::LokiQuery | Self::NoLogs)
    }

    /// Whether it says that there was no answer.
    pub fn is_lack(self) -> bool {
        matches!(self, Self::NoMetrics | Self::NoLogs)
    }
}

/// Whether the cluster's pods are heard of. That nothing came is a fact only while they are, so it is a record as what came is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Hearing {
    /// They were, up to the time that the body is, as text.
    Heard = 0,
    /// They are not, since they were heard last. No body.
    Lost = 1,
}

impl Hearing {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Heard, Self::Lost];
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Media {
    /// `prometheus.WriteRequest`.
    RemoteWrite1(Compression),
    /// `io.prometheus.write.v2.Request`.
    RemoteWrite2(Compression),
    /// Loki's `PushRequest` in a snappy block.
    LokiProto,
    /// Loki's JSON push, already inflated.
    LokiJson,
    /// OTLP's `ExportMetricsServiceRequest` as protobuf, already inflated.
    OtlpMetricsProto,
    /// The same as JSON.
    OtlpMetricsJson,
    /// OTLP's `ExportLogsServiceRequest` as protobuf, already inflated.
    OtlpLogsProto,
    /// The same as JSON.
    OtlpLogsJson,
    /// An Alertmanager's notification as JSON, version 4 of its webhook.
    AlertmanagerWebhook,
    /// A Kubernetes object as JSON without its managed fields, or what [`Verb::Listed`] says.
    Kube(Resource, Verb),
    /// An answer to a question of ours.
    Pulled(Pulled),
    /// Whether the cluster is heard.
    Hearing(Hearing),
}

impl Media {
    /// The source that sends it.
    pub fn source(self) -> Source {
        match self {
            Self::RemoteWrite1(_) | Self::RemoteWrite2(_) => Source::RemoteWrite,
            Self::LokiProto | Self::LokiJson => Source::Loki,
            Self::OtlpMetricsProto | Self::OtlpMetricsJson | Self::OtlpLogsProto | Self::OtlpLogsJson => Source::Otlp,
            Self::AlertmanagerWebhook => Source::Alertmanager,
            Self::Kube(..) | Self::Hearing(_) => Source::Kube,
            Self::Pulled(_) => Source::Pull,
        }
    }

    /// The content type that says so to a receiver, and the content encoding where there has to be one.
    pub fn content(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::RemoteWrite1(Compression::Snappy)
            | Self::LokiProto
            | Self::OtlpMetricsProto
            | Self::OtlpLogsProto => ("application/x-protobuf", None),
            Self::RemoteWrite1(Compression::Zstd) => ("application/x-protobuf", Some("zstd")),
            Self::RemoteWrite2(compression) => (
                "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                (compression == Compression::Zstd).then_some("zstd"),
            ),
            Self::LokiJson
            | Self::OtlpMetricsJson
            | Self::OtlpLogsJson
            | Self::AlertmanagerWebhook
            | Self::Kube(..) => ("application/json", None),
            Self::Pulled(_) => ("application/octet-stream", None),
            Self::Hearing(_) => ("text/plain", None),
        }
    }
}

/// One input, as it came: what the log keeps and what replay reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// When the daemon received it.
    pub received: Timestamp,
    /// How to read the body.
    pub media: Media,
    /// The team to which the sender may write, where its credential says one.
    pub tenant: Option<crate::Team>,
    /// The body.
    pub body: Bytes,
}
