//! The live driver: one thread owns the core and the log, in batches. What came while the last batch was synced is the
//! next one, so the number of syncs adapts to the load by itself.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use whyd_buffers::wal::{Log, WalError};
use whyd_collector::Clock;
use whyd_collector::inlet::{Delivery, Reply, Responder};
use whyd_signals::schema::Restart;

use crate::core::Core;
use crate::ingest::Ingest;
use crate::ledger_file::LedgerFile;
use crate::view::View;

/// How often the log forgets what is past the window.
const TRIM: Duration = Duration::from_secs(60);

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
    clock: Clock,
    times: Times,
    view: Arc<View>,
    senders: HashMap<u64, Responder>,
    token: u64,
    /// Whether the last try to write the ledger failed: it is said once.
    unkept: bool,
}

impl Live {
    /// Reads the log back into a core that has not been fed yet, and shows what was in it. The ledger's file is in
    /// `dir`, which is there.
    ///
    /// # Errors
    /// When the log or the ledger's file cannot be read.
    pub fn open(
        mut core: Core,
        log: Log,
        dir: &Path,
        clock: Clock,
        times: Times,
        view: Arc<View>,
    ) -> Result<Self, WalError> {
        let (ledger, rows) = LedgerFile::open(dir)?;
        core.restore(rows);
        let (ingest, settled) = Ingest::open(core, log)?;
        let mut live = Self { ingest, ledger, clock, times, view, senders: HashMap::new(), token: 0, unkept: false };
        live.keep(&settled);
        live.show();
        live.view.ready();
        Ok(live)
    }

    /// Takes deliveries until there are no more senders. Blocks; meant for a thread of its own.
    pub fn run(mut self, mut inbox: Receiver<Delivery>, runtime: &Handle) {
        let mut tick = runtime.block_on(async { Instant::now() }) + self.times.tick;
        let mut trim = tick;
        loop {
            let first = runtime.block_on(async { tokio::time::timeout_at(tick, inbox.recv()).await });
            match first {
                Ok(None) => break,
                Ok(Some(delivery)) => self.batch(delivery, &mut inbox),
                Err(_) => {}
            }
            let now = runtime.block_on(async { Instant::now() });
            if now >= tick {
                tick = now + self.times.tick;
                self.tick();
                if now >= trim {
                    trim = now + TRIM;
                    let horizon = (self.clock)().minus(self.times.keep);
                    self.ingest.trim(horizon);
                }
            }
        }
        self.tick();
        self.show();
    }

    fn tick(&mut self) {
        let ticked = self.ingest.tick((self.clock)());
        self.keep(&ticked.settled);
        if ticked.changed {
            self.show();
        }
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
        self.view.show(self.ingest.shown());
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
