//! The restart ledger: one row for each ended container instance and each replaced or never-started pod.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Team, Timestamp};

/// The object at fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Root {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Its uid where it is known; incident ids are made of it.
    pub uid: String,
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Which of the raw data an item of evidence was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum EvidenceSource {
    Kube,
    Events,
    Metrics,
    Logs,
}

/// One fact, as it stands in the raw data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it was found.
    pub source: EvidenceSource,
    /// When it was so.
    pub at: Option<Timestamp>,
    /// The object it is about, `Kind/name`.
    pub object: String,
    /// The field path, event reason, metric or log stream.
    pub field: String,
    /// What it held: exactly the line, message, status value or sample.
    pub value: serde_json::Value,
    /// The same in words.
    pub text: String,
}

/// A cause that was considered and is contradicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuledOut {
    /// Its id.
    pub cause: String,
    /// The contradiction in words.
    pub because: String,
    /// The field that contradicts it.
    pub field: String,
    /// What that field held.
    pub value: serde_json::Value,
}

/// A change shortly before an end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ChangeBefore {
    pub at: Timestamp,
    /// `Kind/name`.
    pub object: String,
    pub what: String,
    pub detail: String,
    pub by: String,
    /// Whether it touches what ended: its own workload, a ConfigMap that it reads, its node, what is at fault.
    pub touches: bool,
}

/// What something in trouble may have in common with others in trouble. Of several that fit as well, the first is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// What its last lines say did not answer.
    Dependency,
    /// The image of its container.
    Image,
    /// A ConfigMap that it reads.
    Config,
    /// The node that it ran on.
    Node,
    /// The zone of that node.
    Zone,
}

impl Sharing {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Dependency, Self::Image, Self::Config, Self::Node, Self::Zone];

    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dependency => "dependency",
            Self::Image => "image",
            Self::Config => "config",
            Self::Node => "node",
            Self::Zone => "zone",
        }
    }
}

/// One thing that it has, which others may have too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shared {
    /// What kind of thing.
    pub what: Sharing,
    /// Which one: its name, of a ConfigMap `namespace/name`, of a workload `namespace/Kind/name`.
    pub value: String,
    /// Of a ConfigMap the resource version; else empty.
    #[serde(default)]
    pub version: String,
}

/// One ended instance, or one pod that was replaced or never started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Restart {
    pub team: Team,
    pub namespace: String,
    /// `Kind/name`.
    pub workload: String,
    /// `None` where no pod was made.
    pub pod: Option<String>,
    pub pod_uid: Option<String>,
    pub node: Option<String>,
    pub container: Option<String>,
    /// The pod's controller by name, for instance its ReplicaSet; empty where it has none.
    #[serde(default)]
    pub owner: String,
    /// Identity of the instance within the pod; empty where nothing was started.
    pub container_id: String,
    pub restart_count: Option<i64>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub reason: Option<String>,
    /// Whether the container goes on with another instance, as it has already or its restart policy makes it: what this
    /// one wrote is then no longer what the container writes.
    #[serde(default)]
    pub again: bool,
    /// How the instance ended.
    pub mechanism: String,
    /// The deepest link that has evidence.
    pub cause: String,
    pub cause_detail: Option<String>,
    /// 0 to 1.
    pub confidence: f64,
    pub root: Option<Root>,
    /// One sentence for people.
    pub summary: String,
    pub evidence: Vec<Evidence>,
    pub ruled_out: Vec<RuledOut>,
    /// What was changed shortly before, the newest last.
    pub changes: Vec<ChangeBefore>,
    /// Sources that would have been needed and are not there.
    pub missing: Vec<String>,
    /// Namespaces of others that it speaks of: who may not see them may not read the words.
    pub speaks_of: Vec<String>,
    /// What it may have in common with others in trouble, in order.
    #[serde(default)]
    pub shares: Vec<Shared>,
    /// Which incident it belongs to: rows with the same key share one. `None`: no incident.
    pub incident_key: Option<String>,
    /// When the daemon first saw it.
    pub seen_at: Timestamp,
}
