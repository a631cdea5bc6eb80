//! The receivers: Prometheus remote write, Loki push and OTLP, with the status codes their senders act on.
//!
//! What a body is, is decided here from its headers; nothing is decoded but gzip. Answers are one line of text.

mod body;
mod media;
mod otlp;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use whyd_signals::sink::Refusal;
use whyd_signals::{Compression, Envelope, Media, Source};

use crate::wire::inflate;
use crate::{Clock, Inlet, Reply, Written};

/// How large a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// As received.
    pub received: usize,
    /// Inflated. The core's decoders hold a body to [`inflate::LIMIT`] whatever is said here.
    pub inflated: usize,
    /// Of OTLP, as received and inflated.
    pub otlp: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { received: 16 << 20, inflated: inflate::LIMIT, otlp: OTLP_LIMIT }
    }
}

/// The largest body of OTLP that a receiver takes by its own specification.
pub const OTLP_LIMIT: usize = 20 << 20;

#[derive(Clone)]
struct Receiver {
    inlet: Inlet,
    limits: BodyLimits,
    clock: Clock,
}

/// The receivers' routes: `POST /api/v1/write`, `POST /loki/api/v1/push`, `POST /otlp/v1/metrics`, `POST /otlp/v1/logs`
/// and `GET /ready`.
///
/// But for OTLP, 204 stored; 202 of a replica whose twin's samples are stored; 400 unreadable, or partly refused (the good
/// rows are stored); 413 too large; 415 not a known media
/// type; 503 with `Retry-After` when nothing was stored and the sender should try again.
pub fn router(inlet: Inlet, limits: BodyLimits, clock: Clock) -> Router {
    Router::new()
        .route("/api/v1/write", post(write).get(handshake))
        .route("/loki/api/v1/push", post(push))
        .route("/ready", get(ready))
        .merge(otlp::routes("/otlp"))
        .with_state(Receiver { inlet, limits, clock })
}

/// The routes of a port for OTLP alone: `POST /v1/metrics` and `POST /v1/logs`.
pub fn otlp_router(inlet: Inlet, limits: BodyLimits, clock: Clock) -> Router {
    otlp::routes("").with_state(Receiver { inlet, limits, clock })
}

/// An answer before the core is asked.
#[derive(Debug)]
enum Refused {
    UnsupportedMedia(String),
    /// The sender went away or broke the protocol below the body.
    Unreadable(String),
    Reply(Reply),
}

/// Older agents of VictoriaMetrics ask for their own version of remote write, 1.0 in zstd, before they use it; newer ones
/// just try. Nothing else is to be got here.
async fn handshake(RawQuery(query): RawQuery) -> Response {
    if asks_for_version(query.as_deref()) { (StatusCode::OK, "1").into_response() } else { only_post() }
}

fn asks_for_version(query: Option<&str>) -> bool {
    query.is_some_and(|q| q.split('&').any(|p| p.starts_with("get_vm_proto_version=")))
}

fn only_post() -> Response {
    let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn write(State(receiver): State<Receiver>, RawQuery(query): RawQuery, request: Request) -> Response {
    if asks_for_version(query.as_deref()) {
        return (StatusCode::OK, "1").into_response();
    }
    let outcome = match media::of_write(request.headers()) {
        Ok(media) => receiver.receive(request, media, false).await,
        Err(reason) => Err(Refused::UnsupportedMedia(reason)),
    };
    let written = match &outcome {
        Ok(Reply::Stored(written) | Reply::Partial { written, .. }) => *written,
        _ => Written::default(),
    };
    let mut response = answer(outcome, "samples");
    // senders take a missing header for failure, so it is on every answer
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", written.rows),
        ("x-prometheus-remote-write-histograms-written", written.histograms),
        ("x-prometheus-remote-write-exemplars-written", written.exemplars),
    ] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
    }
    response
}

async fn push(State(receiver): State<Receiver>, request: Request) -> Response {
    let outcome = match media::of_push(request.headers()) {
        Ok((media, gzip)) => receiver.receive(request, media, gzip).await,
        Err(reason) => Err(Refused::UnsupportedMedia(reason)),
    };
    answer(outcome, "lines")
}

async fn ready(State(receiver): State<Receiver>) -> Response {
    if receiver.inlet.is_closed() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    (StatusCode::OK, "ready\n").into_response()
}

impl Receiver {
    async fn receive(&self, request: Request, media: Media, gzip: bool) -> Result<Reply, Refused> {
        let (received, inflated) = match media.source() {
            Source::Otlp => (self.limits.otlp, self.limits.otlp),
            _ => (self.limits.received, self.limits.inflated),
        };
        let (mut room, mut body) = body::read(request, received, &self.inlet).await?;
        if gzip {
            body = body::inflate(body, inflated, &mut room).await?;
        } else {
            let compression = match media {
                Media::RemoteWrite1(compression) | Media::RemoteWrite2(compression) => Some(compression),
                Media::LokiProto => Some(Compression::Snappy),
                _ => None,
            };
            if let Some(compression) = compression {
                inflate::decoded_len(&body, compression, inflated).map_err(body::refused)?;
            }
        }
        let envelope = Envelope { received: (self.clock)(), media, tenant: None, body };
        Ok(self.inlet.send_in(room, envelope).await)
    }
}

fn answer(outcome: Result<Reply, Refused>, rows: &str) -> Response {
    let reply = match outcome {
        Ok(reply) | Err(Refused::Reply(reply)) => reply,
        Err(Refused::UnsupportedMedia(reason)) => return line(StatusCode::UNSUPPORTED_MEDIA_TYPE, &reason),
        Err(Refused::Unreadable(reason)) => return line(StatusCode::BAD_REQUEST, &reason),
    };
    match reply {
        Reply::Stored(Written { deduplicated: 1.., .. }) => StatusCode::ACCEPTED.into_response(),
        Reply::Stored(_) => StatusCode::NO_CONTENT.into_response(),
        Reply::Partial { written, refused, .. } => {
            let stored = written.rows - written.deduplicated;
            line(StatusCode::BAD_REQUEST, &format!("{stored} {rows} stored, refused: {}", reasons(&refused)))
        }
        Reply::Invalid(reason) => line(StatusCode::BAD_REQUEST, &reason),
        Reply::TooLarge(reason) => line(StatusCode::PAYLOAD_TOO_LARGE, &reason),
        Reply::Overloaded(reason) => {
            let mut response = line(StatusCode::SERVICE_UNAVAILABLE, &reason);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

fn reasons(refused: &BTreeMap<Refusal, u64>) -> String {
    let mut text = String::new();
    for (why, count) in refused {
        let comma = if text.is_empty() { "" } else { ", " };
        // writing to a string cannot fail
        let _ = write!(text, "{comma}{} {count}", why.as_str());
    }
    text
}

fn line(status: StatusCode, text: &str) -> Response {
    (status, format!("{}\n", text.replace(['\n', '\r'], " "))).into_response()
}

#[cfg(test)]
mod tests;
