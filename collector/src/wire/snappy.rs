//! The snappy block format, as remote write and Loki push use it (not the framed one).

use snap::raw;
use whyd_signals::sink::DecodeError;

/// How large a body may be once inflated, if nothing else is configured.
pub const DEFAULT_LIMIT: usize = 32 << 20;

/// The densest element of the format: a copy of 64 bytes said in three.
const BYTES_PER_THREE: u64 = 64;

/// What the header says the inflated size is, checked before anything is allocated.
///
/// # Errors
/// [`DecodeError::TooLarge`] over `limit`; [`DecodeError::Compression`] where there is no header, or where a body
/// this short cannot possibly inflate to what its header says.
pub fn decoded_len(body: &[u8], limit: usize) -> Result<usize, DecodeError> {
    if body.is_empty() {
        return Err(DecodeError::Compression("not a snappy block: empty body".into()));
    }
    let decoded = raw::decompress_len(body).map_err(broken)?;
    if decoded > limit {
        return Err(DecodeError::TooLarge { decoded: decoded as u64, limit: limit as u64 });
    }
    if decoded as u64 > body.len() as u64 * BYTES_PER_THREE / 3 {
        return Err(DecodeError::Compression(format!(
            "snappy header says {decoded} bytes, more than a block of {} can hold",
            body.len()
        )));
    }
    Ok(decoded)
}

/// Inflates `body` into `scratch`, which only ever grows up to `limit` and is meant to be used again.
///
/// # Errors
/// Those of [`decoded_len`], and [`DecodeError::Compression`] where the block is broken.
pub fn inflate<'s>(body: &[u8], limit: usize, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], DecodeError> {
    let decoded = decoded_len(body, limit)?;
    if scratch.len() < decoded {
        scratch.resize(decoded, 0);
    }
    let out = scratch.get_mut(..decoded).unwrap_or_default();
    let written = raw::Decoder::new().decompress(body, out).map_err(broken)?;
    Ok(out.get(..written).unwrap_or_default())
}

#[allow(clippy::needless_pass_by_value)]
fn broken(error: snap::Error) -> DecodeError {
    DecodeError::Compression(format!("not a snappy block: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        raw::Encoder::new().compress_vec(bytes).unwrap()
    }

    #[test]
    fn inflates_and_reuses_the_scratch() {
        let mut scratch = Vec::new();
        let long = vec![7u8; 200_000];
        assert_eq!(inflate(&deflate(&long), DEFAULT_LIMIT, &mut scratch).unwrap(), long);
        let grown = scratch.capacity();
        assert_eq!(inflate(&deflate(b"short"), DEFAULT_LIMIT, &mut scratch).unwrap(), b"short");
        assert_eq!(scratch.capacity(), grown);
        assert_eq!(inflate(&deflate(b""), DEFAULT_LIMIT, &mut scratch).unwrap(), b"");
    }

    #[test]
    fn a_hostile_header_allocates_nothing() {
        let mut scratch = Vec::new();
        let four_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        assert!(matches!(inflate(&four_gib, DEFAULT_LIMIT, &mut scratch), Err(DecodeError::TooLarge { .. })));
        // 32 MiB said by a body of eight bytes: within the limit, but impossible
        let bomb = [0x80, 0x80, 0x80, 0x10, 0, 0, 0, 0];
        assert!(matches!(inflate(&bomb, DEFAULT_LIMIT, &mut scratch), Err(DecodeError::Compression(_))));
        for body in [&[][..], &[0xff; 10], &[0x80], &[5, 0]] {
            assert!(matches!(inflate(body, DEFAULT_LIMIT, &mut scratch), Err(DecodeError::Compression(_))), "{body:?}");
        }
        assert!(scratch.capacity() < 64, "{}", scratch.capacity());
    }

    #[test]
    fn the_densest_block_passes() {
        for len in [1usize, 3, 60, 64, 65, 1 << 10, 1 << 20, 8 << 20] {
            let body = deflate(&vec![0u8; len]);
            assert_eq!(decoded_len(&body, DEFAULT_LIMIT).unwrap(), len);
        }
    }

    #[test]
    fn a_body_at_the_limit_passes_and_one_above_does_not() {
        let body = deflate(&[1u8; 100]);
        assert_eq!(decoded_len(&body, 100).unwrap(), 100);
        assert_eq!(decoded_len(&body, 99), Err(DecodeError::TooLarge { decoded: 100, limit: 99 }));
    }
}
