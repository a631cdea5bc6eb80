//! The newest samples: an append log of blocks of atomics, each row linked to its series' previous one.
//!
//! One writer appends beyond what readers were told of. A row is never written twice: rows that are taken back are
//! marked dead and left behind, so a reader that came past one still finds its way.

mod crowded;

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crowded::{Crowded, LONG};

/// Series whose heads are allocated together.
const PAGE: usize = 1024;
/// How many pages of new series a block has room for.
const SLACK: usize = 256;
/// The series of a row that was taken back.
const DEAD: u32 = u32::MAX;
/// Rows of a block when there are few series.
const SMALL: usize = 1 << 16;
/// Rows of a block at most.
const LARGE: usize = 1 << 21;
/// Rows of a block at least.
const TINY: usize = 1 << 10;

#[derive(Default)]
struct Row {
    series: AtomicU32,
    /// The series' previous row in this block, counted from one; zero where there is none.
    prev: AtomicU32,
    ts: AtomicI64,
    bits: AtomicU64,
}

/// Rows in the order of their arrival, with the last row of each series.
pub(crate) struct Block {
    rows: Box<[Row]>,
    heads: Box<[OnceLock<Box<[AtomicU32]>>]>,
    min_ts: AtomicI64,
    max_ts: AtomicI64,
    /// How far a row is behind the newest one that its series had before it, at most: a row that came before another
    /// is newer than that by this much at most.
    behind: AtomicI64,
}

impl Block {
    fn new(rows: usize, series: u32) -> Self {
        Self {
            rows: std::iter::repeat_with(Row::default).take(rows).collect(),
            heads: (0..series as usize / PAGE + SLACK).map(|_| OnceLock::new()).collect(),
            min_ts: AtomicI64::new(i64::MAX),
            max_ts: AtomicI64::new(i64::MIN),
            behind: AtomicI64::new(0),
        }
    }

    fn head(&self, series: u32) -> Option<&AtomicU32> {
        self.heads.get(series as usize / PAGE)?.get()?.get(series as usize % PAGE)
    }

    /// Rows of one series among the first `visible`, the last to arrive first.
    fn chain(&self, series: u32, visible: u32) -> impl Iterator<Item = (i64, u64)> {
        // Acquire: the rows behind a head are whole.
        let mut at = self.head(series).map_or(0, |h| h.load(Ordering::Acquire));
        std::iter::from_fn(move || {
            while at != 0 {
                let row = self.rows.get(at as usize - 1)?;
                let hit = at <= visible && row.series.load(Ordering::Relaxed) == series;
                at = row.prev.load(Ordering::Relaxed);
                if hit {
                    return Some((row.ts.load(Ordering::Relaxed), row.bits.load(Ordering::Relaxed)));
                }
            }
            None
        })
    }

    /// The rows of a range in order of arrival, dead ones left out.
    pub(crate) fn rows(&self, range: std::ops::Range<u32>) -> impl Iterator<Item = (u32, i64, u64)> {
        self.rows.get(range.start as usize..range.end as usize).unwrap_or_default().iter().filter_map(|row| {
            let series = row.series.load(Ordering::Relaxed);
            let sample = (series, row.ts.load(Ordering::Relaxed), row.bits.load(Ordering::Relaxed));
            (series != DEAD).then_some(sample)
        })
    }

    /// The ids that series with rows may have.
    fn ids(&self) -> Option<std::ops::Range<u32>> {
        let used = |page: &OnceLock<_>| page.get().is_some();
        let (first, last) = (self.heads.iter().position(used)?, self.heads.iter().rposition(used)?);
        Some((first * PAGE) as u32..((last + 1) * PAGE) as u32)
    }

    fn bytes(&self) -> usize {
        let pages = self.heads.iter().filter(|p| p.get().is_some()).count();
        self.rows.len() * size_of::<Row>() + self.heads.len() * 24 + pages * PAGE * 4
    }
}

/// A block and how much of it may be seen.
#[derive(Clone)]
pub(crate) struct Visible {
    pub(crate) block: Arc<Block>,
    pub(crate) rows: u32,
    pub(crate) min_ts: i64,
    pub(crate) max_ts: i64,
    /// Between when its rows were received.
    pub(crate) received: (i64, i64),
    /// The checkpoint that is the first to hold them.
    pub(crate) generation: u32,
}

impl Visible {
    fn of(segment: &Segment, rows: u32) -> Self {
        let block = &segment.block;
        Self {
            block: Arc::clone(block),
            rows,
            received: segment.received,
            generation: segment.generation,
            min_ts: block.min_ts.load(Ordering::Relaxed),
            max_ts: block.max_ts.load(Ordering::Relaxed),
        }
    }

    /// The newest sample of a series at or before `at`.
    pub(crate) fn asof(&self, series: u32, at: i64) -> Option<(i64, u64)> {
        let behind = self.block.behind.load(Ordering::Relaxed);
        let mut best: Option<(i64, u64)> = None;
        for (ts, bits) in self.block.chain(series, self.rows) {
            if best.is_some_and(|(best, _)| ts.saturating_add(behind) <= best) {
                break;
            }
            if ts <= at && best.is_none_or(|(best, _)| ts > best) {
                best = Some((ts, bits));
            }
        }
        best
    }

    /// Appends the samples of a series from `from` to `to`, both included, in no particular order.
    pub(crate) fn collect(&self, series: u32, from: i64, to: i64, out: &mut Vec<(i64, u64)>) {
        out.extend(self.block.chain(series, self.rows).filter(|(ts, _)| (from..=to).contains(ts)));
    }

    /// The ids that series with rows here may have.
    pub(crate) fn ids(&self) -> Option<std::ops::Range<u32>> {
        self.block.ids()
    }

    /// All rows that may be seen.
    pub(crate) fn scan(&self) -> impl Iterator<Item = (u32, i64, u64)> {
        self.block.rows(0..self.rows)
    }
}

struct Segment {
    block: Arc<Block>,
    /// Number of its first row since the start.
    start: u64,
    /// When its first and its last row were received.
    received: (i64, i64),
    /// Rows of it that were taken back.
    dead: u64,
    generation: u32,
}

/// The writer's side.
pub(crate) struct Tail {
    segments: Vec<Segment>,
    /// Number of the next row.
    next: u64,
    published: u64,
    /// What the newest time of its series was, for each row from `published` on.
    undo: Vec<i64>,
    min_ts: i64,
    max_ts: i64,
    block_rows: usize,
    generation: u32,
    crowded: Crowded,
}

impl Tail {
    /// An empty tail whose blocks take about a quarter of `bytes` at most.
    pub(crate) fn new(bytes: usize) -> Self {
        let rows = (bytes / 4 / size_of::<Row>()).clamp(TINY, LARGE);
        let (segments, undo) = (Vec::new(), Vec::new());
        Self {
            segments,
            next: 0,
            published: 0,
            undo,
            min_ts: i64::MAX,
            max_ts: i64::MIN,
            block_rows: rows,
            generation: 1,
            crowded: Crowded::default(),
        }
    }

    /// The number of the next row.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The first row that is not published.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// Appends one row. `previous` is what the newest time of the series was before it.
    pub(crate) fn append(&mut self, series: u32, ts: i64, bits: u64, previous: i64, room: &Room) {
        let fits = self.segments.last().is_some_and(|s| {
            let room = ((self.next - s.start) as usize) < s.block.rows.len();
            room && series as usize / PAGE < s.block.heads.len() && s.generation == self.generation
        });
        if !fits {
            self.open(series, room);
        }
        let Some(segment) = self.segments.last_mut() else { return };
        let block = &*segment.block;
        let at = (self.next - segment.start) as usize;
        let Some((row, page)) = block.rows.get(at).zip(block.heads.get(series as usize / PAGE)) else { return };
        let page = page.get_or_init(|| std::iter::repeat_with(AtomicU32::default).take(PAGE).collect());
        let Some(head) = page.get(series as usize % PAGE) else { return };
        row.series.store(series, Ordering::Relaxed);
        row.prev.store(head.load(Ordering::Relaxed), Ordering::Relaxed);
        row.ts.store(ts, Ordering::Relaxed);
        row.bits.store(bits, Ordering::Relaxed);
        if ts < self.min_ts {
            self.min_ts = ts;
            block.min_ts.store(ts, Ordering::Relaxed);
        }
        if ts > self.max_ts {
            self.max_ts = ts;
            block.max_ts.store(ts, Ordering::Relaxed);
        }
        let behind = previous.saturating_sub(ts);
        if behind > 0 && behind > block.behind.load(Ordering::Relaxed) {
            block.behind.store(behind, Ordering::Relaxed);
        }
        self.crowded.add(series, ts, bits);
        head.store(at as u32 + 1, Ordering::Release);
        segment.received.1 = segment.received.1.max(room.received);
        self.undo.push(previous);
        self.next += 1;
    }

    fn open(&mut self, series: u32, room: &Room) {
        let rows = (room.series * 2).next_power_of_two().max(SMALL).min(self.block_rows);
        let block = Arc::new(Block::new(rows, series.max(room.ids)));
        let (received, generation) = ((room.received, room.received), self.generation);
        self.segments.push(Segment { block, start: self.next, received, dead: 0, generation });
        (self.min_ts, self.max_ts) = (i64::MAX, i64::MIN);
    }

    /// Takes back all rows from number `from` on; `restore` gets each one's series and the newest time before it.
    pub(crate) fn undo(&mut self, from: u64, mut restore: impl FnMut(u32, i64)) {
        let from = from.max(self.published);
        for number in (from..self.next).rev() {
            let Some(segment) = self.segments.iter_mut().rev().find(|s| s.start <= number) else { continue };
            let Some(row) = segment.block.rows.get((number - segment.start) as usize) else { continue };
            let series = row.series.swap(DEAD, Ordering::Relaxed);
            if series == DEAD {
                continue;
            }
            segment.dead += 1;
            self.crowded.remove(series, row.ts.load(Ordering::Relaxed));
            if let Some(head) = segment.block.head(series) {
                head.store(row.prev.load(Ordering::Relaxed), Ordering::Release);
            }
            if let Some(previous) = self.undo.get((number - self.published) as usize) {
                restore(series, *previous);
            }
        }
    }

    /// Lets readers see the rows before number `upto`; returns those that are new to them.
    pub(crate) fn publish(&mut self, upto: u64) -> Vec<(Arc<Block>, std::ops::Range<u32>)> {
        let upto = upto.clamp(self.published, self.next);
        let mut fresh = Vec::new();
        for (i, segment) in self.segments.iter().enumerate() {
            let (from, to) = (self.published.max(segment.start), upto.min(self.end(i)));
            if from < to {
                let rows = (from - segment.start) as u32..(to - segment.start) as u32;
                fresh.push((Arc::clone(&segment.block), rows));
            }
        }
        self.undo.drain(..(upto - self.published) as usize);
        self.published = upto;
        fresh
    }

    /// The rows from here on are of this generation, and lie in blocks of their own.
    pub(crate) fn begin_generation(&mut self, generation: u32) {
        self.generation = generation;
    }

    fn end(&self, segment: usize) -> u64 {
        self.segments.get(segment + 1).map_or(self.next, |s| s.start)
    }

    /// What readers may see.
    pub(crate) fn view(&self) -> Vec<Visible> {
        self.view_upto(self.published)
    }

    fn view_upto(&self, upto: u64) -> Vec<Visible> {
        let seen = self.segments.iter().enumerate().map(|(i, s)| (s, upto.min(self.end(i)).saturating_sub(s.start)));
        seen.filter(|(_, rows)| *rows > 0).map(|(s, rows)| Visible::of(s, rows as u32)).collect()
    }

    /// The value of exactly this sample, published or not.
    pub(crate) fn exact(&mut self, series: u32, ts: i64) -> Option<u64> {
        if self.crowded.knows(series) {
            return self.crowded.exact(series, ts);
        }
        let mut passed = 0;
        let found = self.segments.iter().rev().find_map(|s| {
            let (min, max) = (s.block.min_ts.load(Ordering::Relaxed), s.block.max_ts.load(Ordering::Relaxed));
            if ts < min || ts > max {
                return None;
            }
            let behind = s.block.behind.load(Ordering::Relaxed);
            let near = s.block.chain(series, u32::MAX).take_while(|(t, _)| t.saturating_add(behind) >= ts);
            near.inspect(|_| passed += 1).find(|(t, _)| *t == ts).map(|(_, bits)| bits)
        });
        // The next walk would be as long: of one series in no order each is.
        if passed >= LONG {
            let rows = self.segments.iter().flat_map(|s| s.block.chain(series, u32::MAX));
            self.crowded.fill(series, rows);
        }
        found
    }

    /// Rows held.
    pub(crate) fn rows(&self) -> u64 {
        let dead: u64 = self.segments.iter().map(|s| s.dead).sum();
        self.next - self.segments.first().map_or(self.next, |s| s.start) - dead
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.segments.iter().map(|s| s.block.bytes()).sum::<usize>() + self.crowded.bytes()
    }

    /// When the oldest row was received.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.segments.first().map(|s| s.received.0)
    }

    /// Takes out the blocks that are wholly published, so that they can be sealed. The last block is among them only
    /// `with_open`; then the next row opens another.
    pub(crate) fn take(&mut self, with_open: bool) -> Vec<Visible> {
        self.crowded.clear();
        let count = self.segments.len();
        let whole = (0..count).take_while(|i| self.end(*i) <= self.published && (with_open || i + 1 < count)).count();
        let ends: Vec<u64> = (0..whole).map(|i| self.end(i)).collect();
        let segments = self.segments.drain(..whole).zip(ends);
        segments.map(|(segment, end)| Visible::of(&segment, (end - segment.start) as u32)).collect()
    }
}

/// What a new block is sized by.
pub(crate) struct Room {
    /// How many series live.
    pub(crate) series: usize,
    /// The ids given so far.
    pub(crate) ids: u32,
    /// When the body was received.
    pub(crate) received: i64,
}

#[cfg(test)]
mod tests;
