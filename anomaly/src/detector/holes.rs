//! When no line of anybody came: the shippers were away, or whyd was. That is no silence of those who were not heard.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

/// For so long nobody says anything only where nobody is heard.
const LEAST: Duration = Duration::from_secs(120);
/// The newest ones are kept.
const MOST: usize = 32;

/// The times in which nothing came.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Holes {
    heard: Option<Timestamp>,
    holes: VecDeque<(Timestamp, Timestamp)>,
}

impl Holes {
    /// The most that these take beside themselves, in bytes.
    pub const HEAP: usize = (MOST + 1) * size_of::<(Timestamp, Timestamp)>();

    /// Lines of somebody were received then. Where that is well before the last ones the clock was ahead and is back: what
    /// looked like a hole ends here at the latest.
    pub fn hear(&mut self, received: Timestamp) {
        if self.heard.is_some_and(|heard| received.plus(LEAST) < heard) {
            self.holes.retain_mut(|(began, ended)| {
                *ended = received.max(*began).min(*ended);
                *ended > began.plus(LEAST)
            });
            self.heard = Some(received);
            return;
        }
        let last = self.heard.map_or(received, |heard| heard.max(received));
        let Some(before) = self.heard.replace(last).filter(|before| received > before.plus(LEAST)) else { return };
        if self.holes.len() >= MOST {
            self.holes.pop_front();
        }
        self.holes.push_back((before, received));
    }

    /// Whether a part of this time is in one.
    pub fn touch(&self, from: Timestamp, to: Timestamp) -> bool {
        self.holes.iter().rev().any(|(began, ended)| from < *ended && to > *began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_any_line_is_one_and_a_lull_is_none() {
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        let mut holes = Holes::default();
        for s in [0, 100, 200, 1000, 1010, 900, 1100] {
            holes.hear(at(s));
        }
        assert_eq!(holes.holes, [(at(200), at(1000))]);
        assert!(holes.touch(at(100), at(201)) && holes.touch(at(990), at(2000)) && holes.touch(at(300), at(360)));
        assert!(!holes.touch(at(100), at(200)) && !holes.touch(at(1000), at(1060)));
        (10..200).for_each(|n| holes.hear(at(n * 1000)));
        assert_eq!(holes.holes.len(), MOST);
    }

    #[test]
    fn a_clock_that_was_ahead_makes_none() {
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        let mut holes = Holes::default();
        for s in [0, 10, 300, 310, 86_400, 320, 330, 86_500, 86_510, 340] {
            holes.hear(at(s));
        }
        assert_eq!(holes.holes, [(at(10), at(300))]);
        (350..1000).step_by(10).for_each(|s| holes.hear(at(s)));
        assert!(!holes.touch(at(310), at(2000)));
        holes.hear(at(1600));
        assert!(holes.touch(at(1200), at(1260)), "holes are found from then on");
    }
}
