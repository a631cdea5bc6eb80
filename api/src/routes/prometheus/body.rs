//! The text of an answer in pieces: bounded while it is written, counted until it is sent.
//!
//! A piece takes its room before it is filled and gives it back when its last byte has gone to the socket, so what is
//! held for those who ask and do not read is bounded over all of them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::promql::{Error, Stop};

/// The most bytes that an answer may have.
pub(super) const MAX_ANSWER: usize = 32 << 20;
/// The most bytes that all answers together may hold that are written or not sent yet.
const MAX_UNSENT: usize = 128 << 20;
/// Bytes of a piece; what a connection buffers itself is not much more.
const PIECE: u16 = 32 << 10;

/// The room for what is not sent yet.
#[derive(Debug, Clone)]
pub(in crate::routes) struct Unsent(pub(super) Arc<Semaphore>);

impl Default for Unsent {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_UNSENT)))
    }
}

/// An answer that is being written. What goes beyond a bound is not kept; [`Text::check`] tells.
pub(in crate::routes) struct Text {
    unsent: Unsent,
    stop: Stop,
    pieces: VecDeque<Bytes>,
    last: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
    length: usize,
    refused: Option<Error>,
}

impl Text {
    pub(in crate::routes) fn new(unsent: Unsent, stop: Stop) -> Self {
        Self { unsent, stop, pieces: VecDeque::new(), last: Vec::new(), room: None, length: 0, refused: None }
    }

    /// # Errors
    /// When a bound is met, or nobody waits for the answer any more.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.refused.clone().map_or_else(|| self.stop.check(), Err)
    }

    pub(in crate::routes) fn push(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() && self.refused.is_none() {
            if self.room.is_none() || self.last.len() == usize::from(PIECE) {
                self.begins();
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(usize::from(PIECE) - self.last.len()));
            self.last.extend_from_slice(now);
            self.length += now.len();
            rest = later;
        }
    }

    fn begins(&mut self) {
        self.ends();
        if self.length >= MAX_ANSWER {
            self.refused = Some(Error::execution(format!(
                "the answer has more than {} MiB: ask for fewer series, by matchers or an aggregation, for a shorter \
                 range or for a longer step",
                MAX_ANSWER >> 20
            )));
            return;
        }
        match Arc::clone(&self.unsent.0).try_acquire_many_owned(PIECE.into()) {
            Ok(room) => {
                self.room = Some(room);
                self.last.reserve_exact(PIECE.into());
            }
            Err(_) => {
                self.refused = Some(Error::Unavailable(
                    "the answers that are not read yet by those who asked leave no room for another: try again later",
                ));
            }
        }
    }

    /// The last piece is whole; the room that it does not need is free.
    fn ends(&mut self) {
        let Some(mut room) = self.room.take() else { return };
        let mut bytes = std::mem::take(&mut self.last);
        bytes.shrink_to_fit();
        drop(room.split(usize::from(PIECE).saturating_sub(bytes.len())));
        self.pieces.push_back(Bytes::from_owner(Piece { bytes, _room: room }));
    }

    /// # Errors
    /// As [`Text::check`].
    pub(in crate::routes) fn finish(mut self) -> Result<Pieces, Error> {
        self.check()?;
        self.ends();
        Ok(Pieces { left: self.length as u64, pieces: self.pieces })
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

struct Piece {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body of an answer; each piece is gone when it is sent.
pub(in crate::routes) struct Pieces {
    pieces: VecDeque<Bytes>,
    left: u64,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.left -= piece.as_ref().map_or(0, |p| p.len() as u64);
        Poll::Ready(piece.map(|p| Ok(Frame::data(p))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn text(room: usize) -> (Unsent, Text) {
        let unsent = Unsent(Arc::new(Semaphore::new(room)));
        (unsent.clone(), Text::new(unsent, Stop::default()))
    }

    #[tokio::test]
    async fn room_is_taken_until_each_piece_is_sent() {
        let free = |unsent: &Unsent| unsent.0.available_permits();
        let (unsent, mut out) = text(200_000);
        out.push("é");
        out.push(&"x".repeat(99_998));
        let mut body = out.finish().unwrap();
        assert_eq!((free(&unsent), body.size_hint().exact()), (100_000, Some(100_000)));
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(free(&unsent), 100_000);
        drop(piece);
        assert_eq!(free(&unsent), 100_000 + usize::from(PIECE));
        // The others do not fit in what is left.
        let mut other = Text::new(unsent.clone(), Stop::default());
        other.push(&"x".repeat(150_000));
        assert!(matches!(other.check(), Err(Error::Unavailable(_))));
        assert!(matches!(other.finish(), Err(Error::Unavailable(_))));
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!(rest.len(), 100_000 - usize::from(PIECE));
        drop(rest);
        assert_eq!(free(&unsent), 200_000);
    }

    #[test]
    fn a_long_answer_is_refused_and_an_unwanted_one_ends() {
        let (unsent, mut out) = text(MAX_UNSENT);
        let mebibyte = "x".repeat(1 << 20);
        for _ in 0..32 {
            out.push(&mebibyte);
            out.check().unwrap();
        }
        out.push("x");
        let why = out.finish().map(|_| ()).unwrap_err();
        assert!(why.to_string().starts_with("the answer has more than 32 MiB: ask for fewer series"), "{why}");
        assert_eq!(unsent.0.available_permits(), MAX_UNSENT);
        let stop = Stop::default();
        let out = Text::new(unsent, stop.clone());
        stop.set();
        assert!(matches!(out.check(), Err(Error::Canceled(_))));
    }
}
