//! Who is suspected, and by what: the workloads of a snapshot, with their metrics and lines, as the ranking wants them.

mod events;
mod lines;
mod owners;
mod seen;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use whyd_anomaly::place::is_node_metric;
use whyd_api::{WrongAt, dto};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_correlate::ranking::{self, Bad, Complained, Ended, Event, Facts, Line, Ranked, Series};
use whyd_signals::{Sample, SeriesId, Timestamp, is_stale};

use lines::Lines;
use owners::{Blamed, Owners};
use seen::Seen;

/// Before a moment, how far back what was wrong then may have begun.
const LOOKED_AT: Duration = Duration::from_secs(600);
/// How far back it is learnt what is usual.
const PAST: Duration = Duration::from_secs(6 * 3600);
/// Places of a ranking that are told.
const PLACES: usize = 20;

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspect {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its kind; `Pod` where it is not known what the pod belongs to.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// How much is looked at, at most: it is all in memory at once, at some 40 bytes a sample and 250 a line while it is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Series, those that were met last.
    pub series: usize,
    /// Samples, of each series as many, the newest.
    pub samples: usize,
    /// Lines, the newest.
    pub lines: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self { series: 20_000, samples: 1_000_000, lines: 200_000 }
    }
}

/// What was more than is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Series of which nothing is looked at.
    pub series: usize,
    /// The oldest samples of the others.
    pub samples: usize,
    /// The oldest lines.
    pub lines: usize,
    /// Lines that may say who did not answer, and were not read for it.
    pub complaints: usize,
}

impl LeftOut {
    /// In words, for people; `None` where it is nothing.
    pub fn told(&self) -> Option<String> {
        let lines = [(self.lines, "lines"), (self.complaints, "complaints of others")];
        let all = [(self.series, "series"), (self.samples, "samples")].into_iter().chain(lines);
        let told: Vec<String> = all.filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (!told.is_empty()).then(|| format!("{} are more than is ranked and were left out", told.join(", ")))
    }
}

/// All there is to be looked at, and what the numbers in it stand for.
#[derive(Debug, Default)]
pub struct Suspects {
    /// In the order of their places among the candidates.
    pub who: Vec<Suspect>,
    /// What is ranked.
    pub facts: Facts,
    /// What is missing in it.
    pub left_out: LeftOut,
    metrics: Vec<Arc<str>>,
    causes: Vec<String>,
    events: Vec<String>,
    templates: BTreeMap<u64, Arc<str>>,
}

impl Suspects {
    /// What the snapshot holds of the time from `from` to `to`, both included, and of `namespace`, or of all. Of what `everybody` wrote
    /// it is known of the same requests when that was, and no more.
    pub fn of(
        (scoped, everybody): (&Scoped, &Scoped),
        (from, to): (Timestamp, Timestamp),
        namespace: Option<&str>,
        most: Most,
    ) -> Self {
        let is_asked_for = |of: &str, pod: &str| !pod.is_empty() && namespace.is_none_or(|namespace| namespace == of);
        let mut owners = Owners::default();
        let mut left_out = LeftOut::default();
        let of_series = scoped.all_series().filter(|(_, m)| is_asked_for(&m.namespace, &m.pod));
        let of_series = of_series.filter(|(_, meta)| !meta.name.ends_with("_bucket"));
        let mut of_series: Vec<_> = of_series.filter(|(_, meta)| !is_of_node(scoped, meta)).collect();
        // Those that were met last are the likeliest to be there now.
        left_out.series = of_series.len().saturating_sub(most.series);
        of_series.drain(..left_out.series);
        let place = |(id, meta): (SeriesId, &SeriesMeta)| {
            (id, owners.place(scoped, &meta.namespace, &meta.pod), Arc::clone(&meta.name))
        };
        let of_series: Vec<_> = of_series.into_iter().map(place).collect();
        let of_streams: BTreeMap<_, _> = scoped
            .all_streams()
            .filter(|(_, meta)| is_asked_for(&meta.namespace, &meta.pod))
            .map(|(id, meta)| (id, (owners.place(scoped, &meta.namespace, &meta.pod), Arc::clone(&meta.namespace))))
            .collect();
        let ended = owners.ended(scoped, (from, to), namespace);
        let (events, reasons) = events::of(scoped, (from, to), namespace, &mut owners, &ended);
        let mut lines = Lines::of(scoped, (from, to), &of_streams, &mut owners, namespace, most.lines);
        lines.add_others(everybody, (from, to), &of_streams, most.lines);
        (left_out.lines, left_out.complaints) = (lines.left_out, lines.unread);
        // Candidates in the order of their names, so that no order of arrival decides between equals.
        let places: BTreeMap<&Suspect, u32> = owners.who.keys().zip(0..).collect();
        let mut place_of = vec![0; owners.who.len()];
        for (suspect, number) in &owners.who {
            if let (Some(place), Some(number)) = (places.get(suspect), place_of.get_mut(*number as usize)) {
                *number = *place;
            }
        }
        let place = |number: u32| place_of.get(number as usize).copied().unwrap_or(u32::MAX);

        let mut suspects = Self { who: owners.who.keys().cloned().collect(), ..Self::default() };
        let mut causes: Vec<&str> = ended.iter().map(|e| e.row.cause.as_str()).collect();
        causes.sort_unstable();
        causes.dedup();
        for Blamed { row, at, to, of } in &ended {
            let cause = causes.binary_search(&row.cause.as_str()).map_or(u32::MAX, |at| at as u32);
            let seen_at = (to != of).then(|| place(*of));
            suspects.facts.ended.push(Ended { at: at.0, candidate: place(*to), seen_at, cause });
        }
        suspects.causes = causes.into_iter().map(str::to_owned).collect();
        let mut names: Vec<Arc<str>> = of_series.iter().map(|s| Arc::clone(&s.2)).collect();
        names.sort_unstable();
        names.dedup();
        let each = most.samples / of_series.len().max(1);
        for (id, number, name) in of_series {
            let mut samples = scoped.slice(id, from, to);
            if is_clock(&samples) {
                samples.clear();
            }
            let older = samples.len().saturating_sub(each);
            left_out.samples += older;
            let mut rows = samples.iter().skip(older).filter(|s| !is_stale(s.value)).map(|s| (s.ts.0, s.value));
            let (times, values) = if is_counter(&name) { rates(rows) } else { rows.by_ref().unzip() };
            let metric = names.binary_search(&name).map_or(u32::MAX, |at| at as u32);
            let candidate = place(number);
            suspects.facts.series.push(Series { candidate, metric, times, values, bad: Bad::Both });
        }
        suspects.metrics = names;

        let (of_lines, complaints) = (lines.lines.into_iter(), lines.complaints.into_iter());
        suspects.facts.lines = of_lines.map(|l| Line { candidate: place(l.candidate), ..l }).collect();
        let placed = |c: Complained| Complained { caller: place(c.caller), callee: place(c.callee), ..c };
        suspects.facts.complaints = complaints.map(placed).collect();
        suspects.facts.calls = lines.calls.into_iter().map(|call| (place(call.0), place(call.1))).collect();
        let placed = |e: Event| Event { candidate: place(e.candidate), seen_at: e.seen_at.map(place), ..e };
        suspects.facts.events = events.into_iter().map(placed).collect();
        (suspects.events, suspects.templates) = (reasons, lines.templates);
        suspects.left_out = left_out;
        suspects.facts.candidates = u32::try_from(suspects.who.len()).unwrap_or(u32::MAX);
        suspects
    }
}

/// The workloads by how likely each is the root of what was wrong in the ten minutes before `until`, best first; of what was wrong
/// for the first time at `first`, where that is known. What is usual is learnt from the hours before; `namespace` narrows both the
/// candidates and what is looked at. Who did nothing that it did not do before is no suspect.
pub fn ranking(
    (scoped, everybody): (&Scoped, &Scoped),
    WrongAt { first, until }: WrongAt,
    namespace: Option<&str>,
    most: Most,
) -> dto::Suspects {
    let suspects = Suspects::of((scoped, everybody), (until.minus(PAST), until), namespace, most);
    let end = until.0.saturating_add(1);
    let (onset, ranked) = match first {
        Some(first) => ranking::find_around(&suspects.facts, first.0, end),
        None => ranking::find(&suspects.facts, until.minus(LOOKED_AT).0, end),
    };
    // From as far before the onset as the ranking takes what ended for new.
    let from = first.unwrap_or(until).min(Timestamp(onset)).minus(ranking::WINDOW);
    let seen = Seen::of(scoped, (from, until));
    let place = |r: &Ranked| {
        let suspect = suspects.who.get(r.candidate as usize)?;
        let Suspect { namespace, kind, name } = suspect;
        let because = [seen.told(suspect), suspects.told(r)].concat();
        let (namespace, kind, name) = (namespace.to_string(), kind.clone(), name.clone());
        Some(dto::Ranked { kind, namespace, name, score: dto::figure(r.score), because })
    };
    let has_reason = |r: &&Ranked| r.score > 0.0 && !r.because.is_empty();
    let ranking: Vec<_> = ranked.iter().filter(has_reason).filter_map(place).take(PLACES).collect();
    let onset = (!ranking.is_empty()).then_some(Timestamp(onset));
    let told = suspects.left_out.told().map(|detail| dto::Problem { source: None, detail });
    dto::Suspects { at: until, onset, ranking, problems: told.into_iter().collect() }
}

/// Whether these are times of day, which go on whatever happens: the first and the last value are the seconds since 1970 at which
/// they were taken, to a day.
fn is_clock(samples: &[Sample]) -> bool {
    const DAY: f64 = 86_400.0;
    let tells = |s: &Sample| (s.value - s.ts.0 as f64 / 1e9).abs() < DAY;
    samples.first().is_some_and(tells) && samples.last().is_some_and(tells)
}

/// Whether a series says something of a node: the pod that exports it has the node's own network, and no part in it.
fn is_of_node(scoped: &Scoped, meta: &SeriesMeta) -> bool {
    let on_node =
        || scoped.cluster().pod_named(&meta.namespace, &meta.pod).is_none_or(|pod| pod.object.spec.host_network);
    is_node_metric(&meta.name) && on_node()
}

/// By the convention of Prometheus.
fn is_counter(name: &str) -> bool {
    ["_total", "_count", "_sum"].iter().any(|suffix| name.ends_with(suffix))
}

/// The increase of a counter per second; after a reset it began at 0.
fn rates(mut rows: impl Iterator<Item = (i64, f64)>) -> (Vec<i64>, Vec<f64>) {
    let Some(mut last) = rows.next() else { return (Vec::new(), Vec::new()) };
    let rate = |(ts, value): (i64, f64)| {
        let increase = if value < last.1 { value } else { value - last.1 };
        let rate = increase / ((ts - last.0).max(1) as f64 / 1e9);
        last = (ts, value);
        (ts, rate)
    };
    rows.map(rate).unzip()
}

#[cfg(test)]
mod tests;
