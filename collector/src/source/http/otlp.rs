//! OTLP over HTTP: `POST /otlp/v1/metrics` and `/otlp/v1/logs`, on a port of their own without the first part.
//!
//! 200 stored, in part perhaps, as the answer says; 400, 401, 413, 415, 429 and 503 have a `google.rpc.Status` for a body.
//! Answers are written as the request is.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;

use super::{LATER, Receivers, Refused, SOON, challenge, later, media};
use crate::source::otlp::{self, Outcome};
use crate::wire::otlp::{Code, Encoding, Signal, accepted, status};

/// The routes below `prefix`.
pub(super) fn routes(prefix: &str) -> Router<Receivers> {
    Router::new().route(&format!("{prefix}/v1/metrics"), post(metrics)).route(&format!("{prefix}/v1/logs"), post(logs))
}

async fn metrics(State(receivers): State<Receivers>, request: Request) -> Response {
    export(&receivers, Signal::Metrics, request).await
}

async fn logs(State(receivers): State<Receivers>, request: Request) -> Response {
    export(&receivers, Signal::Logs, request).await
}

async fn export(receivers: &Receivers, signal: Signal, request: Request) -> Response {
    let (encoding, media) = match media::of_otlp(request.headers()) {
        Ok((encoding, gzip)) => (encoding, Ok((otlp::media(signal, encoding), gzip))),
        Err((encoding, reason)) => (encoding, Err(reason)),
    };
    let outcome = match receivers.take(request, media).await {
        Ok(reply) | Err(Refused::Reply(reply)) => Outcome::from(reply),
        Err(Refused::Unreadable(why)) => Outcome::Refused(Code::InvalidArgument, why),
        Err(Refused::UnsupportedMedia(why)) => {
            let body = status(encoding, Code::InvalidArgument, &why);
            return answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, encoding, body);
        }
        Err(Refused::Unauthorized(why)) => {
            let body = status(encoding, Code::Unauthenticated, why);
            return challenge(answer(StatusCode::UNAUTHORIZED, encoding, body));
        }
    };
    match outcome {
        Outcome::Accepted(partial) => {
            let partial = partial.as_ref().map(|(n, why)| (*n, why.as_str()));
            answer(StatusCode::OK, encoding, accepted(signal, encoding, partial))
        }
        Outcome::Refused(code, why) => {
            let http = match code {
                Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
                Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                Code::Unauthenticated => StatusCode::UNAUTHORIZED,
                Code::InvalidArgument | Code::Unimplemented => StatusCode::BAD_REQUEST,
            };
            let response = answer(http, encoding, status(encoding, code, &why));
            if code == Code::Unavailable { later(response, SOON) } else { response }
        }
        Outcome::OverQuota(why) => {
            let body = status(encoding, Code::ResourceExhausted, &why);
            later(answer(StatusCode::TOO_MANY_REQUESTS, encoding, body), LATER)
        }
    }
}

fn answer(status: StatusCode, encoding: Encoding, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
    response
}
