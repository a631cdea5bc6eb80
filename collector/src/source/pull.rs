//! What is asked for: a loop a source, which keeps the window filled from a Prometheus or a Loki.
//!
//! What is missing is what nothing was had of yet, so the start, a poll and a gap are one thing: the oldest missing
//! stretch is asked for, then the next ([`plan`]). Each answer becomes an envelope as every other input does. What was had
//! is read back from the log itself, so a restart goes on where the log ends.

mod endpoint;
mod loki;
mod plan;
mod query_range;
mod remote_read;
mod selector;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::Semaphore;
use whyd_signals::{Envelope, Media, Pulled, Range, Ranges, Timestamp};

pub use self::endpoint::Endpoint;
pub use self::plan::SILENCE;
use self::plan::{Next, Plan, Times};
pub use self::selector::{Selector, SelectorError};
pub use self::status::{PullStatus, PullStatuses};
use super::backoff::Backoff;
use crate::wire::asked::{Asked, Target};
use crate::{Clock, Inlet, Reply};

/// Bytes of one answer, or of one part of it where it comes in frames. A question whose answer is larger is asked for less.
const LARGEST: usize = 8 << 20;
/// Answers that are read at once, whatever the number of sources.
const AT_ONCE: usize = 8;
/// How long one question may take, its answer and handing that over included.
const QUESTION: Duration = Duration::from_secs(120);
/// What is not asked for in less.
const SHORTEST: Duration = Duration::from_secs(1);
/// After so many answers the pages are larger again.
const GROWS: u64 = 4;
/// How long to wait before a message that the inlet had no room for is sent again.
const OVERLOADED_PAUSE: Duration = Duration::from_millis(200);

/// A source that is asked.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Its name, and its tenant where it has several.
    pub of: Target,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What it is asked.
    pub question: Question,
    /// How often it is asked for what is new.
    pub interval: Duration,
    /// How far back it is asked.
    pub reach: Duration,
    /// How much of what was had is asked for a second time, since it may have come late. Zero: nothing.
    pub overlap: Duration,
    /// Whether it sends its metrics by itself, so that what came while any metrics were pushed is there.
    pub pushes: bool,
}

/// What a source is asked.
#[derive(Debug, Clone)]
pub enum Question {
    /// Prometheus' remote read: samples as they are stored.
    RemoteRead(Vec<Selector>),
    /// Prometheus' `query_range`: what the server makes of the samples at each step.
    QueryRange {
        /// What to select, each a query of its own.
        selectors: Vec<Selector>,
        /// Between two values of a series.
        step: Duration,
        /// Labels that every series is given that does not have them.
        labels: BTreeMap<String, String>,
    },
    /// Lines of Loki.
    Loki(String),
}

impl Question {
    /// Whether it is for log lines.
    pub fn is_of_logs(&self) -> bool {
        matches!(self, Self::Loki(_))
    }

    /// How old a time has to be for all of it to be there: a scrape is stored when it ends and bears the time at which it
    /// began.
    fn settle(&self) -> Duration {
        match self {
            Self::RemoteRead(_) => Duration::from_secs(15),
            // Those that are written to from elsewhere make up what is not there yet: VictoriaMetrics for 30 s.
            Self::QueryRange { .. } => Duration::from_secs(60),
            Self::Loki(_) => Duration::from_secs(3),
        }
    }

    fn span(&self) -> Duration {
        match self {
            Self::RemoteRead(_) => Duration::from_secs(1800),
            Self::QueryRange { step, .. } => query_range::span(*step),
            Self::Loki(_) => Duration::from_secs(3600),
        }
    }
}

/// What is there before anything is asked.
pub trait Known: Send + Sync {
    /// Of which times the log has whole answers of this source.
    fn had(&self, of: &Target) -> Ranges;
    /// When metrics were pushed by anybody.
    fn pushed(&self) -> Ranges;
}

/// What all loops share.
#[derive(Clone)]
pub struct Pulls {
    inlet: Inlet,
    clock: Clock,
    known: Arc<dyn Known>,
    statuses: PullStatuses,
    turns: Arc<Semaphore>,
}

impl Pulls {
    /// Loops that hand over to this inlet and tell of themselves there.
    pub fn new(inlet: Inlet, clock: Clock, known: Arc<dyn Known>, statuses: PullStatuses) -> Self {
        Self { inlet, clock, known, statuses, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Asks one source, for as long as the inlet is open. The caller owns the task. `seed` is for the pauses after
    /// failures, so that not all sources ask again at once.
    pub async fn run(self, pull: Pull, seed: u64) {
        let lacks = Lacks { since: None, told: false };
        let times = Times {
            reach: pull.reach,
            settle: if pull.pushes { plan::SILENCE } else { pull.question.settle() },
            interval: pull.interval,
            span: pull.question.span(),
            overlap: pull.overlap,
        };
        let plan = Plan::new(times, self.known.had(&pull.of));
        self.statuses.asks(&pull.of, pull.question.is_of_logs(), times.settle + pull.interval * 2);
        let door = Door { of: pull.of.clone(), shared: self };
        Loop { pull, plan, door, lacks, limit: loki::LIMIT, too_large: None, pages: 0, backoff: Backoff::new(seed) }
            .run()
            .await;
    }
}

/// Why a question has no answer.
#[derive(Debug, Error)]
enum PullError {
    /// There is no answer, or not that of a sound server.
    #[error("{0}")]
    Failed(String),
    /// The answer is larger than [`LARGEST`].
    #[error("the answer is over {} MiB, or a sixteenth of limits.memory, even for the shortest time; select less", LARGEST >> 20)]
    TooLarge,
    /// A page of fewer lines than there can be does not get beyond one timestamp.
    #[error("more lines of one timestamp than a page holds")]
    Crowded,
    /// The daemon stops.
    #[error("stopping")]
    Closed,
}

/// Since when a source cannot be asked.
struct Lacks {
    since: Option<Timestamp>,
    /// Whether the log says so.
    told: bool,
}

struct Loop {
    pull: Pull,
    plan: Plan,
    door: Door,
    lacks: Lacks,
    /// Lines of a page of Loki.
    limit: usize,
    /// From when on a page of so many lines was too large.
    too_large: Option<(Timestamp, usize)>,
    /// Answers so far.
    pages: u64,
    backoff: Backoff,
}

impl Loop {
    async fn run(mut self) {
        loop {
            let (now, shared) = (self.door.now(), &self.door.shared);
            let pushed = if self.pull.pushes { shared.known.pushed() } else { Ranges::default() };
            let missing = self.plan.missing(now, &pushed);
            shared.statuses.missing(&self.pull.of, &missing, self.plan.edge(now));
            // An answer that never comes does not keep away newer ones.
            let newest = self.backoff.failures() >= 3 && self.backoff.failures() % 2 == 1;
            let pause = match self.plan.next(now, &missing, newest) {
                Next::Wait(pause) => pause,
                Next::Ask(ask) => match self.ask(ask.range).await {
                    Ok(upto) => {
                        self.plan.had(ask, upto);
                        self.answered(now);
                        continue;
                    }
                    Err(PullError::Closed) => return,
                    Err(PullError::TooLarge) if self.narrow(ask.range) => continue,
                    Err(PullError::Crowded) => {
                        self.grow();
                        continue;
                    }
                    Err(why) => match self.failed(&why, &missing).await {
                        Ok(pause) => {
                            // What is wrong may be some of the time alone.
                            if self.backoff.failures() > 1 {
                                self.plan.narrow(ask.range, SHORTEST);
                            }
                            pause
                        }
                        Err(_) => return,
                    },
                },
            };
            if self.door.shared.inlet.is_closed() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Up to when the answer reaches. A source that answers too slowly has failed: it keeps its turn from no other.
    async fn ask(&self, range: Range) -> Result<Timestamp, PullError> {
        let _turn = self.door.shared.turns.acquire().await.map_err(|_| PullError::Closed)?;
        let slow = |_| PullError::Failed(format!("no whole answer within {} s", QUESTION.as_secs()));
        tokio::time::timeout(QUESTION, self.ask_now(range)).await.map_err(slow)?
    }

    async fn ask_now(&self, range: Range) -> Result<Timestamp, PullError> {
        let (endpoint, door) = (&self.pull.endpoint, &self.door);
        match &self.pull.question {
            Question::RemoteRead(selectors) => remote_read::ask(endpoint, selectors, range, door).await,
            Question::QueryRange { selectors, step, labels } => {
                query_range::ask(endpoint, selectors, (*step, labels), range, door).await
            }
            Question::Loki(query) => {
                let page = (self.limit, self.may_grow(range.from));
                loki::ask(endpoint, query, page, range, door).await
            }
        }
    }

    fn answered(&mut self, asked: Timestamp) {
        self.backoff.succeeded();
        self.plan.widen();
        self.pages += 1;
        if self.pages.is_multiple_of(GROWS) {
            self.grow();
        }
        if let Some(since) = self.lacks.since.take() {
            if self.lacks.told {
                tracing::info!(source = self.pull.of.to_string(), "source answers again");
            }
            self.lacks.told = false;
            self.plan.is_back(since, asked);
        }
        self.door.shared.statuses.answered(&self.pull.of, self.door.now());
    }

    /// Whether a larger page from this time on is worth a try: it was not too large already, or the two would take turns
    /// for ever.
    fn may_grow(&self, from: Timestamp) -> bool {
        let fits = |(at, limit)| at != from || self.limit * 2 < limit;
        self.limit < loki::LIMIT && self.too_large.is_none_or(fits)
    }

    /// Asks for larger pages from here on.
    fn grow(&mut self) {
        self.limit = (self.limit * 2).min(loki::LIMIT);
    }

    /// Asks for less the next time, where it can.
    fn narrow(&mut self, asked: Range) -> bool {
        match &self.pull.question {
            Question::Loki(_) if self.limit > 1 => {
                self.too_large = Some((asked.from, self.limit));
                self.limit /= 2;
                true
            }
            Question::QueryRange { step, .. } => self.plan.narrow(asked, *step),
            Question::RemoteRead(_) => self.plan.narrow(asked, Duration::from_secs(1)),
            Question::Loki(_) => false,
        }
    }

    /// Says so, and gives how long to wait. A lack that lasts is told in the log, so that verdicts know of it.
    async fn failed(&mut self, why: &PullError, missing: &Ranges) -> Result<Duration, PullError> {
        let now = self.door.now();
        let source = self.pull.of.to_string();
        tracing::warn!(source, error = %why, "source cannot be asked");
        self.door.shared.statuses.failed(&self.pull.of, now, &why.to_string());
        let since = *self.lacks.since.get_or_insert(now);
        if !self.lacks.told
            && now >= since.plus(self.pull.interval * 2)
            && let Some(oldest) = missing.first()
        {
            let logs = self.pull.question.is_of_logs();
            let what = if logs { Pulled::NoLogs } else { Pulled::NoMetrics };
            self.door.deliver(what, Range::new(oldest.from, now), false, &Bytes::new()).await?;
            self.lacks.told = true;
        }
        Ok(self.backoff.failed())
    }
}

/// One source's way to the core.
struct Door {
    of: Target,
    shared: Pulls,
}

impl Door {
    fn now(&self) -> Timestamp {
        (self.shared.clock)()
    }

    /// A question is about to be sent.
    fn asks(&self) {
        self.shared.statuses.asked(&self.of);
    }

    async fn deliver(&self, what: Pulled, range: Range, whole: bool, answer: &[u8]) -> Result<(), PullError> {
        self.deliver_with(&BTreeMap::new(), what, range, whole, answer).await
    }

    /// Hands an answer over, with what was asked before it. Waits while the inlet is full: nothing is skipped.
    async fn deliver_with(
        &self,
        labels: &BTreeMap<String, String>,
        what: Pulled,
        range: Range,
        whole: bool,
        answer: &[u8],
    ) -> Result<(), PullError> {
        let mut body = Asked { of: self.of.clone(), range, whole, labels: labels.clone() }.line();
        body.extend_from_slice(answer);
        let body = Bytes::from(body);
        self.shared.statuses.received(&self.of, answer.len() as u64);
        loop {
            let media = Media::Pulled(what);
            let envelope = Envelope { received: self.now(), media, tenant: None, body: body.clone() };
            match self.shared.inlet.send(envelope).await {
                // What is over a quota stays so, however often it is asked for.
                Reply::Stored(_) | Reply::Partial { .. } | Reply::OverQuota(_) => return Ok(()),
                Reply::Invalid(why) => return Err(PullError::Failed(why)),
                Reply::TooLarge(_) => return Err(PullError::TooLarge),
                Reply::Overloaded(_) if self.shared.inlet.is_closed() => return Err(PullError::Closed),
                Reply::Overloaded(_) => tokio::time::sleep(OVERLOADED_PAUSE).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
