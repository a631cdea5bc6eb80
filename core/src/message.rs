//! What the core is told, and what it asks of its driver.

use std::sync::Arc;

use whyd_buffers::wal::Record;
use whyd_collector::inlet::Reply;
use whyd_signals::schema::Restart;
use whyd_signals::{Envelope, Lsn};

/// What the core is told.
#[derive(Debug)]
pub enum Message {
    /// An input came; the token goes back with its answer.
    Input {
        /// The driver's own number for the sender.
        token: u64,
        /// What came.
        envelope: Envelope,
    },
    /// The log is durable up to here.
    Durable(Lsn),
    /// There was no space for what was to be appended: it is refused, and what comes next is tried again.
    LogFull,
    /// The log cannot be written any more: nothing is acknowledged from here on.
    LogFailed(String),
    /// A record read back from the log; it was judged when it came and is obeyed now.
    Replayed(Record),
    /// Time went on: verdicts are revised, chunks sealed, the old forgotten.
    Tick,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Effect {
    /// Append this record to the log, then say [`Message::Durable`].
    Append(Record),
    /// Answer a sender.
    Reply {
        /// The token of its input.
        token: u64,
        /// The answer.
        reply: Reply,
    },
    /// These verdicts stand from here on: keep them for longer than the log is kept.
    Settled(Vec<Arc<Restart>>),
    /// What readers may see has changed.
    Changed,
}
