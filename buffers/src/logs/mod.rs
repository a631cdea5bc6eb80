//! Log lines: staged push by push, published in batches, merged into larger ones, dropped when old.

mod batch;
mod level;
mod seconds;
mod streams;
mod unit;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use whyd_signals::sink::Refusal;
use whyd_signals::{StreamId, TemplateId, Timestamp};

use batch::Filling;
pub use batch::LineRun;
pub(crate) use batch::{Batch, Line, ahead};
pub use level::{Level, Levels};
pub use seconds::Seconds;
pub use streams::StreamMeta;
pub(crate) use streams::{Lookup, Streams};
pub(crate) use unit::is_another;

use crate::hash::{FixedState, HashedState, hash};
use crate::seal::Durable;

/// How many batches of one tier are merged into one of the next.
const MERGE: usize = 8;
/// Stored lines of one stream and time that a new one is compared with one by one.
const CROWD: usize = 64;
/// Repeated lines of one push whose room is kept for the next.
const KEPT_ROOM: usize = 1 << 16;
/// Bytes that a merged batch has at most. A stream should have some lines in each: what is looked for in a batch of thousands
/// of streams is found stream by stream.
const LARGE: usize = 32 << 20;

/// A log line with what it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub ts: Timestamp,
    /// The line itself.
    pub line: String,
    /// How bad it says it is.
    pub level: Level,
    /// Its template, in its team's tree.
    pub template_id: TemplateId,
    /// The namespace, or empty.
    pub namespace: Arc<str>,
    /// The pod, or empty.
    pub pod: Arc<str>,
    /// The container, or empty.
    pub container: Arc<str>,
}

/// A log line where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRef<'a> {
    /// When it was written.
    pub ts: Timestamp,
    /// The line itself.
    pub line: &'a str,
    /// How bad it says it is.
    pub level: Level,
    /// Its template, in its team's tree.
    pub template_id: TemplateId,
    /// The stream it is of.
    pub stream: StreamId,
}

impl<'a> From<Line<'a>> for LineRef<'a> {
    fn from(l: Line<'a>) -> Self {
        Self { ts: Timestamp(l.ts), line: l.text, level: l.level, template_id: l.template, stream: StreamId(l.stream) }
    }
}

/// The lines of the push that is being decoded.
#[derive(Default)]
struct Staging {
    filling: Filling,
    /// What is asked for each line of the stream that came last.
    current: Option<Current>,
    /// How often each line that may have come before came in this push, stored or not.
    seen: HashMap<u64, u32, HashedState>,
    /// Of streams and times with many lines, how often each text is stored.
    crowds: HashMap<(u32, i64), HashMap<u64, u32, HashedState>, FixedState>,
    key: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Current {
    stream: u32,
    /// The newest line that earlier pushes brought.
    last: i64,
    said: Level,
    detected: Level,
}

impl Current {
    /// How bad a line is. What the sender says of it holds, as it does in Loki: it knows its own format.
    fn level_of(&self, text: &str) -> Level {
        let of = |text| Level::of(text).known().unwrap_or(self.detected);
        self.said.known().unwrap_or_else(|| of(text))
    }
}

/// What became of a line.
pub(crate) enum Kept {
    New,
    /// It was stored by an earlier push.
    Repeated,
}

/// The writer's lines.
#[derive(Default)]
pub(crate) struct LogStore {
    pub(crate) streams: Streams,
    batches: Arc<Vec<Arc<Batch>>>,
    /// When the lines of what is published were written.
    seconds: Arc<Seconds>,
    /// Staged and not yet published, each with the number of its staging.
    pending: VecDeque<(u64, Batch)>,
    staging: Staging,
    /// Lines and bytes of the last push.
    last_push: (usize, usize),
    arrivals: u64,
    lines: u64,
    bytes: usize,
    /// Of what is published next.
    generation: u32,
}

/// Up to when lines are accepted, from when the push was received.
pub(crate) struct Bounds {
    /// Older than this is too old, unless its stream is behind as a whole.
    pub(crate) oldest: i64,
    /// Newer than this is too new.
    pub(crate) newest: i64,
    /// How far a line may be behind its own stream.
    pub(crate) lateness: i64,
    /// Whether an earlier judgement is to be followed.
    pub(crate) obey: bool,
}

impl LogStore {
    /// Stages one line.
    ///
    /// The n-th of equal lines in one push is the n-th of those stored before: a push that is sent again adds nothing,
    /// while two equal lines in one push are two.
    pub(crate) fn line(&mut self, stream: u32, ts: i64, text: &str, bounds: &Bounds) -> Result<Kept, Refusal> {
        if ts > bounds.newest && !bounds.obey {
            return Err(Refusal::TooNew);
        }
        let current = self.current(stream).ok_or(Refusal::InvalidLabels)?;
        // What is newer than all of its stream came never before.
        if ts <= current.last && self.is_repeated(stream, ts, text) {
            return Ok(Kept::Repeated);
        }
        if !bounds.obey && ts < bounds.oldest && ts < current.last.saturating_sub(bounds.lateness) {
            return Err(Refusal::TooOld);
        }
        if self.staging.filling.is_empty() {
            self.staging.filling = Filling::like(self.last_push);
        }
        self.staging.filling.push(stream, ts, current.level_of(text), text);
        Ok(Kept::New)
    }

    fn current(&mut self, stream: u32) -> Option<Current> {
        if let Some(current) = self.staging.current.filter(|c| c.stream == stream) {
            return Some(current);
        }
        let slot = self.streams.registry.slot(stream)?;
        self.staging.current =
            Some(Current { stream, last: slot.last, said: slot.about.said, detected: slot.about.detected });
        self.staging.current
    }

    /// Whether this line, of a time that earlier pushes reached, is one that they brought; counts it.
    fn is_repeated(&mut self, stream: u32, ts: i64, text: &str) -> bool {
        let stored = self.stored(stream, ts, text);
        let staging = &mut self.staging;
        staging.key.clear();
        staging.key.extend_from_slice(&stream.to_le_bytes());
        staging.key.extend_from_slice(&ts.to_le_bytes());
        staging.key.extend_from_slice(text.as_bytes());
        let before = staging.seen.entry(hash(&staging.key)).or_default();
        *before = before.saturating_add(1);
        *before <= stored
    }

    /// How many such lines earlier pushes brought.
    fn stored(&mut self, stream: u32, ts: i64, text: &str) -> u32 {
        let Self { pending, batches, staging, .. } = self;
        if let Some(crowd) = staging.crowds.get(&(stream, ts)) {
            return crowd.get(&hash(text.as_bytes())).copied().unwrap_or_default();
        }
        let all = || pending.iter().map(|(_, b)| b).chain(batches.iter().rev().map(AsRef::as_ref));
        let near = || all().filter(|b| b.min_ts <= ts && ts <= b.max_ts);
        if near().map(|b| b.count(stream, ts)).sum::<usize>() <= CROWD {
            return near().map(|b| b.between(stream, ts, ts).filter(|l| l.text == text).count() as u32).sum();
        }
        // Each line of this time would be compared with all of them.
        let mut crowd: HashMap<u64, u32, HashedState> = HashMap::default();
        near()
            .flat_map(|b| b.between(stream, ts, ts))
            .for_each(|l| *crowd.entry(hash(l.text.as_bytes())).or_default() += 1);
        let stored = crowd.get(&hash(text.as_bytes())).copied().unwrap_or_default();
        staging.crowds.insert((stream, ts), crowd);
        stored
    }

    /// Ends the push: what was staged waits to be published under this number. Returns how many lines.
    pub(crate) fn stage(&mut self, number: u64, received: i64) -> u64 {
        self.streams.commit();
        let filled = std::mem::take(&mut self.staging.filling);
        let (lines, _) = filled.size();
        if lines == 0 {
            self.forget_staging();
            return 0;
        }
        self.last_push = filled.size();
        let epoch = self.streams.registry.epoch;
        for (stream, newest) in filled.newest() {
            if let Some(slot) = self.streams.registry.slot_mut(stream) {
                slot.last = slot.last.max(newest);
                slot.epoch = epoch;
            }
        }
        self.pending.push_back((number, filled.finish(self.arrivals, (received, received))));
        self.arrivals += lines as u64;
        self.forget_staging();
        lines as u64
    }

    /// Forgets the push that is being decoded.
    pub(crate) fn rollback(&mut self) {
        self.forget_staging();
        self.streams.rollback();
    }

    fn forget_staging(&mut self) {
        self.staging.filling = Filling::default();
        self.staging.current = None;
        if self.staging.seen.capacity() > KEPT_ROOM {
            self.staging.seen = HashMap::default();
        }
        self.staging.seen.clear();
        self.staging.crowds = HashMap::default();
    }

    /// Forgets what waits to be published. A stream's newest time stays as it is: it only decides how much a later
    /// line is compared with.
    pub(crate) fn discard(&mut self) {
        self.rollback();
        self.pending.clear();
    }

    /// Publishes what was staged up to this number; `template` gives each line its template, asked stream by stream: of the
    /// number of its namespace, what tells its name, and the text.
    /// `widest` is the longest span of receive times that a batch may have.
    pub(crate) fn publish(
        &mut self,
        upto: u64,
        widest: i64,
        kept: Durable,
        mut template: impl FnMut(u32, &dyn Fn() -> Option<Arc<str>>, &str) -> TemplateId,
    ) -> Vec<Arc<Batch>> {
        let mut fresh = Vec::new();
        while self.pending.front().is_some_and(|(number, _)| *number <= upto) {
            let Some((_, mut batch)) = self.pending.pop_front() else { break };
            let registry = &self.streams.registry;
            let mut of: Option<(u32, u32)> = None;
            batch.set_templates(|stream, text| {
                if of.is_none_or(|(s, _)| s != stream) {
                    of = registry.slot(stream).map(|slot| (stream, slot.about.namespace));
                }
                let name = || registry.meta(stream).map(|meta| Arc::clone(&meta.namespace));
                of.map_or(TemplateId::default(), |(_, namespace)| template(namespace, &name, text))
            });
            batch.generation = self.generation;
            self.lines += batch.len() as u64;
            self.bytes += batch.bytes();
            self.heard(&batch);
            let batch = Arc::new(batch);
            fresh.push(Arc::clone(&batch));
            Arc::make_mut(&mut self.batches).push(batch);
            self.merge(widest, kept);
        }
        fresh
    }

    fn heard(&mut self, batch: &Batch) {
        let (registry, seconds) = (&self.streams.registry, Arc::make_mut(&mut self.seconds));
        for lines in batch.tallies() {
            if let Some(slot) = registry.slot(lines.stream) {
                seconds.take(slot.about.namespace, lines.ts);
            }
        }
    }

    /// When lines were written.
    pub(crate) fn seconds(&self) -> &Arc<Seconds> {
        &self.seconds
    }

    fn merge(&mut self, widest: i64, kept: Durable) {
        let batches = Arc::make_mut(&mut self.batches);
        while let Some(from) = batches.len().checked_sub(MERGE) {
            let Some(some) = batches.get(from..) else { return };
            let Some((tier, class)) = some.first().map(|b| (b.tier, kept.class(b.generation))) else { return };
            let generation = some.iter().map(|b| b.generation).max().unwrap_or(0);
            let span = some.iter().fold((i64::MAX, i64::MIN), |(a, b), s| (a.min(s.received.0), b.max(s.received.1)));
            let before: usize = some.iter().map(|b| b.bytes()).sum();
            let alike = some.iter().all(|b| b.tier == tier && kept.class(b.generation) == class);
            if !alike || before > LARGE || span.1.saturating_sub(span.0) > widest {
                return;
            }
            let some: Vec<&Batch> = some.iter().map(AsRef::as_ref).collect();
            let mut merged = Batch::merge(&some, span, tier + 1);
            merged.generation = generation;
            self.bytes = self.bytes - before + merged.bytes();
            batches.truncate(from);
            batches.push(Arc::new(merged));
        }
    }

    /// The lines from here on are of this generation, and lie in batches of their own until a checkpoint has them.
    pub(crate) fn begin_generation(&mut self, generation: u32) {
        self.generation = generation;
    }

    /// How many lines came so far.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// Goes on with these batches, in whatever order they were kept, after so many lines that came.
    pub(crate) fn resume(&mut self, mut batches: Vec<Arc<Batch>>, arrivals: u64) {
        batches.sort_by_key(|b| b.first_arrival());
        self.arrivals = arrivals;
        self.lines = batches.iter().map(|b| b.len() as u64).sum();
        self.bytes = batches.iter().map(|b| b.bytes()).sum();
        self.seconds = Arc::default();
        batches.iter().for_each(|batch| self.heard(batch));
        self.batches = Arc::new(batches);
    }

    /// Drops what was received before `horizon`; returns how many lines.
    pub(crate) fn drop_before(&mut self, horizon: i64) -> u64 {
        if self.batches.iter().all(|b| b.received.1 >= horizon) {
            return 0;
        }
        let before = self.lines;
        let (lines, bytes) = (&mut self.lines, &mut self.bytes);
        Arc::make_mut(&mut self.batches).retain(|b| {
            let keep = b.received.1 >= horizon;
            if !keep {
                *lines -= b.len() as u64;
                *bytes -= b.bytes();
            }
            keep
        });
        before - self.lines
    }

    /// Drops the batch received longest ago; returns its lines and bytes.
    pub(crate) fn drop_oldest(&mut self) -> Option<(u64, usize)> {
        let at = self.batches.iter().enumerate().min_by_key(|(_, b)| b.received.1)?.0;
        let batch = Arc::make_mut(&mut self.batches).remove(at);
        let (lines, bytes) = (batch.len() as u64, batch.bytes());
        self.lines -= lines;
        self.bytes -= bytes;
        Some((lines, bytes))
    }

    /// What readers may see.
    pub(crate) fn batches(&self) -> &Arc<Vec<Arc<Batch>>> {
        &self.batches
    }

    /// Lines held, published ones.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes held, those that wait included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.pending.iter().map(|(_, b)| b.bytes()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
