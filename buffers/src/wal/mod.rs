//! The ordered log: every input as it came, in order, on disk before it is acknowledged.
//!
//! - [`Log::append_batch`] writes records and syncs once: group commit is the driver's choice of what to batch.
//! - [`Log::replay`] hands every record back in order and leaves a log that can be appended to.
//! - A sync that failed is never retried: what the kernel dropped cannot be known. The log is poisoned until restart.
//! - A disk without space is no such failure: what was written is taken back, and the next batch tries again.
//! - Each start begins a segment. What an older one holds unsynced may be there for the kernel and not for the disk, and
//!   a later loss of power would leave a hole before all that came after it.
//! - A torn tail is cut, in the newest segment only. Other damage is set aside as `.corrupt` and counted, and the
//!   records around it are kept.

mod commit;
mod disk;
mod record;
mod replay;
mod segment;

use std::io;

use thiserror::Error;
use whyd_signals::{Envelope, Lsn};

pub use commit::{Dropped, Log, is_full};
pub use disk::{Directory, Disk, DiskFile};
pub use replay::Recovery;

use crate::bitmap::Bitmap;

/// One input with its place in the order and how it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place; dense and rising.
    pub lsn: Lsn,
    /// What came.
    pub envelope: Envelope,
    /// The rows of it that were not kept.
    pub refused: Bitmap,
}

/// How large the log may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a segment, after which another is started.
    pub segment_bytes: u64,
    /// Bytes of all segments; the oldest whole one goes first.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, bytes: 4 << 30 }
    }
}

/// Why the log cannot take records.
#[derive(Debug, Error)]
pub enum WalError {
    /// Another process has the log.
    #[error("log is held by another process")]
    Locked,
    /// There is no room. Nothing was written; it may be tried again.
    #[error("no space for the log")]
    Full,
    /// An earlier write or sync failed in a way that leaves open what is on disk.
    #[error("log is poisoned by an earlier failure")]
    Poisoned,
    /// The records are not the next ones, or one is larger than a record may be.
    #[error("record {0:?} does not fit the log")]
    Order(Lsn),
    /// Anything else the disk says.
    #[error("log: {0}")]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests;
