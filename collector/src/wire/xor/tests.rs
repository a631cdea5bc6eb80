#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::wire::encode::varint;

/// A writer of chunks, apart from the reader: bits as booleans.
pub(crate) fn chunk(samples: &[(i64, u64)]) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    let mut put = |n: u64, width: u32| (0..width).rev().for_each(|b| bits.push(n >> b & 1 == 1));
    let bytes = |put: &mut dyn FnMut(u64, u32), bytes: Vec<u8>| bytes.iter().for_each(|b| put(u64::from(*b), 8));
    let (mut ts, mut delta, mut value, mut window) = (0i64, 0i64, 0u64, None::<(u32, u32)>);
    for (n, &(at, bits)) in samples.iter().enumerate() {
        match n {
            0 => bytes(&mut put, varint(((at << 1) ^ (at >> 63)).cast_unsigned())),
            1 => bytes(&mut put, varint(at.wrapping_sub(ts).cast_unsigned())),
            _ => match at.wrapping_sub(ts).wrapping_sub(delta) {
                0 => put(0, 1),
                c @ -8191..=8192 => (put(0b10, 2), put(c.cast_unsigned() & 0x3fff, 14)).1,
                c @ -65535..=65536 => (put(0b110, 3), put(c.cast_unsigned() & 0x1_ffff, 17)).1,
                c @ -524_287..=524_288 => (put(0b1110, 4), put(c.cast_unsigned() & 0xf_ffff, 20)).1,
                c => (put(0b1111, 4), put(c.cast_unsigned(), 64)).1,
            },
        }
        if n > 0 {
            delta = at.wrapping_sub(ts);
        }
        ts = at;
        let xor = bits ^ value;
        value = bits;
        if n == 0 {
            put(bits, 64);
            continue;
        }
        if xor == 0 {
            put(0, 1);
            continue;
        }
        put(1, 1);
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        match window {
            Some((l, t)) if leading >= l && trailing >= t => (put(0, 1), put(xor >> t, 64 - l - t)).1,
            _ => {
                window = Some((leading, trailing));
                let width = 64 - leading - trailing;
                put(1, 1);
                put(u64::from(leading), 5);
                put(u64::from(width & 63), 6);
                put(xor >> trailing, width);
            }
        }
    }
    let packed = bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |b, (i, on)| b | u8::from(*on) << (7 - i)));
    u16::try_from(samples.len()).unwrap().to_be_bytes().into_iter().chain(packed).collect()
}

fn read(chunk: &[u8]) -> Result<Vec<(i64, u64)>, DecodeError> {
    let mut out = Vec::new();
    decode(chunk, |ts, bits| out.push((ts, bits)))?;
    Ok(out)
}

fn check(samples: &[(i64, u64)]) {
    assert_eq!(read(&chunk(samples)).unwrap(), samples);
}

#[test]
fn every_width_of_a_change_and_its_ends() {
    for change in [0, 1, 8192, -8191, 8193, -8192, 65536, -65535, 65537, 524_288, -524_287, 524_289, -524_288, 1 << 40]
    {
        check(&[(0, 0), (15_000, 0), (30_000 + change, 0), (45_000 + 2 * change, 0)]);
    }
}

#[test]
fn values_keep_their_bits() {
    let bits = [1.0, 1.0, 2.0, -0.0, f64::INFINITY, 0.1, 1e300].map(f64::to_bits);
    let all = bits.into_iter().chain([0x7ff0_0000_0000_0002, u64::MAX, 0, 1]);
    check(&all.enumerate().map(|(n, bits)| (n as i64 * 1000, bits)).collect::<Vec<_>>());
}

#[test]
fn short_chunks_and_bad_ones() {
    check(&[]);
    check(&[(-5, 7)]);
    let whole = chunk(&[(0, 1), (10, 2), (21, 3)]);
    for cut in 0..whole.len() {
        read(&whole[..cut]).unwrap_err();
    }
    // A window of 31 zeros and 64 bits.
    let mut wide = 2u16.to_be_bytes().to_vec();
    wide.extend([0; 9]);
    wide.extend([0, 0b1111_1110, 0b0000_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(read(&wide).unwrap_err().to_string().contains("does not fit"));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        samples in proptest::collection::vec((any::<i32>(), prop_oneof![any::<u64>(), (0u64..4).prop_map(|n| (n as f64).to_bits())]), 0..200)
    ) {
        let mut ts = 1_700_000_000_000;
        let samples: Vec<(i64, u64)> = samples
            .into_iter()
            .map(|(step, bits)| {
                ts += i64::from(step >> (step & 31));
                (ts, bits)
            })
            .collect();
        prop_assert_eq!(read(&chunk(&samples)).unwrap(), samples);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(samples) = read(&bytes) {
            prop_assert!(samples.len() <= bytes.len() * 4);
        }
    }
}
