//! The routes, one file each.

mod alerts;
mod anomalies;
mod baselines;
mod cohorts;
mod health;
mod in_turn;
mod incidents;
mod metrics;
mod nearby;
pub mod openapi;
mod page;
mod prometheus;
mod query;
pub(crate) mod read_back;
mod restarts;
mod sql;
mod suspects;
mod timeline;
mod whose;
mod why;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get};
use whyd_signals::{Clock, Timestamp};

use crate::access::Door;
use crate::dto;
use crate::problem::{ErrorKind, Failure, render};
use crate::reader::{Reader, Status, Unheard};
use crate::sql::Sql;

/// What every route is given.
#[derive(Clone)]
pub struct Api {
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) door: Arc<Door>,
    pub(crate) clock: Clock,
    /// Who may evaluate a query when.
    turns: Arc<prometheus::Turns>,
    /// `None`: no SQL is answered.
    sql: Option<Arc<dyn Sql>>,
}

impl Api {
    /// Routes over `reader`, behind `door`; `clock` tells what is now where a query does not.
    pub fn new(reader: Arc<dyn Reader>, door: Door, clock: Clock) -> Self {
        Self { reader, door: Arc::new(door), clock, turns: Arc::default(), sql: None }
    }

    /// The same, with this answering SQL.
    #[must_use]
    pub fn with_sql(self, sql: Arc<dyn Sql>) -> Self {
        Self { sql: Some(sql), ..self }
    }
}

/// The whole HTTP face: the API's routes and `others` (the receivers), with one way to say 404 and 405.
///
/// `others` must have no fallback of its own and no path of the API; it decides about access by itself.
pub fn router(api: Api, others: Router) -> Router {
    let mut router = Router::new();
    for (path, route) in table() {
        router = router.route(path, route);
    }
    router
        .with_state(api)
        .merge(others)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(no_such_route)
        .layer(from_fn(render))
}

/// Every path; the OpenAPI document must list the same.
fn table() -> Vec<(&'static str, MethodRouter<Api>)> {
    let mut table = vec![
        ("/", get(page::index)),
        ("/page.js", get(page::script)),
        ("/timeline.js", get(page::timeline)),
        ("/answer.js", get(page::answer)),
        ("/drawing.js", get(page::drawing)),
        ("/memory.js", get(page::memory)),
        ("/page.css", get(page::style)),
        ("/api/v1/why", get(why::why)),
        ("/api/v1/restarts", get(restarts::restarts)),
        ("/api/v1/anomalies", get(anomalies::anomalies)),
        ("/api/v1/incidents", get(incidents::incidents)),
        ("/api/v1/incidents/{id}", get(incidents::incident)),
        ("/api/v1/incidents/{id}/suspects", get(suspects::of_incident)),
        ("/api/v1/suspects", get(suspects::suspects)),
        ("/api/v1/workloads/{namespace}/{name}/timeline", get(timeline::timeline)),
        ("/api/v1/cohorts", get(cohorts::cohorts)),
        ("/api/v1/baselines", get(baselines::baselines)),
        ("/api/v1/watched", get(baselines::watched)),
        ("/api/v1/sql", get(sql::sql).post(sql::sql)),
        ("/livez", get(health::livez)),
        ("/readyz", get(health::readyz)),
        ("/metrics", get(metrics::metrics)),
        ("/metrics/incidents", get(metrics::incidents)),
        ("/openapi.json", get(openapi::openapi_json)),
    ];
    table.extend(prometheus::table());
    table
}

async fn no_such_route(uri: Uri) -> Failure {
    Failure::new(
        ErrorKind::NoSuchRoute,
        format!("nothing is at {}: /openapi.json lists what can be asked, docs/sending.md where to send", uri.path()),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    Failure::new(ErrorKind::MethodNotAllowed, format!("{} does not take {method}", uri.path()))
}

/// What keeps any answer from being whole right now.
fn problems(status: &Status) -> Vec<dto::Problem> {
    let mut problems = Vec::new();
    if !status.replayed {
        let detail = "the log is still being read back: what was known before the start may be missing".to_owned();
        problems.push(dto::Problem { source: None, detail });
    }
    let failing = &status.unheard.failing;
    problems.extend(unheard(&status.unheard));
    let is_told = |source: &str| failing.iter().any(|(told, _)| *told == source);
    for source in status.sources.iter().filter(|s| !s.synced && !is_told(s.source)) {
        let name = source.source;
        let detail = format!("{name} is not synced: what it would hold is unknown, not empty");
        problems.push(dto::Problem { source: Some(name.to_owned()), detail });
    }
    problems
}

/// What the watches that fail keep from answers: each for itself, or all as the one server that they are of.
fn unheard(unheard: &Unheard) -> Vec<dto::Problem> {
    let failing = &unheard.failing;
    let since = |heard: Option<Timestamp>| heard.map_or_else(|| "yet".to_owned(), |at| format!("since {}", at.whole()));
    let lost = "what has happened since is unknown, and nothing that went on then is known to be over";
    if unheard.all_fail
        && let Some((first, _)) = failing.first()
    {
        let heard = failing.iter().filter_map(|(_, heard)| *heard).max();
        let which = match failing.len() {
            1 => format!("the watch of {first} fails or is silent"),
            n => format!("the watch of {first} fails or is silent, and {} more", n - 1),
        };
        let detail = format!("the API server has not been heard {} ({which}): {lost}", since(heard));
        return vec![dto::Problem { source: Some(CLUSTER.to_owned()), detail }];
    }
    // One sentence for all of them, of which pods matter most.
    let Some((first, heard)) = failing.iter().find(|(resource, _)| *resource == "pods").or(failing.first()) else {
        return Vec::new();
    };
    let others: Vec<&str> =
        failing.iter().map(|(resource, _)| *resource).filter(|resource| resource != first).collect();
    let others = if others.is_empty() { String::new() } else { format!(", nor {}", others.join(", ")) };
    let since = since(*heard);
    let detail = format!("{first} have not been heard of {since} (their watch fails or is silent){others}: {lost}");
    vec![dto::Problem { source: Some((*first).to_owned()), detail }]
}

/// The source of what no watch tells.
const CLUSTER: &str = "kubernetes";

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
