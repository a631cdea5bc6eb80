//! Values: one for all, integers above their least, or as they are.

use super::{Pair, bits};

/// Integers up to here are exact as a float.
const EXACT: i64 = 1 << 53;

/// How the values of one series are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All are the same, bit for bit.
    Constant,
    /// Integers, of this many bits above the least.
    Integer(u8),
    /// The bits of each.
    Raw,
}

fn integer(bits: u64) -> Option<i64> {
    let value = f64::from_bits(bits);
    let whole = value as i64;
    // Negative zero and NaN do not come back with the same bits.
    (whole.abs_diff(0) <= EXACT as u64 && (whole as f64).to_bits() == bits).then_some(whole)
}

/// Appends the values of these samples.
pub(crate) fn encode(samples: &[Pair], out: &mut Vec<u64>) -> Form {
    let first = samples.first().map_or(0, |(_, bits)| *bits);
    if samples.iter().all(|(_, bits)| *bits == first) {
        out.push(first);
        return Form::Constant;
    }
    let range = samples.iter().try_fold((i64::MAX, i64::MIN), |(low, high), (_, bits)| {
        let n = integer(*bits)?;
        Some((low.min(n), high.max(n)))
    });
    let Some((low, high)) = range else {
        out.extend(samples.iter().map(|(_, bits)| *bits));
        return Form::Raw;
    };
    let width = bits::width_of((high - low) as u64);
    out.push(low as u64);
    bits::pack(out, width, samples.iter().map(|(_, bits)| (f64::from_bits(*bits) as i64 - low) as u64));
    Form::Integer(width)
}

impl Form {
    /// The bits of the value at `i`.
    pub(crate) fn get(self, words: &[u64], i: usize) -> u64 {
        match self {
            Self::Constant => words[0],
            Self::Integer(width) => ((words[0] as i64 + bits::get(&words[1..], i, width) as i64) as f64).to_bits(),
            Self::Raw => words[i],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whyd_signals::sample::STALE_BITS;

    use super::*;

    fn check(values: &[u64]) -> Form {
        let samples: Vec<Pair> = values.iter().map(|v| (0, *v)).collect();
        let mut words = Vec::new();
        let form = encode(&samples, &mut words);
        let read: Vec<u64> = (0..values.len()).map(|i| form.get(&words, i)).collect();
        assert_eq!(read, values);
        form
    }

    fn floats(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn forms() {
        assert_eq!(check(&floats(&[1.5; 9])), Form::Constant);
        assert_eq!(check(&floats(&[f64::NAN; 2])), Form::Constant);
        assert_eq!(check(&floats(&[100.0, 103.0, 101.0])), Form::Integer(2));
        assert_eq!(check(&floats(&[-5.0, 0.0, 5.0])), Form::Integer(4));
        assert_eq!(check(&floats(&[EXACT as f64, -(EXACT as f64)])), Form::Integer(55));
        assert_eq!(check(&floats(&[0.0, -0.0])), Form::Raw);
        assert_eq!(check(&floats(&[1.0, f64::INFINITY])), Form::Raw);
        assert_eq!(check(&[1.0f64.to_bits(), STALE_BITS]), Form::Raw);
        assert_eq!(check(&floats(&[1.0, 1e300])), Form::Raw);
        check(&[]);
    }

    proptest! {
        #[test]
        fn roundtrip_bits(values in proptest::collection::vec(any::<u64>(), 0..50)) {
            check(&values);
        }

        #[test]
        fn roundtrip_integers(values in proptest::collection::vec(any::<i32>(), 0..50)) {
            check(&values.iter().map(|n| f64::from(*n).to_bits()).collect::<Vec<_>>());
        }
    }
}
