//! The span of `ts` that a filter leaves.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use whyd_signals::Timestamp;

use super::Range;

/// No bound.
pub(super) const ALL: Range = (Timestamp::MIN, Timestamp::MAX);

/// What all of these together leave.
pub(super) fn of_all(filters: &[Expr]) -> Range {
    filters.iter().filter_map(of).fold(ALL, both)
}

fn both(a: Range, b: Range) -> Range {
    (a.0.max(b.0), a.1.min(b.1))
}

/// What one filter leaves at most; `None` where it does not bound `ts`. It may leave more than the filter does.
pub(super) fn of(filter: &Expr) -> Option<Range> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => match (of(left), of(right)) {
            (Some(a), Some(b)) => Some(both(a, b)),
            (a, b) => a.or(b),
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if is_ts(left) {
                bound(*op, literal(right)?)
            } else if is_ts(right) {
                bound(op.swap()?, literal(left)?)
            } else {
                None
            }
        }
        Expr::Between(Between { expr, negated: false, low, high }) if is_ts(expr) => {
            Some((literal(low)?, literal(high)?))
        }
        _ => None,
    }
}

fn is_ts(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(c) if c.name == "ts")
}

/// A time as the analyzer leaves it: of the column's own type.
fn literal(expr: &Expr) -> Option<Timestamp> {
    match expr {
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(ns), _), _) => Some(Timestamp(*ns)),
        _ => None,
    }
}

fn bound(op: Operator, at: Timestamp) -> Option<Range> {
    match op {
        Operator::Eq => Some((at, at)),
        Operator::Lt | Operator::LtEq => Some((Timestamp::MIN, at)),
        Operator::Gt | Operator::GtEq => Some((at, Timestamp::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use datafusion::prelude::{col, lit};

    use super::*;

    fn at(ns: i64) -> Expr {
        lit(ScalarValue::TimestampNanosecond(Some(ns), Some("UTC".into())))
    }

    fn range(from: i64, to: i64) -> Option<Range> {
        Some((Timestamp(from), Timestamp(to)))
    }

    #[test]
    fn bounds_are_read_from_either_side() {
        assert_eq!(of(&col("ts").gt_eq(at(5))), range(5, i64::MAX));
        assert_eq!(of(&at(5).lt(col("ts"))), range(5, i64::MAX));
        assert_eq!(of(&at(5).gt_eq(col("ts"))), range(i64::MIN, 5));
        assert_eq!(of(&col("ts").eq(at(5))), range(5, 5));
        assert_eq!(of(&col("ts").between(at(3), at(5))), range(3, 5));
        assert_eq!(of(&col("ts").gt(at(1)).and(col("value").gt(lit(2.0)))), range(1, i64::MAX));
        assert_eq!(of_all(&[col("ts").gt(at(1)), col("ts").lt(at(9))]), (Timestamp(1), Timestamp(9)));
    }

    #[test]
    fn what_does_not_bound_is_left_to_the_filter() {
        assert_eq!(of(&col("ts").gt(at(1)).or(col("value").gt(lit(2.0)))), None);
        assert_eq!(of(&col("ts").not_between(at(3), at(5))), None);
        assert_eq!(of(&col("ts").not_eq(at(3))), None);
        assert_eq!(of(&col("value").gt(at(3))), None);
        assert_eq!(of(&col("ts").gt(lit("2026-11-22"))), None);
        assert_eq!(of_all(&[]), ALL);
    }
}
