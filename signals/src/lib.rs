//! The vocabulary every other crate speaks: ids, time, access, messages, Kubernetes objects and table rows.
//!
//! Nothing in here does IO, reads a clock or holds state. A name used by two crates is defined here once.

pub mod access;
pub mod alert;
pub mod causes;
pub mod ids;
pub mod message;
pub mod names;
pub mod objects;
pub mod ranges;
pub mod request;
pub mod sample;
pub mod schema;
pub mod sink;
pub mod templates;
pub mod time;
pub mod token;

pub use access::Access;
pub use ids::{Lsn, SeriesId, StreamId, Team, TemplateId};
pub use message::{Compression, Envelope, Hearing, Media, Pulled, Resource, Source, Verb};
pub use names::Asked;
pub use ranges::{Range, Ranges};
pub use sample::{Sample, is_stale};
pub use time::{Clock, Timestamp};
pub use token::Token;
