//! `GET /api/v1/restarts`: the ledger, newest first.

use std::borrow::Cow;
use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use whyd_signals::schema::Restart;
use whyd_signals::{Asked, Timestamp};

use super::query::{Checks, Raw, known};
use super::read_back::ReadBack;
use super::whose::Whose;
use super::{Api, problems};
use crate::access::Caller;
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::scope::Scope;
use crate::{cursor, dto};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RestartsQuery {
    /// Only of this team.
    team: Option<String>,
    /// Only of this namespace.
    namespace: Option<String>,
    /// Only of the pod of this name. Pods come and go: of one that is not known nothing is found, and that is no error.
    pod: Option<String>,
    /// Only of this workload: `cart`, `deploy/cart`, `Deployment/cart`, `team-shop/cart` or `team-shop/deploy/cart`; `pod/cart-1` is one pod.
    workload: Option<String>,
    /// Only with this cause.
    cause: Option<String>,
    /// Only what this incident holds, or its parts do; an id under which it was told before will do.
    incident_id: Option<String>,
    /// Only those that ended at this time or later. RFC 3339, or how long ago that was, as `90m`.
    since: Option<String>,
    /// Only those that ended at this time or before. RFC 3339, or how long ago that was, as `90m`.
    until: Option<String>,
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
    (status = 404, description = "no such team, namespace, workload or incident is known in what the caller may see", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 503, description = "the log is still being read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn restarts(
    State(api): State<Api>,
    Caller(access): Caller,
    _: ReadBack,
    query: Raw<RestartsQuery>,
) -> Result<Json<dto::Restarts>, Failure> {
    let query = known(query)?;
    let mut checks = Checks::at((api.clock)());
    let (since, until) = checks.range(query.since.as_deref(), query.until.as_deref());
    let limit = checks.limit(query.limit.as_deref());
    checks.cause(query.cause.as_deref());
    let after: Option<Place<'static>> = checks.cursor(query.cursor.as_deref());
    checks.done()?;

    let scope = Scope::new(&*api.reader, &access);
    let whose = Whose::new(query.team, query.namespace, query.workload);
    let pod = query.pod.as_deref().map(Asked::read);
    let wanted = |r: &Restart| {
        whose.fits(r.team.as_str(), &r.namespace, &r.workload, r.pod.as_deref().unwrap_or_default())
            && pod.as_ref().is_none_or(|asked| r.pod.as_ref().is_some_and(|pod| asked.is_pod(&r.namespace, pod)))
            && query.cause.as_ref().is_none_or(|c| r.cause == *c)
            && since.is_none_or(|since| when(r) >= since)
            && until.is_none_or(|until| when(r) <= until)
    };
    let mut rows = match &query.incident_id {
        Some(id) => {
            let none = || Failure::new(ErrorKind::NotFound, format!("no incident {id:?} is known in what you may see"));
            let mut rows = scope.rows_of(&*scope.incident_called(id).ok_or_else(none)?);
            rows.retain(|row| wanted(row));
            rows
        }
        None => scope.restarts(wanted),
    };
    if rows.is_empty() {
        whose.must_be_known(&scope, &api.reader.status())?;
    }
    rows.sort_by(|a, b| place(a).cmp(&place(b)));
    let (page, next) = cursor::page(&rows, after.as_ref(), limit, |r| place(r));
    let restarts = scope.rows(page);
    Ok(Json(dto::Restarts { restarts, next, problems: problems(&api.reader.status()) }))
}

/// When it happened: its end, or the nearest to it that is known.
pub(super) fn when(r: &Restart) -> Timestamp {
    r.finished_at.or(r.started_at).unwrap_or(r.seen_at)
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
