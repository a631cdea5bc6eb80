//! The changes of workloads and ConfigMaps in order of time, kept as their objects change, so that what was before an
//! end is found without looking at all there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_buffers::Scoped;
use whyd_buffers::state::{Applied, NamespaceState};
use whyd_signals::objects::Object;
use whyd_signals::schema::{Change, ChangeBefore, Root};
use whyd_signals::{Resource, Timestamp, Verb};

use super::{of_config_map, of_node, of_workload};
use crate::case::Case;
use crate::cause::config_changed;

/// How far before an end a change may still have to do with it.
const BEFORE: Duration = Duration::from_secs(1800);
/// How many of them are kept with a row: those that touch it before others, the newest of each.
const KEPT: usize = 8;

/// The changes of one namespace.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Space {
    in_time: BTreeMap<(Timestamp, String, usize), Change>,
    /// `Kind/name` -> where its changes are.
    named: BTreeMap<String, BTreeSet<(Timestamp, String, usize)>>,
    /// The uid of an object -> where its changes are.
    of: BTreeMap<String, Vec<(Timestamp, String, usize)>>,
}

impl Space {
    fn put(&mut self, uid: &str, changes: Vec<Change>) {
        for place in self.of.remove(uid).unwrap_or_default() {
            let Some(old) = self.in_time.remove(&place) else { continue };
            let name = object_of(&old);
            if let Some(places) = self.named.get_mut(&name) {
                places.remove(&place);
                if places.is_empty() {
                    self.named.remove(&name);
                }
            }
        }
        let mut places = Vec::with_capacity(changes.len());
        for (n, change) in changes.into_iter().enumerate() {
            let place = (change.ts, uid.to_owned(), n);
            self.named.entry(object_of(&change)).or_default().insert(place.clone());
            self.in_time.insert(place.clone(), change);
            places.push(place);
        }
        if !places.is_empty() {
            self.of.insert(uid.to_owned(), places);
        }
    }

    /// The changes of an object from `from` to `to`, the newest first.
    fn of_object(&self, name: &str, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Change> {
        let places = self.named.get(name).into_iter().flatten().rev();
        let within = places.skip_while(move |(at, _, _)| *at > to).take_while(move |(at, _, _)| *at >= from);
        within.filter_map(|place| self.in_time.get(place))
    }

    /// All changes from `from` to `to`, the newest first.
    fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Change> {
        let first = (from, String::new(), 0);
        let end = (to.plus(Duration::from_nanos(1)), String::new(), 0);
        self.in_time.range(first..end).rev().map(|(_, change)| change)
    }
}

fn object_of(change: &Change) -> String {
    format!("{}/{}", change.kind, change.name)
}

/// The changes of all namespaces; those of nodes are few and read from the nodes themselves.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ChangeLog(BTreeMap<String, Space>);

impl ChangeLog {
    /// Takes in one change of the cluster, which `scoped` already shows.
    pub(crate) fn observe(&mut self, applied: &Applied, scoped: &Scoped) {
        match (&applied.object, applied.resource) {
            (Some(Object::Deployment(w) | Object::StatefulSet(w) | Object::DaemonSet(w)), _) => {
                self.look(scoped.cluster().namespace(&w.metadata.namespace), &w.metadata.uid);
            }
            (Some(Object::ConfigMap(m)), _) => {
                self.look(scoped.cluster().namespace(&m.metadata.namespace), &m.metadata.uid);
            }
            (None, Resource::Deployments | Resource::StatefulSets | Resource::DaemonSets | Resource::ConfigMaps)
                if applied.verb == Verb::Listed =>
            {
                self.find_vanished(scoped, applied.received);
            }
            _ => {}
        }
    }

    fn look(&mut self, space: Option<&NamespaceState>, uid: &str) {
        let Some(space) = space else { return };
        let changes = match (space.workloads.get(uid), space.config_maps.get(uid)) {
            (Some((resource, record)), _) => of_workload(space, *resource, record),
            (_, Some(record)) => of_config_map(space, record),
            _ => Vec::new(),
        };
        self.0.entry(space.name.clone()).or_default().put(uid, changes);
    }

    /// What a fresh list no longer held.
    fn find_vanished(&mut self, scoped: &Scoped, at: Timestamp) {
        for space in scoped.cluster().namespaces() {
            let workloads = space.workloads.iter().filter(|(_, (_, w))| w.deleted_at == Some(at)).map(|(uid, _)| uid);
            let maps = space.config_maps.iter().filter(|(_, m)| m.deleted_at == Some(at)).map(|(uid, _)| uid);
            for uid in workloads.chain(maps) {
                self.look(Some(space), uid);
            }
        }
    }

    /// Forgets the changes of what nobody knows any more.
    pub(crate) fn tidy(&mut self, scoped: &Scoped) {
        self.0.retain(|name, known| {
            let Some(space) = scoped.cluster().namespace(name) else { return false };
            let there = |uid: &String| space.workloads.contains_key(uid) || space.config_maps.contains_key(uid);
            let gone: Vec<String> = known.of.keys().filter(|uid| !there(uid)).cloned().collect();
            for uid in gone {
                known.put(&uid, Vec::new());
            }
            !known.of.is_empty()
        });
    }

    /// The last change of any of the namespace's ConfigMaps from `from` to `to`.
    pub(crate) fn last_config(&self, namespace: &str, from: Timestamp, to: Timestamp) -> Option<&Change> {
        self.0.get(namespace)?.between(from, to).find(|c| c.kind == "ConfigMap" && c.what == "config")
    }

    /// What was changed shortly before the end, the newest last, and whether it touches what ended: its own workload, a
    /// ConfigMap that it reads, its node, or what the verdict puts at fault.
    pub(crate) fn before(&self, case: &Case<'_>, root: Option<&Root>) -> Vec<ChangeBefore> {
        let to = case.finished();
        let from = to.minus(BEFORE);
        let mut found: Vec<(bool, Change)> = Vec::new();
        let node = case.node().into_iter().flat_map(of_node);
        found.extend(node.filter(|c| from <= c.ts && c.ts <= to).map(|c| (true, c)));
        let read = case.container.map_or(Vec::new(), |c| config_changed::names_read(&case.pod.object, c));
        let mut touching: BTreeSet<String> = read.into_iter().map(|name| format!("ConfigMap/{name}")).collect();
        touching.insert(case.workload.clone());
        touching.extend(root.filter(|r| r.namespace == case.space.name).map(|r| format!("{}/{}", r.kind, r.name)));
        if let Some(space) = self.0.get(&case.space.name) {
            for name in &touching {
                found.extend(space.of_object(name, from, to).take(KEPT).map(|c| (true, c.clone())));
            }
            let others = space.between(from, to).filter(|c| !touching.contains(&object_of(c)));
            found.extend(others.take(KEPT).map(|c| (false, c.clone())));
        }
        // Those that touch it, the newest first, then the others.
        found.sort_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
        found.truncate(KEPT);
        found.sort_by(|a, b| a.1.cmp(&b.1));
        let told = |(touches, c): (bool, Change)| ChangeBefore {
            touches,
            at: c.ts,
            object: object_of(&c),
            what: c.what,
            detail: c.detail,
            by: c.by,
        };
        found.into_iter().map(told).collect()
    }
}
