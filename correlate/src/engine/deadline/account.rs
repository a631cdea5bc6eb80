//! What a window operator holds: all its input, or all that it has not answered yet, and no pool hears of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::weighed::{bytes, widest};

/// Bytes of a number that a function answers, and of what it remembers to answer it.
const NUMBER: usize = 16;

/// What an operator holds beside its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds {
    /// How many functions answer a number, and how many a text of a row.
    pub(super) numbers: usize,
    pub(super) texts: usize,
    /// Bytes of the constants in what the functions are given and divided by: they may stand in each row.
    pub(super) constants: usize,
    /// How often the texts of all rows are made anew for what one function is given.
    pub(super) made: usize,
    /// Rows that are held after they were answered; `None` when all are until the end.
    pub(super) behind: Option<usize>,
}

/// One operator's.
#[derive(Debug)]
pub(super) struct Account {
    holds: Holds,
    /// Opened by the output, taken by the input right after.
    opened: Mutex<HashMap<usize, Arc<Part>>>,
}

impl Account {
    pub(super) fn new(holds: Holds) -> Self {
        Self { holds, opened: Mutex::default() }
    }

    pub(super) fn open(&self, partition: usize, pool: &Arc<dyn MemoryPool>) -> Arc<Part> {
        let reservation = MemoryConsumer::new("window").register(pool);
        let held = Held { reservation, charged: 0, came: 0, went: 0 };
        let part = Arc::new(Part(Mutex::new(held)));
        locked(&self.opened).insert(partition, Arc::clone(&part));
        part
    }

    pub(super) fn take(&self, partition: usize) -> Option<Arc<Part>> {
        locked(&self.opened).remove(&partition)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One partition's; what it holds is given back when input and output have ended.
#[derive(Debug)]
pub(super) struct Part(Mutex<Held>);

#[derive(Debug)]
struct Held {
    reservation: MemoryReservation,
    charged: usize,
    came: usize,
    went: usize,
}

impl Part {
    /// Counts rows, and what will be answered to each.
    ///
    /// # Errors
    /// The pool's, when there is no more.
    pub(super) fn came(&self, account: &Account, batch: &RecordBatch) -> Result<()> {
        let mut held = locked(&self.0);
        let Holds { numbers, texts, constants, made, .. } = account.holds;
        // The text that is answered to a row is that of any other.
        let answered = if texts > 0 { texts * (widest(batch) + constants) } else { 0 };
        let each = NUMBER * numbers + answered + constants;
        let more = bytes(batch).saturating_mul(1 + made).saturating_add(batch.num_rows().saturating_mul(each));
        held.reservation.try_grow(more)?;
        held.charged += more;
        held.came += batch.num_rows();
        Ok(())
    }

    /// Counts rows that were answered.
    ///
    /// # Errors
    /// None; it only gives back.
    pub(super) fn went(&self, account: &Account, rows: usize) -> Result<()> {
        let mut held = locked(&self.0);
        held.went += rows;
        let Some(behind) = account.holds.behind else { return Ok(()) };
        let still = (held.came - held.went.min(held.came)).saturating_add(behind).min(held.came);
        let size = (held.charged as f64 * still as f64 / held.came.max(1) as f64) as usize;
        if size < held.reservation.size() {
            let less = held.reservation.size() - size;
            held.reservation.shrink(less);
        }
        Ok(())
    }
}
