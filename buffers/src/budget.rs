//! How much the buffers may hold, and how much they do.

use std::collections::BTreeMap;
use std::time::Duration;

use whyd_signals::sink::Refusal;
use whyd_signals::templates::TemplateStats;

/// The bounds of the buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all buffers together.
    pub bytes: usize,
    /// How long rows are kept, by the time at which they were received.
    pub window: Duration,
    /// How far behind or ahead a row may be.
    pub lateness: Duration,
    /// How many series there may be; a new one beyond is refused, known ones go on.
    pub series: usize,
    /// How many of them one team may have; the platform's own have no such cap.
    pub series_of_team: usize,
    /// How many log streams there may be.
    pub streams: usize,
    /// How many of them one team may have.
    pub streams_of_team: usize,
    /// How many namespaces of series and streams are told apart.
    pub namespaces: usize,
    /// How many labels one series or stream may have.
    pub labels: usize,
    /// How many bytes they may have together.
    pub label_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            window: Duration::from_secs(6 * 3600),
            lateness: Duration::from_secs(600),
            series: 1_000_000,
            series_of_team: 500_000,
            streams: 100_000,
            streams_of_team: 50_000,
            namespaces: 65_536,
            labels: 128,
            label_bytes: 16 << 10,
        }
    }
}

impl Limits {
    /// What the unsealed samples may take before they are sealed early.
    pub(crate) fn tail_bytes(&self) -> usize {
        self.bytes / 8
    }

    /// What the tables of series may take before new series are refused.
    pub(crate) fn index_bytes(&self) -> usize {
        self.bytes / 4 * 3
    }

    /// What the cluster's objects may take.
    pub(crate) fn cluster_bytes(&self) -> usize {
        self.bytes / 4
    }

    /// What alerts of others may take.
    pub(crate) fn alert_bytes(&self) -> usize {
        self.bytes / 32
    }

    /// These without any bound on what is new, for a row that was let in once.
    pub(crate) fn lifted(&self) -> Self {
        let most = usize::MAX;
        Self {
            bytes: most,
            series: most,
            series_of_team: most,
            streams: most,
            streams_of_team: most,
            namespaces: most,
            labels: most,
            label_bytes: most,
            ..*self
        }
    }

    /// These with nothing new at all, for a row that was refused once. What is over the bounds of labels is not looked at,
    /// as it was not then.
    pub(crate) fn shut(&self) -> Self {
        Self { series: 0, streams: 0, ..*self }
    }

    /// What the table of streams may take before new streams are refused.
    pub(crate) fn stream_bytes(&self) -> usize {
        self.bytes / 8
    }
}

/// What the buffers hold and what became of the rest, for `/metrics` and tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Samples published since the start.
    pub samples: u64,
    /// Log lines published since the start.
    pub lines: u64,
    /// Of these those that named no pod, since the start.
    pub podless: u64,
    /// Samples and lines that were there already, bit for bit.
    pub repeated: u64,
    /// Samples of replicas that are not the elected one of their cluster.
    pub deduplicated: u64,
    /// Clusters of replicas known now.
    pub replica_clusters: usize,
    /// How often another replica of a cluster was elected.
    pub failovers: u64,
    /// Samples held now.
    pub samples_held: u64,
    /// Log lines held now.
    pub lines_held: u64,
    /// Series known now.
    pub series: usize,
    /// Log streams known now.
    pub streams: usize,
    /// Namespaces of them all that have a number now, of 65,536.
    pub namespaces: usize,
    /// Alerts of others that are known now.
    pub alerts: usize,
    /// Bytes by owner: `series`, `names`, `tail`, `chunks`, `streams`, `logs`, `alerts`, `cluster`.
    pub bytes: BTreeMap<&'static str, usize>,
    /// What the trees of templates hold.
    pub templates: TemplateStats,
    /// Rows refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Rows dropped after they were stored: `window` (too old by now), `bytes` (no room), `alerts` and
    /// `cluster` (objects and events; no room for those).
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Stats {
    /// All bytes together.
    pub fn total_bytes(&self) -> usize {
        self.bytes.values().sum()
    }
}
