#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::io::Write as _;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 32 << 20;

fn deflate(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

/// A stream that does not say its size, flushed every so many bytes.
fn streamed(bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    for piece in bytes.chunks(piece) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

fn check(body: &[u8], expected: &[u8]) {
    let mut out = Vec::new();
    assert_eq!(Decoder::default().inflate(body, LIMIT, &mut out).unwrap(), expected);
}

#[test]
fn inflates_what_every_kind_of_frame_holds() {
    let mixed: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> (n % 25)) as u8).collect();
    for bytes in [&b""[..], b"a", &[0; 300], &[7; 500_000], &mixed, &mixed[..70_000]] {
        check(&deflate(bytes), bytes);
        check(&streamed(bytes, 1000), bytes);
        check(&streamed(bytes, 1 << 20), bytes);
    }
    let skipped = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    check(&[deflate(b"one").as_slice(), &skipped, &streamed(b"two", 9)].concat(), b"onetwo");
}

#[test]
fn the_buffer_and_the_decoder_are_used_again() {
    let (mut decoder, mut out) = (Decoder::default(), Vec::new());
    assert_eq!(decoder.inflate(&deflate(&[3; 9000]), LIMIT, &mut out).unwrap().len(), 9000);
    let grown = out.capacity();
    assert!(decoder.inflate(&deflate(b"short")[..9], LIMIT, &mut out).is_err());
    assert_eq!(decoder.inflate(&deflate(b"short"), LIMIT, &mut out).unwrap(), b"short");
    assert_eq!(out.capacity(), grown);
}

#[test]
fn a_hostile_header_allocates_nothing() {
    let mut out = Vec::new();
    let mut inflate = |body: &[u8]| Decoder::default().inflate(body, LIMIT, &mut out).map(<[u8]>::len);
    // A frame of eight bytes of size, single segment, and one raw block of one byte.
    let says = |n: u64| [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &n.to_le_bytes(), &[9, 0, 0, b'x']].concat();
    assert!(matches!(inflate(&says(u64::MAX)), Err(DecodeError::Compression(_))));
    assert!(matches!(inflate(&says(32 << 20)), Err(DecodeError::Compression(_))));
    assert_eq!(inflate(&says(1)), Ok(1));
    // A window of 2 GiB, which is never allocated either; one of 3.75 TiB is none.
    assert_eq!(inflate(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 9, 0, 0, b'x']), Ok(1));
    assert!(inflate(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 9, 0, 0, b'x']).is_err());
    let dictionary = [0x28, 0xb5, 0x2f, 0xfd, 0x21, 1, 1, 9, 0, 0, b'x'];
    let reserved = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 7, 0, 0];
    let snappy = snap::raw::Encoder::new().compress_vec(b"body").unwrap();
    for body in [&b""[..], b"\x28", &snappy, &dictionary, &reserved, &[0xff; 40], &[0x50, 0x2a, 0x4d, 0x18, 9, 0, 0, 0]]
    {
        assert!(matches!(inflate(body), Err(DecodeError::Compression(_))), "{body:?}");
    }
    assert!(out.capacity() < 256 << 10, "{}", out.capacity());
}

#[test]
fn a_body_at_the_limit_passes_and_one_above_does_not() {
    let (mut decoder, mut out) = (Decoder::default(), Vec::new());
    for pack in [deflate, |bytes: &[u8]| streamed(bytes, 7)] {
        assert_eq!(decoder.inflate(&pack(&[1; 100]), 100, &mut out).unwrap().len(), 100);
        assert!(matches!(decoder.inflate(&pack(&[1; 101]), 100, &mut out), Err(DecodeError::TooLarge { .. })));
    }
    let bomb = deflate(&vec![0; 100 << 20]);
    assert!(bomb.len() < 20_000);
    assert!(matches!(decoded_len(&bomb, LIMIT), Err(DecodeError::TooLarge { .. })));
    assert!(out.capacity() < 1 << 20);
}

#[test]
fn truncation_at_every_byte_is_an_error() {
    let body = streamed(&[b"a body that is long enough to be cut ".as_slice(); 30].concat(), 100);
    for end in 0..body.len() {
        let result = Decoder::default().inflate(&body[..end], LIMIT, &mut Vec::new()).map(<[u8]>::len);
        assert!(matches!(result, Err(DecodeError::Compression(_))), "{end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 4..300)) {
        bytes[..4].copy_from_slice(&[0x28, 0xb5, 0x2f, 0xfd]);
        let _ = Decoder::default().inflate(&bytes, 1 << 20, &mut Vec::new());
    }

    #[test]
    fn the_bound_holds(bytes in proptest::collection::vec(0u8..4, 0..3000), piece in 1usize..500) {
        for body in [deflate(&bytes), streamed(&bytes, piece)] {
            prop_assert!(decoded_len(&body, LIMIT).unwrap() >= bytes.len());
        }
    }
}
