//! Everything known of one namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyd_signals::objects::{ConfigMap, Event, Job, Meta, Namespace, Object, Pod, Service, Workload};
use whyd_signals::{Resource, Team, Timestamp, Verb};

use super::TeamOf;
use super::index::Index;
use super::record::{Record, Seen, mark_gone, merge, put};

/// How many events a namespace keeps; the oldest go first and are counted.
const EVENTS_PER_NAMESPACE: usize = 20_000;

/// One observation of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventSeen {
    /// When it last happened, by the event itself.
    pub at: Timestamp,
    /// The event as of this observation.
    pub event: Arc<Event>,
}

/// Everything known of one namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NamespaceState {
    pub name: String,
    pub team: Team,
    pub namespace: Option<Record<Namespace>>,
    pub pods: BTreeMap<String, Record<Pod>>,
    pods_named: Index,
    pods_of: Index,
    /// Deployments, ReplicaSets, StatefulSets and DaemonSets by uid, each with its resource.
    pub workloads: BTreeMap<String, (Resource, Record<Workload>)>,
    pub jobs: BTreeMap<String, Record<Job>>,
    workloads_named: Index,
    workloads_of: Index,
    pub config_maps: BTreeMap<String, Record<ConfigMap>>,
    config_maps_named: Index,
    pub services: BTreeMap<String, Record<Service>>,
    /// In order of arrival.
    pub events: Vec<EventSeen>,
    events_seen: BTreeSet<(String, String)>,
    /// uid of the involved object -> positions in `events`.
    events_of: BTreeMap<String, Vec<usize>>,
    /// When the first of what is gone and still remembered went.
    first_gone: Option<Timestamp>,
    /// Rises whenever an object comes or goes, or the namespace itself changes: as long as it stays, so do names and
    /// owners.
    pub membership: u64,
}

impl NamespaceState {
    pub(super) fn new(name: &str, team: Team) -> Self {
        Self {
            name: name.to_owned(),
            team,
            namespace: None,
            pods: BTreeMap::new(),
            pods_named: Index::default(),
            pods_of: Index::default(),
            workloads: BTreeMap::new(),
            workloads_named: Index::default(),
            workloads_of: Index::default(),
            jobs: BTreeMap::new(),
            config_maps: BTreeMap::new(),
            config_maps_named: Index::default(),
            services: BTreeMap::new(),
            events: Vec::new(),
            events_seen: BTreeSet::new(),
            events_of: BTreeMap::new(),
            first_gone: None,
            membership: 0,
        }
    }

    /// The events about the object with this uid, in order of arrival.
    pub fn events_about(&self, uid: &str) -> impl Iterator<Item = &EventSeen> + use<'_> {
        self.events_of.get(uid).into_iter().flatten().filter_map(|i| self.events.get(*i))
    }

    /// The workload with this uid, and its resource.
    pub fn owner(&self, uid: &str) -> Option<(Resource, &Record<Workload>)> {
        self.workloads.get(uid).map(|(r, w)| (*r, w))
    }

    /// The newest pod of this name, a living one before a deleted one.
    pub fn pod_named(&self, name: &str) -> Option<&Record<Pod>> {
        self.pods_called(name).max_by_key(|p| (p.deleted_at.is_none(), p.object.metadata.creation_timestamp))
    }

    /// All pods of this name, those that are gone too.
    pub fn pods_called(&self, name: &str) -> impl Iterator<Item = &Record<Pod>> + use<'_> {
        self.pods_named.of(name).filter_map(|uid| self.pods.get(uid))
    }

    /// The pods whose controller has this uid.
    pub fn pods_of(&self, owner: &str) -> impl Iterator<Item = &Record<Pod>> + use<'_> {
        self.pods_of.of(owner).filter_map(|uid| self.pods.get(uid))
    }

    /// All workloads of this name, those that are gone too.
    pub fn workloads_called(&self, name: &str) -> impl Iterator<Item = (Resource, &Record<Workload>)> + use<'_> {
        self.workloads_named.of(name).filter_map(|uid| self.owner(uid))
    }

    /// The ReplicaSets of the Deployment with this uid.
    pub fn replica_sets_of(&self, owner: &str) -> impl Iterator<Item = &Record<Workload>> + use<'_> {
        let owned = self.workloads_of.of(owner).filter_map(|uid| self.owner(uid));
        owned.filter(|(r, _)| *r == Resource::ReplicaSets).map(|(_, w)| w)
    }

    /// All ConfigMaps of this name, those that are gone too.
    pub fn config_maps_called(&self, name: &str) -> impl Iterator<Item = &Record<ConfigMap>> + use<'_> {
        self.config_maps_named.of(name).filter_map(|uid| self.config_maps.get(uid))
    }

    /// `Kind/name` of the workload that a pod belongs to, through its ReplicaSet to the Deployment and through its
    /// Job; a pod without an owner is its own workload.
    pub fn workload_of(&self, pod: &Pod) -> String {
        let Some(owner) = pod.metadata.controller() else {
            return format!("Pod/{}", pod.metadata.name);
        };
        if owner.kind != "ReplicaSet" {
            return format!("{}/{}", owner.kind, owner.name);
        }
        if let Some((_, rs)) = self.owner(&owner.uid) {
            if let Some(up) = rs.object.metadata.controller() {
                return format!("{}/{}", up.kind, up.name);
            }
            return format!("ReplicaSet/{}", owner.name);
        }
        // The ReplicaSet was never seen: its name is the Deployment's and the template hash.
        match pod.metadata.labels.get("pod-template-hash").and_then(|h| owner.name.strip_suffix(h.as_str())) {
            Some(name) => format!("Deployment/{}", name.trim_end_matches('-')),
            None => format!("ReplicaSet/{}", owner.name),
        }
    }

    /// Applies one version of an object; gives how many events went over the bound.
    pub(super) fn apply(&mut self, resource: Resource, object: &Object, seen: Seen, team_of: &TeamOf) -> u64 {
        if seen.verb == Verb::Delete {
            self.gone(seen.received);
        }
        let before = self.objects();
        let dropped = self.apply_object(resource, object, seen, team_of);
        if before != self.objects() || matches!(object, Object::Namespace(_)) {
            self.membership += 1;
        }
        dropped
    }

    fn objects(&self) -> usize {
        self.pods.len() + self.workloads.len() + self.jobs.len()
    }

    fn apply_object(&mut self, resource: Resource, object: &Object, seen: Seen, team_of: &TeamOf) -> u64 {
        let meta = object.meta();
        let uid = &meta.uid;
        match object {
            Object::Namespace(o) => self.apply_namespace(o, seen, team_of),
            Object::Deployment(o) | Object::ReplicaSet(o) | Object::StatefulSet(o) | Object::DaemonSet(o) => {
                self.workloads_named.insert(&meta.name, uid);
                insert_owned(&mut self.workloads_of, meta);
                let mut slot = self.workloads.remove(uid).map(|(_, r)| r);
                merge(&mut slot, o, seen);
                if let Some(record) = slot {
                    self.workloads.insert(uid.clone(), (resource, record));
                }
            }
            Object::Job(o) => put(&mut self.jobs, uid, o, seen),
            Object::ConfigMap(o) => {
                self.config_maps_named.insert(&meta.name, uid);
                put(&mut self.config_maps, uid, o, seen);
            }
            Object::Service(o) => put(&mut self.services, uid, o, seen),
            Object::Pod(o) => {
                self.pods_named.insert(&meta.name, uid);
                insert_owned(&mut self.pods_of, meta);
                put(&mut self.pods, uid, o, seen);
            }
            // An event's deletion is its expiry, not news.
            Object::Event(o) if seen.verb == Verb::Apply => return self.keep_event(o),
            Object::Event(_) | Object::Node(_) => {}
        }
        0
    }

    fn apply_namespace(&mut self, object: &Arc<Namespace>, seen: Seen, team_of: &TeamOf) {
        let meta = &object.metadata;
        let known = self.namespace.as_ref().map(|n| &n.object.metadata);
        if let Some(known) = known.filter(|known| known.uid != meta.uid) {
            // Another namespace of this name: the older one's end says nothing of it.
            if seen.verb == Verb::Delete || known.creation_timestamp > meta.creation_timestamp {
                return;
            }
            self.namespace = None;
        }
        self.team = team_of(&meta.name, &meta.labels);
        merge(&mut self.namespace, object, seen);
    }

    /// Whether a fresh list of this resource lacks something that is here.
    pub(super) fn lacks(&self, resource: Resource, there: &BTreeSet<&str>) -> bool {
        fn any<'a, T: 'a>(records: impl Iterator<Item = (&'a String, &'a Record<T>)>, there: &BTreeSet<&str>) -> bool {
            records.into_iter().any(|(uid, r)| r.deleted_at.is_none() && !there.contains(uid.as_str()))
        }
        match resource {
            Resource::Pods => any(self.pods.iter(), there),
            Resource::Jobs => any(self.jobs.iter(), there),
            Resource::ConfigMaps => any(self.config_maps.iter(), there),
            Resource::Services => any(self.services.iter(), there),
            Resource::Namespaces => any(self.namespace.iter().map(|n| (&n.object.metadata.uid, n)), there),
            Resource::Deployments | Resource::ReplicaSets | Resource::StatefulSets | Resource::DaemonSets => {
                any(self.workloads.iter().filter(|(_, (r, _))| *r == resource).map(|(uid, (_, w))| (uid, w)), there)
            }
            Resource::Nodes | Resource::Events => false,
        }
    }

    /// Marks as deleted what a fresh list of this resource no longer holds.
    pub(super) fn mark_gone(&mut self, resource: Resource, there: &BTreeSet<&str>, received: Timestamp) {
        self.gone(received);
        match resource {
            Resource::Pods => mark_gone(self.pods.values_mut(), there, received),
            Resource::Jobs => mark_gone(self.jobs.values_mut(), there, received),
            Resource::ConfigMaps => mark_gone(self.config_maps.values_mut(), there, received),
            Resource::Services => mark_gone(self.services.values_mut(), there, received),
            Resource::Namespaces => mark_gone(self.namespace.iter_mut(), there, received),
            Resource::Deployments | Resource::ReplicaSets | Resource::StatefulSets | Resource::DaemonSets => {
                let own = self.workloads.values_mut().filter(|(r, _)| *r == resource).map(|(_, w)| w);
                mark_gone(own, there, received);
            }
            Resource::Nodes | Resource::Events => {}
        }
    }

    fn gone(&mut self, at: Timestamp) {
        self.membership += 1;
        self.first_gone = Some(self.first_gone.map_or(at, |first| first.min(at)));
    }

    /// Whether enough is older than `horizon` that forgetting it is worth the work.
    pub(super) fn is_stale(&self, horizon: Timestamp) -> bool {
        // A tenth of the events at a time: re-indexing on each tick would cost more than the memory is worth.
        let tenth = self.events.get(self.events.len().max(100) / 10).is_some_and(|e| e.at < horizon);
        tenth || self.first_gone.is_some_and(|at| at < horizon)
    }

    /// Forgets what was deleted, and events that happened, before `horizon`; gives how much that was.
    pub(super) fn expire(&mut self, horizon: Timestamp) -> usize {
        fn keep<T>(records: &mut BTreeMap<String, Record<T>>, horizon: Timestamp, first: &mut Option<Timestamp>) {
            records.retain(|_, r| r.deleted_at.is_none_or(|at| at >= horizon));
            let went = records.values().filter_map(|r| r.deleted_at).min();
            *first = [*first, went].into_iter().flatten().min();
        }
        let before = self.objects();
        let mut first = None;
        self.workloads.retain(|_, (_, w)| w.deleted_at.is_none_or(|at| at >= horizon));
        first = self.workloads.values().filter_map(|(_, w)| w.deleted_at).chain(first).min();
        keep(&mut self.pods, horizon, &mut first);
        keep(&mut self.jobs, horizon, &mut first);
        keep(&mut self.config_maps, horizon, &mut first);
        keep(&mut self.services, horizon, &mut first);
        self.first_gone = first;
        let (pods, workloads, config_maps) = (&self.pods, &self.workloads, &self.config_maps);
        self.pods_named.retain(|uid| pods.contains_key(uid));
        self.pods_of.retain(|uid| pods.contains_key(uid));
        self.workloads_named.retain(|uid| workloads.contains_key(uid));
        self.workloads_of.retain(|uid| workloads.contains_key(uid));
        self.config_maps_named.retain(|uid| config_maps.contains_key(uid));
        let after = self.objects();
        self.membership += u64::from(after != before);
        let old_events = self.events.iter().take_while(|e| e.at < horizon).count();
        self.drop_events(old_events);
        before - after + old_events
    }

    /// Holds the newest version of each object once.
    pub(super) fn share(&mut self) {
        self.namespace.iter_mut().for_each(Record::share);
        self.pods.values_mut().for_each(Record::share);
        self.workloads.values_mut().for_each(|(_, w)| w.share());
        self.jobs.values_mut().for_each(Record::share);
        self.config_maps.values_mut().for_each(Record::share);
        self.services.values_mut().for_each(Record::share);
    }

    /// Whether nothing is left that was in it.
    pub(super) fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.workloads.is_empty() && self.jobs.is_empty() && self.events.is_empty()
    }

    fn keep_event(&mut self, event: &Arc<Event>) -> u64 {
        let key = (event.metadata.uid.clone(), event.metadata.resource_version.clone());
        if !self.events_seen.insert(key) {
            return 0;
        }
        self.events_of.entry(event.involved_object.uid.clone()).or_default().push(self.events.len());
        self.events.push(EventSeen { at: event.at(), event: Arc::clone(event) });
        if self.events.len() <= EVENTS_PER_NAMESPACE {
            return 0;
        }
        let drop = EVENTS_PER_NAMESPACE / 10;
        self.drop_events(drop);
        drop as u64
    }

    fn drop_events(&mut self, first: usize) {
        if first == 0 {
            return;
        }
        self.events.drain(..first);
        self.events_seen = self
            .events
            .iter()
            .map(|e| (e.event.metadata.uid.clone(), e.event.metadata.resource_version.clone()))
            .collect();
        self.events_of.clear();
        for (i, e) in self.events.iter().enumerate() {
            self.events_of.entry(e.event.involved_object.uid.clone()).or_default().push(i);
        }
    }
}

fn insert_owned(index: &mut Index, meta: &Meta) {
    if let Some(owner) = meta.controller() {
        index.insert(&owner.uid, &meta.uid);
    }
}
