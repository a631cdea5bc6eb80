//! Alerts that others raised, by fingerprint and start: the last that was told of each, bounded in number and bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;
use whyd_signals::schema::Alert;

/// How many are kept. Over it, or over the bytes, the namespace that has most loses the one told longest ago.
const KEPT: usize = 5_000;
/// How many of one notification are taken.
pub(crate) const IN_BODY: usize = 5_000;
/// What one takes beside its texts: itself, its key twice and its places in three tables.
const ENTRY: usize = size_of::<Alert>() + 320;

type Key = (String, Timestamp);
/// When one was told last.
type Told = (Timestamp, Arc<Key>);

/// An alert and when it was last told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) alert: Arc<Alert>,
    told: Timestamp,
}

/// The writer's alerts. What readers see is copied when it changes while they hold it.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    held: Arc<BTreeMap<Key, Held>>,
    by_told: BTreeSet<Told>,
    of_namespace: BTreeMap<String, BTreeSet<Told>>,
    bytes: usize,
}

fn key(alert: &Alert) -> Key {
    (alert.fingerprint.clone(), alert.starts_at)
}

fn weight(alert: &Alert) -> usize {
    let Alert { fingerprint, name, severity, namespace, object, container, summary, link, .. } = alert;
    let texts = [name, severity, namespace, object, container, summary, link];
    texts.iter().map(|text| text.len()).sum::<usize>() + 3 * fingerprint.len() + ENTRY
}

impl Alerts {
    /// Takes up what was held, within so many bytes.
    pub(crate) fn resume(&mut self, held: Vec<Held>, bytes: usize) {
        for Held { alert, told } in held {
            self.put(alert, told, bytes);
        }
    }

    /// Whether just this was told before: the same alert in the same state.
    pub(crate) fn has(&self, alert: &Alert) -> bool {
        let known = self.held.get(&key(alert));
        known.is_some_and(|held| held.alert.ends_at.is_some() == alert.ends_at.is_some())
    }

    /// Keeps what was told last. An alert that fires again since the same moment is not over any more. Gives how many
    /// others had to go to make room.
    pub(crate) fn put(&mut self, alert: Arc<Alert>, told: Timestamp, bytes: usize) -> u64 {
        let key = key(&alert);
        if self.held.get(&key).is_some_and(|held| held.told > told) {
            return 0;
        }
        self.remove(&key);
        self.bytes += weight(&alert);
        let place = (told, Arc::new(key.clone()));
        self.of_namespace.entry(alert.namespace.clone()).or_default().insert(place.clone());
        self.by_told.insert(place);
        Arc::make_mut(&mut self.held).insert(key, Held { alert, told });
        let mut dropped = 0;
        while self.held.len() > KEPT || self.bytes > bytes {
            let Some(oldest) = self.oldest_of_largest() else { break };
            self.remove(&oldest);
            dropped += 1;
        }
        dropped
    }

    fn oldest_of_largest(&self) -> Option<Arc<Key>> {
        let largest = self.of_namespace.values().max_by_key(|alerts| alerts.len())?;
        largest.first().map(|(_, key)| Arc::clone(key))
    }

    fn remove(&mut self, key: &Key) {
        let Some(Held { alert, told }) = Arc::make_mut(&mut self.held).remove(key) else { return };
        let place = (told, Arc::new(key.clone()));
        self.by_told.remove(&place);
        self.bytes = self.bytes.saturating_sub(weight(&alert));
        if let Some(alerts) = self.of_namespace.get_mut(&alert.namespace) {
            alerts.remove(&place);
            if alerts.is_empty() {
                self.of_namespace.remove(&alert.namespace);
            }
        }
    }

    /// Forgets what was last told before this, over or not: whoever still fires is told of again. Gives how many.
    pub(crate) fn drop_before(&mut self, horizon: Timestamp) -> u64 {
        let mut dropped = 0;
        while let Some(key) = self.oldest_before(horizon) {
            self.remove(&key);
            dropped += 1;
        }
        dropped
    }

    fn oldest_before(&self, horizon: Timestamp) -> Option<Arc<Key>> {
        self.by_told.first().filter(|(told, _)| *told < horizon).map(|(_, key)| Arc::clone(key))
    }

    /// What readers see.
    pub(crate) fn shared(&self) -> &Arc<BTreeMap<Key, Held>> {
        &self.held
    }

    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 1 << 30;

    fn alert(fingerprint: &str, namespace: &str, ends_at: Option<i64>) -> Arc<Alert> {
        Arc::new(Alert {
            fingerprint: fingerprint.into(),
            starts_at: Timestamp(1),
            ends_at: ends_at.map(Timestamp),
            name: "A".into(),
            severity: String::new(),
            namespace: namespace.into(),
            kind: "Pod".into(),
            object: "p".into(),
            container: String::new(),
            summary: "it burns".into(),
            link: String::new(),
        })
    }

    #[test]
    fn the_last_that_was_told_counts() {
        let mut alerts = Alerts::default();
        let (firing, over) = (alert("a", "x", None), alert("a", "x", Some(9)));
        assert!(!alerts.has(&firing));
        alerts.put(Arc::clone(&firing), Timestamp(2), MANY);
        assert!(alerts.has(&firing) && !alerts.has(&over));
        alerts.put(Arc::clone(&over), Timestamp(3), MANY);
        alerts.put(Arc::clone(&firing), Timestamp(2), MANY);
        assert!(alerts.has(&over), "told before the end");
        alerts.put(firing, Timestamp(4), MANY);
        assert!(!alerts.has(&over), "it fires again");
        assert_eq!(alerts.len(), 1);
        assert_eq!((alerts.drop_before(Timestamp(4)), alerts.drop_before(Timestamp(5))), (0, 1));
        assert_eq!((alerts.len(), alerts.bytes()), (0, 0));
    }

    #[test]
    fn a_flood_of_one_namespace_pushes_out_its_own() {
        let mut alerts = Alerts::default();
        let mut dropped = 0;
        alerts.put(alert("first", "quiet", None), Timestamp(0), MANY);
        for n in 0..KEPT + 10 {
            dropped += alerts.put(alert(&format!("{n}"), "loud", None), Timestamp(n as i64 + 1), MANY);
        }
        assert_eq!((alerts.len(), dropped), (KEPT, 11));
        assert!(alerts.has(&alert("first", "quiet", None)));
        assert!(!alerts.has(&alert("0", "loud", None)));
    }

    #[test]
    fn their_bytes_are_bounded() {
        let mut alerts = Alerts::default();
        let bound = 10 * weight(&alert("0", "x", None));
        for n in 0..100 {
            alerts.put(alert(&format!("{n}"), "x", None), Timestamp(n), bound);
            assert!(alerts.bytes() <= bound, "{}", alerts.bytes());
        }
        assert!(alerts.len() >= 9);
    }
}
