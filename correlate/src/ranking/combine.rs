//! One ranking of all evidence.

use super::flow::Courses;
use super::hops::Hops;
use super::metrics::Metrics;
use super::windows::Windows;
use super::{
    Complained, Event, Facts, Found, Line, Ranked, Reason, WINDOW, complaints, earlier, ends, events, explained,
};

/// Beside the strongest evidence all of it counts a little.
const ALL: f64 = 0.1;
/// Metrics beside lines count up to this: among a thousand series some jump at any time.
const METRICS: f64 = 0.5;
/// What is less than usual is no reason: the most conspicuous of a window mostly reach as much.
const REASON: f64 = 1.0;
/// How much of the evidence against a caller is passed on to those it calls.
const PASSED: f64 = 0.8;

/// Facts in the orders in which they are looked at, which all onsets share.
#[derive(Debug)]
pub struct Prepared<'a> {
    facts: &'a Facts,
    until: i64,
    metrics: Metrics<'a>,
    courses: Courses,
    hops: Hops,
    events: Vec<Event>,
    complaints: Vec<Complained>,
    /// Who calls whom.
    calls: Vec<(u32, u32)>,
    /// When the first of all that is known was.
    oldest: i64,
}

impl<'a> Prepared<'a> {
    /// Of these; nothing at or after `until` (in nanoseconds) is looked at.
    pub fn of(facts: &'a Facts, until: i64) -> Self {
        let mut lines: Vec<Line> = facts.lines.iter().filter(|l| l.at < until).copied().collect();
        lines.sort_unstable();
        let (courses, hops) = (Courses::of(&lines), Hops::of(&lines));
        let series = facts.series.iter().filter_map(|s| s.times.first());
        let all = lines.iter().map(|l| l.at).chain(series.copied()).chain(facts.ended.iter().map(|e| e.at));
        let all = all.chain(facts.events.iter().map(|e| e.at)).chain(facts.complaints.iter().map(|c| c.at));
        let oldest = all.min().unwrap_or(until);
        let (events, complaints) = (events::sorted(&facts.events), complaints::sorted(&facts.complaints));
        let mut calls: Vec<(u32, u32)> = hops.calls().chain(facts.calls.iter().copied()).collect();
        calls.sort_unstable();
        calls.dedup();
        Self { facts, until, metrics: Metrics::of(&facts.series), courses, hops, events, complaints, calls, oldest }
    }

    /// Ranks all candidates at `onset` (in nanoseconds), by what happened in the window after it. The likeliest root is
    /// first; of equals the one that comes first among the candidates.
    pub fn at(&self, onset: i64) -> Vec<Ranked> {
        let length = i64::try_from(WINDOW.as_nanos()).unwrap_or(i64::MAX);
        let windows = Windows::new(onset, self.until, length);
        let candidates = self.facts.candidates;
        let metrics = self.metrics.found(candidates, onset, self.until, length);
        let (flow, mut began) = self.courses.found(candidates, &windows);
        let hops = self.hops.found(candidates, &windows);
        let (ends, ended) = ends::found(&self.facts.ended, candidates, &windows, self.oldest);
        let events = events::found(&self.events, candidates, &windows, self.oldest);
        let complaints = complaints::found(&self.complaints, candidates, &windows, self.oldest);
        let mut by_metrics: Vec<f64> = metrics.iter().map(|found| strength(found.as_ref())).collect();
        pass_on(&mut by_metrics, &self.facts.calls);

        self.note_others(&windows, &mut began);

        let (mut scores, mut reasons) = (Vec::new(), Vec::new());
        let told = ends.into_iter().zip(events).zip(complaints);
        let kinds = by_metrics.into_iter().zip(metrics).zip(flow).zip(hops).zip(told);
        for ((((by_metrics, metric), flow), hop), ((end, event), unanswered)) in kinds {
            let squashed = METRICS * by_metrics / (2.0 + by_metrics);
            let of = |found: Option<Found>| (strength(found.as_ref()), found);
            let parts = [(squashed, metric), of(flow), of(hop), of(end), of(event), of(unanswered)];
            let most = parts.iter().fold(0.0_f64, |most, part| most.max(part.0));
            scores.push(most + ALL * parts.iter().map(|part| part.0).sum::<f64>());
            let parts = parts.into_iter().filter_map(|(s, f)| Some((s, f.filter(is_told)?.because)));
            reasons.push(parts.collect::<Vec<(f64, Reason)>>());
        }
        let explained = explained::explain(&mut scores, &ended, &began, &self.calls);
        let of_each = (0..candidates).zip(scores).zip(reasons.into_iter().zip(explained));
        let mut ranked = Vec::with_capacity(candidates as usize);
        for ((candidate, score), (mut parts, explained)) in of_each {
            parts.extend(explained);
            parts.sort_by(|a, b| b.0.total_cmp(&a.0));
            ranked.push(Ranked { candidate, score, because: parts.into_iter().map(|part| part.1).collect() });
        }
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score)); // stable: equals stay in order
        ranked
    }

    /// Notes when each first ended, was warned of, or said that another did not answer, in the first window or the one before.
    fn note_others(&self, windows: &Windows, began: &mut [Option<i64>]) {
        let ended = self.facts.ended.iter().map(|e| (e.seen_at.unwrap_or(e.candidate), e.at));
        let warned = self.events.iter().map(|e| (e.seen_at.unwrap_or(e.candidate), e.at));
        let complained = self.complaints.iter().map(|c| (c.caller, c.at));
        let all = ended.chain(warned).chain(complained).filter(|(_, at)| windows.of(*at).is_some_and(|n| n < 2));
        all.for_each(|(candidate, at)| earlier(began, candidate, at));
    }
}

/// Whether it says what is otherwise now than it was, and by more than is usual.
fn is_told(found: &Found) -> bool {
    let more = |now: (u32, u32), before: (u32, u32)| {
        u64::from(now.0) * u64::from(before.1) > u64::from(before.0) * u64::from(now.1)
    };
    let is_change = match found.because {
        // What is not known for sure of a short past is no change.
        Reason::Course { now, before, .. } | Reason::Share { now, before, .. } => more(now, before),
        // The slowest of several steps may be slow by its rank and not in its middle.
        Reason::Slow { was, is, .. } => is > was,
        _ => true,
    };
    is_change && found.times >= REASON
}

/// In doublings of what is usual.
fn strength(found: Option<&Found>) -> f64 {
    found.map_or(0.0, |found| (1.0 + found.times.max(0.0)).log2())
}

/// A caller suffers from what it calls: its evidence counts for those too, in the proportion of their own.
fn pass_on(strengths: &mut [f64], calls: &[(u32, u32)]) {
    let mut calls = calls.to_vec();
    calls.sort_unstable();
    calls.dedup();
    calls.retain(|(caller, callee)| caller != callee);
    let mut passed = vec![0.0; strengths.len()];
    let of = |candidate: u32| strengths.get(candidate as usize).copied().unwrap_or(0.0);
    for of_caller in calls.chunk_by(|a, b| a.0 == b.0) {
        let all: f64 = of_caller.iter().map(|call| of(call.1)).sum();
        for (caller, callee) in of_caller.iter().filter(|_| all > 0.0) {
            if let Some(place) = passed.get_mut(*callee as usize) {
                *place += PASSED * of(*caller) * of(*callee) / all;
            }
        }
    }
    strengths.iter_mut().zip(passed).for_each(|(own, more)| *own += more);
}
