//! The XOR chunks of Prometheus' storage, as a streamed remote read carries them.
//!
//! `count u16 BE`, then a stream of bits. The first sample is a zigzag varint of milliseconds and 64 bits of value, the
//! second a varint of the difference and a value. From the third on a time is the change of the difference in 0, 14, 17,
//! 20 or 64 bits, told by a prefix. A value is the XOR with the one before: nothing, the window of bits of the one before,
//! or a new window (prometheus/tsdb/chunkenc/xor.go).

use whyd_signals::sink::DecodeError;

use super::protobuf::zigzag;

/// The bits of a change of the difference, by how many ones its prefix has.
const WIDTHS: [u32; 5] = [0, 14, 17, 20, 64];

/// Hands the samples of a chunk over in order: milliseconds, and the bits of the value.
///
/// A sample takes at least two bits, so what a chunk means is bounded by its bytes.
///
/// # Errors
/// [`DecodeError::Malformed`] when the bytes end before as many samples as the chunk says, or cannot be.
#[inline]
pub fn decode(chunk: &[u8], mut sample: impl FnMut(i64, u64)) -> Result<(), DecodeError> {
    let (count, stream) = chunk.split_first_chunk::<2>().ok_or_else(truncated)?;
    let count = u16::from_be_bytes(*count);
    if count == 0 {
        return Ok(());
    }
    let mut bits = Bits { bytes: stream, at: 0 };
    let mut ts = zigzag(bits.varint()?);
    let mut value = Value { bits: bits.take(64)?, leading: 0, width: 0 };
    sample(ts, value.bits);
    if count == 1 {
        return Ok(());
    }
    let mut delta = bits.varint()?.cast_signed();
    ts = ts.wrapping_add(delta);
    value.next(&mut bits)?;
    sample(ts, value.bits);
    for _ in 2..count {
        delta = delta.wrapping_add(bits.change()?);
        ts = ts.wrapping_add(delta);
        value.next(&mut bits)?;
        sample(ts, value.bits);
    }
    Ok(())
}

/// How many samples or histograms a chunk of any encoding says it has.
///
/// # Errors
/// [`DecodeError::Malformed`] when it is too short to say.
pub fn count(chunk: &[u8]) -> Result<u16, DecodeError> {
    chunk.first_chunk::<2>().map(|count| u16::from_be_bytes(*count)).ok_or_else(truncated)
}

struct Value {
    bits: u64,
    /// The window of the last change: zeros before it, and how wide it is.
    leading: u32,
    width: u32,
}

impl Value {
    #[inline]
    fn next(&mut self, bits: &mut Bits<'_>) -> Result<(), DecodeError> {
        if bits.take(1)? == 0 {
            return Ok(());
        }
        if bits.take(1)? == 1 {
            self.leading = bits.take(5)? as u32;
            self.width = match bits.take(6)? as u32 {
                0 => 64,
                width => width,
            };
        }
        let trailing = 64u32.checked_sub(self.leading + self.width).ok_or_else(malformed)?;
        self.bits ^= bits.take(self.width)?.checked_shl(trailing).unwrap_or(0);
        Ok(())
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl Bits<'_> {
    /// The next bits, at most 64, as the low ones of a number.
    #[inline]
    fn take(&mut self, width: u32) -> Result<u64, DecodeError> {
        let end = self.at + width as usize;
        if end > self.bytes.len() * 8 {
            return Err(truncated());
        }
        let window = self.window();
        self.at = end;
        Ok(window.checked_shr(64 - width).unwrap_or(0))
    }

    /// The next 64 bits; zeros beyond the end.
    #[inline]
    fn window(&self) -> u64 {
        let (byte, shift) = (self.at / 8, self.at % 8);
        let rest = self.bytes.get(byte..).unwrap_or_default();
        let (high, low) = match rest {
            [a, b, c, d, e, f, g, h, low, ..] => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), *low),
            _ => {
                let mut padded = [0; 8];
                for (to, from) in padded.iter_mut().zip(rest) {
                    *to = *from;
                }
                (u64::from_be_bytes(padded), 0)
            }
        };
        high << shift | u64::from(low) >> (8 - shift)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for i in 0..10 {
            let byte = self.take(8)?;
            // the tenth byte holds the 64th bit alone
            if i == 9 && byte > 1 {
                return Err(malformed());
            }
            value |= (byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed())
    }

    /// How much the difference of the times changed.
    #[inline]
    fn change(&mut self) -> Result<i64, DecodeError> {
        let ones = self.window().leading_ones().min(4);
        self.take(if ones == 4 { 4 } else { ones + 1 })?;
        let width = WIDTHS.get(ones as usize).copied().unwrap_or(0);
        let raw = self.take(width)?;
        if width == 0 || width == 64 {
            return Ok(raw.cast_signed());
        }
        // Of the two numbers that the top bit may stand for alone, the positive one is meant.
        let negative = raw > 1 << (width - 1);
        Ok(raw.cast_signed() - if negative { 1 << width } else { 0 })
    }
}

#[cold]
fn truncated() -> DecodeError {
    DecodeError::Malformed("xor chunk: it ends before its samples do".into())
}

#[cold]
fn malformed() -> DecodeError {
    DecodeError::Malformed("xor chunk: a number does not fit".into())
}

#[cfg(test)]
pub(crate) mod tests;
