//! One incident as an alert: labels that never change, and annotations that say how it stands.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use whyd_signals::alert::MARKER;
use whyd_signals::schema::{Incident, Severity};
use whyd_signals::{Access, Team, Timestamp};

use crate::dto;
use crate::reader::Reader;
use crate::scope::Scope;

/// The name of all our alerts.
pub const ALERTNAME: &str = "WhydIncident";
/// Members that an alert names.
const NAMED: usize = 10;
/// Characters of a text; receivers cut off longer ones, or refuse them.
const TEXT: usize = 1_000;

/// What makes an alert the same one to an Alertmanager. Fixed when the incident is first told, whatever is found out
/// about it later: with another label it would be a second alert, and the first would hang until it times out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Identity {
    pub incident_id: String,
    pub cluster: String,
    pub namespace: String,
    pub team: Team,
    pub severity: Severity,
    pub starts_at: Timestamp,
}

impl Identity {
    /// The identity of an incident that is first told as it is now.
    pub fn of(cluster: &str, incident: &Incident) -> Self {
        Self {
            incident_id: incident.id.clone(),
            cluster: cluster.to_owned(),
            namespace: incident.namespace.clone(),
            team: incident.team.clone(),
            severity: incident.severity,
            starts_at: incident.opened_at,
        }
    }

    /// The labels; an empty one is left out, as an Alertmanager does.
    pub fn labels(&self) -> BTreeMap<&'static str, String> {
        let labels = [
            ("alertname", ALERTNAME.to_owned()),
            ("cluster", self.cluster.clone()),
            ("incident_id", self.incident_id.clone()),
            ("namespace", self.namespace.clone()),
            ("severity", severity(self.severity).to_owned()),
            (MARKER.0, MARKER.1.to_owned()),
            ("team", self.team.to_string()),
        ];
        labels.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The id that an Alertmanager gives to an alert with these labels: 64 bits of FNV-1a over them.
    pub fn fingerprint(&self) -> String {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let labels = self.labels();
        let bytes = labels.iter().flat_map(|(name, value)| {
            name.bytes().chain([0xff]).chain(value.bytes()).chain([0xff]).collect::<Vec<u8>>()
        });
        let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        format!("{hash:016x}")
    }
}

/// The word for it in labels.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// An alert as `POST /api/v2/alerts` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Alert {
    pub labels: BTreeMap<&'static str, String>,
    pub annotations: BTreeMap<&'static str, String>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
}

/// The page that tells of it, where people read on and type in their token; `base` is the URL under which they reach the daemon.
pub fn link(base: &str, id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("{}/?pod={id}", base.trim_end_matches('/'))
}

/// How the incident stands. Text and figures belong here: they change.
pub fn annotations(incident: &dto::Incident, link: &str) -> BTreeMap<&'static str, String> {
    let mut said = BTreeMap::from([
        ("summary", cut(&incident.summary)),
        ("cause", incident.cause.clone()),
        ("restarts", incident.restarts.to_string()),
        ("members", members(&incident.members)),
        ("link", link.to_owned()),
    ]);
    if let Some(root) = &incident.root {
        let within = if root.namespace.is_empty() { String::new() } else { format!(" in {}", root.namespace) };
        said.insert("root", format!("{}/{}{within}", root.kind, root.name));
    }
    said.retain(|_, text| !text.is_empty());
    said
}

/// The annotations of an alert that is ended though its incident is not over: it became worse, is told with others, or nobody
/// wants to hear.
pub fn superseded(incident: &dto::Incident, told: &Identity, link: &str) -> BTreeMap<&'static str, String> {
    let mut said = annotations(incident, link);
    let words = match (&incident.suppressed_by, &incident.part_of, told.severity) {
        (Some(by), ..) => format!("suppressed by {by}, not over: "),
        (None, Some(whole), _) => format!("told with others of the same root as incident {whole}, not over: "),
        (None, None, Severity::Warning) => "critical by now and told as such, not over: ".to_owned(),
        (None, None, Severity::Critical) => return said,
    };
    said.insert("summary", cut(&format!("{words}{}", incident.summary)));
    said
}

/// The incident as those may read it who receive its alerts: the team that it is labelled with.
pub fn describe(reader: &dyn Reader, identity: &Identity, incident: &Incident) -> dto::Incident {
    let access = if identity.team.as_str() == Team::PLATFORM {
        Access::All
    } else {
        Access::Teams(BTreeSet::from([identity.team.clone()]))
    };
    Scope::new(reader, &access).incident(incident)
}

fn members(all: &[String]) -> String {
    let mut text = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if all.len() > NAMED {
        text.push_str(&format!(" and {} more", all.len() - NAMED));
    }
    cut(&text)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
