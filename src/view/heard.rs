//! What is sent about pods of which the cluster's API says nothing: it may not be watched, or they were gone before it was.

use std::collections::{BTreeMap, BTreeSet};

use whyd_api::dto::{Heard, HeardLine};
use whyd_buffers::Scoped;
use whyd_correlate::redact::redact;
use whyd_signals::{Asked, SeriesId, Timestamp};

/// So many pods are told of, in order of their names.
const PODS: usize = 5;
/// So many of a pod's series are looked at for when they began.
const SERIES: usize = 64;
/// So many metrics are named.
const NAMED: usize = 5;
/// So many of the last lines are shown.
const LINES: usize = 5;

/// A namespace and a pod in it.
type Place = (String, String);

/// What is sent about the pods of this name, or else about those whose names begin so.
pub(super) fn of(scoped: &Scoped, asked: &Asked, namespace: Option<&str>) -> Vec<Heard> {
    let here = |space: &str| namespace.is_none_or(|namespace| namespace.eq_ignore_ascii_case(space));
    let (mut exact, mut begun): (BTreeSet<Place>, BTreeSet<Place>) = Default::default();
    let mut look = |space: &str, pod: &str| {
        if pod.is_empty() || !here(space) {
            return;
        }
        let place = || (space.to_owned(), pod.to_owned());
        if asked.is_pod(space, pod) {
            exact.insert(place());
        } else if exact.is_empty() && asked.begins_pod(space, pod) {
            begun.insert(place());
        }
    };
    scoped.all_streams().for_each(|(_, meta)| look(&meta.namespace, &meta.pod));
    scoped.all_series().for_each(|(_, meta)| look(&meta.namespace, &meta.pod));
    let of_pods = || scoped.each_alert().filter(|alert| alert.kind == "Pod");
    of_pods().for_each(|alert| look(&alert.namespace, &alert.object));

    let places: BTreeSet<Place> = if exact.is_empty() { begun } else { exact }.into_iter().take(PODS).collect();
    let mut series: BTreeMap<&Place, Vec<SeriesId>> = BTreeMap::new();
    for (id, meta) in scoped.all_series() {
        let place = places.iter().find(|(space, pod)| **pod == *meta.pod && **space == *meta.namespace);
        place.into_iter().for_each(|place| series.entry(place).or_default().push(id));
    }
    let mut heard = Vec::new();
    for place in &places {
        heard.extend(lines(scoped, place));
        heard.extend(metrics(scoped, place, series.get(place).map_or(&[], Vec::as_slice)));
        let alerts = of_pods().filter(|alert| (&*alert.namespace, &*alert.object) == (&*place.0, &*place.1));
        heard.extend(alerts.map(|alert| {
            let summary =
                if alert.summary.is_empty() { String::new() } else { format!(": {}", redact(&alert.summary)) };
            let last = alert.ends_at.unwrap_or(alert.starts_at);
            said(place, "alerts", (alert.starts_at, last), format!("{}{summary}", alert.name))
        }));
    }
    heard
}

fn said((namespace, pod): &Place, source: &str, (since, last): (Timestamp, Timestamp), text: String) -> Heard {
    let (namespace, pod, source) = (namespace.clone(), pod.clone(), source.to_owned());
    Heard { namespace, pod, source, since, last, text, lines: Vec::new() }
}

fn lines(scoped: &Scoped, place: &Place) -> Option<Heard> {
    let (namespace, pod) = place;
    let span = scoped.lines_span(namespace, pod)?;
    let last = scoped.last_lines_of((namespace, pod, ""), span.0, span.1, LINES);
    let shown = |line: whyd_buffers::LogLine| HeardLine {
        at: line.ts,
        container: line.container.to_string(),
        line: redact(&line.line).into_owned(),
    };
    Some(Heard { lines: last.into_iter().map(shown).collect(), ..said(place, "logs", span, "log lines".to_owned()) })
}

fn metrics(scoped: &Scoped, place: &Place, series: &[SeriesId]) -> Option<Heard> {
    let span = |id: &SeriesId| {
        let first = scoped.slice(*id, Timestamp::MIN, Timestamp::MAX).first()?.ts;
        Some((first, scoped.asof(*id, Timestamp::MAX)?.ts))
    };
    let spans = series.iter().take(SERIES).filter_map(span);
    let span = spans.reduce(|(first, last), (from, to)| (first.min(from), last.max(to)))?;
    let names: BTreeSet<&str> = series.iter().filter_map(|id| scoped.meta(*id)).map(|meta| &*meta.name).collect();
    let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
    let named: Vec<&str> = names.iter().take(NAMED).copied().collect();
    Some(said(place, "metrics", span, format!("{} series: {}{more}", series.len(), named.join(", "))))
}
