//! Kinds that had to go for others, by no more than what they are called and when they came last: one that comes again is not new.

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

const HOUR_NS: i64 = 3_600_000_000_000;
/// So many are remembered.
pub(super) const MOST: usize = 64;

/// Those that came last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Forgotten(Vec<Gone>);

/// A part of the id of its template, and the hour of its last line, since the epoch.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Gone {
    template: u32,
    last: u32,
}

impl Forgotten {
    /// The most that these take beside themselves, in bytes.
    pub(super) const HEAP: usize = MOST * size_of::<Gone>();

    /// Notes one that came last then; when the one came last that is not remembered any more for it.
    pub(super) fn note(&mut self, template: u64, last: Timestamp) -> Option<Timestamp> {
        let gone =
            Gone { template: part(template), last: u32::try_from(last.0.div_euclid(HOUR_NS)).unwrap_or_default() };
        if self.0.len() < MOST {
            self.0.push(gone);
            return None;
        }
        let oldest = self.0.iter_mut().min_by_key(|gone| gone.last)?;
        let before = std::mem::replace(oldest, gone);
        // By the hour, and in it as late as may be.
        Some(Timestamp(i64::from(before.last).saturating_add(1).saturating_mul(HOUR_NS)))
    }

    /// Whether it is one of these; it is one no longer.
    pub(super) fn take(&mut self, template: u64) -> bool {
        let at = self.0.iter().position(|gone| gone.template == part(template));
        at.map(|at| self.0.swap_remove(at)).is_some()
    }
}

fn part(template: u64) -> u32 {
    (template ^ (template >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_remembered_until_they_come_again() {
        let at = |hour: i64| Timestamp(hour * HOUR_NS);
        let mut forgotten = Forgotten::default();
        let dropped: Vec<_> = (0..MOST as i64).filter_map(|n| forgotten.note(n as u64, at(100 + n))).collect();
        assert_eq!(dropped, []);
        assert_eq!(forgotten.note(1000, at(500)), Some(at(101)));
        assert!(!forgotten.take(0) && forgotten.take(1) && !forgotten.take(1) && forgotten.take(1000));
        assert_eq!(forgotten.note(2000, at(500)), None);
    }
}
