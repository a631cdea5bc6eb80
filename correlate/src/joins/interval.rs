//! The interval join: of each left row the right rows of its key between its two times, both as they are written.
//!
//! The left rows of a partition are held, the right rows are fetched where they lie, once, only those of keys that the left
//! rows have and of times that any of them asks for, and laid out by key and time; then each left row's are a slice.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrowNativeTypeOp, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, TimestampNanosecondArray,
    UInt32Array,
};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{SchemaRef, TimestampNanosecondType};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Literal};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use futures::TryStreamExt;

use super::keyed::{Keyed, LeftKeys};
use super::layout::{Layout, Rights};
use super::right::RightRows;
use super::turns::Turns;
use super::values::values_of_all;
use crate::engine::widest;

/// Bytes of texts of a batch of pairs, at the most: each pair has a copy of both rows.
const BYTES: usize = 4 << 20;

/// What a left row takes beside its columns: its key, twice while keys are numbered, and its two times.
const EACH_ROW: usize = 28;

/// One end of the interval.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// A time of the left row.
    pub(crate) time: Arc<dyn PhysicalExpr>,
    /// Whether that time itself is inside.
    pub(crate) inclusive: bool,
}

/// What is joined with what.
pub(crate) struct Interval {
    pub(crate) right: RightRows,
    /// Keys of the left rows, and which right column each is equal to.
    pub(crate) keys: Vec<(Arc<dyn PhysicalExpr>, usize)>,
    pub(crate) lower: End,
    pub(crate) upper: End,
    /// What else has to hold, over the left and then the right columns.
    pub(crate) residual: Option<Arc<dyn PhysicalExpr>>,
    /// Whether left rows without a pair are kept.
    pub(crate) outer: bool,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |n: usize| self.right.schema().fields().get(n).map_or("", |f| f.name());
        let keys: Vec<String> = self.keys.iter().map(|(l, r)| format!("{l} = {}", name(*r))).collect();
        let (open, close) =
            (if self.lower.inclusive { '[' } else { '(' }, if self.upper.inclusive { ']' } else { ')' });
        write!(
            f,
            "{}, on=[{}], time in {open}{}, {}{close}",
            self.right,
            keys.join(", "),
            self.lower.time,
            self.upper.time
        )?;
        match &self.residual {
            Some(residual) => write!(f, ", where={residual}"),
            None => Ok(()),
        }
    }
}

impl Interval {
    /// The left rows that have to come together.
    pub(crate) fn distribution(&self) -> Distribution {
        Distribution::KeyPartitioned(self.keys.iter().map(|(left, _)| Arc::clone(left)).collect())
    }

    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        let keys = self.keys.iter().map(|(left, _)| left);
        keys.chain([&self.lower.time, &self.upper.time]).chain(&self.residual).chain(self.right.filter())
    }

    /// The keys of left rows.
    pub(crate) fn left_keys(
        &self,
        rows: &RecordBatch,
        at_a_time: usize,
        reservation: &MemoryReservation,
    ) -> Result<LeftKeys> {
        let keys = self.keys.iter().map(|(left, _)| values_of_all(left, rows, at_a_time, reservation));
        let columns: Vec<usize> = self.keys.iter().map(|(_, right)| *right).collect();
        LeftKeys::of(&keys.collect::<Result<Vec<_>>>()?, &self.right, &columns)
    }
}

/// The left rows of a partition with what they ask for.
pub(crate) struct Lefts {
    pub(crate) rows: RecordBatch,
    pub(crate) keyed: Keyed,
    /// The first and the last time that each asks for, both included; the first is later where it asks for none.
    spans: Vec<(i64, i64)>,
}

impl Lefts {
    /// Takes in all of a partition.
    pub(crate) async fn of(
        interval: &Interval,
        input: SendableRecordBatchStream,
        at_a_time: usize,
        reservation: &MemoryReservation,
    ) -> Result<Self> {
        let rows = gathered(input, reservation).await?;
        let keys = interval.left_keys(&rows, at_a_time, reservation)?;
        let numbered = keys.numbered(&interval.right, (0, 1));
        Self::keyed(interval, rows, Keyed::of(&keys, &interval.right, &[numbered]), reservation)
    }

    /// Of all rows of a partition, whose keys are known.
    pub(crate) fn keyed(
        interval: &Interval,
        rows: RecordBatch,
        keyed: Keyed,
        reservation: &MemoryReservation,
    ) -> Result<Self> {
        reservation.try_grow(rows.num_rows() * EACH_ROW)?;
        let spans = spans(interval, &rows)?;
        Ok(Self { rows, keyed, spans })
    }

    /// What any left row asks for.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        let asked = self.spans.iter().filter(|(from, to)| from <= to);
        asked.copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The left rows by key.
    pub(crate) fn by_key(&self) -> Layout {
        Layout::of(&self.keyed.of_left, self.keyed.keys)
    }

    /// Which of some rows of its key, in order of time, belong to a left row.
    pub(crate) fn slice(&self, left: u32, times: &[i64]) -> std::ops::Range<usize> {
        let Some((from, to)) = self.spans.get(left as usize) else { return 0..0 };
        let start = times.partition_point(|t| t < from);
        let count = times.get(start..).unwrap_or_default().partition_point(|t| t <= to);
        start..start + count
    }
}

/// All rows of a partition, as one batch.
pub(crate) async fn gathered(input: SendableRecordBatchStream, reservation: &MemoryReservation) -> Result<RecordBatch> {
    let schema = input.schema();
    let batches: Vec<RecordBatch> = input
        .try_fold(Vec::new(), |mut all, batch| {
            let held = reservation.try_grow(batch.get_array_memory_size());
            all.push(batch);
            std::future::ready(held.map(|()| all))
        })
        .await?;
    match <[RecordBatch; 1]>::try_from(batches) {
        Ok([whole]) => Ok(whole),
        Err(batches) => {
            let rows = concat_batches(&schema, &batches)?;
            drop(batches);
            reservation.try_resize(rows.get_array_memory_size())?;
            Ok(rows)
        }
    }
}

/// The times of an expression. One that only moves others by so many nanoseconds, which most do, is not asked to look at a
/// calendar for each.
fn times(expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<TimestampNanosecondArray> {
    if let Some((inner, by)) = moved(expr) {
        let of = times(inner, rows)?;
        // What would be out of range is left to the expression, which says so.
        if let Ok(moved) = of.try_unary::<_, TimestampNanosecondType, _>(|t| t.add_checked(by)) {
            return Ok(moved.with_timezone_opt(of.timezone()));
        }
    }
    let made = expr.evaluate(rows)?.into_array(rows.num_rows())?;
    let times = made.as_primitive_opt::<TimestampNanosecondType>();
    times.cloned().ok_or_else(|| internal_datafusion_err!("an end that is no time"))
}

/// Of `time + interval` or `time - interval` the time, and by how many nanoseconds it is moved.
fn moved(expr: &Arc<dyn PhysicalExpr>) -> Option<(&Arc<dyn PhysicalExpr>, i64)> {
    let binary = expr.downcast_ref::<BinaryExpr>()?;
    let by = match binary.right().downcast_ref::<Literal>()?.value() {
        ScalarValue::IntervalMonthDayNano(Some(of)) if of.months == 0 && of.days == 0 => of.nanoseconds,
        _ => return None,
    };
    match binary.op() {
        Operator::Plus => Some((binary.left(), by)),
        Operator::Minus => Some((binary.left(), by.checked_neg()?)),
        _ => None,
    }
}

fn spans(interval: &Interval, rows: &RecordBatch) -> Result<Vec<(i64, i64)>> {
    let (lower, upper) = (times(&interval.lower.time, rows)?, times(&interval.upper.time, rows)?);
    let none = (i64::MAX, i64::MIN);
    let span = |(from, to): (Option<i64>, Option<i64>)| -> Option<(i64, i64)> {
        let from = if interval.lower.inclusive { from? } else { from?.checked_add(1)? };
        let to = if interval.upper.inclusive { to? } else { to?.checked_sub(1)? };
        Some((from, to))
    };
    Ok(lower.iter().zip(&upper).map(|ends| span(ends).unwrap_or(none)).collect())
}

/// The join as a plan that gives its pairs.
pub(crate) struct IntervalJoinExec {
    pub(crate) left: Arc<dyn ExecutionPlan>,
    pub(crate) interval: Arc<Interval>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl IntervalJoinExec {
    pub(crate) fn new(left: Arc<dyn ExecutionPlan>, interval: Arc<Interval>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            left.output_partitioning().clone(),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { left, interval, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.len()) {
            (Some(left), 0) => Ok(Arc::new(Self::new(left, Arc::clone(&self.interval), self.schema()))),
            _ => internal_err!("an interval join has one input: the other is read where it lies"),
        }
    }
}

impl fmt::Debug for IntervalJoinExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntervalJoinExec({})", self.interval)
    }
}

impl DisplayAs for IntervalJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntervalJoinExec: {}", self.interval)
    }
}

impl ExecutionPlan for IntervalJoinExec {
    fn name(&self) -> &'static str {
        "IntervalJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![self.interval.distribution()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.interval.expressions() {
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
        let reservation = MemoryConsumer::new("IntervalJoin").register(context.memory_pool());
        let pairs = Pairs {
            interval: Arc::clone(&self.interval),
            schema: self.schema(),
            measured: BaselineMetrics::new(&self.metrics, partition),
            fetched: MetricBuilder::new(&self.metrics).counter("right_rows", partition),
            at_a_time: context.session_config().batch_size(),
            reservation,
        };
        let stream = futures::stream::once(pairs.begin(input)).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct Pairs {
    interval: Arc<Interval>,
    schema: SchemaRef,
    measured: BaselineMetrics,
    fetched: datafusion::physical_plan::metrics::Count,
    /// Rows of a batch of pairs, and of how many rows expressions are asked at a time.
    at_a_time: usize,
    reservation: MemoryReservation,
}

/// Where the making of pairs is.
struct Making {
    pairs: Pairs,
    lefts: Lefts,
    by_key: Layout,
    rights: Rights,
    columns: RecordBatch,
    key: usize,
    /// Of the left rows of the key, and of the right rows of that left row, the next.
    left: usize,
    right: usize,
    paired: Vec<bool>,
    /// From which left row on those without a pair are still to be given.
    alone: usize,
    /// Rows of a batch.
    most: usize,
}

impl Pairs {
    async fn begin(self, input: SendableRecordBatchStream) -> Result<impl futures::Stream<Item = Result<RecordBatch>>> {
        let lefts = Lefts::of(&self.interval, input, self.at_a_time, &self.reservation).await?;
        let timer = self.measured.elapsed_compute().timer();
        let right = &self.interval.right;
        let all: Vec<usize> = (0..right.schema().fields().len()).collect();
        let (mut keys, mut times, mut batches, mut turns) = (Vec::new(), Vec::new(), Vec::new(), Turns::default());
        if let Some(span) = lefts.span() {
            for fetched in right.fetch(&lefts.keyed, span, &all, self.at_a_time)? {
                let fetched = fetched?;
                let rows = fetched.keys.len();
                self.reservation.try_grow(fetched.columns.get_array_memory_size() + rows * 28)?;
                keys.extend(fetched.keys);
                times.extend(fetched.times);
                batches.push(fetched.columns);
                turns.took(rows).await;
            }
        }
        self.fetched.add(keys.len());
        let pieces: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let columns = match batches.first() {
            Some(first) => concat_batches(&first.schema(), &batches)?,
            None => RecordBatch::new_empty(Arc::clone(right.schema())),
        };
        self.reservation.try_grow(columns.get_array_memory_size())?;
        drop(batches);
        self.reservation.shrink(pieces);
        let rights = Rights::of(&keys, &times, lefts.keyed.keys);
        timer.done();
        let paired = vec![false; if self.interval.outer { lefts.rows.num_rows() } else { 0 }];
        let by_key = lefts.by_key();
        let most = (BYTES / (widest(&lefts.rows) + widest(&columns)).max(1)).clamp(1, self.at_a_time.max(1));
        let making =
            Making { pairs: self, lefts, by_key, rights, columns, key: 0, left: 0, right: 0, paired, alone: 0, most };
        Ok(futures::stream::try_unfold(making, |mut making| async move {
            loop {
                let Some(batch) = making.next()? else { return Ok(None) };
                if batch.num_rows() > 0 {
                    making.pairs.measured.record_output(batch.num_rows());
                    return Ok(Some((batch, making)));
                }
                tokio::task::yield_now().await;
            }
        }))
    }
}

impl Making {
    /// The next pairs, of which the filter may leave none; `None` at the end.
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let compute = self.pairs.measured.elapsed_compute().clone();
        let _timer = compute.timer();
        let (mut lefts, mut rights): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        while self.key < self.lefts.keyed.keys && lefts.len() < self.most {
            let of_key = self.by_key.range(self.key);
            let Some(left) = self.by_key.rows.get(of_key.start + self.left).filter(|_| self.left < of_key.len()) else {
                (self.key, self.left, self.right) = (self.key + 1, 0, 0);
                continue;
            };
            let range = self.rights.layout.range(self.key);
            let slice = self.lefts.slice(*left, self.rights.times.get(range.clone()).unwrap_or_default());
            let from = range.start + slice.start + self.right;
            let to = (range.start + slice.end).min(from + self.most - lefts.len());
            rights.extend(self.rights.layout.rows.get(from..to).unwrap_or_default());
            lefts.resize(rights.len(), *left);
            if to == range.start + slice.end {
                (self.left, self.right) = (self.left + 1, 0);
            } else {
                self.right += to - from;
            }
        }
        if !lefts.is_empty() {
            return self.filtered(lefts, rights).map(Some);
        }
        let rest = self.paired.iter().enumerate().skip(self.alone);
        let alone: Vec<u32> = rest.filter(|(_, paired)| !**paired).map(|(row, _)| row as u32).take(self.most).collect();
        let Some(last) = alone.last() else { return Ok(None) };
        self.alone = *last as usize + 1;
        let lefts = UInt32Array::from(alone);
        let rights = UInt32Array::new_null(lefts.len());
        self.pair(&lefts, &rights).map(Some)
    }

    fn pair(&self, lefts: &UInt32Array, rights: &UInt32Array) -> Result<RecordBatch> {
        let left = self.lefts.rows.columns().iter().map(|c| take(c, lefts, None));
        let right = self.columns.columns().iter().map(|c| take(c, rights, None));
        let columns = left.chain(right).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(lefts.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.pairs.schema), columns, &options)?)
    }

    fn filtered(&mut self, lefts: Vec<u32>, rights: Vec<u32>) -> Result<RecordBatch> {
        let (lefts, rights) = (UInt32Array::from(lefts), UInt32Array::from(rights));
        let mut pairs = self.pair(&lefts, &rights)?;
        let kept = match &self.pairs.interval.residual {
            Some(residual) => {
                let by = residual.evaluate(&pairs)?.into_array(pairs.num_rows())?;
                let by: BooleanArray =
                    by.as_boolean_opt().ok_or_else(|| internal_datafusion_err!("a filter that is no truth"))?.clone();
                pairs = arrow::compute::filter_record_batch(&pairs, &by)?;
                Some(by)
            }
            None => None,
        };
        if self.pairs.interval.outer {
            for (n, left) in lefts.values().iter().enumerate() {
                let holds = kept.as_ref().is_none_or(|by| by.is_valid(n) && by.value(n));
                if let Some(paired) = self.paired.get_mut(*left as usize).filter(|_| holds) {
                    *paired = true;
                }
            }
        }
        Ok(pairs)
    }
}
