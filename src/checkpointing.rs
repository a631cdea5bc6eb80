//! The thread that writes checkpoints, and what the driver knows of it. While one is written, none is begun.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use whyd_api::{Kind, Metric};
use whyd_buffers::checkpoint::{CheckpointError, Checkpoints, KeepStats};
use whyd_core::Held;
use whyd_signals::Timestamp;

/// From the driver, a state to write; back, whether it is durable.
pub(crate) struct Checkpointing {
    to: Option<SyncSender<(Held, Timestamp)>>,
    from: Receiver<Written>,
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
    shown: CheckpointsShown,
}

struct Written {
    /// The generation that is durable now.
    generation: Option<u32>,
    stats: KeepStats,
}

/// Checkpoints as health and metrics show them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CheckpointsShown {
    stats: KeepStats,
    /// How long the driver was held up for the last one.
    paused: Duration,
    /// Places of the log that a start found in neither.
    missing: u64,
    log_damaged: bool,
}

/// Writes what was held.
///
/// # Errors
/// Those of [`Checkpoints::write`].
pub fn write(checkpoints: &mut Checkpoints, held: Held, at: Timestamp, by: &str) -> Result<u32, CheckpointError> {
    let generation = held.generation();
    checkpoints.write(&held.picture(at, by)?)?;
    Ok(generation)
}

impl Checkpointing {
    /// Starts the thread, which owns the checkpoints from here on.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(crate) fn start(mut checkpoints: Checkpoints, by: String) -> std::io::Result<Self> {
        let shown = CheckpointsShown { stats: checkpoints.stats(), ..CheckpointsShown::default() };
        let (to, inbox) = sync_channel::<(Held, Timestamp)>(1);
        let (back, from) = sync_channel(1);
        let thread = std::thread::Builder::new().name("checkpoints".into()).spawn(move || {
            while let Ok((held, at)) = inbox.recv() {
                let written = write(&mut checkpoints, held, at, &by);
                if let Err(e) = &written {
                    tracing::error!(error = %e, "a checkpoint could not be written; the log has all that would be in it");
                }
                let written = Written { generation: written.ok(), stats: checkpoints.stats() };
                if back.send(written).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { to: Some(to), from, thread: Some(thread), is_busy: false, shown })
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Has it written what is held; taking it held up the driver for so long.
    pub(crate) fn begin(&mut self, held: Held, at: Timestamp, paused: Duration) {
        self.shown.paused = paused;
        if let Some(to) = &self.to {
            self.is_busy = to.send((held, at)).is_ok();
        }
    }

    /// What became of it, once: the generation that is durable now.
    pub(crate) fn ended(&mut self) -> Option<Option<u32>> {
        match self.from.try_recv() {
            Ok(written) => Some(self.heard(&written)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => std::mem::take(&mut self.is_busy).then_some(None),
        }
    }

    fn heard(&mut self, written: &Written) -> Option<u32> {
        self.is_busy = false;
        self.shown.stats = written.stats;
        written.generation
    }

    /// Waits so long at most for the one that is being written; gives what [`Checkpointing::ended`] would.
    pub(crate) fn wait(&mut self, most: Duration) -> Option<u32> {
        if !self.is_busy {
            return None;
        }
        let written = self.from.recv_timeout(most).ok()?;
        self.heard(&written)
    }

    /// Ends the thread. One that is still writing is left to end with the process: without its manifest, which is written
    /// last, a checkpoint is none.
    pub(crate) fn stop(&mut self) {
        self.to = None;
        if self.is_busy {
            tracing::warn!("the last checkpoint takes too long and was given up; the next start reads the log back");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes checkpoints panicked");
        }
    }

    /// A start found so many places of the log in neither checkpoint nor log, and so many segments damaged.
    pub(crate) fn missed(&mut self, places: u64, damaged: u64) {
        (self.shown.missing, self.shown.log_damaged) = (places, damaged > 0);
    }

    pub(crate) fn shown(&self) -> CheckpointsShown {
        self.shown
    }
}

impl CheckpointsShown {
    /// What the last start could not use.
    pub(crate) fn note(&self) -> Option<&'static str> {
        if self.missing > 0 {
            Some("records that were acknowledged are missing from the log; what is shown lacks them")
        } else if self.log_damaged {
            Some("the log was damaged and set aside; what could not be read of it is missing from what is shown")
        } else if self.stats.damaged > 0 {
            Some("a checkpoint was damaged; the start went on from the one before it, or from the log")
        } else if self.stats.strange > 0 {
            Some(
                "a checkpoint is of another version or configuration of whyd; the start went on from the one before it, or from the log",
            )
        } else {
            None
        }
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let Self { stats, paused, missing, .. } = self;
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        let one = |v: f64| vec![(Vec::new(), v)];
        let by = |label: &'static str, values: [(&str, u64); 2]| {
            values.map(|(value, n)| (vec![(label, value.to_owned())], n as f64)).to_vec()
        };
        let newest = stats.newest.map_or_else(Vec::new, |at| one(at.nanos() as f64 / 1e9));
        let (tries, unused, gone) = (
            [("written", stats.written), ("failed", stats.failed)],
            [("damaged", stats.damaged), ("strange", stats.strange)],
            [("retention", stats.old), ("bytes", stats.over)],
        );
        vec![
            metric("whyd_checkpoints_total", "checkpoints tried, by outcome", Kind::Counter, by("outcome", tries)),
            metric(
                "whyd_checkpoints_unused",
                "checkpoints that the start could not use: damaged, or of another version or configuration",
                Kind::Gauge,
                by("reason", unused),
            ),
            metric(
                "whyd_checkpoint_missing_records",
                "records that the start found neither in a checkpoint nor in the log",
                Kind::Gauge,
                one(*missing as f64),
            ),
            metric("whyd_checkpoint_newest_seconds", "when the newest checkpoint was made", Kind::Gauge, newest),
            metric(
                "whyd_checkpoint_pause_seconds",
                "how long taking the last one held up what comes in",
                Kind::Gauge,
                one(paused.as_secs_f64()),
            ),
            metric(
                "whyd_history_bytes",
                "bytes of the newest checkpoint and its files",
                Kind::Gauge,
                one(stats.bytes as f64),
            ),
            metric("whyd_history_rows", "samples and lines in its files", Kind::Gauge, one(stats.rows as f64)),
            metric(
                "whyd_history_dropped_files_total",
                "files of samples and lines that were removed, by reason",
                Kind::Counter,
                by("reason", gone),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_why_a_checkpoint_was_of_no_use_is_noted() {
        let note = |damaged, strange| {
            let stats = KeepStats { damaged, strange, ..KeepStats::default() };
            CheckpointsShown { stats, ..CheckpointsShown::default() }.note()
        };
        assert_eq!(note(0, 0), None);
        assert!(note(0, 1).is_some_and(|note| note.contains("another version or configuration")));
        assert!(note(1, 1).is_some_and(|note| note.contains("damaged")));
    }
}
