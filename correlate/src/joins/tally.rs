//! An aggregate over an interval join that makes no pair: each side is put into groups once, and a pair is a count in the
//! cell of its two groups.
//!
//! It stands for the aggregate over the join where each grouping expression is of one side alone and what is aggregated is of
//! the right side: `count`, `sum`, `min` and `max`, without `DISTINCT`, `FILTER` or an order.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};

use whyd_buffers::FixedState;

use super::columns::replaced;
use super::interval::{Interval, IntervalJoinExec, Lefts, Rights, Turns};

/// Cells of all groups of one side with all of the other, up to which each has a place of its own.
const DENSE: usize = 1 << 22;

/// What is made of the pairs of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tallied {
    Count,
    Sum,
    Min,
    Max,
}

impl Tallied {
    fn named(name: &str) -> Option<Self> {
        match name {
            "count" => Some(Self::Count),
            "sum" => Some(Self::Sum),
            "min" => Some(Self::Min),
            "max" => Some(Self::Max),
            _ => None,
        }
    }
}

/// One aggregate.
struct Aggregate {
    what: Tallied,
    /// Of the right columns; none where all pairs count.
    of: Option<Arc<dyn PhysicalExpr>>,
    name: String,
}

/// One grouping expression, of the left columns or of the right ones.
enum Group {
    Left(Arc<dyn PhysicalExpr>),
    Right(Arc<dyn PhysicalExpr>),
}

/// What the aggregate is.
struct Plan {
    interval: Arc<Interval>,
    groups: Vec<Group>,
    aggregates: Vec<Aggregate>,
    /// Columns of the right side that are read.
    columns: Vec<usize>,
}

/// Puts [`IntervalTallyExec`] in the place of an aggregate over an interval join.
#[derive(Debug)]
pub(crate) struct Tallies;

impl PhysicalOptimizerRule for Tallies {
    fn name(&self) -> &'static str {
        "interval_tallies"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let made = plan.transform_up(|node| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(node)) };
            match tally(aggregate)? {
                Some(tally) => Ok(Transformed::yes(Arc::new(tally) as Arc<dyn ExecutionPlan>)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(made.data)
    }
}

fn tally(aggregate: &AggregateExec) -> Result<Option<IntervalTallyExec>> {
    let modes = [AggregateMode::Partial, AggregateMode::Single, AggregateMode::SinglePartitioned];
    let plain = aggregate.filter_expr().iter().all(Option::is_none) && aggregate.limit_options().is_none();
    let grouping = aggregate.group_expr();
    if !modes.contains(aggregate.mode()) || !plain || !grouping.is_single() || grouping.expr().is_empty() {
        return Ok(None);
    }
    let Some((join, through)) = below(aggregate.input()) else { return Ok(None) };
    if join.interval.outer || join.interval.residual.is_some() {
        return Ok(None);
    }
    let lefts = join.left.schema().fields().len();
    let mut columns = Vec::new();
    // What an expression over the join's columns is of the left ones or of the right ones that are read.
    let of_side = |expr: &Arc<dyn PhysicalExpr>, columns: &mut Vec<usize>| -> Result<Option<Group>> {
        let expr = through_all(expr, &through)?;
        let used = collect_columns(&expr);
        if used.iter().all(|c| c.index() < lefts) {
            return Ok(Some(Group::Left(expr)));
        }
        if used.iter().any(|c| c.index() < lefts) {
            return Ok(None);
        }
        let moved = replaced(&expr, |column| {
            let right = column.index() - lefts;
            let at = columns.iter().position(|c| *c == right).unwrap_or_else(|| {
                columns.push(right);
                columns.len() - 1
            });
            Ok(Arc::new(Column::new(column.name(), at)))
        })?;
        Ok(Some(Group::Right(moved)))
    };
    let mut groups = Vec::new();
    for (expr, _) in grouping.expr() {
        match of_side(expr, &mut columns)? {
            Some(group) => groups.push(group),
            None => return Ok(None),
        }
    }
    let mut aggregates = Vec::new();
    for function in aggregate.aggr_expr() {
        let (Some(what), [of]) = (Tallied::named(function.fun().name()), &function.expressions()[..]) else {
            return Ok(None);
        };
        if function.is_distinct() || !function.order_bys().is_empty() {
            return Ok(None);
        }
        let constant = of.downcast_ref::<Literal>().is_some_and(|l| !l.value().is_null());
        let of = match of_side(of, &mut columns)? {
            _ if what == Tallied::Count && constant => None,
            Some(Group::Right(of)) => Some(of),
            _ => return Ok(None),
        };
        let state = function.state_fields()?;
        let number = |of: &DataType| matches!(of, DataType::Int64 | DataType::Float64);
        let fits = state.len() == 1 && number(state[0].data_type()) && number(function.field().data_type());
        let input = match &of {
            Some(of) if what != Tallied::Count => {
                let schema = join.interval.right.schema().project(&columns)?;
                Some(of.data_type(&schema)?)
            }
            _ => None,
        };
        if !fits || input.is_some_and(|of| of != *state[0].data_type()) {
            return Ok(None);
        }
        aggregates.push(Aggregate { what, of, name: function.name().to_owned() });
    }
    let plan = Plan { interval: Arc::clone(&join.interval), groups, aggregates, columns };
    Ok(Some(IntervalTallyExec::new(Arc::clone(&join.left), Arc::new(plan), aggregate.schema())))
}

type Exprs = Vec<Arc<dyn PhysicalExpr>>;

/// The interval join below, and the projections in between, the uppermost first.
fn below(plan: &Arc<dyn ExecutionPlan>) -> Option<(&IntervalJoinExec, Vec<Exprs>)> {
    let (mut plan, mut through) = (plan, Vec::new());
    while let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        through.push(projection.expr().iter().map(|e| Arc::clone(&e.expr)).collect());
        plan = projection.input();
    }
    Some((plan.downcast_ref::<IntervalJoinExec>()?, through))
}

fn through_all(expr: &Arc<dyn PhysicalExpr>, projections: &[Exprs]) -> Result<Arc<dyn PhysicalExpr>> {
    projections.iter().try_fold(Arc::clone(expr), |expr, made| {
        replaced(&expr, |column| {
            made.get(column.index()).cloned().ok_or_else(|| internal_datafusion_err!("no such column"))
        })
    })
}

/// The aggregate over the join.
pub(crate) struct IntervalTallyExec {
    left: Arc<dyn ExecutionPlan>,
    plan: Arc<Plan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl IntervalTallyExec {
    fn new(left: Arc<dyn ExecutionPlan>, plan: Arc<Plan>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            left.output_partitioning().clone(),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { left, plan, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.len()) {
            (Some(left), 0) => Ok(Arc::new(Self::new(left, Arc::clone(&self.plan), self.schema()))),
            _ => internal_err!("an interval join has one input: the other is read where it lies"),
        }
    }
}

impl fmt::Debug for IntervalTallyExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntervalTallyExec({})", self.plan.interval)
    }
}

impl DisplayAs for IntervalTallyExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.plan.groups.iter().map(|g| match g {
            Group::Left(e) | Group::Right(e) => e.to_string(),
        });
        let groups: Vec<String> = groups.collect();
        let made: Vec<&str> = self.plan.aggregates.iter().map(|a| a.name.as_str()).collect();
        write!(f, "IntervalTallyExec: gby=[{}], aggr=[{}], {}", groups.join(", "), made.join(", "), self.plan.interval)
    }
}

impl ExecutionPlan for IntervalTallyExec {
    fn name(&self) -> &'static str {
        "IntervalTallyExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![self.plan.interval.distribution()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.plan.interval.expressions() {
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
        let reservation = MemoryConsumer::new("IntervalTally").register(context.memory_pool());
        let measured = BaselineMetrics::new(&self.metrics, partition);
        let fetched = MetricBuilder::new(&self.metrics).counter("right_rows", partition);
        let (plan, schema) = (Arc::clone(&self.plan), self.schema());
        let stream = futures::stream::once(async move {
            let lefts = Lefts::of(&plan.interval, input, &reservation).await?;
            let timer = measured.elapsed_compute().timer();
            let made = plan.tally(lefts, &schema, &reservation, &fetched).await?;
            timer.done();
            measured.record_output(made.num_rows());
            Ok(made)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Groups of one side, numbered as they come.
struct Side {
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    values: Option<Box<dyn GroupValues>>,
    numbers: Vec<usize>,
}

impl Side {
    fn new(exprs: Vec<Arc<dyn PhysicalExpr>>, schema: &Schema) -> Result<Self> {
        let field = |(n, e): (usize, &Arc<dyn PhysicalExpr>)| -> Result<Field> {
            Ok(Field::new(n.to_string(), e.data_type(schema)?, true))
        };
        let fields: Vec<Field> = exprs.iter().enumerate().map(field).collect::<Result<_>>()?;
        let values = match fields.is_empty() {
            true => None,
            false => Some(new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)?),
        };
        Ok(Self { exprs, values, numbers: Vec::new() })
    }

    /// The group of each row.
    fn number(&mut self, rows: &RecordBatch, out: &mut Vec<u32>) -> Result<()> {
        let Some(values) = &mut self.values else {
            out.resize(out.len() + rows.num_rows(), 0);
            return Ok(());
        };
        let columns = self.exprs.iter().map(|e| e.evaluate(rows)?.into_array(rows.num_rows()));
        values.intern(&columns.collect::<Result<Vec<_>>>()?, &mut self.numbers)?;
        out.extend(self.numbers.iter().map(|n| *n as u32));
        Ok(())
    }

    fn len(&self) -> usize {
        self.values.as_ref().map_or(1, |v| v.len())
    }

    fn size(&self) -> usize {
        self.values.as_ref().map_or(0, |v| v.size())
    }

    fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        self.values.as_mut().map_or(Ok(Vec::new()), |v| v.emit(EmitTo::All))
    }
}

/// Groups of lines by their text, which is not copied.
#[derive(Default)]
struct TextGroups<'a> {
    numbers: HashMap<&'a str, u32, FixedState>,
    texts: Vec<&'a str>,
}

impl<'a> TextGroups<'a> {
    fn number(&mut self, text: &'a str) -> u32 {
        let texts = &mut self.texts;
        *self.numbers.entry(text).or_insert_with(|| {
            texts.push(text);
            texts.len() as u32 - 1
        })
    }
}

/// Groups of the right rows.
enum Rightly<'a> {
    Columns(Side),
    Text(TextGroups<'a>),
}

impl Rightly<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Columns(side) => side.len(),
            Self::Text(groups) => groups.texts.len(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Columns(side) => side.size(),
            Self::Text(groups) => groups.texts.len() * 64,
        }
    }

    fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Columns(side) => side.columns(),
            Self::Text(groups) => Ok(vec![Arc::new(StringArray::from_iter_values(&groups.texts))]),
        }
    }
}

/// The values of one aggregate's argument, of each right row.
enum Values {
    /// Each pair counts.
    All,
    Floats(Vec<Option<f64>>),
    Ints(Vec<Option<i64>>),
    Known(Vec<bool>),
}

impl Values {
    fn of(aggregate: &Aggregate, schema: &Schema) -> Result<Self> {
        Ok(match (&aggregate.of, aggregate.what) {
            (None, _) => Self::All,
            (Some(_), Tallied::Count) => Self::Known(Vec::new()),
            (Some(of), _) => match of.data_type(schema)? {
                DataType::Float64 => Self::Floats(Vec::new()),
                DataType::Int64 => Self::Ints(Vec::new()),
                other => return internal_err!("{other} is not tallied"),
            },
        })
    }

    fn add(&mut self, aggregate: &Aggregate, rows: &RecordBatch) -> Result<()> {
        let Some(of) = &aggregate.of else { return Ok(()) };
        let column = of.evaluate(rows)?.into_array(rows.num_rows())?;
        match self {
            Self::All => {}
            Self::Floats(values) => values.extend(column.as_primitive::<Float64Type>()),
            Self::Ints(values) => values.extend(column.as_primitive::<Int64Type>()),
            Self::Known(known) => known.extend((0..column.len()).map(|n| column.is_valid(n))),
        }
        Ok(())
    }
}

/// What has been made of each cell.
enum Cells {
    Counts(Vec<i64>),
    Floats(Vec<Option<f64>>),
    Ints(Vec<Option<i64>>),
}

impl Cells {
    fn new(values: &Values) -> Self {
        match values {
            Values::All | Values::Known(_) => Self::Counts(Vec::new()),
            Values::Floats(_) => Self::Floats(Vec::new()),
            Values::Ints(_) => Self::Ints(Vec::new()),
        }
    }

    fn grow(&mut self, cells: usize) {
        match self {
            Self::Counts(all) => all.resize(cells, 0),
            Self::Floats(all) => all.resize(cells, None),
            Self::Ints(all) => all.resize(cells, None),
        }
    }

    /// Takes in the pairs of one left row: the right rows with their cells.
    fn add(&mut self, what: Tallied, values: &Values, pairs: impl Iterator<Item = (usize, usize)>) {
        match (self, values) {
            (Self::Counts(cells), Values::Known(known)) => {
                for (row, cell) in pairs {
                    if let Some(n) = cells.get_mut(cell) {
                        *n += i64::from(known.get(row) == Some(&true));
                    }
                }
            }
            (Self::Floats(cells), Values::Floats(values)) => {
                for (row, cell) in pairs {
                    if let (Some(cell), Some(Some(v))) = (cells.get_mut(cell), values.get(row)) {
                        *cell = Some(cell.map_or(*v, |c| match what {
                            // As DataFusion has it: NaN wins over what came before it.
                            Tallied::Min if c < *v => c,
                            Tallied::Max if c > *v => c,
                            Tallied::Min | Tallied::Max => *v,
                            _ => c + v,
                        }));
                    }
                }
            }
            (Self::Ints(cells), Values::Ints(values)) => {
                for (row, cell) in pairs {
                    if let (Some(cell), Some(Some(v))) = (cells.get_mut(cell), values.get(row)) {
                        *cell = Some(cell.map_or(*v, |c| match what {
                            Tallied::Min => c.min(*v),
                            Tallied::Max => c.max(*v),
                            _ => c.wrapping_add(*v),
                        }));
                    }
                }
            }
            // All pairs: what is counted anyway.
            _ => {}
        }
    }

    fn column(&self, cells: &[u32], pairs: &[i64]) -> ArrayRef {
        let of = |n: &u32| *n as usize;
        match self {
            Self::Counts(all) if all.is_empty() => {
                Arc::new(Int64Array::from_iter_values(cells.iter().filter_map(|n| pairs.get(of(n)).copied())))
            }
            Self::Counts(all) => {
                Arc::new(Int64Array::from_iter_values(cells.iter().filter_map(|n| all.get(of(n)).copied())))
            }
            Self::Floats(all) => {
                Arc::new(cells.iter().map(|n| all.get(of(n)).copied().flatten()).collect::<Float64Array>())
            }
            Self::Ints(all) => {
                Arc::new(cells.iter().map(|n| all.get(of(n)).copied().flatten()).collect::<Int64Array>())
            }
        }
    }
}

/// Where the cell of two groups is.
enum Places {
    /// One after the other, the right groups of the first left one first.
    Dense(usize),
    /// As they come: few of all that could be.
    Sparse { known: HashMap<u64, u32, FixedState>, groups: Vec<(u32, u32)> },
}

impl Places {
    fn place(&mut self, left: u32, right: u32) -> usize {
        match self {
            Self::Dense(rights) => left as usize * *rights + right as usize,
            Self::Sparse { known, groups } => {
                let next = groups.len() as u32;
                let place = *known.entry(u64::from(left) << 32 | u64::from(right)).or_insert(next);
                if place == next {
                    groups.push((left, right));
                }
                place as usize
            }
        }
    }

    fn groups(&self, cell: u32) -> (u32, u32) {
        match self {
            Self::Dense(rights) => (cell / (*rights).max(1) as u32, cell % (*rights).max(1) as u32),
            Self::Sparse { groups, .. } => groups.get(cell as usize).copied().unwrap_or_default(),
        }
    }
}

impl Plan {
    async fn tally(
        &self,
        lefts: Lefts,
        schema: &SchemaRef,
        reservation: &MemoryReservation,
        fetched: &datafusion::physical_plan::metrics::Count,
    ) -> Result<RecordBatch> {
        let right_schema = self.interval.right.schema().project(&self.columns)?;
        let of = |left: bool| {
            self.groups.iter().filter_map(move |g| match g {
                Group::Left(e) if left => Some(Arc::clone(e)),
                Group::Right(e) if !left => Some(Arc::clone(e)),
                _ => None,
            })
        };
        let mut left_side = Side::new(of(true).collect(), &lefts.rows.schema())?;
        let mut left_groups = Vec::with_capacity(lefts.rows.num_rows());
        left_side.number(&lefts.rows, &mut left_groups)?;

        let exprs: Vec<_> = of(false).collect();
        let of_text = matches!(&exprs[..], [one] if one.is::<Column>()) && self.interval.right.is_text(&self.columns);
        let mut right_side = match of_text && self.aggregates.iter().all(|a| a.of.is_none()) {
            true => Rightly::Text(TextGroups::default()),
            false => Rightly::Columns(Side::new(exprs, &right_schema)?),
        };
        let values = self.aggregates.iter().map(|a| Values::of(a, &right_schema));
        let mut values: Vec<Values> = values.collect::<Result<_>>()?;
        let (mut keys, mut times, mut right_groups) = (Vec::new(), Vec::new(), Vec::new());
        let mut turns = Turns::default();
        let span = lefts.span().unwrap_or((i64::MAX, i64::MIN));
        let right = &self.interval.right;
        if let Rightly::Text(groups) = &mut right_side {
            let mut wanted = Vec::new();
            for (key, run) in right.line_runs(&lefts.keyed, span).into_iter().flatten() {
                right.wanted_lines().rows(&run, &mut wanted);
                reservation.try_grow(wanted.len() * 32)?;
                let rows = || wanted.iter().map(|row| *row as usize);
                times.extend(rows().map(|row| run.times().get(row).copied().unwrap_or_default()));
                right_groups.extend(rows().map(|row| groups.number(run.text(row))));
                keys.resize(times.len(), key);
                turns.took(wanted.len()).await;
            }
        }
        if let Rightly::Columns(side) = &mut right_side {
            for rows in right.fetch(&lefts.keyed, span, &self.columns)? {
                let rows = rows?;
                reservation.try_grow(rows.keys.len() * (32 + 16 * values.len()))?;
                side.number(&rows.columns, &mut right_groups)?;
                for (aggregate, values) in self.aggregates.iter().zip(&mut values) {
                    values.add(aggregate, &rows.columns)?;
                }
                turns.took(rows.keys.len()).await;
                keys.extend(rows.keys);
                times.extend(rows.times);
            }
        }
        fetched.add(keys.len());
        let rights = Rights::of(&keys, &times, lefts.keyed.keys);
        reservation.try_grow(left_side.size() + right_side.size())?;
        drop((keys, times));
        // As the rows are laid out, so that those of a left row are read one after the other.
        let right_groups: Vec<u32> =
            rights.layout.rows.iter().map(|row| right_groups.get(*row as usize).copied().unwrap_or_default()).collect();

        let all = left_side.len().saturating_mul(right_side.len());
        let mut places = if all <= DENSE {
            Places::Dense(right_side.len())
        } else {
            Places::Sparse { known: HashMap::default(), groups: Vec::new() }
        };
        let mut cells: Vec<Cells> = values.iter().map(Cells::new).collect();
        let mut pairs: Vec<i64> = Vec::new();
        let grow = |to: usize, pairs: &mut Vec<i64>, cells: &mut Vec<Cells>| -> Result<()> {
            if to > pairs.len() {
                // Sparse ones one by one, but not reserved one by one.
                let room = if all <= DENSE { all } else { to.next_power_of_two() };
                reservation.try_grow((room - pairs.len()) * (8 + 16 * cells.len() + 24))?;
                pairs.resize(room, 0);
                cells
                    .iter_mut()
                    .zip(&values)
                    .filter(|(_, v)| !matches!(v, Values::All))
                    .for_each(|(c, _)| c.grow(room));
            }
            Ok(())
        };
        let by_key = lefts.by_key();
        let mut of_row: Vec<(usize, usize)> = Vec::new();
        let only_counts = values.iter().all(|v| matches!(v, Values::All));
        for key in 0..lefts.keyed.keys {
            let range = rights.layout.range(key);
            let times = rights.times.get(range.clone()).unwrap_or_default();
            for left in by_key.rows.get(by_key.range(key)).unwrap_or_default() {
                let slice = lefts.slice(*left, times);
                let (from, to) = (range.start + slice.start, range.start + slice.end);
                let group = left_groups.get(*left as usize).copied().unwrap_or_default();
                let of_rows = right_groups.get(from..to).unwrap_or_default();
                turns.took(of_rows.len() + 1).await;
                if of_rows.is_empty() {
                    continue;
                }
                if let (Places::Dense(width), true) = (&places, only_counts) {
                    grow(all, &mut pairs, &mut cells)?;
                    let start = group as usize * *width;
                    let of_left = pairs.get_mut(start..start + *width).unwrap_or_default();
                    for right in of_rows {
                        if let Some(n) = of_left.get_mut(*right as usize) {
                            *n += 1;
                        }
                    }
                    continue;
                }
                of_row.clear();
                let rows = rights.layout.rows.get(from..to).unwrap_or_default();
                for (row, right) in rows.iter().zip(of_rows) {
                    let cell = places.place(group, *right);
                    grow(cell + 1, &mut pairs, &mut cells)?;
                    if let Some(n) = pairs.get_mut(cell) {
                        *n += 1;
                    }
                    of_row.push((*row as usize, cell));
                }
                for ((aggregate, values), cells) in self.aggregates.iter().zip(&values).zip(&mut cells) {
                    cells.add(aggregate.what, values, of_row.iter().copied());
                }
            }
        }
        self.emit(schema, (&mut left_side, &mut right_side), &places, &pairs, &cells)
    }

    fn emit(
        &self,
        schema: &SchemaRef,
        (left, right): (&mut Side, &mut Rightly<'_>),
        places: &Places,
        pairs: &[i64],
        cells: &[Cells],
    ) -> Result<RecordBatch> {
        let met: Vec<u32> = pairs.iter().enumerate().filter(|(_, n)| **n > 0).map(|(cell, _)| cell as u32).collect();
        let (of_left, of_right): (Vec<u32>, Vec<u32>) = met.iter().map(|cell| places.groups(*cell)).unzip();
        let (of_left, of_right) = (UInt32Array::from(of_left), UInt32Array::from(of_right));
        let (mut left, mut right) = (left.columns()?.into_iter(), right.columns()?.into_iter());
        let mut columns: Vec<ArrayRef> = Vec::new();
        for group in &self.groups {
            let (side, rows) = match group {
                Group::Left(_) => (&mut left, &of_left),
                Group::Right(_) => (&mut right, &of_right),
            };
            let column = side.next().ok_or_else(|| internal_datafusion_err!("a group without a column"))?;
            columns.push(take(&column, rows, None)?);
        }
        columns.extend(cells.iter().map(|c| c.column(&met, pairs)));
        let options = RecordBatchOptions::new().with_row_count(Some(met.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }
}
