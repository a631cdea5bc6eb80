//! The live driver: one thread owns the core and the log, in batches. What came while the last batch was synced is the
//! next one, so the number of syncs adapts to the load by itself.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use whyd_buffers::checkpoint::Checkpoints;
use whyd_buffers::wal::{Log, WalError};
use whyd_collector::Clock;
use whyd_collector::inlet::{Delivery, Reply, Responder};
use whyd_core::{Core, Rest};
use whyd_signals::schema::Restart;
use whyd_signals::{Hearing, Timestamp};

use crate::checkpointing::Checkpointing;
use crate::ingest::Ingest;
use crate::ledger_file::LedgerFile;
use crate::view::View;
use crate::watches::Heard;

/// A restart that came is looked at no later than so long after the tick before: soon, and many together once.
const NEWS: Duration = Duration::from_millis(50);
/// How often the log forgets what is past the window.
const TRIM: Duration = Duration::from_secs(60);

/// How long the last checkpoint may take: of the 25 seconds in which it ends, what serving and draining leave.
const LAST_CHECKPOINT: Duration = Duration::from_secs(12);

/// Between two records of up to when the cluster was heard.
const HEARD: Duration = Duration::from_secs(5);

/// The same where no cluster is watched any more.
const UNWATCHED: Duration = Duration::from_secs(60);

/// Between two checkpoints: what a restart has to replay at most.
const CHECKPOINT: Duration = Duration::from_secs(900);

/// What is on the disk beside the log.
pub struct Kept {
    /// Where the ledger's file is; it is there.
    pub dir: PathBuf,
    /// The checkpoints.
    pub checkpoints: Checkpoints,
    /// The configuration that they have to be of.
    pub by: String,
}

/// The driver's times.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Between two ticks.
    pub tick: Duration,
    /// How far back the log reaches: window and lateness.
    pub keep: Duration,
}

/// Drives the core and the log.
pub struct Live {
    ingest: Ingest,
    ledger: LedgerFile,
    checkpointing: Checkpointing,
    clock: Clock,
    times: Times,
    view: Arc<View>,
    senders: HashMap<u64, Responder>,
    token: u64,
    /// Whether the last try to write the ledger failed: it is said once.
    unkept: bool,
}

impl Live {
    /// Takes up the newest checkpoint in a core that has not been fed yet, reads the log's rest back, and shows what was
    /// in both. Where there is no checkpoint to be used, the log alone has to do.
    ///
    /// # Errors
    /// When the log or the ledger's file cannot be read.
    pub fn open(
        mut core: Core,
        log: Log,
        kept: Kept,
        clock: Clock,
        times: Times,
        view: Arc<View>,
    ) -> Result<Self, WalError> {
        let Kept { dir, mut checkpoints, by } = kept;
        let found = checkpoints.open(&by, log.begins()?, Rest::read).unwrap_or_else(|e| {
            tracing::error!(error = %e, "checkpoints cannot be read; the log is read back as a whole");
            None
        });
        let point = found.as_ref().map(|(checkpoint, _)| (checkpoint.point.lsn, checkpoint.point.at));
        if let Some((checkpoint, rest)) = found {
            tracing::info!(lsn = checkpoint.point.lsn.0, "checkpoint taken up");
            core.take_up(checkpoint, rest);
        }
        let (ledger, rows) = LedgerFile::open(&dir)?;
        core.restore(rows);
        let (ingest, settled) = Ingest::open_after(point, core, log)?;
        let mut checkpointing = Checkpointing::start(checkpoints, by)?;
        let found = ingest.recovery();
        checkpointing.missed(found.missing, found.corrupt);
        let (senders, token, unkept) = (HashMap::new(), 0, false);
        let mut live = Self { ingest, ledger, checkpointing, clock, times, view, senders, token, unkept };
        live.keep(&settled);
        // What went on since the last record nobody heard.
        if live.view.hears_pods().is_some() && live.ingest.core().last_heard().is_some_and(|(_, lost)| !lost) {
            live.token += 1;
            live.ingest.hears(live.token, (live.clock)(), Hearing::Lost, String::new());
        }
        live.show();
        live.view.ready();
        Ok(live)
    }

    /// Takes deliveries until there are no more senders. Blocks; meant for a thread of its own.
    pub fn run(mut self, mut inbox: Receiver<Delivery>, runtime: &Handle) {
        let mut tick = runtime.block_on(async { Instant::now() }) + self.times.tick;
        let (mut next_news, mut trim) = (tick, tick);
        let mut checkpoint = tick + CHECKPOINT;
        loop {
            let first = runtime.block_on(async { tokio::time::timeout_at(tick, inbox.recv()).await });
            match first {
                Ok(None) => break,
                Ok(Some(delivery)) => self.batch(delivery, &mut inbox),
                Err(_) => {}
            }
            if self.ingest.core().has_new_restarts() {
                tick = tick.min(next_news);
            }
            let now = runtime.block_on(async { Instant::now() });
            if now >= tick {
                self.tick();
                let took = runtime.block_on(async { Instant::now() }) - now;
                // Where a tick takes long, others have their turn in between.
                (next_news, tick) = (now + NEWS.max(took * 4), now + self.times.tick);
                if now >= trim {
                    trim = now + TRIM;
                    let horizon = (self.clock)().minus(self.times.keep);
                    self.ingest.trim(horizon);
                }
                if now >= checkpoint && self.checkpoint(runtime) {
                    checkpoint = now + CHECKPOINT;
                }
            }
        }
        self.tick();
        // The next start has nothing to replay.
        let until = runtime.block_on(async { Instant::now() }) + LAST_CHECKPOINT;
        let left = || until.saturating_duration_since(runtime.block_on(async { Instant::now() }));
        self.checkpointing.wait(left()).into_iter().for_each(|generation| self.ingest.keep(generation));
        self.checkpoint(runtime);
        self.checkpointing.wait(left());
        self.checkpointing.stop();
        self.show();
    }

    /// Has what is held written, unless the last one is still being written; whether it was begun.
    fn checkpoint(&mut self, runtime: &Handle) -> bool {
        if self.checkpointing.is_busy() {
            return false;
        }
        let began = runtime.block_on(async { Instant::now() });
        let Some(held) = self.ingest.hold() else { return false };
        let paused = runtime.block_on(async { Instant::now() }) - began;
        self.checkpointing.begin(held, (self.clock)(), paused);
        true
    }

    fn tick(&mut self) {
        let now = (self.clock)();
        self.note_hearing(now);
        let ticked = self.ingest.tick(now);
        self.keep(&ticked.settled);
        let written = self.checkpointing.ended();
        written.flatten().into_iter().for_each(|generation| self.ingest.keep(generation));
        if ticked.changed || written.is_some() {
            self.show();
        }
    }

    /// Writes down up to when the cluster's pods were heard of, or that they are not any more: a start reads it back.
    fn note_hearing(&mut self, now: Timestamp) {
        let known = self.ingest.core().last_heard();
        let (hearing, body) = match self.view.hears_pods() {
            Some(Heard { at: Some(at), lost: false })
                if known.is_none_or(|(last, lost)| lost || at >= last.plus(HEARD)) =>
            {
                (Hearing::Heard, at.to_string())
            }
            // There is nothing to be heard: what is known stands, and goes on to be over.
            None if known.is_some_and(|(last, lost)| lost || now >= last.plus(UNWATCHED)) => {
                (Hearing::Heard, now.to_string())
            }
            Some(Heard { lost: true, .. }) if known.is_some_and(|(_, lost)| !lost) => (Hearing::Lost, String::new()),
            _ => return,
        };
        self.token += 1;
        self.ingest.hears(self.token, now, hearing, body);
    }

    /// One message and all that came meanwhile: decoded, written, synced once, published, answered.
    fn batch(&mut self, first: Delivery, inbox: &mut Receiver<Delivery>) {
        let mut next = Some(first);
        while let Some(Delivery { envelope, responder }) = next.take() {
            self.token += 1;
            match self.ingest.take(self.token, envelope) {
                Some(reply) => responder.reply(reply),
                None => drop(self.senders.insert(self.token, responder)),
            }
            if !self.ingest.is_batch_full() {
                next = inbox.try_recv().ok();
            }
        }
        let answers: Vec<(u64, Reply)> = self.ingest.commit((self.clock)());
        if answers.is_empty() {
            return;
        }
        // Whoever is told that it is written finds it there.
        self.show();
        for (token, reply) in answers {
            if let Some(sender) = self.senders.remove(&token) {
                sender.reply(reply);
            }
        }
    }

    fn show(&self) {
        self.view.show(self.ingest.shown().with_checkpoints(self.checkpointing.shown()));
    }

    /// A ledger that cannot be written loses no verdict yet: the log has what it was made of.
    fn keep(&mut self, rows: &[Arc<Restart>]) {
        if rows.is_empty() && !self.ledger.is_waiting() {
            return;
        }
        let kept = self.ledger.append(rows, &self.ingest.core().ledger_rows());
        if let Err(e) = &kept
            && !self.unkept
        {
            tracing::error!(error = %e, "verdicts cannot be written to the ledger's file; they wait");
        }
        self.unkept = kept.is_err();
    }
}
