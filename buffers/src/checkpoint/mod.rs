//! What the buffers held at one instant, on disk: samples and lines as Parquet for whoever reads it, the rest as it is.
//!
//! - A checkpoint is its manifest. All that it names is durable before it is written, so a crash at any moment leaves
//!   files that no manifest names, or the checkpoint.
//! - Each checkpoint writes the rows that none before it has, and names the files of those that are still kept.
//! - A manifest or a file that is not as it was written makes its checkpoint none: the one before it is taken, or the
//!   log alone.
//! - What is in one is read by the same version of the daemon with the same configuration; to any other it is none.

mod file;
mod keep;
mod lines;
mod manifest;
mod samples;
mod store;
#[cfg(test)]
mod tests;

use thiserror::Error;
use whyd_signals::{Lsn, Timestamp};

pub use keep::{Checkpoints, KeepLimits, KeepStats};
pub use store::Store;

use crate::writer::{Cut, Held, HeldRows, Writer};

/// Where and how a cut was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The last record of the log that is in it.
    pub lsn: Lsn,
    /// When it was made.
    pub at: Timestamp,
    /// By which configuration; another one makes other things of the same input.
    pub by: String,
}

/// All that a daemon held: the buffers, and whatever else goes with them, which is nothing to this crate.
#[derive(Debug)]
pub struct Picture {
    /// Where it was made.
    pub point: Point,
    /// The buffers.
    pub cut: Cut,
    /// The rest, as bytes.
    pub rest: Vec<u8>,
}

/// A checkpoint, read back whole.
pub struct Checkpoint {
    /// Where it was made.
    pub point: Point,
    held: Held,
    rows: HeldRows,
}

impl Checkpoint {
    /// Hands the buffers over to a writer to which nothing was written yet.
    pub fn resume(self, writer: &mut Writer) {
        writer.resume(self.held, self.rows);
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint").field("point", &self.point).finish_non_exhaustive()
    }
}

/// Why a checkpoint was not written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The store says so.
    #[error("{name}: {source}")]
    Store {
        /// The object.
        name: String,
        /// What it says.
        source: std::io::Error,
    },
    /// An object is not as it was written.
    #[error("{0} is damaged")]
    Damaged(String),
    /// It cannot be put into its form, or be read from it.
    #[error("{what}: {why}")]
    Form {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl CheckpointError {
    fn form(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Form { what, why: why.to_string() }
    }
}
