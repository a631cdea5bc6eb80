//! `GET /api/v1/restarts`: the ledger, newest first.

use std::borrow::Cow;
use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use whyd_signals::Timestamp;
use whyd_signals::schema::Restart;

use super::query::{Checks, Raw, known};
use super::{Api, problems};
use crate::access::Caller;
use crate::problem::{Failure, ProblemDetails};
use crate::scope::Scope;
use crate::{cursor, dto};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RestartsQuery {
    /// Only of this namespace.
    namespace: Option<String>,
    /// Only of the pod of this name.
    pod: Option<String>,
    /// Only of this workload, as `Kind/name` or `name`.
    workload: Option<String>,
    /// Only with this cause.
    cause: Option<String>,
    /// Only those that ended at this time or later.
    #[param(format = DateTime)]
    since: Option<String>,
    /// How many at most, 1 to 1000; 100 if not given.
    #[param(value_type = Option<i32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// The restarts that are known, newest first.
#[utoipa::path(get, path = "/api/v1/restarts", tag = "api", params(RestartsQuery), responses(
    (status = 200, description = "a page of the ledger", body = dto::Restarts),
    (status = 400, description = "the query is not valid", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn restarts(
    State(api): State<Api>,
    Caller(access): Caller,
    query: Raw<RestartsQuery>,
) -> Result<Json<dto::Restarts>, Failure> {
    let query = known(query)?;
    let mut checks = Checks::default();
    let since = checks.time("since", query.since.as_deref());
    let limit = checks.limit(query.limit.as_deref());
    checks.cause(query.cause.as_deref());
    let after: Option<Place<'static>> = checks.cursor(query.cursor.as_deref());
    checks.done()?;

    let scope = Scope::new(&*api.reader, &access);
    let mut rows = scope.restarts(|r| {
        query.namespace.as_ref().is_none_or(|n| r.namespace == *n)
            && query.pod.as_ref().is_none_or(|p| r.pod.as_ref() == Some(p))
            && query.workload.as_ref().is_none_or(|w| same_workload(&r.workload, w))
            && query.cause.as_ref().is_none_or(|c| r.cause == *c)
            && since.is_none_or(|since| when(r) >= since)
    });
    rows.sort_by(|a, b| place(a).cmp(&place(b)));
    let (page, next) = cursor::page(&rows, after.as_ref(), limit, |r| place(r));
    let restarts = scope.rows(page);
    Ok(Json(dto::Restarts { restarts, next, problems: problems(&api.reader.status()) }))
}

/// When it happened: its end, or the nearest to it that is known.
pub(super) fn when(r: &Restart) -> Timestamp {
    r.finished_at.or(r.started_at).unwrap_or(r.seen_at)
}

/// Whether `name` names this workload, with or without its kind.
pub(super) fn same_workload(workload: &str, name: &str) -> bool {
    workload == name || workload.split_once('/').is_some_and(|(_, bare)| bare == name)
}

/// The order of the ledger, newest first; total, as the fields after the time identify the row.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place<'a> {
    at: Reverse<i64>,
    namespace: Cow<'a, str>,
    workload: Cow<'a, str>,
    pod: Cow<'a, str>,
    uid: Cow<'a, str>,
    container: Cow<'a, str>,
    instance: Cow<'a, str>,
    count: Option<i64>,
}

pub(super) fn place(r: &Restart) -> Place<'_> {
    fn text(field: &Option<String>) -> Cow<'_, str> {
        Cow::Borrowed(field.as_deref().unwrap_or_default())
    }
    Place {
        at: Reverse(when(r).nanos()),
        namespace: Cow::Borrowed(&r.namespace),
        workload: Cow::Borrowed(&r.workload),
        pod: text(&r.pod),
        uid: text(&r.pod_uid),
        container: text(&r.container),
        instance: Cow::Borrowed(&r.container_id),
        count: r.restart_count,
    }
}
