//! The core with its log: what is taken in is staged, written as a batch, synced once, shown and answered. No thread and
//! no clock in here, so that a simulation drives what the daemon runs.

use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::wal::{Dropped, Log, Record, Recovery, WalError};
use whyd_collector::inlet::Reply;
use whyd_core::{Core, Effect, Held, Message};
use whyd_signals::schema::Restart;
use whyd_signals::{Envelope, Hearing, Lsn, Media, Timestamp};

use crate::log_health::LogHealth;
use crate::view::Shown;

/// A batch is closed at so many messages or bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

/// Owns the core and the log.
pub struct Ingest {
    core: Core,
    log: Log,
    health: LogHealth,
    batch: Vec<Record>,
    bytes: usize,
    /// Whether anything was answered at once: it is counted, and readers have not seen that yet.
    unshown: bool,
}

/// What came of a tick.
#[derive(Debug, Default)]
pub struct Ticked {
    /// Verdicts that stand from here on.
    pub settled: Vec<Arc<Restart>>,
    /// Whether readers see something new.
    pub changed: bool,
}

impl Ingest {
    /// Reads the log back into a core that has not been fed yet; gives the verdicts that came to stand meanwhile too.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn open(core: Core, log: Log) -> Result<(Self, Vec<Arc<Restart>>), WalError> {
        Self::open_after(None, core, log)
    }

    /// [`Ingest::open`] into a core that has taken up what was held at this point of the log.
    ///
    /// # Errors
    /// Those of [`Ingest::open`].
    pub fn open_after(
        point: Option<(Lsn, Timestamp)>,
        mut core: Core,
        mut log: Log,
    ) -> Result<(Self, Vec<Arc<Restart>>), WalError> {
        let settled = read_back(point, &mut core, &mut log)?;
        let recovery = log.recovery().unwrap_or_default();
        if recovery.corrupt > 0 || recovery.cut_bytes > 0 {
            tracing::warn!(corrupt = recovery.corrupt, cut_bytes = recovery.cut_bytes, "the log was damaged");
        }
        tracing::info!(records = recovery.records, "log read back");
        core.resume(log.next_lsn());
        Ok((Self { core, log, health: LogHealth::default(), batch: Vec::new(), bytes: 0, unshown: false }, settled))
    }

    /// Takes a message into the batch. One that is not to be written is answered at once.
    pub fn take(&mut self, token: u64, envelope: Envelope) -> Option<Reply> {
        self.bytes += envelope.body.len();
        let at = envelope.received;
        let mut answer = None;
        for effect in self.core.step(at, Message::Input { token, envelope }) {
            match effect {
                Effect::Append(record) => self.batch.push(record),
                Effect::Reply { reply, .. } => {
                    self.unshown = true;
                    answer = Some(reply);
                }
                Effect::Changed | Effect::Settled(_) => {}
            }
        }
        answer
    }

    /// Whether the batch is to be closed.
    pub fn is_batch_full(&self) -> bool {
        self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    /// Writes the batch, and gives the answers of all that were in it.
    pub fn commit(&mut self, at: Timestamp) -> Vec<(u64, Reply)> {
        self.bytes = 0;
        let Some(last) = self.batch.last().map(|r| r.lsn) else { return Vec::new() };
        let appended = self.log.append_batch(&self.batch);
        self.health.heard(self.batch.len() as u64, &appended);
        self.batch.clear();
        let message = match appended {
            Ok(()) => Message::Durable(last),
            Err(WalError::Full) => Message::LogFull,
            Err(e) => Message::LogFailed(e.to_string()),
        };
        let answered = self.core.step(at, message).into_iter().filter_map(|effect| match effect {
            Effect::Reply { token, reply } => Some((token, reply)),
            Effect::Append(_) | Effect::Changed | Effect::Settled(_) => None,
        });
        answered.collect()
    }

    /// Writes down whether the cluster is heard. To be called between batches; what cannot be written is to be said again.
    pub fn hears(&mut self, token: u64, at: Timestamp, hearing: Hearing, body: String) {
        let envelope = Envelope { received: at, media: Media::Hearing(hearing), tenant: None, body: body.into() };
        if self.take(token, envelope).is_none() {
            self.commit(at);
        }
    }

    /// Time went on. To be called between batches.
    pub fn tick(&mut self, at: Timestamp) -> Ticked {
        let unshown = std::mem::take(&mut self.unshown);
        let mut ticked = Ticked { changed: self.health.probe(&self.log) || unshown, ..Ticked::default() };
        for effect in self.core.step(at, Message::Tick) {
            match effect {
                Effect::Settled(rows) => ticked.settled.extend(rows),
                _ => ticked.changed = true,
            }
        }
        ticked
    }

    /// Lets go of what of the log is older.
    pub fn trim(&mut self, horizon: Timestamp) {
        if let Err(e) = self.log.drop_before(horizon) {
            tracing::warn!(error = %e, "old segments of the log could not be removed");
        }
    }

    /// What is held, to be written as a checkpoint. To be called between batches; `None` when that is not, and while the
    /// log is in trouble: what space there is, is the log's.
    pub fn hold(&mut self) -> Option<Held> {
        if self.health.is_well() { self.core.hold() } else { None }
    }

    /// What was held at this generation is durable.
    pub fn keep(&mut self, generation: u32) {
        self.core.keep(generation);
    }

    /// What the start found of the log.
    pub fn recovery(&self) -> Recovery {
        self.log.recovery().unwrap_or_default()
    }

    /// Segments of the log that were removed since the start.
    pub fn dropped(&self) -> Dropped {
        self.log.dropped()
    }

    /// What readers may see.
    pub fn shown(&self) -> Shown {
        Shown::of(&self.core, self.health.shown(&self.log))
    }

    /// The core.
    pub fn core(&self) -> &Core {
        &self.core
    }
}

/// Reads the log back; gives the verdicts that came to stand meanwhile.
fn read_back(point: Option<(Lsn, Timestamp)>, core: &mut Core, log: &mut Log) -> Result<Vec<Arc<Restart>>, WalError> {
    let mut settled = Vec::new();
    let mut tick = |core: &mut Core, at| {
        for effect in core.step(at, Message::Tick) {
            if let Effect::Settled(rows) = effect {
                settled.extend(rows);
            }
        }
    };
    let mut last = Timestamp::MIN;
    let mut ticked = Timestamp::MIN;
    let records = log.replay_after(point, |record: Record| {
        last = record.envelope.received;
        // Verdicts were revised as time went on; a look each second of the log's time does the same.
        if last >= ticked.plus(Duration::from_secs(1)) {
            ticked = last;
            tick(core, last);
        }
        core.step(last, Message::Replayed(record));
    })?;
    if records > 0 {
        tick(core, last);
    }
    Ok(settled)
}
