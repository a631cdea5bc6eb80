//! The columns of an expression, exchanged.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

/// The same expression with something else for each column.
pub(crate) fn replaced(
    expr: &Arc<dyn PhysicalExpr>,
    mut by: impl FnMut(&Column) -> Result<Arc<dyn PhysicalExpr>>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let made = Arc::clone(expr).transform_up(|e| match e.downcast_ref::<Column>() {
        Some(column) => by(column).map(Transformed::yes),
        None => Ok(Transformed::no(e)),
    })?;
    Ok(made.data)
}
