//! The names of all that a caller may see. Where nothing is found, they tell what has nothing from what there is not.

use std::collections::BTreeSet;

use crate::scope::Scope;

/// Names of teams, namespaces and workloads.
pub(crate) struct Known {
    pub(crate) teams: BTreeSet<String>,
    /// Each with its team.
    pub(crate) namespaces: BTreeSet<(String, String)>,
    /// `Kind/name`, each with its namespace.
    pub(crate) workloads: BTreeSet<(String, String)>,
    /// Each with its namespace.
    pub(crate) pods: BTreeSet<(String, String)>,
}

impl Known {
    /// Of the cluster's objects, of what is sent, and of what is remembered of those that are gone.
    pub(crate) fn of(scope: &Scope<'_>) -> Self {
        let mut namespaces: BTreeSet<(String, String)> =
            scope.namespaces().into_iter().map(|(team, name)| (team.to_string(), name)).collect();
        let mut workloads: BTreeSet<(String, String)> = scope.workloads().into_iter().collect();
        let mut pods = BTreeSet::new();
        for pod in scope.pods() {
            pods.insert((pod.namespace.clone(), pod.name));
            namespaces.insert((pod.team.to_string(), pod.namespace.clone()));
            workloads.insert((pod.namespace, pod.workload));
        }
        for row in scope.restarts(|_| true) {
            pods.extend(row.pod.iter().map(|pod| (row.namespace.clone(), pod.clone())));
            namespaces.insert((row.team.to_string(), row.namespace.clone()));
            workloads.insert((row.namespace.clone(), row.workload.clone()));
        }
        for row in scope.anomalies() {
            pods.insert((row.namespace.clone(), row.pod.clone()));
            namespaces.insert((row.team.to_string(), row.namespace.clone()));
            workloads.insert((row.namespace.clone(), row.workload.clone()));
        }
        for row in scope.all_incidents(|_| true) {
            if let Some(root) = scope.named(&row).root {
                let named = if root.kind == "Pod" { &mut pods } else { &mut workloads };
                let name = if root.kind == "Pod" { root.name } else { format!("{}/{}", root.kind, root.name) };
                named.insert((root.namespace, name));
            }
            if scope.owns(&row.namespace) {
                namespaces.insert((row.team.to_string(), row.namespace.clone()));
            }
        }
        namespaces.retain(|(_, name)| !name.is_empty());
        workloads.retain(|(_, workload)| !workload.is_empty());
        let mut teams: BTreeSet<String> = namespaces.iter().map(|(team, _)| team.clone()).collect();
        teams.extend(scope.own_teams().iter().map(ToString::to_string));
        Self { teams, namespaces, workloads, pods }
    }
}
