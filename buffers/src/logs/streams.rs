//! Log streams: their labels, and which pod and container they are of.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use whyd_signals::StreamId;
use whyd_signals::sink::{Pair, Refusal, tells_streams_apart};

use super::Level;
use crate::budget::Limits;
use crate::hash::{HashedState, hash_parts};
use crate::labels::{self, Labels};
use crate::names::{Names, Namespaces};
use crate::registry::Registry;

/// What a stream is about.
#[derive(Debug)]
pub struct StreamMeta {
    /// The namespace, or empty.
    pub namespace: Arc<str>,
    /// The pod, or empty.
    pub pod: Arc<str>,
    /// The container, or empty.
    pub container: Arc<str>,
    /// What the shipper found, where a line does not say.
    pub(crate) level: Level,
    pub(crate) namespace_id: u32,
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
}

/// The writer's table of streams.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) registry: Registry<StreamMeta>,
    lookup: Arc<RwLock<Lookup>>,
    scratch: Vec<u8>,
}

fn borrowed<'a>(pair: &'a Pair<'_>) -> (&'a str, &'a str) {
    (&pair.0, &pair.1)
}

impl Streams {
    /// The id of the stream with these labels and this metadata. A label wins over metadata of the same name.
    ///
    /// # Errors
    /// [`Refusal::InvalidLabels`] when a name is empty or twice there; [`Refusal::StreamLimit`] when it is new and
    /// there is no room.
    pub(crate) fn resolve(
        &mut self,
        stream_labels: &[Pair<'_>],
        metadata: &[Pair<'_>],
        limits: &Limits,
        names: &mut Names,
        namespaces: &mut Namespaces,
    ) -> Result<StreamId, Refusal> {
        let mut pairs: Vec<(&str, &str)> = stream_labels.iter().map(borrowed).collect();
        for (name, value) in metadata.iter().map(borrowed) {
            if tells_streams_apart(name) && !pairs.iter().any(|(n, _)| *n == name) {
                pairs.push((name, value));
            }
        }
        pairs.sort_unstable();
        if pairs.iter().any(|(n, _)| n.is_empty()) || pairs.windows(2).any(|w| w[0].0 == w[1].0) {
            return Err(Refusal::InvalidLabels);
        }
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        labels::encode(pairs.into_iter().filter(|(_, v)| !v.is_empty()), &mut key);
        let id = match self.registry.find(&key) {
            Some(id) => Some(id),
            None => self.add(&key, limits, names, namespaces),
        };
        self.scratch = key;
        id.map(StreamId).ok_or(Refusal::StreamLimit)
    }

    /// The canonical labels of the stream that was resolved last, whether there was room for it or not.
    pub(crate) fn last_key(&self) -> &[u8] {
        &self.scratch
    }

    /// The stream with these canonical labels, which is made whatever the limits are.
    pub(crate) fn let_in(&mut self, key: &[u8], names: &mut Names, namespaces: &mut Namespaces) -> Option<u32> {
        let limits = Limits { streams: usize::MAX, bytes: usize::MAX, ..Limits::default() };
        self.registry.find(key).or_else(|| self.add(key, &limits, names, namespaces))
    }

    fn add(&mut self, key: &[u8], limits: &Limits, names: &mut Names, namespaces: &mut Namespaces) -> Option<u32> {
        if self.registry.live() >= limits.streams || self.bytes() >= limits.stream_bytes() {
            return None;
        }
        let key: Arc<[u8]> = Arc::from(key);
        let labels = Labels::from_canonical(Arc::clone(&key));
        let value = |name| labels.get(name).unwrap_or_default();
        let hint = labels.get("level").or_else(|| labels.get("detected_level"));
        let meta = StreamMeta {
            namespace: names.get(value("namespace")),
            pod: names.get(value("pod")),
            container: names.get(value("container")),
            level: hint.and_then(Level::named).unwrap_or_default(),
            namespace_id: namespaces.id(value("namespace"))?,
        };
        self.registry.insert(key, meta)
    }

    /// Keeps the streams added since the last commit.
    pub(crate) fn commit(&mut self) {
        if !self.registry.has_fresh() {
            return;
        }
        let mut lookup = self.lookup.write().unwrap_or_else(PoisonError::into_inner);
        self.registry.commit(|id, meta| {
            lookup.by_pod.entry(hash_parts(&[&meta.namespace, &meta.pod])).or_default().push(id);
            *lookup.by_namespace.entry(hash_parts(&[&meta.namespace])).or_default() += 1;
        });
    }

    /// Forgets streams that were not written since sweep `oldest`.
    pub(crate) fn sweep(&mut self, oldest: u32) {
        let gone = self.registry.sweep(oldest);
        if gone.is_empty() {
            return;
        }
        let mut lookup = self.lookup.write().unwrap_or_else(PoisonError::into_inner);
        for (id, meta) in &gone {
            let pod = hash_parts(&[&meta.namespace, &meta.pod]);
            if let Some(ids) = lookup.by_pod.get_mut(&pod) {
                ids.retain(|i| i != id);
                if ids.is_empty() {
                    lookup.by_pod.remove(&pod);
                }
            }
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
