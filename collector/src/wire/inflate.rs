//! Inflating a body of remote write, whichever way it is compressed, into a buffer that is used again.

use whyd_signals::Compression;
use whyd_signals::sink::DecodeError;

use super::{snappy, zstd};

/// How large a body may be once inflated.
pub const LIMIT: usize = snappy::DEFAULT_LIMIT;

/// What is used again from body to body.
#[derive(Default)]
pub struct Inflater {
    out: Vec<u8>,
    zstd: zstd::Decoder,
}

impl Inflater {
    /// The inflated body, of at most [`LIMIT`] bytes.
    ///
    /// # Errors
    /// Those of [`snappy::inflate`] and [`zstd::Decoder::inflate`].
    pub fn inflate(&mut self, body: &[u8], compression: Compression) -> Result<&[u8], DecodeError> {
        match compression {
            Compression::Snappy => snappy::inflate(body, LIMIT, &mut self.out),
            Compression::Zstd => self.zstd.inflate(body, LIMIT, &mut self.out),
        }
    }

    /// The buffer, for formats that are snappy alone.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

/// How large the body says it becomes at most, checked before anything is allocated.
///
/// # Errors
/// Those of [`snappy::decoded_len`] and [`zstd::decoded_len`].
pub fn decoded_len(body: &[u8], compression: Compression, limit: usize) -> Result<usize, DecodeError> {
    match compression {
        Compression::Snappy => snappy::decoded_len(body, limit),
        Compression::Zstd => zstd::decoded_len(body, limit),
    }
}
