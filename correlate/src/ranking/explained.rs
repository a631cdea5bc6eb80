//! What ended explains what those who call it showed from then on.
//!
//! One that is gone says nothing: what its callers say of it, or do instead, is far louder than its end. So the evidence against each
//! that calls it and went wrong no sooner counts for it, too. Where a caller went wrong by itself just then, it comes second.

use std::collections::{BTreeMap, BTreeSet};

use super::Reason;

/// Who ends may have answered nobody for a while before, and says so late or not at all; in nanoseconds.
const HANGS: i64 = 15_000_000_000;

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
        let Some(end) = time(ended, *callee).filter(|_| caller != callee) else { return false };
        let first = time(began, *callee).map_or(end, |began| began.min(end));
        time(began, *caller).is_some_and(|began| began.saturating_add(HANGS) >= first)
    };
    let mut explained: Vec<(u32, u32)> = calls.iter().copied().filter(explains).collect();
    explained.sort_unstable();
    explained.dedup();
    // Who has got all that its own callers showed passes it on to whom it calls; of a ring each passes its own.
    let mut waits: BTreeMap<u32, usize> = BTreeMap::new();
    explained.iter().for_each(|(_, callee)| *waits.entry(*callee).or_default() += 1);
    let of_caller: BTreeMap<u32, &[(u32, u32)]> =
        explained.chunk_by(|a, b| a.0 == b.0).filter_map(|of| Some((of.first()?.0, of))).collect();
    let own = scores.to_vec();
    let mut is_ring = false;
    let mut left: BTreeSet<u32> = of_caller.keys().copied().collect();
    while let Some(first) = left.first().copied() {
        let next = left.iter().copied().find(|caller| waits.get(caller).is_none_or(|n| *n == 0));
        is_ring |= next.is_none();
        let caller = next.unwrap_or(first);
        left.remove(&caller);
        let callees = of_caller.get(&caller).copied().unwrap_or_default();
        // Of several that had ended none is the one.
        let shown = if is_ring { own.get(caller as usize) } else { scores.get(caller as usize) };
        let more = shown.map_or(0.0, |score| score / callees.len().max(1) as f64);
        for (_, callee) in callees {
            if let Some(n) = waits.get_mut(callee) {
                *n = n.saturating_sub(1);
            }
            let (Some(score), Some(place)) = (scores.get_mut(*callee as usize), best.get_mut(*callee as usize)) else {
                continue;
            };
            if more > 0.0 {
                *score += more;
            }
            if more > place.as_ref().map_or(0.0, |held| held.0) {
                *place = Some((more, Reason::Explains { caller }));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// The scores of candidates that showed 1, 2, 4... and ended at these seconds, where they did; all went wrong at 100.
    fn scores(ended: &[Option<i64>], calls: &[(u32, u32)]) -> Vec<f64> {
        let mut scores: Vec<f64> = (0..ended.len()).map(|n| f64::from(1 << n)).collect();
        let ended: Vec<_> = ended.iter().map(|at| at.map(|s| s * SECOND)).collect();
        explain(&mut scores, &ended, &vec![Some(100 * SECOND); ended.len()], calls);
        scores
    }

    #[test]
    fn what_goes_on_to_the_last_of_a_chain_is_all_that_was_shown_before_it() {
        let chain = [(0, 1), (1, 2)];
        assert_eq!(scores(&[None, Some(130), Some(105)], &chain), [1.0, 3.0, 7.0]);
        // In whatever order they are numbered.
        assert_eq!(scores(&[Some(105), Some(130), None], &[(2, 1), (1, 0)]), [7.0, 6.0, 4.0]);
        assert_eq!(scores(&[None, None, Some(105)], &chain), [1.0, 2.0, 6.0]);
        assert_eq!(scores(&[None, None, None], &chain), [1.0, 2.0, 4.0]);
        // Of two that had ended none is the one, and in a ring each passes its own.
        assert_eq!(scores(&[None, Some(101), Some(101)], &[(0, 1), (0, 2), (2, 2)]), [1.0, 2.5, 4.5]);
        assert_eq!(scores(&[Some(101), Some(101)], &[(0, 1), (1, 0)]), [3.0, 3.0]);
    }
}
