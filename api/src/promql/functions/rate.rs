//! How fast a series changes. The arithmetic is that of Prometheus 2.42 (`promql/functions.go`), step by step.

use super::Window;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    PerSecond,
    Increase,
    Delta,
    Irate,
    Idelta,
}

impl Rate {
    pub(super) fn apply(self, window: &Window<'_>) -> Option<f64> {
        match self {
            Self::PerSecond => {
                let seconds = window.to.saturating_sub(window.from) as f64 / 1000.0;
                extrapolated(window, true, |factor| factor / seconds)
            }
            Self::Increase => extrapolated(window, true, |factor| factor),
            Self::Delta => extrapolated(window, false, |factor| factor),
            Self::Irate => between_last(window, true),
            Self::Idelta => between_last(window, false),
        }
    }
}

/// The change over the samples, stretched to the ends of the range where these are near: a further sample is expected
/// within 1.1 times the usual distance. A counter is not followed to below zero.
fn extrapolated(window: &Window<'_>, counter: bool, adjust: impl Fn(f64) -> f64) -> Option<f64> {
    let (times, values) = (window.times, window.values);
    let ([first_at, .., last_at], [first, .., last]) = (times, values) else { return None };
    let mut change = last - first;
    if counter {
        for fall in window.falls.iter() {
            change += values[fall - 1];
        }
    }
    let mut to_start = (first_at - window.from) as f64 / 1000.0;
    let to_end = (window.to - last_at) as f64 / 1000.0;
    let sampled = (last_at - first_at) as f64 / 1000.0;
    let distance = sampled / (values.len() - 1) as f64;
    if counter && change > 0.0 && *first >= 0.0 {
        let to_zero = sampled * (first / change);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    let near = distance * 1.1;
    let mut stretched = sampled;
    stretched += if to_start < near { to_start } else { distance / 2.0 };
    stretched += if to_end < near { to_end } else { distance / 2.0 };
    Some(change * adjust(stretched / sampled))
}

/// The change between the last two samples, by second where it is a rate.
fn between_last(window: &Window<'_>, rate: bool) -> Option<f64> {
    let ([.., before_at, last_at], [.., before, last]) = (window.times, window.values) else { return None };
    let change = if rate && last < before { *last } else { last - before };
    let apart = last_at - before_at;
    if apart == 0 {
        return None;
    }
    Some(if rate { change / (apart as f64 / 1000.0) } else { change })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::functions::Falls;

    #[test]
    fn rates() {
        let seconds: &[(i64, f64)] = &[(10, 100.0), (20, 110.0), (30, 130.0)];
        let reset: &[(i64, f64)] = &[(10, 100.0), (20, 110.0), (30, 5.0), (40, 15.0)];
        let young: &[(i64, f64)] = &[(50, 1.0), (60, 11.0)];
        let cases: [(Rate, &[(i64, f64)], i64, i64, Option<f64>); 10] = [
            // Both ends are a distance away: the 30 of 20 s become 45 in 30 s... of 40 s.
            (Rate::Increase, seconds, 0, 40, Some(60.0)),
            (Rate::PerSecond, seconds, 0, 40, Some(1.5)),
            // Too far from the start: half a distance.
            (Rate::Increase, seconds, -60, 30, Some(37.5)),
            (Rate::Delta, seconds, 10, 30, Some(30.0)),
            (Rate::Increase, reset, 10, 40, Some(25.0)),
            (Rate::Delta, reset, 10, 40, Some(-85.0)),
            // It was zero a second before its first sample.
            (Rate::Increase, young, 45, 60, Some(11.0)),
            (Rate::Irate, reset, 0, 40, Some(1.0)),
            (Rate::Idelta, reset, 0, 40, Some(10.0)),
            (Rate::PerSecond, &young[..1], 0, 60, None),
        ];
        for (rate, samples, from, to, want) in cases {
            let times: Vec<i64> = samples.iter().map(|s| s.0 * 1000).collect();
            let values: Vec<f64> = samples.iter().map(|s| s.1).collect();
            let places: Vec<usize> = (1..values.len()).filter(|i| values[*i] < values[i - 1]).collect();
            let falls = Falls { places: &places, offset: 0 };
            let window = Window { times: &times, values: &values, from: from * 1000, to: to * 1000, falls };
            let got = rate.apply(&window);
            let same = got.zip(want).map_or(got == want, |(a, b)| (a - b).abs() < 1e-9);
            assert!(same, "{rate:?} {samples:?} {from}..{to}: {got:?}, not {want:?}");
        }
    }
}
