//! The synchronous core: one closed set of messages in, effects out. No IO, no clock, no task inside.
//!
//! Two drivers run it, the daemon's and that of replays; a test can be a third. An input is decoded into rows
//! beyond what readers see, goes to the log as an effect, and is published and acknowledged when the driver says
//! that the log is durable. A body that is malformed anywhere leaves no trace.

mod counters;
mod decode;
mod feed;
mod held;
mod message;
mod pulls;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use whyd_anomaly::Detectors;
use whyd_buffers::wal::Record;
use whyd_buffers::{Lacking, Mark, Snapshot, Staged, Writer};
use whyd_collector::inlet::{Reply, Written};
use whyd_collector::wire;
use whyd_collector::wire::asked::{Asked, Target};
use whyd_correlate::ledger::Ledger;
use whyd_correlate::rules::Rules;
use whyd_signals::schema::{Incident, Restart};
use whyd_signals::sink::{Counts, DecodeError, Refusal};
use whyd_signals::{Access, Envelope, Hearing, Lsn, Media, Resource, Timestamp, Verb};

pub(crate) use crate::counters::SOURCES;
use crate::counters::is_lack;
pub use crate::counters::{Counters, source_name};
use crate::feed::Feed;
pub use crate::held::{Held, Rest};
pub use crate::message::{Effect, Message};
pub use crate::pulls::Pulls;

/// An input that waits for the log.
#[derive(Debug)]
pub(crate) struct Pending {
    lsn: Lsn,
    token: u64,
    mark: Mark,
    reply: Reply,
    media: Media,
    received: Timestamp,
    stored: u64,
    counts: Counts,
    /// Of an answer to a question of ours, the question.
    asked: Option<Asked>,
    /// Of what tells whether the cluster is heard, that.
    hearing: Option<Heard>,
}

/// Whether the cluster is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    UpTo(Timestamp),
    Lost,
}

impl Heard {
    /// What a record says; `None` of one that says other things, or nothing that can be read.
    fn of(envelope: &Envelope) -> Option<Self> {
        match envelope.media {
            Media::Hearing(Hearing::Heard) => {
                Timestamp::parse(std::str::from_utf8(&envelope.body).ok()?).map(Self::UpTo)
            }
            Media::Hearing(Hearing::Lost) => Some(Self::Lost),
            _ => None,
        }
    }
}

/// How the core is set up.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// The cluster's name; incident ids depend on it.
    pub cluster: String,
    /// How long evidence may come late.
    pub lateness: Duration,
    /// What people say about incidents.
    pub rules: Rules,
    /// How far back anything is kept.
    pub keep: Duration,
    /// Bytes for what is known from body to body of remote write 2.0.
    pub symbols: usize,
    /// The sources that are asked.
    pub pulls: BTreeSet<Target>,
    /// Those of them that push as well.
    pub pushing: BTreeSet<Target>,
}

/// Says how much processor time the calling thread has taken; `None` where that cannot be known.
pub type Stopwatch = Box<dyn Fn() -> Option<Duration> + Send>;

/// The only owner of the writer.
pub struct Core {
    pub(crate) writer: Writer,
    pub(crate) ledger: Ledger,
    pub(crate) detectors: Detectors,
    pub(crate) feed: Feed,
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) next: Lsn,
    pub(crate) failed: Option<String>,
    inflater: wire::inflate::Inflater,
    write2: wire::remote_write2::Scratch,
    pub(crate) counters: Counters,
    keep: Duration,
    pushing: BTreeSet<Target>,
    /// What readers are told to be missing.
    lacking: Lacking,
    stopwatch: Option<Stopwatch>,
}

impl Core {
    /// A core over an empty writer.
    pub fn new(config: &CoreConfig, writer: Writer, detectors: Detectors) -> Self {
        Self {
            writer,
            ledger: Ledger::new(&config.cluster, config.lateness, config.rules.clone()),
            detectors,
            feed: Feed::default(),
            pending: VecDeque::new(),
            next: Lsn(1),
            failed: None,
            inflater: wire::inflate::Inflater::default(),
            write2: wire::remote_write2::Scratch::new(config.symbols),
            counters: Counters { pulls: Arc::new(Pulls::new(&config.pulls)), ..Counters::default() },
            keep: config.keep,
            pushing: config.pushing.clone(),
            lacking: Lacking::default(),
            stopwatch: None,
        }
    }

    /// The same, with the time that detectors take measured: once for each message that is published, not for each row.
    #[must_use]
    pub fn timed(self, stopwatch: Stopwatch) -> Self {
        Self { stopwatch: Some(stopwatch), ..self }
    }

    /// What readers see now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.writer.snapshot()
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The buffers' own figures.
    pub fn stats(&self) -> whyd_buffers::Stats {
        self.writer.stats()
    }

    /// Verdicts reached so far, revisions included, and ledger rows lost to the bound.
    pub fn ledger_counts(&self) -> (u64, u64) {
        (self.ledger.judged, self.ledger.dropped)
    }

    /// All rows of the ledger.
    pub fn ledger_rows(&self) -> Arc<Vec<Arc<Restart>>> {
        self.ledger.rows()
    }

    /// The incidents that there would be under other rules, as of `at`.
    pub fn incidents_under(&self, rules: &Rules, at: Timestamp) -> Vec<Incident> {
        self.ledger.incidents_under(rules, at)
    }

    /// The detectors' own figures.
    pub fn detector_stats(&self) -> whyd_anomaly::Stats {
        self.detectors.stats()
    }

    /// Anomalies that were let go, there being too many.
    pub fn let_go_anomalies(&self) -> u64 {
        self.feed.let_go()
    }

    /// What is known of calls between workloads, as of some ticks ago.
    pub fn calls_known(&self) -> Arc<[whyd_anomaly::calls::CallsKnown]> {
        self.detectors.calls_known()
    }

    /// What is known of each watched series, as of some ticks ago, in parts that are shared.
    pub fn standings(&self) -> Vec<Arc<[whyd_anomaly::Standing]>> {
        self.detectors.standings()
    }

    /// All metrics that are watched.
    pub fn watch_list(&self) -> whyd_anomaly::WatchList {
        self.detectors.watch_list().clone()
    }

    /// Bytes held of what is known from body to body of remote write 2.0, and how often it was forgotten.
    pub fn symbols(&self) -> (usize, u64) {
        (self.write2.bytes(), self.write2.forgotten())
    }

    /// Whether a restart came that no tick has looked at: the sooner one comes, the sooner there is a verdict.
    pub fn has_new_restarts(&self) -> bool {
        self.ledger.has_new()
    }

    /// Takes in rows that stood before the log that will be read back; to be called before it is, and after
    /// [`Core::take_up`].
    pub fn restore(&mut self, rows: Vec<Restart>) {
        for row in rows.into_iter().filter(|row| !self.ledger.knows(row)).collect::<Vec<_>>() {
            self.ledger.restore(row);
        }
        self.writer.put_restarts(self.ledger.rows());
    }

    /// Goes on at this place of the log, which may lie behind the last record that was read.
    pub fn resume(&mut self, next: Lsn) {
        self.next = next;
    }

    /// One step. `at` is the driver's time.
    pub fn step(&mut self, at: Timestamp, message: Message) -> Vec<Effect> {
        match message {
            Message::Input { token, envelope } => self.input(token, envelope),
            Message::Durable(lsn) => self.durable(lsn),
            Message::LogFull => self.log_full(),
            Message::LogFailed(why) => self.log_failed(why),
            Message::Replayed(record) => self.replayed(&record),
            Message::Tick => self.tick(at),
        }
    }

    fn input(&mut self, token: u64, envelope: Envelope) -> Vec<Effect> {
        if let Some(why) = &self.failed {
            let reply = Reply::Overloaded(format!("the log cannot be written: {why}"));
            return vec![Effect::Reply { token, reply }];
        }
        self.writer.begin(envelope.received, None);
        let (counts, asked) = match self.decode(&envelope) {
            Ok(decoded) => decoded,
            Err(e) => {
                self.writer.rollback();
                self.counters.malformed += 1;
                return vec![Effect::Reply { token, reply: refusal(&e) }];
            }
        };
        if let Some(asked) = &asked
            && !self.writer.is_changing()
            && !self.counters.pulls.is_news(asked)
            && !is_lack(envelope.media)
        {
            // A second look that found nothing new is not worth a record.
            self.writer.rollback();
            return vec![Effect::Reply { token, reply: Reply::Stored(Written::rows(counts.rows)) }];
        }
        let only_unsound = counts.rows == 0 && counts.invalid_histograms > 0;
        if asked.is_none()
            && counts.histograms == 0
            && counts.exemplars == 0
            && let Some(refused) = self.writer.all_refused().or(only_unsound.then(BTreeMap::new))
        {
            // A flood of what is refused shall not push out of the log what is not.
            self.writer.rollback();
            return vec![Effect::Reply { token, reply: self.refused(&counts, refused) }];
        }
        let mut staged = self.writer.stage();
        if counts.invalid_histograms > 0 {
            staged.refused.insert(Refusal::InvalidHistogram, counts.invalid_histograms);
        }
        for (why, n) in &staged.refused {
            *self.counters.refused.entry(*why).or_default() += n;
        }
        let reply = answer(&counts, &staged);
        let lsn = self.next;
        self.next = lsn.next();
        let (mark, stored) = (staged.mark, staged.stored);
        let (media, received, hearing) = (envelope.media, envelope.received, Heard::of(&envelope));
        self.pending.push_back(Pending { lsn, token, mark, reply, media, received, stored, counts, asked, hearing });
        vec![Effect::Append(Record { lsn, envelope, refused: staged.bitmap })]
    }

    /// The answer to a body of which nothing is kept.
    fn refused(&mut self, counts: &Counts, mut refused: BTreeMap<Refusal, u64>) -> Reply {
        if counts.invalid_histograms > 0 {
            refused.insert(Refusal::InvalidHistogram, counts.invalid_histograms);
        }
        for (why, n) in &refused {
            *self.counters.refused.entry(*why).or_default() += n;
        }
        self.counters.truncated_alerts += counts.truncated_alerts;
        if refused.keys().eq([&Refusal::TeamLimit]) {
            let why = "a team has all the series or streams that it may have, and these are new: limits.seriesPerTeam, limits.streamsPerTeam";
            return Reply::OverQuota(why.into());
        }
        let rejected = counts.rejected.unwrap_or_else(|| refused.values().sum());
        Reply::Partial { written: Written::default(), refused, rejected }
    }

    fn durable(&mut self, lsn: Lsn) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(front) = self.pending.front()
            && front.lsn <= lsn
        {
            let Some(Pending { token, mark, reply, media, received, stored, counts, asked, hearing, .. }) =
                self.pending.pop_front()
            else {
                break;
            };
            if let Some(hearing) = hearing {
                self.hears(hearing);
            }
            self.count(media, received, stored, &counts);
            self.heard(media, received, asked.as_ref());
            if let Media::Kube(resource, Verb::Listed) = media {
                self.counters.listed.insert(resource);
            }
            self.publish(mark, received);
            effects.push(Effect::Reply { token, reply });
        }
        if !effects.is_empty() {
            effects.push(Effect::Changed);
        }
        effects
    }

    fn hears(&mut self, hearing: Heard) {
        match hearing {
            Heard::UpTo(at) => self.ledger.heard(at),
            Heard::Lost => self.ledger.lost(),
        }
    }

    /// When the cluster's pods were heard of last, if that is told at all, and whether they are lost since.
    pub fn last_heard(&self) -> Option<(Timestamp, bool)> {
        self.ledger.last_heard()
    }

    /// Nothing of what waits is in the log, so its places are free again.
    fn log_full(&mut self) -> Vec<Effect> {
        self.refuse_waiting("the log has no space: the volume of the data is full")
    }

    /// It is never tried again.
    fn log_failed(&mut self, why: String) -> Vec<Effect> {
        let refused = self.refuse_waiting(&format!("the log cannot be written: {why}"));
        self.failed = Some(why);
        refused
    }

    /// Nothing that waits was acknowledged, so nothing acknowledged is lost.
    fn refuse_waiting(&mut self, why: &str) -> Vec<Effect> {
        self.writer.discard();
        let waiting = std::mem::take(&mut self.pending);
        self.next = waiting.front().map_or(self.next, |p| p.lsn);
        let reply = Reply::Overloaded(why.to_owned());
        waiting.into_iter().map(|p| Effect::Reply { token: p.token, reply: reply.clone() }).collect()
    }

    fn replayed(&mut self, record: &Record) -> Vec<Effect> {
        self.next = record.lsn.next();
        self.writer.begin(record.envelope.received, Some(&record.refused));
        let Ok((counts, asked)) = self.decode(&record.envelope) else {
            // It was sound when it was logged; a newer decoder that disagrees must not lose the rest.
            self.writer.rollback();
            self.counters.malformed += 1;
            return Vec::new();
        };
        let staged = self.writer.stage();
        if let Some(hearing) = Heard::of(&record.envelope) {
            self.hears(hearing);
        }
        self.count(record.envelope.media, record.envelope.received, staged.stored, &counts);
        self.heard(record.envelope.media, record.envelope.received, asked.as_ref());
        self.publish(staged.mark, record.envelope.received);
        Vec::new()
    }

    /// Makes staged rows visible, which were received then, and shows them to those that follow: detectors, then ledger.
    fn publish(&mut self, mark: Mark, received: Timestamp) {
        let published = self.writer.publish(mark);
        let scoped = self.writer.snapshot().scoped(&Access::All);
        let began = self.stopwatch.as_ref().and_then(|read| read());
        let touched: BTreeSet<String> = self.feed.follow((&published, received), &scoped, &mut self.detectors);
        if let Some(began) = began
            && let Some(ended) = self.stopwatch.as_ref().and_then(|read| read())
        {
            *self.counters.detecting.get_or_insert_default() += ended.saturating_sub(began);
        }
        for namespace in &touched {
            self.ledger.touch(namespace);
        }
        for killed in self.feed.take_killed() {
            let container = (killed.pod_uid.as_str(), killed.container.as_str());
            self.ledger.child_killed(&killed.namespace, container, killed.at, killed.kills);
        }
        for applied in &published.objects {
            self.ledger.observe(applied, &scoped);
        }
    }

    fn tick(&mut self, at: Timestamp) -> Vec<Effect> {
        self.feed.tick(at, || self.writer.snapshot().scoped(&Access::All));
        self.feed.go_on(at, &mut self.detectors);
        let anomalies = self.feed.take_anomalies();
        let mut changed = anomalies.is_some();
        if let Some(rows) = anomalies {
            self.writer.put_anomalies(rows);
        }
        changed |= self.detectors.tick(at);
        if self.ledger.is_due(at) {
            let scoped = self.writer.snapshot().scoped(&Access::All);
            if self.ledger.evaluate(at, &scoped) {
                self.writer.put_restarts(self.ledger.rows());
                self.writer.put_incidents(self.ledger.incidents());
                changed = true;
            }
        }
        let listed = [Resource::Pods, Resource::Nodes].iter().all(|r| self.counters.listed.contains(r));
        if listed && !self.counters.caught_up && self.pending.is_empty() {
            self.counters.caught_up = true;
            changed = true;
        }
        self.counters.pushed.forget_before(at.minus(self.keep));
        if self.counters.pulls.is_past(at.minus(self.keep)) {
            Arc::make_mut(&mut self.counters.pulls).forget_before(at.minus(self.keep));
        }
        self.put_lacking();
        self.writer.seal(at);
        let mut effects = if changed { vec![Effect::Changed] } else { Vec::new() };
        let settled = self.ledger.take_settled();
        if !settled.is_empty() {
            effects.push(Effect::Settled(settled));
        }
        effects
    }
}

fn refusal(e: &DecodeError) -> Reply {
    match e {
        DecodeError::TooLarge { .. } => Reply::TooLarge(e.to_string()),
        _ => Reply::Invalid(e.to_string()),
    }
}

/// A repetition is there already, and so is what an elected replica's twin sends: to the sender both are written.
fn answer(counts: &Counts, staged: &Staged) -> Reply {
    let written = Written {
        rows: staged.stored + staged.repeated + staged.deduplicated,
        deduplicated: staged.deduplicated,
        histograms: counts.histograms,
        exemplars: counts.exemplars,
    };
    if staged.refused.is_empty() {
        Reply::Stored(written)
    } else {
        let rejected = counts.rejected.unwrap_or_else(|| staged.refused.values().sum());
        Reply::Partial { written, refused: staged.refused.clone(), rejected }
    }
}
