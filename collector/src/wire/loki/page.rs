//! How far a page of a query reaches, without keeping any of it.

use whyd_signals::sink::{DecodeError, LogSink, Pair, Refusal};
use whyd_signals::{StreamId, Timestamp};

use super::decode_query;

/// What is on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Page {
    /// How many lines.
    pub lines: u64,
    /// The time of the newest.
    pub newest: Option<Timestamp>,
}

/// Looks through the answer to a query.
///
/// # Errors
/// Those of [`decode_query`].
pub fn page(body: &[u8]) -> Result<Page, DecodeError> {
    let mut page = Page::default();
    decode_query(body, &mut page)?;
    Ok(page)
}

impl LogSink for Page {
    fn stream(&mut self, _: &[Pair<'_>], _: &[Pair<'_>]) -> Result<StreamId, Refusal> {
        Ok(StreamId(0))
    }
    fn line(&mut self, _: StreamId, ts: Timestamp, _: &str) -> Result<(), Refusal> {
        self.lines += 1;
        self.newest = self.newest.max(Some(ts));
        Ok(())
    }
    fn refused(&mut self, _: u64, _: Refusal) {}
}
