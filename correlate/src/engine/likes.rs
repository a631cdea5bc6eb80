//! Patterns of `LIKE` that are made of rows: each is compiled, and how long they are is not known before. And `RLIKE` and `REGEXP`, which
//! are `~`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, VisitorMut};

use super::functions::LIKE_PATTERN;
use super::gate::written;

/// Puts the function that bounds it around each pattern that is not written out.
pub(super) struct Likes;

impl VisitorMut for Likes {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } = expr
            && written(pattern).is_none()
        {
            **pattern = bounded(std::mem::replace(pattern.as_mut(), null()));
        }
        if let Expr::RLike { negated, expr: text, pattern, .. } = expr {
            let op = if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch };
            let (left, right) =
                (std::mem::replace(text, Box::new(null())), std::mem::replace(pattern, Box::new(null())));
            *expr = Expr::Nested(Box::new(Expr::BinaryOp { left, op, right }));
        }
        ControlFlow::Continue(())
    }
}

/// The operator that nobody can write, and a NULL to its right.
fn bounded(pattern: Expr) -> Expr {
    let (op, right) = (BinaryOperator::Custom(LIKE_PATTERN.to_owned()), Box::new(null()));
    Expr::BinaryOp { left: Box::new(pattern), op, right }
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}
