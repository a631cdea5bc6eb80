//! Log streams: their labels, and which pod and container they are of.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use whyd_signals::sink::{Pair, Refusal, tells_streams_apart};
use whyd_signals::{StreamId, Team};

use super::Level;
use crate::hash::{HashedState, hash_parts};
use crate::labels::{self, Labels};
use crate::names::{Around, Names, Namespaces};
use crate::registry::{About, HeldIds, Meta, Registry};
use crate::shares::Shares;

/// What a stream is about.
#[derive(Debug)]
pub struct StreamMeta {
    /// The namespace, or empty.
    pub namespace: Arc<str>,
    /// The pod, or empty.
    pub pod: Arc<str>,
    /// The container, or empty.
    pub container: Arc<str>,
    /// How bad its lines are, where the sender says so: the label `level`, as severities of OTLP become one.
    pub(crate) said: Level,
    /// What the store that they come from took them for, where a line does not say.
    pub(crate) detected: Level,
    pub(crate) namespace_id: u32,
    /// Its labels, with the metadata that tells it apart.
    pub(crate) labels: Labels,
}

impl StreamMeta {
    /// What canonical labels say; `None` where there are too many namespaces.
    fn new(key: &Arc<[u8]>, names: &mut Names, namespaces: &mut Namespaces, most: usize) -> Option<Self> {
        let labels = Labels::from_canonical(Arc::clone(key));
        let value = |name| labels.get(name).unwrap_or_default();
        // First: where there is none nothing is to be kept of the rest.
        let namespace_id = namespaces.id(value("namespace"), most)?;
        let level = |name| labels.get(name).and_then(Level::named).unwrap_or_default();
        Some(Self {
            namespace: names.get(value("namespace")),
            pod: names.get(value("pod")),
            container: names.get(value("container")),
            said: level("level"),
            detected: level("detected_level"),
            namespace_id,
            labels: labels.clone(),
        })
    }
}

impl Meta for StreamMeta {
    fn about(&self) -> About {
        About { namespace: self.namespace_id, said: self.said, detected: self.detected }
    }
}

/// Streams by pod, shared with readers.
#[derive(Default)]
pub(crate) struct Lookup {
    by_pod: HashMap<u64, Vec<u32>, HashedState>,
    by_namespace: HashMap<u64, usize, HashedState>,
}

impl Lookup {
    /// Candidates for this pod, in id order; another's may be among them, so compare.
    pub(crate) fn of_pod(&self, namespace: &str, pod: &str) -> &[u32] {
        self.by_pod.get(&hash_parts(&[namespace, pod])).map_or(&[], Vec::as_slice)
    }

    /// Whether there is any stream of this namespace.
    pub(crate) fn has_namespace(&self, namespace: &str) -> bool {
        self.by_namespace.contains_key(&hash_parts(&[namespace]))
    }

    fn add(&mut self, id: u32, meta: &StreamMeta) {
        self.by_pod.entry(hash_parts(&[&meta.namespace, &meta.pod])).or_default().push(id);
        *self.by_namespace.entry(hash_parts(&[&meta.namespace])).or_default() += 1;
    }
}

/// The writer's table of streams.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) registry: Registry<StreamMeta>,
    pub(crate) shares: Shares,
    lookup: Arc<RwLock<Lookup>>,
    scratch: Vec<u8>,
    /// Whether the last one had more labels than are looked at.
    unseen: bool,
}

fn borrowed<'a>(pair: &'a Pair<'_>) -> (&'a str, &'a str) {
    (&pair.0, &pair.1)
}

impl Streams {
    /// The id of the stream with these labels and this metadata. A label wins over metadata of the same name.
    ///
    /// # Errors
    /// [`Refusal::InvalidLabels`] when a name is empty or twice there; [`Refusal::LabelLimit`]; [`Refusal::StreamLimit`]
    /// and [`Refusal::TeamLimit`] when it is new and there is no room.
    pub(crate) fn resolve(
        &mut self,
        stream_labels: &[Pair<'_>],
        metadata: &[Pair<'_>],
        around: &mut Around<'_>,
    ) -> Result<StreamId, Refusal> {
        self.unseen = stream_labels.len() > around.limits.labels;
        if self.unseen {
            return Err(Refusal::LabelLimit);
        }
        let mut pairs: Vec<(&str, &str)> = stream_labels.iter().map(borrowed).collect();
        for (name, value) in metadata.iter().map(borrowed) {
            if tells_streams_apart(name) && !pairs.iter().any(|(n, _)| *n == name) {
                pairs.push((name, value));
            }
        }
        let many = pairs.len() > around.limits.labels;
        pairs.sort_unstable();
        if pairs.iter().any(|(n, _)| n.is_empty()) || pairs.windows(2).any(|w| w[0].0 == w[1].0) {
            return Err(Refusal::InvalidLabels);
        }
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        labels::encode(pairs.into_iter().filter(|(_, v)| !v.is_empty()), &mut key);
        let id = match self.registry.find(&key) {
            Some(id) => Ok(id),
            None if many || key.len() > around.limits.label_bytes => Err(Refusal::LabelLimit),
            None => self.add(&key, around),
        };
        self.scratch = key;
        id.map(StreamId)
    }

    /// The canonical labels of the stream that was resolved last, whether there was room for it or not; `None` where it had
    /// too many of them to be looked at.
    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        (!self.unseen).then_some(&*self.scratch)
    }

    /// The stream with these canonical labels; of `around` the limits are to be lifted ones.
    pub(crate) fn let_in(&mut self, key: &[u8], around: &mut Around<'_>) -> Option<u32> {
        self.registry.find(key).or_else(|| self.add(key, around).ok())
    }

    fn add(&mut self, key: &[u8], around: &mut Around<'_>) -> Result<u32, Refusal> {
        let limits = around.limits;
        if self.registry.live() >= limits.streams
            || self.bytes() >= limits.stream_bytes()
            || around.names.bytes() >= limits.index_bytes()
        {
            return Err(Refusal::StreamLimit);
        }
        let key: Arc<[u8]> = Arc::from(key);
        let team = around.team_of(Labels::from_canonical(Arc::clone(&key)).get("namespace").unwrap_or_default());
        if !self.shares.has_room(&team, limits.streams_of_team) {
            return Err(Refusal::TeamLimit);
        }
        let meta =
            StreamMeta::new(&key, around.names, around.namespaces, limits.namespaces).ok_or(Refusal::NamespaceLimit)?;
        let namespace_id = meta.namespace_id;
        let id = self.registry.insert(key, meta).ok_or(Refusal::StreamLimit)?;
        self.shares.add(namespace_id, &team);
        Ok(id)
    }

    /// Counts what each team has of the streams that were taken up.
    pub(crate) fn share(&mut self, team_of: impl Fn(&str) -> Team) {
        let all = self.registry.catalog.view(self.registry.catalog.len());
        all.iter().for_each(|(_, meta)| self.shares.add(meta.namespace_id, &team_of(&meta.namespace)));
    }

    /// Takes back the streams added since the last commit.
    pub(crate) fn rollback(&mut self) {
        let shares = &mut self.shares;
        self.registry.rollback(|meta| shares.remove(meta.namespace_id));
    }

    /// Takes up streams as they stood.
    pub(crate) fn resume(&mut self, held: &HeldIds, names: &mut Names, namespaces: &mut Namespaces) {
        let meta = |key: &Arc<[u8]>| StreamMeta::new(key, names, namespaces, usize::MAX);
        self.registry.resume(held.with(meta), held.len, held.epoch);
        let mut lookup = self.lookup.write().unwrap_or_else(PoisonError::into_inner);
        self.registry.catalog.view(held.len).iter().for_each(|(id, meta)| lookup.add(id, meta));
    }

    /// Keeps the streams added since the last commit.
    pub(crate) fn commit(&mut self) {
        if !self.registry.has_fresh() {
            return;
        }
        let mut lookup = self.lookup.write().unwrap_or_else(PoisonError::into_inner);
        self.registry.commit(|id, meta| lookup.add(id, meta));
    }

    /// Forgets streams that were not written since sweep `oldest`.
    pub(crate) fn sweep(&mut self, oldest: u32) {
        let gone = self.registry.sweep(oldest);
        if gone.is_empty() {
            return;
        }
        for (_, meta) in &gone {
            self.shares.remove(meta.namespace_id);
        }
        let mut lookup = self.lookup.write().unwrap_or_else(PoisonError::into_inner);
        let is_gone = |id: &u32| gone.binary_search_by_key(id, |(g, _)| *g).is_ok();
        let mut pods: Vec<u64> = gone.iter().map(|(_, meta)| hash_parts(&[&meta.namespace, &meta.pod])).collect();
        pods.sort_unstable();
        pods.dedup();
        for pod in pods {
            if let Some(ids) = lookup.by_pod.get_mut(&pod) {
                ids.retain(|id| !is_gone(id));
                if ids.is_empty() {
                    lookup.by_pod.remove(&pod);
                }
            }
        }
        for (_, meta) in &gone {
            let namespace = hash_parts(&[&meta.namespace]);
            if let Some(n) = lookup.by_namespace.get_mut(&namespace) {
                *n -= 1;
                if *n == 0 {
                    lookup.by_namespace.remove(&namespace);
                }
            }
        }
    }

    /// What readers look ids up in.
    pub(crate) fn lookup(&self) -> &Arc<RwLock<Lookup>> {
        &self.lookup
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.registry.bytes() + self.registry.live() * 40
    }
}
