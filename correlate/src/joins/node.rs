//! The joins by time as DataFusion's logical plan has them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, UserDefinedLogicalNodeCore};

/// Which join it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Every left row with at most one match: the nearest in time.
    Asof,
    /// Every pair of which the right time lies between two times of the left row.
    Interval {
        /// Whether left rows without a pair are kept.
        outer: bool,
    },
}

/// A join of rows with equal keys by their times.
///
/// Its columns are the left ones and then the right ones, which may be NULL where left rows are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TimeJoin {
    pub(crate) left: LogicalPlan,
    pub(crate) right: LogicalPlan,
    pub(crate) kind: Kind,
    /// `left = right`, each.
    pub(crate) on: Vec<Expr>,
    /// `left op right`: one of an as-of join, a lower and an upper one of an interval join.
    pub(crate) times: Vec<Expr>,
    /// What else has to hold of a pair.
    pub(crate) residual: Option<Expr>,
    schema: DFSchemaRef,
}

impl TimeJoin {
    /// # Errors
    /// Where two columns have the same name.
    pub(crate) fn new(
        (left, right): (LogicalPlan, LogicalPlan),
        kind: Kind,
        on: Vec<Expr>,
        times: Vec<Expr>,
        residual: Option<Expr>,
    ) -> Result<Self> {
        let schema = Arc::new(schema_of(left.schema(), right.schema(), kind)?);
        Ok(Self { left, right, kind, on, times, residual, schema })
    }

    /// Its columns.
    pub(crate) fn schema_of_join(&self) -> &DFSchemaRef {
        &self.schema
    }
}

fn schema_of(left: &DFSchema, right: &DFSchema, kind: Kind) -> Result<DFSchema> {
    let inner = kind == Kind::Interval { outer: false };
    let lefts = left.iter().map(|(of, field)| (of.cloned(), Arc::clone(field)));
    let rights = right.iter().map(|(of, field)| {
        let field = if inner { Arc::clone(field) } else { Arc::new(field.as_ref().clone().with_nullable(true)) };
        (of.cloned(), field)
    });
    DFSchema::new_with_metadata(lefts.chain(rights).collect(), left.metadata().clone())
}

/// A comparison of a left and a right expression, turned so that the left one is first.
pub(crate) struct Compared {
    pub(crate) left: Expr,
    pub(crate) op: Operator,
    pub(crate) right: Expr,
}

impl Compared {
    /// `None` where it is no comparison of one side with the other.
    pub(crate) fn of(expr: &Expr, left: &DFSchema, right: &DFSchema) -> Option<Self> {
        // An optimiser that turns an expression keeps its name.
        let mut expr = expr;
        while let Expr::Alias(alias) = expr {
            expr = &alias.expr;
        }
        let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = expr else { return None };
        if is_of(a, left) && is_of(b, right) {
            Some(Self { left: a.as_ref().clone(), op: *op, right: b.as_ref().clone() })
        } else if is_of(a, right) && is_of(b, left) {
            Some(Self { left: b.as_ref().clone(), op: op.swap()?, right: a.as_ref().clone() })
        } else {
            None
        }
    }
}

/// Whether an expression has columns, and all are of this schema.
pub(crate) fn is_of(expr: &Expr, schema: &DFSchema) -> bool {
    let columns = expr.column_refs();
    !columns.is_empty() && columns.iter().all(|c| schema.has_column(c))
}

impl PartialOrd for TimeJoin {
    /// Plans have no order.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for TimeJoin {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Asof => "AsofJoin",
            Kind::Interval { .. } => "IntervalJoin",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.on.iter().chain(&self.times).chain(&self.residual).cloned().collect()
    }

    // `prevent_predicate_push_down_columns` stays as it is: what it let through would be pushed to both sides.

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |all: &[Expr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "{}: on=[{}], time=[{}]", self.name(), text(&self.on), text(&self.times))?;
        match &self.residual {
            Some(residual) => write!(f, ", filter={residual}"),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([left, right]) = <[LogicalPlan; 2]>::try_from(inputs) else {
            return internal_err!("a join has two inputs");
        };
        let mut exprs = exprs.into_iter();
        let on = exprs.by_ref().take(self.on.len()).collect();
        let times = exprs.by_ref().take(self.times.len()).collect();
        Self::new((left, right), self.kind, on, times, exprs.next())
    }

    fn necessary_children_exprs(&self, output: &[usize]) -> Option<Vec<Vec<usize>>> {
        let lefts = self.left.schema().fields().len();
        let (left, right): (Vec<usize>, Vec<usize>) = output.iter().partition(|n| **n < lefts);
        Some(vec![left, right.into_iter().map(|n| n - lefts).collect()])
    }
}
