//! What the daemon knows, in memory: metric samples, log lines, the cluster's objects, and the ordered log on disk.
//!
//! One [`Writer`] takes everything in; readers hold a [`Snapshot`] and see it through a [`Scoped`].
//!
//! - Nothing is visible before it is published, and nothing published changes under a reader.
//! - A reader never sees a namespace of another team: [`Scoped`] is the only way in.
//! - Every place that holds data has a bound, and what goes over it is dropped or refused by name and counted.
//! - No clock is read here: time is an argument.

pub mod checkpoint;
pub mod state;
pub mod wal;

mod alerts;
mod bitmap;
mod budget;
mod catalog;
mod chunk;
mod encoding;
mod hash;
mod heard;
mod history;
mod labels;
mod lacking;
mod logs;
mod names;
mod registry;
mod replicas;
mod scan;
mod scoped;
mod seal;
mod series_index;
mod shares;
mod snapshot;
mod stream_marks;
mod tail;
mod writer;

pub use bitmap::Bitmap;
pub use budget::{Limits, Stats};
pub use hash::FixedState;
pub use history::History;
pub use labels::Labels;
pub use lacking::Lacking;
pub use logs::{Level, Levels, LineRef, LineRun, LogLine, Seconds, StreamMeta};
pub use replicas::ReplicaRule;
pub use scan::{LineColumns, LinesWanted};
pub use scoped::Scoped;
pub use series_index::SeriesMeta;
pub use snapshot::Snapshot;
pub use stream_marks::StreamMarks;
pub use writer::{Cut, Mark, Published, Reach, Staged, StreamLines, Writer};
