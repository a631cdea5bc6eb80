//! Answers: a message and the status behind it, or a status alone.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;

use crate::wire::otlp::{self, Code, Encoding, Signal};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// Where the Python exporter looks for it.
const RETRY_INFO: HeaderName = HeaderName::from_static("google.rpc.retryinfo-bin");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// Longer texts are cut, so that they fit a frame of headers.
const LONGEST: usize = 1024;

type Respond = SendResponse<Bytes>;

/// Stored, in part perhaps.
pub(super) fn accepted(respond: &mut Respond, signal: Signal, partial: Option<&(u64, String)>) {
    let partial = partial.map(|(rejected, why)| (*rejected, why.as_str()));
    let message = otlp::accepted(signal, Encoding::Proto, partial);
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    // a sender that has gone away does not matter
    let Ok(mut stream) = respond.send_response(head(StatusCode::OK), false) else { return };
    let _ = stream.send_data(framed.freeze(), false);
    let _ = stream.send_trailers(trailers);
}

/// Nothing was stored. What may be sent again says when.
pub(super) fn refused(respond: &mut Respond, code: Code, why: &str) {
    let why: String = why.chars().take(LONGEST).collect();
    let mut response = head(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(u16::from(code as u8)));
    if let Ok(text) = HeaderValue::from_str(&percent(&why)) {
        headers.insert(MESSAGE, text);
    }
    if code == Code::Unavailable {
        let binary = |bytes: &[u8]| HeaderValue::from_str(otlp::base64(bytes).trim_end_matches('='));
        let (status, info) = otlp::try_again(&why);
        for (name, value) in [(DETAILS, binary(&status)), (RETRY_INFO, binary(&info))] {
            if let Ok(value) = value {
                headers.insert(name, value);
            }
        }
    }
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    let _ = respond.send_response(response, true);
}

/// What is no request of gRPC has no status of gRPC either.
pub(super) fn not_grpc(respond: &mut Respond) {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let _ = respond.send_response(response, true);
}

fn head(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

/// A text as a header of gRPC has it: printable ASCII but for the percent sign, the rest escaped.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
