//! When it began, where nobody says.
//!
//! No single time is settled on: an onset that is a little off shows others than the root, each at its own time, while the root
//! is conspicuous at most of the times around the true one. So the evidence at all times counts, the later the more, since what
//! is asked for is the trouble of now.

use super::combine::Prepared;
use super::{Facts, Ranked, Reason, WINDOW};

/// How far apart the times are that are tried, in nanoseconds.
const STEP: i64 = 15_000_000_000;
/// What began so much earlier is half as likely to be asked for, in seconds.
const HALVED: f64 = 300.0;
/// What began so shortly before the end has shown too little yet, in steps.
const TOO_LATE: i64 = 4;

/// A candidate over all onsets.
#[derive(Debug, Clone, Default)]
struct Over {
    sum: f64,
    /// The most that it counts for at one of them.
    most: f64,
    because: Vec<Reason>,
    /// Its score at each.
    scores: Vec<f64>,
}

impl Over {
    /// At which onset it is the most conspicuous, within a window of the one at which it counts for most.
    fn began(&self, weights: &[f64]) -> Option<usize> {
        let counts = |n: &usize| self.scores.get(*n).zip(weights.get(*n)).map_or(0.0, |(score, weight)| score * weight);
        let most = (0..weights.len()).max_by(|a, b| counts(a).total_cmp(&counts(b)))?;
        let window = usize::try_from(WINDOW.as_nanos() / STEP.unsigned_abs() as u128).unwrap_or(0);
        let around = most.saturating_sub(window)..(most + window + 1).min(weights.len());
        let score = |n: &usize| self.scores.get(*n).copied().unwrap_or(0.0);
        around.max_by(|a, b| score(a).total_cmp(&score(b)))
    }
}

/// The ranking over all onsets from `from` to a minute before `until`, each candidate with its reasons at the time at which they
/// count for most; and when the trouble of the first began. Nothing at or after `until` is looked at. Both are in nanoseconds.
pub fn find(facts: &Facts, from: i64, until: i64) -> (i64, Vec<Ranked>) {
    over_all(facts, (from, until.saturating_sub(TOO_LATE * STEP)), until)
}

/// The same where it is known when something was wrong for the first time: it began then, or up to a window before.
pub fn find_around(facts: &Facts, first: i64, until: i64) -> (i64, Vec<Ranked>) {
    let window = i64::try_from(WINDOW.as_nanos()).unwrap_or(i64::MAX);
    over_all(facts, (first.saturating_sub(window), first), until)
}

fn over_all(facts: &Facts, (from, last): (i64, i64), until: i64) -> (i64, Vec<Ranked>) {
    let prepared = Prepared::of(facts, until);
    let onsets = std::iter::successors(Some(from), |t| t.checked_add(STEP)).take_while(|t| *t <= last);
    let onsets: Vec<i64> = onsets.collect();
    let weight = |onset: &i64| (-(until.saturating_sub(*onset) as f64 / 1e9) / HALVED).exp2();
    let weights: Vec<f64> = onsets.iter().map(weight).collect();
    let mut over = vec![Over::default(); facts.candidates as usize];
    for (onset, weight) in onsets.iter().zip(&weights) {
        for Ranked { candidate, score, because } in prepared.at(*onset) {
            let Some(over) = over.get_mut(candidate as usize) else { continue };
            over.scores.push(score);
            over.sum += weight * score;
            // What there is no reason for tells nothing.
            if weight * score > over.most && !because.is_empty() {
                (over.most, over.because) = (weight * score, because);
            }
        }
    }
    let is_suspect = |over: &&Over| over.sum > 0.0 && !over.because.is_empty();
    let first = over.iter().filter(is_suspect).max_by(|a, b| a.sum.total_cmp(&b.sum));
    let began = first.and_then(|first| onsets.get(first.began(&weights)?)).copied();
    let all = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let ranked = |(candidate, over): (u32, Over)| Ranked { candidate, score: over.sum / all, because: over.because };
    let mut ranked: Vec<Ranked> = (0..facts.candidates).zip(over).map(ranked).collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score)); // stable: equals stay in order
    (began.unwrap_or(until), ranked)
}
