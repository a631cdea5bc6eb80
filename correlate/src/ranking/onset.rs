//! When it began, where nobody says.

use super::Facts;
use super::Ranked;
use super::combine::rank_sorted;

/// How far apart the times are that are tried, in nanoseconds.
const STEP: i64 = 30_000_000_000;

/// The time from `from` to `until` at which the evidence is the strongest, and the ranking then; of equals the latest.
/// Nothing at or after `until` is looked at.
pub fn find(facts: &Facts, from: i64, until: i64) -> (i64, Vec<Ranked>) {
    let mut best: Option<(f64, i64, Vec<Ranked>)> = None;
    for (onset, ranked) in search(facts, from, until) {
        let Some(top) = ranked.first().map(|r| r.score) else { continue };
        if best.as_ref().is_none_or(|b| top >= b.0) {
            best = Some((top, onset, ranked));
        }
    }
    best.map_or((until, Vec::new()), |(_, onset, ranked)| (onset, ranked))
}

/// The rankings at all times that [`find`] looks at.
pub fn search(facts: &Facts, from: i64, until: i64) -> impl Iterator<Item = (i64, Vec<Ranked>)> {
    let mut lines = facts.lines.clone();
    lines.sort_unstable();
    let times = std::iter::successors(Some(from), move |t| t.checked_add(STEP).filter(|t| *t < until));
    times.map(move |onset| (onset, rank_sorted(facts, &lines, onset, until)))
}
