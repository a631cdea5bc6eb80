//! Brackets around `->` and `->>` where what is read is another than what was meant.

use std::mem::{replace, take};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, VisitorMut};

/// `evidence -> 0 ['text']` looks into what is found, and not into the number; and what stands before `AT TIME ZONE` is planned by
/// itself.
pub(super) struct Arrows;

impl VisitorMut for Arrows {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::AtTimeZone { timestamp, .. } = expr
            && matches!(
                timestamp.as_ref(),
                Expr::BinaryOp { op: BinaryOperator::Arrow | BinaryOperator::LongArrow, .. }
            )
        {
            **timestamp = Expr::Nested(Box::new(replace(timestamp.as_mut(), null())));
        }
        if let Expr::BinaryOp { op: BinaryOperator::Arrow | BinaryOperator::LongArrow, right, .. } = expr
            && let Expr::CompoundFieldAccess { root, access_chain } = right.as_mut()
            && is_constant(root)
        {
            let (key, access_chain) = (replace(root.as_mut(), null()), take(access_chain));
            **right = key;
            let found = Expr::Nested(Box::new(replace(expr, null())));
            *expr = Expr::CompoundFieldAccess { root: Box::new(found), access_chain };
        }
        ControlFlow::Continue(())
    }
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_constant(expr),
        _ => false,
    }
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}
