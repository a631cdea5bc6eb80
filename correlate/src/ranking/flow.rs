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
use super::{Found, Line, Reason};

/// The start of a request's part, and its end.
const EDGE: u64 = u64::MAX;
/// What a line of no request comes after.
const ALONE: u64 = EDGE - 1;
/// A deviation that is never worth mentioning, in standard deviations.
const LEAST: f64 = 2.0;
/// An unusual step explains a later one that is so many times as unusual, and of one that is more so a part.
const ENOUGH: f64 = 3.0;

/// A step: of a candidate, from a kind of line to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    candidate: u32,
    after: u64,
    next: u64,
}

/// A step that was taken once; of a request, however often it took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    kind: Kind,
    /// When the request's part began: it counts for the window of that.
    since: i64,
    request: u64,
    at: i64,
}

/// A step that is more frequent than it used to be.
#[derive(Debug, Clone, Copy)]
struct Change {
    kind: Kind,
    /// In standard deviations.
    by: f64,
    now: (u32, u32),
    before: (u32, u32),
}

/// All steps, in the order of their kinds and of time.
#[derive(Debug, Default)]
pub(super) struct Courses {
    taken: Vec<Taken>,
    /// Where those of each kind begin, and the end of all.
    kinds: Vec<usize>,
}

impl Courses {
    /// Of lines in the order of requests and time.
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut parts: Vec<Line> = lines.to_vec();
        parts.sort_unstable_by_key(|l| (l.request, l.candidate, l.at, l.template));
        let mut taken: Vec<Taken> = Vec::with_capacity(parts.len() + parts.len() / 4);
        for part in parts.chunk_by(|a, b| a.request == b.request && a.candidate == b.candidate) {
            let Some(first) = part.first() else { continue };
            let (request, candidate, since) = (first.request, first.candidate, first.at);
            let kind = |after, next| Kind { candidate, after, next };
            if request == 0 {
                let alone = |l: &Line| Taken { kind: kind(ALONE, l.template), since: l.at, request, at: l.at };
                taken.extend(part.iter().map(alone));
                continue;
            }
            let (mut after, mut at) = (EDGE, since);
            for line in part {
                taken.push(Taken { kind: kind(after, line.template), since, request, at: line.at });
                (after, at) = (line.template, line.at);
            }
            taken.push(Taken { kind: kind(after, EDGE), since, request, at });
        }
        taken.sort_unstable();
        // What a request repeats is one observation: it depends on the request.
        taken.dedup_by(|a, b| a.request != 0 && (a.kind, a.request) == (b.kind, b.request));
        let mut kinds = vec![0];
        for same in taken.chunk_by(|a, b| a.kind == b.kind) {
            kinds.push(kinds.last().copied().unwrap_or(0) + same.len());
        }
        Self { taken, kinds }
    }

    fn each_kind(&self) -> impl Iterator<Item = &[Taken]> {
        self.kinds.windows(2).filter_map(|ends| self.taken.get(*ends.first()?..*ends.last()?))
    }

    /// What the courses of requests say of each candidate, and when it first took a course, in the first window or the one
    /// before, that it takes more often now than it used to.
    pub(super) fn found(&self, candidates: u32, windows: &Windows) -> (Vec<Option<Found>>, Vec<Option<i64>>) {
        let (changes, past) = self.changes(windows);
        let mut best: Vec<Option<(f64, Reason)>> = vec![None; candidates as usize];
        let mut put = |candidate: u32, by: f64, because: Reason| {
            if let Some(place) = best.get_mut(candidate as usize)
                && by > place.as_ref().map_or(0.0, |held| held.0)
            {
                *place = Some((by, because));
            }
        };
        let unusual = self.unusual(&changes, windows);
        let mut passed = Vec::new();
        for change in &changes {
            let Change { kind: Kind { candidate, after, next }, by, now, before } = *change;
            let because = |seen_at| match after {
                ALONE => Reason::Share { kind: next, now, before },
                _ => Reason::Course {
                    after: (after != EDGE).then_some(after),
                    next: (next != EDGE).then_some(next),
                    now,
                    before,
                    seen_at,
                },
            };
            let first = unusual.partition_point(|u| u.0 < change.kind);
            let of = unusual.get(first..).unwrap_or_default().iter().take_while(|u| u.0 == change.kind);
            let (mut all, mut blamed) = (0.0, Vec::new());
            for (_, blame) in of {
                all += 1.0;
                blamed.extend(blame.map(|(to, at_first)| (to, (ENOUGH * at_first / by).min(1.0))));
            }
            let share = |n: f64| if all > 0.0 { n / all } else { 0.0 };
            put(candidate, by * (1.0 - share(blamed.iter().map(|b| b.1).sum())), because(None));
            for same in blamed.chunk_by(|a, b| a.0 == b.0) {
                let to = same.first().map_or(candidate, |b| b.0);
                passed.push((to, by * share(same.iter().map(|b| b.1).sum()), because(Some(candidate))));
            }
        }
        // After what each showed itself, which says more where both are as strong.
        passed.into_iter().for_each(|(candidate, by, because)| put(candidate, by, because));
        let times = |(candidate, held): (u32, Option<(f64, Reason)>)| {
            let (by, because) = held?;
            Some(Found { times: past.times(candidate, by, LEAST), because })
        };
        let found = (0..candidates).zip(best).map(times).collect();
        let mut began = vec![None; candidates as usize];
        for change in changes.iter().filter(|change| change.by > LEAST) {
            if let Some(taken) = self.since(windows.begin(1), change.kind, windows).next() {
                super::earlier(&mut began, taken.kind.candidate, taken.at);
            }
        }
        (found, began)
    }

    /// The steps of a kind from then on to the end of the first window, in order of time.
    fn since(&self, from: i64, kind: Kind, windows: &Windows) -> impl Iterator<Item = &Taken> {
        let first = self.taken.partition_point(|t| (t.kind, t.since) < (kind, from));
        let until = windows.until;
        let of = self.taken.get(first..).unwrap_or_default().iter();
        of.take_while(move |t| t.kind == kind && t.since < until)
    }

    /// The steps whose share is higher in the first window, and how far that of the candidates went in those before.
    fn changes(&self, windows: &Windows) -> (Vec<Change>, Past) {
        let (mut changes, mut past) = (Vec::new(), Vec::new());
        let same_start = |a: &&[Taken], b: &&[Taken]| {
            let of = |taken: &[Taken]| taken.first().map(|t| (t.kind.candidate, t.kind.after));
            of(a) == of(b)
        };
        let kinds: Vec<&[Taken]> = self.each_kind().collect();
        let mut totals: Vec<(u32, u32)> = Vec::new();
        let mut counts: Vec<(u32, u32)> = Vec::new();
        let mut counted: Vec<usize> = Vec::new();
        let mut of_candidate: Vec<(u32, u32, f64)> = Vec::new();
        for from in kinds.chunk_by(same_start) {
            counts.clear();
            counted.clear();
            for same in from {
                count_windows(same, windows, &mut counts);
                counted.push(counts.len());
            }
            totals.clear();
            totals.extend_from_slice(&counts);
            totals.sort_unstable();
            totals.dedup_by(|next, sum| {
                let same = next.0 == sum.0;
                sum.1 += if same { next.1 } else { 0 };
                same
            });
            let all: u32 = totals.iter().map(|t| t.1).sum();
            let new = totals.first().filter(|t| t.0 == 0).map_or(0, |t| t.1);
            let Some(kind) = from.first().and_then(|same| same.first()).map(|t| t.kind) else { continue };
            if of_candidate.first().is_some_and(|row| row.0 != kind.candidate) {
                keep_highest(&mut of_candidate);
                past.append(&mut of_candidate);
            }
            of_candidate.extend(totals.iter().filter(|t| t.0 > 0).map(|t| (kind.candidate, t.0, 0.0)));
            let mut begin = 0;
            for (same, end) in from.iter().zip(&counted) {
                let counts = counts.get(begin..*end).unwrap_or_default();
                begin = *end;
                let Some(kind) = same.first().map(|t| t.kind) else { continue };
                let in_all: u32 = counts.iter().map(|c| c.1).sum();
                let in_new = counts.first().filter(|c| c.0 == 0).map_or(0, |c| c.1);
                let mut places = totals.iter();
                for (window, x) in counts {
                    let Some((_, n)) = places.find(|t| t.0 == *window) else { break };
                    let new = if *window == 0 { (0, 0) } else { (in_new, new) };
                    let rest = (in_all - x - new.0, all - n - new.1);
                    let Some(by) = deviation((*x, *n), rest).filter(|by| *by > 0.0) else { continue };
                    if *window > 0 {
                        of_candidate.push((kind.candidate, *window, by));
                    } else {
                        changes.push(Change { kind, by, now: (*x, *n), before: rest });
                    }
                }
            }
        }
        past.append(&mut of_candidate);
        (changes, Past::new(past))
    }

    /// The steps of the first window that are more frequent than they used to be, in the order of their kinds, each with the
    /// candidate that its request took an unusual step at before, and how unusual that one was.
    fn unusual(&self, changes: &[Change], windows: &Windows) -> Vec<(Kind, Option<(u32, f64)>)> {
        let mut found: Vec<(&Taken, f64)> = Vec::new();
        for change in changes.iter().filter(|change| change.by > LEAST) {
            let of = self.since(windows.onset, change.kind, windows);
            found.extend(of.filter(|t| t.request != 0).map(|t| (t, change.by)));
        }
        found.sort_unstable_by_key(|(t, _)| (t.request, t.at, t.kind));
        let mut blamed = Vec::with_capacity(found.len());
        for of_request in found.chunk_by(|a, b| a.0.request == b.0.request) {
            let Some(first) = of_request.first().map(|(t, _)| t.kind.candidate) else { continue };
            let at_first = of_request.iter().filter(|(t, _)| t.kind.candidate == first);
            let most = at_first.fold(0.0_f64, |most, (_, by)| most.max(*by));
            let blame = |t: &Taken| (t.kind.candidate != first).then_some((first, most));
            blamed.extend(of_request.iter().map(|(t, _)| (t.kind, blame(t))));
        }
        let to = |blame: &Option<(u32, f64)>| blame.map(|b| b.0);
        let by = |blame: &Option<(u32, f64)>| blame.map_or(0.0, |b| b.1);
        blamed
            .sort_unstable_by(|a, b| (a.0, to(&a.1)).cmp(&(b.0, to(&b.1))).then_with(|| by(&a.1).total_cmp(&by(&b.1))));
        blamed
    }
}

fn keep_highest(rows: &mut Vec<(u32, u32, f64)>) {
    rows.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
    rows.dedup_by_key(|row| (row.0, row.1));
}

/// Adds how many of one kind each window has, in the order of windows.
fn count_windows(same: &[Taken], windows: &Windows, counts: &mut Vec<(u32, u32)>) {
    let end = same.partition_point(|t| t.since < windows.until);
    let mut rest = same.get(..end).unwrap_or_default();
    while let Some(window) = rest.last().and_then(|t| windows.of(t.since)) {
        let first = windows.begin(window);
        // The newest few are most of what is asked for; far back it is a search.
        let begin = rest.partition_point(|t| t.since < first);
        counts.push((window as u32, (rest.len() - begin) as u32));
        rest = rest.get(..begin).unwrap_or_default();
    }
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
