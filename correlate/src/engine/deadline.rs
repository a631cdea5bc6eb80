//! Keeps a running query within reach of its timeout.
//!
//! A timeout fires only when the query lets go of its thread, and a join may compare rows for hours without: it has
//! no yield point of its own, and one that finds no match returns nothing either. So what multiplies rows yields
//! after some batches, and a join's filter, asked for each few thousand pairs, fails once it is late. What expressions are
//! made of comes in pieces, between which time is looked at, and what they and the windows hold is bounded on the way.

mod account;
mod watched;
mod weighed;
mod windows;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{internal_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, CastExpr, LikeExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use thiserror::Error;
use tokio::time::Instant;

use crate::joins::interval::IntervalJoinExec;
use watched::{Watch, WatchedExec};

/// What a filter fails with.
#[derive(Debug, Error)]
#[error("too late")]
pub(super) struct Late;

/// Bytes of text that the expressions of one operator may make of one piece of rows, if none makes more than it is given.
const MADE: usize = 32 << 20;
/// Bytes of a piece, if only one expression makes text of it.
const PIECE: usize = 1 << 20;
/// Bytes of a single row that text is made of.
const ROW: usize = 4 << 20;
/// Rows in which a pattern is looked for between two looks at the clock: one may take milliseconds for each.
const MATCHED: usize = 1024;

/// The same plan, but it stops soon after `deadline`, and no expression is given more than `rows` at a time.
pub(super) fn keep(plan: Arc<dyn ExecutionPlan>, deadline: Instant, rows: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let mut leaves = 0;
    plan.apply(|node| {
        leaves += usize::from(node.children().is_empty());
        Ok(TreeNodeRecursion::Continue)
    })?;
    let share = Share { rows, of: leaves.div_ceil(4).max(1), deadline };
    let bounded = plan.transform_up(|node| {
        let node = watched(node, share)?;
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
            return Ok(Transformed::yes(node));
        };
        let watched =
            WatchedExec::over(&node, Watch::Pieces { rows: usize::MAX, bytes: usize::MAX, row: usize::MAX, deadline });
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(watched)) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(bounded.data)
}

/// What an operator may take of what all of them may.
#[derive(Clone, Copy)]
struct Share {
    rows: usize,
    /// Many tables are read side by side, and each has a piece that waits to be asked for.
    of: usize,
    deadline: Instant,
}

/// The same operator, with what comes to it and leaves it watched as it needs.
fn watched(node: Arc<dyn ExecutionPlan>, share: Share) -> Result<Arc<dyn ExecutionPlan>> {
    let Share { rows, of, deadline } = share;
    let (made_of_all, piece) = (MADE / of, PIECE / of);
    let pieces = |bytes: usize, row: usize| Watch::Pieces { rows, bytes, row, deadline };
    let children: Vec<_> = node.children().into_iter().cloned().collect();
    if children.is_empty() {
        return Ok(WatchedExec::over(&node, pieces(piece, usize::MAX)));
    }
    let each = |watch: &Watch| children.iter().map(|child| WatchedExec::over(child, watch.clone())).collect::<Vec<_>>();
    if node.is::<HashJoinExec>() || node.is::<NestedLoopJoinExec>() || node.is::<IntervalJoinExec>() {
        return over(node, each(&Watch::Joined));
    }
    if node.is::<CrossJoinExec>() {
        // Each row of one side is put beside a whole batch of the other.
        let cut: Vec<_> = children.iter().map(|child| WatchedExec::over(child, pieces(piece, usize::MAX))).collect();
        return over(node, cut.iter().map(|child| WatchedExec::over(child, Watch::Joined)).collect());
    }
    if node.is::<UnnestExec>() {
        let cut: Vec<_> = children.iter().map(|child| WatchedExec::over(child, pieces(piece, usize::MAX))).collect();
        return over(node, cut.iter().map(|child| WatchedExec::over(child, Watch::Unnested)).collect());
    }
    if let Some(account) = windows::account(&node)? {
        let account = Arc::new(account);
        let node = over(node, each(&Watch::Taken(Arc::clone(&account))))?;
        return Ok(WatchedExec::over(&node, Watch::Given(account)));
    }
    let sets = node.downcast_ref::<AggregateExec>().map_or(1, |groups| groups.group_expr().groups().len());
    let work = Work::of(&node)?;
    let made = work.texts.max(if sets > 1 { 2 * sets } else { usize::from(work.matches) });
    if made == 0 {
        return Ok(node);
    }
    let rows = if work.matches { rows.min(MATCHED) } else { rows };
    let (bytes, row) = ((made_of_all / made).clamp(piece / 64, piece), (made_of_all / made).clamp(piece / 64, ROW));
    over(node, each(&Watch::Pieces { rows, bytes, row, deadline }))
}

fn over(node: Arc<dyn ExecutionPlan>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// What an operator's expressions do.
#[derive(Default)]
struct Work {
    /// How many make texts or lists.
    texts: usize,
    /// Whether one looks for a pattern.
    matches: bool,
}

impl Work {
    fn of(node: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let mut work = Self::default();
        node.apply_expressions(&mut |whole| {
            whole.apply(|expr| {
                work.add(expr);
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(work)
    }

    fn add(&mut self, expr: &Arc<dyn PhysicalExpr>) {
        use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
        let makes = if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
            self.matches |= call.name().starts_with("regexp_");
            windows::is_long(call.return_type())
        } else if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            windows::is_long(cast.cast_type())
        } else if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            self.matches |= matches!(binary.op(), RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch);
            false
        } else {
            self.matches |= expr.is::<LikeExpr>();
            expr.is::<CaseExpr>()
        };
        self.texts += usize::from(makes);
    }
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
        // A join that finds no match asks again and again and lets nobody else have its thread: they get another.
        tokio::task::block_in_place(|| self.inner.evaluate(batch))
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
