//! Whose turn it is while a join runs.

/// Lets others run, and a query that is over stop, every so many rows.
#[derive(Debug, Default)]
pub(crate) struct Turns(usize);

impl Turns {
    /// So much was done; now and then it is another's turn.
    pub(crate) async fn took(&mut self, rows: usize) {
        const ROWS: usize = 1 << 18;
        self.0 += rows;
        if self.0 >= ROWS {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}
