//! The second lock: what a route may say of a row that is the caller's own but speaks of others.
//!
//! A reader gives only rows of the caller's teams. Such a row can still name a root or members in another team's
//! namespace; here those names are left out, and with them every sentence that holds them.

use std::collections::BTreeSet;
use std::sync::Arc;

use whyd_signals::schema::{Anomaly, Change, EvidenceSource, Incident, IncidentsOfRows, Link, Restart, Root};
use whyd_signals::{Access, Asked, Team, Timestamp};

use crate::dto;
use crate::reader::{PodName, Reader, TellsOf, Told, Whom};

/// So many letters of an incident's id are enough where it is the only one.
const SHORTEST: usize = 8;

/// The reader through the eyes of one caller.
pub(crate) struct Scope<'a> {
    reader: &'a dyn Reader,
    access: &'a Access,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(reader: &'a dyn Reader, access: &'a Access) -> Self {
        Self { reader, access }
    }

    pub(crate) fn restarts(&self, wanted: impl Fn(&Restart) -> bool) -> Vec<Arc<Restart>> {
        self.reader.restarts(self.access, &|r| self.access.allows(&r.team) && wanted(r))
    }

    /// The incidents, but for those that another one tells the caller of.
    pub(crate) fn incidents(&self, wanted: impl Fn(&Incident) -> bool) -> Vec<Arc<Incident>> {
        self.all_incidents(|i| !i.is_told_by_another(self.access) && wanted(i))
    }

    /// The incidents, those too that another one tells of.
    pub(crate) fn all_incidents(&self, wanted: impl Fn(&Incident) -> bool) -> Vec<Arc<Incident>> {
        self.reader.incidents(self.access, &|i| i.is_seen_by(self.access) && wanted(i))
    }

    /// The incident of this id, or else the one that was told under it before, or else the only one whose id begins so.
    pub(crate) fn incident_called(&self, id: &str) -> Option<Arc<Incident>> {
        let named = self.all_incidents(|i| i.id == id).into_iter().next();
        let named =
            named.or_else(|| self.all_incidents(|i| i.formerly.iter().any(|former| former == id)).into_iter().next());
        if named.is_some() || id.len() < SHORTEST || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return named;
        }
        let begin = id.to_ascii_lowercase();
        let only = |begun: Vec<Arc<Incident>>| if begun.len() > 1 { None } else { begun.into_iter().next() };
        let by_id = self.all_incidents(|i| i.id.starts_with(&begin));
        if !by_id.is_empty() {
            return only(by_id);
        }
        only(self.all_incidents(|i| i.formerly.iter().any(|former| former.starts_with(&begin))))
    }

    /// In what something is looked for, where that is not everything.
    pub(crate) fn within(&self) -> String {
        let Access::Teams(teams) = self.access else { return String::new() };
        let names: Vec<&str> = teams.iter().map(Team::as_str).collect();
        format!(" in what the team{} {} may see", if names.len() == 1 { "" } else { "s" }, names.join(", "))
    }

    pub(crate) fn anomalies(&self) -> Vec<Arc<Anomaly>> {
        let mut rows = self.reader.anomalies(self.access);
        rows.retain(|a| self.access.allows(&a.team));
        rows
    }

    /// What is known of metrics; what has no namespace is the platform's.
    pub(crate) fn baselines(&self, wanted: &dyn Fn(&str, &str) -> bool) -> Vec<dto::Baseline> {
        let mut rows = self.reader.baselines(self.access, wanted);
        rows.retain(|b| self.owns(&b.namespace));
        rows
    }

    /// Whether it is worth asking for [`Reader::learning`] of it: only of an end of its own, by an error or a signal, that no
    /// metric explains.
    pub(crate) fn may_have_been_learning(&self, row: &Restart) -> bool {
        let failed = row.exit_code.is_some_and(|code| code != 0);
        let explained = row.evidence.iter().any(|e| e.source == EvidenceSource::Metrics);
        failed && !explained && self.access.allows(&row.team)
    }

    pub(crate) fn memory(&self, row: &Restart) -> Option<dto::MemoryUse> {
        self.access.allows(&row.team).then(|| self.reader.memory(self.access, row)).flatten()
    }

    /// How a container or pod stands now.
    pub(crate) fn standing(&self, whom: &Whom<'_>, now: Timestamp) -> Option<dto::Standing> {
        self.owns(whom.namespace).then(|| self.reader.standing(self.access, whom, now)).flatten()
    }

    /// Those of a namespace, and of nodes, which every pod names.
    pub(crate) fn changes(&self, namespace: &str) -> Vec<Change> {
        let mut rows = self.reader.changes(self.access, namespace);
        rows.retain(|c| c.kind == "Node" || c.namespace == namespace && self.access.allows(&c.team));
        rows
    }

    /// The alerts that others raised, of these namespaces and of this node.
    pub(crate) fn told(&self, namespaces: &BTreeSet<String>, node: Option<&str>) -> Vec<Told> {
        let mut told = self.reader.told(self.access, &TellsOf { namespaces, node });
        told.retain(|t| self.access.allows(&t.team));
        told
    }

    pub(crate) fn pods(&self) -> Vec<PodName> {
        let mut pods = self.reader.pods(self.access);
        pods.retain(|p| self.sees(&p.namespace));
        pods
    }

    /// The namespaces that are known, each with its team.
    pub(crate) fn namespaces(&self) -> Vec<(Team, String)> {
        let mut namespaces = self.reader.namespaces(self.access);
        namespaces.retain(|(_, name)| self.sees(name));
        namespaces
    }

    /// The workloads that are known, whether they have pods or not, by namespace and `Kind/name`.
    pub(crate) fn workloads(&self) -> Vec<(String, String)> {
        let mut workloads = self.reader.workloads(self.access);
        workloads.retain(|(namespace, _)| self.sees(namespace));
        workloads
    }

    /// What is sent about pods of which nothing else is known.
    pub(crate) fn heard(&self, asked: &Asked, namespace: Option<&str>) -> Vec<dto::Heard> {
        let mut heard = self.reader.heard(self.access, asked, namespace);
        heard.retain(|h| self.owns(&h.namespace));
        heard
    }

    /// The teams that are the caller's by name, whatever they have; the platform has the nodes.
    pub(crate) fn own_teams(&self) -> BTreeSet<Team> {
        match self.access {
            Access::All => BTreeSet::from([Team::platform()]),
            Access::Teams(teams) => teams.clone(),
        }
    }

    /// The rows as this caller may read them, each with the incident that it is of.
    pub(crate) fn rows(&self, rows: &[Arc<Restart>]) -> Vec<dto::Restart> {
        let keys: BTreeSet<&str> = rows.iter().filter_map(|row| row.incident_key.as_deref()).collect();
        let incidents = self.all_incidents(|i| keys.contains(i.group.as_str()));
        let of = IncidentsOfRows::of(incidents.iter().map(AsRef::as_ref));
        let with_id =
            |row: &Arc<Restart>| dto::Restart { incident_id: of.row(row).map(str::to_owned), ..self.restart(row) };
        rows.iter().map(with_id).collect()
    }

    /// The rows that an incident holds, or that its parts do.
    pub(crate) fn rows_of(&self, incident: &Incident) -> Vec<Arc<Restart>> {
        let is_it = |i: &Incident| i.id == incident.id || incident.parts.iter().any(|part| part.id == i.id);
        let held = self.all_incidents(is_it);
        let groups: BTreeSet<&str> = held.iter().map(|i| i.group.as_str()).collect();
        let all = self.all_incidents(|i| groups.contains(i.group.as_str()));
        let of = IncidentsOfRows::of(all.iter().map(AsRef::as_ref));
        self.restarts(|row| of.row(row).is_some_and(|id| held.iter().any(|i| i.id == id)))
    }

    /// The row as this caller may read it.
    pub(crate) fn restart(&self, row: &Restart) -> dto::Restart {
        let mut out = dto::Restart::from(row);
        let hidden = row.speaks_of.iter().find(|namespace| !self.sees(namespace));
        let root = row.root.as_ref().filter(|root| !self.sees_root(root));
        let Some(root) = root else {
            // The root may be seen while a link on the way to it may not.
            if hidden.is_some() {
                out.summary = format!("{}; what lies between it and its root may not be seen", row.cause);
                out.cause_detail = None;
                out.evidence.retain(|e| {
                    e.source == dto::EvidenceSource::Logs
                        || row.pod.as_ref().is_some_and(|p| e.object == format!("Pod/{p}"))
                });
            }
            return out;
        };
        let says = |text: &str| mentions(text, root);
        out.root = None;
        out.summary = format!("{}; its root lies outside of the namespaces that you may see", row.cause);
        // It qualifies the root: a workload whose pod is hidden would still be named by it.
        out.cause_detail = None;
        out.missing.retain(|source| !says(source));
        out.ruled_out.retain(|r| !says(&r.because) && !says(&r.field) && !says(&r.value.to_string()));
        // A log line is the caller's own, whatever it names.
        let own = row.evidence.iter().map(|e| e.source == EvidenceSource::Logs);
        out.evidence = out
            .evidence
            .into_iter()
            .zip(own)
            .filter(|(e, own)| {
                let value = says(&e.value.to_string());
                let words = says(&e.object) || says(&e.field) || says(&e.text);
                if *own { value || !words } else { !value && !words }
            })
            .map(|(e, _)| e)
            .collect();
        out
    }

    /// The incident as this caller may read it.
    pub(crate) fn incident(&self, row: &Incident) -> dto::Incident {
        let mut out = self.named(row);
        if out.members.len() < row.members.len() {
            out.restarts = self.rows_of(row).iter().filter(|row| row.exit_code.is_some()).count() as u64;
        }
        out
    }

    /// The same, but `restarts` counts others' ends too and may not be shown: what it names can be asked of all incidents, since
    /// no rows are looked for.
    pub(crate) fn named(&self, row: &Incident) -> dto::Incident {
        let mut out = dto::Incident::from(row);
        let seen = |link: &&Link| link.is_seen_by(self.access);
        out.part_of = row.part_of.as_ref().filter(seen).map(|link| link.id.clone());
        out.parts = row.parts.iter().filter(seen).map(|link| link.id.clone()).collect();
        // Told to a team that it was of once.
        let foreign = !self.access.allows(&row.team);
        let hidden = foreign || row.root.as_ref().is_some_and(|root| !self.sees_root(root));
        if hidden {
            out.root = None;
        }
        out.members.retain(|member| self.sees(member.split('/').next().unwrap_or_default()));
        let spoken = row.speaks_of.iter().any(|namespace| !self.sees(namespace));
        if hidden || spoken || out.members.len() < row.members.len() {
            let cause = &row.cause;
            out.summary = format!("{cause}; it reaches beyond the namespaces that you may see");
            out.evidence.clear();
        }
        out
    }

    /// Whether rows of this namespace are the caller's; what has none is the platform's.
    pub(crate) fn owns(&self, namespace: &str) -> bool {
        if namespace.is_empty() { self.access.allows(&Team::platform()) } else { self.sees(namespace) }
    }

    pub(crate) fn sees(&self, namespace: &str) -> bool {
        matches!(self.access, Access::All) || self.reader.sees(self.access, namespace)
    }

    /// A node is no team's, and every pod names its own; so it is with its image and what its program asked for.
    fn sees_root(&self, root: &Root) -> bool {
        match root.kind.as_str() {
            "Node" | "Zone" | "Image" | "Host" => true,
            "Namespace" => self.sees(&root.name),
            _ => self.sees(&root.namespace),
        }
    }
}

fn mentions(text: &str, root: &Root) -> bool {
    [&root.name, &root.namespace].into_iter().any(|name| !name.is_empty() && text.contains(name.as_str()))
}
