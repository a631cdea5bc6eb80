//! `GET /api/v1/cohorts`: what workloads in trouble have in common.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use whyd_signals::Access;

use super::in_turn::{LONGEST_WAIT, in_turn};
use super::query::{Checks, Raw, known};
use super::read_back::ReadBack;
use super::{Api, problems};
use crate::access::Caller;
use crate::dto;
use crate::problem::{Failure, ProblemDetails};
use crate::reader::Reader;

/// How far back is looked where nothing is said.
const BACK: Duration = Duration::from_secs(3600);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CohortsQuery {
    /// Restarts from this time on; an hour before `until` if not given. RFC 3339, or how long ago that was, as `90m`.
    since: Option<String>,
    /// Restarts until this time; now if not given. RFC 3339, or how long ago that was, as `90m`.
    until: Option<String>,
}

/// Whether what restarted shares a node, a zone, an image, a ConfigMap in one version or something that did not answer more
/// than chance would have it: an exact test on the numbers of workloads, of those that the caller may see.
#[utoipa::path(get, path = "/api/v1/cohorts", tag = "api", params(CohortsQuery), responses(
    (status = 200, description = "what they share, the least likely by chance first", body = dto::Cohorts),
    (status = 400, description = "the query is not valid", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 503, description = "too many queries wait, or the log is still being read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn cohorts(
    State(api): State<Api>,
    Caller(access): Caller,
    _: ReadBack,
    query: Raw<CohortsQuery>,
) -> Result<Json<dto::Cohorts>, Failure> {
    let query = known(query)?;
    let mut checks = Checks::at((api.clock)());
    let until = checks.time("until", query.until.as_deref()).unwrap_or_else(|| (api.clock)());
    let since = checks.time("since", query.since.as_deref()).unwrap_or_else(|| until.minus(BACK));
    checks.done()?;
    let problems = problems(&api.reader.status());
    let count = move |reader: &dyn Reader, access: &Access| reader.cohorts(access, since, until);
    let found = in_turn(&api, &access, LONGEST_WAIT, count).await?;
    Ok(Json(dto::Cohorts { since, until, problems, ..found }))
}
