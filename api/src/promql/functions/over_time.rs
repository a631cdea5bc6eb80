//! What the samples of a range come to. Sums are compensated as in Prometheus 2.42, by Kahan and Neumaier.

use super::Window;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverTime {
    Avg,
    Min,
    Max,
    Sum,
    Count,
    Last,
    Present,
    Stddev,
    Stdvar,
    Changes,
    Resets,
}

impl OverTime {
    pub(super) fn apply(self, window: &Window<'_>) -> Option<f64> {
        let values = window.values;
        let (first, last) = (*values.first()?, *values.last()?);
        Some(match self {
            Self::Avg => mean(values),
            Self::Min => values.iter().fold(first, |min, v| if *v < min || min.is_nan() { *v } else { min }),
            Self::Max => values.iter().fold(first, |max, v| if *v > max || max.is_nan() { *v } else { max }),
            Self::Sum => sum(values),
            Self::Count => values.len() as f64,
            Self::Last => last,
            Self::Present => 1.0,
            Self::Stddev => variance(values).sqrt(),
            Self::Stdvar => variance(values),
            Self::Changes => {
                let changed = |pair: &&[f64]| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan());
                values.windows(2).filter(changed).count() as f64
            }
            Self::Resets => window.falls.iter().count() as f64,
        })
    }
}

/// Adds `value` to a sum and what was lost of it so far.
fn add(value: f64, (sum, lost): (f64, f64)) -> (f64, f64) {
    let t = sum + value;
    let more = if sum.abs() >= value.abs() { (sum - t) + value } else { (value - t) + sum };
    (t, lost + more)
}

fn sum(values: &[f64]) -> f64 {
    let (sum, lost) = values.iter().fold((0.0, 0.0), |acc, v| add(*v, acc));
    if sum.is_infinite() { sum } else { sum + lost }
}

fn mean(values: &[f64]) -> f64 {
    let mut mean = (0.0_f64, 0.0);
    for (n, value) in (1..).zip(values) {
        if stays_infinite(mean.0, *value) {
            continue;
        }
        let count = f64::from(n);
        mean = add(value / count - mean.0 / count, mean);
    }
    if mean.0.is_infinite() { mean.0 } else { mean.0 + mean.1 }
}

/// Whether an infinite mean remains what it is: only NaN and the other infinity change it.
pub(in crate::promql) fn stays_infinite(mean: f64, value: f64) -> bool {
    mean.is_infinite() && (value.is_finite() || value.is_infinite() && (mean > 0.0) == (value > 0.0))
}

/// Welford's, compensated.
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = ((0.0, 0.0), (0.0, 0.0));
    for (n, value) in (1..).zip(values) {
        let delta = value - (mean.0 + mean.1);
        mean = add(delta / f64::from(n), mean);
        squares = add(delta * (value - (mean.0 + mean.1)), squares);
    }
    (squares.0 + squares.1) / values.len() as f64
}

/// The quantile of the values, between two of them in proportion.
pub(in crate::promql) fn quantile(q: f64, values: &[f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let mut sorted = values.to_vec();
    // NaN is the smallest.
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
    let rank = q * (sorted.len() - 1) as f64;
    let lower = rank.floor().max(0.0) as usize;
    let upper = (lower + 1).min(sorted.len() - 1);
    let weight = rank - rank.floor();
    sorted[lower] * (1.0 - weight) + sorted[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::functions::Falls;

    #[test]
    fn over_time() {
        let inf = f64::INFINITY;
        let cases: [(OverTime, &[f64], f64); 19] = [
            (OverTime::Sum, &[1e100, 1.0, -1e100], 1.0),
            (OverTime::Sum, &[inf, 1.0], inf),
            (OverTime::Avg, &[1.0, 2.0, 6.0], 3.0),
            (OverTime::Avg, &[inf, 1.0, inf], inf),
            (OverTime::Avg, &[inf, -inf], f64::NAN),
            (OverTime::Avg, &[f64::MAX, f64::MAX], f64::MAX),
            (OverTime::Min, &[f64::NAN, 2.0, 1.0], 1.0),
            (OverTime::Max, &[1.0, f64::NAN, 2.0], 2.0),
            (OverTime::Max, &[f64::NAN], f64::NAN),
            (OverTime::Count, &[f64::NAN, 1.0], 2.0),
            (OverTime::Last, &[1.0, 3.0], 3.0),
            (OverTime::Present, &[0.0], 1.0),
            (OverTime::Stddev, &[1.0, 3.0], 1.0),
            (OverTime::Stdvar, &[2.0, 2.0], 0.0),
            (OverTime::Changes, &[1.0, 1.0, 2.0, f64::NAN, f64::NAN], 2.0),
            (OverTime::Resets, &[3.0, 1.0, 2.0, 0.0], 2.0),
            (OverTime::Resets, &[1.0], 0.0),
            (OverTime::Sum, &[0.1; 10], 1.0),
            (OverTime::Stddev, &[5.0], 0.0),
        ];
        for (function, values, want) in cases {
            let places: Vec<usize> = (1..values.len()).filter(|i| values[*i] < values[i - 1]).collect();
            let times = vec![0; values.len()];
            let falls = Falls { places: &places, offset: 0 };
            let got = function.apply(&Window { times: &times, values, from: 0, to: 0, falls }).unwrap();
            assert!(got == want || got.is_nan() && want.is_nan(), "{function:?} {values:?}: {got}, not {want}");
        }
        for (q, want) in [(0.5, 2.5), (0.0, 1.0), (1.0, 4.0), (-1.0, -inf), (2.0, inf), (0.25, 1.75)] {
            assert_eq!(quantile(q, &[4.0, 1.0, 3.0, 2.0]), want, "{q}");
        }
    }
}
