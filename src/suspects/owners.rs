//! Which workload each pod is of, and who is to blame for what ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::schema::{Restart, Root};

use super::Suspect;

/// Kinds of roots that are workloads of their own.
const WORKLOADS: [&str; 5] = ["CronJob", "DaemonSet", "Deployment", "Job", "StatefulSet"];

/// A row of the ledger, when it was, and the numbers of who is to blame for it and of whose it is.
pub(super) struct Blamed<'a> {
    pub(super) row: &'a Restart,
    pub(super) at: Timestamp,
    pub(super) to: u32,
    pub(super) of: u32,
}

/// Whether it went as somebody wanted: a replacement that went well is no incident, and a drain is one of its node.
pub(super) fn is_wanted(row: &Restart) -> bool {
    row.incident_key.is_none() || (row.cause == "drained" && row.mechanism != "grace-exceeded")
}

/// Which workload each pod is of, numbered as they are met.
#[derive(Default)]
pub(super) struct Owners {
    pods: BTreeMap<(Arc<str>, Arc<str>), u32>,
    pub(super) who: BTreeMap<Suspect, u32>,
}

impl Owners {
    /// The number of the workload of a pod.
    pub(super) fn place(&mut self, scoped: &Scoped, namespace: &Arc<str>, pod: &Arc<str>) -> u32 {
        let key = (Arc::clone(namespace), Arc::clone(pod));
        if let Some(place) = self.pods.get(&key) {
            return *place;
        }
        let workload = scoped.cluster().namespace(namespace).and_then(|space| {
            let pod = space.pods_called(pod).last().or_else(|| space.pod_named(pod))?;
            Some(space.workload_of(&pod.object))
        });
        let place = self.workload(namespace, &workload.unwrap_or_else(|| format!("Pod/{pod}")));
        self.pods.insert(key, place);
        place
    }

    /// The number of a workload, `Kind/name`.
    pub(super) fn workload(&mut self, namespace: &Arc<str>, workload: &str) -> u32 {
        let (kind, name) = workload.split_once('/').unwrap_or(("", workload));
        let suspect = Suspect { namespace: Arc::clone(namespace), kind: kind.to_owned(), name: name.to_owned() };
        let next = u32::try_from(self.who.len()).unwrap_or(u32::MAX);
        *self.who.entry(suspect).or_insert(next)
    }

    /// The rows of the ledger in a time that tell of failures, with who is to blame: the workload that the row names as its root,
    /// if the caller may see it, else its own. What went as somebody wanted makes nobody suspect.
    pub(super) fn ended<'a>(
        &mut self,
        scoped: &'a Scoped,
        (from, to): (Timestamp, Timestamp),
        namespace: Option<&str>,
    ) -> Vec<Blamed<'a>> {
        let at = |row: &Restart| row.finished_at.unwrap_or(row.seen_at);
        let is_asked_for = |of: &str| namespace.is_none_or(|namespace| namespace == of);
        let rows = scoped
            .each_restart()
            .filter(|row| (from..=to).contains(&at(row)) && is_asked_for(&row.namespace) && !is_wanted(row));
        let mut ended = Vec::new();
        for row in rows {
            let of = self.workload(&Arc::from(row.namespace.as_str()), &row.workload);
            let seen = |root: &&Root| {
                let team = scoped.team_of(&root.namespace);
                !root.namespace.is_empty() && is_asked_for(&root.namespace) && scoped.access().allows(&team)
            };
            let to = match row.root.as_ref().filter(seen) {
                Some(root) if root.kind == "Pod" => {
                    self.place(scoped, &Arc::from(root.namespace.as_str()), &Arc::from(root.name.as_str()))
                }
                Some(root) if WORKLOADS.contains(&root.kind.as_str()) => {
                    self.workload(&Arc::from(root.namespace.as_str()), &format!("{}/{}", root.kind, root.name))
                }
                _ => of,
            };
            ended.push(Blamed { row, at: at(row), to, of });
        }
        ended
    }
}
