//! Logical rules: which joins are interval joins, and which filters reach below an as-of join.
//!
//! Interval joins are recognised last: to all rules before it is a join with a filter, so that they have moved filters into the
//! scans and left only the columns that are needed.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, NullEquality};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Extension, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use whyd_signals::schema::tables::ts_type;

use super::node::{Compared, Kind, TimeJoin, is_of};
use crate::tables::SnapshotTable;

/// Recognises an interval join: equal keys, and a time of samples or log lines between two times of the other side.
#[derive(Debug)]
pub(crate) struct IntervalJoins;

impl OptimizerRule for IntervalJoins {
    fn name(&self) -> &'static str {
        "interval_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Join(join) => match interval(&join)? {
                Some(plan) => Ok(Transformed::yes(plan)),
                None => Ok(Transformed::no(LogicalPlan::Join(join))),
            },
            plan => Ok(Transformed::no(plan)),
        }
    }
}

fn interval(join: &Join) -> Result<Option<LogicalPlan>> {
    let Some(filter) = join.filter.as_ref().filter(|_| !join.on.is_empty() && !join.null_aware) else {
        return Ok(None);
    };
    if join.null_equality != NullEquality::NullEqualsNothing {
        return Ok(None);
    }
    let pairs = |swapped: bool| {
        join.on.iter().map(move |(l, r)| if swapped { (r.clone(), l.clone()) } else { (l.clone(), r.clone()) })
    };
    let made = match (join.join_type, rows_by_time(&join.left), rows_by_time(&join.right)) {
        (JoinType::Inner, None, Some(by)) => (false, by, Kind::Interval { outer: false }),
        (JoinType::Left, None, Some(by)) => (false, by, Kind::Interval { outer: true }),
        (JoinType::Inner, Some(by), None) => (true, by, Kind::Interval { outer: false }),
        (JoinType::Right, Some(by), None) => (true, by, Kind::Interval { outer: true }),
        _ => return Ok(None),
    };
    let (swapped, by, kind) = made;
    let (left, right) = if swapped { (&join.right, &join.left) } else { (&join.left, &join.right) };
    let is_key = |e: &Expr| matches!(e, Expr::Column(c) if by.keys.contains(&c.name.as_str()));
    // A series has one number: where two are to be equal to it, one of them is left to a plain join.
    let too_many = by.keys == ["series_id"] && join.on.len() > 1;
    if too_many || !pairs(swapped).all(|(l, r)| is_key(&r) && is_sure(&l)) {
        return Ok(None);
    }
    let Some(Bounds { lower, upper, rest }) = Bounds::of(filter, left.schema(), right.schema(), &by.time) else {
        return Ok(None);
    };
    let on = pairs(swapped).map(|(l, r)| binary_expr(l, Operator::Eq, r)).collect();
    let inputs = (left.as_ref().clone(), right.as_ref().clone());
    let node = TimeJoin::new(inputs, kind, on, vec![lower, upper], conjunction(rest))?;
    let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
    if !swapped {
        return Ok(Some(plan));
    }
    let columns = join.schema.columns().into_iter().map(Expr::Column);
    LogicalPlanBuilder::from(plan).project(columns)?.build().map(Some)
}

/// What a side of a join is when it is rows of samples or log lines.
struct ByTime {
    time: Column,
    /// The columns that are the same in all rows of one series or stream.
    keys: &'static [&'static str],
}

/// Whether this is a scan of samples or log lines, filtered or not, with its columns under their own names.
fn rows_by_time(plan: &LogicalPlan) -> Option<ByTime> {
    let keys = keys_of(plan)?;
    let schema = plan.schema();
    let (of, field) = schema.iter().find(|(_, field)| *field.data_type() == ts_type())?;
    (field.name() == "ts").then(|| ByTime { time: Column::new(of.cloned(), field.name()), keys })
}

fn keys_of(plan: &LogicalPlan) -> Option<&'static [&'static str]> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => keys_of(&alias.input),
        LogicalPlan::Filter(filter) => keys_of(&filter.input),
        LogicalPlan::Projection(projection) => {
            let plain = projection.expr.iter().all(|e| matches!(e, Expr::Column(_)));
            plain.then(|| keys_of(&projection.input))?
        }
        LogicalPlan::TableScan(scan) if scan.fetch.is_none() => {
            let provider = source_as_provider(&scan.source).ok()?;
            SnapshotTable::of(provider.as_ref())?.keys()
        }
        _ => None,
    }
}

/// A filter taken apart.
struct Bounds {
    lower: Expr,
    upper: Expr,
    rest: Vec<Expr>,
}

impl Bounds {
    /// `None` where the time has no bound on either side.
    fn of(filter: &Expr, left: &DFSchema, right: &DFSchema, time: &Column) -> Option<Self> {
        let (mut lower, mut upper, mut rest) = (None, None, Vec::new());
        let is_time = |e: &Expr| matches!(e, Expr::Column(c) if c == time);
        for part in split_conjunction_owned(unfolded(filter)) {
            let found = Compared::of(&part, left, right)
                .filter(|c| is_time(&c.right) && is_time_type(&c.left, left) && is_sure(&c.left))
                .map(|c| c.op);
            // Of `left op right`: where the left time is at most the right one, it is a lower bound of that.
            match found {
                Some(Operator::LtEq | Operator::Lt) if lower.is_none() => lower = Some(part),
                Some(Operator::GtEq | Operator::Gt) if upper.is_none() => upper = Some(part),
                _ => rest.push(part),
            }
        }
        Some(Self { lower: lower?, upper: upper?, rest })
    }
}

/// `BETWEEN` as two comparisons.
fn unfolded(filter: &Expr) -> Expr {
    let parts = split_conjunction_owned(filter.clone()).into_iter().flat_map(|part| match part {
        Expr::Between(between) if !between.negated => {
            let low = binary_expr(between.expr.as_ref().clone(), Operator::GtEq, *between.low);
            vec![low, binary_expr(*between.expr, Operator::LtEq, *between.high)]
        }
        part => vec![part],
    });
    conjunction(parts).unwrap_or_else(|| filter.clone())
}

/// Whether an expression has a value whatever the row: it is asked of left rows that have no pair, too.
fn is_sure(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) | Expr::Literal(..) => true,
        Expr::Alias(alias) => is_sure(&alias.expr),
        Expr::BinaryExpr(binary) => {
            matches!(binary.op, Operator::Plus | Operator::Minus) && is_sure(&binary.left) && is_sure(&binary.right)
        }
        Expr::ScalarFunction(function) => {
            ["date_bin", "date_trunc", "coalesce", "least", "greatest"].contains(&function.name())
                && function.args.iter().all(is_sure)
        }
        _ => false,
    }
}

fn is_time_type(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|of| of == ts_type())
}

/// Moves what a filter asks of the left side alone below an as-of join: each left row has one row in the answer, whatever
/// becomes of it. What it asks of the right side stays above, since it would choose another match below.
#[derive(Debug)]
pub(crate) struct LeftFilters;

impl OptimizerRule for LeftFilters {
    fn name(&self) -> &'static str {
        "left_filters_of_asof_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let LogicalPlan::Extension(extension) = filter.input.as_ref() else { return Ok(Transformed::no(plan)) };
        let Some(join) = extension.node.as_any().downcast_ref::<TimeJoin>().filter(|j| j.kind == Kind::Asof) else {
            return Ok(Transformed::no(plan));
        };
        let parts = split_conjunction_owned(filter.predicate.clone());
        let (below, above): (Vec<Expr>, Vec<Expr>) =
            parts.into_iter().partition(|e| is_of(e, join.left.schema()) && !e.is_volatile());
        let Some(below) = conjunction(below) else { return Ok(Transformed::no(plan)) };
        let left = LogicalPlan::Filter(Filter::try_new(below, Arc::new(join.left.clone()))?);
        let inputs = (left, join.right.clone());
        let node = TimeJoin::new(inputs, join.kind, join.on.clone(), join.times.clone(), None)?;
        let joined = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(Transformed::yes(match conjunction(above) {
            Some(above) => LogicalPlan::Filter(Filter::try_new(above, Arc::new(joined))?),
            None => joined,
        }))
    }
}
