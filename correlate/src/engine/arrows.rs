//! How tight `->>` and `->` bind: in the parser less than `=`, to everybody who writes them more than any other operator.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement as Sql, Value, VisitMut, VisitorMut};

/// Puts each of them in a statement between what stands next to it.
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
        if is_arrow(expr) {
            *expr = bound(taken(expr));
        }
        ControlFlow::Continue(())
    }
}

/// One after another, as they were written, each is put between the last of what is left of it and the first of what is right of it:
/// `('x' = evidence) -> 0 ->> ('text' = 'y')` is `'x' = (evidence -> 0 ->> 'text') = 'y'`.
fn bound(chain: Expr) -> Expr {
    let (mut whole, mut rest) = (chain, Vec::new());
    while is_arrow(&whole)
        && let Expr::BinaryOp { left, op, right } = whole
    {
        rest.push((op, *right));
        whole = *left;
    }
    while let Some((op, mut right)) = rest.pop() {
        let is_operand = is_compared(&whole) && !is_compared(&right);
        let Some(object) = outermost(&mut whole, of_last) else { break };
        let left = Box::new(taken(object));
        if of_first(&mut right).is_none() {
            *object = Expr::BinaryOp { left, op, right: Box::new(right) };
            continue;
        }
        let Some(key) = outermost(&mut right, of_first) else { break };
        let arrow = Expr::BinaryOp { left, op, right: Box::new(taken(key)) };
        if is_operand {
            *key = arrow;
            *object = right;
            continue;
        }
        *object = arrow;
        *key = whole;
        whole = right;
    }
    whole
}

fn is_arrow(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::Arrow | BinaryOperator::LongArrow, .. })
}

/// Whether it is a comparison, or another question, and not what such is asked of.
fn is_compared(expr: &Expr) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus, StringConcat};
    match expr {
        Expr::BinaryOp { op, .. } => !matches!(op, Divide | Minus | Modulo | Multiply | Plus | StringConcat),
        Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::InList { .. } | Expr::InSubquery { .. } => true,
        Expr::Between { .. } | Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } | Expr::RLike { .. } => {
            true
        }
        _ => false,
    }
}

fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}

/// What stands first, or last, in an expression, itself where it has no parts.
fn outermost(expr: &mut Expr, next: impl Fn(&mut Expr) -> Option<&mut Expr>) -> Option<&mut Expr> {
    let mut at = Some(expr);
    loop {
        let here = at.take()?;
        if next(here).is_none() {
            return Some(here);
        }
        at = next(here);
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
        | Expr::SimilarTo { expr: inner, .. }
        | Expr::RLike { expr: inner, .. } => Some(inner.as_mut()),
        _ => None,
    }
}

fn of_last(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        // It is the object of another.
        Expr::BinaryOp { op: BinaryOperator::Arrow | BinaryOperator::LongArrow, .. } => None,
        Expr::BinaryOp { right, .. } => Some(right.as_mut()),
        _ => None,
    }
}
