//! One score of a value: by the last hours, and by the days once a day is known.

use std::time::Duration;

use whyd_signals::Timestamp;

use crate::detector::robust::{Direction, Robust, Tuning};
use crate::detector::score::{Least, Part, Scored, Scorer};

/// From so much past on a series knows its days; until then the last hours speak.
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// So many of the least spreads that matter a value has to be off, whatever is usual.
const SPREADS: f64 = 6.0;

/// A value judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    /// Above 1 is anomalous.
    pub(super) score: f64,
    /// What was usual.
    pub(super) expected: f64,
    /// The time whose usual it was, where the time of the day or week decides that.
    pub(super) usual_at: Option<Timestamp>,
    /// Since when values lean to the side where this one is, itself if it is the first.
    pub(super) since: Timestamp,
}

/// Judges a value by both and shows it to both; `None` while neither knows enough.
pub(super) fn judge(
    robust: &mut Robust,
    scorer: &mut Scorer,
    (ts, value): (Timestamp, f64),
    born: Timestamp,
    tuning: &Tuning,
    learning: Duration,
) -> Option<Judged> {
    let of_hours = robust.observe(ts, value, tuning, learning);
    let least = Least { absolute: tuning.floor, relative: tuning.relative };
    let scored = scorer.observe(ts, value, &least);
    // How a program starts is unlike its days, which another pod may have taught.
    let of_hours = of_hours?;
    let since = scored.map_or(ts, |scored| scored.since);
    let Some(scored) = scored.filter(|_| scorer.reach() >= DAY) else {
        return Some(Judged { score: of_hours.score, expected: of_hours.expected, usual_at: None, since });
    };
    let expected = scored.expected;
    let off = value - expected;
    let is_bad = match tuning.direction {
        Direction::Above => off > 0.0,
        Direction::Below => off < 0.0,
        Direction::Both => true,
    };
    let matters = off.abs() >= SPREADS * tuning.floor.max(tuning.relative * expected.abs());
    // What comes at its hour every day may be rare and is usual.
    let (score, part) = if is_bad && matters { rarest(&scored) } else { (0.0, scored.part) };
    // Its days may be those of another pod, which need not be alike: until it has one of its own both have to say so.
    let score = if ts < born.plus(DAY) { score.min(of_hours.score) } else { score };
    Some(Judged { score, expected, usual_at: (part == Part::Season || scored.is_seasonal).then_some(ts), since })
}

/// What is rarest among the parts that say more than this hour of earlier days.
fn rarest(scored: &Scored) -> (f64, Part) {
    let parts = [Part::Level, Part::Season, Part::Local, Part::Drift];
    let more = |part| if part == Part::Drift { scored.more.drift } else { scored.more.value };
    let speaking = scored.parts.iter().zip(parts).filter(|(_, part)| more(*part));
    let rarest = speaking.max_by(|a, b| a.0.total_cmp(b.0));
    rarest.map_or((0.0, scored.part), |(score, part)| (f64::from(*score), part))
}
