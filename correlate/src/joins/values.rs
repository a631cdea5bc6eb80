//! What an expression makes of rows that are held together: it is asked for some of them at a time, since a constant or what
//! stands for one may be in each of what it makes, and a query may be over its memory by then.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::concat;
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

/// Of rows that came as one batch.
pub(crate) fn values(expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(rows)?.into_array(rows.num_rows())
}

/// Of rows that were put together, reserved as it comes.
pub(crate) fn values_of_all(
    expr: &Arc<dyn PhysicalExpr>,
    rows: &RecordBatch,
    at_a_time: usize,
    reservation: &MemoryReservation,
) -> Result<ArrayRef> {
    if expr.is::<Column>() {
        return values(expr, rows);
    }
    let mut made = Vec::new();
    for some in slices(rows, at_a_time) {
        let of_some = values(expr, &some)?;
        // Once as it comes, and once all together.
        reservation.try_grow(2 * of_some.get_array_memory_size())?;
        made.push(of_some);
    }
    let made: Vec<&dyn Array> = made.iter().map(AsRef::as_ref).collect();
    Ok(concat(&made)?)
}

/// Which of some rows a filter lets pass.
pub(crate) fn passing(filter: &Arc<dyn PhysicalExpr>, rows: &RecordBatch, at_a_time: usize) -> Result<BooleanArray> {
    let mut made = Vec::with_capacity(rows.num_rows());
    for some in slices(rows, at_a_time) {
        let by = values(filter, &some)?;
        let by = by.as_any().downcast_ref::<BooleanArray>();
        let by = by.ok_or_else(|| internal_datafusion_err!("a filter that is no truth"))?;
        made.extend(by.iter().map(|passes| passes == Some(true)));
    }
    Ok(made.into())
}

/// So many rows at a time; once none where there are none.
pub(crate) fn slices(rows: &RecordBatch, at_a_time: usize) -> impl Iterator<Item = RecordBatch> {
    let (all, each) = (rows.num_rows(), at_a_time.max(1));
    (0..all.div_ceil(each).max(1)).map(move |n| rows.slice(n * each, each.min(all - n * each)))
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{BinaryExpr, lit};

    use super::*;

    #[test]
    fn what_is_made_in_slices_is_what_is_made_at_once() -> Result<()> {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 20));
        let n: Arc<dyn PhysicalExpr> = Arc::new(Column::new("n", 0));
        let more =
            |by: i64| -> Arc<dyn PhysicalExpr> { Arc::new(BinaryExpr::new(Arc::clone(&n), Operator::Plus, lit(by))) };
        let large: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(more(1), Operator::Gt, lit(7_i64)));
        for all in [0, 1, 7, 8, 9, 100] {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..all));
            let rows = RecordBatch::try_from_iter([("n", column)])?;
            for at_a_time in [1, 4, 8, 1000] {
                let reservation = MemoryConsumer::new("test").register(&pool);
                assert_eq!(&values_of_all(&more(3), &rows, at_a_time, &reservation)?, &values(&more(3), &rows)?);
                let passing = passing(&large, &rows, at_a_time)?;
                assert_eq!((passing.len(), passing.true_count()), (all as usize, (all - 7).max(0) as usize));
            }
        }
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..200_000));
        let rows = RecordBatch::try_from_iter([("n", column)])?;
        let reservation = MemoryConsumer::new("test").register(&pool);
        assert!(values_of_all(&more(3), &rows, 4096, &reservation).is_err());
        Ok(())
    }
}
