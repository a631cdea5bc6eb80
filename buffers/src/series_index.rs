//! Raw label bytes to series ids, and ids by metric and pod.
//!
//! A sender sends its series in the same order each time. So the id that followed the previous one last time is
//! tried first, by comparing bytes; only a miss is hashed, and only a miss of that is parsed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use whyd_signals::sink::Refusal;
use whyd_signals::{SeriesId, Team};

use crate::budget::Limits;
use crate::hash::{FixedState, HashedState, hash_parts};
use crate::labels::{self, Labels};
use crate::names::{Around, Names, Namespaces};
use crate::registry::{About, HeldIds, Meta, NONE, Registry, Slot};
use crate::replicas::Replicas;
use crate::shares::Shares;

/// So many series in a row that did not come as expected, and no more is expected until one would have.
const LOST: u8 = 8;

/// What a series is about. The strings are shared with other series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesMeta {
    /// The metric.
    pub name: Arc<str>,
    /// All labels, sorted by name, `__name__` included.
    pub labels: Labels,
    /// Label `namespace`; empty where there is none, and then it is the platform's.
    pub namespace: Arc<str>,
    /// Label `pod`, or empty.
    pub pod: Arc<str>,
    /// Label `container`, or empty.
    pub container: Arc<str>,
    /// Label `node`, or empty.
    pub node: Arc<str>,
    pub(crate) namespace_id: u32,
}

impl SeriesMeta {
    /// What canonical labels say; `None` where there are too many namespaces.
    fn new(key: &Arc<[u8]>, names: &mut Names, namespaces: &mut Namespaces, most: usize) -> Option<Self> {
        let labels = Labels::from_canonical(Arc::clone(key));
        let [mut name, mut namespace, mut pod, mut container, mut node] = [""; 5];
        for (label, value) in labels.iter() {
            match label {
                labels::NAME => name = value,
                "namespace" => namespace = value,
                "pod" => pod = value,
                "container" => container = value,
                "node" => node = value,
                _ => {}
            }
        }
        // First: where there is none nothing is to be kept of the rest.
        let namespace_id = namespaces.id(namespace, most)?;
        Some(Self {
            name: names.get(name),
            namespace: names.get(namespace),
            pod: names.get(pod),
            container: names.get(container),
            node: names.get(node),
            namespace_id,
            labels,
        })
    }

    /// The value of one label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name)
    }
}

impl Meta for SeriesMeta {
    fn about(&self) -> About {
        About { namespace: self.namespace_id, ..About::default() }
    }
}

/// One id or several, in order; most pods have one series of a metric.
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

impl Ids {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }

    fn push(&mut self, id: u32) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, id]),
            Self::Many(ids) => ids.push(id),
        }
    }
}

/// Ids by what is asked for. Shared with readers behind a lock that is taken to write only for a new series.
#[derive(Default)]
pub(crate) struct Lookup {
    by_pod: HashMap<u64, Ids, HashedState>,
    by_name: HashMap<Arc<str>, Vec<u32>, FixedState>,
    by_namespace: HashMap<Arc<str>, usize, FixedState>,
}

/// Hash of what a verdict looks a series up by.
fn pod_key(metric: &str, namespace: &str, pod: &str) -> u64 {
    hash_parts(&[metric, namespace, pod])
}

impl Lookup {
    /// Candidates for this metric of this pod, in id order; another's may be among them, so compare.
    pub(crate) fn of_pod(&self, metric: &str, namespace: &str, pod: &str) -> &[u32] {
        self.by_pod.get(&pod_key(metric, namespace, pod)).map_or(&[], Ids::as_slice)
    }

    /// All series of this metric, in id order.
    pub(crate) fn named(&self, metric: &str) -> &[u32] {
        self.by_name.get(metric).map_or(&[], Vec::as_slice)
    }

    /// Whether there is any series of this namespace.
    pub(crate) fn has_namespace(&self, namespace: &str) -> bool {
        self.by_namespace.contains_key(namespace)
    }

    fn add(&mut self, id: u32, meta: &SeriesMeta) {
        let key = pod_key(&meta.name, &meta.namespace, &meta.pod);
        self.by_pod.entry(key).and_modify(|ids| ids.push(id)).or_insert(Ids::One(id));
        self.by_name.entry(Arc::clone(&meta.name)).or_default().push(id);
        *self.by_namespace.entry(Arc::clone(&meta.namespace)).or_default() += 1;
    }

    /// Takes out what is gone; `gone` is in id order.
    fn remove(&mut self, gone: &[(u32, Arc<SeriesMeta>)]) {
        let is_gone = |id: &u32| gone.binary_search_by_key(id, |(g, _)| *g).is_ok();
        let mut names: Vec<&Arc<str>> = Vec::new();
        let mut pods: Vec<u64> = gone.iter().map(|(_, meta)| pod_key(&meta.name, &meta.namespace, &meta.pod)).collect();
        pods.sort_unstable();
        pods.dedup();
        for key in pods {
            let empty = match self.by_pod.get_mut(&key) {
                Some(Ids::Many(ids)) => {
                    ids.retain(|id| !is_gone(id));
                    ids.is_empty()
                }
                Some(Ids::One(id)) => is_gone(id),
                None => false,
            };
            if empty {
                self.by_pod.remove(&key);
            }
        }
        for (_, meta) in gone {
            names.push(&meta.name);
            if let Some(n) = self.by_namespace.get_mut(&meta.namespace) {
                *n -= 1;
                if *n == 0 {
                    self.by_namespace.remove(&meta.namespace);
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        for name in names {
            if let Some(ids) = self.by_name.get_mut(name) {
                ids.retain(|id| !is_gone(id));
                if ids.is_empty() {
                    self.by_name.remove(name);
                }
            }
        }
    }
}

/// The writer's index of series.
#[derive(Default)]
pub(crate) struct SeriesIndex {
    pub(crate) registry: Registry<SeriesMeta>,
    pub(crate) shares: Shares,
    lookup: Arc<RwLock<Lookup>>,
    previous: u32,
    /// Series in a row that were others than expected. Where a sender has no order, looking at what is expected costs
    /// more than it gives.
    unexpected: u8,
    scratch: Vec<u8>,
    stripped: Vec<u8>,
}

impl SeriesIndex {
    /// The id that followed the previous one last time, and still stands for something.
    #[inline]
    pub(crate) fn expected(&self) -> Option<SeriesId> {
        if self.unexpected >= LOST {
            return None;
        }
        let guess = self.registry.slot(self.previous)?.next;
        self.registry.slot(guess)?.key().map(|_| SeriesId(guess))
    }

    /// The id that followed the previous one last time, if `fields` begin with its labels, and how long those are.
    #[inline]
    pub(crate) fn successor(&self, fields: &[u8]) -> Option<(SeriesId, usize)> {
        let guess = self.expected()?;
        let key = self.registry.slot(guess.0)?.key()?;
        fields.starts_with(key).then_some((guess, key.len()))
    }

    /// Goes on after `series`, which is the successor.
    #[inline]
    pub(crate) fn take_successor(&mut self, series: SeriesId) {
        self.previous = series.0;
        self.unexpected = 0;
    }

    /// Whether series come in no order that is known.
    #[inline]
    pub(crate) fn has_no_order(&self) -> bool {
        self.unexpected >= LOST
    }

    /// Goes on after `series`, which was found by its labels.
    #[inline]
    pub(crate) fn take_found(&mut self, series: SeriesId) {
        let id = series.0;
        let guess = self.registry.slot_mut(self.previous).map_or(NONE, |slot| std::mem::replace(&mut slot.next, id));
        self.unexpected = if id == guess { 0 } else { self.unexpected.saturating_add(1) };
        self.previous = id;
    }

    /// The id of the series with these labels.
    ///
    /// # Errors
    /// [`Refusal::InvalidLabels`] and [`Refusal::LabelLimit`]; [`Refusal::SeriesLimit`] and [`Refusal::TeamLimit`] when it
    /// is new and there is no room; those of [`Replicas::judge`].
    pub(crate) fn resolve(
        &mut self,
        raw: &[u8],
        replicas: &mut Replicas,
        around: &mut Around<'_>,
    ) -> Result<SeriesId, Refusal> {
        let guess = self.registry.slot(self.previous).map_or(NONE, |s| s.next);
        if self.unexpected < LOST && self.registry.is(guess, raw) {
            self.take_successor(SeriesId(guess));
            return Ok(SeriesId(guess));
        }
        let id = match self.registry.find(raw) {
            Some(id) => id,
            None => {
                // No series is known by labels of a replica, so those of one always come this far, and others seldom.
                let mut stripped = std::mem::take(&mut self.stripped);
                let judged = replicas.judge(raw, &mut stripped);
                let id = match judged {
                    Err(why) => Err(why),
                    Ok(true) if self.registry.is(guess, &stripped) => Ok(guess),
                    Ok(true) => self.resolve_unguessed(&stripped, around),
                    Ok(false) => self.resolve_unseen(raw, around),
                };
                self.stripped = stripped;
                id?
            }
        };
        self.take_found(SeriesId(id));
        Ok(SeriesId(id))
    }

    fn resolve_unguessed(&mut self, raw: &[u8], around: &mut Around<'_>) -> Result<u32, Refusal> {
        match self.registry.find(raw) {
            Some(id) => Ok(id),
            None => self.resolve_unseen(raw, around),
        }
    }

    /// These bytes are not the canonical form of a known series: another spelling of one, or a new one.
    fn resolve_unseen(&mut self, raw: &[u8], around: &mut Around<'_>) -> Result<u32, Refusal> {
        let mut canonical = std::mem::take(&mut self.scratch);
        let found = labels::canonicalise(raw, around.limits, &mut canonical).map(|()| self.registry.find(&canonical));
        let id = match found {
            Err(why) => Err(why),
            Ok(Some(id)) => Ok(id),
            Ok(None) => self.add(&canonical, around),
        };
        self.scratch = canonical;
        id
    }

    /// Whether a series could have these labels.
    ///
    /// # Errors
    /// [`Refusal::InvalidLabels`] and [`Refusal::LabelLimit`].
    pub(crate) fn judge(&mut self, raw: &[u8], limits: &Limits) -> Result<(), Refusal> {
        labels::canonicalise(raw, limits, &mut self.scratch)
    }

    fn add(&mut self, key: &[u8], around: &mut Around<'_>) -> Result<u32, Refusal> {
        let limits = around.limits;
        let bytes = self.bytes() + around.names.bytes();
        if self.registry.live() >= limits.series || bytes >= limits.index_bytes() {
            return Err(Refusal::SeriesLimit);
        }
        let key: Arc<[u8]> = Arc::from(key);
        let team = around.team_of(Labels::from_canonical(Arc::clone(&key)).get("namespace").unwrap_or_default());
        if !self.shares.has_room(&team, limits.series_of_team) {
            return Err(Refusal::TeamLimit);
        }
        let meta =
            SeriesMeta::new(&key, around.names, around.namespaces, limits.namespaces).ok_or(Refusal::NamespaceLimit)?;
        let namespace_id = meta.namespace_id;
        let id = self.registry.insert(key, meta).ok_or(Refusal::SeriesLimit)?;
        self.shares.add(namespace_id, &team);
        Ok(id)
    }

    /// Counts what each team has of the series that were taken up.
    pub(crate) fn share(&mut self, team_of: impl Fn(&str) -> Team) {
        let all = self.registry.catalog.view(self.registry.catalog.len());
        all.iter().for_each(|(_, meta)| self.shares.add(meta.namespace_id, &team_of(&meta.namespace)));
    }

    /// Takes up series as they stood.
    pub(crate) fn resume(&mut self, held: &HeldIds, previous: u32, names: &mut Names, namespaces: &mut Namespaces) {
        let meta = |key: &Arc<[u8]>| SeriesMeta::new(key, names, namespaces, usize::MAX);
        self.registry.resume(held.with(meta), held.len, held.epoch);
        self.previous = previous;
        let mut lookup = self.lookup.write().unwrap_or_else(PoisonError::into_inner);
        self.registry.catalog.view(held.len).iter().for_each(|(id, meta)| lookup.add(id, meta));
    }

    /// The series that was written last.
    pub(crate) fn previous(&self) -> u32 {
        self.previous
    }

    /// What the writer keeps of a series.
    pub(crate) fn slot_mut(&mut self, id: SeriesId) -> Option<&mut Slot> {
        self.registry.slot_mut(id.0)
    }

    /// Keeps the series added since the last commit.
    pub(crate) fn commit(&mut self) {
        if !self.registry.has_fresh() {
            return;
        }
        let mut lookup = self.lookup.write().unwrap_or_else(PoisonError::into_inner);
        self.registry.commit(|id, meta| lookup.add(id, meta));
    }

    /// Takes back the series added since the last commit.
    pub(crate) fn rollback(&mut self) {
        let shares = &mut self.shares;
        self.registry.rollback(|meta| shares.remove(meta.namespace_id));
    }

    /// Forgets series that were not written since sweep `oldest`.
    pub(crate) fn sweep(&mut self, oldest: u32) {
        let gone = self.registry.sweep(oldest);
        for (_, meta) in &gone {
            self.shares.remove(meta.namespace_id);
        }
        if !gone.is_empty() {
            self.lookup.write().unwrap_or_else(PoisonError::into_inner).remove(&gone);
        }
    }

    /// What readers look ids up in.
    pub(crate) fn lookup(&self) -> &Arc<RwLock<Lookup>> {
        &self.lookup
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        // Two entries and a number in the look-ups for each.
        self.registry.bytes() + self.registry.live() * 40
    }
}

#[cfg(test)]
mod tests;
