//! One object with its history, and how versions of it are folded in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyd_signals::objects::{ConfigMap, Job, Namespace, Node, Pod, Service, Workload};
use whyd_signals::{Timestamp, Verb};

/// How many generations of a workload, or versions of a ConfigMap, are kept.
const VERSIONS: usize = 64;

/// An object with its history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record<T> {
    /// The newest version known.
    pub object: Arc<T>,
    /// When this object was first seen.
    pub first_seen: Timestamp,
    /// Its versions in order: every generation, or where there is none every resource version.
    pub versions: Vec<(Timestamp, Arc<T>)>,
    /// When its deletion was seen.
    pub deleted_at: Option<Timestamp>,
    /// Whether it was there when its resource was listed, so that its making was not seen.
    pub listed: bool,
    /// Bytes of the newest version as it came.
    bytes: usize,
}

/// So many times its text an object takes, about: its strings, their places, what it is found by.
const HELD: usize = 2;

impl<T> Record<T> {
    /// About how many bytes it takes with its history.
    pub(super) fn weight(&self) -> usize {
        HELD * self.bytes * self.versions.len().max(1)
    }
}

/// About how many bytes an event takes that came as so many.
pub(super) fn event_weight(bytes: usize) -> usize {
    HELD * bytes
}

impl<T: PartialEq> Record<T> {
    /// Holds the newest version once.
    pub(super) fn share(&mut self) {
        for (_, version) in &mut self.versions {
            if *version == self.object {
                *version = Arc::clone(&self.object);
            }
        }
    }
}

fn newer(a: &str, b: &str) -> bool {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a >= b,
        _ => true,
    }
}

/// What a record needs to know of its object.
pub(super) trait Versioned {
    fn resource_version(&self) -> &str;
    /// Changes when the history should hold another version.
    fn version(&self) -> String;
}

macro_rules! versioned {
    ($($t:ty => $field:ident),*) => {$(
        impl Versioned for $t {
            fn resource_version(&self) -> &str { &self.metadata.resource_version }
            fn version(&self) -> String { self.metadata.$field.to_string() }
        }
    )*};
}
versioned!(Namespace => generation, Workload => generation, Job => generation,
    ConfigMap => resource_version, Service => resource_version);

impl Versioned for Pod {
    fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// Its generation and whether it was asked to go: before Kubernetes 1.33 pods have no generation, and the last
    /// update of a deleted pod takes its grace away.
    fn version(&self) -> String {
        let (generation, going) = (self.metadata.generation, self.metadata.deletion_timestamp.is_some());
        if generation > 0 {
            return format!("{generation} {going}");
        }
        let all = self.spec.containers.iter().chain(&self.spec.init_containers);
        let spec: Vec<String> = all.map(|c| format!("{} {:?}", c.image, c.resources)).collect();
        format!("{} {going}", spec.join(" "))
    }
}

impl Versioned for Node {
    fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// A node has no generation that tells; what verdicts ask of its history does.
    fn version(&self) -> String {
        let ready = self.status.conditions.iter().find(|c| c.kind == "Ready");
        let turned = ready.map(|c| (c.status.as_str(), c.last_transition_time));
        let evicting: Vec<String> = self.spec.taints.iter().filter(|t| t.evicts()).map(ToString::to_string).collect();
        let (boot, taints) = (&self.status.node_info.boot_id, evicting.join(" "));
        format!("{boot} {} {turned:?} {taints}", self.spec.unschedulable)
    }
}

/// How a version came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) verb: Verb,
    pub(super) received: Timestamp,
    /// Whether it belongs to the first list of its resource.
    pub(super) listed: bool,
    /// Bytes of its text.
    pub(super) bytes: usize,
}

/// By how much more bytes are held.
pub(super) type Grown = isize;

pub(super) fn put<T: Versioned>(
    map: &mut BTreeMap<String, Record<T>>,
    uid: &str,
    object: &Arc<T>,
    seen: Seen,
) -> Grown {
    let mut slot = map.remove(uid);
    let grown = merge(&mut slot, object, seen);
    if let Some(record) = slot {
        map.insert(uid.to_owned(), record);
    }
    grown
}

/// Folds one version in. Messages may come late, out of order or twice: the newest resource version wins.
pub(super) fn merge<T: Versioned>(slot: &mut Option<Record<T>>, object: &Arc<T>, seen: Seen) -> Grown {
    let Seen { verb, received, listed, bytes } = seen;
    let before = slot.as_ref().map_or(0, Record::weight);
    let record = slot.get_or_insert_with(|| Record {
        object: Arc::clone(object),
        first_seen: received,
        versions: Vec::new(),
        deleted_at: None,
        listed,
        bytes,
    });
    if newer(object.resource_version(), record.object.resource_version()) {
        record.object = Arc::clone(object);
        record.bytes = bytes;
    }
    let version = object.version();
    if record.versions.iter().all(|(_, v)| v.version() != version) {
        record.versions.push((received, Arc::clone(object)));
        let number = |v: &Arc<T>| v.version().parse().or_else(|_| v.resource_version().parse::<u64>());
        record.versions.sort_by_key(|(_, v)| number(v).unwrap_or(u64::MAX));
        if record.versions.len() > VERSIONS {
            record.versions.remove(0);
        }
    }
    if verb == Verb::Delete && record.deleted_at.is_none() {
        record.deleted_at = Some(received);
    }
    record.weight().cast_signed() - before.cast_signed()
}

pub(super) fn mark_gone<'a, T: Versioned + HasUid + 'a>(
    records: impl Iterator<Item = &'a mut Record<T>>,
    there: &BTreeSet<&str>,
    received: Timestamp,
) {
    for record in records {
        if record.deleted_at.is_none() && !there.contains(record.object.uid()) {
            record.deleted_at = Some(received);
        }
    }
}

pub(super) trait HasUid {
    fn uid(&self) -> &str;
}

macro_rules! has_uid {
    ($($t:ty),*) => {$( impl HasUid for $t { fn uid(&self) -> &str { &self.metadata.uid } } )*};
}
has_uid!(Namespace, Node, Workload, Job, ConfigMap, Service, Pod);
