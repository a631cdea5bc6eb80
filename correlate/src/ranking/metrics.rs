//! Metrics far from their past: the distance from the median in robust spreads.
//!
//! After BARO's scorer (Pham et al., FSE 2024), with three differences: the spread has a floor that is a share of the
//! median, so that no unit matters; of a window the second farthest value counts, so that one odd sample is none; and the
//! distance is compared with what windows of the past show.

use super::usual::{Past, of_sorted};
use super::windows::Windows;
use super::{Bad, Found, Reason, Series};

/// The least spread, as a share of the median.
const RELATIVE: f64 = 0.015;
/// A distance that is never worth mentioning.
const LEAST: f64 = 1.0;
/// Values without which there is no past.
const FEW: usize = 8;
/// A window has so many samples, if need be by being longer.
const STEPS: i64 = 5;

/// A series in both orders.
#[derive(Debug)]
struct Sorted<'a> {
    series: &'a Series,
    /// The usual time between two samples.
    step: i64,
    /// Values and times, in the order of values.
    values: Vec<(f64, i64)>,
}

/// All series, metric by metric.
#[derive(Debug)]
pub(super) struct Metrics<'a>(Vec<Sorted<'a>>);

struct Measured {
    candidate: u32,
    metric: u32,
    now: Option<f64>,
    was: f64,
    is: f64,
    past: Vec<(u32, f64)>,
}

impl<'a> Metrics<'a> {
    /// Of these series.
    pub(super) fn of(series: &'a [Series]) -> Self {
        let sorted = |series: &'a Series| {
            let rows = series.values.iter().copied().zip(series.times.iter().copied());
            let mut values: Vec<(f64, i64)> = rows.filter(|row| row.0.is_finite()).collect();
            values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            Sorted { series, step: step(&series.times), values }
        };
        let mut all: Vec<Sorted<'_>> = series.iter().map(sorted).collect();
        all.sort_by_key(|s| (s.series.metric, s.series.candidate)); // stable: equal ones stay as they came
        Self(all)
    }

    /// What the metrics say of each candidate.
    pub(super) fn found(&self, candidates: u32, onset: i64, until: i64, length: i64) -> Vec<Option<Found>> {
        let mut before = Vec::new();
        let measured = self.0.iter().filter_map(|series| series.measure(onset, until, length, &mut before));
        let measured: Vec<Measured> = measured.filter(|m| m.now.is_some()).collect();
        let mut best: Vec<Option<Found>> = vec![None; candidates as usize];
        for of_metric in measured.chunk_by(|a, b| a.metric == b.metric) {
            let past = of_metric.iter().flat_map(|m| m.past.iter().map(|p| (m.candidate, p.0, p.1))).collect();
            let past = Past::new(past);
            for (m, now) in of_metric.iter().filter_map(|m| Some((m, m.now?))) {
                let times = past.times(m.candidate, now, LEAST);
                let because = Reason::Metric { metric: m.metric, was: m.was, is: m.is };
                if let Some(place) = best.get_mut(m.candidate as usize)
                    && times > place.as_ref().map_or(0.0, |found| found.times)
                {
                    *place = Some(Found { times, because });
                }
            }
        }
        best
    }
}

impl Sorted<'_> {
    fn measure(&self, onset: i64, until: i64, length: i64, before: &mut Vec<f64>) -> Option<Measured> {
        let windows = Windows::new(onset, until, length.max(STEPS.saturating_mul(self.step)));
        before.clear();
        before.extend(self.values.iter().filter(|row| row.1 < onset).map(|row| row.0));
        if before.len() < FEW {
            return None;
        }
        let at = |q| of_sorted(before, q);
        let (low, first, median, third, high) = (at(0.05)?, at(0.25)?, at(0.5)?, at(0.75)?, at(0.95)?);
        let spread = ((third - first) / 1.349).max((high - low) / 3.29).max(RELATIVE * median.abs()).max(1e-12);
        let Series { candidate, metric, bad, .. } = *self.series;
        let mut measured = Measured { candidate, metric, now: None, was: median, is: median, past: Vec::new() };
        let mut close = |window: Option<usize>, ends: &Ends| {
            let Some((window, value)) = window.zip(ends.second(median, bad)) else { return };
            let distance = (value - median).abs() / spread;
            if window == 0 {
                (measured.now, measured.is) = (Some(distance), value);
            } else {
                measured.past.push((window as u32, distance));
            }
        };
        let (mut window, mut ends) = (None, Ends::default());
        let rows = self.series.times.iter().zip(&self.series.values).filter(|row| row.1.is_finite());
        for (at, value) in rows.take_while(|row| *row.0 < windows.until) {
            let of = windows.of(*at);
            if of != window {
                close(window, &ends);
                (window, ends) = (of, Ends::default());
            }
            ends.put(*value);
        }
        close(window, &ends);
        Some(measured)
    }
}

/// The two least and the two highest values of a window.
#[derive(Debug, Default)]
struct Ends {
    count: u32,
    least: (f64, f64),
    most: (f64, f64),
}

impl Ends {
    fn put(&mut self, value: f64) {
        let count = self.count;
        let put = |ends: &mut (f64, f64), is_farther: fn(&f64, &f64) -> bool| {
            if count == 0 || is_farther(&value, &ends.0) {
                *ends = (value, ends.0);
            } else if count == 1 || is_farther(&value, &ends.1) {
                ends.1 = value;
            }
        };
        put(&mut self.least, f64::lt);
        put(&mut self.most, f64::gt);
        self.count += 1;
    }

    /// The second farthest on either side, whichever of the two is the farther; of one value that one.
    fn second(&self, median: f64, bad: Bad) -> Option<f64> {
        let (least, most) = match self.count {
            0 => return None,
            1 => (self.least.0, self.most.0),
            _ => (self.least.1, self.most.1),
        };
        let (less, more) = (least.min(median), most.max(median));
        Some(match bad {
            Bad::More => more,
            Bad::Less => less,
            Bad::Both if median - less > more - median => less,
            Bad::Both => more,
        })
    }
}

/// The usual time between two samples.
fn step(times: &[i64]) -> i64 {
    let mut steps: Vec<i64> = times.windows(2).filter_map(|pair| pair.last()?.checked_sub(*pair.first()?)).collect();
    let middle = steps.len() / 2;
    if steps.is_empty() { 0 } else { *steps.select_nth_unstable(middle).1 }
}
