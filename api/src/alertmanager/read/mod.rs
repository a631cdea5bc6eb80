//! The Alertmanager v2 API, read-only, below `/alertmanager`: for Grafana's alerting pages, karma and amtool.
//!
//! Every open incident is an alert; what a suppression hides is silenced by it. Nothing can be written: suppressions
//! are declared in the configuration.

mod answer;
mod matcher;
mod query;
mod silences;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use whyd_signals::schema::{Incident, IncidentStatus};
use whyd_signals::{Access, Timestamp};

pub use self::silences::Suppression;

use self::answer::{Alert, AlertStatus, Cluster, ConfigText, Group, Name, Silence, Status, VersionInfo};
use self::query::Query;
use super::alert::{Identity, annotations, link};
use super::board::by_id;
use super::outbox::ahead;
use crate::access::Caller;
use crate::problem::{ErrorKind, Failure};
use crate::routes::Api;
use crate::scope::Scope;

/// The one receiver: whoever reads.
const RECEIVER: &str = "whyd";
/// The labels by which alerts are grouped.
const GROUPED: [&str; 2] = ["namespace", "team"];
/// The Alertmanager whose v2 API this is. Clients look at it to know what they may ask.
const SPEAKS: &str = "0.27.0";
/// What the status page shows as the configuration.
const CONFIG: &str = "# whyd has no routes or receivers of its own; its suppressions are shown as silences\n\
route:\n  receiver: whyd\n  group_by: [namespace, team]\nreceivers:\n- name: whyd\n";

/// What the routes have to know besides the incidents.
#[derive(Clone)]
pub struct Settings {
    /// The cluster's name, a label of every alert.
    pub cluster: String,
    /// Between two sends of an alert; says until when one fires.
    pub interval: Duration,
    /// The URL under which people reach the daemon.
    pub external_url: String,
    /// What is declared to be silent.
    pub suppressions: Vec<Suppression>,
    /// When the daemon started.
    pub started: Timestamp,
    /// The daemon's clock.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

#[derive(Clone)]
struct Reading {
    api: Api,
    settings: Arc<Settings>,
}

impl FromRef<Reading> for Api {
    fn from_ref(reading: &Reading) -> Self {
        reading.api.clone()
    }
}

/// The routes, to be merged with those of `api`.
pub fn router(api: Api, settings: Settings) -> Router {
    let v2 = "/alertmanager/api/v2";
    Router::new()
        .route(&format!("{v2}/status"), get(status))
        .route(&format!("{v2}/receivers"), get(receivers))
        .route(&format!("{v2}/alerts"), get(alerts).post(refused))
        .route(&format!("{v2}/alerts/groups"), get(groups))
        .route(&format!("{v2}/silences"), get(all_silences).post(refused))
        .route(&format!("{v2}/silence/{{id}}"), get(one_silence).delete(refused))
        .route("/alertmanager/metrics", get(build_info))
        .with_state(Reading { api, settings: Arc::new(settings) })
}

async fn status(State(reading): State<Reading>, Caller(_): Caller) -> Json<Status> {
    Json(Status {
        cluster: Cluster { name: reading.settings.cluster.clone(), status: "disabled", peers: Vec::new() },
        version_info: VersionInfo {
            branch: "",
            build_date: "",
            build_user: "whyd",
            go_version: "",
            revision: env!("CARGO_PKG_VERSION"),
            version: SPEAKS,
        },
        config: ConfigText { original: CONFIG },
        uptime: reading.settings.started,
    })
}

async fn receivers(Caller(_): Caller) -> Json<[Name; 1]> {
    Json([Name { name: RECEIVER }])
}

async fn alerts(
    State(reading): State<Reading>,
    Caller(access): Caller,
    query: Result<Query, Failure>,
) -> Result<Json<Vec<Alert>>, Failure> {
    Ok(Json(reading.alerts(&access, &query?)?))
}

async fn groups(
    State(reading): State<Reading>,
    Caller(access): Caller,
    query: Result<Query, Failure>,
) -> Result<Json<Vec<Group>>, Failure> {
    let mut groups: BTreeMap<BTreeMap<&'static str, String>, Vec<Alert>> = BTreeMap::new();
    for alert in reading.alerts(&access, &query?)? {
        let labels = alert.labels.iter().filter(|(name, _)| GROUPED.contains(name));
        groups.entry(labels.map(|(name, value)| (*name, value.clone())).collect()).or_default().push(alert);
    }
    let group = |(labels, alerts)| Group { labels, receiver: Name { name: RECEIVER }, alerts };
    Ok(Json(groups.into_iter().map(group).collect()))
}

async fn all_silences(
    State(reading): State<Reading>,
    Caller(access): Caller,
    query: Result<Query, Failure>,
) -> Result<Json<Vec<Silence>>, Failure> {
    let query = query?;
    let silences = reading.silences(&access).into_iter().filter(|s| query.fits_silence(s));
    Ok(Json(silences.collect()))
}

async fn one_silence(
    State(reading): State<Reading>,
    Caller(access): Caller,
    Path(id): Path<String>,
) -> Result<Json<Silence>, Failure> {
    let found = reading.silences(&access).into_iter().find(|s| s.id == id);
    found.map(Json).ok_or_else(|| Failure::new(ErrorKind::NotFound, format!("no silence {id:?} is known")))
}

async fn refused(Caller(_): Caller) -> Failure {
    let why = "nothing can be written here: alerts are whyd's incidents, and silences are declared under \
        incidents.suppressions of its configuration";
    Failure::new(ErrorKind::MethodNotAllowed, why)
}

/// Where karma looks for the version.
async fn build_info(Caller(_): Caller) -> impl IntoResponse {
    let text = format!(
        "# HELP alertmanager_build_info the Alertmanager whose API whyd speaks\n# TYPE alertmanager_build_info gauge\n\
        alertmanager_build_info{{branch=\"\",goversion=\"\",revision=\"whyd {}\",version=\"{SPEAKS}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

impl Reading {
    /// The open incidents that the caller may see and asks for, in order of opening.
    fn alerts(&self, access: &Access, query: &Query) -> Result<Vec<Alert>, Failure> {
        if !self.api.reader.status().replayed {
            return Err(Failure::new(ErrorKind::Replaying, "what is open is not known yet"));
        }
        let scope = Scope::new(&*self.api.reader, access);
        let told = by_id(self.api.reader.alerts(access));
        let now = (self.settings.now)();
        let mut open = scope.incidents(|i| i.status == IncidentStatus::Open);
        open.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
        let mut alerts = Vec::new();
        for incident in open {
            // One told from a namespace that has become another team's is not the caller's to see any more.
            let Some(identity) = told
                .get(&incident.id)
                .cloned()
                .or_else(|| scope.owns(&incident.namespace).then(|| Identity::of(&self.settings.cluster, &incident)))
            else {
                continue;
            };
            let alert = self.alert(&scope, &identity, &incident, now);
            if query.fits_alert(&alert) {
                alerts.push(alert);
            }
        }
        Ok(alerts)
    }

    fn alert(&self, scope: &Scope<'_>, identity: &Identity, incident: &Incident, now: Timestamp) -> Alert {
        let generator_url = link(&self.settings.external_url, &incident.id);
        let silenced: Vec<String> = incident.suppressed_by.iter().map(|name| silences::id(name)).collect();
        Alert {
            labels: identity.labels(),
            annotations: annotations(&scope.incident(incident), &generator_url),
            starts_at: identity.starts_at,
            updated_at: now,
            ends_at: ahead(now, self.settings.interval),
            generator_url,
            fingerprint: identity.fingerprint(),
            receivers: [Name { name: RECEIVER }],
            status: AlertStatus {
                state: if silenced.is_empty() { "active" } else { "suppressed" },
                silenced_by: silenced,
                inhibited_by: Vec::new(),
                muted_by: Vec::new(),
            },
        }
    }

    fn silences(&self, access: &Access) -> Vec<Silence> {
        let scope = Scope::new(&*self.api.reader, access);
        silences::shown(&self.settings, &scope, access, (self.settings.now)())
    }
}

#[cfg(test)]
mod tests;
