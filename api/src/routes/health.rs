//! `GET /livez` and `/readyz`, for the kubelet: open to all, and so without names.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};

use super::Api;
use crate::dto;

/// Whether the process answers.
#[utoipa::path(get, path = "/livez", tag = "health", security(()), responses(
    (status = 200, description = "it does", body = String, content_type = "text/plain"),
))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

type Ready = (StatusCode, [(HeaderName, HeaderValue); 1], Json<dto::Readiness>);

/// Whether it can be asked, and how fresh its sources are.
///
/// A source that is not synced leaves it ready: one dead source never hides the others.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "the log has been read back", body = dto::Readiness),
    (status = 503, description = "the log is still being read back", body = dto::Readiness),
))]
pub(super) async fn readyz(State(api): State<Api>) -> Ready {
    let status = api.reader.status();
    let sources = status
        .sources
        .iter()
        .map(|s| dto::Freshness { source: s.source.to_owned(), synced: s.synced, newest: s.newest })
        .collect();
    let (code, name, value) = if status.replayed {
        (StatusCode::OK, header::CACHE_CONTROL, "no-store")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, header::RETRY_AFTER, "1")
    };
    (code, [(name, HeaderValue::from_static(value))], Json(dto::Readiness { ready: status.replayed, sources }))
}
