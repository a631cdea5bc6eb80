//! What was published at one instant. It never changes, and nothing in it can be read but through a [`Scoped`].

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use whyd_signals::schema::{Anomaly, Incident, Restart};
use whyd_signals::templates::Resolver;
use whyd_signals::{Access, Sample, Timestamp};

use crate::alerts::Held;
use crate::catalog::CatalogView;
use crate::encoding::Pair;
use crate::lacking::Lacking;
use crate::logs::{self, Batch, Seconds, StreamMeta};
use crate::scoped::Scoped;
use crate::seal::{Chunks, Corrections};
use crate::series_index::{self, SeriesMeta};
use crate::state::Cluster;
use crate::tail::Visible;

/// An immutable picture of the buffers; an `Arc` of it is all that a reader holds.
pub struct Snapshot {
    pub(crate) series: CatalogView<SeriesMeta>,
    pub(crate) series_lookup: Arc<RwLock<series_index::Lookup>>,
    pub(crate) chunks: Chunks,
    /// The oldest block first.
    pub(crate) tail: Vec<Visible>,
    pub(crate) corrections: Arc<Corrections>,
    pub(crate) streams: CatalogView<StreamMeta>,
    pub(crate) stream_lookup: Arc<RwLock<logs::Lookup>>,
    pub(crate) batches: Arc<Vec<Arc<Batch>>>,
    /// When lines were written.
    pub(crate) seconds: Arc<Seconds>,
    /// What the ids of templates stand for by now.
    pub(crate) templates: Arc<dyn Resolver>,
    /// Namespaces by number.
    pub(crate) namespaces: Arc<Vec<Arc<str>>>,
    pub(crate) alerts: Arc<BTreeMap<(String, Timestamp), Held>>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) restarts: Arc<Vec<Arc<Restart>>>,
    pub(crate) incidents: Arc<Vec<Arc<Incident>>>,
    pub(crate) anomalies: Arc<Vec<Arc<Anomaly>>>,
    pub(crate) lacking: Arc<Lacking>,
}

impl Snapshot {
    /// The snapshot as this caller may see it.
    pub fn scoped(self: &Arc<Self>, access: &Access) -> Scoped {
        Scoped::new(Arc::clone(self), access)
    }

    /// A stored sample, or what won over it since.
    pub(crate) fn sample(&self, series: u32, (ts, bits): Pair) -> Sample {
        let corrections = &self.corrections;
        let bits = if corrections.is_empty() { bits } else { *corrections.get(&(series, ts)).unwrap_or(&bits) };
        Sample { ts: Timestamp(ts), value: f64::from_bits(bits) }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
