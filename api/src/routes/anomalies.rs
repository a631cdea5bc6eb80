//! `GET /api/v1/anomalies`: what was unlike its own past, newest first.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use whyd_signals::Asked;
use whyd_signals::schema::Anomaly;

use super::query::{Checks, Raw, known};
use super::read_back::ReadBack;
use super::whose::Whose;
use super::{Api, problems};
use crate::access::Caller;
use crate::problem::{Failure, ProblemDetails};
use crate::scope::Scope;
use crate::{cursor, dto};

/// What was seen to go on so lately goes on, as far as anybody knows: `whyd_anomaly_score` shows it for as long.
const LATELY: Duration = Duration::from_secs(300);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AnomaliesQuery {
    /// Only of this team.
    team: Option<String>,
    /// Only of this namespace.
    namespace: Option<String>,
    /// Only of this workload: `cart`, `deploy/cart`, `Deployment/cart`, `team-shop/cart` or `team-shop/deploy/cart`; `pod/cart-1` is one pod.
    workload: Option<String>,
    /// Only of the pod of this name. Pods come and go: of one that is not known nothing is found, and that is no error.
    pod: Option<String>,
    /// Only of this metric.
    metric: Option<String>,
    /// Only those with this score or a higher one; above 1 is anomalous.
    #[param(value_type = Option<f64>, minimum = 0)]
    min_score: Option<String>,
    /// `true`: only those that were seen to go on in the last five minutes; `false`: only the others.
    #[param(value_type = Option<bool>)]
    ongoing: Option<String>,
    /// Only those that went on at this time or later. RFC 3339, or how long ago that was, as `90m`.
    since: Option<String>,
    /// Only those that showed at this time or before. RFC 3339, or how long ago that was, as `90m`.
    until: Option<String>,
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
    (status = 404, description = "no such team, namespace or workload is known in what the caller may see", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 503, description = "the log is still being read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn anomalies(
    State(api): State<Api>,
    Caller(access): Caller,
    _: ReadBack,
    query: Raw<AnomaliesQuery>,
) -> Result<Json<dto::Anomalies>, Failure> {
    let query = known(query)?;
    let mut checks = Checks::at((api.clock)());
    let (since, until) = checks.range(query.since.as_deref(), query.until.as_deref());
    let least = checks.score("min_score", query.min_score.as_deref());
    let ongoing = checks.truth("ongoing", query.ongoing.as_deref());
    let limit = checks.limit(query.limit.as_deref());
    let after: Option<Place<'static>> = checks.cursor(query.cursor.as_deref());
    checks.done()?;

    let scope = Scope::new(&*api.reader, &access);
    let whose = Whose::new(query.team, query.namespace, query.workload);
    let pod = query.pod.as_deref().map(Asked::read);
    let lately = (api.clock)().minus(LATELY);
    let mut rows = scope.anomalies();
    rows.retain(|a| {
        whose.fits(a.team.as_str(), &a.namespace, &a.workload, &a.pod)
            && pod.as_ref().is_none_or(|asked| asked.is_pod(&a.namespace, &a.pod))
            && query.metric.as_ref().is_none_or(|m| a.metric == *m)
            && least.is_none_or(|least| a.score >= least)
            && ongoing.is_none_or(|ongoing| (a.until >= lately) == ongoing)
            && since.is_none_or(|since| a.until >= since)
            && until.is_none_or(|until| a.ts <= until)
    });
    if rows.is_empty() {
        whose.must_be_known(&scope, &api.reader.status())?;
    }
    rows.sort_by(|a, b| place(a).cmp(&place(b)));
    let (page, next) = cursor::page(&rows, after.as_ref(), limit, |a| place(a));
    let anomalies = page.iter().map(|a| a.as_ref().into()).collect();
    Ok(Json(dto::Anomalies { anomalies, next, problems: problems(&api.reader.status()) }))
}
