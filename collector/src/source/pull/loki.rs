//! Loki's `query_range`, page by page.
//!
//! A page that is full ends within some timestamp, of which there may be more: the next begins with that one again, and the
//! buffers know which of its lines they have. The page after one on which all lines have the same timestamp could not get
//! beyond it; that is counted, said, and passed.

use reqwest::header::HeaderName;
use whyd_signals::{Pulled, Range, Timestamp};

use super::endpoint::body;
use super::{Door, Endpoint, LARGEST, PullError};
use crate::wire::loki::page;

/// Lines of a page; Loki gives no more unless told otherwise.
pub(super) const LIMIT: usize = 5000;
/// Without it, structured metadata would stand among the labels.
const CATEGORIZE: (HeaderName, &str) = (HeaderName::from_static("x-loki-response-encoding-flags"), "categorize-labels");

/// One page; gives up to when it reaches. One that does not get beyond its first timestamp is passed, unless a larger one
/// may be asked for.
pub(super) async fn ask(
    endpoint: &Endpoint,
    query: &str,
    (limit, may_grow): (usize, bool),
    range: Range,
    door: &Door,
) -> Result<Timestamp, PullError> {
    let mut url = endpoint.url("loki/api/v1/query_range")?;
    url.query_pairs_mut()
        .append_pair("query", query)
        .append_pair("start", &range.from.nanos().to_string())
        .append_pair("end", &range.to.nanos().to_string())
        .append_pair("limit", &limit.to_string())
        .append_pair("direction", "forward");
    door.asks();
    let response = endpoint.send(endpoint.get(url).header(CATEGORIZE.0, CATEGORIZE.1)).await?;
    let answer = body(response, LARGEST).await?;
    let page = page(&answer).map_err(|e| PullError::Failed(e.to_string()))?;
    let full = page.lines >= limit as u64;
    let upto = match page.newest.filter(|_| full) {
        None => range.to,
        Some(newest) if newest > range.from => newest,
        // Too little was asked for, not too much written.
        Some(_) if may_grow => return Err(PullError::Crowded),
        Some(newest) => {
            let (source, at) = (door.of.to_string(), newest);
            tracing::warn!(source, %at, limit, "more lines of one timestamp than a page holds: some may be missing");
            door.shared.statuses.crowded(&door.of);
            Timestamp(newest.nanos().saturating_add(1))
        }
    };
    // Of an answer without lines only that it came is worth a record.
    let lines = if page.lines == 0 { &[] } else { answer.as_ref() };
    door.deliver(Pulled::LokiQuery, Range::new(range.from, upto), true, lines).await?;
    Ok(upto)
}
