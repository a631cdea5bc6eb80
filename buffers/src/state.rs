//! The cluster as its API server described it, with the history that verdicts need.
//!
//! Deleted objects stay for the window, marked; every generation of a workload and every version of a ConfigMap
//! is remembered. A resource that was never listed is unknown, not empty: ask [`Cluster::synced`].
//!
//! Cloning a [`Cluster`] copies one `Arc` a namespace; changing one copies that namespace's maps of `Arc`s only
//! when a snapshot still holds them.

mod index;
mod namespace;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyd_signals::objects::{Node, Object, Pod};
use whyd_signals::{Access, Resource, Team, Timestamp, Verb};

use index::Index;
pub use namespace::{EventSeen, NamespaceState};
pub use record::Record;
use record::{Seen, mark_gone, put};

/// Which team owns a namespace, from its name and labels. The rule itself is the collector's.
pub type TeamOf = Arc<dyn Fn(&str, &BTreeMap<String, String>) -> Team + Send + Sync>;

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

/// The whole cluster.
#[derive(Clone, Serialize, Deserialize)]
pub struct Cluster {
    namespaces: BTreeMap<String, Arc<NamespaceState>>,
    nodes: Arc<BTreeMap<String, Record<Node>>>,
    nodes_named: Arc<Index>,
    synced: BTreeSet<Resource>,
    #[serde(skip, default = "nobody")]
    team_of: TeamOf,
    /// Events dropped over the bound, and deleted objects past the window.
    pub dropped: u64,
    /// About how many bytes all of it takes.
    bytes: usize,
}

/// The rule is no state: whoever takes a cluster up again has it.
fn nobody() -> TeamOf {
    Arc::new(|_, _| Team::platform())
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("namespaces", &self.namespaces.len()).field("synced", &self.synced).finish()
    }
}

impl Cluster {
    /// An empty cluster of which nothing is known yet.
    pub fn new(team_of: TeamOf) -> Self {
        Self {
            namespaces: BTreeMap::new(),
            nodes: Arc::default(),
            nodes_named: Arc::default(),
            synced: BTreeSet::new(),
            team_of,
            dropped: 0,
            bytes: 0,
        }
    }

    /// Goes on with what was held, by this one's rule.
    pub(crate) fn resume(&mut self, held: Self) {
        let team_of = Arc::clone(&self.team_of);
        *self = Self { team_of, ..held };
        // Written, the newest version of each object came to be there twice.
        Arc::make_mut(&mut self.nodes).values_mut().for_each(Record::share);
        self.namespaces.values_mut().for_each(|space| Arc::make_mut(space).share());
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

    /// Applies one message of `bytes`; `received` is when it came. `uids` is what [`Verb::Listed`] found.
    pub fn apply(
        &mut self,
        resource: Resource,
        verb: Verb,
        object: Option<&Object>,
        uids: &[String],
        (received, bytes): (Timestamp, usize),
    ) {
        let seen = Seen { verb, received, listed: !self.synced(resource), bytes };
        match (verb, object) {
            (Verb::Listed, _) => self.listed(resource, uids, received),
            (_, Some(Object::Node(node))) => {
                Arc::make_mut(&mut self.nodes_named).insert(&node.metadata.name, &node.metadata.uid);
                let grown = put(Arc::make_mut(&mut self.nodes), &node.metadata.uid, node, seen);
                self.bytes = self.bytes.saturating_add_signed(grown);
            }
            (_, Some(object)) => self.apply_namespaced(resource, object, seen),
            (_, None) => {}
        }
    }

    /// Whether this object is known, gone or not.
    pub(crate) fn knows(&self, object: &Object) -> bool {
        let meta = object.meta();
        match object {
            Object::Node(_) => self.nodes.contains_key(&meta.uid),
            Object::Namespace(_) => self.namespaces.get(&meta.name).is_some_and(|s| s.knows(&meta.uid)),
            _ => self.namespaces.get(&meta.namespace).is_some_and(|s| s.knows(&meta.uid)),
        }
    }

    /// About how many bytes all of it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets go of the oldest events and of what went first, of whichever namespace has most of these, until no more than
    /// `to` bytes are held or nothing is left but what is there now. Gives how many that were.
    pub(crate) fn shed(&mut self, to: usize) -> u64 {
        let mut dropped = 0;
        while self.bytes > to {
            let largest = self.namespaces.values_mut().map(|s| (s.spent(), s)).max_by_key(|(spent, _)| *spent);
            let Some((1.., space)) = largest else { break };
            let space = Arc::make_mut(space);
            let before = space.bytes();
            dropped += space.shed() as u64;
            self.bytes = self.bytes.saturating_sub(before - space.bytes());
        }
        self.dropped += dropped;
        dropped
    }

    fn apply_namespaced(&mut self, resource: Resource, object: &Object, seen: Seen) {
        let name = match object {
            Object::Namespace(n) => n.metadata.name.clone(),
            // Events about nodes are stored in `default`.
            _ => object.meta().namespace.clone(),
        };
        let team_of = Arc::clone(&self.team_of);
        let space = self
            .namespaces
            .entry(name.clone())
            .or_insert_with(|| Arc::new(NamespaceState::new(&name, team_of(&name, &BTreeMap::new()))));
        let before = space.bytes();
        let space = Arc::make_mut(space);
        self.dropped += space.apply(resource, object, seen, &team_of);
        self.bytes = (self.bytes + space.bytes()).saturating_sub(before);
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
            if space.lacks(resource, &there) {
                Arc::make_mut(space).mark_gone(resource, &there, received);
            }
        }
    }

    /// Forgets what was deleted, and events that happened, before `horizon`.
    pub fn expire(&mut self, horizon: Timestamp) {
        let mut dropped = 0;
        for space in self.namespaces.values_mut() {
            if space.is_stale(horizon) {
                dropped += Arc::make_mut(space).expire(horizon);
            }
        }
        // A namespace goes with the last of what was in it.
        self.namespaces.retain(|_, s| {
            let gone = s.namespace.as_ref().is_some_and(|n| n.deleted_at.is_some_and(|d| d < horizon));
            !(gone && s.is_empty())
        });
        if self.nodes.values().any(|n| n.deleted_at.is_some_and(|d| d < horizon)) {
            let nodes = Arc::make_mut(&mut self.nodes);
            nodes.retain(|_, n| n.deleted_at.is_none_or(|d| d >= horizon));
            Arc::make_mut(&mut self.nodes_named).retain(|uid| nodes.contains_key(uid));
        }
        self.dropped += dropped as u64;
        let of_nodes: usize = self.nodes.values().map(Record::weight).sum();
        self.bytes = self.namespaces.values().map(|s| s.bytes()).sum::<usize>() + of_nodes;
    }

    /// The cluster as this caller may see it.
    pub fn view(self: &Arc<Self>, access: &Access) -> ClusterView {
        ClusterView { cluster: Arc::clone(self), access: access.clone() }
    }
}

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

    /// All nodes of this name, those that are gone too.
    pub fn nodes_called(&self, name: &str) -> impl Iterator<Item = &Record<Node>> + use<'_> {
        self.cluster.nodes_named.of(name).filter_map(|uid| self.cluster.nodes.get(uid))
    }

    /// The newest node of this name, a living one before a deleted one; nodes are the platform's and name no team.
    pub fn node_named(&self, name: &str) -> Option<&Record<Node>> {
        self.nodes_called(name).max_by_key(|n| (n.deleted_at.is_none(), n.object.metadata.creation_timestamp))
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
        spaces.flat_map(move |s| keys.clone().into_iter().flat_map(move |key| s.events_about(&key)))
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
