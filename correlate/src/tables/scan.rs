//! Reading a table: only the columns that are asked for, of the rows that the filters leave, a batch at a time, and no more
//! of them than the limit needs.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions, StatisticsArgs,
};
use whyd_buffers::{LinesWanted, Scoped};
use whyd_signals::SeriesId;
use whyd_signals::schema::{IncidentsOfRows, Restart};

use super::wanted::Wanted;
use super::{Source, alerts_rows, changes_rows, hidden, rows};

/// Rows that are worth a task of their own.
const ROWS_OF_A_TASK: usize = 1 << 16;
/// Events and series that are: their texts are put together for a scan.
const TEXTS_OF_A_TASK: usize = 1 << 12;
/// As many as DataFusion's operators take at a time.
const ROWS_OF_A_PIECE: usize = 1 << 13;
/// Rows of tables with long texts that are made at a time.
const MADE_AT_ONCE: usize = 1 << 11;
/// Samples of a series that are taken to be unsealed: how many there are belongs to all teams together.
const UNSEALED: usize = 8;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// What kind of rows a scan reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceKind {
    Samples,
    Logs,
    Other,
}

/// One scan of one table. It holds the snapshot and no rows.
#[derive(Clone)]
pub(crate) struct SnapshotScan {
    scoped: Scoped,
    source: Source,
    wanted: Wanted,
    /// The series that are wanted, in id order; all that may be seen where there is none.
    series: Option<Arc<[SeriesId]>>,
    lines: LinesWanted,
    /// Places of the columns in the table.
    columns: Arc<[usize]>,
    limit: Option<usize>,
    rows: Precision<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SnapshotScan {
    pub(super) fn new(
        scoped: Scoped,
        source: Source,
        wanted: Wanted,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
        most_tasks: usize,
    ) -> Result<Self> {
        let whole = source.schema();
        let columns: Arc<[usize]> = match projection {
            Some(columns) => columns.as_slice().into(),
            None => (0..whole.fields().len()).collect(),
        };
        let schema = Arc::new(whole.project(&columns)?);
        let series = source.has_series().then(|| series_of(&scoped, &wanted)).flatten();
        let lines = if matches!(source, Source::Logs) { lines_of(&scoped, &wanted) } else { LinesWanted::default() };
        let rows = rows_of(&scoped, &source, series.as_deref());
        let of_a_task = match source {
            Source::Samples | Source::Logs => ROWS_OF_A_TASK,
            Source::Events | Source::Series => TEXTS_OF_A_TASK,
            _ => usize::MAX,
        };
        let tasks = match limit {
            None => (rows.get_value().copied().unwrap_or(0) / of_a_task).clamp(1, most_tasks.max(1)),
            Some(_) => 1,
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(Arc::clone(&schema), order_of(&source, &schema)),
            Partitioning::UnknownPartitioning(tasks),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self {
            scoped,
            source,
            wanted,
            series,
            lines,
            columns,
            limit,
            rows,
            properties: Arc::new(properties),
            metrics,
        })
    }

    /// What may be seen of the buffers.
    pub(crate) fn scoped(&self) -> &Scoped {
        &self.scoped
    }

    /// The table's name.
    pub(crate) fn table(&self) -> &'static str {
        self.source.name()
    }

    /// What kind of rows they are.
    pub(crate) fn kind(&self) -> SourceKind {
        match self.source {
            Source::Samples => SourceKind::Samples,
            Source::Logs => SourceKind::Logs,
            _ => SourceKind::Other,
        }
    }

    /// Which rows are wanted.
    pub(crate) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Which lines are wanted.
    pub(crate) fn lines(&self) -> &LinesWanted {
        &self.lines
    }

    /// Whether this series is wanted.
    pub(crate) fn has(&self, id: SeriesId) -> bool {
        self.series.as_ref().is_none_or(|some| some.binary_search(&id).is_ok())
    }

    fn all_series(&self) -> Arc<[SeriesId]> {
        self.series.clone().unwrap_or_else(|| self.scoped.all_series().map(|(id, _)| id).collect())
    }

    /// Places in the table of columns of this scan.
    pub(crate) fn columns_of(&self, columns: &[usize]) -> Vec<usize> {
        columns.iter().filter_map(|n| self.columns.get(*n).copied()).collect()
    }

    /// What is made of these, some at a time, when it is asked for.
    fn each_piece<T: Send + Sync + 'static>(
        &self,
        all: Arc<[T]>,
        made: impl Fn(&Self, &[T]) -> Result<RecordBatch> + Send + 'static,
    ) -> Batches {
        let scan = self.clone();
        let starts = (0..all.len()).step_by(MADE_AT_ONCE);
        Box::new(
            starts.map(move |from| made(&scan, all.get(from..all.len().min(from + MADE_AT_ONCE)).unwrap_or_default())),
        )
    }

    fn batches(&self, (part, parts): (usize, usize)) -> Batches {
        let (scoped, columns) = (&self.scoped, Arc::clone(&self.columns));
        let made = match &self.source {
            Source::Samples => {
                let series = part_of(&self.all_series(), (part, parts)).to_vec();
                return Box::new(scoped.sample_batches(series, self.wanted.range, columns).map(Ok));
            }
            Source::Logs => {
                let part = (part, parts);
                return Box::new(scoped.log_batches(self.wanted.range, columns, self.lines.clone(), part).map(Ok));
            }
            Source::Series => {
                let part: Arc<[SeriesId]> = part_of(&self.all_series(), (part, parts)).into();
                return self.each_piece(part, |scan, ids| Ok(scan.scoped.series_batch(ids, &scan.columns)));
            }
            Source::Events => rows::events(scoped, &columns, (part, parts)),
            Source::LogTemplates => rows::log_templates(&scoped.templates()),
            Source::Pods => rows::pods(scoped),
            Source::Changes(changes) => changes_rows::batch(changes),
            Source::Restarts => {
                let incidents = IncidentsOfRows::of(scoped.each_incident().map(AsRef::as_ref));
                let with_id = |r: &Arc<Restart>| (Arc::clone(r), incidents.row(r).map(str::to_owned));
                let all: Arc<[(Arc<Restart>, Option<String>)]> = scoped.each_restart().map(with_id).collect();
                return self.each_piece(all, |scan, some| {
                    let (rows, ids): (Vec<_>, Vec<_>) =
                        some.iter().map(|(r, id)| (hidden::restart(&scan.scoped, r), id.clone())).unzip();
                    Ok(rows::restarts(&rows, &ids)?.project(&scan.columns)?)
                });
            }
            Source::Anomalies(now) => rows::anomalies(&scoped.anomalies(), *now),
            Source::Incidents => rows::incidents(&hidden::incidents(scoped)),
            Source::Alerts => alerts_rows::batch(scoped),
        };
        let made = match self.source {
            Source::Events => made,
            _ => made.and_then(|batch| batch.project(&columns)),
        };
        match made {
            Ok(batch) => in_pieces(batch),
            Err(e) => Box::new(std::iter::once(Err(e.into()))),
        }
    }
}

/// Those of one part of so many.
fn part_of(all: &[SeriesId], (part, parts): (usize, usize)) -> &[SeriesId] {
    let each = all.len().div_ceil(parts.max(1));
    all.chunks(each.max(1)).nth(part).unwrap_or_default()
}

/// The same rows in batches that tasks can share.
fn in_pieces(whole: RecordBatch) -> Batches {
    let starts = (0..whole.num_rows()).step_by(ROWS_OF_A_PIECE);
    Box::new(starts.map(move |from| Ok(whole.slice(from, ROWS_OF_A_PIECE.min(whole.num_rows() - from)))))
}

/// The series that are wanted, where not all are; where only some metrics are, no other is looked at.
fn series_of(scoped: &Scoped, wanted: &Wanted) -> Option<Arc<[SeriesId]>> {
    let fits = |id: &SeriesId| {
        let team = |namespace: &str| scoped.team_of(namespace);
        scoped.meta(*id).is_some_and(|meta| wanted.series_fits(*id, meta, || team(&meta.namespace)))
    };
    if let Some(metrics) = wanted.metrics() {
        let named = metrics.iter().flat_map(|name| scoped.series_named(name));
        let mut some: Vec<SeriesId> = if wanted.only_names() { named.collect() } else { named.filter(fits).collect() };
        // Those of one metric are in order: runs, which this sort takes as they are.
        some.sort();
        return Some(some.into());
    }
    match &wanted.series {
        Some(some) => Some(some.iter().copied().filter(fits).collect()),
        None if wanted.judges_series() => Some(scoped.all_series().map(|(id, _)| id).filter(fits).collect()),
        None => None,
    }
}

fn lines_of(scoped: &Scoped, wanted: &Wanted) -> LinesWanted {
    let streams = wanted.judges_streams().then(|| {
        let all = scoped.all_streams();
        all.filter(|(_, m)| wanted.stream_fits(m, || scoped.team_of(&m.namespace))).map(|(id, _)| id).collect()
    });
    LinesWanted { streams, levels: wanted.levels() }
}

/// How many rows there are: exactly where that is known at once. Of samples and lines there are taken to be so many, where no
/// series are told, that a join never holds them.
fn rows_of(scoped: &Scoped, source: &Source, series: Option<&[SeriesId]>) -> Precision<usize> {
    const MANY: usize = 1 << 17;
    match source {
        Source::Series => match series {
            Some(some) => Precision::Exact(some.len()),
            None => Precision::Inexact(1 << 14),
        },
        Source::Samples => {
            let (sealed, all) = scoped.sealed_samples();
            let sealed = usize::try_from(sealed).unwrap_or(usize::MAX);
            Precision::Inexact(match series {
                Some(some) => ((sealed / all.max(1) + UNSEALED) * some.len()).max(1),
                None => sealed.max(MANY),
            })
        }
        Source::Logs => Precision::Inexact(scoped.lines_held().unwrap_or(1 << 20).max(MANY)),
        Source::Events => {
            Precision::Inexact(scoped.cluster().namespaces().map(|n| n.events.len()).sum::<usize>().max(1))
        }
        _ => Precision::Inexact(1 << 10),
    }
}

/// Samples come in the order of (series, time).
fn order_of(source: &Source, schema: &SchemaRef) -> Vec<Vec<PhysicalSortExpr>> {
    if !matches!(source, Source::Samples) {
        return Vec::new();
    }
    let options = SortOptions { descending: false, nulls_first: false };
    let column = |name: &str| {
        let at = schema.index_of(name).ok()?;
        Some(PhysicalSortExpr { expr: Arc::new(Column::new(name, at)), options })
    };
    let order: Vec<_> = ["series_id", "ts"].into_iter().map_while(column).collect();
    if order.is_empty() { Vec::new() } else { vec![order] }
}

impl fmt::Debug for SnapshotScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotScan")
            .field("source", &self.source)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for SnapshotScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotScan: table={}{}", self.source.name(), self.wanted)?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for SnapshotScan {
    fn name(&self) -> &'static str {
        "SnapshotScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a scan has no children") }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a scan has no children") }
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let parts = self.properties.partitioning.partition_count();
        if partition >= parts {
            return internal_err!("a scan has {parts} partitions");
        }
        let mut left = self.limit.unwrap_or(usize::MAX);
        // By the task that reads it: all partitions are opened by one.
        let (scan, mut opened) = (self.clone(), None);
        let measured = BaselineMetrics::new(&self.metrics, partition);
        let next = move || -> Option<Result<RecordBatch>> {
            if left == 0 {
                return None;
            }
            let timer = measured.elapsed_compute().timer();
            let batches = opened.get_or_insert_with(|| scan.batches((partition, parts)));
            let batch = match batches.next()? {
                Ok(batch) => batch.slice(0, batch.num_rows().min(left)),
                Err(e) => return Some(Err(e)),
            };
            timer.done();
            left -= batch.num_rows();
            measured.record_output(batch.num_rows());
            Some(Ok(batch))
        };
        let stream = futures::stream::iter(std::iter::from_fn(next));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        // Of columns nothing is told: what is known of sealed samples is not true of all, and bounds that cross are an error.
        let mut statistics = Statistics::new_unknown(&self.schema());
        let parts = if args.partition().is_some() { self.properties.partitioning.partition_count() } else { 1 };
        statistics.num_rows = match (self.rows, self.limit) {
            (rows, None) if parts == 1 => rows,
            (rows, limit) => {
                let each = rows.get_value().copied().unwrap_or(0) / parts;
                Precision::Inexact(each.min(limit.unwrap_or(usize::MAX)))
            }
        };
        Ok(Arc::new(statistics))
    }
}
