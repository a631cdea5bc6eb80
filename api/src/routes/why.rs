//! `GET /api/v1/why`: why did this pod restart?

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use whyd_signals::schema::{IncidentStatus, Restart};

use super::query::{Checks, Raw, known};
use super::restarts::same_workload;
use super::{Api, problems};
use crate::access::Caller;
use crate::cursor::DEFAULT_LIMIT;
use crate::dto::{self, Match};
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::reader::{PodName, Status};
use crate::scope::Scope;

/// How many names an error suggests.
const NEARBY: usize = 5;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhyQuery {
    /// The pod's name, its workload's (`Kind/name` or `name`), or the beginning of pods' names; in that order.
    #[param(required, value_type = String)]
    pod: Option<String>,
    /// Needed only where the name is known in several namespaces.
    namespace: Option<String>,
    /// Only this container.
    container: Option<String>,
}

/// Why a pod restarted: its verdicts, newest first.
#[utoipa::path(get, path = "/api/v1/why", tag = "api", params(WhyQuery), responses(
    (status = 200, description = "the verdicts", body = dto::Why),
    (status = 400, description = "the query is not valid, or the namespace is ambiguous", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 404, description = "no restart of it is known", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 503, description = "it may turn up once the log is read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn why(
    State(api): State<Api>,
    Caller(access): Caller,
    query: Raw<WhyQuery>,
) -> Result<Json<dto::Why>, Failure> {
    let query = known(query)?;
    let mut checks = Checks::default();
    let name = checks.needed("pod", query.pod.as_deref());
    checks.done()?;

    let scope = Scope::new(&*api.reader, &access);
    let status = api.reader.status();
    let namespace = query.namespace.as_deref();
    let Some((matched, mut rows)) = find(&scope.restarts(), || scope.pods(), name, namespace) else {
        return Err(unknown(&scope, &status, name, namespace));
    };
    if let Some(container) = &query.container {
        let known: BTreeSet<&str> = rows.iter().filter_map(|r| r.container.as_deref()).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        rows.retain(|r| r.container.as_ref() == Some(container));
        if rows.is_empty() {
            let detail =
                format!("no restart of container {container:?} of {name:?} is known; those that have one: {known}");
            return Err(Failure::new(ErrorKind::NotFound, detail));
        }
    }
    let namespaces: BTreeSet<&str> = rows.iter().map(|r| r.namespace.as_str()).collect();
    if namespaces.len() > 1 {
        let candidates: Vec<String> = namespaces.into_iter().map(str::to_owned).collect();
        let detail = format!("{name:?} is known in the namespaces {}; say which", candidates.join(", "));
        return Err(Failure::new(ErrorKind::AmbiguousNamespace, detail).with_candidates(candidates));
    }

    rows.sort_by(|a, b| super::restarts::place(a).cmp(&super::restarts::place(b)));
    let mut problems = problems(&status);
    if rows.len() > DEFAULT_LIMIT {
        let detail = format!("these are the newest {DEFAULT_LIMIT} of {}; /api/v1/restarts has all", rows.len());
        problems.push(dto::Problem { source: None, detail });
        rows.truncate(DEFAULT_LIMIT);
    }
    let incidents = incidents_of(&scope, &rows);
    let restarts = rows.iter().map(|r| scope.restart(r)).collect();
    Ok(Json(dto::Why { matched, restarts, incidents, problems }))
}

/// The rows that `name` names best.
fn find(
    rows: &[Arc<Restart>],
    known: impl FnOnce() -> Vec<PodName>,
    name: &str,
    namespace: Option<&str>,
) -> Option<(Match, Vec<Arc<Restart>>)> {
    let by = |test: &dyn Fn(&Restart) -> bool| -> Vec<Arc<Restart>> {
        rows.iter().filter(|r| namespace.is_none_or(|n| r.namespace == n) && test(r)).cloned().collect()
    };
    let pod = by(&|r| r.pod.as_deref() == Some(name));
    if !pod.is_empty() {
        return Some((Match::Pod, pod));
    }
    let workload = by(&|r| same_workload(&r.workload, name));
    if !workload.is_empty() {
        return Some((Match::Workload, workload));
    }
    // A workload or pod of exactly this name is known and has no row: others that begin alike are not meant.
    let exact = |p: &PodName| {
        namespace.is_none_or(|n| p.namespace == n) && (p.name == name || same_workload(&p.workload, name))
    };
    if known().iter().any(exact) {
        return None;
    }
    let prefix = by(&|r| r.pod.as_ref().is_some_and(|pod| pod.starts_with(name)));
    if prefix.is_empty() { None } else { Some((Match::Prefix, prefix)) }
}

fn incidents_of(scope: &Scope<'_>, rows: &[Arc<Restart>]) -> Vec<dto::Incident> {
    let members: BTreeSet<String> = rows
        .iter()
        .flat_map(|r| {
            let pod = format!("{}/{}", r.namespace, r.pod.as_deref().unwrap_or_default());
            let container = r.container.as_ref().map(|c| format!("{pod}/{c}"));
            container.into_iter().chain([pod])
        })
        .collect();
    let mut incidents = scope.incidents();
    incidents.retain(|i| i.members.iter().any(|m| members.contains(m)));
    incidents.sort_by(|a, b| super::incidents::place(a).cmp(&super::incidents::place(b)));
    incidents.iter().map(|i| scope.incident(i)).collect()
}

/// No verdict: what is known instead.
fn unknown(scope: &Scope<'_>, status: &Status, name: &str, namespace: Option<&str>) -> Failure {
    let pods = scope.pods();
    let asked = namespace.map_or_else(|| format!("{name:?}"), |n| format!("{name:?} in namespace {n:?}"));
    let here = |p: &&PodName| namespace.is_none_or(|n| p.namespace == n);
    let quiet = pods.iter().filter(here).find_map(|p| {
        if p.name == name {
            Some(format!("pod {}/{name} is known and no restart of it is", p.namespace))
        } else if same_workload(&p.workload, name) {
            Some(format!("{} in namespace {} is known and no restart of its pods is", p.workload, p.namespace))
        } else {
            None
        }
    });
    // What is wrong with it without a restart is told all the same.
    let quiet = quiet.map(|words| match trouble(scope, &pods, name, namespace) {
        Some(trouble) => format!("{words}, but {trouble}"),
        None => words,
    });
    let named = quiet.is_some();
    let mut detail = quiet.unwrap_or_else(|| format!("no restart of {asked} is known"));

    let mut names: BTreeSet<(String, String)> = pods.into_iter().map(|p| (p.namespace, p.name)).collect();
    for row in scope.restarts() {
        names.extend(row.pod.iter().map(|pod| (row.namespace.clone(), pod.clone())));
    }
    let candidates = nearby(&names, name, namespace);
    if !named && !candidates.is_empty() {
        detail.push_str("; names nearby: ");
        detail.push_str(&candidates.join(", "));
    }
    for (synced, words) in [(true, "; synced: "), (false, "; not synced, so unknown: ")] {
        let sources: Vec<&str> = status.sources.iter().filter(|s| s.synced == synced).map(|s| s.source).collect();
        if !sources.is_empty() {
            detail.push_str(words);
            detail.push_str(&sources.join(", "));
        }
    }
    let kind = if status.replayed { ErrorKind::NotFound } else { ErrorKind::Replaying };
    Failure::new(kind, detail).with_candidates(candidates)
}

/// An open incident of a pod, or of a workload's pods, in which nothing restarted.
fn trouble(scope: &Scope<'_>, pods: &[PodName], name: &str, namespace: Option<&str>) -> Option<String> {
    let meant = |p: &&PodName| {
        namespace.is_none_or(|n| p.namespace == n) && (p.name == name || same_workload(&p.workload, name))
    };
    let members: BTreeSet<String> = pods.iter().filter(meant).map(|p| format!("{}/{}", p.namespace, p.name)).collect();
    let incidents = scope.incidents();
    let open = incidents.iter().filter(|i| i.status == IncidentStatus::Open);
    let of_it = open.filter(|i| i.members.iter().any(|m| members.contains(m)));
    let newest = of_it.max_by_key(|i| i.opened_at)?;
    let shown = scope.incident(newest);
    Some(format!("{}: {} (incident {}, since {})", shown.cause, shown.summary, shown.id, shown.opened_at))
}

/// The names most like `name`: the same one elsewhere, those that hold it, then those that begin alike.
fn nearby(names: &BTreeSet<(String, String)>, name: &str, namespace: Option<&str>) -> Vec<String> {
    let mut scored: Vec<_> = names
        .iter()
        .filter_map(|(n, pod)| {
            let alike = pod.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            let holds = pod.contains(name);
            let close = holds || alike >= 3;
            let here = namespace.is_some_and(|asked| asked == n);
            close.then_some((Reverse((pod == name, holds, alike, here)), n, pod))
        })
        .collect();
    scored.sort();
    scored.into_iter().take(NEARBY).map(|(_, n, pod)| format!("{n}/{pod}")).collect()
}
