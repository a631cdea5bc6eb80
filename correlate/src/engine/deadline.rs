//! Keeps a running query within reach of its timeout.
//!
//! A timeout fires only when the query lets go of its thread, and a join may compare rows for hours without: it has
//! no yield point of its own, and one that finds no match returns nothing either. So what multiplies rows yields
//! after some batches, and a join's filter, asked for each few thousand pairs,
//! fails once it is late. What expressions are
//! made of comes in pieces, between which time is looked at, and what they and the windows hold is bounded on the way.

mod account;
mod until;
mod watched;
mod weighed;
mod windows;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, CastExpr, LikeExpr, Literal, lit};
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use thiserror::Error;
use tokio::time::Instant;

use super::functions::LIKE_PATTERN_MOST;
use super::in_turn;
use crate::joins::interval::IntervalJoinExec;
use crate::joins::tally::IntervalTallyExec;
pub(super) use until::Until;
use watched::{Watch, WatchedExec};
pub(crate) use weighed::{widest, widest_of};

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
/// Bytes of text, times bytes that patterns compile to, between two looks: what is looked for in the worst text takes a quarter of a
/// second.
const SEARCHED: u64 = 1 << 36;
/// As many, where each has a pattern of its own.
const COMPILED: usize = 16;

/// Bytes of the constants of one operator, if they stand in each row of a piece.
const REPEATED: usize = 4 << 20;
/// Bytes of those constants: with more of them pieces would be of fewer than four rows.
const CONSTANTS: usize = REPEATED / 4;

/// Bytes of what a subquery in an expression gives.
const VALUE: usize = 4 << 10;
/// Bytes of all that they give, if they stand in each row of a piece.
const GIVEN: usize = 4 * REPEATED;

/// Rows with texts that a join puts beside each other at a time.
const BESIDE: usize = 128;
/// As many, where what is text are names.
const NAMED: usize = 512;
/// Columns of the tables that hold names, which are short. Who calls a long text so has a few times as much of it in hand.
const NAMES: [&str; 12] = [
    "team",
    "namespace",
    "pod",
    "pod_uid",
    "name",
    "container",
    "node",
    "workload",
    "kind",
    "level",
    "reason",
    "cause",
];

/// How many rows are in a piece of this plan, if it is asked for `rows`: what functions make of constants is a constant too, is no
/// longer as short as the text of the query, and may stand in each row, as may what subqueries give.
///
/// # Errors
/// When that is too much.
pub(super) fn rows_of_a_piece(plan: &Arc<dyn ExecutionPlan>, rows: usize) -> Result<usize> {
    let (mut written, mut given) = (0, 0);
    plan.apply(|node| {
        let of = Constants::of(node)?;
        (written, given) = (of.written.max(written), of.given.max(given));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if written > CONSTANTS {
        return exec_err!(
            "the constants of one SELECT come to {} KiB with what functions make of them, and may stand in each row: {} are allowed",
            written >> 10,
            CONSTANTS >> 10
        );
    }
    Ok(rows.min(REPEATED / written.max(1)).min((GIVEN / given.max(1)).max(1)))
}

/// Bytes that are the same for all rows of an operator, each time that they are named.
struct Constants {
    written: usize,
    /// By subqueries, at the most.
    given: usize,
}

impl Constants {
    fn of(node: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let (mut of, schema) = (Self { written: 0, given: 0 }, node.schema());
        node.apply_expressions(&mut |whole| {
            whole.apply(|expr| {
                if let Some(constant) = expr.downcast_ref::<Literal>() {
                    of.written += bytes_of(constant.value())?;
                } else if expr.is::<ScalarSubqueryExpr>() && windows::is_long(expr.return_field(&schema)?.data_type()) {
                    of.given += VALUE;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(of)
    }
}

/// The bytes of a constant that may be of any length.
fn bytes_of(constant: &ScalarValue) -> Result<usize> {
    match constant.try_as_str() {
        Some(text) => Ok(text.map_or(0, str::len)),
        None if windows::is_long(&constant.data_type()) => {
            Ok(constant.to_array()?.to_data().get_slice_memory_size()?)
        }
        None => Ok(0),
    }
}

/// The same plan, but it stops soon after `deadline`, and no expression is given more than `rows` at a time.
pub(super) fn keep(
    plan: Arc<dyn ExecutionPlan>,
    deadline: Instant,
    rows: usize,
    compiled: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut leaves = 0;
    plan.apply(|node| {
        leaves += usize::from(node.children().is_empty());
        Ok(TreeNodeRecursion::Continue)
    })?;
    let share = Share { rows, of: leaves.div_ceil(4).max(1), compiled, deadline };
    let bounded = plan.transform_up(|node| {
        let node = watched(in_turn::subqueries(node)?, share)?;
        let node: Arc<dyn ExecutionPlan> = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            match bound(join.filter(), *join.join_type(), share)? {
                None => node,
                filter => HashJoinExecBuilder::from(join).with_filter(filter).build_exec()?,
            }
        } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            match bound(join.filter(), *join.join_type(), share)? {
                None => node,
                filter => Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?),
            }
        } else if node.is::<CrossJoinExec>()
            || node.is::<UnnestExec>()
            || node.is::<IntervalJoinExec>()
            || node.is::<IntervalTallyExec>()
        {
            node
        } else if node.children().len() > 1 && !is_known(node.name()) {
            // A join that this file does not know how to bound; no setting of ours makes the planner choose one.
            return plan_err!("{} is not supported", node.name());
        } else {
            return Ok(Transformed::yes(node));
        };
        let watched = WatchedExec::over(&node, Watch::Made { rows: rows.min(beside(&node)), deadline });
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
    /// Bytes that the patterns of the query compile to.
    compiled: usize,
    deadline: Instant,
}

/// The same operator, with what comes to it and leaves it watched as it needs.
fn watched(node: Arc<dyn ExecutionPlan>, share: Share) -> Result<Arc<dyn ExecutionPlan>> {
    let Share { rows, of, deadline, .. } = share;
    let (made_of_all, piece) = (MADE / of, PIECE / of);
    let pieces = |bytes: usize, row: usize| Watch::Pieces { rows, bytes, row, deadline };
    let children: Vec<_> = node.children().into_iter().cloned().collect();
    if children.is_empty() {
        return Ok(WatchedExec::over(&WatchedExec::over(&node, Watch::Read), pieces(piece, usize::MAX)));
    }
    let each = |watch: &Watch| children.iter().map(|child| WatchedExec::over(child, watch.clone())).collect::<Vec<_>>();
    if node.is::<ScalarSubqueryExec>() {
        let (input, of) = children.split_at(1);
        let of = of.iter().map(|child| WatchedExec::over(child, Watch::Value));
        let children = input.iter().cloned().chain(of).collect();
        return over(node, children);
    }
    let cut = |watch: &Watch| {
        let cut = Watch::Pieces { rows: rows.min(beside(&node)), bytes: piece, row: usize::MAX, deadline };
        let cut = children.iter().map(|child| WatchedExec::over(child, cut.clone()));
        cut.map(|child| WatchedExec::over(&child, watch.clone())).collect::<Vec<_>>()
    };
    if node.is::<HashJoinExec>() || node.is::<IntervalJoinExec>() || node.is::<IntervalTallyExec>() {
        return over(node, each(&Watch::Joined));
    }
    if node.is::<CrossJoinExec>() || node.is::<NestedLoopJoinExec>() {
        // Each row of one side is put beside a whole batch of the other.
        let cut = cut(&Watch::Joined);
        return over(node, cut);
    }
    if node.is::<UnnestExec>() {
        let cut = cut(&Watch::Unnested);
        return over(node, cut);
    }
    if let Some(account) = windows::account(&node)? {
        let account = Arc::new(account);
        let node = over(node, each(&Watch::Taken(Arc::clone(&account))))?;
        return Ok(WatchedExec::over(&node, Watch::Given(account)));
    }
    let sets = node.downcast_ref::<AggregateExec>().map_or(1, |groups| groups.group_expr().groups().len());
    let work = Work::of(&node)?;
    let made = work.texts.max(if sets > 1 { 2 * sets } else { usize::from(work.patterns > 0) });
    if made == 0 {
        return Ok(node);
    }
    let (rows, searched) = (work.rows(rows), work.searched(share.compiled));
    let most = |most| (made_of_all / made).clamp(piece / 64, most);
    // A single row is looked through whole, however much is looked for in it.
    let (bytes, row) = (most(piece).min(searched), most(ROW));
    over(node, each(&Watch::Pieces { rows, bytes, row, deadline }))
}

/// How many rows a join may put beside each other at a time: where they have texts, each of them may be long and gets a copy.
fn beside(node: &Arc<dyn ExecutionPlan>) -> usize {
    let inputs = node.children();
    let joins = inputs.len() > 1 && !node.is::<IntervalJoinExec>();
    let schemas: Vec<_> = inputs.into_iter().map(|of| of.schema()).collect();
    let mut texts =
        schemas.iter().flat_map(|s| s.fields().iter()).filter(|f| windows::is_long(f.data_type())).peekable();
    if !joins || texts.peek().is_none() {
        return usize::MAX;
    }
    let named = node.is::<HashJoinExec>() && texts.all(|f| NAMES.contains(&f.name().as_str()));
    if named { NAMED } else { BESIDE }
}

fn over(node: Arc<dyn ExecutionPlan>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// What an operator's expressions do.
#[derive(Default)]
struct Work {
    /// How many make texts or lists.
    texts: usize,
    /// How many look for a pattern.
    patterns: usize,
    /// Whether a pattern is made of rows, so that each row has one to compile.
    compiles: bool,
}

impl Work {
    fn of(node: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let mut work = Self::default();
        node.apply_expressions(&mut |whole| {
            work.add_all(whole)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(work)
    }

    fn add_all(&mut self, whole: &Arc<dyn PhysicalExpr>) -> Result<()> {
        whole.apply(|expr| {
            self.add(expr);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }

    /// How many rows are given to all of them between two looks at the clock, `most` if none looks for a pattern.
    fn rows(&self, most: usize) -> usize {
        let of_patterns = if self.compiles { COMPILED } else { MATCHED };
        let each = (4 * of_patterns).checked_div(self.patterns);
        each.map_or(most, |each| each.clamp(16.min(of_patterns), of_patterns).min(most))
    }

    /// How many bytes of text may be looked through, if all of them compile to so many.
    fn searched(&self, compiled: usize) -> usize {
        let compiled = compiled + if self.compiles { 1024 * LIKE_PATTERN_MOST } else { 0 };
        if self.patterns == 0 {
            usize::MAX
        } else {
            usize::try_from(SEARCHED / compiled.max(1) as u64).unwrap_or(usize::MAX)
        }
    }

    fn add(&mut self, expr: &Arc<dyn PhysicalExpr>) {
        use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
        let makes = if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
            self.patterns += usize::from(call.name().starts_with("regexp_"));
            windows::is_long(call.return_type())
        } else if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            windows::is_long(cast.cast_type())
        } else if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            let matches = matches!(binary.op(), RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch);
            self.patterns += usize::from(matches);
            false
        } else if let Some(like) = expr.downcast_ref::<LikeExpr>() {
            self.patterns += 1;
            self.compiles |= !like.pattern().is::<Literal>();
            false
        } else {
            expr.is::<CaseExpr>()
        };
        self.texts += usize::from(makes);
    }
}

/// Operators of several inputs that give back no more rows than they read.
fn is_known(name: &str) -> bool {
    matches!(name, "UnionExec" | "InterleaveExec" | "ScalarSubqueryExec" | "AsofJoinExec")
}

/// The filter of a join, which ends it; where it has none one that lets all pass, if it may find pairs for hours of which it gives
/// back nothing.
fn bound(filter: Option<&JoinFilter>, kind: JoinType, share: Share) -> Result<Option<JoinFilter>> {
    let Share { compiled, deadline, .. } = share;
    let timely = |inner: Arc<dyn PhysicalExpr>| -> Result<Arc<dyn PhysicalExpr>> {
        let mut work = Work::default();
        work.add_all(&inner)?;
        Ok(Arc::new(Timely { inner, rows: work.rows(usize::MAX), bytes: work.searched(compiled), deadline }))
    };
    if let Some(filter) = filter {
        let filter_by = timely(Arc::clone(filter.expression()))?;
        let columns = filter.column_indices().to_vec();
        return Ok(Some(JoinFilter::new(filter_by, columns, Arc::clone(filter.schema()))));
    }
    let gives_pairs = matches!(kind, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
    if gives_pairs {
        return Ok(None);
    }
    Ok(Some(JoinFilter::new(timely(lit(true))?, Vec::new(), Arc::new(Schema::empty()))))
}

/// An expression that fails when it is asked after the deadline.
#[derive(Debug, Clone, Eq)]
struct Timely {
    inner: Arc<dyn PhysicalExpr>,
    /// So many rows and bytes at a time.
    rows: usize,
    bytes: usize,
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

impl Timely {
    fn in_time(&self, rows: &RecordBatch) -> Result<ColumnarValue> {
        if Instant::now() >= self.deadline {
            return Err(DataFusionError::External(Box::new(Late)));
        }
        self.inner.evaluate(rows)
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
        // A join that finds no match asks again and again and lets nobody else have its thread: they get another.
        tokio::task::block_in_place(|| {
            let fit = if self.bytes == usize::MAX { usize::MAX } else { self.bytes / weighed::widest(batch).max(1) };
            let rows = self.rows.min(fit.max(1));
            if batch.num_rows() <= rows {
                return self.in_time(batch);
            }
            let mut made = Vec::new();
            for from in (0..batch.num_rows()).step_by(rows) {
                let some = batch.slice(from, rows.min(batch.num_rows() - from));
                made.push(self.in_time(&some)?.into_array(some.num_rows())?);
            }
            let made: Vec<&dyn Array> = made.iter().map(AsRef::as_ref).collect();
            Ok(ColumnarValue::Array(concat(&made)?))
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(inner) if children.is_empty() => Ok(Arc::new(Self { inner, ..*self })),
            _ => internal_err!("one child"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
