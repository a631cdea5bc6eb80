//! One Alertmanager: its own queue and its own worker, so that one that is dead or slow delays no other.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::outbox::{BATCH, Batch, TOLD};

/// Batches that wait: two rounds of all alerts. When it is full the oldest goes, which a newer one repeats anyway.
const WAITING: usize = 2 * TOLD.div_ceil(BATCH);
/// The pauses between attempts double from the first to the last of these.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How a peer answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has them all.
    Taken,
    /// It took some or none, and will say the same of the same body: its status and words.
    Refused(String),
    /// It may take them later, or could not be reached.
    Later(String),
}

/// Posts a body to one peer.
pub trait Transport: Send + Sync + 'static {
    /// One attempt; it is dropped when it takes too long.
    fn post(&self, body: Bytes) -> impl Future<Output = Answer> + Send;
}

/// One Alertmanager.
#[derive(Debug)]
pub struct Peer {
    /// Its name in logs and metrics: the URL, which holds no credentials.
    pub name: String,
    waiting: Mutex<VecDeque<(Batch, Instant)>>,
    bell: Notify,
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// What a peer's worker did, in alerts, and how many batches wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub sent: u64,
    pub failed: u64,
    pub dropped: u64,
    pub waiting: usize,
}

impl Peer {
    /// A peer to which nothing was sent yet.
    pub fn new(name: String) -> Self {
        let count = || AtomicU64::new(0);
        let waiting = Mutex::default();
        Self { name, waiting, bell: Notify::new(), sent: count(), failed: count(), dropped: count() }
    }

    /// Queues a batch, which need not be sent any more after `until`: by then its alerts are sent anew. Never waits.
    pub fn put(&self, batch: Batch, until: Instant) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING
            && let Some((oldest, _)) = waiting.pop_front()
        {
            add(&self.dropped, oldest.alerts);
        }
        waiting.push_back((batch, until));
        drop(waiting);
        self.bell.notify_one();
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
        Counts { sent: of(&self.sent), failed: of(&self.failed), dropped: of(&self.dropped), waiting }
    }

    /// Sends what is queued, in order; never returns.
    pub async fn run(&self, transport: &impl Transport) {
        let mut reachable = true;
        loop {
            let (batch, until) = self.next().await;
            match self.send(&batch, until, transport, &mut reachable).await {
                Some(Answer::Taken) => add(&self.sent, batch.alerts),
                Some(Answer::Refused(why)) => {
                    add(&self.failed, batch.alerts);
                    tracing::warn!(peer = self.name, alerts = batch.alerts, why, "alerts were not all taken");
                }
                // It was said when it began.
                Some(Answer::Later(_)) => add(&self.failed, batch.alerts),
                None => add(&self.dropped, batch.alerts),
            }
        }
    }

    async fn next(&self) -> (Batch, Instant) {
        loop {
            let rung = self.bell.notified();
            let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(first) = first {
                return first;
            }
            rung.await;
        }
    }

    /// Tries until it is taken or refused, or its time is over; `None` where it was over before the first attempt.
    async fn send(
        &self,
        batch: &Batch,
        until: Instant,
        transport: &impl Transport,
        reachable: &mut bool,
    ) -> Option<Answer> {
        let mut pause = PAUSES.0;
        let mut last = None;
        while Instant::now() < until {
            let limit = until.min(Instant::now() + ATTEMPT);
            let answer = timeout_at(limit, transport.post(batch.body.clone())).await;
            let why = match answer.unwrap_or_else(|_| Answer::Later("no answer in time".to_owned())) {
                Answer::Later(why) => why,
                answer => {
                    if !*reachable {
                        tracing::info!(peer = self.name, "it takes alerts again");
                    }
                    *reachable = true;
                    return Some(answer);
                }
            };
            if *reachable {
                tracing::warn!(peer = self.name, why, "it takes no alerts; trying again");
            }
            *reachable = false;
            last = Some(Answer::Later(why));
            sleep_until(until.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
        last
    }
}

fn add(count: &AtomicU64, alerts: usize) {
    count.fetch_add(alerts as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
