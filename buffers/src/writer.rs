//! The one thing that changes: it stages what a decoder hands over, publishes it, seals, and gives out snapshots.

mod held;
mod publish;
mod sinks;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use whyd_signals::objects::Object;
use whyd_signals::schema::{Alert, Anomaly, Incident, Restart};
use whyd_signals::sink::Refusal;
use whyd_signals::templates::Templates;
use whyd_signals::{Resource, Team, Timestamp, Verb};

pub use held::Cut;
pub(crate) use held::{Held, HeldRows};
pub use publish::{Published, StreamLines};

use crate::alerts::Alerts;
use crate::bitmap::Bitmap;
use crate::budget::{Limits, Stats};
use crate::lacking::Lacking;
use crate::logs::LogStore;
use crate::names::{Around, Names, Namespaces};
use crate::replicas::{ReplicaRule, Replicas};
use crate::seal::{Chunks, Corrections, Durable};
use crate::series_index::SeriesIndex;
use crate::snapshot::Snapshot;
use crate::state::{Cluster, TeamOf};
use crate::tail::Tail;

/// How many corrections wait to be written into a chunk; over it the value stored first stays.
const CORRECTIONS: usize = 65_536;

/// How far a staging went; publishing it publishes all staged before it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    number: u64,
    rows: u64,
    series: u32,
    streams: u32,
}

/// What became of the rows of one body.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    /// To be published once the record is durable.
    pub mark: Mark,
    /// Rows that are new, and objects.
    pub stored: u64,
    /// Rows that were there already, bit for bit; they count as written.
    pub repeated: u64,
    /// Rows of a replica that is not the elected one; they count as written too.
    pub deduplicated: u64,
    /// Rows refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Which rows were not kept, for the log.
    pub bitmap: Bitmap,
}

struct StagedObject {
    resource: Resource,
    verb: Verb,
    object: Option<Object>,
    uids: Vec<String>,
    received: Timestamp,
    bytes: usize,
}

/// How old the rows of a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// No further behind than the lateness allows, both of the receipt and of the newest row of the same series or
    /// stream: what is pushed.
    #[default]
    Lateness,
    /// Anywhere within the window, whatever the series or stream has already: what was asked for to fill it.
    Window,
}

/// The body that is being decoded.
#[derive(Default)]
struct Body {
    received: i64,
    reach: Reach,
    /// Replay: the rows refused when it was first judged.
    obey: Option<Bitmap>,
    /// The number of the next row.
    row: u64,
    first_row: u64,
    stored: u64,
    repeated: u64,
    refused: BTreeMap<Refusal, u64>,
    bitmap: Bitmap,
    corrections: HashMap<(u32, i64), u64>,
    objects: Vec<StagedObject>,
    alerts: Vec<Arc<Alert>>,
    /// Of [`Body::stored`], how many are alerts.
    new_alerts: u64,
    /// Replay: labels of a new series whose first row was refused, or of a replica that is not the elected one, until a row
    /// of it shows that it was let in.
    over_cap: Vec<u8>,
    /// What it turned out to be.
    let_in: Option<u32>,
}

impl Body {
    /// Replay: the limits by which the series or stream of the next row is judged again. Whether there is one at all is
    /// told by the first row of it that was kept.
    fn obeyed(&self, limits: &Limits) -> Option<Limits> {
        let obey = self.obey.as_ref()?;
        Some(if obey.get(self.row) { limits.shut() } else { limits.lifted() })
    }
}

/// Staged and waiting to be published.
struct Waiting {
    number: u64,
    stored: u64,
    corrections: HashMap<(u32, i64), u64>,
    objects: Vec<StagedObject>,
    alerts: Vec<Arc<Alert>>,
    received: Timestamp,
}

/// Owns the buffers. Not shared: one thread holds it, readers hold snapshots.
pub struct Writer {
    limits: Limits,
    templates: Box<dyn Templates>,
    names: Names,
    namespaces: Namespaces,
    series: SeriesIndex,
    replicas: Replicas,
    tail: Tail,
    chunks: Chunks,
    /// Namespaces with chunks that may be due for merging.
    unmerged: BTreeSet<u32>,
    corrections: Arc<Corrections>,
    logs: LogStore,
    alerts: Alerts,
    cluster: Arc<Cluster>,
    restarts: Arc<Vec<Arc<Restart>>>,
    incidents: Arc<Vec<Arc<Incident>>>,
    anomalies: Arc<Vec<Arc<Anomaly>>>,
    lacking: Arc<Lacking>,
    body: Body,
    waiting: VecDeque<Waiting>,
    staged: u64,
    published_series: u32,
    published_streams: u32,
    swept: Option<i64>,
    /// Of what comes next.
    generation: u32,
    kept: Durable,
    /// What the cluster holds is over its bound, and nothing of it can go.
    cluster_full: bool,
    stats: Stats,
    /// The snapshot of what is published, until something changes.
    current: OnceLock<Arc<Snapshot>>,
}

impl Writer {
    /// Empty buffers. Every namespace is the platform's until [`Writer::with_teams`] says otherwise.
    pub fn new(limits: Limits, templates: Box<dyn Templates>) -> Self {
        let mut logs = LogStore::default();
        logs.begin_generation(1);
        Self {
            tail: Tail::new(limits.tail_bytes()),
            limits,
            templates,
            names: Names::default(),
            namespaces: Namespaces::default(),
            series: SeriesIndex::default(),
            replicas: Replicas::default(),
            chunks: Chunks::default(),
            unmerged: BTreeSet::new(),
            corrections: Arc::default(),
            logs,
            alerts: Alerts::default(),
            cluster: Arc::new(Cluster::new(Arc::new(|_, _| Team::platform()))),
            restarts: Arc::default(),
            incidents: Arc::default(),
            anomalies: Arc::default(),
            lacking: Arc::default(),
            body: Body::default(),
            waiting: VecDeque::new(),
            staged: 0,
            published_series: 0,
            published_streams: 0,
            swept: None,
            generation: 1,
            kept: Durable::default(),
            cluster_full: false,
            stats: Stats::default(),
            current: OnceLock::new(),
        }
    }

    /// With the rule by which namespaces belong to teams. To be called before anything is written.
    #[must_use]
    pub fn with_teams(mut self, team_of: TeamOf) -> Self {
        self.cluster = Arc::new(Cluster::new(team_of));
        self
    }

    /// With the rule by which replicas are told from each other. To be called before anything is written.
    #[must_use]
    pub fn with_replicas(mut self, rule: ReplicaRule) -> Self {
        self.replicas = Replicas::new(rule);
        self
    }

    /// Starts staging a body. With `obey` nothing is judged again: the rows in it are refused, all others are kept.
    pub fn begin(&mut self, received: Timestamp, obey: Option<&Bitmap>) {
        self.rollback();
        if self.tail.bytes() > self.limits.tail_bytes() {
            self.seal_tail(true);
            self.shrink();
        }
        self.body.received = received.0;
        self.replicas.begin(received);
        self.body.obey = obey.cloned();
        self.body.first_row = self.tail.next();
    }

    /// Lets the rows of the body that was begun be as old as this.
    pub fn reach(&mut self, reach: Reach) {
        self.body.reach = reach;
    }

    /// Whether the body that was begun changes anything: a row of it is new, or was refused, or wins over another.
    pub fn is_changing(&self) -> bool {
        let body = &self.body;
        let fresh = self.series.registry.has_fresh() || self.logs.streams.registry.has_fresh();
        body.stored > 0 || !body.refused.is_empty() || !body.bitmap.is_empty() || !body.objects.is_empty() || fresh
    }

    /// Undoes everything since [`Writer::begin`].
    pub fn rollback(&mut self) {
        let from = self.tail.next().min(self.body.first_row.max(self.tail.published()));
        self.undo_rows(from);
        if self.waiting.is_empty() {
            self.let_go_of_dead_rows();
        }
        self.logs.rollback();
        self.series.rollback();
        self.replicas.rollback();
        self.names.rollback();
        self.namespaces.rollback();
        self.reset_body();
    }

    /// Undoes everything that was staged and is not published: the log could not take it. What was refused for it
    /// stays counted.
    pub fn discard(&mut self) {
        self.undo_rows(self.tail.published());
        self.let_go_of_dead_rows();
        self.logs.discard();
        self.series.rollback();
        self.names.rollback();
        self.namespaces.rollback();
        self.waiting.clear();
        self.reset_body();
    }

    fn reset_body(&mut self) {
        self.body = Body { first_row: self.tail.next(), ..Body::default() };
    }

    /// Rows that were taken back show nowhere, but only what is published is ever sealed, and with it their space comes
    /// free. All that is not published has to be dead.
    fn let_go_of_dead_rows(&mut self) {
        self.tail.publish(self.tail.next());
    }

    fn undo_rows(&mut self, from: u64) {
        let series = &mut self.series;
        self.tail.undo(from, |id, last| {
            if let Some(slot) = series.registry.slot_mut(id) {
                // What is between the rows before it is not known any more.
                (slot.last, slot.before) = (last, last);
            }
        });
    }

    /// Stages one change of the cluster, which came as so many bytes.
    pub fn stage_object(
        &mut self,
        resource: Resource,
        verb: Verb,
        object: Option<Object>,
        uids: Vec<String>,
        (received, bytes): (Timestamp, usize),
    ) {
        self.body.objects.push(StagedObject { resource, verb, object, uids, received, bytes });
    }

    /// What was refused of the body, where nothing of it is to be kept: then it may be rolled back and need not be in the
    /// log. Not where replicas are told apart: who was heard of is known from the log alone.
    pub fn all_refused(&self) -> Option<BTreeMap<Refusal, u64>> {
        let body = &self.body;
        let nothing = body.stored == 0 && body.repeated == 0 && body.corrections.is_empty();
        let empty = body.objects.is_empty() && body.alerts.is_empty();
        let replicas = [Refusal::Deduplicated, Refusal::ClusterLimit].iter().any(|why| body.refused.contains_key(why));
        (nothing && empty && !replicas && !body.refused.is_empty()).then(|| body.refused.clone())
    }

    /// Ends the body. It is seen once its mark, or a later one, is published.
    pub fn stage(&mut self) -> Staged {
        self.staged += 1;
        self.series.commit();
        self.replicas.commit();
        self.names.commit();
        self.namespaces.commit();
        let mut body = std::mem::take(&mut self.body);
        let lines = self.logs.stage(self.staged, body.received);
        let mark = Mark {
            number: self.staged,
            rows: self.tail.next(),
            series: self.series.registry.catalog.len(),
            streams: self.logs.streams.registry.catalog.len(),
        };
        self.reset_body();
        let deduplicated = body.refused.remove(&Refusal::Deduplicated).unwrap_or(0);
        self.stats.repeated += body.repeated;
        self.stats.deduplicated += deduplicated;
        for (why, n) in &body.refused {
            *self.stats.refused.entry(*why).or_default() += n;
        }
        let objects = body.objects.iter().filter(|o| o.object.is_some()).count() as u64;
        self.waiting.push_back(Waiting {
            number: self.staged,
            stored: body.stored - lines - body.new_alerts,
            corrections: body.corrections,
            objects: body.objects,
            alerts: body.alerts,
            received: Timestamp(body.received),
        });
        let Body { stored, repeated, refused, bitmap, .. } = body;
        Staged { mark, stored: stored + objects, repeated, deduplicated, refused, bitmap }
    }

    /// What is published now. Cheap: counts are copied, not rows.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let make = || {
            Arc::new(Snapshot {
                series: self.series.registry.catalog.view(self.published_series),
                series_lookup: Arc::clone(self.series.lookup()),
                chunks: self.chunks.clone(),
                tail: self.tail.view(),
                corrections: Arc::clone(&self.corrections),
                streams: self.logs.streams.registry.catalog.view(self.published_streams),
                stream_lookup: Arc::clone(self.logs.streams.lookup()),
                templates: self.templates.resolver(),
                batches: Arc::clone(self.logs.batches()),
                seconds: Arc::clone(self.logs.seconds()),
                namespaces: Arc::clone(self.namespaces.names()),
                alerts: Arc::clone(self.alerts.shared()),
                cluster: Arc::clone(&self.cluster),
                restarts: Arc::clone(&self.restarts),
                incidents: Arc::clone(&self.incidents),
                anomalies: Arc::clone(&self.anomalies),
                lacking: Arc::clone(&self.lacking),
            })
        };
        Arc::clone(self.current.get_or_init(make))
    }

    fn changed(&mut self) {
        self.current.take();
    }

    /// Replaces what is known to be missing.
    pub fn put_lacking(&mut self, lacking: Arc<Lacking>) {
        self.lacking = lacking;
        self.changed();
    }

    /// Replaces the ledger.
    pub fn put_restarts(&mut self, rows: Arc<Vec<Arc<Restart>>>) {
        self.restarts = rows;
        self.changed();
    }

    /// Replaces the incidents.
    pub fn put_incidents(&mut self, rows: Arc<Vec<Arc<Incident>>>) {
        self.incidents = rows;
        self.changed();
    }

    /// Replaces the anomalies.
    pub fn put_anomalies(&mut self, rows: Arc<Vec<Arc<Anomaly>>>) {
        self.anomalies = rows;
        self.changed();
    }

    /// What is held and what became of the rest.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.samples_held = self.chunks.rows() + self.tail.rows();
        stats.lines_held = self.logs.lines();
        stats.series = self.series.registry.live();
        stats.replica_clusters = self.replicas.clusters();
        stats.failovers = self.replicas.failovers();
        stats.namespaces = self.namespaces.live();
        stats.streams = self.logs.streams.registry.live();
        stats.bytes = BTreeMap::from([
            ("series", self.series.bytes()),
            ("names", self.names.bytes()),
            ("tail", self.tail.bytes()),
            ("chunks", self.chunks.bytes()),
            ("streams", self.logs.streams.bytes()),
            ("logs", self.logs.bytes()),
            ("alerts", self.alerts.bytes()),
            ("cluster", self.cluster.bytes()),
        ]);
        stats.alerts = self.alerts.len();
        stats.templates = self.templates.stats();
        stats
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("limits", &self.limits).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
