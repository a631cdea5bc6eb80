//! `GET /api/v1/suspects` and `/api/v1/incidents/{id}/suspects`: who is likely the root of what is wrong.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;
use whyd_signals::Access;

use super::in_turn::{LONGEST_WAIT, in_turn};
use super::query::{Checks, Raw, known};
use super::read_back::ReadBack;
use super::whose::Whose;
use super::{Api, problems};
use crate::access::Caller;
use crate::dto;
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::reader::{Reader, WrongAt};
use crate::scope::Scope;

/// After an incident began, so much of it is looked at.
const INTO: Duration = Duration::from_secs(300);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SuspectsQuery {
    /// Of what was wrong in the ten minutes before this time; now if not given. RFC 3339, or how long ago that was, as `90m`.
    at: Option<String>,
    /// Only workloads of this namespace; those of all that the caller may see if not given.
    namespace: Option<String>,
}

/// Which workloads are likely the root of what was wrong at a time, and why: by how far their metrics, and the course and
/// the pace of requests through their log lines, are from what is usual, and by what ended because of them. Only what the
/// caller may see is looked at.
#[utoipa::path(get, path = "/api/v1/suspects", tag = "api", params(SuspectsQuery), responses(
    (status = 200, description = "the workloads, the likeliest first", body = dto::Suspects),
    (status = 400, description = "the query is not valid", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 404, description = "no such namespace is known in what the caller may see", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 503, description = "too many queries wait, or the log is still being read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn suspects(
    State(api): State<Api>,
    Caller(access): Caller,
    _: ReadBack,
    query: Raw<SuspectsQuery>,
) -> Result<Json<dto::Suspects>, Failure> {
    let query = known(query)?;
    let now = (api.clock)();
    let mut checks = Checks::at(now);
    let at = checks.time("at", query.at.as_deref()).map_or(now, |at| at.min(now));
    checks.done()?;
    ranked(api, access, WrongAt { first: None, until: at }, query.namespace).await
}

/// The same for an incident: whoever was unlike its past when it began, or up to two and a half minutes before. Who ended, and
/// was wrong no later than those that call it, is suspected of what they showed.
#[utoipa::path(get, path = "/api/v1/incidents/{id}/suspects", tag = "api",
    params(("id" = String, Path, description = "the incident's id")), responses(
    (status = 200, description = "the workloads, the likeliest first", body = dto::Suspects),
    (status = 400, description = "the id is not text", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 404, description = "no such incident", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 503, description = "too many queries wait, or it may turn up once the log is read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn of_incident(
    State(api): State<Api>,
    Caller(access): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<dto::Suspects>, Failure> {
    let Path(id) = id.map_err(|rejection| Failure::new(ErrorKind::InvalidQuery, rejection.body_text()))?;
    let opened = Scope::new(&*api.reader, &access).incident_called(&id).map(|i| i.opened_at);
    let Some(opened) = opened else {
        let kind = if api.reader.status().replayed { ErrorKind::NotFound } else { ErrorKind::Replaying };
        return Err(Failure::new(kind, format!("no incident {id:?} is known in what you may see")));
    };
    let until = opened.plus(INTO).min((api.clock)());
    ranked(api, access, WrongAt { first: Some(opened), until }, None).await
}

async fn ranked(
    api: Api,
    access: Access,
    at: WrongAt,
    namespace: Option<String>,
) -> Result<Json<dto::Suspects>, Failure> {
    let mut problems = problems(&api.reader.status());
    let rank = move |reader: &dyn Reader, access: &Access| {
        let mut found = reader.suspects(access, at, namespace.as_deref());
        let scope = Scope::new(reader, access);
        found.ranking.retain(|ranked| scope.owns(&ranked.namespace));
        if found.ranking.is_empty() {
            Whose::new(None, namespace, None).must_be_known(&scope, &reader.status())?;
        }
        Ok(found)
    };
    let found = in_turn(&api, &access, LONGEST_WAIT, rank).await??;
    problems.extend(found.problems);
    Ok(Json(dto::Suspects { problems, ..found }))
}
