//! `CUBE`, `ROLLUP` and `GROUPING SETS`: how often each row is grouped. No pool counts a piece of rows that stands there for each set.

use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, GroupByWithModifier};

/// Sets of one `GROUP BY`.
pub(super) const MAX_SETS: u64 = 16;

/// Whether there are more.
pub(super) fn over(group_by: &GroupByExpr) -> bool {
    let (sets, modifiers): (u64, &[GroupByWithModifier]) = match group_by {
        GroupByExpr::All(modifiers) => (1, modifiers),
        GroupByExpr::Expressions(exprs, modifiers) => (product(exprs), modifiers),
    };
    // What they stand for is not looked into; the planner knows none of them.
    sets > MAX_SETS || !modifiers.is_empty()
}

fn product(exprs: &[Expr]) -> u64 {
    exprs.iter().map(sets).fold(1, u64::saturating_mul)
}

fn sets(expr: &Expr) -> u64 {
    match expr {
        Expr::Cube(parts) => {
            let all = u32::try_from(parts.len()).ok().and_then(|n| 1_u64.checked_shl(n));
            all.unwrap_or(u64::MAX).saturating_mul(parts.iter().map(|part| product(part)).fold(1, u64::saturating_mul))
        }
        Expr::Rollup(parts) => {
            (parts.len() as u64 + 1).saturating_mul(parts.iter().map(|part| product(part)).fold(1, u64::saturating_mul))
        }
        Expr::GroupingSets(parts) => parts.iter().map(|part| product(part)).fold(0, u64::saturating_add).max(1),
        Expr::Nested(inner) => sets(inner),
        Expr::Tuple(parts) => product(parts),
        _ => 1,
    }
}
