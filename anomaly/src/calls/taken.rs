//! How long a request took from workload to workload, and within each, by its lines.
//!
//! Between two lines of a request that follow each other lies a step: within the workload that wrote both, or from one to
//! another, there or back. What a call takes beside what the called says itself is the step there and the step back together;
//! what it calls in turn is no part of it, so of what waits for each other only that is slow which is.

/// Workloads of one request that are told apart; it bounds what a request costs.
const PARTIES: usize = 64;

/// What one call took, or a workload's own part where both are one; the mean, where the request has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) caller: u64,
    pub(super) callee: u64,
    /// Of an own part: with whom it was, in a number. With others it is other work, and so it is where one of them is silent.
    pub(super) beside: u64,
    /// When it was over, and how long it took, in nanoseconds.
    pub(super) at: i64,
    pub(super) took: i64,
}

/// Steps of one kind: how many, and how long they took together.
#[derive(Debug, Clone, Copy, Default)]
struct Steps {
    count: i64,
    sum: i64,
}

impl Steps {
    fn add(&mut self, took: i64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
    }

    fn mean(self) -> i64 {
        self.sum / self.count.max(1)
    }
}

/// Steps between two workloads, the one that came first in the request before the other.
#[derive(Debug, Clone, Copy)]
struct Between {
    caller: u64,
    callee: u64,
    there: Steps,
    back: Steps,
    at: i64,
}

/// What the calls of a request took, and the own parts, by its lines: when each was written and by whom.
pub(super) fn taken(lines: &mut [(i64, u64)]) -> Vec<Taken> {
    // Lines of one time stay as they came: a workload's are in order.
    lines.sort_by_key(|(ts, _)| *ts);
    let mut parties: Vec<u64> = Vec::new();
    let mut between: Vec<Between> = Vec::new();
    for pair in lines.windows(2) {
        let [(began, from), (at, to)] = *pair else { continue };
        let (Some(first), Some(second)) = (place(&mut parties, from), place(&mut parties, to)) else { continue };
        let (caller, callee) = if first <= second { (from, to) } else { (to, from) };
        let known = between.iter().position(|b| (b.caller, b.callee) == (caller, callee)).unwrap_or_else(|| {
            between.push(Between { caller, callee, there: Steps::default(), back: Steps::default(), at });
            between.len() - 1
        });
        let Some(known) = between.get_mut(known) else { continue };
        let steps = if from == callee && first != second { &mut known.back } else { &mut known.there };
        steps.add(at.saturating_sub(began));
        known.at = at;
    }
    let of = |b: &Between| {
        let own = b.caller == b.callee;
        let took = if own { b.there.sum } else { b.there.mean().saturating_add(b.back.mean()) };
        let beside = if own { beside(&between, b.caller) } else { 0 };
        Taken { caller: b.caller, callee: b.callee, beside, at: b.at, took }
    };
    between.iter().map(of).collect()
}

/// The how-manieth workload of the request it is.
fn place(parties: &mut Vec<u64>, party: u64) -> Option<usize> {
    if let Some(at) = parties.iter().position(|p| *p == party) {
        return Some(at);
    }
    if parties.len() >= PARTIES {
        return None;
    }
    parties.push(party);
    Some(parties.len() - 1)
}

/// Whom a workload is beside, in whatever order.
fn beside(between: &[Between], party: u64) -> u64 {
    let others = between.iter().filter(|b| b.caller != b.callee && (b.caller == party || b.callee == party));
    others.fold(0_u64, |sum, b| sum.wrapping_add(crate::hash::fold(b.caller ^ b.callee ^ party, FACTOR)))
}

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const WEB: u64 = 1;
    const CART: u64 = 2;
    const STOCK: u64 = 3;

    fn of(lines: &[(i64, u64)], caller: u64, callee: u64) -> Option<Taken> {
        let mut found: Vec<Taken> = taken(&mut lines.to_vec());
        found.retain(|t| (t.caller, t.callee) == (caller, callee));
        assert!(found.len() < 2, "{found:?}");
        found.pop()
    }

    #[test]
    fn a_call_is_the_way_there_and_back_without_what_the_called_does() {
        // web 0, cart 10, stock 15..45, cart 50, web 70 and 71.
        let lines = [(0, WEB), (10, CART), (15, STOCK), (45, STOCK), (50, CART), (70, WEB), (71, WEB)];
        let took = |caller, callee| of(&lines, caller, callee).map(|t| (t.took, t.at));
        assert_eq!(took(WEB, CART), Some((30, 70)));
        assert_eq!(took(CART, STOCK), Some((10, 50)));
        assert_eq!(took(STOCK, STOCK), Some((30, 45)));
        assert_eq!((took(CART, CART), took(CART, WEB), took(WEB, STOCK)), (None, None, None));
        assert_eq!(took(WEB, WEB), Some((1, 71)));
        // In whatever order they came.
        let mut other = lines;
        other.reverse();
        other.swap(2, 5);
        let mut all = taken(&mut lines.to_vec());
        let mut turned = taken(&mut other);
        all.sort_by_key(|t| (t.caller, t.callee));
        turned.sort_by_key(|t| (t.caller, t.callee));
        assert_eq!(all, turned);
    }

    #[test]
    fn of_several_calls_it_is_the_mean_and_of_own_parts_the_sum() {
        let lines = [(0, WEB), (10, CART), (20, WEB), (25, WEB), (55, CART), (65, WEB), (70, WEB)];
        assert_eq!(of(&lines, WEB, CART).unwrap().took, (10 + 30) / 2 + 10);
        assert_eq!(of(&lines, WEB, WEB).unwrap().took, 10);
    }

    #[test]
    fn an_own_part_with_others_beside_it_is_another() {
        let beside = |lines: &[(i64, u64)]| of(lines, CART, CART).unwrap().beside;
        let both = beside(&[(0, WEB), (1, CART), (2, CART), (3, STOCK), (4, CART)]);
        assert_eq!(both, beside(&[(0, WEB), (1, CART), (3, STOCK), (4, CART), (5, CART)]));
        assert_ne!(both, beside(&[(0, WEB), (1, CART), (2, CART)]));
        assert_eq!(beside(&[(0, CART), (1, CART)]), 0);
    }

    #[test]
    fn one_request_is_of_so_many_workloads_at_the_most() {
        let mut lines: Vec<(i64, u64)> = (0..500).map(|n| (n, n as u64)).collect();
        assert_eq!(taken(&mut lines).len(), PARTIES - 1);
        assert_eq!(taken(&mut []), []);
    }
}
