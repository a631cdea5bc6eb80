//! The verdicts of a snapshot as text: rows, incidents and the drawing of memory against its limit.

use std::time::Duration;

use whyd_api::dto;
use whyd_buffers::Scoped;
use whyd_correlate::quantity::quantity;
use whyd_signals::{Sample, Timestamp};

use crate::render::{self, Memory, Style};

/// How much of the past is drawn.
const DRAWN: Duration = Duration::from_secs(1800);

/// All rows and incidents that `scoped` shows.
pub fn report(scoped: &Scoped, style: Style<'_>) -> String {
    let restarts: Vec<dto::Restart> = scoped.restarts().iter().map(|r| dto::Restart::from(r.as_ref())).collect();
    let incidents: Vec<dto::Incident> = scoped.incidents().iter().map(|i| dto::Incident::from(i.as_ref())).collect();
    render::verdicts(&restarts, &incidents, &|row| memory(scoped, row, &restarts), style)
}

/// Whether the memory of a row is drawn: it ended at its limit.
pub(crate) fn has_memory(mechanism: &str) -> bool {
    mechanism == "oom-limit"
}

/// The working set of a container that met its limit, over all its instances.
pub(crate) fn memory(scoped: &Scoped, row: &dto::Restart, all: &[dto::Restart]) -> Option<Memory> {
    if !has_memory(&row.mechanism) {
        return None;
    }
    let (pod, container) = (row.pod.as_ref()?, row.container.as_ref()?);
    let spec = scoped.cluster().pod_named(&row.namespace, pod)?.object.container(container).cloned()?;
    let limit = spec.resources.limits.get("memory").and_then(|l| quantity(l)).unwrap_or(0.0);
    let same = |r: &&dto::Restart| r.pod_uid == row.pod_uid && r.container.as_ref() == Some(container);
    let ends: Vec<Timestamp> = all.iter().filter(same).filter_map(|r| r.finished_at).collect();
    let last = *ends.iter().max()?;
    let ids = scoped.series_of("container_memory_working_set_bytes", &row.namespace, pod, Some(container));
    // The kubelet's resource series goes on from instance to instance, cAdvisor's names one by its cgroup.
    let of_one = |id| scoped.meta(id).is_some_and(|m| m.label("id").is_some());
    let drawn = |id| {
        let samples = scoped.slice(id, last.minus(DRAWN), last);
        if of_one(id) { lived(samples, &ends) } else { samples }
    };
    // After a scrape that failed a series has a marker that it is stale: a gap, and not a point.
    let measured = ids.into_iter().flat_map(drawn).filter(|s| s.value.is_finite());
    let mut samples: Vec<Sample> = measured.collect();
    samples.sort_by_key(|s| s.ts);
    Some(Memory { samples, limit, ends })
}

/// A dead container's series goes on for minutes with its last value: only what lies before its own end is drawn.
fn lived(samples: Vec<Sample>, ends: &[Timestamp]) -> Vec<Sample> {
    let Some(first) = samples.first().map(|s| s.ts) else { return samples };
    let end = ends.iter().copied().filter(|e| *e >= first).min().unwrap_or(Timestamp::MAX);
    samples.into_iter().filter(|s| s.ts <= end).collect()
}
