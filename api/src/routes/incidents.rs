//! `GET /api/v1/incidents` and `/api/v1/incidents/{id}`.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use whyd_signals::schema::{Incident, IncidentStatus, Severity};

use super::query::{Checks, Raw, known};
use super::read_back::ReadBack;
use super::whose::Whose;
use super::{Api, problems};
use crate::access::Caller;
use crate::owners::Owners;
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::scope::Scope;
use crate::{cursor, dto};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentsQuery {
    /// Only of this team, or made of one that is.
    team: Option<String>,
    /// Only with something in this namespace.
    namespace: Option<String>,
    /// Only of this workload, that is in it or its root: `cart`, `deploy/cart`, `Deployment/cart`, `team-shop/cart` or
    /// `team-shop/deploy/cart`; `pod/cart-1` is one pod.
    workload: Option<String>,
    /// Only with this cause.
    cause: Option<String>,
    /// Only with this severity.
    #[param(value_type = Option<dto::Severity>)]
    severity: Option<String>,
    /// Only with this status.
    #[param(value_type = Option<dto::IncidentStatus>)]
    status: Option<String>,
    /// Only those that were open at this time or later. RFC 3339, or how long ago that was, as `90m`.
    since: Option<String>,
    /// Only those that were open at this time or before. RFC 3339, or how long ago that was, as `90m`.
    until: Option<String>,
    /// `true` shows those that a suppression hides, too.
    #[param(value_type = Option<bool>)]
    suppressed: Option<String>,
    /// `true` shows those too that another incident tells of, since they share its root.
    #[param(value_type = Option<bool>)]
    parts: Option<String>,
    /// How many at most, 1 to 1000; 100 if not given.
    #[param(value_type = Option<i32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// The incidents that are known, newest first.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "api", params(IncidentsQuery), responses(
    (status = 200, description = "a page of incidents", body = dto::Incidents),
    (status = 400, description = "the query is not valid", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 404, description = "no such team, namespace or workload is known in what the caller may see", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 503, description = "the log is still being read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn incidents(
    State(api): State<Api>,
    Caller(access): Caller,
    _: ReadBack,
    query: Raw<IncidentsQuery>,
) -> Result<Json<dto::Incidents>, Failure> {
    let query = known(query)?;
    let mut checks = Checks::at((api.clock)());
    let choices = [("open", IncidentStatus::Open), ("resolved", IncidentStatus::Resolved)];
    let status = checks.one_of("status", query.status.as_deref(), &choices);
    let severities = [("warning", Severity::Warning), ("critical", Severity::Critical)];
    let severity = checks.one_of("severity", query.severity.as_deref(), &severities);
    checks.cause(query.cause.as_deref());
    let (since, until) = checks.range(query.since.as_deref(), query.until.as_deref());
    let suppressed = checks.truth("suppressed", query.suppressed.as_deref());
    let parts = checks.truth("parts", query.parts.as_deref());
    let limit = checks.limit(query.limit.as_deref());
    let after: Option<Place<'static>> = checks.cursor(query.cursor.as_deref());
    checks.done()?;

    let scope = Scope::new(&*api.reader, &access);
    let wanted = |i: &Incident| {
        status.is_none_or(|status| i.status == status)
            && severity.is_none_or(|severity| i.severity == severity)
            && query.cause.as_ref().is_none_or(|cause| i.cause == *cause)
            && since.is_none_or(|since| i.resolved_at.is_none_or(|at| at >= since))
            && until.is_none_or(|until| i.opened_at <= until)
    };
    let mut rows = if parts == Some(true) { scope.all_incidents(wanted) } else { scope.incidents(wanted) };
    let whose = Whose::new(query.team, query.namespace, query.workload);
    rows.retain(|i| whose.is_team(i.team.as_str()) || i.parts.iter().any(|part| whose.is_team(part.team.as_str())));
    if whose.names_place() && !rows.is_empty() {
        let owners = Owners::of(&scope);
        rows.retain(|i| is_at(&whose, &scope, &owners, i));
    }
    if rows.is_empty() {
        whose.must_be_known(&scope, &api.reader.status())?;
    }
    let mut hidden: BTreeMap<String, usize> = BTreeMap::new();
    if suppressed != Some(true) {
        rows.retain(|i| match &i.suppressed_by {
            Some(by) => {
                *hidden.entry(by.clone()).or_default() += 1;
                false
            }
            None => true,
        });
    }
    let hidden = hidden.into_iter().map(|(suppression, incidents)| dto::Hidden { suppression, incidents }).collect();
    rows.sort_by(|a, b| place(a).cmp(&place(b)));
    let (page, next) = cursor::page(&rows, after.as_ref(), limit, |i| place(i));
    let incidents = page.iter().map(|i| scope.incident(i)).collect();
    Ok(Json(dto::Incidents { incidents, hidden, next, problems: problems(&api.reader.status()) }))
}

/// Whether an incident is of the place that is asked for, by what the caller may read of it: else the answer would tell what lies
/// behind a name that is left out.
fn is_at(whose: &Whose, scope: &Scope<'_>, owners: &Owners, row: &Incident) -> bool {
    let shown = scope.named(row);
    let of_root = |root: &dto::Root| match root.kind.as_str() {
        "Namespace" => whose.is_place(&root.name, "", ""),
        "Pod" => {
            let owner = owners.of_pod(&root.namespace, &root.name).unwrap_or_default();
            whose.is_place(&root.namespace, owner, &root.name)
        }
        kind => whose.is_place(&root.namespace, &format!("{kind}/{}", root.name), ""),
    };
    let is_member = |member: &String| {
        let mut parts = member.split('/');
        let (space, pod) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        whose.is_place(space, owners.of_pod(space, pod).unwrap_or_default(), pod)
    };
    shown.members.iter().any(is_member)
        || shown.root.as_ref().is_some_and(of_root)
        || scope.owns(&row.namespace) && whose.is_place(&row.namespace, "", "")
}

/// One incident, by its id or one under which it was told before.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "api",
    params(("id" = String, Path, description = "the incident's id")), responses(
    (status = 200, description = "the incident", body = dto::Incident),
    (status = 400, description = "the id is not text", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 404, description = "no such incident", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 503, description = "it may turn up once the log is read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn incident(
    State(api): State<Api>,
    Caller(access): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<dto::Incident>, Failure> {
    let Path(id) = id.map_err(|rejection| Failure::new(ErrorKind::InvalidQuery, rejection.body_text()))?;
    let scope = Scope::new(&*api.reader, &access);
    if let Some(row) = scope.incident_called(&id) {
        return Ok(Json(with_alerts(&scope, &row)));
    }
    let kind = if api.reader.status().replayed { ErrorKind::NotFound } else { ErrorKind::Replaying };
    Err(Failure::new(kind, format!("no incident {id:?} is known in what you may see")))
}

/// The incident as the caller may read it, with the alerts around it.
pub(super) fn with_alerts(scope: &Scope<'_>, row: &Incident) -> dto::Incident {
    dto::Incident { alerts: super::alerts::around(scope, row), ..scope.incident(row) }
}

/// The order of incidents, newest first.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place<'a> {
    at: Reverse<i64>,
    id: Cow<'a, str>,
}

pub(super) fn place(i: &Incident) -> Place<'_> {
    Place { at: Reverse(i.opened_at.nanos()), id: Cow::Borrowed(&i.id) }
}
