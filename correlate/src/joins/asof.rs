//! The as-of join: with each left row the right row of its key that is nearest in time, and NULL where there is none.
//!
//! Samples are looked up where they lie, series by series. Any other right side is held, laid out by key and time; of rows of
//! one time the last one is taken, or the first where the match is a later row.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, RecordBatchOptions, TimestampNanosecondArray, UInt32Array,
    make_comparator,
};
use arrow::compute::{SortOptions, concat_batches, take};
use arrow::datatypes::{SchemaRef, TimestampNanosecondType, UInt32Type};
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;
use whyd_buffers::{FixedState, History};
use whyd_signals::{Sample, SeriesId, Timestamp};

use super::turns::Turns;
use super::values::{values, values_of_all};
use crate::tables::{SnapshotScan, SourceKind};

/// Series of which it is remembered where they lie.
const REMEMBERED: usize = 1 << 17;

/// What is matched with what.
#[derive(Debug, Clone)]
pub(crate) struct Match {
    /// Left and right keys.
    pub(crate) on: Vec<(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)>,
    pub(crate) left_time: Arc<dyn PhysicalExpr>,
    /// `left_time op right_time`.
    pub(crate) op: Operator,
    pub(crate) right_time: Arc<dyn PhysicalExpr>,
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on: Vec<String> = self.on.iter().map(|(l, r)| format!("{l} = {r}")).collect();
        write!(f, "on=[{}], match={} {} {}", on.join(", "), self.left_time, self.op, self.right_time)
    }
}

/// The join.
pub(crate) struct AsofJoinExec {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    matched: Match,
    /// Samples by their series: looked up where they lie.
    samples: Option<SnapshotScan>,
    /// What all partitions look into, or why there is none: it is read once.
    held: Arc<OnceCell<Result<Arc<Held>, Arc<DataFusionError>>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl AsofJoinExec {
    pub(crate) fn new(
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        matched: Match,
        schema: SchemaRef,
    ) -> Self {
        // Left rows stay as they are, and so does their order.
        let mut equivalences = EquivalenceProperties::new(schema);
        equivalences.add_orderings(left.equivalence_properties().oeq_class().iter().cloned());
        let properties = PlanProperties::new(
            equivalences,
            left.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let samples = samples(&right, &matched);
        let (held, metrics) = (Arc::default(), ExecutionPlanMetricsSet::new());
        Self { left, right, matched, samples, held, properties: Arc::new(properties), metrics }
    }

    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        let (left, right, more) = (children.next(), children.next(), children.next());
        let right =
            if self.samples.is_some() { Some(Arc::clone(&self.right)).filter(|_| right.is_none()) } else { right };
        match (left, right, more) {
            (Some(left), Some(right), None) => {
                Ok(Arc::new(Self::new(left, right, self.matched.clone(), self.schema())))
            }
            _ => internal_err!("an as-of join with other children"),
        }
    }
}

/// The scan of samples that a right side is, where they are matched by their series and an earlier time.
fn samples(right: &Arc<dyn ExecutionPlan>, matched: &Match) -> Option<SnapshotScan> {
    let scan = right.downcast_ref::<SnapshotScan>().filter(|s| s.kind() == SourceKind::Samples)?;
    let is = |e: &Arc<dyn PhysicalExpr>, name: &str| {
        e.downcast_ref::<Column>()
            .and_then(|c| scan.schema().fields().get(c.index()).map(|f| f.name() == name))
            .unwrap_or(false)
    };
    let [(_, key)] = &matched.on[..] else { return None };
    let backward = matches!(matched.op, Operator::GtEq | Operator::Gt);
    (backward && is(key, "series_id") && is(&matched.right_time, "ts") && scan.fetch().is_none()).then(|| scan.clone())
}

impl fmt::Debug for AsofJoinExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsofJoinExec({})", self.matched)
    }
}

impl DisplayAs for AsofJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsofJoinExec: {}", self.matched)?;
        match &self.samples {
            Some(scan) => write!(f, ", looked up in {}{}", scan.table(), scan.wanted()),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for AsofJoinExec {
    fn name(&self) -> &'static str {
        "AsofJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        let right = if self.samples.is_some() { Vec::new() } else { vec![Distribution::SinglePartition] };
        [vec![Distribution::UnspecifiedDistribution], right].concat()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        if self.samples.is_some() { vec![true] } else { vec![true, false] }
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        if self.samples.is_some() { vec![true] } else { vec![true, false] }
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        if self.samples.is_some() { vec![&self.left] } else { vec![&self.left, &self.right] }
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let keys = self.matched.on.iter().flat_map(|(l, r)| [l, r]);
        for expr in keys.chain([&self.matched.left_time, &self.matched.right_time]) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.left.execute(partition, Arc::clone(&context))?;
        let (matched, schema) = (self.matched.clone(), self.schema());
        let measured = BaselineMetrics::new(&self.metrics, partition);
        let reservation = MemoryConsumer::new("AsofJoin").register(context.memory_pool());
        if let Some(scan) = &self.samples {
            let looked_up = LookedUp { scan: scan.clone(), matched, schema, measured, reservation };
            return Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), looked_up.over(input))));
        }
        let (right, held) = (Arc::clone(&self.right), Arc::clone(&self.held));
        let stream = futures::stream::once(async move {
            let hold = || async {
                let at_a_time = context.session_config().batch_size();
                let held = async { Held::of(right.execute(0, context)?, &matched, at_a_time, reservation).await };
                held.await.map(Arc::new).map_err(Arc::new)
            };
            let held = held.get_or_init(hold).await.clone().map_err(DataFusionError::Shared)?;
            Ok::<_, DataFusionError>(input.map(move |batch| {
                let timer = measured.elapsed_compute().timer();
                let made = held.joined(&batch?, &matched, &schema)?;
                timer.done();
                measured.record_output(made.num_rows());
                Ok(made)
            }))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream.try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

fn joined(left: &RecordBatch, right: Vec<ArrayRef>, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = left.columns().iter().cloned().chain(right).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(left.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// Samples, found where they lie.
struct LookedUp {
    scan: SnapshotScan,
    matched: Match,
    schema: SchemaRef,
    measured: BaselineMetrics,
    reservation: MemoryReservation,
}

impl LookedUp {
    fn over(self, input: SendableRecordBatchStream) -> impl futures::Stream<Item = Result<RecordBatch>> {
        let known = Known::default();
        futures::stream::try_unfold(
            (self, input, known, Turns::default()),
            |(this, mut input, mut known, mut turns)| async move {
                let Some(batch) = input.next().await.transpose()? else { return Ok(None) };
                let timer = this.measured.elapsed_compute().timer();
                let made = this.joined(&batch, &mut known)?;
                timer.done();
                this.measured.record_output(made.num_rows());
                // After each batch: a task that was woken by this one waits for the thread that this one has, however idle others are.
                turns.took(made.num_rows() * LOOKED_UP).await;
                Ok(Some((made, (this, input, known, turns))))
            },
        )
    }

    fn joined(&self, batch: &RecordBatch, known: &mut Known) -> Result<RecordBatch> {
        let Some((key, _)) = self.matched.on.first() else { return internal_err!("no key") };
        let (keys, times) = (values(key, batch)?, values(&self.matched.left_time, batch)?);
        let keys = keys.as_primitive_opt::<UInt32Type>().ok_or_else(|| internal_datafusion_err!("no series"))?;
        let times =
            times.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(|| internal_datafusion_err!("no time"))?;
        let (from, to) = self.scan.wanted().range;
        let strict = self.matched.op == Operator::Gt;
        known.make_room();
        let place = |(id, at): (Option<u32>, Option<i64>)| -> Option<(u32, usize, Timestamp)> {
            let (id, at) = (id?, at?);
            let at = if strict { at.checked_sub(1)? } else { at };
            Some((id, known.place(&self.scan, id), Timestamp(at).min(to)))
        };
        let asked: Vec<Option<(u32, usize, Timestamp)>> = keys.iter().zip(times.iter()).map(place).collect();
        self.reservation.try_resize(known.histories.len() * EACH)?;
        let mut found: Vec<Option<(u32, Sample)>> = Vec::with_capacity(asked.len());
        for some in asked.chunks(AHEAD) {
            let first = some.iter().flatten().filter_map(|(_, place, at)| Some(known.at(*place)?.touch(*at)));
            std::hint::black_box(first.fold(0, |all, word| all ^ word));
            let find = |(id, place, at): (u32, usize, Timestamp)| {
                let found = known.at(place)?.asof(at).filter(|found| found.ts >= from)?;
                Some((id, found))
            };
            found.extend(some.iter().map(|asked| asked.and_then(find)));
        }
        let column = |n: &usize| -> ArrayRef {
            match n {
                0 => Arc::new(found.iter().map(|f| f.map(|(id, _)| id)).collect::<UInt32Array>()),
                1 => Arc::new(
                    found
                        .iter()
                        .map(|f| f.map(|(_, s)| s.ts.0))
                        .collect::<TimestampNanosecondArray>()
                        .with_timezone("UTC"),
                ),
                _ => Arc::new(found.iter().map(|f| f.map(|(_, s)| s.value)).collect::<Float64Array>()),
            }
        };
        let all: Vec<usize> = (0..self.scan.schema().fields().len()).collect();
        joined(batch, self.scan.columns_of(&all).iter().map(column).collect(), &self.schema)
    }
}

/// Samples that are looked up beside each other.
const AHEAD: usize = 16;
/// A sample that is looked up takes as long as so many pairs of rows that lie beside each other.
const LOOKED_UP: usize = 32;
/// What one key of a held side takes beside its bytes: its place in the table, and its rows.
const EACH_KEY: usize = size_of::<(OwnedRow, Vec<u32>)>() + 48;
/// About what one remembered series takes: its place in the table, and runs in some chunks.
const EACH: usize = 512;

/// Where series lie that were asked for before.
#[derive(Default)]
struct Known {
    places: HashMap<u32, u32, FixedState>,
    histories: Vec<Option<History>>,
}

impl Known {
    /// Forgets all when they are too many. What a place was then is no more.
    fn make_room(&mut self) {
        if self.histories.len() >= REMEMBERED {
            *self = Self::default();
        }
    }

    /// The place of a series.
    fn place(&mut self, scan: &SnapshotScan, id: u32) -> usize {
        let Self { places, histories } = self;
        let find = || {
            histories.push(scan.has(SeriesId(id)).then(|| scan.scoped().history(SeriesId(id))).flatten());
            histories.len() as u32 - 1
        };
        *places.entry(id).or_insert_with(find) as usize
    }

    /// What there is of the series at this place.
    fn at(&self, place: usize) -> Option<&History> {
        self.histories.get(place)?.as_ref()
    }
}

/// A right side that is held.
struct Held {
    rows: RecordBatch,
    times: ArrayRef,
    converter: RowConverter,
    /// The rows of each key in order of time; those of one time as they came.
    by_key: HashMap<OwnedRow, Vec<u32>>,
    _reservation: MemoryReservation,
}

impl Held {
    async fn of(
        input: SendableRecordBatchStream,
        matched: &Match,
        at_a_time: usize,
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let schema = input.schema();
        let batches: Vec<RecordBatch> = input
            .try_fold(Vec::new(), |mut all, batch| {
                let held = reservation.try_grow(batch.get_array_memory_size());
                all.push(batch);
                std::future::ready(held.map(|()| all))
            })
            .await?;
        let rows = concat_batches(&schema, &batches)?;
        drop(batches);
        reservation.try_resize(rows.get_array_memory_size())?;
        let of_all = |expr| values_of_all(expr, &rows, at_a_time, &reservation);
        let keys = matched.on.iter().map(|(_, right)| of_all(right)).collect::<Result<Vec<_>>>()?;
        let times = of_all(&matched.right_time)?;
        let fields = keys.iter().map(|k| SortField::new(k.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let mut by_key: HashMap<OwnedRow, Vec<u32>> = HashMap::new();
        let mut turns = Turns::default();
        let mut bytes = 0;
        each_key(&converter, &keys, rows.num_rows(), |n, key| {
            if times.is_valid(n) {
                let length = key.as_ref().len();
                by_key.entry(key).or_insert_with(|| {
                    bytes += EACH_KEY + length;
                    Vec::new()
                });
            }
        })?;
        reservation.try_grow(bytes + rows.num_rows() * 8)?;
        each_key(&converter, &keys, rows.num_rows(), |n, key| {
            if let Some(of_key) = by_key.get_mut(&key).filter(|_| times.is_valid(n)) {
                of_key.push(n as u32);
            }
        })?;
        turns.took(rows.num_rows()).await;
        let compare = make_comparator(&times, &times, SortOptions::default())?;
        for of_key in by_key.values_mut() {
            of_key.sort_by(|a, b| compare(*a as usize, *b as usize));
            turns.took(of_key.len()).await;
        }
        Ok(Self { rows, times, converter, by_key, _reservation: reservation })
    }

    fn joined(&self, batch: &RecordBatch, matched: &Match, schema: &SchemaRef) -> Result<RecordBatch> {
        let keys = matched.on.iter().map(|(left, _)| values(left, batch)).collect::<Result<Vec<_>>>()?;
        let times = values(&matched.left_time, batch)?;
        let compare = make_comparator(&self.times, &times, SortOptions::default())?;
        let mut found: Vec<Option<u32>> = vec![None; batch.num_rows()];
        each_key(&self.converter, &keys, batch.num_rows(), |n, key| {
            let Some(rows) = self.by_key.get(&key).filter(|_| times.is_valid(n)) else { return };
            let before = |least: Ordering| rows.partition_point(|row| compare(*row as usize, n) <= least);
            let (earlier, upto) = (before(Ordering::Less), before(Ordering::Equal));
            let at = match matched.op {
                Operator::GtEq => upto.checked_sub(1),
                Operator::Gt => earlier.checked_sub(1),
                Operator::LtEq => Some(earlier),
                _ => Some(upto),
            };
            if let Some(place) = found.get_mut(n) {
                *place = at.and_then(|at| rows.get(at)).copied();
            }
        })?;
        let found = UInt32Array::from(found);
        let right = self.rows.columns().iter().map(|c| take(c, &found, None));
        joined(batch, right.collect::<Result<_, _>>()?, schema)
    }
}

/// Visits the key of each row that has one: NULL equals nothing.
fn each_key(
    converter: &RowConverter,
    keys: &[ArrayRef],
    rows: usize,
    mut each: impl FnMut(usize, OwnedRow),
) -> Result<()> {
    if keys.is_empty() {
        // All rows have the same.
        let parser = converter.parser();
        (0..rows).for_each(|n| each(n, parser.parse(&[]).owned()));
        return Ok(());
    }
    let made = converter.convert_columns(keys)?;
    for n in 0..rows {
        if keys.iter().all(|k| k.is_valid(n)) {
            each(n, made.row(n).owned());
        }
    }
    Ok(())
}
