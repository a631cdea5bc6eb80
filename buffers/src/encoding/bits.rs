//! Numbers of a fixed width in an array of words.

/// How many bits hold every number up to `max`.
pub(crate) fn width_of(max: u64) -> u8 {
    (u64::BITS - max.leading_zeros()) as u8
}

/// How many words hold `count` numbers of this width.
pub(crate) fn words_for(count: usize, width: u8) -> usize {
    (count * usize::from(width)).div_ceil(64)
}

/// Appends the numbers, each of `width` bits, starting on a word of its own.
pub(crate) fn pack(out: &mut Vec<u64>, width: u8, numbers: impl Iterator<Item = u64>) {
    if width == 0 {
        return;
    }
    let (mut word, mut used) = (0u64, 0u32);
    let width = u32::from(width);
    for n in numbers {
        word |= n << used;
        used += width;
        if used >= 64 {
            out.push(word);
            used -= 64;
            // What did not fit; when it fitted exactly nothing is left, and shifting by 64 is not allowed.
            word = if used == 0 { 0 } else { n >> (width - used) };
        }
    }
    if used > 0 {
        out.push(word);
    }
}

/// The number at `i`.
pub(crate) fn get(words: &[u64], i: usize, width: u8) -> u64 {
    if width == 0 {
        return 0;
    }
    let (bit, width) = (i * usize::from(width), u32::from(width));
    let (at, shift) = (bit / 64, (bit % 64) as u32);
    let low = words[at] >> shift;
    let both = if shift + width > 64 { low | words[at + 1] << (64 - shift) } else { low };
    both & (u64::MAX >> (64 - width))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn roundtrip(width in 0u8..=64, numbers in proptest::collection::vec(any::<u64>(), 0..200)) {
            let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            let numbers: Vec<u64> = numbers.into_iter().map(|n| n & mask).collect();
            let mut words = vec![7];
            pack(&mut words, width, numbers.iter().copied());
            prop_assert_eq!(words.len(), 1 + words_for(numbers.len(), width));
            let read: Vec<u64> = (0..numbers.len()).map(|i| get(&words[1..], i, width)).collect();
            prop_assert_eq!(read, numbers);
        }
    }
}
