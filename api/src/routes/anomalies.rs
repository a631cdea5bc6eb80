//! `GET /api/v1/anomalies`: what was unlike its own past, newest first.

use std::borrow::Cow;
use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use whyd_signals::schema::Anomaly;

use super::query::{Checks, Raw, known};
use super::restarts::same_workload;
use super::{Api, problems};
use crate::access::Caller;
use crate::problem::{Failure, ProblemDetails};
use crate::scope::Scope;
use crate::{cursor, dto};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AnomaliesQuery {
    /// Only of this namespace.
    namespace: Option<String>,
    /// Only of this workload, as `Kind/name` or `name`.
    workload: Option<String>,
    /// Only of the pod of this name.
    pod: Option<String>,
    /// Only of this metric.
    metric: Option<String>,
    /// Only those that went on at this time or later.
    #[param(format = DateTime)]
    since: Option<String>,
    /// How many at most, 1 to 1000; 100 if not given.
    #[param(value_type = Option<i32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// When, and whose, by namespace, workload, pod, container and metric; the score and the words tell apart what is of one of them at
/// one time.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place<'a>(Reverse<i64>, [Cow<'a, str>; 6], u64);

fn place(a: &Anomaly) -> Place<'_> {
    let whose = [&a.namespace, &a.workload, &a.pod, &a.container, &a.metric, &a.text];
    Place(Reverse(a.ts.nanos()), whose.map(|text| Cow::Borrowed(text.as_str())), a.score.to_bits())
}

/// What was unlike its own past, newest first: each once, from when it showed to when it was last seen to go on.
#[utoipa::path(get, path = "/api/v1/anomalies", tag = "api", params(AnomaliesQuery), responses(
    (status = 200, description = "a page of what is known", body = dto::Anomalies),
    (status = 400, description = "the query is not valid", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn anomalies(
    State(api): State<Api>,
    Caller(access): Caller,
    query: Raw<AnomaliesQuery>,
) -> Result<Json<dto::Anomalies>, Failure> {
    let query = known(query)?;
    let mut checks = Checks::default();
    let since = checks.time("since", query.since.as_deref());
    let limit = checks.limit(query.limit.as_deref());
    let after: Option<Place<'static>> = checks.cursor(query.cursor.as_deref());
    checks.done()?;

    let mut rows = Scope::new(&*api.reader, &access).anomalies();
    rows.retain(|a| {
        query.namespace.as_ref().is_none_or(|n| a.namespace == *n)
            && query.workload.as_ref().is_none_or(|w| same_workload(&a.workload, w))
            && query.pod.as_ref().is_none_or(|p| a.pod == *p)
            && query.metric.as_ref().is_none_or(|m| a.metric == *m)
            && since.is_none_or(|since| a.until >= since)
    });
    rows.sort_by(|a, b| place(a).cmp(&place(b)));
    let (page, next) = cursor::page(&rows, after.as_ref(), limit, |a| place(a));
    let anomalies = page.iter().map(|a| a.as_ref().into()).collect();
    Ok(Json(dto::Anomalies { anomalies, next, problems: problems(&api.reader.status()) }))
}
