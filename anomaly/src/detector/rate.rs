//! Counters to rates. Resets, gaps and stale markers end here: no model sees them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::{Timestamp, is_stale};

/// Two samples further apart say nothing about the time between.
const MAX_GAP: Duration = Duration::from_secs(300);
/// Two samples closer together are two replicas of one scrape.
const MIN_GAP: Duration = Duration::from_secs(1);

/// Remembers the last sample of one counter.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Rate {
    last: Option<(Timestamp, f64)>,
}

impl Rate {
    /// The rate per second since the sample before; `None` after a start, reset, gap or stale marker, and for a sample
    /// that is out of order or within a second of the last.
    ///
    /// A reset gives no rate at all: what was counted before it is lost, and where two replicas write one series,
    /// their difference would look like a burst.
    pub fn observe(&mut self, ts: Timestamp, value: f64) -> Option<f64> {
        if is_stale(value) || !value.is_finite() || value < 0.0 {
            self.last = None;
            return None;
        }
        let Some((before, counted)) = self.last else {
            self.last = Some((ts, value));
            return None;
        };
        if ts < before.plus(MIN_GAP) {
            return None;
        }
        self.last = Some((ts, value));
        if value < counted || ts > before.plus(MAX_GAP) {
            return None;
        }
        Some((value - counted) / ts.seconds_since(before))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn check(name: &str, samples: &[(f64, f64)], expected: &[Option<f64>]) {
        let mut rate = Rate::default();
        let rates: Vec<_> =
            samples.iter().map(|(s, value)| rate.observe(Timestamp((s * 1e9) as i64), *value)).collect();
        assert_eq!(rates, expected, "{name}");
    }

    #[test]
    fn rates() {
        let stale = f64::from_bits(whyd_signals::sample::STALE_BITS);
        check("steady", &[(0., 10.), (15., 25.), (30., 25.)], &[None, Some(1.), Some(0.)]);
        check("reset", &[(0., 10.), (15., 3.), (30., 18.)], &[None, None, Some(1.)]);
        check("gap", &[(0., 10.), (600., 25.), (615., 40.)], &[None, None, Some(1.)]);
        check("stale", &[(0., 10.), (15., stale), (30., 25.), (45., 40.)], &[None, None, None, Some(1.)]);
        check("not a number", &[(0., 10.), (15., f64::NAN), (30., 25.)], &[None, None, None]);
        check("out of order", &[(0., 10.), (30., 40.), (15., 25.), (45., 55.)], &[None, Some(1.), None, Some(1.)]);
        check("two replicas", &[(0., 10.), (0.4, 11.), (15., 25.)], &[None, None, Some(1.)]);
    }

    proptest::proptest! {
        #[test]
        fn never_negative_never_infinite(samples in proptest::collection::vec((0i64..100_000, proptest::num::f64::ANY), 1..60)) {
            let mut rate = Rate::default();
            for (s, value) in samples {
                if let Some(rate) = rate.observe(Timestamp(s * 100_000_000), value) {
                    proptest::prop_assert!(rate >= 0.0 && rate.is_finite());
                }
            }
        }
    }
}
