//! The cluster as its API server described it, with the history that verdicts need.
//!
//! Deleted objects stay for the window, marked; every generation of a workload and every version of a ConfigMap
//! is remembered. A resource that was never listed is unknown, not empty: ask [`Cluster::synced`].
//!
//! Cloning a [`Cluster`] copies one `Arc` a namespace; changing one copies that namespace's maps of `Arc`s only
//! when a snapshot still holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whyd_signals::objects::{ConfigMap, Event, Job, Namespace, Node, Object, Pod, Service, Workload};
use whyd_signals::{Access, Resource, Team, Timestamp, Verb};

/// Which team owns a namespace, from its name and labels. The rule itself is the collector's.
pub type TeamOf = Arc<dyn Fn(&str, &BTreeMap<String, String>) -> Team + Send + Sync>;

/// How many events a namespace keeps; the oldest go first and are counted.
const EVENTS_PER_NAMESPACE: usize = 20_000;
/// How many generations of a workload, or versions of a ConfigMap, are kept.
const VERSIONS: usize = 64;

/// An object with its history.
#[derive(Debug, Clone)]
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
}

/// One observation of an event.
#[derive(Debug, Clone)]
pub struct EventSeen {
    /// When it last happened, by the event itself.
    pub at: Timestamp,
    /// The event as of this observation.
    pub event: Arc<Event>,
}

/// One applied change, for those that follow the cluster.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What was watched.
    pub resource: Resource,
    /// What happened.
    pub verb: Verb,
    /// When it was received.
    pub received: Timestamp,
    /// The object; `None` for [`Verb::Listed`].
    pub object: Option<Object>,
}

/// Everything known of one namespace.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct NamespaceState {
    pub name: String,
    pub team: Team,
    pub namespace: Option<Record<Namespace>>,
    pub pods: BTreeMap<String, Record<Pod>>,
    /// Name of a pod -> uids of all pods that had it.
    pods_named: BTreeMap<String, BTreeSet<String>>,
    /// Deployments, ReplicaSets, StatefulSets and DaemonSets by uid, each with its resource.
    pub workloads: BTreeMap<String, (Resource, Record<Workload>)>,
    pub jobs: BTreeMap<String, Record<Job>>,
    pub config_maps: BTreeMap<String, Record<ConfigMap>>,
    pub services: BTreeMap<String, Record<Service>>,
    /// In order of arrival.
    pub events: Vec<EventSeen>,
    events_seen: BTreeSet<(String, String)>,
    /// uid of the involved object -> positions in `events`.
    events_of: BTreeMap<String, Vec<usize>>,
}

impl NamespaceState {
    fn new(name: &str, team: Team) -> Self {
        Self {
            name: name.to_owned(),
            team,
            namespace: None,
            pods: BTreeMap::new(),
            pods_named: BTreeMap::new(),
            workloads: BTreeMap::new(),
            jobs: BTreeMap::new(),
            config_maps: BTreeMap::new(),
            services: BTreeMap::new(),
            events: Vec::new(),
            events_seen: BTreeSet::new(),
            events_of: BTreeMap::new(),
        }
    }

    /// The events about the object with this uid, in order of arrival.
    pub fn events_about(&self, uid: &str) -> impl Iterator<Item = &EventSeen> {
        self.events_of.get(uid).into_iter().flatten().filter_map(|i| self.events.get(*i))
    }

    fn events_about_any(&self, uid: &str) -> impl Iterator<Item = &EventSeen> + use<'_> {
        let positions = self.events_of.get(uid);
        positions.into_iter().flatten().filter_map(|i| self.events.get(*i))
    }

    /// The workload or job with this uid: its resource and metadata name.
    pub fn owner(&self, uid: &str) -> Option<(Resource, &Record<Workload>)> {
        self.workloads.get(uid).map(|(r, w)| (*r, w))
    }

    /// The newest pod of this name, a living one before a deleted one.
    pub fn pod_named(&self, name: &str) -> Option<&Record<Pod>> {
        let uids = self.pods_named.get(name).into_iter().flatten();
        uids.filter_map(|uid| self.pods.get(uid))
            .max_by_key(|p| (p.deleted_at.is_none(), p.object.metadata.creation_timestamp))
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

/// The whole cluster.
#[derive(Clone)]
pub struct Cluster {
    namespaces: BTreeMap<String, Arc<NamespaceState>>,
    nodes: Arc<BTreeMap<String, Record<Node>>>,
    synced: BTreeSet<Resource>,
    team_of: TeamOf,
    /// Events dropped over the bound, and deleted objects past the window.
    pub dropped: u64,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("namespaces", &self.namespaces.len()).field("synced", &self.synced).finish()
    }
}

impl Cluster {
    /// An empty cluster of which nothing is known yet.
    pub fn new(team_of: TeamOf) -> Self {
        Self { namespaces: BTreeMap::new(), nodes: Arc::default(), synced: BTreeSet::new(), team_of, dropped: 0 }
    }

    /// The team that owns a namespace. One that was never seen is judged by its name alone.
    pub fn team_of(&self, namespace: &str) -> Team {
        match self.namespaces.get(namespace) {
            Some(n) => n.team.clone(),
            None => (self.team_of)(namespace, &BTreeMap::new()),
        }
    }

    /// Whether this resource was listed: only then does absence mean anything.
    pub fn synced(&self, resource: Resource) -> bool {
        self.synced.contains(&resource)
    }

    /// Applies one message; `received` is when it came. `uids` is what [`Verb::Listed`] found.
    pub fn apply(
        &mut self,
        resource: Resource,
        verb: Verb,
        object: Option<&Object>,
        uids: &[String],
        received: Timestamp,
    ) {
        match (verb, object) {
            (Verb::Listed, _) => self.listed(resource, uids, received),
            (_, Some(Object::Node(node))) => {
                let listed = !self.synced(resource);
                put(Arc::make_mut(&mut self.nodes), &node.metadata.uid, node, verb, received, listed);
            }
            (_, Some(object)) => self.apply_namespaced(resource, verb, object, received),
            (_, None) => {}
        }
    }

    fn apply_namespaced(&mut self, resource: Resource, verb: Verb, object: &Object, received: Timestamp) {
        let listed = !self.synced(resource);
        let meta = object.meta();
        let name = match object {
            Object::Namespace(n) => n.metadata.name.clone(),
            // Events about nodes are stored in `default`.
            _ => meta.namespace.clone(),
        };
        let uid = meta.uid.clone();
        let team_of = Arc::clone(&self.team_of);
        let space = self
            .namespaces
            .entry(name.clone())
            .or_insert_with(|| Arc::new(NamespaceState::new(&name, team_of(&name, &BTreeMap::new()))));
        let space = Arc::make_mut(space);
        match object {
            Object::Namespace(o) => {
                let known = space.namespace.as_ref().map(|n| &n.object.metadata);
                if let Some(known) = known.filter(|known| known.uid != uid) {
                    // Another namespace of this name: the older one's end says nothing of it.
                    if verb == Verb::Delete || known.creation_timestamp > meta.creation_timestamp {
                        return;
                    }
                    space.namespace = None;
                }
                space.team = (self.team_of)(&o.metadata.name, &o.metadata.labels);
                merge(&mut space.namespace, o, verb, received, listed);
            }
            Object::Deployment(o) | Object::ReplicaSet(o) | Object::StatefulSet(o) | Object::DaemonSet(o) => {
                let mut slot = space.workloads.remove(&uid).map(|(_, r)| r);
                merge(&mut slot, o, verb, received, listed);
                if let Some(record) = slot {
                    space.workloads.insert(uid, (resource, record));
                }
            }
            Object::Job(o) => put(&mut space.jobs, &uid, o, verb, received, listed),
            Object::ConfigMap(o) => put(&mut space.config_maps, &uid, o, verb, received, listed),
            Object::Service(o) => put(&mut space.services, &uid, o, verb, received, listed),
            Object::Pod(o) => {
                space.pods_named.entry(o.metadata.name.clone()).or_default().insert(uid.clone());
                put(&mut space.pods, &uid, o, verb, received, listed);
            }
            // An event's deletion is its expiry, not news.
            Object::Event(o) if verb == Verb::Apply => self.dropped += space.keep_event(o),
            Object::Event(_) | Object::Node(_) => {}
        }
    }

    /// Marks as deleted what a fresh list no longer holds.
    fn listed(&mut self, resource: Resource, uids: &[String], received: Timestamp) {
        self.synced.insert(resource);
        let there: BTreeSet<&str> = uids.iter().map(String::as_str).collect();
        if resource == Resource::Nodes {
            mark_gone(Arc::make_mut(&mut self.nodes).values_mut(), &there, received);
            return;
        }
        for space in self.namespaces.values_mut() {
            let space = Arc::make_mut(space);
            match resource {
                Resource::Pods => mark_gone(space.pods.values_mut(), &there, received),
                Resource::Jobs => mark_gone(space.jobs.values_mut(), &there, received),
                Resource::ConfigMaps => mark_gone(space.config_maps.values_mut(), &there, received),
                Resource::Services => mark_gone(space.services.values_mut(), &there, received),
                Resource::Namespaces => mark_gone(space.namespace.iter_mut(), &there, received),
                Resource::Deployments | Resource::ReplicaSets | Resource::StatefulSets | Resource::DaemonSets => {
                    let own = space.workloads.values_mut().filter(|(r, _)| *r == resource).map(|(_, w)| w);
                    mark_gone(own, &there, received);
                }
                Resource::Nodes | Resource::Events => {}
            }
        }
    }

    /// Forgets what was deleted, and events that happened, before `horizon`.
    pub fn expire(&mut self, horizon: Timestamp) {
        let mut dropped = 0;
        for space in self.namespaces.values_mut() {
            let old_events = space.events.iter().take_while(|e| e.at < horizon).count();
            let gone = |d: Option<Timestamp>| d.is_some_and(|d| d < horizon);
            let stale = space.pods.values().any(|p| gone(p.deleted_at))
                || space.workloads.values().any(|(_, w)| gone(w.deleted_at))
                || space.jobs.values().any(|j| gone(j.deleted_at))
                || space.config_maps.values().any(|c| gone(c.deleted_at))
                || space.services.values().any(|s| gone(s.deleted_at));
            // A tenth at a time: re-indexing on each tick would cost more than the memory is worth.
            if !stale && old_events * 10 < space.events.len().max(100) {
                continue;
            }
            let space = Arc::make_mut(space);
            let before = space.pods.len() + space.workloads.len() + space.jobs.len();
            space.pods.retain(|_, p| !gone(p.deleted_at));
            let pods = &space.pods;
            space.pods_named.retain(|_, uids| {
                uids.retain(|uid| pods.contains_key(uid));
                !uids.is_empty()
            });
            space.workloads.retain(|_, (_, w)| !gone(w.deleted_at));
            space.jobs.retain(|_, j| !gone(j.deleted_at));
            space.config_maps.retain(|_, c| !gone(c.deleted_at));
            space.services.retain(|_, s| !gone(s.deleted_at));
            dropped += before - space.pods.len() - space.workloads.len() - space.jobs.len();
            space.drop_events(old_events);
            dropped += old_events;
        }
        // A namespace goes with the last of what was in it.
        self.namespaces.retain(|_, s| {
            let gone = s.namespace.as_ref().is_some_and(|n| n.deleted_at.is_some_and(|d| d < horizon));
            let empty = s.pods.is_empty() && s.workloads.is_empty() && s.jobs.is_empty() && s.events.is_empty();
            !(gone && empty)
        });
        if self.nodes.values().any(|n| n.deleted_at.is_some_and(|d| d < horizon)) {
            Arc::make_mut(&mut self.nodes).retain(|_, n| n.deleted_at.is_none_or(|d| d >= horizon));
        }
        self.dropped += dropped as u64;
    }

    /// The cluster as this caller may see it.
    pub fn view(self: &Arc<Self>, access: &Access) -> ClusterView {
        ClusterView { cluster: Arc::clone(self), access: access.clone() }
    }
}

fn newer(a: &str, b: &str) -> bool {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a >= b,
        _ => true,
    }
}

/// What a record needs to know of its object.
trait Versioned {
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

fn put<T: Versioned>(
    map: &mut BTreeMap<String, Record<T>>,
    uid: &str,
    object: &Arc<T>,
    verb: Verb,
    received: Timestamp,
    listed: bool,
) {
    let mut slot = map.remove(uid);
    merge(&mut slot, object, verb, received, listed);
    if let Some(record) = slot {
        map.insert(uid.to_owned(), record);
    }
}

/// Folds one version in. Messages may come late, out of order or twice: the newest resource version wins.
fn merge<T: Versioned>(slot: &mut Option<Record<T>>, object: &Arc<T>, verb: Verb, received: Timestamp, listed: bool) {
    let record = slot.get_or_insert_with(|| Record {
        object: Arc::clone(object),
        first_seen: received,
        versions: Vec::new(),
        deleted_at: None,
        listed,
    });
    if newer(object.resource_version(), record.object.resource_version()) {
        record.object = Arc::clone(object);
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
}

fn mark_gone<'a, T: Versioned + HasUid + 'a>(
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

trait HasUid {
    fn uid(&self) -> &str;
}

macro_rules! has_uid {
    ($($t:ty),*) => {$( impl HasUid for $t { fn uid(&self) -> &str { &self.metadata.uid } } )*};
}
has_uid!(Namespace, Node, Workload, Job, ConfigMap, Service, Pod);

/// The cluster, limited to the teams of one access.
#[derive(Debug, Clone)]
pub struct ClusterView {
    cluster: Arc<Cluster>,
    access: Access,
}

impl ClusterView {
    /// The namespaces that may be seen.
    pub fn namespaces(&self) -> impl Iterator<Item = &NamespaceState> {
        self.cluster.namespaces.values().map(AsRef::as_ref).filter(|n| self.access.allows(&n.team))
    }

    /// One namespace; `None` when it is unknown or another team's.
    pub fn namespace(&self, name: &str) -> Option<&NamespaceState> {
        self.cluster.namespaces.get(name).map(AsRef::as_ref).filter(|n| self.access.allows(&n.team))
    }

    /// The newest pod of this name.
    pub fn pod_named(&self, namespace: &str, name: &str) -> Option<&Record<Pod>> {
        self.namespace(namespace)?.pod_named(name)
    }

    /// A node by name; nodes are the platform's and name no team.
    pub fn node_named(&self, name: &str) -> Option<&Record<Node>> {
        self.cluster.nodes.values().find(|n| n.object.metadata.name == name)
    }

    /// The nodes; they are the platform's and name no team.
    pub fn nodes(&self) -> impl Iterator<Item = &Record<Node>> {
        self.cluster.nodes.values()
    }

    /// The events about a node: the kubelet names it by its name, a controller by its uid.
    pub fn node_events(&self, name: &str) -> impl Iterator<Item = &EventSeen> {
        let uid = self.node_named(name).map(|n| n.object.metadata.uid.clone());
        let keys: BTreeSet<String> = uid.into_iter().chain([name.to_owned()]).collect();
        let spaces = self.cluster.namespaces.get("default").into_iter();
        spaces.flat_map(move |s| keys.clone().into_iter().flat_map(move |key| s.events_about_any(&key)))
    }

    /// Whether this resource was ever listed.
    pub fn synced(&self, resource: Resource) -> bool {
        self.cluster.synced(resource)
    }

    /// The team of a namespace.
    pub fn team_of(&self, namespace: &str) -> Team {
        self.cluster.team_of(namespace)
    }
}
