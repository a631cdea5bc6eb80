//! `GET /livez` and `/readyz`, for the kubelet: open to all, and so without names.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};

use super::Api;
use crate::dto;
use crate::reader::Trouble;

/// Whether the process answers and can be of use again without a restart.
///
/// After the log failed it cannot: what is on the disk is only known by reading it back. The kubelet, or whoever else
/// asks, restarts it in its own time; until then it answers from what it knows and its metrics can be scraped. A full
/// disk is none of this: a restart makes no room.
#[utoipa::path(get, path = "/livez", tag = "health", security(()), responses(
    (status = 200, description = "it does", body = String, content_type = "text/plain"),
    (status = 503, description = "the log could not be written; restart it", body = String, content_type = "text/plain"),
))]
pub(super) async fn livez(State(api): State<Api>) -> (StatusCode, String) {
    match api.reader.status().trouble {
        Some(failed @ Trouble::LogFailed) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", failed.as_str())),
        _ => (StatusCode::OK, "ok\n".to_owned()),
    }
}

type Ready = (StatusCode, [(HeaderName, HeaderValue); 1], Json<dto::Readiness>);

/// Whether it can be asked, and how fresh its sources are.
///
/// A source that is not synced leaves it ready: one dead source never hides the others.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "the log has been read back and can be written", body = dto::Readiness),
    (status = 503, description = "the log is still being read back, is full or has failed, or the daemon is stopping", body = dto::Readiness),
))]
pub(super) async fn readyz(State(api): State<Api>) -> Ready {
    let status = api.reader.status();
    let sources = status
        .sources
        .iter()
        .map(|s| dto::Freshness { source: s.source.to_owned(), synced: s.synced, newest: s.newest })
        .collect();
    let because = match (status.stopping, status.replayed, status.trouble) {
        (true, ..) => Some("it is stopping"),
        (_, false, _) => Some("the log is still being read back"),
        (_, true, trouble) => trouble.map(Trouble::as_str),
    };
    let ready = because.is_none();
    let (code, name, value) = if ready {
        (StatusCode::OK, header::CACHE_CONTROL, "no-store")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, header::RETRY_AFTER, "1")
    };
    (
        code,
        [(name, HeaderValue::from_static(value))],
        Json(dto::Readiness {
            ready,
            because: because.map(str::to_owned),
            note: status.note.map(str::to_owned),
            sources,
        }),
    )
}
