//! Loki push: the JSON form, already inflated, and the protobuf form in a snappy block. And the answer to a query.
//!
//! Labels and structured metadata reach the sink sorted by name, so that the order in which a sender writes them
//! makes no second stream. Of the metadata only what tells streams apart is passed on, so that a trace id in each line
//! makes no look-up for each line.

mod json;
mod labels;
mod page;
mod proto;

pub use json::{decode_json, decode_query};
pub(crate) use labels::Cursor;
pub use labels::parse_labels;
pub use page::{Page, page};
pub use proto::{decode_message, decode_proto};

use whyd_signals::sink::{Pair, Refusal};
use whyd_signals::{StreamId, Timestamp};

/// The year 1971. The first line of a stream may be of any age, but none was written before; a count of seconds, milliseconds or
/// microseconds until today, read as nanoseconds, ends in January 1970.
const FROM: Timestamp = Timestamp(365 * 86_400 * 1_000_000_000);

/// What a sink said of a stream, kept while lines of the same labels and metadata follow.
type Resolved = Result<StreamId, Refusal>;

/// What is pushed has to come in nanoseconds.
fn in_nanoseconds(ts: Timestamp) -> Result<Timestamp, Refusal> {
    if ts < FROM { Err(Refusal::WrongUnit) } else { Ok(ts) }
}

fn sort(pairs: &mut [Pair<'_>]) {
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
}

#[cfg(test)]
mod tests;
