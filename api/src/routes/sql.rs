//! `/api/v1/sql`: one read-only query over the tables that the caller may see.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{Method, header};
use axum::response::Response;
use serde::Deserialize;

use super::in_turn::{LONGEST_WAIT, turn};
use super::prometheus::{Stop, Text, whole};
use super::read_back::ReadBack;
use super::{Api, problems};
use crate::access::Caller;
use crate::dto;
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::sql::SqlRefusal;

/// Bytes that a request may have.
const MAX_BYTES: usize = 256 << 10;

/// The query of a request: of a GET the parameter `query`; of a POST a form with it, JSON with it, or else the body itself.
pub(super) struct Query(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    query: String,
}

impl<S: Send + Sync> FromRequest<S> for Query {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bad = |detail: String| Failure::new(ErrorKind::InvalidQuery, detail);
        let (parts, body) = request.into_parts();
        let of_form = |form: &[u8]| {
            form_urlencoded::parse(form).find(|(name, _)| name == "query").map(|(_, value)| value.into_owned())
        };
        let found = if parts.method == Method::POST {
            let body = to_bytes(body, MAX_BYTES).await;
            let body = body.map_err(|_| bad(format!("a query must come whole and have at most {MAX_BYTES} bytes")))?;
            let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            let text =
                || std::str::from_utf8(&body).map(str::to_owned).map_err(|_| bad("the query is no UTF-8".into()));
            if kind.starts_with("application/json") {
                let asked: Asked = serde_json::from_slice(&body)
                    .map_err(|why| bad(format!("the body must be {{\"query\": \"SELECT ...\"}}: {why}")))?;
                Some(asked.query)
            } else if kind.starts_with("application/x-www-form-urlencoded") {
                // `curl -d` says that it sends a form whatever it sends.
                Some(of_form(&body).map_or_else(text, Ok)?)
            } else {
                Some(text()?)
            }
        } else {
            of_form(parts.uri.query().unwrap_or_default().as_bytes())
        };
        let query = found.filter(|query| !query.trim().is_empty());
        query.map(Self).ok_or_else(|| bad("query is needed, such as SELECT * FROM restarts".to_owned()))
    }
}

/// One SELECT, EXPLAIN, SHOW TABLES or DESCRIBE over the tables that the caller may see. POST takes the query as the body, as a form or as JSON.
#[utoipa::path(get, path = "/api/v1/sql", tag = "api", params(
    ("query" = String, Query, description = "one SELECT, EXPLAIN, SHOW TABLES or DESCRIBE of a table"),
), responses(
    (status = 200, description = "the rows", body = dto::SqlAnswer),
    (status = 400, description = "the query is not valid or not allowed", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 422, description = "it failed, or is over a limit of time, rows, bytes or memory", body = ProblemDetails,
        content_type = "application/problem+json"),
    (status = 503, description = "too many queries wait, or the log is still being read back", body = ProblemDetails,
        content_type = "application/problem+json"),
))]
pub(super) async fn sql(
    State(api): State<Api>,
    Caller(access): Caller,
    _: ReadBack,
    Query(query): Query,
) -> Result<Response, Failure> {
    let Some(engine) = &api.sql else {
        return Err(Failure::new(ErrorKind::NoSuchRoute, "no SQL is answered here"));
    };
    let turn = turn(&api, &access, LONGEST_WAIT).await?;
    let answer = engine.answer(&access, query, Box::new(turn)).await.map_err(|why| match why {
        SqlRefusal::Invalid(detail) => Failure::new(ErrorKind::InvalidQuery, detail),
        SqlRefusal::Limit(detail) => Failure::new(ErrorKind::QueryLimit, detail),
        SqlRefusal::Failed(detail) => Failure::new(ErrorKind::QueryFailed, detail),
    })?;
    let mut out = Text::new(api.turns.unsent(), Stop::default());
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    out.push("{\"columns\":");
    out.push(&json(serde_json::to_string(&answer.columns)));
    out.push(",\"rows\":");
    out.push(&answer.rows);
    out.push(",\"problems\":");
    out.push(&json(serde_json::to_string(&problems(&api.reader.status()))));
    out.push("}\n");
    let pieces = out.finish().map_err(|why| Failure::new(ErrorKind::Overloaded, why.to_string()))?;
    Ok(whole(pieces))
}
