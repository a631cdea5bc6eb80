//! What the routes read from. The root crate implements it over scoped snapshots.

use std::sync::Arc;

use whyd_signals::schema::{Anomaly, Change, Incident, Restart};
use whyd_signals::{Access, Timestamp};

use crate::alertmanager::Active;
use crate::dto::MemoryUse;

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
    /// The memory of the container of a row that met its limit, over its instances; `None` for other rows.
    fn memory(&self, access: &Access, row: &Restart) -> Option<MemoryUse>;
    /// The pods that are known, restarted or not; asked only when there is no verdict to give.
    fn pods(&self, access: &Access) -> Vec<PodName>;
    /// Whether names from this namespace may be shown; the empty one stands for cluster-scoped objects.
    fn sees(&self, access: &Access, namespace: &str) -> bool;
    /// The alerts that are firing, in any order; none where nothing tells any.
    fn alerts(&self, _access: &Access) -> Vec<Active> {
        Vec::new()
    }
    /// How complete the daemon's view is. Shown to anyone, hence without names and counts.
    fn status(&self) -> Status;
    /// The daemon's own counters, each name once. Shown to [`Access::All`] only, as they count across teams.
    fn metrics(&self) -> Vec<Metric>;
}

/// A pod that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct PodName {
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
    /// Every source, in a fixed order.
    pub sources: Vec<SourceStatus>,
}

/// One source: a watched resource, `metrics` or `logs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its name, from the code: it cannot hold a name of the cluster.
    pub source: &'static str,
    /// Whether absence means that there is none: listed, or for a source that pushes, heard of.
    pub synced: bool,
    /// When its newest item was received.
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
