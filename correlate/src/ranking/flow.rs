//! Requests that take another course: after a line of one kind comes another kind than used to.
//!
//! The lines of a request within one candidate are steps from kind to kind, with a start and an end. How often a step
//! follows a kind does not depend on how much is going on, so a change of the traffic changes little, while an
//! exception, an early return or a missing line each make a step more frequent. A line of no request is a step from nothing: then it
//! is the share of its kind that counts, which a new or a vanished kind changes.
//!
//! What goes wrong at one candidate is often seen at those that called it. Of the candidates at which a request took an
//! unusual step, the first is to blame for it.

use super::usual::Past;
use super::windows::Windows;
use super::{Facts, Found, Line, Reason};

/// The start of a request's part, and its end.
const EDGE: u64 = u64::MAX;
/// A deviation that is never worth mentioning, in standard deviations.
const LEAST: f64 = 2.0;

/// Where in the order of its part a step is: of a candidate, after one kind, the next, in a window, in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    candidate: u32,
    after: u64,
    next: u64,
    window: u32,
    request: u64,
    at: i64,
}

impl Step {
    fn same_of_request(&self, other: &Self) -> bool {
        let of = |s: &Self| (s.candidate, s.after, s.next, s.window, s.request);
        of(self) == of(other)
    }
}

/// A step that is more frequent, or rarer, than it used to be.
#[derive(Debug, Clone, Copy)]
struct Change {
    candidate: u32,
    after: u64,
    next: u64,
    /// In standard deviations; below 0 is rarer.
    by: f64,
    now: (u32, u32),
    before: (u32, u32),
}

/// What the courses of requests say of each candidate. `lines` are sorted.
pub(super) fn found(facts: &Facts, lines: &[Line], windows: &Windows) -> Vec<Option<Found>> {
    let mut steps = steps(lines, windows);
    steps.sort_unstable();
    // What a request repeats is one observation: it depends on the request.
    steps.dedup_by(|a, b| a.request != 0 && a.same_of_request(b));
    let (changes, past) = changes(&steps);
    let past = Past::new(past);
    let mut best: Vec<Option<(f64, Reason)>> = vec![None; facts.candidates as usize];
    let mut put = |candidate: u32, by: f64, because: Reason| {
        if let Some(place) = best.get_mut(candidate as usize)
            && by > place.as_ref().map_or(0.0, |held| held.0)
        {
            *place = Some((by, because));
        }
    };
    let unusual = unusual(&steps, &changes);
    let mut passed = Vec::new();
    for change in &changes {
        let because = |seen_at| Reason::Course {
            after: (change.after != EDGE).then_some(change.after),
            next: (change.next != EDGE).then_some(change.next),
            now: change.now,
            before: change.before,
            seen_at,
        };
        let key = (change.candidate, change.after, change.next);
        let first = unusual.partition_point(|u| u.0 < key);
        let of = unusual.get(first..).unwrap_or_default().iter().take_while(|u| u.0 == key);
        let (mut all, mut blamed) = (0.0, Vec::new());
        for (_, blame) in of {
            all += 1.0;
            blamed.extend(*blame);
        }
        let share = |n: usize| if all > 0.0 { n as f64 / all } else { 0.0 };
        put(change.candidate, change.by * (1.0 - share(blamed.len())), because(None));
        blamed.sort_unstable();
        for same in blamed.chunk_by(|a, b| a == b) {
            if let Some(candidate) = same.first() {
                passed.push((*candidate, change.by * share(same.len()), because(Some(change.candidate))));
            }
        }
    }
    // After what each showed itself, which says more where both are as strong.
    passed.into_iter().for_each(|(candidate, by, because)| put(candidate, by, because));
    let times = |(candidate, held): (usize, Option<(f64, Reason)>)| {
        let (by, because) = held?;
        Some(Found { times: past.times(candidate as u32, by, LEAST), because })
    };
    best.into_iter().enumerate().map(times).collect()
}

fn steps(lines: &[Line], windows: &Windows) -> Vec<Step> {
    let mut parts: Vec<Line> = lines.to_vec();
    parts.sort_unstable_by_key(|l| (l.request, l.candidate, l.at, l.template));
    let mut steps = Vec::with_capacity(parts.len() + parts.len() / 4);
    for part in parts.chunk_by(|a, b| a.request == b.request && a.candidate == b.candidate) {
        let Some(first) = part.first() else { continue };
        let (request, candidate) = (first.request, first.candidate);
        if request == 0 {
            steps.extend(part.iter().filter_map(|l| {
                let window = windows.of(l.at)?;
                Some(Step { candidate, after: EDGE - 1, next: l.template, window, request, at: l.at })
            }));
            continue;
        }
        let Some(window) = windows.of(first.at) else { continue };
        let (mut after, mut at) = (EDGE, first.at);
        for line in part.iter().take_while(|l| l.at < windows.until) {
            steps.push(Step { candidate, after, next: line.template, window, request, at: line.at });
            (after, at) = (line.template, line.at);
        }
        steps.push(Step { candidate, after, next: EDGE, window, request, at });
    }
    steps
}

/// How each step's share changed in the first window, and how far that of the candidates went in those before.
fn changes(steps: &[Step]) -> (Vec<Change>, Vec<(u32, u32, f64)>) {
    let (mut changes, mut past) = (Vec::new(), Vec::new());
    let mut totals: Vec<(u32, u32)> = Vec::new();
    let mut counts: Vec<(u32, u32)> = Vec::new();
    for from in steps.chunk_by(|a, b| (a.candidate, a.after) == (b.candidate, b.after)) {
        count_windows(from, &mut totals);
        let all: u32 = totals.iter().map(|t| t.1).sum();
        let new = totals.first().filter(|t| t.0 == 0).map_or(0, |t| t.1);
        for same in from.chunk_by(|a, b| a.next == b.next) {
            let Some(step) = same.first() else { continue };
            count_windows(same, &mut counts);
            let in_all = same.len() as u32;
            let in_new = counts.first().filter(|c| c.0 == 0).map_or(0, |c| c.1);
            let mut counted = counts.iter().peekable();
            for (window, n) in &totals {
                let x = counted.next_if(|c| c.0 == *window).map_or(0, |c| c.1);
                let new = if *window == 0 { (0, 0) } else { (in_new, new) };
                let rest = (in_all - x - new.0, all - n - new.1);
                let Some(by) = deviation((x, *n), rest) else { continue };
                if *window > 0 {
                    past.push((step.candidate, *window, by.max(0.0)));
                } else {
                    let Step { candidate, after, next, .. } = *step;
                    changes.push(Change { candidate, after, next, by, now: (x, *n), before: rest });
                }
            }
        }
    }
    (changes, past)
}

/// How many steps each window has, in the order of windows.
fn count_windows(steps: &[Step], counts: &mut Vec<(u32, u32)>) {
    let mut windows: Vec<u32> = steps.iter().map(|s| s.window).collect();
    windows.sort_unstable();
    counts.clear();
    counts.extend(windows.chunk_by(|a, b| a == b).filter_map(|same| Some((*same.first()?, same.len() as u32))));
}

/// By how many standard deviations `x` of `n` is more than the share among the rest promises; `None` where there is no rest.
fn deviation((x, n): (u32, u32), rest: (u32, u32)) -> Option<f64> {
    if rest.1 == 0 {
        return None;
    }
    let (x, n) = (f64::from(x), f64::from(n));
    let known = f64::from(rest.1) + 1.0;
    let p = (f64::from(rest.0) + 0.5) / known;
    Some((x - n * p) / (n * p * (1.0 - p) * (1.0 + n / known) + 0.5).sqrt())
}

/// The steps of the first window that are more frequent than they used to be, in the order of candidate, kind and next, each
/// with the candidate that its request took an unusual step at before.
fn unusual(steps: &[Step], changes: &[Change]) -> Vec<((u32, u64, u64), Option<u32>)> {
    let of =
        |s: &Step| changes.binary_search_by_key(&(s.candidate, s.after, s.next), |c| (c.candidate, c.after, c.next));
    let is_unusual = |s: &&Step| {
        s.window == 0 && s.request != 0 && of(s).ok().and_then(|n| changes.get(n)).is_some_and(|c| c.by > LEAST)
    };
    let mut found: Vec<Step> = steps.iter().filter(is_unusual).copied().collect();
    found.sort_unstable_by_key(|s| (s.request, s.at, s.candidate, s.after, s.next));
    let mut blamed = Vec::with_capacity(found.len());
    for of_request in found.chunk_by(|a, b| a.request == b.request) {
        let Some(first) = of_request.first() else { continue };
        blamed.extend(
            of_request
                .iter()
                .map(|s| ((s.candidate, s.after, s.next), (s.candidate != first.candidate).then_some(first.candidate))),
        );
    }
    blamed.sort_unstable();
    blamed
}
