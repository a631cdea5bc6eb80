//! What is read one after another: the tables of a `UNION ALL` and the subqueries of an expression would all be read at once, each
//! with a piece of rows in hand and its groups or its sort half done, and a query may name a hundred.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Statistics, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::statistics::ChildStats;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, ReplaceChildrenOptions, StatisticsArgs, execute_stream,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

/// Puts an [`InTurnExec`] over each union that has more parts than a query has tasks. Before what is above it is told in how many
/// parts it comes.
#[derive(Debug)]
pub(super) struct UnionsInTurn;

impl PhysicalOptimizerRule for UnionsInTurn {
    fn name(&self) -> &'static str {
        "unions_in_turn"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let tasks = config.execution.target_partitions.max(1);
        let made = plan.transform_up(|node| {
            if !node.is::<UnionExec>() || node.output_partitioning().partition_count() <= tasks {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(Arc::new(InTurnExec::of(node, Turn::Parts(tasks))) as Arc<dyn ExecutionPlan>))
        })?;
        Ok(made.data)
    }
}

/// The same plan, of whose uncorrelated subqueries only one is read at a time for each expression that has some.
pub(super) fn subqueries(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let mut children = node.children().into_iter().cloned();
    let (true, Some(input)) = (node.is::<ScalarSubqueryExec>() && node.children().len() > 2, children.next()) else {
        return Ok(node);
    };
    let gate = Arc::new(Semaphore::new(1));
    let one = |child| Arc::new(InTurnExec::of(child, Turn::Whole(Arc::clone(&gate)))) as Arc<dyn ExecutionPlan>;
    let children = std::iter::once(input).chain(children.map(one)).collect();
    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

#[derive(Debug, Clone)]
enum Turn {
    /// So many parts, each of which reads some of the input's one after another.
    Parts(usize),
    /// All of the input as one part, when the gate is free.
    Whole(Arc<Semaphore>),
}

/// Reads the parts of its input in turn.
#[derive(Debug)]
struct InTurnExec {
    input: Arc<dyn ExecutionPlan>,
    turn: Turn,
    properties: Arc<PlanProperties>,
}

impl InTurnExec {
    fn of(input: Arc<dyn ExecutionPlan>, turn: Turn) -> Self {
        let parts = if let Turn::Parts(parts) = turn { parts } else { 1 };
        let of_input = input.properties();
        // Of what comes one after another no order is left.
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(parts),
            of_input.emission_type,
            of_input.boundedness,
        );
        Self { input, turn, properties: Arc::new(properties) }
    }
}

impl DisplayAs for InTurnExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.turn {
            Turn::Parts(parts) => write!(f, "InTurnExec: at_a_time={parts}"),
            Turn::Whole(_) => f.write_str("InTurnExec"),
        }
    }
}

impl ExecutionPlan for InTurnExec {
    fn name(&self) -> &'static str {
        "InTurnExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self::of(input, self.turn.clone()))),
            _ => internal_err!("one input is read in turn"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, part: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = Arc::clone(&self.input);
        let stream = match &self.turn {
            Turn::Parts(parts) => {
                let all = input.output_partitioning().partition_count();
                let own = futures::stream::iter((part..all).step_by((*parts).max(1)));
                // Opened when the one before it has ended.
                own.map(move |of_input| input.execute(of_input, Arc::clone(&context))).try_flatten().boxed()
            }
            Turn::Whole(gate) => {
                let gate = Arc::clone(gate);
                let whole = async move {
                    let turn = gate.acquire_owned().await.map_err(|e| DataFusionError::External(Box::new(e)))?;
                    let stream = execute_stream(input, context)?;
                    Ok::<_, DataFusionError>(stream.inspect(move |_| _ = &turn))
                };
                futures::stream::once(whole).try_flatten().boxed()
            }
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn child_stats_requests(&self, _: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(None)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match inputs {
            // How many rows each part has nobody knows.
            [whole] if args.partition().is_none() => Ok(Arc::clone(whole)),
            _ => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
        }
    }
}
