//! How long to wait after a failure.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
/// After failures that may pass at any time.
const LONGEST: Duration = Duration::from_secs(60);

/// Twice as long after each failure, up to a minute, and each time between half and one and a half of that: sources that
/// went down together are not asked again together.
pub(super) struct Backoff {
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { failures: 0, random: seed }
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more.
    pub(super) fn failed(&mut self) -> Duration {
        self.failed_upto(LONGEST)
    }

    /// How long to wait after one more whose like may stay for longer: the pauses go on to grow up to this.
    pub(super) fn failed_upto(&mut self, longest: Duration) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(0.5 + self.share())
    }

    /// Between nought and one: splitmix64.
    fn share(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_minute_and_no_two_are_alike() {
        let (mut one, mut other) = (Backoff::new(1), Backoff::new(2));
        for n in 0..20 {
            let (a, b) = (one.failed().as_secs_f64(), other.failed().as_secs_f64());
            let due = f64::from(1 << n.min(6)).min(60.0);
            for pause in [a, b] {
                assert!((due / 2.0..=due * 1.5).contains(&pause), "{n}: {pause}");
            }
            assert!((a - b).abs() > 1e-6);
        }
        one.succeeded();
        assert!(one.failed() <= Duration::from_millis(1500));
        for _ in 0..40 {
            one.failed_upto(Duration::from_secs(600));
        }
        assert!((300.0..=900.0).contains(&one.failed_upto(Duration::from_secs(600)).as_secs_f64()));
        assert!(one.failed() <= Duration::from_secs(90), "what may pass is asked again soon, whatever was before");
    }
}
