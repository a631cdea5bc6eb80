//! What the readers see of the alerts: which are firing, and how the peers take them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use whyd_signals::alert::MARKER;

use super::alert::{Identity, severity};
use super::peer::{Counts, Peer};
use crate::reader::{Kind, Metric};

/// An alert that is firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// What it was told as.
    pub identity: Identity,
    /// The incident that it tells of: another than it was told as, where that took its place.
    pub incident_id: String,
    /// The cause by now; `None` while only the id is known again after a restart.
    pub cause: Option<String>,
}

/// Written by the loop that tells alerts, read by the routes.
#[derive(Debug, Default)]
pub struct Board {
    active: RwLock<Arc<Vec<Active>>>,
    peers: Vec<Arc<Peer>>,
    untold: AtomicU64,
    unkept: AtomicU64,
}

impl Board {
    /// A board without alerts.
    pub fn new(peers: Vec<Arc<Peer>>) -> Self {
        Self { peers, ..Self::default() }
    }

    /// The Alertmanagers.
    pub fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    /// Replaces what is firing; `untold` incidents found no room.
    pub fn show(&self, active: Vec<Active>, untold: usize) {
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(active);
        self.untold.store(untold as u64, Ordering::Relaxed);
    }

    /// What was told could not be written to the disk.
    pub fn not_kept(&self) {
        self.unkept.fetch_add(1, Ordering::Relaxed);
    }

    /// What is firing, of all teams.
    pub fn active(&self) -> Arc<Vec<Active>> {
        Arc::clone(&self.active.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How the peers take the alerts.
    pub fn metrics(&self) -> Vec<Metric> {
        let by_peer = |name, help, kind, of: &dyn Fn(Counts) -> f64| {
            let samples = self.peers.iter().map(|p| (vec![("peer", p.name.clone())], of(p.counts()))).collect();
            Metric { name, help, kind, samples }
        };
        let one = |name, help, kind, count: &AtomicU64| {
            let samples = vec![(Vec::new(), count.load(Ordering::Relaxed) as f64)];
            Metric { name, help, kind, samples }
        };
        vec![
            by_peer("whyd_alerts_sent_total", "alerts that an Alertmanager took", Kind::Counter, &|c| c.sent as f64),
            by_peer(
                "whyd_alerts_failed_total",
                "alerts in bodies that an Alertmanager refused, or did not take before they were sent anew",
                Kind::Counter,
                &|c| c.failed as f64,
            ),
            by_peer(
                "whyd_alerts_dropped_total",
                "alerts that were never tried: the queue was full, or newer ones replaced them",
                Kind::Counter,
                &|c| c.dropped as f64,
            ),
            by_peer("whyd_alerts_queue_length", "batches that wait for an Alertmanager", Kind::Gauge, &|c| {
                c.waiting as f64
            }),
            one(
                "whyd_alerts_untold",
                "open incidents that are no alerts: no room, or the cluster is not listed yet",
                Kind::Gauge,
                &self.untold,
            ),
            one(
                "whyd_alerts_unkept_total",
                "times that the alerts told could not be written to the disk",
                Kind::Counter,
                &self.unkept,
            ),
        ]
    }
}

/// The gauge by which Prometheus alerts where it alone may reach an Alertmanager.
pub fn gauge(active: &[Active]) -> Metric {
    let sample = |alert: &Active| {
        let id = &alert.identity;
        let mut labels = vec![
            ("cause", alert.cause.clone().unwrap_or_default()),
            ("cluster", id.cluster.clone()),
            ("incident_id", id.incident_id.clone()),
            ("namespace", id.namespace.clone()),
            ("severity", severity(id.severity).to_owned()),
            (MARKER.0, MARKER.1.to_owned()),
            ("team", id.team.to_string()),
        ];
        // An empty namespace is said: by `honor_labels` it keeps the one of the pod that is scraped away.
        labels.retain(|(name, value)| *name == "namespace" || !value.is_empty());
        (labels, 1.0)
    };
    Metric {
        name: "whyd_incident_active",
        help: "1 for each open incident that no suppression hides",
        kind: Kind::Gauge,
        samples: active.iter().map(sample).collect(),
    }
}

/// By incident id, what was told.
pub(crate) fn by_id(active: Vec<Active>) -> BTreeMap<String, Identity> {
    active.into_iter().map(|a| (a.incident_id, a.identity)).collect()
}
