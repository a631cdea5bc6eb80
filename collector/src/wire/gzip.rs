//! Gzip with a cap on what comes out, a piece at a time so that a caller can bound, account for and yield between.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use whyd_signals::sink::DecodeError;

/// How many bytes one step gives at most.
const STEP: usize = 64 << 10;

/// An inflation under way.
#[derive(Debug)]
pub struct Inflating {
    from: MultiGzDecoder<std::io::Cursor<Bytes>>,
    out: Vec<u8>,
    limit: usize,
}

impl Inflating {
    /// Starts on `body`, of which at most `limit` bytes may come out.
    pub fn new(body: Bytes, limit: usize) -> Self {
        Self { from: MultiGzDecoder::new(std::io::Cursor::new(body)), out: Vec::new(), limit }
    }

    /// Inflates one piece more and says its size; 0 at the end.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] over the limit, [`DecodeError::Compression`] where the stream is broken.
    pub fn step(&mut self) -> Result<usize, DecodeError> {
        let before = self.out.len();
        let (from, out) = (&mut self.from, &mut self.out);
        from.take(STEP as u64)
            .read_to_end(out)
            .map_err(|e| DecodeError::Compression(format!("not a gzip stream: {e}")))?;
        if self.out.len() > self.limit {
            return Err(DecodeError::TooLarge { decoded: self.out.len() as u64, limit: self.limit as u64 });
        }
        Ok(self.out.len() - before)
    }

    /// What came out.
    pub fn finish(self) -> Bytes {
        Bytes::from(self.out)
    }
}

/// Inflates all of `body` at once.
///
/// # Errors
/// Those of [`Inflating::step`].
pub fn inflate(body: Bytes, limit: usize) -> Result<Bytes, DecodeError> {
    let mut inflating = Inflating::new(body, limit);
    while inflating.step()? > 0 {}
    Ok(inflating.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::io::Write;

    use super::*;

    fn deflate(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        Bytes::from(encoder.finish().unwrap())
    }

    #[test]
    fn inflates_up_to_the_limit() {
        let plain = vec![b'x'; 300_000];
        assert_eq!(inflate(deflate(&plain), 300_000).unwrap(), plain);
        assert!(matches!(inflate(deflate(&plain), 299_999), Err(DecodeError::TooLarge { .. })));
    }

    #[test]
    fn a_bomb_stops_a_step_after_the_limit() {
        let bomb = deflate(&vec![0; 50 << 20]);
        let mut inflating = Inflating::new(bomb, 1 << 20);
        while inflating.step().is_ok() {}
        assert!(inflating.out.capacity() <= 4 << 20, "{}", inflating.out.capacity());
    }

    #[test]
    fn truncation_is_an_error() {
        let body = deflate(b"a body that is long enough to be cut");
        for end in 0..body.len() {
            assert!(matches!(inflate(body.slice(..end), 1000), Err(DecodeError::Compression(_))), "{end}");
        }
    }
}
