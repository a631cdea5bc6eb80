//! Rows that are a caller's own but speak of others: what names those is left out. It is stricter than the API's second lock, which
//! keeps the evidence that it can tell apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyd_buffers::Scoped;
use whyd_signals::schema::{Incident, IncidentsOfRows, Restart, Root};

fn sees(scoped: &Scoped, namespace: &str) -> bool {
    scoped.access().allows(&scoped.team_of(namespace))
}

/// A node is no team's, and every pod names its own; so it is with its image and what its program asked for.
fn sees_root(scoped: &Scoped, root: &Root) -> bool {
    match root.kind.as_str() {
        "Node" | "Zone" | "Image" | "Host" => true,
        "Namespace" => sees(scoped, &root.name),
        _ => sees(scoped, &root.namespace),
    }
}

/// The row without the names of namespaces that may not be seen.
pub(super) fn restart(scoped: &Scoped, row: &Arc<Restart>) -> Arc<Restart> {
    let root = row.root.as_ref().filter(|root| sees_root(scoped, root));
    if root == row.root.as_ref() && row.speaks_of.iter().all(|namespace| sees(scoped, namespace)) {
        return Arc::clone(row);
    }
    let mut shown = Restart::clone(row);
    shown.root = root.cloned();
    shown.summary = format!("{}; it speaks of namespaces that you may not see", row.cause);
    shown.cause_detail = None;
    // Whose an object of the evidence is, its name does not say.
    shown.evidence.clear();
    shown.ruled_out.clear();
    shown.missing.clear();
    Arc::new(shown)
}

/// The incidents without the names of namespaces that may not be seen, and without what ended there.
pub(super) fn incidents(scoped: &Scoped) -> Vec<Arc<Incident>> {
    let of = IncidentsOfRows::of(scoped.each_incident().map(AsRef::as_ref));
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    for id in scoped.each_restart().filter(|row| row.exit_code.is_some()).filter_map(|row| of.row(row)) {
        *ends.entry(id).or_default() += 1;
    }
    let own = |row: &Incident| {
        let parts = row.parts.iter().map(|part| part.id.as_str());
        parts.chain([row.id.as_str()]).filter_map(|id| ends.get(id)).sum()
    };
    scoped.each_incident().map(|row| incident(scoped, row, own)).collect()
}

fn incident(scoped: &Scoped, row: &Arc<Incident>, own_ends: impl Fn(&Incident) -> u64) -> Arc<Incident> {
    let root = row.root.as_ref().filter(|root| sees_root(scoped, root));
    let is_seen = |member: &String| sees(scoped, member.split('/').next().unwrap_or_default());
    let whole = root == row.root.as_ref()
        && row.members.iter().all(is_seen)
        && row.speaks_of.iter().all(|namespace| sees(scoped, namespace));
    let part_of = row.part_of.clone().filter(|of| of.is_seen_by(scoped.access()));
    if whole && part_of == row.part_of {
        return Arc::clone(row);
    }
    let mut shown = Incident { part_of, ..Incident::clone(row) };
    if whole {
        return Arc::new(shown);
    }
    shown.root = root.cloned();
    shown.members.retain(is_seen);
    if shown.members.len() < row.members.len() {
        shown.restarts = own_ends(row);
    }
    shown.summary = format!("{}; it reaches beyond the namespaces that you may see", row.cause);
    Arc::new(shown)
}
