//! Alerts that others raised, as context of what whyd found itself.

use std::collections::BTreeSet;
use std::time::Duration;

use whyd_signals::schema::Incident;

use crate::dto;
use crate::reader::Told;
use crate::scope::Scope;

/// An alert may have fired so long before the incident that it belongs to: what warned of it.
const BEFORE: Duration = Duration::from_secs(600);
/// So many are shown with an incident, the newest.
const SHOWN: usize = 20;

/// The alerts about what an incident touches that fired shortly before it or while it was open, oldest first.
pub(super) fn around(scope: &Scope<'_>, incident: &Incident) -> Vec<dto::Alert> {
    let root = incident.root.as_ref();
    let members: Vec<Vec<&str>> = incident.members.iter().map(|m| m.split('/').collect()).collect();
    let of_members = members.iter().filter_map(|m| m.first()).map(|namespace| (*namespace).to_owned());
    let of_root = root.map(|r| r.namespace.clone()).filter(|namespace| !namespace.is_empty());
    let namespaces: BTreeSet<String> = of_members.chain(of_root).collect();
    let node = root.filter(|r| r.kind == "Node").map(|r| r.name.as_str());
    // Workloads of the pods that are members, whether the alert names one or the other.
    let told = scope.told(&namespaces, node);
    let pods: BTreeSet<(&str, &str)> = members.iter().filter_map(|m| Some((*m.first()?, *m.get(1)?))).collect();
    let workloads: BTreeSet<(String, String)> = scope
        .pods()
        .into_iter()
        .filter(|p| pods.contains(&(p.namespace.as_str(), p.name.as_str())))
        .map(|p| (p.namespace, p.workload))
        .collect();
    let touches = |t: &Told| {
        let alert = &t.alert;
        let is_root = root.is_some_and(|r| {
            r.kind == alert.kind && r.name == alert.object && (r.kind == "Node" || r.namespace == alert.namespace)
        });
        is_root
            || alert.kind == "Namespace"
            || alert.kind == "Pod" && pods.contains(&(alert.namespace.as_str(), alert.object.as_str()))
            || workloads.contains(&(alert.namespace.clone(), t.workload.clone()))
    };
    let then = |t: &Told| {
        let over = t.alert.ends_at.is_some_and(|at| at < incident.opened_at.minus(BEFORE));
        !over && incident.resolved_at.is_none_or(|at| t.alert.starts_at <= at)
    };
    let mut found: Vec<dto::Alert> =
        told.iter().filter(|t| then(t) && touches(t)).map(|t| dto::Alert::from(t.alert.as_ref())).collect();
    found.sort_by(|a, b| (a.at, &a.name, &a.object).cmp(&(b.at, &b.name, &b.object)));
    found.drain(..found.len().saturating_sub(SHOWN));
    found
}
