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

/// Hands over the first `count` numbers, each with its place.
#[inline]
pub(crate) fn each(words: &[u64], width: u8, count: usize, mut each: impl FnMut(usize, u64)) {
    if width == 0 {
        (0..count).for_each(|i| each(i, 0));
        return;
    }
    let (width, mask) = (u32::from(width), u64::MAX >> (64 - width));
    let (mut at, mut used) = (0, 0);
    let mut word = words.first().copied().unwrap_or(0);
    for i in 0..count {
        let mut n = word >> used;
        used += width;
        if used >= 64 {
            at += 1;
            word = words.get(at).copied().unwrap_or(0);
            used -= 64;
            // The rest of it begins the next word; when it fitted exactly there is none, and shifting by 64 is not allowed.
            n |= if used == 0 { 0 } else { word << (width - used) };
        }
        each(i, n & mask);
    }
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
            prop_assert_eq!(&read, &numbers);
            let mut all = Vec::new();
            each(&words[1..], width, numbers.len(), |i, n| all.push((i, n)));
            prop_assert_eq!(all, numbers.into_iter().enumerate().collect::<Vec<_>>());
        }
    }
}
