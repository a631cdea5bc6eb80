//! `GET /api/v1/incidents` and `/api/v1/incidents/{id}`.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use whyd_signals::schema::{Incident, IncidentStatus};

use super::query::{Checks, Raw, known};
use super::{Api, problems};
use crate::access::Caller;
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::scope::Scope;
use crate::{cursor, dto};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentsQuery {
    /// Only with this status.
    #[param(value_type = Option<dto::IncidentStatus>)]
    status: Option<String>,
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
))]
pub(super) async fn incidents(
    State(api): State<Api>,
    Caller(access): Caller,
    query: Raw<IncidentsQuery>,
) -> Result<Json<dto::Incidents>, Failure> {
    let query = known(query)?;
    let mut checks = Checks::default();
    let choices = [("open", IncidentStatus::Open), ("resolved", IncidentStatus::Resolved)];
    let status = checks.one_of("status", query.status.as_deref(), &choices);
    let suppressed = checks.one_of("suppressed", query.suppressed.as_deref(), &[("true", true), ("false", false)]);
    let parts = checks.one_of("parts", query.parts.as_deref(), &[("true", true), ("false", false)]);
    let limit = checks.limit(query.limit.as_deref());
    let after: Option<Place<'static>> = checks.cursor(query.cursor.as_deref());
    checks.done()?;

    let scope = Scope::new(&*api.reader, &access);
    let wanted = |i: &Incident| status.is_none_or(|status| i.status == status);
    let mut rows = if parts == Some(true) { scope.all_incidents(wanted) } else { scope.incidents(wanted) };
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
