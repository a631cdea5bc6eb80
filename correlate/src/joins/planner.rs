//! From the logical joins to the plans that run.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, internal_err};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::asof::{AsofJoinExec, Match};
use super::interval::{End, Interval, IntervalJoinExec};
use super::node::{Compared, Kind, TimeJoin};
use super::right::RightRows;

/// DataFusion's planner and our joins.
#[derive(Debug)]
pub(crate) struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(TimeJoins)]);
        planner.create_physical_plan(plan, session).await
    }
}

struct TimeJoins;

#[async_trait]
impl ExtensionPlanner for TimeJoins {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(join) = node.as_any().downcast_ref::<TimeJoin>() else { return Ok(None) };
        let [left, right] = inputs else { return internal_err!("a join has two inputs") };
        let physical = |expr: &Expr, schema: &DFSchema| planner.create_physical_expr(expr, schema, session, context);
        let sides = |expr: &Expr| -> Result<(Arc<dyn PhysicalExpr>, Operator, Arc<dyn PhysicalExpr>)> {
            let (lefts, rights) = (join.left.schema(), join.right.schema());
            let Some(c) = Compared::of(expr, lefts, rights) else {
                return internal_err!("{expr} compares no two sides");
            };
            Ok((physical(&c.left, lefts)?, c.op, physical(&c.right, rights)?))
        };
        let on = join.on.iter().map(&sides).collect::<Result<Vec<_>>>()?;
        let times = join.times.iter().map(&sides).collect::<Result<Vec<_>>>()?;
        let schema = Arc::clone(join.schema_of_join().inner());
        let plan: Arc<dyn ExecutionPlan> = match (join.kind, &times[..]) {
            (Kind::Asof, [(left_time, op, right_time)]) => {
                let matched = Match {
                    on: on.into_iter().map(|(l, _, r)| (l, r)).collect(),
                    left_time: Arc::clone(left_time),
                    op: *op,
                    right_time: Arc::clone(right_time),
                };
                Arc::new(AsofJoinExec::new(Arc::clone(left), Arc::clone(right), matched, schema))
            }
            (Kind::Interval { outer }, [lower, upper]) => {
                let key = |(l, _, r): (Arc<dyn PhysicalExpr>, Operator, Arc<dyn PhysicalExpr>)| match r
                    .downcast_ref::<Column>()
                {
                    Some(column) => Ok((l, column.index())),
                    None => internal_err!("a key that is no column"),
                };
                let interval = Interval {
                    right: RightRows::of(right)?,
                    keys: on.into_iter().map(key).collect::<Result<_>>()?,
                    lower: End { time: Arc::clone(&lower.0), inclusive: lower.1 == Operator::LtEq },
                    upper: End { time: Arc::clone(&upper.0), inclusive: upper.1 == Operator::GtEq },
                    residual: match &join.residual {
                        Some(expr) => Some(physical(expr, join.schema_of_join())?),
                        None => None,
                    },
                    outer,
                };
                Arc::new(IntervalJoinExec::new(Arc::clone(left), Arc::new(interval), schema))
            }
            _ => return internal_err!("a join by time with {} times", times.len()),
        };
        Ok(Some(plan))
    }
}
