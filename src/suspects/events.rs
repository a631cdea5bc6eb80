//! The warnings that events tell of the workloads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::Scoped;
use whyd_buffers::state::NamespaceState;
use whyd_correlate::ranking::Event;
use whyd_signals::Timestamp;
use whyd_signals::objects::ObjectRef;

use super::owners::{Blamed, Owners};

/// An end that is at most so far from an event of its workload explains it.
const NEAR: Duration = Duration::from_secs(300);
/// Of what repeated itself between two observations, so many at most.
const MOST: i64 = 16;

/// The warnings of a time with the numbers of their workloads, and their reasons. One that is near an end of its workload is
/// blamed on whom that is blamed on.
pub(super) fn of(
    scoped: &Scoped,
    (from, to): (Timestamp, Timestamp),
    namespace: Option<&str>,
    owners: &mut Owners,
    ended: &[Blamed<'_>],
) -> (Vec<Event>, Vec<String>) {
    let mut ends: BTreeMap<(u32, Timestamp), u32> = BTreeMap::new();
    for row in ended {
        ends.insert((row.of, row.at), row.to);
    }
    let spaces = scoped.cluster().namespaces().filter(|s| namespace.is_none_or(|namespace| namespace == s.name));
    let spaces: Vec<&NamespaceState> = spaces.collect();
    let warns = |space: &&NamespaceState| space.events.iter().any(|e| e.event.kind == "Warning");
    let mut reasons = BTreeSet::new();
    let mut found: Vec<(i64, u32, Option<u32>, &str)> = Vec::new();
    for space in spaces.into_iter().filter(warns) {
        let name: Arc<str> = Arc::from(space.name.as_str());
        // How often each had happened, and when last, as it was seen before.
        let mut before: BTreeMap<&str, (i64, Timestamp)> = BTreeMap::new();
        for seen in space.events.iter().filter(|e| e.event.kind == "Warning") {
            let event = seen.event.as_ref();
            let (count, at) = (event.count().max(1), seen.at);
            let since = before.insert(&event.metadata.uid, (count, at));
            let (times, since) = match since {
                Some((had, last)) => (count - had, last),
                None => (count, event.first_timestamp.unwrap_or(at)),
            };
            if at < from || since > to {
                continue;
            }
            let Some(workload) = workload_of(space, &event.involved_object) else { continue };
            let of = owners.workload(&name, &workload);
            reasons.insert(event.reason.as_str());
            for at in spread(times.clamp(1, MOST), since, at).filter(|at| (from..=to).contains(at)) {
                let near = ends.range((of, at.minus(NEAR))..=(of, at.plus(NEAR)));
                let end = near.min_by_key(|((_, end), _)| end.0.abs_diff(at.0));
                let blamed = end.map_or(of, |(_, to)| *to);
                found.push((at.0, blamed, (blamed != of).then_some(of), event.reason.as_str()));
            }
        }
    }
    let reasons: Vec<String> = reasons.into_iter().map(str::to_owned).collect();
    let kind = |reason: &str| reasons.binary_search_by(|r| r.as_str().cmp(reason)).map_or(u32::MAX, |at| at as u32);
    let event = |(at, candidate, seen_at, reason): (i64, u32, Option<u32>, &str)| Event {
        at,
        candidate,
        seen_at,
        kind: kind(reason),
    };
    let events = found.into_iter().map(event).collect();
    (events, reasons)
}

/// `times` times, the last one at `to`; those before it evenly from `from` on.
fn spread(times: i64, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Timestamp> {
    let step = to.0.saturating_sub(from.0).max(0) / times.max(1);
    (0..times).map(move |n| Timestamp(to.0.saturating_sub(step.saturating_mul(n))))
}

/// The workload that an event is about, `Kind/name`; `None` for what is none, or is not known.
fn workload_of(space: &NamespaceState, about: &ObjectRef) -> Option<String> {
    match about.kind.as_str() {
        "Pod" => {
            let pod = space.pods.get(&about.uid).or_else(|| space.pod_named(&about.name))?;
            Some(space.workload_of(&pod.object))
        }
        "ReplicaSet" => {
            let (_, set) = space.owner(&about.uid)?;
            let up = set.object.metadata.controller()?;
            Some(format!("{}/{}", up.kind, up.name))
        }
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" => {
            Some(format!("{}/{}", about.kind, about.name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_between_two_observations_lies_between_them() {
        let times = |n, from, to| spread(n, Timestamp(from), Timestamp(to)).map(|t| t.0).collect::<Vec<_>>();
        assert_eq!(times(1, 5, 5), [5]);
        assert_eq!(times(3, 0, 30), [30, 20, 10]);
        assert_eq!(times(2, 30, 10), [10, 10]);
    }
}
