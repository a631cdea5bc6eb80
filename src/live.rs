//! The live driver: one thread owns the core and the log, in batches. What came while the last batch was synced is the
//! next one, so the number of syncs adapts to the load by itself.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use whyd_buffers::wal::{Bounds, Log, Record, WalError};
use whyd_collector::Clock;
use whyd_collector::inlet::{Delivery, Responder};
use whyd_signals::Timestamp;
use whyd_signals::schema::Restart;

use crate::core::{Core, Effect, Message};
use crate::ledger_file::LedgerFile;
use crate::view::{Shown, View};

/// A batch is closed at so many messages or bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
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

/// Owns the core and the log.
pub struct Live {
    core: Core,
    log: Log,
    ledger: LedgerFile,
    clock: Clock,
    times: Times,
    view: Arc<View>,
    senders: HashMap<u64, Responder>,
    token: u64,
    appended: u64,
}

impl Live {
    /// Reads the log in `dir` back into a core that has not been fed yet, and shows what was in it.
    ///
    /// # Errors
    /// When the log is another process's or cannot be read.
    pub fn open(
        mut core: Core,
        (dir, bounds): (&Path, Bounds),
        clock: Clock,
        times: Times,
        view: Arc<View>,
    ) -> Result<Self, WalError> {
        let mut log = Log::open(dir, bounds)?;
        let (mut ledger, rows) = LedgerFile::open(dir)?;
        core.restore(rows);
        let (records, settled) = read_back(&mut core, &mut log)?;
        keep(&mut ledger, &settled, &core);
        if let Some(r) = log.recovery().filter(|r| r.corrupt > 0 || r.cut_bytes > 0) {
            tracing::warn!(corrupt = r.corrupt, cut_bytes = r.cut_bytes, "the log was damaged");
        }
        tracing::info!(records, "log read back");
        core.resume(log.next_lsn());
        let live = Self { core, log, ledger, clock, times, view, senders: HashMap::new(), token: 0, appended: 0 };
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
                let at = (self.clock)();
                self.tick(at);
                if now >= trim {
                    trim = now + TRIM;
                    if let Err(e) = self.log.drop_before(at.minus(self.times.keep)) {
                        tracing::warn!(error = %e, "old segments of the log could not be removed");
                    }
                }
            }
        }
        let at = (self.clock)();
        self.tick(at);
        self.show();
    }

    fn tick(&mut self, at: Timestamp) {
        let mut changed = false;
        for effect in self.core.step(at, Message::Tick) {
            match effect {
                Effect::Settled(rows) => keep(&mut self.ledger, &rows, &self.core),
                _ => changed = true,
            }
        }
        if changed {
            self.show();
        }
    }

    /// One message and all that came meanwhile: decoded, written, synced once, published, answered.
    fn batch(&mut self, first: Delivery, inbox: &mut Receiver<Delivery>) {
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(delivery) = next.take() {
            bytes += delivery.envelope.body.len();
            self.take(delivery, &mut records);
            if records.len() < BATCH && bytes < BATCH_BYTES {
                next = inbox.try_recv().ok();
            }
        }
        let Some(last) = records.last().map(|r| r.lsn) else { return };
        let at = (self.clock)();
        self.appended += records.len() as u64;
        let message = match self.log.append_batch(&records) {
            Ok(()) => Message::Durable(last),
            Err(e) => {
                tracing::error!(error = %e, "the log cannot be written; nothing is acknowledged any more");
                Message::LogFailed(e.to_string())
            }
        };
        for effect in self.core.step(at, message) {
            self.act(effect, &mut records);
        }
        self.show();
    }

    fn take(&mut self, delivery: Delivery, records: &mut Vec<Record>) {
        self.token += 1;
        let token = self.token;
        self.senders.insert(token, delivery.responder);
        let at = delivery.envelope.received;
        for effect in self.core.step(at, Message::Input { token, envelope: delivery.envelope }) {
            self.act(effect, records);
        }
    }

    fn act(&mut self, effect: Effect, records: &mut Vec<Record>) {
        match effect {
            Effect::Append(record) => records.push(record),
            Effect::Reply { token, reply } => {
                if let Some(sender) = self.senders.remove(&token) {
                    sender.reply(reply);
                }
            }
            Effect::Changed | Effect::Settled(_) => {}
        }
    }

    fn show(&self) {
        self.view.show(Shown::of(&self.core, (self.log.bytes(), self.appended)));
    }
}

/// A ledger that cannot be written loses no verdict yet: the log has what it was made of.
fn keep(ledger: &mut LedgerFile, rows: &[Arc<Restart>], core: &Core) {
    if rows.is_empty() {
        return;
    }
    if let Err(e) = ledger.append(rows, &core.ledger_rows()) {
        tracing::error!(error = %e, rows = rows.len(), "verdicts could not be written to the ledger's file");
    }
}

/// Reads the log back; gives how many records there were and the verdicts that came to stand meanwhile.
fn read_back(core: &mut Core, log: &mut Log) -> Result<(u64, Vec<Arc<Restart>>), WalError> {
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
    let records = log.replay(|record: Record| {
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
    Ok((records, settled))
}
