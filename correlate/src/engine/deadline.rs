//! Keeps a running query within reach of its timeout.
//!
//! A timeout fires only when the query lets go of its thread, and a join may compare rows for hours without: it has
//! no yield point of its own, and one that finds no match returns nothing either. So what multiplies rows yields
//! after some batches, and a join's filter, asked for each few thousand pairs, fails once it is late.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{internal_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use datafusion::physical_plan::unnest::UnnestExec;
use thiserror::Error;
use tokio::time::Instant;

use crate::joins::interval::IntervalJoinExec;

/// What a filter fails with.
#[derive(Debug, Error)]
#[error("too late")]
pub(super) struct Late;

/// The same plan, but it stops soon after `deadline`.
pub(super) fn keep(plan: Arc<dyn ExecutionPlan>, deadline: Instant) -> Result<Arc<dyn ExecutionPlan>> {
    let bounded = plan.transform_up(|node| {
        let node: Arc<dyn ExecutionPlan> = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            match join.filter() {
                Some(filter) => {
                    HashJoinExecBuilder::from(join).with_filter(Some(bound(filter, deadline))).build_exec()?
                }
                None => node,
            }
        } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            match join.filter() {
                Some(filter) => {
                    let filter = Some(bound(filter, deadline));
                    Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?)
                }
                None => node,
            }
        } else if node.is::<CrossJoinExec>() || node.is::<UnnestExec>() || node.is::<IntervalJoinExec>() {
            node
        } else if node.children().len() > 1 && !is_known(node.name()) {
            // A join that this file does not know how to bound; no setting of ours makes the planner choose one.
            return plan_err!("{} is not supported", node.name());
        } else {
            return Ok(Transformed::no(node));
        };
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(bounded.data)
}

/// Operators of several inputs that give back no more rows than they read.
fn is_known(name: &str) -> bool {
    matches!(name, "UnionExec" | "InterleaveExec" | "ScalarSubqueryExec" | "AsofJoinExec")
}

fn bound(filter: &JoinFilter, deadline: Instant) -> JoinFilter {
    let filter_by = Arc::new(Timely { inner: Arc::clone(filter.expression()), deadline });
    JoinFilter::new(filter_by, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// An expression that fails when it is asked after the deadline.
#[derive(Debug, Clone, Eq)]
struct Timely {
    inner: Arc<dyn PhysicalExpr>,
    deadline: Instant,
}

impl PartialEq for Timely {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner) && self.deadline == other.deadline
    }
}

impl Hash for Timely {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
        self.deadline.hash(state);
    }
}

impl fmt::Display for Timely {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Timely {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if Instant::now() >= self.deadline {
            return Err(DataFusionError::External(Box::new(Late)));
        }
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(inner) if children.is_empty() => Ok(Arc::new(Self { inner, deadline: self.deadline })),
            _ => internal_err!("one child"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
