//! `GET /api/v1/why`: why did this pod restart?

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use whyd_signals::schema::{Incident, Restart};
use whyd_signals::{Access, Asked, Timestamp};

use super::in_turn::{LONGEST_WAIT, in_turn};
use super::nearby::nearby;
use super::query::{Checks, Raw, known};
use super::whose::unsynced;
use super::{Api, problems};
use crate::access::Caller;
use crate::cursor::DEFAULT_LIMIT;
use crate::dto::{self, Match};
use crate::next;
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::reader::{PodName, Reader, Status, Whom};
use crate::scope::Scope;

/// How many incidents are shown with the alerts around them, the newest.
const DETAILED: usize = 5;
/// So long a turn is waited for, for what the answer can do without.
const BRIEFLY: Duration = Duration::from_millis(100);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhyQuery {
    /// The pod's name, its workload's, an incident's id or the first eight letters of it or more, also one under which it was told before,
    /// or the beginning of pods' names; in that order. Names are taken as kubectl has them, `pod/NAME` or `deploy/NAME`, and with their namespace before them,
    /// `NAMESPACE/NAME` or `NAMESPACE/deploy/NAME`.
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
    (status = 404, description = "no pod or workload of this name is known", body = ProblemDetails,
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
    let now = (api.clock)();
    let mut checks = Checks::at(now);
    let name = checks.needed("pod", query.pod.as_deref());
    checks.done()?;

    let scope = Scope::new(&*api.reader, &access);
    let status = api.reader.status();
    let namespace = query.namespace.as_deref();
    let asked = Asked::read(name);
    let incident = scope.incident_called(name);
    let without_rows = |matched: Match, pod: Option<PodName>, incidents: Vec<dto::Incident>, heard: Vec<dto::Heard>| {
        let (restarts, memory, learning, problems) = (Vec::new(), None, None, problems(&status));
        let whom = |pod: &PodName| {
            scope.standing(&Whom { namespace: &pod.namespace, pod: &pod.name, pod_uid: None, container: None }, now)
        };
        let now = pod.as_ref().and_then(whom);
        let look_next = incidents.iter().flat_map(next::of_incident).collect();
        Ok(Json(dto::Why { matched, restarts, incidents, now, memory, learning, heard, look_next, problems }))
    };
    let (matched, mut rows) = match (find(&scope, &asked, namespace), &incident) {
        (Some(found), _) => found,
        (None, Some(incident)) => {
            let rows = scope.rows_of(incident);
            if rows.is_empty() {
                let incidents = vec![super::incidents::with_alerts(&scope, incident)];
                return without_rows(Match::Incident, None, incidents, Vec::new());
            }
            (Match::Incident, rows)
        }
        (None, None) => {
            let mut found = calm(&scope, name, &asked, namespace, false)?;
            let begin = if found.is_none() { begins(&scope, &asked, namespace) } else { Vec::new() };
            if found.is_none() && begin.is_empty() {
                found = calm(&scope, name, &asked, namespace, true)?;
            }
            if let Some((matched, only, incidents)) = found {
                return without_rows(matched, only, incidents, Vec::new());
            }
            (Match::Prefix, begin)
        }
    };
    if rows.is_empty() {
        // All series are looked through, since of this nothing else knows.
        let (sought, within) = (asked.clone(), query.namespace.clone());
        let seek =
            move |reader: &dyn Reader, access: &Access| Scope::new(reader, access).heard(&sought, within.as_deref());
        let heard = in_turn(&api, &access, LONGEST_WAIT, seek).await?;
        if heard.is_empty() {
            return Err(unknown(&scope, &status, name, &asked, namespace));
        }
        one_namespace(name, heard.iter().map(|h| h.namespace.as_str()))?;
        let is_exact = heard.iter().any(|h| asked.is_pod(&h.namespace, &h.pod));
        return without_rows(if is_exact { Match::Pod } else { Match::Prefix }, None, Vec::new(), heard);
    }
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
    let incident = incident.filter(|_| matched == Match::Incident);
    if incident.is_none() {
        one_namespace(name, rows.iter().map(|r| r.namespace.as_str()))?;
    }

    rows.sort_by(|a, b| super::restarts::place(a).cmp(&super::restarts::place(b)));
    if let Some(incident) = &incident {
        let shown = scope.incident(incident);
        rows.sort_by_key(|row| remoteness(&shown, row));
    }
    let mut problems = problems(&status);
    if rows.len() > DEFAULT_LIMIT {
        let (count, shown) = (rows.len(), if incident.is_some() { "first" } else { "newest" });
        let of = incident.as_ref().map_or(String::new(), |incident| format!("?incident_id={}", incident.id));
        let detail = format!("these are the {shown} {DEFAULT_LIMIT} of {count}; /api/v1/restarts{of} has all");
        problems.push(dto::Problem { source: None, detail });
        rows.truncate(DEFAULT_LIMIT);
    }
    let incidents = match &incident {
        Some(incident) => vec![super::incidents::with_alerts(&scope, incident)],
        None => incidents_of(&scope, &rows),
    };
    let restarts = scope.rows(&rows);
    let stands = |row: &Arc<Restart>| {
        let (pod, pod_uid, container) = (row.pod.as_deref()?, row.pod_uid.as_deref(), row.container.as_deref());
        scope.standing(&Whom { namespace: &row.namespace, pod, pod_uid, container }, now)
    };
    let now = rows.first().and_then(stands);
    let memory = rows.first().and_then(|newest| scope.memory(newest));
    let learning = match rows.first().filter(|newest| scope.may_have_been_learning(newest)) {
        Some(newest) => {
            // All series are looked through. The answer does not wait for it.
            let row = Arc::clone(newest);
            in_turn(&api, &access, BRIEFLY, move |reader, access| reader.learning(access, &row)).await.unwrap_or_else(
                |_| {
                    let detail =
                        "too many queries are there already: whether metrics were still being learnt is not said";
                    problems.push(dto::Problem { source: None, detail: detail.to_owned() });
                    None
                },
            )
        }
        None => None,
    };
    let look_next = restarts.first().map(|row| next::steps(row, None)).unwrap_or_default();
    Ok(Json(dto::Why { matched, restarts, incidents, now, memory, learning, heard: Vec::new(), look_next, problems }))
}

/// How far a row is from what an incident is about: its root, then what has its cause, then what else it took down.
fn remoteness(incident: &dto::Incident, row: &Restart) -> u8 {
    let is_root = incident.root.as_ref().is_some_and(|root| {
        let is_pod = root.kind == "Pod" && row.pod.as_ref() == Some(&root.name);
        let is_workload = row.workload.split_once('/') == Some((root.kind.as_str(), root.name.as_str()));
        root.namespace == row.namespace && (is_pod || is_workload)
    });
    match (is_root, row.cause == incident.cause) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    }
}

fn is_in(namespace: Option<&str>, other: &str) -> bool {
    namespace.is_none_or(|namespace| namespace.eq_ignore_ascii_case(other))
}

/// The rows that are asked for best. A pod or workload of exactly this name that has none is not taken for others that
/// begin alike.
fn find(scope: &Scope<'_>, asked: &Asked, namespace: Option<&str>) -> Option<(Match, Vec<Arc<Restart>>)> {
    let here = |r: &Restart| is_in(namespace, &r.namespace);
    let pod = scope.restarts(|r| r.pod.as_ref().is_some_and(|pod| asked.is_pod(&r.namespace, pod)) && here(r));
    if !pod.is_empty() {
        return Some((Match::Pod, pod));
    }
    let workload = scope.restarts(|r| asked.is_workload(&r.namespace, &r.workload) && here(r));
    if workload.is_empty() { None } else { Some((Match::Workload, workload)) }
}

/// What is known of a pod or workload that did not restart, or of the pods whose names begin so: the incidents that they are in
/// all the same, and the pod where it is a single one.
fn calm(
    scope: &Scope<'_>,
    name: &str,
    asked: &Asked,
    namespace: Option<&str>,
    beginning: bool,
) -> Result<Option<(Match, Option<PodName>, Vec<dto::Incident>)>, Failure> {
    let pods = scope.pods();
    let here = |p: &&PodName| is_in(namespace, &p.namespace);
    let of = |test: &dyn Fn(&PodName) -> bool| pods.iter().filter(here).filter(|p| test(p)).collect::<Vec<_>>();
    let named = || match of(&|p| asked.is_pod(&p.namespace, &p.name)) {
        found if !found.is_empty() => (Match::Pod, found),
        _ => (Match::Workload, of(&|p| asked.is_workload(&p.namespace, &p.workload))),
    };
    let begins = || (Match::Prefix, of(&|p| asked.begins_pod(&p.namespace, &p.name)));
    let (matched, found) = if beginning { begins() } else { named() };
    if found.is_empty() {
        return Ok(None);
    }
    one_namespace(name, found.iter().map(|p| p.namespace.as_str()))?;
    let members: HashSet<String> = found.iter().map(|p| format!("{}/{}", p.namespace, p.name)).collect();
    let only = if let [only] = found[..] { Some(only.clone()) } else { None };
    Ok(Some((matched, only, incidents_with(scope, &members, Timestamp::MIN, Timestamp::MAX))))
}

/// The rows of pods whose names begin with this one.
fn begins(scope: &Scope<'_>, asked: &Asked, namespace: Option<&str>) -> Vec<Arc<Restart>> {
    let starts = |r: &Restart| r.pod.as_ref().is_some_and(|pod| asked.begins_pod(&r.namespace, pod));
    scope.restarts(|r| is_in(namespace, &r.namespace) && starts(r))
}

/// # Errors
/// When a name is known in several namespaces: nobody is told of one for another.
fn one_namespace<'a>(name: &str, namespaces: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let namespaces: BTreeSet<&str> = namespaces.collect();
    if namespaces.len() <= 1 {
        return Ok(());
    }
    let candidates: Vec<String> = namespaces.into_iter().map(str::to_owned).collect();
    let detail = format!(
        "{name:?} is known in the namespaces {}; say which by namespace=NAME, in the terminal -n NAME",
        candidates.join(", ")
    );
    Err(Failure::new(ErrorKind::AmbiguousNamespace, detail).with_candidates(candidates))
}

fn incidents_of(scope: &Scope<'_>, rows: &[Arc<Restart>]) -> Vec<dto::Incident> {
    let members: HashSet<String> = rows
        .iter()
        .flat_map(|r| {
            let pod = format!("{}/{}", r.namespace, r.pod.as_deref().unwrap_or_default());
            let container = r.container.as_ref().map(|c| format!("{pod}/{c}"));
            container.into_iter().chain([pod])
        })
        .collect();
    // Most incidents were over before, or opened after, and their members need not be looked at.
    let times = || rows.iter().map(|r| r.finished_at.unwrap_or(r.seen_at));
    let (from, to) = (times().min().unwrap_or(Timestamp::MIN), times().max().unwrap_or(Timestamp::MAX));
    incidents_with(scope, &members, from, to)
}

/// The incidents between `from` and `to`, and those that are open, that hold any of these members; newest first.
fn incidents_with(scope: &Scope<'_>, members: &HashSet<String>, from: Timestamp, to: Timestamp) -> Vec<dto::Incident> {
    let then = |i: &Incident| i.resolved_at.is_none_or(|at| at >= from && i.opened_at <= to);
    let mut incidents = scope.incidents(|i| then(i) && i.members.iter().any(|m| members.contains(m)));
    incidents.sort_by(|a, b| super::incidents::place(a).cmp(&super::incidents::place(b)));
    let detailed = incidents.iter().take(DETAILED).map(|i| super::incidents::with_alerts(scope, i));
    detailed.chain(incidents.iter().skip(DETAILED).map(|i| scope.incident(i))).collect()
}

/// No verdict: what is known instead.
fn unknown(scope: &Scope<'_>, status: &Status, name: &str, asked: &Asked, namespace: Option<&str>) -> Failure {
    let pods = scope.pods();
    let place = namespace.map_or_else(|| format!("{name:?}"), |n| format!("{name:?} in namespace {n:?}"));
    let mut detail = format!("no pod or workload {place} is known{}", scope.within());
    let mut names: BTreeSet<(String, String)> = pods.into_iter().map(|p| (p.namespace, p.name)).collect();
    for row in scope.restarts(|r| r.pod.is_some()) {
        names.extend(row.pod.iter().map(|pod| (row.namespace.clone(), pod.clone())));
    }
    if let Some(space) = namespace.filter(|_| names.iter().all(|(n, _)| !is_in(namespace, n))) {
        detail.push_str(&format!("; no pod of a namespace {space:?} is known at all"));
    }
    let candidates = nearby(names.iter().map(|(n, pod)| (n.as_str(), pod.as_str())), asked.name(), namespace);
    if !candidates.is_empty() {
        detail.push_str("; candidates are the names most like it");
    }
    if name.split_once('/').is_some_and(|(kind, _)| matches!(kind, "node" | "nodes" | "no")) {
        detail.push_str(
            "; a node is asked about in SQL, as by SELECT * FROM restarts WHERE node = '...', and the incidents whose root it is by \
             /api/v1/incidents?workload=Node/NAME",
        );
    }
    detail.push_str(&unsynced(status));
    let kind = if status.replayed { ErrorKind::NotFound } else { ErrorKind::Replaying };
    Failure::new(kind, detail).with_candidates(candidates)
}
