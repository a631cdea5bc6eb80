//! `GET /api/v1/baselines` and `GET /api/v1/watched`: what is known of the metrics of workloads, and which are watched and why.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use whyd_signals::Access;

use super::in_turn::{LONGEST_WAIT, in_turn};
use super::query::{Checks, Raw, known};
use super::read_back::ReadBack;
use super::whose::Whose;
use super::{Api, problems};
use crate::access::Caller;
use crate::problem::{Failure, ProblemDetails};
use crate::reader::Reader;
use crate::scope::Scope;
use crate::{cursor, dto};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BaselinesQuery {
    /// Only of this namespace.
    namespace: Option<String>,
    /// Only of this workload: `cart`, `deploy/cart`, `Deployment/cart`, `team-shop/cart` or `team-shop/deploy/cart`.
    workload: Option<String>,
    /// Only what is judged so: `learning`, `hours` or `days`.
    #[param(value_type = Option<dto::BaselineState>)]
    state: Option<String>,
    /// How many at most, 1 to 1000; 100 if not given.
    #[param(value_type = Option<i32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Namespace, workload, container and metric.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place<'a>(Cow<'a, str>, Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

fn place(b: &dto::Baseline) -> Place<'_> {
    fn text(text: &str) -> Cow<'_, str> {
        Cow::Borrowed(text)
    }
    Place(text(&b.namespace), text(&b.workload), text(&b.container), text(&b.metric))
}

/// What each watched metric of each workload is judged by, since when, and what is usual now. A new workload borrows nothing
/// of another: it is learning.
#[utoipa::path(get, path = "/api/v1/baselines", tag = "api", params(BaselinesQuery), responses(
    (status = 200, description = "a page of what is known, some seconds old at the most", body = dto::Baselines),
    (status = 400, description = "the query is not valid", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 404, description = "no such namespace or workload is known in what the caller may see", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 503, description = "too many queries wait, or the log is still being read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn baselines(
    State(api): State<Api>,
    Caller(access): Caller,
    _: ReadBack,
    query: Raw<BaselinesQuery>,
) -> Result<Json<dto::Baselines>, Failure> {
    use dto::BaselineState::{Days, Hours, Learning};
    let query = known(query)?;
    let mut checks = Checks::at((api.clock)());
    let states = [("learning", Learning), ("hours", Hours), ("days", Days)];
    let state = checks.one_of("state", query.state.as_deref(), &states);
    let limit = checks.limit(query.limit.as_deref());
    let after: Option<Place<'static>> = checks.cursor(query.cursor.as_deref());
    checks.done()?;

    let problems = problems(&api.reader.status());
    let gather = move |reader: &dyn Reader, access: &Access| {
        let whose = Whose::new(None, query.namespace, query.workload);
        let scope = Scope::new(reader, access);
        let mut rows = scope.baselines(&|namespace, workload| whose.is_place(namespace, workload, ""));
        if rows.is_empty() {
            whose.must_be_known(&scope, &reader.status())?;
        }
        rows.retain(|b| state.is_none_or(|state| b.state == state));
        rows.sort_by(|a, b| place(a).cmp(&place(b)));
        let (page, next) = cursor::page(&rows, after.as_ref(), limit, place);
        Ok((page.to_vec(), next))
    };
    let (baselines, next) = in_turn(&api, &access, LONGEST_WAIT, gather).await??;
    Ok(Json(dto::Baselines { baselines, next, problems }))
}

/// The metrics that are held against their own past, unasked or as configured, and why.
#[utoipa::path(get, path = "/api/v1/watched", tag = "api", responses(
    (status = 200, description = "all of them", body = dto::WatchedMetrics),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn watched(State(api): State<Api>, Caller(_): Caller) -> Json<dto::WatchedMetrics> {
    Json(dto::WatchedMetrics { watched: api.reader.watched() })
}
