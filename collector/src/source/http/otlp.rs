//! OTLP over HTTP: `POST /otlp/v1/metrics` and `/otlp/v1/logs`, on a port of their own without the first part.
//!
//! 200 stored, in part perhaps, as the answer says; 400, 413, 415 and 503 have a `google.rpc.Status` for a body.
//! Answers are written as the request is.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;

use super::{Receiver, Refused, media};
use crate::source::otlp::{self, Outcome};
use crate::wire::otlp::{Code, Encoding, Signal, accepted, status};

/// The routes below `prefix`.
pub(super) fn routes(prefix: &str) -> Router<Receiver> {
    Router::new().route(&format!("{prefix}/v1/metrics"), post(metrics)).route(&format!("{prefix}/v1/logs"), post(logs))
}

async fn metrics(State(receiver): State<Receiver>, request: Request) -> Response {
    export(&receiver, Signal::Metrics, request).await
}

async fn logs(State(receiver): State<Receiver>, request: Request) -> Response {
    export(&receiver, Signal::Logs, request).await
}

async fn export(receiver: &Receiver, signal: Signal, request: Request) -> Response {
    let (encoding, gzip) = match media::of_otlp(request.headers()) {
        Ok(read) => read,
        Err((encoding, reason)) => {
            let body = status(encoding, Code::InvalidArgument, &reason);
            return answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, encoding, body);
        }
    };
    let outcome = match receiver.receive(request, otlp::media(signal, encoding), gzip).await {
        Ok(reply) | Err(Refused::Reply(reply)) => Outcome::from(reply),
        Err(Refused::UnsupportedMedia(why) | Refused::Unreadable(why)) => Outcome::Refused(Code::InvalidArgument, why),
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
                Code::InvalidArgument | Code::Unimplemented => StatusCode::BAD_REQUEST,
            };
            let mut response = answer(http, encoding, status(encoding, code, &why));
            if code == Code::Unavailable {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response
        }
    }
}

fn answer(status: StatusCode, encoding: Encoding, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
    response
}
