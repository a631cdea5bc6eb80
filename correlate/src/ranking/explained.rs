//! What ended explains what those who call it showed from then on.
//!
//! One that is gone says nothing: what its callers say of it, or do instead, is far louder than its end. So the evidence against each
//! that calls it and showed nothing before it ended counts for it, too. Where a caller went wrong by itself just then, it comes second.

use std::collections::BTreeMap;

use super::Reason;

/// Adds to the scores of those that ended what is explained by it; for each that got some, the reason. `ended` and `began` say of
/// each candidate when it first ended, more often than usual, and when it first showed something, itself or by another: both from
/// a window before the onset on, since who suffers may be noticed later than whom it suffers from.
pub(super) fn explain(
    scores: &mut [f64],
    ended: &[Option<i64>],
    began: &[Option<i64>],
    calls: &[(u32, u32)],
) -> Vec<Option<(f64, Reason)>> {
    let mut best: Vec<Option<(f64, Reason)>> = vec![None; scores.len()];
    let time = |of: &[Option<i64>], candidate: u32| of.get(candidate as usize).copied().flatten();
    let explains = |(caller, callee): &(u32, u32)| {
        let first = time(ended, *callee)?;
        let later = time(began, *caller).filter(|began| caller != callee && *began >= first)?;
        Some((first, later, *caller, *callee))
    };
    let mut explained: Vec<(i64, i64, u32, u32)> = calls.iter().filter_map(explains).collect();
    explained.sort_unstable();
    explained.dedup();
    // Of several that had ended none is the one.
    let mut rivals: BTreeMap<u32, u32> = BTreeMap::new();
    explained.iter().for_each(|(_, _, caller, _)| *rivals.entry(*caller).or_default() += 1);
    // The last that ended first: what it gets goes on to whom it calls.
    for (_, _, caller, callee) in explained.iter().rev() {
        let rivals = rivals.get(caller).copied().unwrap_or(1);
        let more = scores.get(*caller as usize).map_or(0.0, |score| score / f64::from(rivals));
        if more <= 0.0 {
            continue;
        }
        if let (Some(score), Some(place)) = (scores.get_mut(*callee as usize), best.get_mut(*callee as usize)) {
            *score += more;
            if place.as_ref().is_none_or(|held| more > held.0) {
                *place = Some((more, Reason::Explains { caller: *caller }));
            }
        }
    }
    best
}
