//! What the core held at one instant: taken between two messages, written by another thread, taken up by a start.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyd_anomaly::Learnt;
use whyd_buffers::Cut;
use whyd_buffers::checkpoint::{Checkpoint, CheckpointError, Picture, Point};
use whyd_correlate::ledger::Ledger;
use whyd_signals::{Access, Lsn, Ranges, Timestamp};

use crate::feed::Feed;
use crate::{Core, Pulls, SOURCES};

/// All that a core held.
pub struct Held {
    pub(crate) lsn: Lsn,
    pub(crate) cut: Cut,
    pub(crate) rest: Rest,
}

/// All that is not in the buffers.
#[derive(Serialize, Deserialize)]
pub struct Rest {
    pub(crate) ledger: Ledger,
    pub(crate) learnt: Learnt,
    pub(crate) feed: Feed,
    /// When each source last sent something.
    pub(crate) last_seen: BTreeMap<String, Timestamp>,
    pub(crate) pulls: Pulls,
    /// When metrics were pushed.
    pub(crate) pushed: Ranges,
}

impl Rest {
    /// From what [`Held::picture`] wrote; `None` where another build wrote it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}

impl Held {
    /// Its generation, for [`Core::keep`] once it is durable.
    pub fn generation(&self) -> u32 {
        self.cut.generation()
    }

    /// As it is written: made at this time by this configuration. Takes as long as there is much of it.
    ///
    /// # Errors
    /// When it cannot be put into its form.
    pub fn picture(self, at: Timestamp, by: &str) -> Result<Picture, CheckpointError> {
        let rest = rmp_serde::to_vec(&self.rest)
            .map_err(|e| CheckpointError::Form { what: "the ledger and what was learnt", why: e.to_string() })?;
        Ok(Picture { point: Point { lsn: self.lsn, at, by: by.to_owned() }, cut: self.cut, rest })
    }
}

impl Core {
    /// What is held now; `None` while anything waits for the log, and once the log has failed.
    pub fn hold(&mut self) -> Option<Held> {
        if !self.pending.is_empty() || self.failed.is_some() {
            return None;
        }
        let last_seen = self.counters.last_seen.iter().map(|(source, at)| ((*source).to_owned(), *at)).collect();
        let (ledger, learnt, feed) = (self.ledger.clone(), self.detectors.learnt(), self.feed.held());
        let pulls = Pulls::clone(&self.counters.pulls);
        let pushed = self.counters.pushed.clone();
        let rest = Rest { ledger, learnt, feed, last_seen, pulls, pushed };
        Some(Held { lsn: Lsn(self.next.0.saturating_sub(1)), cut: self.writer.cut()?, rest })
    }

    /// What was held at this generation is durable.
    pub fn keep(&mut self, generation: u32) {
        self.writer.keep(generation);
    }

    /// Takes up what was held, before anything else is taken in.
    pub fn take_up(&mut self, checkpoint: Checkpoint, rest: Rest) {
        self.next = checkpoint.point.lsn.next();
        checkpoint.resume(&mut self.writer);
        let Rest { ledger, learnt, feed, last_seen, pulls, pushed } = rest;
        self.ledger.resume(ledger, &self.writer.snapshot().scoped(&Access::All));
        self.detectors.resume(learnt);
        self.feed = feed;
        for source in SOURCES {
            if let Some(at) = last_seen.get(source) {
                self.counters.last_seen.insert(source, *at);
            }
        }
        Arc::make_mut(&mut self.counters.pulls).resume(pulls);
        self.counters.pushed = pushed;
        self.put_lacking();
        self.writer.put_restarts(self.ledger.rows());
        self.writer.put_incidents(self.ledger.incidents());
        self.writer.put_anomalies(self.feed.anomalies());
    }
}
