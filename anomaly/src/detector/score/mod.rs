//! One causal score for one series: how unlike its own past a value is, what was usual, and which part says so.
//!
//! Four parts each give a deviation in units of the series' own spread, so that neither scale nor offset matters:
//! the level of days, the same time of day or week, the last few values, and a drift too slow for those. A tail of
//! extremes ([`tail`]) turns each deviation into the logarithm of how rare it is, and the rarest speaks. All windows
//! are times, counted in steps of the series' learnt cadence where what matters is how many values there are.
//!
//! [`Scored::anomaly_score`] is sharp: above 1 only where something opens or grows. Else it falls back on how unusual the
//! last hours were, squashed below ½.

mod cadence;
pub(crate) mod daily;
mod drift;
mod level;
mod local;
mod onset;
mod season;
mod sustain;
mod tail;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::{Timestamp, is_stale};

use self::cadence::Cadence;
use self::daily::Daily;
use self::drift::Drift;
use self::level::Level;
use self::local::Local;
use self::onset::{Dating, Record};
use self::season::Season;
use self::sustain::Sustain;
use self::tail::Tail;

/// The negative logarithm of a chance of one in 2500: what scores 1. Since an episode is told at its onset and
/// its records only, about one in several thousand usual values passes it.
const RARE: f64 = 7.824_046;
/// The most that is told; it keeps rows finite where the past was exactly constant.
const MAX_SCORE: f64 = 1000.0;
/// No value beyond this is taken for one: its square has to be a number.
const MOST: f64 = 1e30;
/// The least spread, as a share of the standard deviation over all of the past.
const FLOOR: f64 = 0.05;
/// Nothing is judged before so many values.
const LEAST: u32 = 20;

/// A part of the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Part {
    /// The level of the last days.
    #[default]
    Level,
    /// The same time of the day or of the week.
    Season,
    /// The last few values.
    Local,
    /// A mean that moved, each value of it still usual.
    Drift,
}

/// How many there are.
pub const PARTS: usize = 4;

/// A value judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Above 1 where an anomaly opens or grows; between, below ½ and growing with how unusual the last hours were.
    pub anomaly_score: f64,
    /// What was expected here: by season if that has proven better, else the median of the level.
    pub expected: f64,
    /// Which part speaks.
    pub part: Part,
    /// What each part says of this value alone, in the order of [`Part`]; 1 is rare.
    pub parts: [f32; PARTS],
    /// Since when the values lean to the side where they are now.
    pub since: Timestamp,
    /// Whether the time of the day or of the week decides what was expected.
    pub is_seasonal: bool,
    /// Whether it is more than this hour reached on two earlier days.
    pub more: More,
}

/// What is more than its hour reached on two earlier days. The score knows nothing of it: it says how rare, this how usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct More {
    /// The value, on the side of what was expected where it is.
    pub value: bool,
    /// The mean of the last values.
    pub drift: bool,
}

/// The least spread that matters, beside what is learnt. None by default: then all depends on the past alone.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Least {
    /// In the metric's unit.
    pub absolute: f64,
    /// As a share of the median.
    pub relative: f64,
}

/// The score of one gauge or rate. Constant in size, see [`Scorer::BYTES`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Scorer {
    cadence: Cadence,
    level: Level,
    season: Season,
    local: Local,
    drift: Drift,
    tails: [Tail; PARTS],
    sustain: Sustain,
    record: Record,
    dating: Dating,
    /// How far above and below what was expected values are, and means of them.
    daily: [Daily; 3],
}

impl Scorer {
    /// The most that one takes, in bytes.
    pub const BYTES: usize = size_of::<Self>() + Season::HEAP + 3 * Daily::HEAP;

    /// Judges a value against the past, then adds it. `None` for a stale marker, what is not a number, and while there
    /// are fewer than twenty values.
    ///
    /// Time may stand still or jump: after a gap nothing of the last few values is left, the long past stays.
    pub fn observe(&mut self, ts: Timestamp, value: f64, least: &Least) -> Option<Scored> {
        if is_stale(value) || value.is_nan() || value.abs() > MOST {
            self.restart();
            return None;
        }
        let pace = self.cadence.observe(ts);
        if pace.gap {
            self.restart();
        }
        let level = self.level.usual(value, &pace);
        let known = least.absolute.max(least.relative * level.median.abs());
        let scaled = known > 0.0 || !level.still;
        let floor = (FLOOR * level.deviation).max(known).max(1e-9 * value.abs()).max(f64::MIN_POSITIVE);
        let footing = self.season.footing(ts, value, level.median);

        let deviations = [
            Some((value - level.median).abs() / (level.spread + floor)),
            // What was off before the season was known says nothing of it.
            footing.season.filter(|_| footing.proven).map(|(error, usual)| error / (1.2 * usual + floor)),
            self.local.deviation(value, floor),
            self.drift.deviation(value - footing.expected, floor),
        ];
        let settled = self.cadence.count() > LEAST;
        let mut parts = [0f32; PARTS];
        let mut rarest = (0.0, Part::Level);
        let names = [Part::Level, Part::Season, Part::Local, Part::Drift];
        for (((tail, deviation), part), told) in self.tails.iter_mut().zip(deviations).zip(names).zip(&mut parts) {
            let Some(deviation) = deviation.filter(|_| settled) else { continue };
            let score = (tail.observe(deviation, scaled) / RARE).min(MAX_SCORE);
            *told = score as f32;
            if score > rarest.0 {
                rarest = (score, part);
            }
        }
        let off = value - footing.expected;
        let [above, below, means] = &mut self.daily;
        let (is_above, is_below) = (above.observe(ts, off.max(0.0)), below.observe(ts, (-off).max(0.0)));
        let value_is = if off > 0.0 { is_above } else { is_below };
        let more = More { value: value_is, drift: means.observe(ts, self.drift.distance()) };
        let since = self.dating.observe(ts, (value - footing.expected) / (footing.usual + floor));
        self.level.push(value, &pace, footing.level_usual);
        self.season.push(value, &pace, &footing);
        self.local.push(value, &pace);
        self.drift.push(&pace);
        if !settled {
            return None;
        }
        let (score, part) = rarest;
        let sustained = self.sustain.observe(ts, score, &pace);
        let background = 0.5 * sustained / (0.5 + sustained);
        let opens = self.record.observe(ts, score, &pace);
        Some(Scored {
            anomaly_score: if opens { score.max(background) } else { background },
            expected: footing.expected,
            part,
            parts,
            since,
            is_seasonal: footing.proven,
            more,
        })
    }

    /// Whether it is time to note what it has learnt: at every 64th value.
    pub fn is_due(&self) -> bool {
        self.cadence.count().is_multiple_of(64)
    }

    /// How far its past reaches, holes left out.
    pub fn reach(&self) -> Duration {
        Duration::try_from_secs_f64(self.cadence.reach_s()).unwrap_or_default()
    }

    /// When its first value was.
    pub fn since(&self) -> Timestamp {
        self.cadence.first()
    }

    /// The series starts afresh, as after a restart of what it measures: its last values say nothing about the next.
    pub fn restart(&mut self) {
        self.local.restart();
        self.drift.restart();
    }
}

#[cfg(test)]
mod tests;
