//! In which unit a time was counted: nanoseconds, unless it is of now when read in another.

use std::time::Duration;

use whyd_signals::Timestamp;

/// Nanoseconds of a microsecond, a millisecond and a second.
const UNITS: [i64; 3] = [1_000, 1_000_000, 1_000_000_000];
/// A sender that counts in another unit may have another clock or zone, too, or send what it kept.
const SLACK: Duration = Duration::from_secs(86_400);

/// Whether a time counts seconds, milliseconds or microseconds: read so it lies about this receipt, and in January 1970 as it is.
///
/// A node without a clock of its own writes true nanoseconds of 1970. They are mistaken only while they are what a window and two
/// days about now are in another unit: by default for a fifth of a second after half an hour without a clock, and for three
/// minutes after three weeks.
#[inline]
pub(crate) fn is_another(ts: i64, received: Timestamp, window: Duration) -> bool {
    let to = received.plus(SLACK);
    // Nearly all: in the smallest of the units it would be too late already.
    if ts > 0 && ts > to.0 / 1_000 {
        return false;
    }
    let from = received.minus(window).minus(SLACK);
    UNITS.iter().filter_map(|unit| ts.checked_mul(*unit)).any(|ts| (from.0..=to.0).contains(&ts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_341_600_000_000_000);
    const WINDOW: Duration = Duration::from_secs(6 * 3600);

    #[test]
    fn a_count_of_now_in_another_unit_is_known_and_true_nanoseconds_are_left_alone() {
        let hours = |hours: i64| NOW.0 / 1_000_000_000 + hours * 3600;
        for unit in [1, 1_000, 1_000_000] {
            for (of, wrong) in [(0, true), (-29, true), (23, true), (-31, false), (25, false)] {
                assert_eq!(is_another(hours(of) * unit, NOW, WINDOW), wrong, "{of} hours from now, by {unit}");
            }
            assert!(is_another(hours(-40) * unit, NOW, 2 * WINDOW + SLACK), "a longer window");
        }
        // Nodes that know no time of day count from 1970: at once, after seconds, minutes, hours, days, months.
        for seconds in [0, 1, 5, 60, 1_700, 1_900, 86_400, 30 * 86_400, 365 * 86_400] {
            assert!(!is_another(seconds * 1_000_000_000, NOW, WINDOW), "{seconds}");
        }
        for ts in [i64::MIN, -5, 0, 7, NOW.0, NOW.0 - 1_000_000_000_000_000, i64::MAX] {
            assert!(!is_another(ts, NOW, WINDOW), "{ts}");
        }
    }
}
