//! When it began, where nobody says.

use super::Facts;
use super::Ranked;
use super::combine::rank_sorted;

/// How far apart the times are that are tried, in nanoseconds.
const STEP: i64 = 15_000_000_000;
/// Of so much of the strongest evidence what is later is preferred: what is asked for is the trouble of now.
const ENOUGH: f64 = 0.5;
/// The evidence of an onset is stronger than that of the times around it, up to so many steps away.
const AROUND: usize = 4;
/// What began so shortly before the end has shown too little yet, in steps.
const TOO_LATE: i64 = 4;

/// The time from `from` to `until` at which something began, and the ranking then: the last at which the evidence is
/// stronger than around it and half as strong as anywhere, or more. Nothing at or after `until` is looked at.
pub fn find(facts: &Facts, from: i64, until: i64) -> (i64, Vec<Ranked>) {
    let mut lines = facts.lines.clone();
    lines.sort_unstable();
    let last = until.saturating_sub(TOO_LATE * STEP);
    let times = std::iter::successors(Some(from), |t| t.checked_add(STEP).filter(|t| *t <= last));
    let tried: Vec<(i64, Vec<Ranked>)> = times.map(|at| (at, rank_sorted(facts, &lines, at, until))).collect();
    let tops: Vec<f64> = tried.iter().map(|t| t.1.first().map_or(0.0, |r| r.score)).collect();
    let most = tops.iter().copied().fold(0.0, f64::max);
    let is_onset = |n: usize| {
        let around = tops.get(n.saturating_sub(AROUND)..(n + AROUND + 1).min(tops.len())).unwrap_or_default();
        tops.get(n).is_some_and(|top| *top >= ENOUGH * most && around.iter().all(|other| other <= top))
    };
    let found = (0..tried.len()).rev().find(|n| is_onset(*n));
    found.and_then(|n| tried.into_iter().nth(n)).unwrap_or((until, Vec::new()))
}
