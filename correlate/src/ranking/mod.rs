//! Which workload is the root of what is wrong at one time: every candidate's evidence, against what is usual.
//!
//! Plain values in, a ranking out. There are six kinds of evidence: metrics ([`metrics`]) far from their past; requests
//! that take another course ([`flow`]) than others did; steps of requests that take longer ([`hops`]); what ended
//! ([`ends`]); events ([`events`]); and what others say that it did not answer ([`complaints`]). Each is measured over the window of the incident and over all windows before it alike, and what counts is how far it goes
//! beyond what is usual ([`usual`]): for this candidate, and for whichever candidate was most conspicuous then.

mod combine;
mod complaints;
mod ends;
mod events;
mod explained;
mod flow;
mod hops;
mod metrics;
mod normal;
mod onset;
mod usual;
mod windowed;
mod windows;

pub use combine::Prepared;
pub use onset::{find, find_around};

use std::time::Duration;

/// How long the window of an incident is, and each one before it: what comes much later is of something else.
pub const WINDOW: Duration = Duration::from_secs(150);

/// Whose lines are those of requests that candidates share with others, of whom nothing else is known: what takes time between
/// them is no candidate's.
pub const NOBODY: u32 = u32::MAX;

/// Which way of a metric is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bad {
    /// Either.
    #[default]
    Both,
    /// More than usual.
    More,
    /// Less than usual.
    Less,
}

/// A metric of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Whose it is: a place among the candidates.
    pub candidate: u32,
    /// What is measured; series of one number are compared with each other.
    pub metric: u32,
    /// When each value was measured, in nanoseconds, rising.
    pub times: Vec<i64>,
    /// The values, in any unit; what is not finite is passed over.
    pub values: Vec<f64>,
    /// Which way is bad.
    pub bad: Bad,
}

/// A line of a log, or anything else that happens to a candidate and has a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The request (trace) that it is of; 0 where it is of none.
    pub request: u64,
    /// When it was written, in nanoseconds.
    pub at: i64,
    /// Whose it is: a place among the candidates.
    pub candidate: u32,
    /// What kind of line it is.
    pub template: u64,
}

/// An instance that ended, or could not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ended {
    /// When, in nanoseconds.
    pub at: i64,
    /// Who is to blame for it: a place among the candidates.
    pub candidate: u32,
    /// Whose it was, where that is another.
    pub seen_at: Option<u32>,
    /// Why: a number that stands for a cause.
    pub cause: u32,
}

/// An event that warns of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// When, in nanoseconds.
    pub at: i64,
    /// Who is to blame for it: a place among the candidates.
    pub candidate: u32,
    /// Whose it was, where that is another.
    pub seen_at: Option<u32>,
    /// A number that stands for its reason.
    pub kind: u32,
}

/// A line that says that another did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complained {
    /// When, in nanoseconds.
    pub at: i64,
    /// Whose line it is: a place among the candidates.
    pub caller: u32,
    /// Who did not answer: a place among the candidates.
    pub callee: u32,
    /// How: a number that stands for what was said.
    pub what: u32,
}

/// All that is looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// How many candidates there are.
    pub candidates: u32,
    /// Their metrics.
    pub series: Vec<Series>,
    /// Their lines, in any order.
    pub lines: Vec<Line>,
    /// What ended, in any order.
    pub ended: Vec<Ended>,
    /// Their events, in any order.
    pub events: Vec<Event>,
    /// Who said that another did not answer, in any order.
    pub complaints: Vec<Complained>,
    /// Who calls whom, where that is known besides the requests' lines.
    pub calls: Vec<(u32, u32)>,
}

/// Evidence against a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// A metric is far from what it was.
    Metric {
        /// Which.
        metric: u32,
        /// What it was in the middle of its past.
        was: f64,
        /// What it went to.
        is: f64,
    },
    /// Requests take another course.
    Course {
        /// After a line of this kind; `None` at the start of the candidate's part.
        after: Option<u64>,
        /// Comes a line of this kind; `None` where its part ends.
        next: Option<u64>,
        /// How often, of how many.
        now: (u32, u32),
        /// How often before, of how many.
        before: (u32, u32),
        /// Whoever showed it, where the requests went wrong at this candidate earlier.
        seen_at: Option<u32>,
    },
    /// Of the lines of no request more are of one kind.
    Share {
        /// Which.
        kind: u64,
        /// How many, of how many.
        now: (u32, u32),
        /// How many before, of how many.
        before: (u32, u32),
    },
    /// Instances ended.
    Ended {
        /// Why most did.
        cause: u32,
        /// How many for that.
        times: u32,
        /// How many for whatever before.
        before: u32,
        /// Whose they were, where it is to blame for another's.
        seen_at: Option<u32>,
    },
    /// Events of a kind.
    Event {
        /// Which.
        kind: u32,
        /// How many.
        times: u32,
        /// How many before.
        before: u32,
        /// Whose they were, where it is to blame for another's.
        seen_at: Option<u32>,
    },
    /// Another said that it did not answer.
    Unanswered {
        /// Who.
        caller: u32,
        /// How, most often.
        what: u32,
        /// How many times.
        times: u32,
        /// How many times before.
        before: u32,
    },
    /// It ended, and one that calls it went wrong no sooner than it did.
    Explains {
        /// Who.
        caller: u32,
    },
    /// A step of requests takes longer.
    Slow {
        /// To, or from, or within this candidate.
        with: u32,
        /// The median before, in seconds.
        was: f64,
        /// The median now, in seconds.
        is: f64,
    },
}

/// One place of a ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Who: a place among the candidates.
    pub candidate: u32,
    /// Higher is likelier; comparable within a ranking, and between those of one cluster.
    pub score: f64,
    /// Why, the strongest first.
    pub because: Vec<Reason>,
}

/// What one kind of evidence says of one candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    /// As often as usual; 1 is what the most conspicuous usually reach.
    times: f64,
    because: Reason,
}

/// Notes that a candidate showed something then.
fn earlier(first: &mut [Option<i64>], candidate: u32, at: i64) {
    if let Some(first) = first.get_mut(candidate as usize) {
        *first = Some(first.map_or(at, |first: i64| first.min(at)));
    }
}

/// The strongest of what is found of each candidate, against what is usual.
fn against(now: Vec<(u32, f64, Reason)>, past: &usual::Past, candidates: u32, least: f64) -> Vec<Option<Found>> {
    let mut found: Vec<Option<Found>> = vec![None; candidates as usize];
    for (candidate, by, because) in now.into_iter().filter(|now| now.1 > 0.0) {
        let times = past.times(candidate, by, least);
        if let Some(place) = found.get_mut(candidate as usize)
            && place.is_none_or(|held| times > held.times)
        {
            *place = Some(Found { times, because });
        }
    }
    found
}

#[cfg(test)]
mod tests;
