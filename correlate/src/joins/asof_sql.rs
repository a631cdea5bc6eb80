//! `ASOF JOIN ... MATCH_CONDITION (...) ON ...` as the parser has it, planned to ours.
//!
//! DataFusion 55 parses it and does not plan it; 56 has its own, by the same contract, and then this file goes. A join in
//! brackets is a relation, and what a relation is planned to may be told: so each as-of join is put into brackets.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Extension, LogicalPlan, Operator};
use datafusion::sql::sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, Query, SetExpr, TableFactor, TableWithJoins, VisitorMut,
};

use super::node::{Compared, Kind, TimeJoin};

/// Puts each as-of join of a statement into brackets.
pub(crate) struct Brackets;

impl VisitorMut for Brackets {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        in_set(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn in_set(set: &mut SetExpr) {
    match set {
        SetExpr::Select(select) => select.from.iter_mut().for_each(in_from),
        SetExpr::SetOperation { left, right, .. } => {
            in_set(left);
            in_set(right);
        }
        // A query in brackets is visited by itself.
        _ => {}
    }
}

fn is_asof(join: &Join) -> bool {
    matches!(join.join_operator, JoinOperator::AsOf { .. })
}

fn in_factor(factor: &mut TableFactor) {
    if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
        in_factors(table_with_joins);
        if table_with_joins.joins.len() > 1 {
            in_from(table_with_joins);
        }
    }
}

fn in_factors(from: &mut TableWithJoins) {
    in_factor(&mut from.relation);
    from.joins.iter_mut().for_each(|join| in_factor(&mut join.relation));
}

fn in_from(from: &mut TableWithJoins) {
    in_factors(from);
    if !from.joins.iter().any(is_asof) {
        return;
    }
    for join in std::mem::take(&mut from.joins) {
        if is_asof(&join) {
            let left = TableWithJoins { relation: from.relation.clone(), joins: std::mem::take(&mut from.joins) };
            let relation = if left.joins.is_empty() { left.relation } else { nested(left) };
            from.relation = nested(TableWithJoins { relation, joins: vec![join] });
        } else {
            from.joins.push(join);
        }
    }
}

fn nested(joined: TableWithJoins) -> TableFactor {
    TableFactor::NestedJoin { table_with_joins: Box::new(joined), alias: None }
}

/// Plans an as-of join in brackets.
#[derive(Debug)]
pub(crate) struct AsofPlanner;

impl RelationPlanner for AsofPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::NestedJoin { table_with_joins, alias } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let TableWithJoins { relation, mut joins } = *table_with_joins;
        if joins.len() != 1 || !joins.iter().any(is_asof) {
            let table_with_joins = Box::new(TableWithJoins { relation, joins });
            return Ok(RelationPlanning::Original(Box::new(TableFactor::NestedJoin { table_with_joins, alias })));
        }
        let Some(Join { relation: right, join_operator: JoinOperator::AsOf { match_condition, constraint }, .. }) =
            joins.pop()
        else {
            return plan_err!("ASOF JOIN has no right side");
        };
        let (left, right) = (context.plan(relation)?, context.plan(right)?);
        let both = left.schema().join(right.schema())?;
        let compared = |expr| Compared::of(expr, left.schema(), right.schema());

        let time = context.sql_to_expr(match_condition, &both)?;
        match compared(&time) {
            Some(c) if matches!(c.op, Operator::GtEq | Operator::Gt | Operator::LtEq | Operator::Lt) => {}
            _ => {
                return plan_err!(
                    "MATCH_CONDITION ({time}): one comparison of a time of the left side with one of the right side is \
                     needed, by >=, >, <= or <"
                );
            }
        }
        let on = match constraint {
            JoinConstraint::On(expr) => split_conjunction_owned(context.sql_to_expr(expr, &both)?),
            JoinConstraint::None => Vec::new(),
            JoinConstraint::Using(_) | JoinConstraint::Natural => {
                return plan_err!("ASOF JOIN takes ON, neither USING nor NATURAL");
            }
        };
        if let Some(other) = on.iter().find(|e| !compared(e).is_some_and(|c| c.op == Operator::Eq)) {
            return plan_err!("ON of an ASOF JOIN takes left = right, joined by AND, not {other}: put it into WHERE");
        }
        let node = Arc::new(TimeJoin::new((left, right), Kind::Asof, on, vec![time], None)?);
        let plan = LogicalPlan::Extension(Extension { node });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}
