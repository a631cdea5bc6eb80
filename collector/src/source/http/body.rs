//! Reading a body under its limits. Every byte is accounted for at the inlet from the moment it is here.

use axum::extract::Request;
use axum::http::header;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use whyd_signals::sink::DecodeError;

use super::Refused;
use crate::Reply;
use crate::inlet::{Inlet, Room};
use crate::wire::gzip::Inflating;

/// Reads the whole body. A length over the limit is refused before anything is read.
pub(super) async fn read(request: Request, limit: usize, inlet: &Inlet) -> Result<(Room, Bytes), Refused> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok())
        .unwrap_or(0);
    if announced > limit as u64 {
        return Err(too_large(limit));
    }
    let mut room = inlet.receiving().map_err(Refused::Reply)?;
    let mut whole = BytesMut::new();
    let mut pieces = request.into_body().into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|e| Refused::Unreadable(format!("body ends early: {e}")))?;
        if whole.len() + piece.len() > limit {
            return Err(too_large(limit));
        }
        room.grow(piece.len()).map_err(Refused::Reply)?;
        whole.extend_from_slice(&piece);
    }
    room.finish();
    Ok((room, whole.freeze()))
}

/// Gunzips, letting other tasks run between the pieces.
pub(super) async fn inflate(body: Bytes, limit: usize, room: &mut Room) -> Result<Bytes, Refused> {
    let mut inflating = Inflating::new(body, limit);
    loop {
        let more = inflating.step().map_err(refused)?;
        if more == 0 {
            break;
        }
        room.grow(more).map_err(Refused::Reply)?;
        tokio::task::yield_now().await;
    }
    let inflated = inflating.finish();
    room.shrink_to(inflated.len());
    Ok(inflated)
}

/// The reply to a body that the door can already tell to be wrong.
pub(super) fn refused(error: DecodeError) -> Refused {
    Refused::Reply(match error {
        DecodeError::TooLarge { .. } => Reply::TooLarge(error.to_string()),
        DecodeError::Compression(reason) | DecodeError::Malformed(reason) => Reply::Invalid(reason),
    })
}

fn too_large(limit: usize) -> Refused {
    Refused::Reply(Reply::TooLarge(format!("body is over the limit of {limit} bytes")))
}
