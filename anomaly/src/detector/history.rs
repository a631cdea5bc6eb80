//! A series' past in constant memory: hours of it, thinned in time, with its quantiles and its separate extremes.
//!
//! The past is cut into cells of equal time; a cell keeps one of its values, drawn evenly, so that the spread of single
//! values survives the thinning. When the entries are full the cells double, up to [`MAX_LEVEL`], then the oldest go.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use crate::hash::fold;

const CELL_NS: i64 = 5_000_000_000;
const ENTRIES: usize = 64;
/// Cells of 320 s at most: 64 of them are 5.7 hours.
const MAX_LEVEL: u32 = 6;
/// Values without which nothing is usual.
const LEAST: usize = 8;
/// Extremes are kept for blocks of 60 cells (5 minutes), 32 of them (2 h 40).
const BLOCK_CELLS: u32 = 60;
const BLOCKS: usize = 32;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Entry {
    cell: u32,
    value: f32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Block {
    at: u32,
    low: f32,
    high: f32,
}

/// What was usual.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Usual {
    /// How many values this is made of.
    pub values: usize,
    /// The middle one.
    pub median: f64,
    /// A twentieth lies below.
    pub q05: f64,
    /// A quarter lies below.
    pub q25: f64,
    /// A quarter lies above.
    pub q75: f64,
    /// A twentieth lies above.
    pub q95: f64,
    /// Mean of the values, those above `q95` cut down to it.
    pub mean: f64,
    /// The highest value reached at two times at least five minutes apart.
    pub high: f64,
    /// The lowest value reached so.
    pub low: f64,
}

/// The past of one series.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    entries: Vec<Entry>,
    blocks: Vec<Block>,
    pending: Option<Entry>,
    in_cell: u32,
    level: u32,
    first: Option<Timestamp>,
    usual: Usual,
    since: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            blocks: Vec::new(),
            pending: None,
            in_cell: 0,
            level: 0,
            first: None,
            usual: Usual::default(),
            since: usize::MAX,
        }
    }
}

impl History {
    /// The most that one history takes, in bytes.
    pub const BYTES: usize = size_of::<Self>() + ENTRIES * size_of::<Entry>() + (BLOCKS + 1) * size_of::<Block>();

    /// What was usual up to the last closed cell, when that is at least `learning` of time and eight values.
    pub fn usual(&mut self, now: Timestamp, learning: Duration) -> Option<Usual> {
        let first = self.first?;
        if self.entries.len() < LEAST || now < first.plus(learning) {
            return None;
        }
        if self.since > self.entries.len() / 16 {
            self.refresh();
        }
        Some(self.usual)
    }

    /// When there will be `learning` of time and the least number of values, if they come as they did. `None` before the first.
    pub fn learnt_by(&self, learning: Duration) -> Option<Timestamp> {
        let first = self.first?;
        let cell = |entry: &Entry| Timestamp(i64::from(entry.cell).saturating_mul(CELL_NS));
        let (Some(oldest), Some(newest)) = (self.entries.first(), self.pending.as_ref()) else {
            return Some(first.plus(learning));
        };
        let values = self.entries.len();
        let apart = cell(newest).seconds_since(cell(oldest)) / values as f64;
        let left = (LEAST + 1).saturating_sub(values) as f64 * apart;
        let enough = cell(newest).plus(Duration::try_from_secs_f64(left).unwrap_or_default());
        Some(first.plus(learning).max(if values < LEAST { enough } else { first }))
    }

    /// Adds a finite value. Values are expected in order of time; an older one counts for the current cell.
    pub fn push(&mut self, ts: Timestamp, value: f64) {
        let cell = cell_of(ts);
        let value = value as f32;
        self.first.get_or_insert(ts);
        self.extend_blocks(cell, value);
        match &mut self.pending {
            Some(pending) if cell >> self.level <= pending.cell >> self.level => {
                self.in_cell += 1;
                // Every value of the cell is kept with the same chance, and the draw is a function of its time.
                if fold(ts.0 as u64 ^ 0x5bd1_e995, 0xd6e8_feb8_6659_fd93).is_multiple_of(u64::from(self.in_cell)) {
                    pending.value = value;
                }
            }
            pending => {
                let closed = pending.replace(Entry { cell, value });
                self.in_cell = 1;
                if let Some(closed) = closed {
                    self.close(closed);
                }
            }
        }
    }

    /// The clock was ahead, and it is this time: no cell or block that is not there yet takes what comes. What was usual
    /// then still is.
    pub(crate) fn set_back(&mut self, now: Timestamp) {
        let cell = cell_of(now);
        self.pending = self.pending.filter(|pending| pending.cell <= cell);
        self.blocks.retain(|block| block.at <= cell / BLOCK_CELLS);
        self.first = self.first.map(|first| first.min(now));
    }

    fn close(&mut self, entry: Entry) {
        while self.entries.len() >= ENTRIES && self.level < MAX_LEVEL {
            self.level += 1;
            self.thin();
        }
        let oldest = (entry.cell >> MAX_LEVEL).saturating_sub(ENTRIES as u32);
        let gone = self.entries.iter().take_while(|e| e.cell >> MAX_LEVEL < oldest).count();
        let full = usize::from(self.entries.len() >= ENTRIES);
        self.entries.drain(..gone.max(full));
        self.entries.push(entry);
        self.since = self.since.saturating_add(1);
    }

    /// Keeps one entry of each cell at the new level, either with the same chance.
    fn thin(&mut self) {
        let level = self.level;
        self.entries.dedup_by(|later, kept| {
            let same = later.cell >> level == kept.cell >> level;
            if same && fold(u64::from(later.cell), 0x9e37_79b9_7f4a_7c15) & 1 == 0 {
                kept.value = later.value;
            }
            same
        });
    }

    fn extend_blocks(&mut self, cell: u32, value: f32) {
        let at = cell / BLOCK_CELLS;
        match self.blocks.last_mut() {
            Some(last) if at <= last.at => {
                last.low = last.low.min(value);
                last.high = last.high.max(value);
            }
            _ => {
                if self.blocks.len() >= BLOCKS {
                    self.blocks.remove(0);
                }
                self.blocks.push(Block { at, low: value, high: value });
            }
        }
    }

    fn refresh(&mut self) {
        self.since = 0;
        let mut sorted = [0f32; ENTRIES];
        let n = self.entries.len().min(ENTRIES);
        for (to, entry) in sorted.iter_mut().zip(&self.entries) {
            *to = entry.value;
        }
        let sorted = &mut sorted[..n];
        sorted.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| f64::from(sorted[((n - 1) as f64 * share).round() as usize]);
        let q95 = at(0.95);
        let median = at(0.5);
        self.usual = Usual {
            values: n,
            median,
            q05: at(0.05),
            q25: at(0.25),
            q75: at(0.75),
            q95,
            mean: sorted.iter().map(|v| f64::from(*v).min(q95)).sum::<f64>() / n as f64,
            high: f64::from(self.twice(|b| b.high).unwrap_or(median as f32)),
            low: -f64::from(self.twice(|b| -b.low).unwrap_or(-median as f32)),
        };
    }

    /// The second highest block, the neighbours of the highest left out: they may be the same excursion.
    fn twice(&self, of: impl Fn(&Block) -> f32) -> Option<f32> {
        let top = self.blocks.iter().max_by(|a, b| of(a).total_cmp(&of(b)))?.at;
        self.blocks.iter().filter(|b| b.at.abs_diff(top) > 1).map(of).max_by(f32::total_cmp)
    }
}

fn cell_of(ts: Timestamp) -> u32 {
    (ts.0 / CELL_NS).clamp(0, i64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::detector::synthetic::Noise;

    const LEARNING: Duration = Duration::from_secs(600);

    fn filled(step_s: i64, hours: i64, value: impl Fn(i64) -> f64) -> (History, Timestamp) {
        let mut history = History::default();
        let mut s = 0;
        while s < hours * 3600 {
            history.push(Timestamp(s * 1_000_000_000), value(s));
            s += step_s;
        }
        (history, Timestamp(s * 1_000_000_000))
    }

    #[test]
    fn memory_is_constant_and_the_window_is_in_time() {
        for step in [1, 5, 15, 60, 300] {
            let (mut history, now) = filled(step, 30, |s| if s < 20 * 3600 { 1.0 } else { 2.0 });
            assert!(history.entries.len() <= ENTRIES && history.blocks.len() <= BLOCKS, "step {step}");
            assert!(history.entries.len() >= ENTRIES / 2, "step {step}: {}", history.entries.len());
            let usual = history.usual(now, LEARNING).unwrap();
            assert_eq!((usual.q05, usual.median), (2.0, 2.0), "step {step}: ten hours ago is forgotten");
        }
    }

    #[test]
    fn spread_of_single_values_survives_thinning() {
        let mut noise = Noise::new(3);
        let values: Vec<f64> = (0..100_000).map(|_| noise.normal()).collect();
        let (mut history, now) = filled(5, 20, |s| 100.0 + values[(s / 5) as usize]);
        let usual = history.usual(now, LEARNING).unwrap();
        assert!((0.8..1.9).contains(&(usual.q75 - usual.q25)), "{usual:?}");
    }

    #[test]
    fn one_excursion_is_not_usual_two_are() {
        let spike = |at: &'static [i64]| move |s: i64| if at.contains(&(s / 60)) { 50.0 } else { 1.0 };
        let (mut once, now) = filled(15, 2, spike(&[70, 71]));
        assert_eq!(once.usual(now, LEARNING).unwrap().high, 1.0);
        let (mut twice, now) = filled(15, 2, spike(&[40, 70]));
        assert_eq!(twice.usual(now, LEARNING).unwrap().high, 50.0);
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_hold_the_past_in_place() {
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        let ahead = 3600 + 43_200;
        for began in [0, ahead] {
            let mut history = History::default();
            for s in (began.min(3600)..3600).chain(ahead..ahead + 300).step_by(15).filter(|s| *s >= began) {
                history.push(at(s), 1.0);
            }
            history.set_back(at(3900));
            for s in (3900..7800).step_by(15) {
                history.push(at(s), if [50, 70].contains(&(s / 100)) { 9.0 } else { 3.0 });
            }
            let usual = history.usual(at(7800), LEARNING).unwrap();
            assert_eq!((usual.q75, usual.high), (3.0, 9.0), "{usual:?}");
        }
    }

    #[test]
    fn learning_takes_time_and_values() {
        let (mut short, now) = filled(1, 1, |_| 1.0);
        assert!(short.usual(now, LEARNING).is_some());
        assert!(short.usual(now, Duration::from_secs(4000)).is_none());
        let (mut sparse, now) = filled(900, 1, |_| 1.0);
        assert!(sparse.usual(now, LEARNING).is_none());
    }
}
