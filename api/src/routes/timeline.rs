//! `GET /api/v1/workloads/{namespace}/{name}/timeline`: what happened to a workload, across all its pods.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;
use whyd_signals::{Asked, Timestamp};

use super::nearby::nearby;
use super::query::{Checks, Raw, known};
use super::restarts::when;
use super::{Api, problems};
use crate::access::Caller;
use crate::cursor::MAX_LIMIT;
use crate::dto::{self, Moment};
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::scope::Scope;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineQuery {
    /// Only what happened at this time or later. RFC 3339, or how long ago that was, as `90m`.
    since: Option<String>,
}

/// Restarts, replacements, changes, anomalies, alerts of others and incidents of a workload in one order, whatever pods it had.
#[utoipa::path(get, path = "/api/v1/workloads/{namespace}/{name}/timeline", tag = "api",
    params(("namespace" = String, Path, description = "its namespace"),
        ("name" = String, Path, description = "the workload's name; where several kinds have it, `deploy%2Fcart` is one of them"),
        TimelineQuery), responses(
    (status = 200, description = "the timeline, oldest first", body = dto::Timeline),
    (status = 400, description = "the query is not valid", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 404, description = "no such workload is known", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 503, description = "it may turn up once the log is read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn timeline(
    State(api): State<Api>,
    Caller(access): Caller,
    path: Result<Path<(String, String)>, PathRejection>,
    query: Raw<TimelineQuery>,
) -> Result<Json<dto::Timeline>, Failure> {
    let Path((namespace, name)) = path.map_err(|r| Failure::new(ErrorKind::InvalidQuery, r.body_text()))?;
    let query = known(query)?;
    let mut checks = Checks::at((api.clock)());
    let since = checks.time("since", query.since.as_deref()).unwrap_or(Timestamp::MIN);
    checks.done()?;

    let scope = Scope::new(&*api.reader, &access);
    let status = api.reader.status();
    let asked = Asked::read(&name);
    let is_it = |workload: &str| asked.is_workload(&namespace, workload);
    let rows = scope.restarts(|r| r.namespace == namespace && is_it(&r.workload));
    let pods: Vec<_> = scope.pods().into_iter().filter(|p| p.namespace == namespace && is_it(&p.workload)).collect();
    let workload = rows.iter().map(|r| &r.workload).chain(pods.iter().map(|p| &p.workload)).next().cloned();
    let changes = scope.changes(&namespace);
    let mut changed = changes.iter().filter(|c| c.kind != "ConfigMap").map(|c| format!("{}/{}", c.kind, c.name));
    let changed = changed.find(|object| is_it(object));
    let Some(workload) = workload.or(changed) else {
        let kind = if status.replayed { ErrorKind::NotFound } else { ErrorKind::Replaying };
        let detail = format!("no workload {name:?} is known in namespace {namespace:?}{}", scope.within());
        let mut known: BTreeSet<(String, String)> = scope.workloads().into_iter().collect();
        known.extend(scope.pods().into_iter().map(|pod| (pod.namespace, pod.workload)));
        let names = known.iter().map(|(space, workload)| (space.as_str(), workload.as_str()));
        return Err(Failure::new(kind, detail).with_candidates(nearby(names, asked.name(), Some(&namespace))));
    };

    let mut moments: Vec<Moment> = Vec::new();
    // ConfigMaps and nodes that touched one of its restarts belong to its story.
    let mut touching: BTreeSet<String> = BTreeSet::new();
    for row in &rows {
        touching.extend(row.changes.iter().filter(|c| c.touches).map(|c| c.object.clone()));
        let shown = scope.restart(row);
        let at = when(row);
        let (pod, pod_uid, container) = (shown.pod, shown.pod_uid, shown.container);
        moments.push(Moment::Restart { at, pod, pod_uid, container, cause: shown.cause, summary: shown.summary });
    }
    for c in changes {
        let object = format!("{}/{}", c.kind, c.name);
        if is_it(&object) && c.kind != "ConfigMap" || touching.contains(&object) {
            moments.push(Moment::Change { at: c.ts, object, what: c.what, detail: c.detail, by: c.by });
        }
    }
    let known_pods: BTreeSet<&str> =
        pods.iter().map(|p| p.name.as_str()).chain(rows.iter().filter_map(|r| r.pod.as_deref())).collect();
    for a in scope.anomalies() {
        if a.namespace == namespace && (known_pods.contains(a.pod.as_str()) || a.workload == workload) {
            moments.push(Moment::Anomaly {
                at: a.ts,
                pod: a.pod.clone(),
                container: a.container.clone(),
                metric: a.metric.clone(),
                score: dto::figure(a.score),
                text: a.text.clone(),
                until: Some(a.until),
                trace_id: Some(a.trace.clone()).filter(|id| !id.is_empty()),
            });
        }
    }
    for told in scope.told(&BTreeSet::from([namespace.clone()]), None) {
        let of_pod = told.alert.kind == "Pod" && known_pods.contains(told.alert.object.as_str());
        if told.alert.namespace == namespace && (of_pod || is_it(&told.workload)) {
            moments.push(Moment::Alert(told.alert.as_ref().into()));
        }
    }
    let own = |member: &String| {
        let mut parts = member.split('/');
        parts.next() == Some(namespace.as_str()) && parts.next().is_some_and(|pod| known_pods.contains(pod))
    };
    for incident in scope.incidents(|i| i.members.iter().any(own)) {
        let shown = scope.named(&incident);
        let id = shown.id.clone();
        moments.push(Moment::Opened { at: shown.opened_at, id: shown.id, cause: shown.cause, summary: shown.summary });
        moments.extend(shown.resolved_at.map(|at| Moment::Resolved { at, id }));
    }
    moments.retain(|m| m.at() >= since);
    moments.sort_by_key(Moment::at);
    let mut problems = problems(&status);
    if moments.len() > MAX_LIMIT {
        let detail = format!("these are the newest {MAX_LIMIT} of {}; since narrows them down", moments.len());
        problems.push(dto::Problem { source: None, detail });
        moments.drain(..moments.len() - MAX_LIMIT);
    }
    Ok(Json(dto::Timeline { namespace, workload, moments, problems }))
}
