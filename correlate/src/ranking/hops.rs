//! Steps of requests that take longer: the time between two lines of a request, whoever wrote them.
//!
//! A network that delays, or a processor that is taken away, stretches each step that a workload takes part in, and those
//! of no other. The times of a step are compared with those it took before by their rank, which makes no assumption of
//! how they are distributed. A step between two counts for both, a little less for the one who called: waiting shows at the
//! caller.

use super::normal;
use super::usual::{Past, of_sorted, quantile};
use super::windows::Windows;
use super::{Facts, Found, Line, Reason};

/// Times of a step without which there is no past.
const FEW: usize = 8;
/// More of one step and window say nothing more: they are slow together.
const MOST: f64 = 16.0;
/// Deviations of a step that are within what chance does, in standard deviations.
const CHANCE: f64 = 2.0;
/// What a step counts for the one who called.
const CALLER: f64 = 0.75;
/// Evidence of `n` kinds of steps is divided by the `n` to this power: between a sum and a mean.
const KINDS: f64 = 0.2;
/// An excess that is never worth mentioning.
const LEAST: f64 = 2.0;
/// Shorter times are as good as none: clocks and writers are no better, in nanoseconds.
const TICK: i64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hop {
    from: (u32, u64),
    to: (u32, u64),
    window: u32,
    request: u64,
    took: i64,
    callee: u32,
}

/// What the times of requests' steps say of each candidate. `lines` are sorted.
pub(super) fn found(facts: &Facts, lines: &[Line], windows: &Windows) -> Vec<Option<Found>> {
    let mut hops = hops(lines, windows);
    hops.sort_unstable();
    let mut excesses: Vec<Excess> = Vec::new();
    for same in hops.chunk_by(|a, b| (a.from, a.to) == (b.from, b.to)) {
        judge(same, &mut excesses);
    }
    excesses.sort_unstable_by_key(|e| (e.candidate, e.window));
    let (mut now, mut past) = (Vec::new(), Vec::new());
    for of in excesses.chunk_by(|a, b| (a.candidate, a.window) == (b.candidate, b.window)) {
        let Some(first) = of.first() else { continue };
        let sum: f64 = of.iter().map(|e| e.by).sum();
        let measure = sum / (of.len() as f64).powf(KINDS);
        if first.window > 0 {
            past.push((first.candidate, first.window, measure));
        } else if let Some(worst) = of.iter().max_by(|a, b| a.by.total_cmp(&b.by)) {
            now.push((first.candidate, measure, worst.because));
        }
    }
    let past = Past::new(past);
    let mut found = vec![None; facts.candidates as usize];
    for (candidate, measure, because) in now {
        // What was as slow before the onset did not begin with it.
        let more = measure - past.just_before(candidate);
        if more > 0.0
            && let Some(place) = found.get_mut(candidate as usize)
        {
            *place = Some(Found { times: past.times(candidate, more, LEAST), because });
        }
    }
    found
}

fn hops(lines: &[Line], windows: &Windows) -> Vec<Hop> {
    let mut hops = Vec::with_capacity(lines.len());
    let mut order: Vec<u32> = Vec::new();
    for request in lines.chunk_by(|a, b| a.request == b.request) {
        if request.first().is_none_or(|l| l.request == 0) {
            continue;
        }
        order.clear();
        let mut place = |candidate: u32| {
            order.iter().position(|c| *c == candidate).unwrap_or_else(|| {
                order.push(candidate);
                order.len() - 1
            })
        };
        for pair in request.windows(2) {
            let [a, b] = pair else { continue };
            let Some(window) = windows.of(b.at) else { break };
            let callee = if place(a.candidate) < place(b.candidate) { b.candidate } else { a.candidate };
            let (from, to) = ((a.candidate, a.template), (b.candidate, b.template));
            hops.push(Hop { from, to, window, request: b.request, took: (b.at - a.at).max(TICK), callee });
        }
    }
    hops
}

struct Excess {
    candidate: u32,
    window: u32,
    by: f64,
    because: Reason,
}

/// By how much the times of one step exceed the past, window by window, for each who takes part in it.
fn judge(same: &[Hop], excesses: &mut Vec<Excess>) {
    let mut before: Vec<f64> = same.iter().filter(|h| h.window > 0).map(|h| h.took as f64).collect();
    if before.len() < FEW {
        return;
    }
    before.sort_unstable_by(f64::total_cmp);
    let Some(hop) = same.first() else { return };
    let callee = same.iter().filter(|h| h.callee == hop.from.0).count() * 2 > same.len();
    let (caller, callee) = if callee { (hop.to.0, hop.from.0) } else { (hop.from.0, hop.to.0) };
    let score = |took: f64| {
        let below = before.partition_point(|t| *t < took) + before.partition_point(|t| *t <= took);
        normal::quantile((below + 1) as f64 / 2.0 / (before.len() + 1) as f64)
    };
    for of_window in same.chunk_by(|a, b| a.window == b.window) {
        let Some(window) = of_window.first().map(|h| h.window) else { continue };
        let (mut n, mut sum) = (0.0, 0.0);
        for of_request in of_window.chunk_by(|a, b| a.request == b.request) {
            n += 1.0;
            sum += of_request.iter().map(|h| score(h.took as f64)).sum::<f64>() / of_request.len() as f64;
        }
        let mean = sum / n;
        let by = (mean * n.min(MOST).sqrt() - CHANCE).max(0.0);
        let mut took: Vec<f64> = of_window.iter().map(|h| h.took as f64).collect();
        let is = if window == 0 { quantile(&mut took, 0.5).unwrap_or(0.0) / 1e9 } else { 0.0 };
        let was = of_sorted(&before, 0.5).unwrap_or(0.0) / 1e9;
        let mut put = |candidate, with, by| {
            excesses.push(Excess { candidate, window, by, because: Reason::Slow { with, was, is } });
        };
        put(callee, caller, by);
        if caller != callee {
            put(caller, callee, CALLER * by);
        }
    }
}
