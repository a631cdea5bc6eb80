//! How tight `->>` binds: in the parser less than `=`, to everybody who writes it more than any other operator.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement as Sql, Value, VisitMut, VisitorMut};

/// Puts each `->>` of a statement between what stands next to it.
pub(super) fn bind(statement: &mut Statement) {
    match statement {
        Statement::Statement(sql) => {
            if let Sql::Query(query) = sql.as_mut() {
                let _: ControlFlow<()> = query.visit(&mut Arrows);
            }
        }
        Statement::Explain(explain) => bind(&mut explain.statement),
        _ => {}
    }
}

struct Arrows;

impl VisitorMut for Arrows {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // `labels ->> ('app' = 'x')`; what stands to its left is bound when that is come to.
        if let Some((left, mut right)) = apart(expr, |_, right| first(right).is_some()) {
            if let Some(key) = first(&mut right) {
                *key = arrow(left, key.clone());
            }
            *expr = right;
        }
        // `('x' = labels) ->> 'app'`
        if let Some((mut left, right)) = apart(expr, |left, _| last(left).is_some()) {
            if let Some(object) = last(&mut left) {
                *object = arrow(object.clone(), right);
            }
            *expr = left;
        }
        ControlFlow::Continue(())
    }
}

fn arrow(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::LongArrow, right: Box::new(right) }
}

/// Both sides, if it is one that binds wrongly.
fn apart(expr: &mut Expr, wrong: impl Fn(&mut Expr, &mut Expr) -> bool) -> Option<(Expr, Expr)> {
    let Expr::BinaryOp { left, op: BinaryOperator::LongArrow, right } = expr else { return None };
    if !wrong(left, right) {
        return None;
    }
    let taken = |side: &mut Expr| std::mem::replace(side, Expr::Value(Value::Null.into()));
    Some((taken(left), taken(right)))
}

/// What stands first in an expression of several parts.
fn first(expr: &mut Expr) -> Option<&mut Expr> {
    let mut at = Some(of_first(expr)?);
    loop {
        let here = at.take()?;
        if of_first(here).is_none() {
            return Some(here);
        }
        at = of_first(here);
    }
}

fn of_first(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        Expr::BinaryOp { left: inner, .. }
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::InList { expr: inner, .. }
        | Expr::InSubquery { expr: inner, .. }
        | Expr::Between { expr: inner, .. }
        | Expr::Like { expr: inner, .. }
        | Expr::ILike { expr: inner, .. }
        | Expr::SimilarTo { expr: inner, .. } => Some(inner.as_mut()),
        _ => None,
    }
}

/// What stands last in an operation.
fn last(expr: &mut Expr) -> Option<&mut Expr> {
    let mut at = Some(of_last(expr)?);
    loop {
        let here = at.take()?;
        if of_last(here).is_none() {
            return Some(here);
        }
        at = of_last(here);
    }
}

fn of_last(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        // It is the object of another.
        Expr::BinaryOp { op: BinaryOperator::LongArrow, .. } => None,
        Expr::BinaryOp { right, .. } => Some(right.as_mut()),
        _ => None,
    }
}
