//! What is known of each watched series, for those who ask: a picture that is drawn anew part by part.
//!
//! The state itself is written at each value and belongs to one thread. At each tick a part of it is looked at, so that
//! nothing is looked at for long and all of it in the course of five ticks; readers share the parts.

use std::sync::Arc;
use std::time::Duration;

use whyd_signals::{SeriesId, Timestamp};

use super::SeriesState;
use super::judged::DAY;
use crate::calls::{Calls, CallsKnown, NAMES};
use crate::slots::Slots;

/// Series a part.
const PART: usize = 2048;
/// In so many turns all parts are drawn, so that none is older.
const TURNS: usize = 5;

/// What a series is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// By nothing yet: it learns.
    Learning,
    /// By its last hours.
    Hours,
    /// By its days, the time of day and of the week among them.
    Days,
}

/// One series as it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Which one.
    pub series: SeriesId,
    /// What it is judged by.
    pub basis: Basis,
    /// Since when there are values: of days, those of the workload's earlier pods included.
    pub since: Timestamp,
    /// When it had learnt for long enough, or will have if it goes on as before.
    pub learnt_at: Timestamp,
    /// Of its newest value.
    pub newest: Timestamp,
    /// What was usual at its newest value, once that is known.
    pub usual: Option<f64>,
}

/// Of so many tables.
const TABLES: usize = 3;

/// The picture.
#[derive(Debug, Default)]
pub(super) struct Board {
    parts: [Vec<Arc<[Standing]>>; TABLES],
    next: usize,
    /// What is known of calls, and how many turns ago that was drawn.
    calls: Arc<[CallsKnown]>,
    turns: usize,
}

impl Board {
    /// Draws the next parts anew; whether one is another one now.
    pub(super) fn turn(
        &mut self,
        tables: [&Slots<u32, SeriesState>; TABLES],
        calls: &Calls,
        learning: Duration,
    ) -> bool {
        let sizes = tables.map(|table| table.places().div_ceil(PART));
        for (parts, size) in self.parts.iter_mut().zip(sizes) {
            parts.resize_with(size, Arc::default);
        }
        let all: usize = sizes.iter().sum();
        let mut is_new = self.draw_calls(calls);
        for _ in 0..all.div_ceil(TURNS) {
            let part = self.next % all;
            self.next = part + 1;
            let mut at = part;
            for (of, (table, size)) in tables.iter().zip(sizes).enumerate() {
                if at < size {
                    is_new |= self.draw(of, at, table, learning);
                    break;
                }
                at -= size;
            }
        }
        is_new
    }

    fn draw(&mut self, of: usize, at: usize, table: &Slots<u32, SeriesState>, learning: Duration) -> bool {
        let Some(part) = self.parts[of].get_mut(at) else { return false };
        let places = at * PART..(at + 1) * PART;
        let standings = table.at(places).filter_map(|(id, state)| state.standing(SeriesId(id), learning));
        let drawn: Arc<[Standing]> = standings.collect();
        let is_new = *part != drawn;
        *part = drawn;
        is_new
    }

    fn draw_calls(&mut self, calls: &Calls) -> bool {
        self.turns = (self.turns + 1) % TURNS;
        if self.turns != 0 {
            return false;
        }
        let drawn: Arc<[CallsKnown]> = calls.known().into();
        let is_new = self.calls != drawn;
        self.calls = drawn;
        is_new
    }

    pub(super) fn calls(&self) -> Arc<[CallsKnown]> {
        Arc::clone(&self.calls)
    }

    pub(super) fn parts(&self) -> Vec<Arc<[Standing]>> {
        self.parts.iter().flatten().map(Arc::clone).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        let standings: usize = self.parts.iter().flatten().map(|part| part.len() * size_of::<Standing>()).sum();
        standings + self.calls.len() * (size_of::<CallsKnown>() + NAMES)
    }
}

impl SeriesState {
    /// `None` before its first value.
    fn standing(&self, series: SeriesId, learning: Duration) -> Option<Standing> {
        let (born, newest) = (self.born?, self.last?);
        let knows_days = self.scorer.reach() >= DAY;
        let (basis, since) = match self.expected {
            // How a program starts is judged by no day, so that this comes first.
            None => (Basis::Learning, born),
            Some(_) if knows_days => (Basis::Days, self.scorer.since()),
            Some(_) => (Basis::Hours, born),
        };
        let learnt_at = self.learnt.or_else(|| self.robust.learnt_by(learning)).unwrap_or(newest);
        Some(Standing { series, basis, since, learnt_at, newest, usual: self.expected })
    }
}
