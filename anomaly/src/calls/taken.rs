//! How long a request took from workload to workload, and within each, by its lines.
//!
//! Who lies between two lines of a request is the whole question. A call is known by its bracket: one writes a line, then another
//! does, and the next line of the first comes right after one of the other, with nothing between but what the other's lines
//! enclose. The first waited for the other, and what lies between their lines there and back is the call, without what the called
//! says itself or calls in turn; so of what waits for each other only that is slow which is. Lines of one that follow
//! each other are its own part. Between two lines of different workloads that are no such bracket, others may be at work:
//! one that writes a line when it is done and none when it begins, such as an access log, or the one that called both. What
//! such a step takes is known, and not whose it is.
//!
//! Who never names the request in a line is in none of this.

use super::SOMEBODY;
use super::party::Writer;
use crate::hash::fold;

/// Workloads of one request that are told apart; it bounds what a request costs.
const PARTIES: usize = 64;

/// What lies between the lines of which something was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// One waits for another: from its line there and back.
    Call,
    /// From one's line to another's, with whoever may be between.
    Open,
    /// One's own part, between those who wrote the lines before and after it.
    Own { before: u64, after: u64 },
}

impl Step {
    /// A number for the kind of it.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Call => 0,
            Self::Open => 1,
            Self::Own { before, after } => fold(before.rotate_left(17) ^ after, FACTOR) | 2,
        }
    }
}

/// What one step took; of the calls of one kind the mean, and of the own parts the sum, where the request has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) step: Step,
    /// Who wrote the line before, and who the one after; both are one of an own part.
    pub(super) caller: Writer,
    pub(super) callee: Writer,
    /// When it was over, and how long it took, in nanoseconds.
    pub(super) at: i64,
    pub(super) took: i64,
}

/// All of a request that are of one kind and of the same pods.
struct Alike {
    taken: Taken,
    count: i64,
}

/// What the calls of a request took, the own parts and what is open, by its lines: when each was written and by whom.
pub(super) fn taken(lines: &mut [(i64, Writer)]) -> Vec<Taken> {
    // Lines of one time stay as they came: a workload's are in order.
    lines.sort_by_key(|(ts, _)| *ts);
    let calls = calls(lines);
    let mut alike: Vec<Alike> = Vec::new();
    let mut is_of_call = vec![false; lines.len()];
    for (taken, there, back) in calls {
        for end in [there, back] {
            if let Some(is) = is_of_call.get_mut(end) {
                *is = true;
            }
        }
        add(&mut alike, taken);
    }
    let mut began = 0;
    for (place, pair) in lines.windows(2).enumerate() {
        let [(from, one), (to, other)] = *pair else { continue };
        if one.party() == other.party() {
            continue;
        }
        add_own(&mut alike, lines, (began, place));
        began = place + 1;
        if !is_of_call.get(place).is_some_and(|is| *is) && one.party() != SOMEBODY && other.party() != SOMEBODY {
            let took = to.saturating_sub(from);
            add(&mut alike, Taken { step: Step::Open, caller: one, callee: other, at: to, took });
        }
    }
    add_own(&mut alike, lines, (began, lines.len().saturating_sub(1)));
    let mean = |Alike { taken, count }: Alike| match taken.step {
        Step::Own { .. } => taken,
        Step::Call | Step::Open => Taken { took: taken.took / count.max(1), ..taken },
    };
    alike.into_iter().map(mean).collect()
}

/// The calls of a request in order of time, each with the places of the lines that the way there and the way back begin at.
fn calls(lines: &[(i64, Writer)]) -> Vec<(Taken, usize, usize)> {
    // Each with where its last line was, in the order of their first.
    let mut parties: Vec<(u64, usize)> = Vec::new();
    let mut calls = Vec::new();
    for (place, (at, writer)) in lines.iter().enumerate() {
        let party = writer.party();
        if party == SOMEBODY {
            continue;
        }
        let Some(number) = parties.iter().position(|(known, _)| *known == party) else {
            if parties.len() < PARTIES {
                parties.push((party, place));
            }
            continue;
        };
        let Some((_, last)) = parties.get_mut(number) else { continue };
        let there = std::mem::replace(last, place);
        if place - there < 2 {
            continue;
        }
        let between = [there, there + 1, place - 1].map(|place| lines.get(place).copied());
        let [Some((left, caller)), Some((came, callee)), Some((went, who_answers))] = between else { continue };
        // Who was in the request before the other is the one that waits.
        let other = parties.iter().position(|(known, _)| *known == callee.party());
        if who_answers.party() != callee.party() || other.is_none_or(|other| other < number) {
            continue;
        }
        let took = came.saturating_sub(left).saturating_add(at.saturating_sub(went));
        let (caller, callee) = (caller.with(*writer), callee.with(who_answers));
        calls.push((Taken { step: Step::Call, caller, callee, at: *at, took }, there, place - 1));
    }
    calls
}

/// Adds what lies between the lines at these places, all of one workload.
fn add_own(alike: &mut Vec<Alike>, lines: &[(i64, Writer)], (first, last): (usize, usize)) {
    let (Some((from, one)), Some((to, other))) = (lines.get(first), lines.get(last)) else { return };
    if first == last || one.party() == SOMEBODY {
        return;
    }
    let neighbour =
        |place: Option<usize>| place.and_then(|place| lines.get(place)).map_or(NOBODY, |(_, by)| by.party());
    let step = Step::Own { before: neighbour(first.checked_sub(1)), after: neighbour(Some(last + 1)) };
    let writer = one.with(*other);
    add(alike, Taken { step, caller: writer, callee: writer, at: *to, took: to.saturating_sub(*from) });
}

fn add(alike: &mut Vec<Alike>, taken: Taken) {
    let is_same = |t: &Taken| (t.step, t.caller, t.callee) == (taken.step, taken.caller, taken.callee);
    if let Some(known) = alike.iter_mut().find(|known| is_same(&known.taken)) {
        known.taken.took = known.taken.took.saturating_add(taken.took);
        known.taken.at = known.taken.at.max(taken.at);
        known.count += 1;
    } else {
        alike.push(Alike { taken, count: 1 });
    }
}

/// There is no line before, or none after.
const NOBODY: u64 = u64::MAX;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn pod(party: u64, pod: u8) -> Writer {
        Writer::of(party << 8, pod)
    }

    const WEB: u64 = 1;
    const CART: u64 = 2;
    const STOCK: u64 = 3;

    fn all(lines: &[(i64, u64)]) -> Vec<Taken> {
        let of = |(at, party): &(i64, u64)| (*at, if *party == 0 { Writer::SOMEBODY } else { pod(*party, 0) });
        taken(&mut lines.iter().map(of).collect::<Vec<_>>())
    }

    /// Of one kind, how long each took and when it was over.
    fn of(lines: &[(i64, u64)], is: impl Fn(Step) -> bool, caller: u64, callee: u64) -> Vec<(i64, i64)> {
        let is_of = |t: &Taken| is(t.step) && (t.caller, t.callee) == (pod(caller, 0), pod(callee, 0));
        all(lines).iter().filter(|t| is_of(t)).map(|t| (t.took, t.at)).collect()
    }

    fn call(step: Step) -> bool {
        step == Step::Call
    }

    fn open(step: Step) -> bool {
        step == Step::Open
    }

    fn own(step: Step) -> bool {
        matches!(step, Step::Own { .. })
    }

    #[test]
    fn a_call_is_the_way_there_and_back_without_what_the_called_does() {
        // web 0, cart 10, stock 15..45, cart 50, web 70 and 71.
        let lines = [(0, WEB), (10, CART), (15, STOCK), (45, STOCK), (50, CART), (70, WEB), (71, WEB)];
        assert_eq!(of(&lines, call, WEB, CART), [(30, 70)]);
        assert_eq!(of(&lines, call, CART, STOCK), [(10, 50)]);
        assert_eq!(of(&lines, own, STOCK, STOCK), [(30, 45)]);
        assert_eq!(of(&lines, own, WEB, WEB), [(1, 71)]);
        assert_eq!(all(&lines).len(), 4);
        // In whatever order they came.
        let mut other = lines;
        other.reverse();
        other.swap(2, 5);
        let sorted = |lines: &[(i64, u64)]| {
            let mut all = all(lines);
            all.sort_by_key(|t| (t.caller, t.callee));
            all
        };
        assert_eq!(sorted(&lines), sorted(&other));
    }

    #[test]
    fn of_several_calls_it_is_the_mean_and_of_own_parts_between_the_same_the_sum() {
        let lines = [(0, WEB), (10, CART), (20, WEB), (25, WEB), (55, CART), (65, WEB), (70, WEB)];
        assert_eq!(of(&lines, call, WEB, CART), [((10 + 10 + 30 + 10) / 2, 65)]);
        assert_eq!(of(&lines, own, WEB, WEB), [(5, 25), (5, 70)]);
        let lines = [(0, WEB), (1, CART), (2, WEB), (4, WEB), (5, CART), (6, WEB), (9, WEB), (10, CART), (11, WEB)];
        assert_eq!(of(&lines, own, WEB, WEB), [(5, 9)]);
    }

    #[test]
    fn an_own_part_is_known_by_those_beside_it_whoever_else_takes_part() {
        let step = |lines: &[(i64, u64)]| all(lines).iter().find(|t| own(t.step)).unwrap().step;
        let between = step(&[(0, WEB), (1, CART), (2, CART), (3, STOCK), (4, CART)]);
        assert_eq!(between, step(&[(0, STOCK), (1, WEB), (2, CART), (3, CART), (4, STOCK), (5, WEB), (6, STOCK)]));
        assert_ne!(between, step(&[(0, WEB), (1, CART), (2, CART), (3, WEB)]));
        assert_ne!(step(&[(0, CART), (1, CART)]), step(&[(0, CART), (1, CART), (2, WEB)]));
        let numbers = [Step::Call, Step::Open, between, step(&[(0, CART), (1, CART)])].map(Step::number);
        assert!((0..4).all(|n| (0..n).all(|m| numbers[n] != numbers[m])));
    }

    #[test]
    fn whoever_may_be_between_makes_it_no_call() {
        // An access log: cart writes one line when it is done, and may have been at work before stock was called.
        let access = [(0, WEB), (10, STOCK), (15, STOCK), (20, CART), (25, WEB)];
        assert!(!all(&access).iter().any(|t| call(t.step)));
        assert_eq!(of(&access, open, WEB, STOCK), [(10, 10)]);
        assert_eq!((of(&access, open, STOCK, CART), of(&access, open, CART, WEB)), (vec![(5, 20)], vec![(5, 25)]));
        // The same of one that writes when it begins alone.
        let began = [(0, WEB), (5, CART), (10, STOCK), (15, STOCK), (25, WEB)];
        assert!(!all(&began).iter().any(|t| call(t.step)));
        assert_eq!(of(&began, open, STOCK, WEB), [(10, 25)]);
        // What the called's lines enclose is within it, and one line is enough of it.
        let within = [(0, WEB), (5, CART), (10, STOCK), (20, CART), (25, WEB)];
        assert_eq!((of(&within, call, WEB, CART), of(&within, call, CART, STOCK)), (vec![(10, 25)], vec![(15, 20)]));
        // Who writes no more is not known to have waited.
        assert_eq!(of(&[(0, WEB), (5, CART), (9, CART)], open, WEB, CART), [(5, 5)]);
        // Two at once.
        let both = [(0, WEB), (5, CART), (6, STOCK), (9, CART), (12, STOCK), (15, WEB)];
        assert_eq!((of(&both, call, WEB, CART), of(&both, call, WEB, STOCK)), (vec![], vec![]));
    }

    #[test]
    fn where_somebody_is_nothing_is_anybody_s() {
        let there = [(0, WEB), (5, SOMEBODY), (10, CART), (15, CART), (20, WEB)];
        assert!(!all(&there).iter().any(|t| call(t.step)));
        assert_eq!((of(&there, open, WEB, CART), of(&there, open, CART, WEB)), (vec![], vec![(5, 20)]));
        assert_eq!(of(&[(0, WEB), (5, SOMEBODY), (10, WEB)], |_| true, WEB, WEB), []);
        // Beyond the called it is within its part.
        let beyond = [(0, WEB), (5, CART), (10, SOMEBODY), (15, CART), (20, WEB)];
        assert_eq!(of(&beyond, |_| true, WEB, CART), [(10, 20)]);
    }

    #[test]
    fn pods_are_told_apart_where_all_lines_of_a_step_are_of_one() {
        let lines = [(0, pod(WEB, 1)), (5, pod(CART, 2)), (9, pod(CART, 2)), (12, pod(WEB, 1))];
        let found = taken(&mut lines.to_vec());
        let of_step = |is: fn(Step) -> bool| found.iter().filter(move |t| is(t.step)).map(|t| (t.caller, t.callee));
        assert_eq!(of_step(call).collect::<Vec<_>>(), [(pod(WEB, 1), pod(CART, 2))]);
        assert_eq!(of_step(own).collect::<Vec<_>>(), [(pod(CART, 2), pod(CART, 2))]);
        let mut other = lines;
        other[2].1 = pod(CART, 3);
        let found = taken(&mut other);
        let of_call: Vec<_> = found.iter().filter(|t| call(t.step)).map(|t| (t.caller.pod(), t.callee.pod())).collect();
        assert_eq!(of_call, [(Some(1), None)]);
    }

    #[test]
    fn one_request_is_of_so_many_workloads_at_the_most() {
        let lines: Vec<(i64, u64)> = (0..500).map(|n| (n, 1 + n as u64 % 250)).collect();
        assert_eq!(all(&lines).iter().filter(|t| call(t.step)).count(), 0);
        // One that waits for each of many in turn.
        let lines: Vec<(i64, u64)> = (0..500).map(|n| (n, if n % 2 == 0 { 1 } else { 2 + n as u64 })).collect();
        assert_eq!(all(&lines).iter().filter(|t| call(t.step)).count(), PARTIES - 1);
        assert_eq!(all(&[]), []);
    }
}
