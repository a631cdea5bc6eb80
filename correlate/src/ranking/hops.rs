//! Steps of requests that take longer: the time between two lines of a request, whoever wrote them.
//!
//! A network that delays, or a processor that is taken away, stretches each step that a workload takes part in, and those
//! of no other. The times of a step are compared with those it took before by their rank, which makes no assumption of
//! how they are distributed. A step between two counts for both, a little less for the one who called: waiting shows at the
//! caller.

use super::normal;
use super::usual::Past;
use super::windows::Windows;
use super::{Found, Line, NOBODY, Reason};

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

/// A step that a request took: between whom, when, and how long it took; the mean, where it took the step repeatedly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hop {
    from: (u32, u64),
    to: (u32, u64),
    request: u64,
    at: i64,
    took: i64,
    callee: u32,
}

/// Steps of one kind.
#[derive(Debug)]
struct Kind {
    caller: u32,
    callee: u32,
    /// How long each took and when, in the order of how long.
    took: Vec<(i64, i64)>,
}

/// All steps, kind by kind.
#[derive(Debug, Default)]
pub(super) struct Hops {
    kinds: Vec<Kind>,
    oldest: i64,
}

/// What the steps of a candidate come to in one window.
#[derive(Debug, Clone, Copy, Default)]
struct Excess {
    kinds: u32,
    sum: f64,
}

/// The step of the first window that is the slowest of a candidate.
#[derive(Debug, Clone, Copy)]
struct Worst<'a> {
    by: f64,
    with: u32,
    kind: &'a Kind,
}

impl Hops {
    /// Of lines in the order of requests and time.
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut hops = hops(lines);
        let oldest = hops.iter().map(|h| h.at).min().unwrap_or(0);
        hops.sort_unstable();
        let mut kinds = Vec::new();
        for same in hops.chunk_by(|a, b| (a.from, a.to) == (b.from, b.to)).filter(|same| same.len() >= FEW) {
            let Some(hop) = same.first().filter(|hop| hop.from.0 != NOBODY && hop.to.0 != NOBODY) else { continue };
            let called = same.iter().filter(|h| h.callee == hop.from.0).count() * 2 > same.len();
            let (caller, callee) = if called { (hop.to.0, hop.from.0) } else { (hop.from.0, hop.to.0) };
            let mean = |of: &[Hop]| {
                let took = of.iter().map(|h| h.took).sum::<i64>() / i64::try_from(of.len().max(1)).unwrap_or(1);
                Some((took, of.first()?.at))
            };
            let mut took: Vec<_> = same.chunk_by(|a, b| a.request == b.request).filter_map(mean).collect();
            took.sort_unstable();
            kinds.push(Kind { caller, callee, took });
        }
        Self { kinds, oldest }
    }

    /// Who calls whom, by the steps that lie between two.
    pub(super) fn calls(&self) -> impl Iterator<Item = (u32, u32)> {
        self.kinds.iter().filter(|kind| kind.caller != kind.callee).map(|kind| (kind.caller, kind.callee))
    }

    /// What the times of requests' steps say of each candidate.
    pub(super) fn found(&self, candidates: u32, windows: &Windows) -> Vec<Option<Found>> {
        let count = windows.count(self.oldest);
        let mut excesses = vec![Excess::default(); candidates as usize * count];
        let mut worst: Vec<Option<Worst<'_>>> = vec![None; candidates as usize];
        let mut means: Vec<(u32, f64)> = vec![(0, 0.0); count];
        for kind in &self.kinds {
            if !kind.judge(windows, &mut means) {
                continue;
            }
            for (window, (n, sum)) in means.iter_mut().enumerate().filter(|(_, mean)| mean.0 > 0) {
                let all = f64::from(*n);
                let by = (*sum / all * all.min(MOST).sqrt() - CHANCE).max(0.0);
                (*n, *sum) = (0, 0.0);
                let mut put = |candidate: u32, with: u32, by: f64| {
                    if let Some(excess) = excesses.get_mut(candidate as usize * count + window) {
                        excess.kinds += 1;
                        excess.sum += by;
                    }
                    if let Some(place) = worst.get_mut(candidate as usize)
                        && window == 0
                        && place.is_none_or(|worst| by > worst.by)
                    {
                        *place = Some(Worst { by, with, kind });
                    }
                };
                put(kind.callee, kind.caller, by);
                if kind.caller != kind.callee {
                    put(kind.caller, kind.callee, CALLER * by);
                }
            }
        }
        let measure = |e: &Excess| (e.kinds > 0).then(|| e.sum / f64::from(e.kinds).powf(KINDS));
        let mut past = Vec::with_capacity(excesses.len());
        for (candidate, of) in (0..candidates).zip(excesses.chunks(count.max(1))) {
            let measured = (0..).zip(of).skip(1).filter_map(|(window, e)| Some((candidate, window, measure(e)?)));
            past.extend(measured);
        }
        let past = Past::new(past);
        let found = |(candidate, (of, worst)): (u32, (&[Excess], Option<Worst<'_>>))| {
            // What was as slow before the onset did not begin with it.
            let more = measure(of.first()?)? - past.just_before(candidate);
            let worst = worst?;
            let (was, is) = worst.kind.medians(windows);
            let because = Reason::Slow { with: worst.with, was, is };
            (more > 0.0).then(|| Found { times: past.times(candidate, more, LEAST), because })
        };
        (0..candidates).zip(excesses.chunks(count.max(1)).zip(worst)).map(found).collect()
    }
}

fn hops(lines: &[Line]) -> Vec<Hop> {
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
            let callee = if place(a.candidate) < place(b.candidate) { b.candidate } else { a.candidate };
            let (from, to) = ((a.candidate, a.template), (b.candidate, b.template));
            hops.push(Hop {
                from,
                to,
                request: b.request,
                at: b.at,
                took: b.at.saturating_sub(a.at).max(TICK),
                callee,
            });
        }
    }
    hops
}

impl Kind {
    /// How far the times lie in the distribution of those before the onset, in standard deviations: number and sum in each
    /// window. False where too few are before.
    fn judge(&self, windows: &Windows, means: &mut [(u32, f64)]) -> bool {
        let before = self.took.iter().filter(|t| t.1 < windows.onset).count();
        if before < FEW {
            return false;
        }
        let mut below = 0;
        for same in self.took.chunk_by(|a, b| a.0 == b.0) {
            let upto = below + same.iter().filter(|t| t.1 < windows.onset).count();
            let score = normal::quantile((below + upto + 1) as f64 / 2.0 / (before + 1) as f64);
            below = upto;
            for mean in same.iter().filter_map(|t| windows.of(t.1)) {
                if let Some((n, sum)) = means.get_mut(mean) {
                    *n += 1;
                    *sum += score;
                }
            }
        }
        true
    }

    /// The median before the onset, and of the first window, in seconds.
    fn medians(&self, windows: &Windows) -> (f64, f64) {
        let median = |is: &dyn Fn(i64) -> bool| {
            let took: Vec<i64> = self.took.iter().filter(|t| is(t.1)).map(|t| t.0).collect();
            took.get(took.len() / 2).map_or(0.0, |took| *took as f64 / 1e9)
        };
        (median(&|at| at < windows.onset), median(&|at| windows.of(at) == Some(0)))
    }
}
