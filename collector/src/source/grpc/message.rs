//! Reading the one message of a request under its limits. Every byte is accounted for at the inlet from the moment it
//! is here.

use std::time::Duration;

use axum::http::Request;
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use tokio::time::{Instant, timeout_at};
use whyd_signals::sink::DecodeError;

use super::LIMIT;
use crate::inlet::{Inlet, Room};
use crate::source::otlp::Outcome;
use crate::wire::gzip::Inflating;
use crate::wire::otlp::Code;

/// Whether it is compressed, and how long it is.
const PREFIX: usize = 5;
/// Bytes that buy a message another second.
const RATE: f64 = 128.0 * 1024.0;

fn invalid(why: impl Into<String>) -> Outcome {
    Outcome::Refused(Code::InvalidArgument, why.into())
}

fn too_large(bytes: usize) -> Outcome {
    Outcome::Refused(Code::ResourceExhausted, format!("message of {bytes} bytes is over the limit of {LIMIT}"))
}

/// Reads the whole message, of which each piece has to come within `idle`, and all of it, but for what its bytes buy. A length over the limit is refused before
/// anything is kept.
pub(super) async fn read(
    request: Request<RecvStream>,
    inlet: &Inlet,
    idle: Duration,
) -> Result<(Room, Bytes), Outcome> {
    let encoding = match request.headers().get("grpc-encoding").map(|v| v.as_bytes()) {
        None | Some(b"identity") => None,
        Some(b"gzip") => Some(()),
        Some(other) => {
            let name = String::from_utf8_lossy(other);
            return Err(Outcome::Refused(
                Code::Unimplemented,
                format!("grpc-encoding {name:?}: send identity or gzip"),
            ));
        }
    };
    let mut body = request.into_body();
    let mut room = inlet.receiving().map_err(Outcome::from)?;
    let mut whole = BytesMut::new();
    let mut expected = None;
    let stalled = |_| Outcome::Refused(Code::Unavailable, "the message did not go on in time".into());
    let mut paid = Instant::now() + idle;
    while let Some(piece) = timeout_at(paid, body.data()).await.map_err(stalled)? {
        let piece = piece.map_err(|e| invalid(format!("message ends early: {e}")))?;
        paid = (paid + Duration::from_secs_f64(piece.len() as f64 / RATE)).min(Instant::now() + idle);
        let _ = body.flow_control().release_capacity(piece.len());
        room.grow(piece.len()).map_err(Outcome::from)?;
        whole.extend_from_slice(&piece);
        if expected.is_none()
            && let Some((_, length)) = prefix(&whole)
        {
            if length > LIMIT {
                return Err(too_large(length));
            }
            expected = Some(PREFIX + length);
        }
        if whole.len() > expected.unwrap_or(PREFIX) {
            return Err(invalid("more than one message in a request that takes one"));
        }
    }
    let Some((compressed, _)) = prefix(&whole) else { return Err(invalid("a request without a message")) };
    if Some(whole.len()) != expected {
        return Err(invalid("message ends early"));
    }
    room.finish();
    let message = whole.split_off(PREFIX).freeze();
    match (compressed, encoding) {
        (false, _) => Ok((room, message)),
        (true, Some(())) => inflate(message, room).await,
        (true, None) => Err(invalid("a compressed message without grpc-encoding")),
    }
}

/// Whether the message is compressed and how long it is, once that much is known.
fn prefix(whole: &[u8]) -> Option<(bool, usize)> {
    let (prefix, _) = whole.split_first_chunk::<PREFIX>()?;
    let [compressed, length @ ..] = *prefix;
    Some((compressed != 0, u32::from_be_bytes(length) as usize))
}

async fn inflate(message: Bytes, mut room: Room) -> Result<(Room, Bytes), Outcome> {
    let mut inflating = Inflating::new(message, LIMIT);
    loop {
        let more = inflating.step().map_err(|e| match e {
            DecodeError::TooLarge { .. } => Outcome::Refused(Code::ResourceExhausted, e.to_string()),
            _ => invalid(e.to_string()),
        })?;
        if more == 0 {
            break;
        }
        room.grow(more).map_err(Outcome::from)?;
        tokio::task::yield_now().await;
    }
    let inflated = inflating.finish();
    room.shrink_to(inflated.len());
    Ok((room, inflated))
}
