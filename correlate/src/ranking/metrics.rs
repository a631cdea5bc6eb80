//! Metrics far from their past: the distance from the median in robust spreads.
//!
//! After BARO's scorer (Pham et al., FSE 2024), with three differences: the spread has a floor that is a share of the
//! median, so that no unit matters; of a window the second farthest value counts, so that one odd sample is none; and the
//! distance is compared with what windows of the past show.

use super::usual::{Past, of_sorted};
use super::windows::Windows;
use super::{Bad, Facts, Found, Reason, Series};

/// The least spread, as a share of the median.
const RELATIVE: f64 = 0.015;
/// A distance that is never worth mentioning.
const LEAST: f64 = 1.0;
/// Values without which there is no past.
const FEW: usize = 8;
/// A window has so many samples, if need be by being longer.
const STEPS: i64 = 5;

struct Measured {
    candidate: u32,
    metric: u32,
    now: f64,
    was: f64,
    is: f64,
    past: Vec<(u32, f64)>,
}

/// What the metrics say of each candidate.
pub(super) fn found(facts: &Facts, onset: i64, until: i64, length: i64) -> Vec<Option<Found>> {
    let mut measured: Vec<Measured> =
        facts.series.iter().filter_map(|series| measure(series, onset, until, length)).collect();
    measured.sort_by_key(|m| (m.metric, m.candidate)); // stable: equal ones stay as they came
    let mut best: Vec<Option<Found>> = vec![None; facts.candidates as usize];
    for of_metric in measured.chunk_by(|a, b| a.metric == b.metric) {
        let past = Past::new(of_metric.iter().flat_map(|m| m.past.iter().map(|p| (m.candidate, p.0, p.1))).collect());
        for m in of_metric {
            let times = past.times(m.candidate, m.now, LEAST);
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

fn measure(series: &Series, onset: i64, until: i64, length: i64) -> Option<Measured> {
    let rows = || series.times.iter().copied().zip(series.values.iter().copied()).filter(|row| row.1.is_finite());
    let mut before: Vec<f64> = rows().take_while(|row| row.0 < onset).map(|row| row.1).collect();
    if before.len() < FEW {
        return None;
    }
    let windows = Windows::new(onset, until, length.max(STEPS * step(&series.times)));
    before.sort_unstable_by(f64::total_cmp);
    let at = |q| of_sorted(&before, q);
    let (low, first, median, third, high) = (at(0.05)?, at(0.25)?, at(0.5)?, at(0.75)?, at(0.95)?);
    let spread = ((third - first) / 1.349).max((high - low) / 3.29).max(RELATIVE * median.abs()).max(1e-12);
    let mut past: Vec<(u32, f64)> = Vec::new();
    let (mut now, mut is) = (None, median);
    let mut window: Option<(u32, Vec<f64>)> = None;
    let mut close = |window: Option<(u32, Vec<f64>)>| {
        let Some((n, mut values)) = window else { return };
        let Some(value) = second(&mut values, median, series.bad) else { return };
        let distance = (value - median).abs() / spread;
        if n == 0 {
            (now, is) = (Some(distance), value);
        } else {
            past.push((n, distance));
        }
    };
    for (ts, value) in rows() {
        let Some(n) = windows.of(ts) else { break };
        match &mut window {
            Some((of, values)) if *of == n => values.push(value),
            _ => close(window.replace((n, vec![value]))),
        }
    }
    close(window);
    Some(Measured { candidate: series.candidate, metric: series.metric, now: now?, was: median, is, past })
}

/// The second farthest on either side, whichever of the two is the farther; of one value nothing is known.
fn second(values: &mut [f64], median: f64, bad: Bad) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let second = usize::from(values.len() > 1);
    let (least, most) = (*values.get(second)?, *values.get(values.len().checked_sub(1 + second)?)?);
    let (less, more) = (least.min(median), most.max(median));
    Some(match bad {
        Bad::More => more,
        Bad::Less => less,
        Bad::Both if median - less > more - median => less,
        Bad::Both => more,
    })
}

/// The usual time between two samples.
fn step(times: &[i64]) -> i64 {
    let mut steps: Vec<i64> = times.windows(2).filter_map(|pair| pair.last()?.checked_sub(*pair.first()?)).collect();
    let middle = steps.len() / 2;
    if steps.is_empty() { 0 } else { *steps.select_nth_unstable(middle).1 }
}
