//! What the functions of a window operator hold.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::account::{Account, Holds};
use super::{Constants, VALUE, Work};

/// The account of a window operator, `None` for any other.
///
/// # Errors
/// When its constants are too long; DataFusion's, when it does not know what a function answers.
pub(super) fn account(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Account>> {
    let (functions, behind) = if let Some(windows) = node.downcast_ref::<WindowAggExec>() {
        (windows.window_expr(), None)
    } else if let Some(windows) = node.downcast_ref::<BoundedWindowAggExec>() {
        (windows.window_expr(), windows.window_expr().iter().map(behind).try_fold(0, |most, of| Some(of?.max(most))))
    } else {
        return Ok(None);
    };
    let (mut texts, mut made) = (0, 0);
    for function in functions {
        texts += usize::from(is_long(function.field()?.data_type()));
        let mut work = Work::default();
        let given = function.all_expressions();
        for expr in given.args.iter().chain(&given.partition_by_exprs).chain(&given.order_by_exprs) {
            work.add_all(expr)?;
        }
        made = work.texts.max(made);
    }
    let of = Constants::of(node)?;
    if of.written > VALUE {
        return exec_err!(
            "the constants that functions with OVER are given and divided by come to {} KiB, and are looked at anew for each row: {} are allowed",
            of.written >> 10,
            VALUE >> 10
        );
    }
    let constants = of.written + of.given;
    Ok(Some(Account::new(Holds { numbers: functions.len(), texts, constants, made, behind })))
}

/// How many rows before the one that is answered are held for it; `None` when nobody can say.
fn behind(function: &Arc<dyn WindowExpr>) -> Option<usize> {
    let frame = function.get_window_frame();
    match (&frame.start_bound, frame.units) {
        // What was given to a function that only gets more is let go of.
        (WindowFrameBound::Preceding(bound), _) if bound.is_null() => Some(0),
        (WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))), WindowFrameUnits::Rows) => {
            usize::try_from(*rows).ok()
        }
        (WindowFrameBound::CurrentRow | WindowFrameBound::Following(_), WindowFrameUnits::Rows) => Some(0),
        _ => None,
    }
}

/// Whether a value of this type may be of any length.
pub(super) fn is_long(of: &DataType) -> bool {
    !of.is_primitive() && !matches!(of, DataType::Boolean | DataType::Null)
}
