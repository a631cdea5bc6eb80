//! Where a query's series come from: the samples that were sent and whyd's own, through the eyes of one caller.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use whyd_signals::{Access, Timestamp};

use super::error::Error;
use super::labels::{Labels, NAME};
use super::matcher::Matcher;
use super::own::{self, Curve, LOOKBACK, OWN};
use crate::reader::{Reader, SeriesId, SeriesSet, Wanted};
use crate::scope::Scope;

/// How many series one selector may match.
const MAX_SERIES: usize = 50_000;
/// How far apart whyd's own series are sampled for a range, in milliseconds.
const OWN_INTERVAL: i64 = 15_000;

/// Set when nobody waits for the answer any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// [`Error::Canceled`] once it is set.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Canceled("expression evaluation")) } else { Ok(()) }
    }
}

/// One consistent picture of all series that a caller may see.
pub(crate) struct Source<'a> {
    scope: Scope<'a>,
    sent: Box<dyn SeriesSet>,
    /// The time of day in milliseconds.
    now: i64,
    stop: Stop,
    /// Each of whyd's own metrics, made when it is first asked for.
    own: [OnceCell<Vec<OwnSeries>>; OWN.len()],
}

type OwnSeries = (Labels, Rc<Curve>);

/// A series that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) labels: Labels,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Sent(SeriesId),
    Own(Rc<Curve>),
}

/// The samples of one series in order of time, stale markers included.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f64>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(reader: &'a dyn Reader, access: &'a Access, now: Timestamp, stop: Stop) -> Self {
        let now = now.nanos().div_euclid(1_000_000);
        Self { scope: Scope::new(reader, access), sent: reader.series(access), now, stop, own: Default::default() }
    }

    /// The time of day in milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The series that pass all matchers, in order of their labels. Those that are whyd's own must also have something
    /// from the first to the last instant.
    pub(crate) fn find(&self, matchers: &[Matcher], (from, to): (i64, i64)) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        let mut add = |labels: Labels, place: Place| {
            found.push(Found { labels, place });
            if found.len() <= MAX_SERIES { Ok(true) } else { Err(too_many()) }
        };
        self.each_own(matchers, (from, to), |labels, curve| add(labels.clone(), Place::Own(Rc::clone(curve))))?;
        self.each_sent(matchers, |id, labels| add(Labels::new(labels.iter().copied()), Place::Sent(id)))?;
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// The labels of every series that passes all matchers, until `visit` says that it is enough. `within` restricts
    /// it to series with a sample from the first to the last instant.
    pub(crate) fn visit(
        &self,
        matchers: &[Matcher],
        within: Option<(i64, i64)>,
        mut visit: impl FnMut(&[(&str, &str)]) -> bool,
    ) -> Result<(), Error> {
        let more = self.each_own(matchers, within.unwrap_or((i64::MIN, i64::MAX)), |labels, _| {
            let pairs: Vec<(&str, &str)> = labels.iter().collect();
            Ok(visit(&pairs))
        })?;
        if !more {
            return Ok(());
        }
        self.each_sent(matchers, |id, labels| {
            let alive =
                within.is_none_or(|(from, to)| self.sent.newest(id, instant(to)).is_some_and(|at| at >= instant(from)));
            Ok(!alive || visit(labels))
        })
    }

    /// Whether `take` wanted all that there are.
    fn each_own(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        mut take: impl FnMut(&Labels, &Rc<Curve>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        for ((metric, ..), made) in OWN.into_iter().zip(&self.own) {
            if !matchers.iter().all(|m| m.label != NAME || m.passes(metric)) {
                continue;
            }
            for (labels, curve) in self.own(metric, made)? {
                self.stop.check()?;
                let found = curve.touches(from, to) && matchers.iter().all(|m| m.passes(labels.get(&m.label)));
                if found && !take(labels, curve)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn own<'s>(&self, metric: &str, made: &'s OnceCell<Vec<OwnSeries>>) -> Result<&'s [OwnSeries], Error> {
        if made.get().is_none() {
            let series = own::series(&self.scope, metric, self.now.saturating_add(LOOKBACK), &self.stop)?;
            let _ = made.set(series.into_iter().map(|(labels, curve)| (labels, Rc::new(curve))).collect());
        }
        Ok(made.get().map_or(&[][..], Vec::as_slice))
    }

    fn each_sent(
        &self,
        matchers: &[Matcher],
        mut take: impl FnMut(SeriesId, &[(&str, &str)]) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let exactly = |label: &str| {
            matchers.iter().filter(|m| m.label == label).find_map(Matcher::exactly).filter(|v| !v.is_empty())
        };
        let wanted = Wanted { name: exactly(NAME), namespace: exactly("namespace"), pod: exactly("pod") };
        let mut seen: HashMap<String, bool> = HashMap::new();
        let mut ended = Ok(());
        self.sent.visit(&wanted, &mut |id, labels| {
            ended = self.stop.check();
            let value = |name: &str| labels.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v);
            if ended.is_err() || !matchers.iter().all(|m| m.passes(value(&m.label))) {
                return ended.is_ok();
            }
            // Scraped from us and sent back: no news, and it would count twice.
            if OWN.iter().any(|(name, ..)| *name == value(NAME)) {
                return true;
            }
            // The second lock: the reader gives no others.
            let namespace = value("namespace");
            let may = match seen.get(namespace) {
                Some(may) => *may,
                None => *seen.entry(namespace.to_owned()).or_insert(self.scope.owns(namespace)),
            };
            if !may {
                return true;
            }
            take(id, labels).unwrap_or_else(|why| {
                ended = Err(why);
                false
            })
        });
        ended
    }

    /// What holds at an instant, where the series is one that has no samples.
    pub(super) fn holds(found: &Found) -> Option<impl Fn(i64) -> Option<f64>> {
        let Place::Own(curve) = &found.place else { return None };
        Some(|at| curve.at(at))
    }

    /// The samples from the first to the last instant, both included. A series that has none is sampled.
    pub(super) fn samples(&self, found: &Found, from: i64, to: i64) -> Columns {
        let mut columns = Columns::default();
        let mut push = |time, value| {
            columns.times.push(time);
            columns.values.push(value);
        };
        let curve = match &found.place {
            Place::Own(curve) => curve,
            Place::Sent(id) => {
                for sample in self.sent.samples(*id, instant(from), instant(to)) {
                    push(sample.ts.nanos().div_euclid(1_000_000), sample.value);
                }
                return columns;
            }
        };
        let first = from.max(curve.0.first().map_or(to, |s| s.0));
        let last = to.min(curve.0.last().map_or(from, |s| s.0));
        let mut at = first.div_euclid(OWN_INTERVAL).saturating_mul(OWN_INTERVAL);
        while at <= last {
            if at >= from
                && let Some(value) = curve.at(at)
            {
                push(at, value);
            }
            at += OWN_INTERVAL;
        }
        columns
    }
}

fn too_many() -> Error {
    Error::execution(format!("query processing would load too many series: more than {MAX_SERIES}"))
}

/// At most what a timestamp can hold.
fn instant(ms: i64) -> Timestamp {
    Timestamp(ms.saturating_mul(1_000_000))
}
