//! The memory of an unfinished answer.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayData};
use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

/// Counts the buffers of batches, each once: batches are often slices of one another.
pub(super) struct Held {
    reservation: MemoryReservation,
    seen: HashSet<usize>,
}

impl Held {
    pub(super) fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        Self { reservation: MemoryConsumer::new("answer").register(pool), seen: HashSet::new() }
    }

    /// Takes the memory of `batch`.
    ///
    /// # Errors
    /// The pool's, when there is no more.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let fresh = batch.columns().iter().map(|c| self.fresh(&c.to_data())).sum();
        self.reservation.try_grow(fresh)
    }

    fn fresh(&mut self, data: &ArrayData) -> usize {
        let nulls = data.nulls().map(|n| n.buffer());
        let mut bytes = 0;
        for buffer in data.buffers().iter().chain(nulls) {
            if self.seen.insert(buffer.data_ptr().as_ptr() as usize) {
                bytes += buffer.capacity();
            }
        }
        bytes + data.child_data().iter().map(|child| self.fresh(child)).sum::<usize>()
    }
}
