//! Memory for what grows by a little at a time.

use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;

/// Bytes that are reserved at once.
const STEP: usize = 64 << 10;

/// Memory taken from a reservation in steps: all tasks of a query share one, and each asking waits for the others'.
pub(crate) struct Room<'a> {
    reservation: &'a MemoryReservation,
    left: usize,
}

impl<'a> Room<'a> {
    pub(crate) fn of(reservation: &'a MemoryReservation) -> Self {
        Self { reservation, left: 0 }
    }

    /// So many bytes more.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.left {
            let step = bytes.max(STEP);
            self.reservation.try_grow(step)?;
            self.left += step;
        }
        self.left -= bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

    use super::*;

    #[test]
    fn what_is_taken_is_reserved_and_no_step_is_without_end() -> Result<()> {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(10 * STEP));
        let reservation = MemoryConsumer::new("test").register(&pool);
        let mut room = Room::of(&reservation);
        let mut taken = 0;
        for bytes in [1, STEP, 3, 2 * STEP, 7, 0] {
            room.take(bytes)?;
            taken += bytes;
            assert!(reservation.size() >= taken);
            assert!(reservation.size() <= taken + 3 * STEP);
        }
        assert!(room.take(10 * STEP).is_err());
        Ok(())
    }
}
