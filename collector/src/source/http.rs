//! The receivers: Prometheus remote write, Loki push, OTLP and the webhook of an Alertmanager, with the status codes their
//! senders act on.
//!
//! What a body is, is decided here from its headers; nothing is decoded but gzip, and what was refused for its labels once more.
//! Answers are one line of text.

mod body;
mod media;
mod otlp;
mod over;
mod webhook;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use whyd_signals::sink::Refusal;
use whyd_signals::{Compression, Envelope, Media, Source};

pub use self::over::LabelLimits;
use super::gate::{Gate, TurnedAway};
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
    /// What the core holds labels to, for the words of a refusal.
    pub labels: LabelLimits,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { received: 16 << 20, inflated: inflate::LIMIT, otlp: OTLP_LIMIT, labels: LabelLimits::default() }
    }
}

/// The largest body of OTLP that a receiver takes by its own specification.
pub const OTLP_LIMIT: usize = 20 << 20;

/// What every route is given.
#[derive(Clone)]
pub struct Receivers {
    /// Where bodies go.
    pub inlet: Inlet,
    /// Who may send them.
    pub gate: Gate,
    /// How large they may be.
    pub limits: BodyLimits,
    /// When they came.
    pub clock: Clock,
}

/// The receivers' routes: `POST /api/v1/write`, `POST /loki/api/v1/push`, `POST /otlp/v1/metrics`, `POST /otlp/v1/logs`,
/// `POST /api/v1/alerts/webhook` and `GET /ready`.
///
/// But for OTLP, 204 stored; 202 of a replica whose twin's samples are stored; 400 unreadable, or partly refused (the good
/// rows are stored); 401 without the token of senders; 413 too large; 415 not a known media type; 429 with `Retry-After`
/// when all of it was over a team's quota; 503 with `Retry-After` when nothing was stored and the sender should try again.
pub fn router(receivers: Receivers) -> Router {
    Router::new()
        .route("/api/v1/write", post(write).get(handshake))
        .route("/loki/api/v1/push", post(push))
        .route("/api/v1/alerts/webhook", post(webhook::alerts))
        .route("/ready", get(ready))
        .merge(otlp::routes("/otlp"))
        .with_state(receivers)
}

/// The routes of a port for OTLP alone: `POST /v1/metrics` and `POST /v1/logs`.
pub fn otlp_router(receivers: Receivers) -> Router {
    otlp::routes("").with_state(receivers)
}

/// An answer before the core is asked.
#[derive(Debug)]
enum Refused {
    Unauthorized(&'static str),
    UnsupportedMedia(String),
    /// The sender went away or broke the protocol below the body.
    Unreadable(String),
    Reply(Reply),
}

/// Older agents of VictoriaMetrics ask for their own version of remote write, 1.0 in zstd, before they use it; newer ones
/// just try. Nothing else is to be got here.
async fn handshake(State(receivers): State<Receivers>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    if let Err(why) = receivers.admit(&headers) {
        return answer(Err(why), "samples");
    }
    if asks_for_version(query.as_deref()) { (StatusCode::OK, "1").into_response() } else { only_post() }
}

fn asks_for_version(query: Option<&str>) -> bool {
    query.is_some_and(|q| q.split('&').any(|p| p.starts_with("get_vm_proto_version=")))
}

fn only_post() -> Response {
    let mut response = (StatusCode::METHOD_NOT_ALLOWED, "this takes POST alone\n").into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn write(State(receivers): State<Receivers>, RawQuery(query): RawQuery, request: Request) -> Response {
    if asks_for_version(query.as_deref()) {
        return handshake(State(receivers), RawQuery(query), request.into_parts().0.headers).await;
    }
    let media = media::of_write(request.headers()).map(|media| (media, false));
    let counted = !matches!(media, Ok((Media::RemoteWrite1(_), _)));
    let mut named = String::new();
    let outcome = receivers.take_naming(request, media, &mut named).await;
    let written = match &outcome {
        Ok(Reply::Stored(written) | Reply::Partial { written, .. }) => *written,
        _ => Written::default(),
    };
    let mut response = answer_naming(outcome, "samples", &named);
    // Senders of 2.0 take a missing header for failure, so it is on every answer; to one of 1.0 it says that the server
    // took its body for 2.0.
    if !counted {
        return response;
    }
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", written.rows),
        ("x-prometheus-remote-write-histograms-written", written.histograms),
        ("x-prometheus-remote-write-exemplars-written", written.exemplars),
    ] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
    }
    response
}

async fn push(State(receivers): State<Receivers>, request: Request) -> Response {
    let media = media::of_push(request.headers());
    let mut named = String::new();
    let outcome = receivers.take_naming(request, media, &mut named).await;
    answer_naming(outcome, "lines", &named)
}

async fn ready(State(receivers): State<Receivers>) -> Response {
    if receivers.inlet.is_closed() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    if let Some(why) = receivers.inlet.held() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    }
    (StatusCode::OK, "ready\n").into_response()
}

impl Receivers {
    fn admit(&self, headers: &HeaderMap) -> Result<(), Refused> {
        self.gate.admit(headers).map_err(|why| {
            self.gate.note(TurnedAway::Unauthorized);
            Refused::Unauthorized(why)
        })
    }

    /// Takes a body of this media, gunzipped first where that is said too; counts it where it is turned away.
    async fn take(&self, request: Request, media: Result<(Media, bool), String>) -> Result<Reply, Refused> {
        self.take_naming(request, media, &mut String::new()).await
    }

    /// The same, and where labels were over a limit which ones.
    async fn take_naming(
        &self,
        request: Request,
        media: Result<(Media, bool), String>,
        named: &mut String,
    ) -> Result<Reply, Refused> {
        self.admit(request.headers())?;
        let outcome = match media {
            Ok((media, gzip)) => self.receive(request, media, gzip, named).await,
            Err(reason) => Err(Refused::UnsupportedMedia(reason)),
        };
        let turned_away = match &outcome {
            Ok(reply) | Err(Refused::Reply(reply)) => reply.turned_away(),
            Err(Refused::Unauthorized(_)) => Some(TurnedAway::Unauthorized),
            Err(Refused::UnsupportedMedia(_)) => Some(TurnedAway::UnsupportedMedia),
            Err(Refused::Unreadable(_)) => Some(TurnedAway::CutOff),
        };
        if let Some(why) = turned_away {
            self.gate.note(why);
        }
        outcome
    }

    async fn receive(&self, request: Request, media: Media, gzip: bool, named: &mut String) -> Result<Reply, Refused> {
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
        let again = (body.len() <= over::MOST).then(|| body.clone());
        let envelope = Envelope { received: (self.clock)(), media, tenant: None, body };
        let reply = self.inlet.send_in(room, envelope).await;
        if let Reply::Partial { refused, .. } = &reply
            && refused.contains_key(&Refusal::LabelLimit)
        {
            *named = over::words(again.as_ref(), media, self.limits.labels);
        }
        Ok(reply)
    }
}

fn answer(outcome: Result<Reply, Refused>, rows: &str) -> Response {
    answer_naming(outcome, rows, "")
}

fn answer_naming(outcome: Result<Reply, Refused>, rows: &str, named: &str) -> Response {
    let reply = match outcome {
        Ok(reply) | Err(Refused::Reply(reply)) => reply,
        Err(Refused::UnsupportedMedia(reason)) => return line(StatusCode::UNSUPPORTED_MEDIA_TYPE, &reason),
        Err(Refused::Unreadable(reason)) => return line(StatusCode::BAD_REQUEST, &reason),
        Err(Refused::Unauthorized(reason)) => return challenge(line(StatusCode::UNAUTHORIZED, reason)),
    };
    match reply {
        Reply::Stored(Written { deduplicated: 1.., .. }) => StatusCode::ACCEPTED.into_response(),
        Reply::Stored(_) => StatusCode::NO_CONTENT.into_response(),
        Reply::Partial { written, refused, .. } => {
            let stored = written.rows - written.deduplicated;
            let reasons = reasons_naming(&refused, named);
            line(StatusCode::BAD_REQUEST, &format!("{stored} {rows} stored, refused: {reasons}"))
        }
        Reply::Invalid(reason) => line(StatusCode::BAD_REQUEST, &reason),
        Reply::TooLarge(reason) => line(StatusCode::PAYLOAD_TOO_LARGE, &reason),
        Reply::Overloaded(reason) => later(line(StatusCode::SERVICE_UNAVAILABLE, &reason), SOON),
        Reply::OverQuota(reason) => later(line(StatusCode::TOO_MANY_REQUESTS, &reason), LATER),
    }
}

/// Seconds after which what we had no room for may be sent again.
const SOON: HeaderValue = HeaderValue::from_static("1");
/// And what a team's quota had none for: that is given back when series are forgotten.
const LATER: HeaderValue = HeaderValue::from_static("60");

fn later(mut response: Response, after: HeaderValue) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, after);
    response
}

fn challenge(mut response: Response) -> Response {
    let bearer = HeaderValue::from_static("Bearer realm=\"whyd\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    response
}

/// What a sender most often did not expect.
fn means(why: Refusal) -> &'static str {
    match why {
        Refusal::TooOld => {
            " (more than limits.lateness behind the newest of the series or stream, and behind the clock)"
        }
        Refusal::TooNew => " (more than limits.lateness ahead of the clock)",
        Refusal::WrongUnit => {
            " (these times are of now, but not in nanoseconds: multiply seconds by 1000000000, milliseconds by 1000000, microseconds by 1000)"
        }
        _ => "",
    }
}

fn reasons(refused: &BTreeMap<Refusal, u64>) -> String {
    reasons_naming(refused, "")
}

/// The reasons, and beside that of labels which they were.
fn reasons_naming(refused: &BTreeMap<Refusal, u64>, named: &str) -> String {
    let mut text = String::new();
    for (why, count) in refused {
        let comma = if text.is_empty() { "" } else { ", " };
        // writing to a string cannot fail
        let _ = write!(text, "{comma}{} {count}{}", why.as_str(), means(*why));
        if *why == Refusal::LabelLimit && !named.is_empty() {
            let _ = write!(text, " ({named})");
        }
    }
    text
}

fn line(status: StatusCode, text: &str) -> Response {
    (status, format!("{}\n", text.replace(['\n', '\r'], " "))).into_response()
}

#[cfg(test)]
mod tests;
