//! The one door to the core: a queue bounded in messages and in bytes.
//!
//! When either bound is reached a message is refused as [`Reply::Overloaded`] and counted; nothing waits.
//! A message's bytes are given back when it is answered, so what the core still holds counts as well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use whyd_signals::Envelope;
use whyd_signals::sink::Refusal;

use crate::source::TurnedAway;

/// How much of a message the sender is told to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Samples, lines or objects that are durable, now or since before, or whose twins of the elected replica are.
    pub rows: u64,
    /// Of these, samples of a replica that is not the elected one.
    pub deduplicated: u64,
    /// Native histograms that are sound. The log has them, no table does.
    pub histograms: u64,
    /// Exemplars. The log has them, no table does.
    pub exemplars: u64,
}

impl Written {
    /// Rows alone.
    pub const fn rows(rows: u64) -> Self {
        Self { rows, deduplicated: 0, histograms: 0, exemplars: 0 }
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Durable as a whole.
    Stored(Written),
    /// Durable but for what was refused.
    Partial {
        /// What is durable.
        written: Written,
        /// How much is not, by reason.
        refused: BTreeMap<Refusal, u64>,
        /// How many of what the sender counts by had something refused: points or records for OTLP, else rows.
        rejected: u64,
    },
    /// Unreadable; nothing of it was kept, and sending it again is of no use.
    Invalid(String),
    /// Over a limit of size; nothing of it was kept, and sending it again is of no use.
    TooLarge(String),
    /// Not now; nothing of it was kept, and it may be sent again.
    Overloaded(String),
    /// Nothing of it was kept: all of it was over the quota of a team.
    OverQuota(String),
}

impl Reply {
    /// Why it was turned away as a whole; `None` where any of it may have been kept.
    pub(crate) fn turned_away(&self) -> Option<TurnedAway> {
        match self {
            Self::Stored(_) | Self::Partial { .. } => None,
            Self::Invalid(_) => Some(TurnedAway::Malformed),
            Self::TooLarge(_) => Some(TurnedAway::TooLarge),
            Self::Overloaded(_) => Some(TurnedAway::Overloaded),
            Self::OverQuota(_) => Some(TurnedAway::TeamQuota),
        }
    }
}

/// The bounds of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InletLimits {
    /// Messages waiting.
    pub messages: usize,
    /// Bytes of messages being received, waiting or not yet answered.
    pub bytes: usize,
}

impl Default for InletLimits {
    fn default() -> Self {
        Self { messages: 1024, bytes: 128 << 20 }
    }
}

/// What the inlet did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InletCounts {
    /// Messages taken.
    pub accepted: u64,
    /// Messages refused because too many were waiting.
    pub full_of_messages: u64,
    /// Messages refused because too many bytes were held.
    pub full_of_bytes: u64,
    /// Bytes held now.
    pub bytes: u64,
    /// Bytes that may be held.
    pub limit: u64,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    full_of_messages: AtomicU64,
    full_of_bytes: AtomicU64,
}

/// Bytes of a body that do not count against the half of those that are not whole: what nearly everybody sends at a time
/// comes through beside those who hold much.
const SMALL: usize = 64 << 10;

/// Why nothing is taken for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Hold {
    /// The log is still being read back.
    Replay = 1,
    /// What time it is, is in doubt.
    Clock = 2,
}

impl Hold {
    fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "the log is still being read back",
            Self::Clock => "the clock of whyd's machine leapt, and whether that stands shows within a minute",
        }
    }
}

/// The senders' side.
#[derive(Debug, Clone)]
pub struct Inlet {
    queue: mpsc::Sender<Delivery>,
    bytes: Arc<Semaphore>,
    /// Half of the bytes, for bodies that are not whole and larger than [`SMALL`]: they leave the rest to the small ones, and
    /// to what is whole, whoever sends them how slowly.
    unfinished: Arc<Semaphore>,
    limit: usize,
    counters: Arc<Counters>,
    /// A bit of each [`Hold`].
    held: Arc<AtomicU8>,
}

/// What the inlet shows of itself. Unlike an [`Inlet`] it keeps no queue open.
#[derive(Debug, Clone)]
pub struct InletGauge {
    bytes: Arc<Semaphore>,
    limit: usize,
    counters: Arc<Counters>,
}

impl InletGauge {
    /// What it did so far.
    pub fn counts(&self) -> InletCounts {
        let c = &self.counters;
        InletCounts {
            accepted: c.accepted.load(Ordering::Relaxed),
            full_of_messages: c.full_of_messages.load(Ordering::Relaxed),
            full_of_bytes: c.full_of_bytes.load(Ordering::Relaxed),
            bytes: self.limit.saturating_sub(self.bytes.available_permits()) as u64,
            limit: self.limit as u64,
        }
    }
}

/// One message and the way to answer it.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub envelope: Envelope,
    /// Its answer; dropped unanswered it tells the sender to try again.
    pub responder: Responder,
}

/// Answers one message and gives its bytes back.
#[derive(Debug)]
pub struct Responder {
    answer: oneshot::Sender<Reply>,
    _room: Room,
}

impl Responder {
    /// Answers; a sender that has gone away does not matter.
    pub fn reply(self, reply: Reply) {
        let _ = self.answer.send(reply);
    }
}

/// Bytes of the bound that one message holds.
#[derive(Debug)]
pub struct Room {
    held: OwnedSemaphorePermit,
    /// Of the share of bodies that are not whole, while this is one.
    unfinished: Option<OwnedSemaphorePermit>,
    inlet: Inlet,
}

impl Room {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// Those of [`Inlet::room`]; what was held stays held until this is dropped.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Reply> {
        let unfinished = match &self.unfinished {
            Some(_) => Some(self.inlet.permit_unfinished(self.held.num_permits(), bytes)?),
            None => None,
        };
        self.held.merge(self.inlet.permit(self.held.num_permits(), bytes)?);
        if let Some((all, more)) = self.unfinished.as_mut().zip(unfinished) {
            all.merge(more);
        }
        Ok(())
    }

    /// All of the body is here.
    pub fn finish(&mut self) {
        self.unfinished = None;
    }

    /// Gives back what is held above `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        drop(self.held.split(self.held.num_permits().saturating_sub(bytes)));
    }
}

/// Opens the door: senders get the [`Inlet`], the core's driver the receiver.
pub fn inlet(limits: InletLimits) -> (Inlet, mpsc::Receiver<Delivery>) {
    let (queue, receiver) = mpsc::channel(limits.messages.max(1));
    // permits are taken as u32, which bounds the bytes at 4 GiB
    let limit = limits.bytes.min(u32::MAX as usize);
    let bytes = Arc::new(Semaphore::new(limit));
    let unfinished = Arc::new(Semaphore::new(limit.div_ceil(2)));
    (Inlet { queue, bytes, unfinished, limit, counters: Arc::default(), held: Arc::default() }, receiver)
}

impl Inlet {
    /// Room for a message of which `bytes` are known so far.
    ///
    /// # Errors
    /// [`Reply::Overloaded`], counted; [`Reply::TooLarge`] for what is over the bound by itself.
    pub fn room(&self, bytes: usize) -> Result<Room, Reply> {
        Ok(Room { held: self.permit(0, bytes)?, unfinished: None, inlet: self.clone() })
    }

    /// Room for a body that is about to come: [`Room::finish`] says that it has.
    ///
    /// # Errors
    /// Those of [`Inlet::room`].
    pub fn receiving(&self) -> Result<Room, Reply> {
        Ok(Room { unfinished: Some(self.permit_unfinished(0, 0)?), ..self.room(0)? })
    }

    /// Hands a message over and waits for its answer.
    pub async fn send(&self, envelope: Envelope) -> Reply {
        match self.room(envelope.body.len()) {
            Ok(room) => self.send_in(room, envelope).await,
            Err(reply) => reply,
        }
    }

    /// [`Inlet::send`] for a message that has its room already.
    pub async fn send_in(&self, room: Room, envelope: Envelope) -> Reply {
        let (answer, answered) = oneshot::channel();
        let delivery = Delivery { envelope, responder: Responder { answer, _room: room } };
        match self.queue.try_send(delivery) {
            Ok(()) => {
                self.counters.accepted.fetch_add(1, Ordering::Relaxed);
                answered.await.unwrap_or_else(|_| Reply::Overloaded("stopping".into()))
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.counters.full_of_messages.fetch_add(1, Ordering::Relaxed);
                Reply::Overloaded("too many messages waiting".into())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Reply::Overloaded("stopping".into()),
        }
    }

    /// Takes nothing until [`Inlet::open`]: nobody waits for what is not there yet.
    pub fn hold(&self, why: Hold) {
        self.held.fetch_or(why as u8, Ordering::AcqRel);
    }

    /// That is no reason any more.
    pub fn open(&self, why: Hold) {
        self.held.fetch_and(!(why as u8), Ordering::AcqRel);
    }

    /// Why nothing is taken, if so.
    pub fn held(&self) -> Option<&'static str> {
        let held = self.held.load(Ordering::Acquire);
        [Hold::Replay, Hold::Clock].into_iter().find(|why| held & *why as u8 != 0).map(Hold::as_str)
    }

    /// Whether the core takes no more messages.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Shows what it does, for as long as anybody looks.
    pub fn gauge(&self) -> InletGauge {
        InletGauge { bytes: Arc::clone(&self.bytes), limit: self.limit, counters: Arc::clone(&self.counters) }
    }

    /// What it did so far.
    pub fn counts(&self) -> InletCounts {
        self.gauge().counts()
    }

    fn permit(&self, held: usize, more: usize) -> Result<OwnedSemaphorePermit, Reply> {
        if let Some(why) = self.held() {
            return Err(Reply::Overloaded(why.into()));
        }
        if held.saturating_add(more) > self.limit {
            return Err(Reply::TooLarge(format!("message is over the inlet's bound of {} bytes", self.limit)));
        }
        self.acquire(&self.bytes, more, "too many bytes waiting")
    }

    fn permit_unfinished(&self, held: usize, more: usize) -> Result<OwnedSemaphorePermit, Reply> {
        let (half, small) = (self.limit.div_ceil(2), SMALL.min(self.limit / 16));
        let counted = |bytes: usize| bytes.saturating_sub(small);
        let more = counted(held.saturating_add(more)) - counted(held);
        if counted(held).saturating_add(more) > half {
            return Err(Reply::TooLarge(format!("body is over half of the inlet's bound, {half} bytes")));
        }
        self.acquire(&self.unfinished, more, "too many bytes of bodies that are not whole")
    }

    fn acquire(&self, of: &Arc<Semaphore>, bytes: usize, full: &str) -> Result<OwnedSemaphorePermit, Reply> {
        u32::try_from(bytes).ok().and_then(|n| Arc::clone(of).try_acquire_many_owned(n).ok()).ok_or_else(|| {
            self.counters.full_of_bytes.fetch_add(1, Ordering::Relaxed);
            Reply::Overloaded(full.into())
        })
    }
}

#[cfg(test)]
mod tests;
