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

use whyd_signals::StreamId;
use whyd_signals::sink::{Pair, Refusal};

/// What a sink said of a stream, kept while lines of the same labels and metadata follow.
type Resolved = Result<StreamId, Refusal>;

fn sort(pairs: &mut [Pair<'_>]) {
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
}

#[cfg(test)]
mod tests;
