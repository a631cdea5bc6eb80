//! Which series a detector watches, and whose they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use whyd_anomaly::detector::probes::Outcome;
use whyd_anomaly::{Detectors, hash64};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_correlate::cause::oom_child::OOM_EVENTS;
use whyd_correlate::quantity::quantity;
use whyd_signals::{SeriesId, Team, Timestamp};

use super::WORKING_SET;
use super::targets::Targets;

/// What the cluster says of a series is looked up again after so long if something came or went in its namespace since:
/// labels, limits and owners come late and change. Of a pod that is not known it is at once.
const FACTS_AGE: Duration = Duration::from_secs(60);
/// And after so long in any case: a pod's limits may change in place.
const FACTS_LIFE: Duration = Duration::from_secs(600);
/// Metrics that verdicts ask for, and of which no detector judges a series by itself.
const ASKED: [&str; 2] = [OOM_EVENTS, PROBES];
/// The kubelet's counts of how probes went.
const PROBES: &str = "prober_probe_total";
/// So many readings of metrics by their names are shared by their series; those that no series has go, and more are not shared.
const NAMES: usize = 4096;
/// Series a page.
const PAGE: usize = 1024;
/// A look at so many pages per batch finds those whose series are all gone.
const SWEPT: usize = 4;

/// A watched series with all that a detector asks.
pub(super) struct Watched {
    pub(super) meta: Arc<SeriesMeta>,
    /// How a detector reads it; `None`: it is no detector's, but a verdict may ask for it.
    pub(super) read: Option<Arc<whyd_anomaly::Watched>>,
    pub(super) facts: Facts,
    /// Of the container's memory, where it is the series of its working set.
    pub(super) limit: Option<f64>,
    /// Whether it counts the OOM kills in a container.
    pub(super) counts_kills: bool,
    /// Which probe it counts an outcome of.
    pub(super) probe: Option<Probe>,
    /// Since when its target was scraped as it came.
    pub(super) scraped_since: Option<Timestamp>,
    asked: Timestamp,
    answered: Timestamp,
}

/// An outcome of one probe of one container.
pub(super) struct Probe {
    pub(super) id: u64,
    pub(super) kind: Box<str>,
    pub(super) outcome: Outcome,
}

impl Probe {
    fn of(meta: &SeriesMeta) -> Option<Self> {
        if meta.name.as_ref() != PROBES || meta.pod.is_empty() {
            return None;
        }
        let (kind, uid) = (meta.label("probe_type")?, meta.label("pod_uid").unwrap_or_default());
        let outcome = Outcome::of(meta.label("result")?)?;
        let SeriesMeta { namespace, pod, container, .. } = meta;
        let id = hash64(format!("{namespace}\0{pod}\0{uid}\0{container}\0{kind}").as_bytes());
        Some(Self { id, kind: kind.into(), outcome })
    }
}

impl Watched {
    /// Whether its limit came to be known here, and not with its first sample.
    fn refresh(&mut self, now: Timestamp, scoped: &Scoped) -> bool {
        self.asked = now;
        let meta = &self.meta;
        if !self.facts.are_old(&meta.namespace, scoped) && !is_past(self.answered, now, FACTS_LIFE) {
            return false;
        }
        let was_unknown = !self.facts.is_known;
        self.answered = now;
        self.facts = Facts::of(scoped, &meta.namespace, &meta.pod, &meta.container);
        self.limit = memory_limit(meta, scoped);
        was_unknown && self.limit.is_some()
    }
}

/// Whose a series or a stream is, by the cluster's own objects.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) team: Team,
    pub(super) pod_key: u64,
    pub(super) workload_key: u64,
    /// Kind and name.
    pub(super) workload: Arc<str>,
    /// Whether the pod is known that it is of, if of any.
    is_known: bool,
    membership: Option<u64>,
}

impl Facts {
    fn unasked() -> Self {
        Self {
            team: Team::platform(),
            pod_key: 0,
            workload_key: 0,
            workload: Arc::from(""),
            is_known: true,
            membership: None,
        }
    }

    /// Whether something came or went in the namespace since.
    fn are_old(&self, namespace: &str, scoped: &Scoped) -> bool {
        self.membership != scoped.cluster().namespace(namespace).map(|n| n.membership)
    }

    /// Whether they are to be asked for again, having been so at the first of these times.
    pub(super) fn is_due(&self, (asked, now): (Timestamp, Timestamp), namespace: &str, scoped: &Scoped) -> bool {
        is_past(asked, now, FACTS_AGE) || (!self.is_known && self.are_old(namespace, scoped))
    }

    pub(super) fn of(scoped: &Scoped, namespace: &str, pod: &str, container: &str) -> Self {
        let cluster = scoped.cluster();
        let space = cluster.namespace(namespace);
        let known = space.and_then(|n| Some(n.workload_of(&n.pod_named(pod)?.object)));
        let is_known = pod.is_empty() || known.is_some();
        let workload = known.unwrap_or_else(|| format!("Pod/{pod}"));
        let key = |name: &str| hash64(format!("{namespace}\0{name}\0{container}").as_bytes());
        Self {
            team: cluster.team_of(namespace),
            pod_key: key(pod),
            is_known,
            membership: space.map(|n| n.membership),
            workload_key: key(&workload),
            workload: workload.into(),
        }
    }
}

/// Whether so much time lies between these; a clock may be set back.
fn is_past(then: Timestamp, now: Timestamp, age: Duration) -> bool {
    now >= then.plus(age) || now < then
}

enum Slot {
    Unasked,
    Unwatched,
    Watched(Box<Watched>),
}

/// By series id, in pages: ids are never given twice, and a page goes when none of its series is left.
#[derive(Default)]
pub(super) struct Series {
    pages: Vec<Option<Box<[Slot]>>>,
    sweeping: usize,
    /// How metrics are read that are known by their names alone: many series have one name.
    by_name: BTreeMap<Arc<str>, Arc<whyd_anomaly::Watched>>,
}

impl Series {
    /// The watched series of this id, its facts asked for again when that [is due](Facts::is_due), and whether that gave a limit
    /// which earlier samples were without.
    pub(super) fn watched(
        &mut self,
        id: SeriesId,
        now: Timestamp,
        scoped: &Scoped,
        (detectors, targets): (&Detectors, &mut Targets),
    ) -> Option<(&Watched, bool)> {
        let (page, at) = (id.0 as usize / PAGE, id.0 as usize % PAGE);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages.get_mut(page)?.get_or_insert_with(|| (0..PAGE).map(|_| Slot::Unasked).collect());
        let slot = page.get_mut(at)?;
        if matches!(slot, Slot::Unasked) {
            let meta = scoped.shared_meta(id)?;
            let name = &meta.name;
            let read = read(&mut self.by_name, name, detectors);
            let scraped_since = targets.hear(meta, now);
            *slot = if read.is_some() || ASKED.contains(&name.as_ref()) {
                Slot::Watched(Box::new(Watched {
                    read,
                    facts: Facts::unasked(),
                    limit: None,
                    counts_kills: **name == *OOM_EVENTS,
                    probe: Probe::of(meta),
                    scraped_since,
                    meta: Arc::clone(meta),
                    asked: Timestamp::MIN,
                    answered: Timestamp::MIN,
                }))
            } else {
                Slot::Unwatched
            };
        }
        let Slot::Watched(watched) = slot else { return None };
        if watched.facts.is_due((watched.asked, now), &watched.meta.namespace, scoped) {
            let has_new_limit = watched.refresh(now, scoped);
            return Some((watched, has_new_limit));
        }
        Some((watched, false))
    }

    /// Frees some of the pages whose series the buffers have forgotten, all of them in the course of time.
    pub(super) fn sweep(&mut self, scoped: &Scoped) {
        for _ in 0..SWEPT.min(self.pages.len()) {
            let number = self.sweeping % self.pages.len();
            self.sweeping = number + 1;
            let first = number * PAGE;
            let known = |at: usize| u32::try_from(first + at).is_ok_and(|id| scoped.meta(SeriesId(id)).is_some());
            let Some(slot) = self.pages.get_mut(number) else { continue };
            if slot.as_ref().is_some_and(|page| !(0..page.len()).any(known)) {
                *slot = None;
            }
        }
    }
}

/// How a detector reads a metric, if it does.
fn read(
    known: &mut BTreeMap<Arc<str>, Arc<whyd_anomaly::Watched>>,
    name: &Arc<str>,
    detectors: &Detectors,
) -> Option<Arc<whyd_anomaly::Watched>> {
    if let Some(read) = known.get(name) {
        return Some(Arc::clone(read));
    }
    let read = detectors.watches(name)?;
    if !read.by_name {
        return Some(read);
    }
    if known.len() >= NAMES {
        known.retain(|_, read| Arc::strong_count(read) > 1);
    }
    if known.len() < NAMES {
        known.insert(Arc::clone(name), Arc::clone(&read));
    }
    Some(read)
}

fn memory_limit(meta: &SeriesMeta, scoped: &Scoped) -> Option<f64> {
    if meta.name.as_ref() != WORKING_SET {
        return None;
    }
    let pod = scoped.cluster().pod_named(&meta.namespace, &meta.pod)?;
    quantity(pod.object.container(&meta.container)?.resources.limits.get("memory")?)
}
