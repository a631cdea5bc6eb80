//! What is new in the cluster goes to all that the ledger follows.

use std::sync::Arc;

use whyd_buffers::Scoped;
use whyd_buffers::state::Applied;
use whyd_signals::objects::{Event, Object};
use whyd_signals::{Resource, Timestamp};

use super::Ledger;
use crate::failures::Failure;
use crate::refused;

impl Ledger {
    /// Takes in one change of the cluster, which `scoped` already shows.
    pub fn observe(&mut self, applied: &Applied, scoped: &Scoped) {
        self.changes.observe(applied, scoped);
        self.population.observe(applied, scoped);
        match &applied.object {
            Some(Object::Pod(pod)) => {
                self.touch(&pod.metadata.namespace);
                if self.readiness.observe(pod, applied.verb, applied.received) {
                    self.incidents.pod_changed(&pod.metadata.uid);
                    self.refresh(&pod.metadata.uid);
                }
                self.entries.observe(pod, applied.verb, applied.received);
                for taken_back in self.entries.take_back() {
                    self.forget(&taken_back);
                }
                let ended = |container: &str, count| self.entries.ended_of(&pod.metadata.uid, container, count);
                for missing in self.counts.observe(pod, applied.received, ended) {
                    for seen_after_all in self.entries.unseen(pod, &missing, applied.received) {
                        self.forget(&seen_after_all);
                    }
                }
            }
            Some(Object::Event(event)) => self.observe_event(event, applied.received),
            Some(Object::Node(node)) => self.touch_node(&node.metadata.name),
            Some(object) => {
                let meta = object.meta();
                let name = if applied.resource == Resource::Namespaces { &meta.name } else { &meta.namespace };
                self.touch(&name.clone());
            }
            None if applied.resource == Resource::Pods => self.find_vanished(scoped, applied.received),
            None if applied.resource == Resource::Nodes => {
                self.nodes_touched.extend(scoped.cluster().nodes().map(|n| n.object.metadata.name.clone()));
            }
            None => {}
        }
    }

    fn touch_node(&mut self, name: &str) {
        if !self.nodes_touched.contains(name) {
            self.nodes_touched.insert(name.to_owned());
        }
    }

    /// A pod turned ready, or not: that tells until when its failures lasted.
    fn refresh(&mut self, uid: &str) {
        let own = |id: &String| id.starts_with(uid);
        let open =
            self.failed.range(uid.to_owned()..).take_while(|(id, _)| own(id)).filter(|(_, f)| f.recovered.is_none());
        let open: Vec<(String, Failure)> = open.map(|(id, f)| (id.clone(), f.clone())).collect();
        for (id, old) in open {
            let recovered = self.readiness.recovered(uid, old.finished);
            let new = Failure { recovered, ..old.clone() };
            self.failures.put(&id, Some(&old), Some(new.clone()));
            self.failed.insert(id, new);
        }
    }

    fn observe_event(&mut self, event: &Event, received: Timestamp) {
        let about = &event.involved_object;
        let namespace = if about.namespace.is_empty() { &event.metadata.namespace } else { &about.namespace };
        self.touch(namespace);
        if about.kind == "Node" {
            self.touch_node(&about.name);
        }
        if refused::is_refusal(&event.reason) && about.kind != "Pod" {
            self.refusals.observe(event, namespace, received);
        }
        if about.kind == "Pod" {
            self.entries.observe_event(event, namespace, received);
        }
    }

    /// Pods that a fresh list no longer held: they went unseen.
    fn find_vanished(&mut self, scoped: &Scoped, at: Timestamp) {
        let mut gone = Vec::new();
        for space in scoped.cluster().namespaces() {
            gone.extend(space.pods.values().filter(|p| p.deleted_at == Some(at)).map(|p| Arc::clone(&p.object)));
        }
        for pod in gone {
            self.touch(&pod.metadata.namespace);
            self.readiness.vanished(&pod.metadata.uid, at);
            self.incidents.pod_changed(&pod.metadata.uid);
            self.entries.gone(&pod, at);
        }
    }
}
