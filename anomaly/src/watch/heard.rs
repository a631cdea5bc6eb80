//! For how long a source was heard: the time by which what it tells of grows idle.
//!
//! By the driver's clock all would be idle after an outage of the source, or of whyd itself, or a leap of the clock, though
//! nothing went. This one goes on in small steps, and only while the source is heard.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// No step is longer.
const STEP: Duration = Duration::from_secs(60);
/// A source that said nothing for so long is silent: scrapes are no further apart.
const SILENT: Duration = Duration::from_secs(300);

/// The time for which one source was heard, since the epoch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Heard {
    time: Timestamp,
    ticked: Option<Timestamp>,
    /// For how long it has said nothing.
    silent: Duration,
}

impl Heard {
    /// It is heard now; its own time.
    pub(super) fn hear(&mut self) -> Timestamp {
        self.silent = Duration::ZERO;
        self.time
    }

    /// The driver's clock goes on; its own time.
    pub(super) fn tick(&mut self, now: Timestamp) -> Timestamp {
        let last = self.ticked.replace(now).unwrap_or(now);
        let step = Duration::try_from_secs_f64(now.seconds_since(last)).unwrap_or_default().min(STEP);
        self.silent = self.silent.saturating_add(step);
        if self.silent <= SILENT {
            self.time = self.time.plus(step);
        }
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_by_small_steps_and_only_while_it_is_heard() {
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        let mut heard = Heard::default();
        heard.tick(at(1_000_000));
        for s in 1..=100 {
            if s % 60 == 0 {
                heard.hear();
            }
            heard.tick(at(1_000_000 + s));
        }
        assert_eq!(heard.hear(), at(100));
        heard.tick(at(9_000_000));
        heard.tick(at(1_000_100));
        assert_eq!(heard.hear(), at(160), "a leap is a step, and a step back none");
        for s in 1..=10_000 {
            heard.tick(at(1_000_100 + s));
        }
        assert_eq!(heard.hear(), at(460), "a silent source has no time");
    }
}
