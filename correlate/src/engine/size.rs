//! How large a plan may be before it is optimised: what bounds the text does not bound what the text stands for.
//!
//! Each `WITH` that names the one before it twice doubles the plan, and a long list of tables or of `WITH`s makes it
//! deep. The plan is still shared where the text is, so it can be measured without being unfolded.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::QueryError;

/// Operators in a plan, each counted as often as it is run.
const MAX_NODES: u64 = 1_000;
/// Operators above one another.
const MAX_DEPTH: u64 = 200;

/// Refuses a plan that is too large or too deep to be walked.
pub(super) fn admit(plan: &LogicalPlan) -> Result<(), QueryError> {
    let size = Measured::default().of(plan).map_err(|e| QueryError::Invalid(e.strip_backtrace()))?;
    if size.nodes > MAX_NODES {
        return Err(QueryError::Refused(format!("a query of more than {MAX_NODES} operators: use fewer tables")));
    }
    if size.depth > MAX_DEPTH {
        return Err(QueryError::Refused(format!("a query nested more than {MAX_DEPTH} deep")));
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: u64,
    depth: u64,
}

/// Sizes by address of the shared part.
#[derive(Default)]
struct Measured(HashMap<usize, Size>);

impl Measured {
    fn of(&mut self, plan: &LogicalPlan) -> Result<Size> {
        let mut parts: Vec<Arc<LogicalPlan>> = Vec::new();
        plan.apply_expressions(|expr| {
            expr.apply(|e| {
                match e {
                    Expr::ScalarSubquery(s) => parts.push(Arc::clone(&s.subquery)),
                    Expr::Exists(e) => parts.push(Arc::clone(&e.subquery.subquery)),
                    Expr::InSubquery(i) => parts.push(Arc::clone(&i.subquery.subquery)),
                    Expr::SetComparison(c) => parts.push(Arc::clone(&c.subquery.subquery)),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        let mut size = Size { nodes: 1, depth: 1 };
        let inputs = plan.inputs();
        for input in parts.iter().map(AsRef::as_ref).chain(inputs) {
            let part = self.shared(input)?;
            size.nodes = size.nodes.saturating_add(part.nodes);
            size.depth = size.depth.max(part.depth + 1);
        }
        Ok(size)
    }

    fn shared(&mut self, plan: &LogicalPlan) -> Result<Size> {
        let address = std::ptr::from_ref(plan) as usize;
        if let Some(size) = self.0.get(&address) {
            return Ok(*size);
        }
        let size = self.of(plan)?;
        self.0.insert(address, size);
        Ok(size)
    }
}
