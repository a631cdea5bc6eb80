//! An aggregate over an interval join that makes no pair: each side is put into groups once, and a pair is a count in the
//! cell of its two groups.
//!
//! It stands for the aggregate over the join where each grouping expression is of one side alone and what is aggregated is of
//! the right side: `count`, `sum`, `min` and `max`, without `DISTINCT`, `FILTER` or an order.

mod cells;
mod groups;
mod laid;
mod pairs;
mod reads;
mod rule;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};

use cells::Tallied;
use futures::TryStreamExt;
pub(crate) use rule::Tallies;

use super::interval::{Interval, gathered};

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
        let groups = self.plan.groups.iter().map(|group| match group {
            Group::Left(of) | Group::Right(of) => of,
        });
        let aggregated = self.plan.aggregates.iter().filter_map(|aggregate| aggregate.of.as_ref());
        for expr in self.plan.interval.expressions().chain(groups).chain(aggregated) {
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
        let parts = (self.tasks.unwrap_or(1), context.session_config().batch_size());
        let stream = futures::stream::once(async move {
            let rows = gathered(input, &reservation).await?;
            let timer = measured.elapsed_compute().timer();
            let made = plan.tally(rows, &schema, parts, reservation, fetched).await?;
            timer.done();
            Ok::<_, DataFusionError>(made.inspect_ok(move |rows| measured.record_output(rows.num_rows())))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream.try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
