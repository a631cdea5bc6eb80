//! What expressions evaluate to: columns of numbers, one a series, over the steps of the query.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::error::Error;
use super::labels::Labels;

/// The instants that a query is evaluated at, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steps {
    start: i64,
    /// As it was asked for, which may be after the last step.
    end: i64,
    interval: i64,
    count: usize,
}

impl Steps {
    pub(crate) fn instant(at: i64) -> Self {
        Self { start: at, end: at, interval: 1, count: 1 }
    }

    /// From `start` to `end`, which is not before it, every `interval`, which is above zero.
    pub(crate) fn range(start: i64, end: i64, interval: i64) -> Self {
        let count = end.saturating_sub(start) / interval.max(1) + 1;
        Self { start, end, interval, count: usize::try_from(count).unwrap_or(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn at(&self, step: usize) -> i64 {
        self.start.saturating_add(self.interval.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX)))
    }

    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    pub(crate) fn end(&self) -> i64 {
        self.end
    }
}

/// A value at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) step: u32,
    pub(crate) value: f64,
}

impl Point {
    pub(super) fn new(step: usize, value: f64) -> Self {
        // A query has 11,000 steps at most.
        Self { step: u32::try_from(step).unwrap_or(u32::MAX), value }
    }

    pub(crate) fn step(&self) -> usize {
        self.step as usize
    }
}

/// A series with its values in order of the steps; a step without one has none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<Point>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// One number for each step.
    Scalar(Vec<f64>),
    Vector(Vec<Series>),
}

fn same_labels() -> Error {
    Error::execution("vector cannot contain metrics with the same labelset")
}

/// Refuses two series of the same labels, whichever steps they have.
pub(super) fn distinct(series: Vec<Series>) -> Result<Vec<Series>, Error> {
    let mut seen = std::collections::HashSet::with_capacity(series.len());
    if series.iter().all(|s| seen.insert(&s.labels)) { Ok(series) } else { Err(same_labels()) }
}

/// Joins series of the same labels to one; refuses two values at the same step.
pub(super) fn joined(series: Vec<Series>) -> Result<Vec<Series>, Error> {
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut out: Vec<Series> = Vec::with_capacity(series.len());
    let mut mixed = Vec::new();
    for one in series {
        if one.points.is_empty() {
            continue;
        }
        match places.entry(one.labels.clone()) {
            Entry::Vacant(free) => {
                free.insert(out.len());
                out.push(one);
            }
            Entry::Occupied(taken) => {
                mixed.push(*taken.get());
                out[*taken.get()].points.extend(one.points);
            }
        }
    }
    for place in mixed {
        let points = &mut out[place].points;
        points.sort_by_key(|p| p.step);
        if points.windows(2).any(|pair| pair[0].step == pair[1].step) {
            return Err(same_labels());
        }
    }
    Ok(out)
}

impl Series {
    /// A scalar as a range query shows it: a series without labels.
    pub(super) fn of_scalar(values: &[f64]) -> Self {
        let points = values.iter().enumerate().map(|(step, value)| Point::new(step, *value)).collect();
        Self { labels: Labels::default(), points }
    }
}
