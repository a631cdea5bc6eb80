//! Where words begin and keys end, found for many bytes at once.

/// Bytes that are marked together, a bit for each.
pub(super) const BLOCK: usize = 64;
/// Bytes that are compared in one loop.
const HALF: usize = BLOCK / 2;

/// Of a block of text, a bit for each byte, that of the first lowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Where white space is.
    pub(super) spaces: u64,
    /// Where there is a colon or an equals sign.
    pub(super) keys: u64,
}

impl Marks {
    /// Of the first [`BLOCK`] bytes.
    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        let block = text.get(..BLOCK).unwrap_or(text);
        let (Some(first), Some(last)) = (block.first_chunk(), block.last_chunk()) else {
            let mut padded = [0; HALF];
            if let Some(filled) = padded.get_mut(..text.len()) {
                filled.copy_from_slice(text);
            }
            return Self::of_half(&padded);
        };
        // They overlap where the text is short.
        let (first, last, by) = (Self::of_half(first), Self::of_half(last), block.len() - HALF);
        Self { spaces: first.spaces | last.spaces << by, keys: first.keys | last.keys << by }
    }

    #[inline]
    fn of_half(half: &[u8; HALF]) -> Self {
        // A loop over all of them, which becomes some comparisons of many at once.
        let (mut spaces, mut keys) = ([0; HALF], [0; HALF]);
        for n in 0..HALF {
            let b = half[n];
            spaces[n] = u8::from((b == b' ') | ((b.wrapping_sub(b'\t') < 5) & (b != 0x0b)));
            keys[n] = u8::from((b == b':') | (b == b'='));
        }
        Self { spaces: bits(&spaces), keys: bits(&keys) }
    }
}

/// A bit for each byte, which is 0 or 1.
#[inline]
fn bits(bytes: &[u8; HALF]) -> u64 {
    let (eights, _) = bytes.as_chunks::<8>();
    let mut all = 0;
    for (n, eight) in eights.iter().enumerate() {
        // The product has the lowest bit of each byte in its highest byte, in their order, and nothing is carried there.
        all |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * n);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_text_of_any_length_is_marked_byte_by_byte(
            bytes in proptest::collection::vec(proptest::prop_oneof![0u8..70, 0u8..=255], 0..=2 * BLOCK)
        ) {
            let bits = |is: fn(&u8) -> bool| bytes.iter().take(BLOCK).rev().fold(0, |all, b| all << 1 | u64::from(is(b)));
            let marks = Marks { spaces: bits(u8::is_ascii_whitespace), keys: bits(|b| matches!(b, b':' | b'=')) };
            proptest::prop_assert_eq!(Marks::of(&bytes), marks);
        }
    }
}
