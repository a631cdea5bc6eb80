//! What the routes read from. The root crate implements it over scoped snapshots.

use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) use whyd_signals::SeriesId;
use whyd_signals::schema::{Alert, Anomaly, Change, Incident, Restart};
use whyd_signals::{Access, Asked, Sample as MetricSample, Team, Timestamp};

use crate::alertmanager::Active;
use crate::dto::{Baseline, Cohorts, Heard, Learning, MemoryUse, Standing, Suspects, WatchedMetric};

/// When something was wrong.
#[derive(Debug, Clone, Copy)]
pub struct WrongAt {
    /// For the first time, where that is known; else it is looked for in the last ten minutes.
    pub first: Option<Timestamp>,
    /// What came after this is not looked at.
    pub until: Timestamp,
}

/// The daemon's state as the routes see it. Every call takes the newest snapshot, does no IO and does not wait.
///
/// Whatever takes an [`Access`] must hold nothing of other teams: no row, no name, no count.
pub trait Reader: Send + Sync + 'static {
    /// Those of the ledger that are wanted, in any order.
    fn restarts(&self, access: &Access, wanted: &dyn Fn(&Restart) -> bool) -> Vec<Arc<Restart>>;
    /// Those of the incidents that are wanted, in any order.
    fn incidents(&self, access: &Access, wanted: &dyn Fn(&Incident) -> bool) -> Vec<Arc<Incident>>;
    /// All anomalies that are kept, in any order.
    fn anomalies(&self, access: &Access) -> Vec<Arc<Anomaly>>;
    /// The changes of a namespace and of the nodes, in order of time.
    fn changes(&self, access: &Access, namespace: &str) -> Vec<Change>;
    /// The alerts that others raised about what is in one of these namespaces or about these nodes, in any order.
    fn told(&self, _access: &Access, _of: &TellsOf<'_>) -> Vec<Told> {
        Vec::new()
    }
    /// What workloads with trouble in this time have in common. It counts all pods, so it is asked on a thread that may block.
    fn cohorts(&self, _access: &Access, _since: Timestamp, _until: Timestamp) -> Cohorts {
        Cohorts::default()
    }
    /// What is known of the metrics of workloads, of those that are wanted by namespace and workload, in order. It counts all
    /// series, so it is asked on a thread that may block.
    fn baselines(&self, _access: &Access, _wanted: &dyn Fn(&str, &str) -> bool) -> Vec<Baseline> {
        Vec::new()
    }
    /// The metrics that are watched, by name. Shown to anyone who may read: the configuration names no team's.
    fn watched(&self) -> Vec<WatchedMetric> {
        Vec::new()
    }
    /// Where the metrics of a row's container were still being learnt when it ended: since when and until when. It looks
    /// through all series, so it is asked on a thread that may block.
    fn learning(&self, _access: &Access, _row: &Restart) -> Option<Learning> {
        None
    }
    /// Who is likely the root of what was wrong, of one namespace or of all. It reads series and lines, so it is asked on a thread
    /// that may block.
    fn suspects(&self, _access: &Access, at: WrongAt, _namespace: Option<&str>) -> Suspects {
        Suspects { at: at.until, onset: None, ranking: Vec::new(), problems: Vec::new() }
    }
    /// The memory of the container of a row that met its limit, over its instances; `None` for other rows.
    fn memory(&self, access: &Access, row: &Restart) -> Option<MemoryUse>;
    /// How a container or pod stands, `at` being now; `None` where the pod was never seen.
    fn standing(&self, _access: &Access, _whom: &Whom<'_>, _at: Timestamp) -> Option<Standing> {
        None
    }
    /// The pods that are known, restarted or not; asked only when there is no verdict to give.
    fn pods(&self, access: &Access) -> Vec<PodName>;
    /// The namespaces that are known, by their objects or by what is sent about them, each with its team; asked only where nothing was
    /// found.
    fn namespaces(&self, _access: &Access) -> Vec<(Team, String)> {
        Vec::new()
    }
    /// The workloads that are there, with pods or without, by namespace and `Kind/name`; asked only where nothing was found.
    fn workloads(&self, _access: &Access) -> Vec<(String, String)> {
        Vec::new()
    }
    /// What is sent about the pods that are asked for, of a namespace or of all: of those of this name, or else of those whose names
    /// begin so. It looks through all series, so it is asked on a thread that may block, and only where nothing else is known.
    fn heard(&self, _access: &Access, _asked: &Asked, _namespace: Option<&str>) -> Vec<Heard> {
        Vec::new()
    }
    /// Whether names from this namespace may be shown; the empty one stands for cluster-scoped objects.
    fn sees(&self, access: &Access, namespace: &str) -> bool;
    /// The alerts that are firing, in any order; none where nothing tells any.
    fn alerts(&self, _access: &Access) -> Vec<Active> {
        Vec::new()
    }
    /// The metric series as they are now.
    fn series(&self, access: &Access) -> Box<dyn SeriesSet>;
    /// How complete the daemon's view is. Shown to anyone, hence without names and counts.
    fn status(&self) -> Status;
    /// The daemon's own counters, each name once. Shown to [`Access::All`] only, as they count across teams.
    fn metrics(&self) -> Vec<Metric>;
}

/// Whose standing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whom<'a> {
    /// Where it is.
    pub namespace: &'a str,
    /// The pod's name.
    pub pod: &'a str,
    /// The uid of the very pod; else the newest of its name is meant.
    pub pod_uid: Option<&'a str>,
    /// The container; without one the pod as a whole.
    pub container: Option<&'a str>,
}

/// What alerts are asked for.
#[derive(Debug, Clone, Copy)]
pub struct TellsOf<'a> {
    /// Names of namespaces.
    pub namespaces: &'a BTreeSet<String>,
    /// The name of a node.
    pub node: Option<&'a str>,
}

/// An alert that others raised, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The alert.
    pub alert: Arc<Alert>,
    /// The team of its namespace.
    pub team: Team,
    /// `Kind/name` of the workload that it is about; empty where it is about none that is known.
    pub workload: String,
}

/// All metric series that one caller may see, at one instant: it does not change while a query is answered.
pub trait SeriesSet: Send {
    /// Visits those that are `wanted`, in any order, until it is told that it is enough.
    fn visit(&self, wanted: &Wanted<'_>, visit: &mut Visit<'_>);
    /// The samples of one from the first to the last time, both included, in order of time, stale markers included.
    fn samples(&self, id: SeriesId, from: Timestamp, to: Timestamp) -> Vec<MetricSample>;
    /// When its newest sample at or before `to` was.
    fn newest(&self, id: SeriesId, to: Timestamp) -> Option<Timestamp>;
}

/// Given a series and its labels, the name included; whether to go on.
pub type Visit<'a> = dyn FnMut(SeriesId, &[(&str, &str)]) -> bool + 'a;

/// What a look-up can narrow the series to. A label that is not given may be anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Wanted<'a> {
    pub name: Option<&'a str>,
    pub namespace: Option<&'a str>,
    pub pod: Option<&'a str>,
}

/// A pod that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct PodName {
    pub team: Team,
    pub namespace: String,
    pub name: String,
    /// `Kind/name`.
    pub workload: String,
}

/// How complete the daemon's view is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether the log has been read back; until then answers lack what was there before the start.
    pub replayed: bool,
    /// Whether the daemon is about to end: it answers for a moment more, and is to be asked elsewhere.
    pub stopping: bool,
    /// Why nothing can be taken in, if so. What is known is answered all the same.
    pub trouble: Option<Trouble>,
    /// What the last start could not use of what is on disk, if anything.
    pub note: Option<&'static str>,
    /// Of the cluster's watches those that fail.
    pub unheard: Unheard,
    /// Every source, in a fixed order.
    pub sources: Vec<SourceStatus>,
}

/// The watches that fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unheard {
    /// The resource of each, with when anything of it was heard last.
    pub failing: Vec<(&'static str, Option<Timestamp>)>,
    /// Whether no other goes on: then it is the server that is not heard.
    pub all_fail: bool,
}

/// Why nothing can be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The log has no space. It passes by itself once there is.
    LogFull,
    /// The log could not be written. Only a restart shows what is on the disk.
    LogFailed,
}

impl Trouble {
    /// In words: what it is and what is to be done.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LogFull => "the log has no space: make room on the volume of the data, or make it larger",
            Self::LogFailed => "the log could not be written: look at the volume of the data; it needs a restart",
        }
    }
}

/// One source: a watched resource, `metrics` or `logs`, or all that are asked for one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its name, from the code: it cannot hold a name of the cluster.
    pub source: &'static str,
    /// Whether absence means that there is none: listed and not lost since, or for a source that pushes, heard of.
    pub synced: bool,
    /// When it was heard last: of what is watched a bookmark counts, of all else its newest item.
    pub newest: Option<Timestamp>,
}

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// The labels of one sample and its value.
pub type Sample = (Vec<(&'static str, String)>, f64);

/// One metric family. Names are constants of the code, so only label values need escaping.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    /// Each label set once.
    pub samples: Vec<Sample>,
}
