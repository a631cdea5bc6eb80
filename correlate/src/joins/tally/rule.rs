//! Which aggregates are tallied: the plan that takes their place.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::internal_datafusion_err;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions};

use super::cells::Tallied;
use super::{Aggregate, Group, IntervalTallyExec, Plan};
use crate::joins::columns::replaced;
use crate::joins::interval::IntervalJoinExec;

/// Bytes of a constant text among what is grouped by.
const CONSTANT: usize = 256;

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
    } else if let Some(constant) = expr.downcast_ref::<Literal>() {
        // A longer one would be looked at whole for each row, with nobody else on the thread.
        constant.value().try_as_str().flatten().is_none_or(|text| text.len() <= CONSTANT)
    } else {
        expr.is::<Column>()
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
