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
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{exec_err, internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::EmitTo;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, ChildrenPropertiesMode, EmissionType};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
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
    /// What two values make together. As DataFusion has it, NaN wins over what came before it.
    fn of_floats(self, c: f64, v: f64) -> f64 {
        match self {
            Self::Min if c < v => c,
            Self::Max if c > v => c,
            Self::Min | Self::Max => v,
            _ => c + v,
        }
    }

    fn of_ints(self, c: i64, v: i64) -> i64 {
        match self {
            Self::Min => c.min(v),
            Self::Max => c.max(v),
            _ => c.wrapping_add(v),
        }
    }

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
        let made = whole(&plan)?.unwrap_or(plan).transform_up(|node| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(node)) };
            match tally(aggregate)? {
                Some(tally) => Ok(Transformed::yes(Arc::new(tally) as Arc<dyn ExecutionPlan>)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(made.data)
    }
}

/// Where the answer is an aggregate over the join, made in parts and put together, and nothing above it asks in how many parts it
/// comes: one tally of as many tasks, whose cells are added up, instead of parts whose groups are looked for again.
fn whole(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return in_one(aggregate).map(|tally| tally.map(|tally| Arc::new(tally) as Arc<dyn ExecutionPlan>));
    }
    let indifferent = plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan.is::<SortExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<SortPreservingMergeExec>();
    let ([below], true) = (&plan.children()[..], indifferent) else { return Ok(None) };
    match whole(below)? {
        Some(below) => {
            let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Arc::clone(plan).replace_children(vec![below], anew).map(Some)
        }
        None => Ok(None),
    }
}

fn in_one(last: &AggregateExec) -> Result<Option<IntervalTallyExec>> {
    let is_last = matches!(last.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned);
    if !is_last || last.limit_options().is_some() {
        return Ok(None);
    }
    let mut below = last.input();
    while below.is::<RepartitionExec>() || below.is::<CoalescePartitionsExec>() {
        let [input] = below.children()[..] else { return Ok(None) };
        below = input;
    }
    let first = below.downcast_ref::<AggregateExec>().filter(|a| *a.mode() == AggregateMode::Partial);
    let Some(tally) = first.map(tally).transpose()?.flatten() else { return Ok(None) };
    let tasks = tally.properties.partitioning.partition_count();
    let left = match tally.left.downcast_ref::<RepartitionExec>() {
        Some(repartition) => Arc::clone(repartition.input()),
        None => Arc::clone(&tally.left),
    };
    let left: Arc<dyn ExecutionPlan> = match left.output_partitioning().partition_count() {
        1 => left,
        _ => Arc::new(CoalescePartitionsExec::new(left)),
    };
    Ok(Some(IntervalTallyExec::of(left, tally.plan, last.schema(), Some(tasks))))
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
        if !is_sure(&expr, &join.schema())? {
            return Ok(None);
        }
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

/// Whether an expression has a value whatever the row: it is asked of rows that are in no pair, too.
fn is_sure(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<bool> {
    let kind_is_sure = if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let from = cast.expr().data_type(schema)?;
        from.is_numeric() && *cast.cast_type() == DataType::Float64
    } else if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let sure = matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply);
        sure && expr.data_type(schema)? == DataType::Float64
    } else if let Some(function) = expr.downcast_ref::<ScalarFunctionExpr>() {
        ["date_bin", "date_trunc", "coalesce", "nanvl", "template_of"].contains(&function.name())
    } else {
        expr.is::<Column>() || expr.is::<Literal>()
    };
    let mut all = kind_is_sure;
    for child in expr.children() {
        all = all && is_sure(child, schema)?;
    }
    Ok(all)
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
    /// Where it is made as a whole, in how many tasks; else each partition is a part.
    tasks: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl IntervalTallyExec {
    fn new(left: Arc<dyn ExecutionPlan>, plan: Arc<Plan>, schema: SchemaRef) -> Self {
        Self::of(left, plan, schema, None)
    }

    fn of(left: Arc<dyn ExecutionPlan>, plan: Arc<Plan>, schema: SchemaRef, tasks: Option<usize>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            left.output_partitioning().clone(),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { left, plan, tasks, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.len()) {
            (Some(left), 0) => Ok(Arc::new(Self::of(left, Arc::clone(&self.plan), self.schema(), self.tasks))),
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
        if let Some(tasks) = self.tasks {
            write!(f, "IntervalTallyExec: tasks={tasks}, ")?;
        } else {
            write!(f, "IntervalTallyExec: ")?;
        }
        write!(f, "gby=[{}], aggr=[{}], {}", groups.join(", "), made.join(", "), self.plan.interval)
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
        match self.tasks {
            Some(_) => vec![Distribution::SinglePartition],
            None => vec![self.plan.interval.distribution()],
        }
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
        let (plan, schema, tasks) = (Arc::clone(&self.plan), self.schema(), self.tasks.unwrap_or(1));
        let stream = futures::stream::once(async move {
            let lefts = Lefts::of(&plan.interval, input, &reservation).await?;
            let timer = measured.elapsed_compute().timer();
            let made = plan.tally(lefts, &schema, tasks, reservation, fetched).await?;
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
    /// As many as there are pairs.
    Pairs,
    Counts(Vec<i64>),
    Floats(Vec<Option<f64>>),
    Ints(Vec<Option<i64>>),
}

impl Cells {
    fn new(values: &Values) -> Self {
        match values {
            Values::All => Self::Pairs,
            Values::Known(_) => Self::Counts(Vec::new()),
            Values::Floats(_) => Self::Floats(Vec::new()),
            Values::Ints(_) => Self::Ints(Vec::new()),
        }
    }

    /// None yet, of the same kind.
    fn alike(&self) -> Self {
        match self {
            Self::Pairs => Self::Pairs,
            Self::Counts(_) => Self::Counts(Vec::new()),
            Self::Floats(_) => Self::Floats(Vec::new()),
            Self::Ints(_) => Self::Ints(Vec::new()),
        }
    }

    fn grow(&mut self, cells: usize) {
        match self {
            Self::Pairs => {}
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
                        *cell = Some(cell.map_or(*v, |c| what.of_floats(c, *v)));
                    }
                }
            }
            (Self::Ints(cells), Values::Ints(values)) => {
                for (row, cell) in pairs {
                    if let (Some(cell), Some(Some(v))) = (cells.get_mut(cell), values.get(row)) {
                        *cell = Some(cell.map_or(*v, |c| what.of_ints(c, *v)));
                    }
                }
            }
            // All pairs: what is counted anyway.
            _ => {}
        }
    }

    /// Takes in a cell of another part.
    fn merge(&mut self, what: Tallied, cell: usize, other: &Self, of_other: usize) {
        match (self, other) {
            (Self::Counts(all), Self::Counts(others)) => {
                if let (Some(n), Some(more)) = (all.get_mut(cell), others.get(of_other)) {
                    *n += more;
                }
            }
            (Self::Floats(all), Self::Floats(others)) => {
                if let (Some(c), Some(Some(v))) = (all.get_mut(cell), others.get(of_other)) {
                    *c = Some(c.map_or(*v, |c| what.of_floats(c, *v)));
                }
            }
            (Self::Ints(all), Self::Ints(others)) => {
                if let (Some(c), Some(Some(v))) = (all.get_mut(cell), others.get(of_other)) {
                    *c = Some(c.map_or(*v, |c| what.of_ints(c, *v)));
                }
            }
            _ => {}
        }
    }

    fn column(&self, cells: &[u32], pairs: &[i64]) -> ArrayRef {
        let of = |n: &u32| *n as usize;
        match self {
            Self::Pairs => {
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
    fn of(lefts: usize, rights: usize) -> Self {
        if lefts.saturating_mul(rights) <= DENSE {
            Self::Dense(rights)
        } else {
            Self::Sparse { known: HashMap::default(), groups: Vec::new() }
        }
    }

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

/// The cells that some of the keys have met.
struct Tally {
    /// The columns of the right groups.
    rights: Vec<ArrayRef>,
    places: Places,
    /// How many pairs each cell has.
    pairs: Vec<i64>,
    cells: Vec<Cells>,
}

impl Tally {
    /// Room for cells up to this number.
    fn grow(&mut self, to: usize, all: usize, reservation: &MemoryReservation) -> Result<()> {
        if to <= self.pairs.len() {
            return Ok(());
        }
        // Sparse ones come one by one, but are not reserved one by one.
        let room = if all <= DENSE { all } else { to.next_power_of_two() };
        reservation.try_grow((room - self.pairs.len()) * (8 + 16 * self.cells.len() + 24))?;
        self.pairs.resize(room, 0);
        self.cells.iter_mut().for_each(|c| c.grow(room));
        Ok(())
    }
}

impl Plan {
    async fn tally(
        self: Arc<Self>,
        lefts: Lefts,
        schema: &SchemaRef,
        tasks: usize,
        reservation: MemoryReservation,
        fetched: Count,
    ) -> Result<RecordBatch> {
        let exprs = self.groups.iter().filter_map(|g| match g {
            Group::Left(e) => Some(Arc::clone(e)),
            Group::Right(_) => None,
        });
        let mut left_side = Side::new(exprs.collect(), &lefts.rows.schema())?;
        let mut left_groups = Vec::with_capacity(lefts.rows.num_rows());
        left_side.number(&lefts.rows, &mut left_groups)?;
        reservation.try_grow(left_side.size())?;

        let count = left_side.len();
        let shared = Arc::new((lefts, left_groups, reservation, fetched));
        let parts = (0..tasks).map(|part| {
            let (plan, shared) = (Arc::clone(&self), Arc::clone(&shared));
            let made = async move {
                let (lefts, left_groups, reservation, fetched) = &*shared;
                plan.part(lefts, (left_groups, count), (part, tasks), reservation, fetched).await
            };
            if tasks == 1 {
                futures::future::Either::Left(made)
            } else {
                let task = SpawnedTask::spawn(made);
                futures::future::Either::Right(async move {
                    task.join().await.unwrap_or_else(|e| exec_err!("a part of a join broke off: {e}"))
                })
            }
        });
        let mut parts = futures::future::try_join_all(parts).await?;
        let (_, _, reservation, _) = &*shared;
        let tally = match parts.pop() {
            Some(one) if parts.is_empty() => one,
            Some(last) => {
                parts.push(last);
                self.merged(&parts, count, reservation)?
            }
            None => return internal_err!("a join of no part"),
        };
        self.emit(schema, &mut left_side, &tally)
    }

    /// What the keys of one part have met.
    async fn part(
        &self,
        lefts: &Lefts,
        (left_groups, left_count): (&[u32], usize),
        (part, parts): (usize, usize),
        reservation: &MemoryReservation,
        fetched: &Count,
    ) -> Result<Tally> {
        let right_schema = self.interval.right.schema().project(&self.columns)?;
        let exprs = self.groups.iter().filter_map(|g| match g {
            Group::Right(e) => Some(Arc::clone(e)),
            Group::Left(_) => None,
        });
        let exprs: Vec<_> = exprs.collect();
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
        let keyed = lefts.keyed.part(part, parts);
        if let Rightly::Text(groups) = &mut right_side {
            let mut wanted = Vec::new();
            for (key, run) in right.line_runs(&keyed, span).into_iter().flatten() {
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
            for rows in right.fetch(&keyed, span, &self.columns)? {
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
        reservation.try_grow(right_side.size())?;
        drop((keys, times));
        // As the rows are laid out, so that those of a left row are read one after the other.
        let right_groups: Vec<u32> =
            rights.layout.rows.iter().map(|row| right_groups.get(*row as usize).copied().unwrap_or_default()).collect();

        let all = left_count.saturating_mul(right_side.len());
        let mut tally = Tally {
            places: Places::of(left_count, right_side.len()),
            rights: right_side.columns()?,
            pairs: Vec::new(),
            cells: values.iter().map(Cells::new).collect(),
        };
        let by_key = lefts.by_key();
        let mut of_row: Vec<(usize, usize)> = Vec::new();
        let only_counts = values.iter().all(|v| matches!(v, Values::All));
        for key in (part..lefts.keyed.keys).step_by(parts) {
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
                if let (Places::Dense(width), true) = (&tally.places, only_counts) {
                    let start = group as usize * *width;
                    let end = start + *width;
                    tally.grow(all, all, reservation)?;
                    let of_left = tally.pairs.get_mut(start..end).unwrap_or_default();
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
                    let cell = tally.places.place(group, *right);
                    tally.grow(cell + 1, all, reservation)?;
                    if let Some(n) = tally.pairs.get_mut(cell) {
                        *n += 1;
                    }
                    of_row.push((*row as usize, cell));
                }
                for ((aggregate, values), cells) in self.aggregates.iter().zip(&values).zip(&mut tally.cells) {
                    cells.add(aggregate.what, values, of_row.iter().copied());
                }
            }
        }
        Ok(tally)
    }

    /// One of several: their right groups are numbered anew, and what is of the same two groups is added up.
    fn merged(&self, parts: &[Tally], left_count: usize, reservation: &MemoryReservation) -> Result<Tally> {
        let fields = parts.first().map_or(Vec::new(), |p| {
            p.rights.iter().enumerate().map(|(n, c)| Field::new(n.to_string(), c.data_type().clone(), true)).collect()
        });
        let mut values = match fields.is_empty() {
            true => None,
            false => Some(new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)?),
        };
        let mut numbers: Vec<Vec<usize>> = Vec::new();
        for part in parts {
            let mut of_part = Vec::new();
            match &mut values {
                Some(values) if part.rights.iter().all(|c| !c.is_empty()) => {
                    values.intern(&part.rights, &mut of_part)?;
                }
                Some(_) => {}
                None => of_part.push(0),
            }
            numbers.push(of_part);
        }
        let count = values.as_ref().map_or(1, |v| v.len());
        let all = left_count.saturating_mul(count);
        let mut merged = Tally {
            places: Places::of(left_count, count),
            rights: values.as_mut().map_or(Ok(Vec::new()), |v| v.emit(EmitTo::All))?,
            pairs: Vec::new(),
            cells: parts.first().map_or(Vec::new(), |first| first.cells.iter().map(Cells::alike).collect()),
        };
        for (part, numbers) in parts.iter().zip(&numbers) {
            for (cell, pairs) in part.pairs.iter().enumerate().filter(|(_, n)| **n > 0) {
                let (left, right) = part.places.groups(cell as u32);
                let right = numbers.get(right as usize).copied().unwrap_or_default();
                let place = merged.places.place(left, right as u32);
                merged.grow(place + 1, all, reservation)?;
                if let Some(n) = merged.pairs.get_mut(place) {
                    *n += pairs;
                }
                for ((aggregate, into), of) in self.aggregates.iter().zip(&mut merged.cells).zip(&part.cells) {
                    into.merge(aggregate.what, place, of, cell);
                }
            }
        }
        Ok(merged)
    }

    fn emit(&self, schema: &SchemaRef, left: &mut Side, tally: &Tally) -> Result<RecordBatch> {
        let met = tally.pairs.iter().enumerate().filter(|(_, n)| **n > 0);
        let met: Vec<u32> = met.map(|(cell, _)| cell as u32).collect();
        let (of_left, of_right): (Vec<u32>, Vec<u32>) = met.iter().map(|cell| tally.places.groups(*cell)).unzip();
        let (of_left, of_right) = (UInt32Array::from(of_left), UInt32Array::from(of_right));
        let (mut left, mut right) = (left.columns()?.into_iter(), tally.rights.iter().cloned());
        let mut columns: Vec<ArrayRef> = Vec::new();
        for group in &self.groups {
            let (column, rows) = match group {
                Group::Left(_) => (left.next(), &of_left),
                Group::Right(_) => (right.next(), &of_right),
            };
            let column = column.ok_or_else(|| internal_datafusion_err!("a group without a column"))?;
            columns.push(take(&column, rows, None)?);
        }
        columns.extend(tally.cells.iter().map(|c| c.column(&met, &tally.pairs)));
        let options = RecordBatchOptions::new().with_row_count(Some(met.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }
}
