//! Values: one for all, decimals above their least or above a line, or bits above their least.
//!
//! What is measured is mostly decimal: bytes, counts, seconds to some places. Such a value is an integer over a power of
//! ten, and comes back bit for bit. A counter rises, so it is near a line, as times are. What is no decimal keeps the bits
//! that differ. The stale marker, which any series may end with, is the highest code and costs no bits of its own.

use whyd_signals::sample::STALE_BITS;

use super::{Pair, bits};

/// Integers up to here are exact as a float.
const EXACT: i64 = 1 << 53;
const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// How the values of one series are written: the bits of a code, and what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    kind: Kind,
    width: u8,
    /// Whether the highest code is the stale marker.
    stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Above the least, over this power of ten.
    Decimal(u8),
    /// Above a line, over this power of ten.
    Line(u8),
    /// The bits of the value above the least, without so many at the end that never differ.
    Bits(u8),
}

/// The integer that this value is of, over a power of ten.
#[inline]
fn decimal(value: u64, power: f64) -> Option<i64> {
    let n = (f64::from_bits(value) * power).round() as i64;
    // Negative zero and NaN do not come back with the same bits.
    let is_exact = n.abs_diff(0) <= EXACT as u64 && (n as f64 / power).to_bits() == value;
    is_exact.then_some(n)
}

/// The least power of ten over which all of these are integers.
fn exponent(values: &(impl Iterator<Item = u64> + Clone)) -> Option<u8> {
    let mut exponent = 0;
    for value in values.clone() {
        exponent += POWERS.get(exponent..)?.iter().position(|power| decimal(value, *power).is_some())?;
    }
    // More digits of a large value may be more than a float has.
    let power = POWERS.get(exponent)?;
    (exponent == 0 || values.clone().all(|value| decimal(value, *power).is_some())).then_some(exponent as u8)
}

/// Least and highest of these.
fn range<T: Ord + Copy>(mut of: impl Iterator<Item = T>) -> Option<(T, T)> {
    let first = of.next()?;
    Some(of.fold((first, first), |(low, high), n| (low.min(n), high.max(n))))
}

/// A form, and the words before its codes.
struct Plan {
    kind: Kind,
    width: u8,
    base: u64,
    step: Option<u64>,
}

/// Appends the values of these samples.
pub(crate) fn encode(samples: &[Pair], out: &mut Vec<u64>) -> Form {
    let mut stale = samples.iter().any(|(_, bits)| *bits == STALE_BITS);
    let all = samples.iter().enumerate().map(|(i, (_, bits))| (i as i64, *bits));
    let values = all.filter(|(_, bits)| *bits != STALE_BITS);
    let (low, high) = range(values.clone().map(|(_, bits)| bits)).unwrap_or_default();
    // No code is left to stand for it, but then the least is 0 and it is its own.
    stale &= high - low != u64::MAX;
    let shift = (values.clone().fold(0, |differ, (_, bits)| differ | (bits - low)) | 1 << 63).trailing_zeros() as u8;
    let mut plan = Plan { kind: Kind::Bits(shift), width: width((high - low) >> shift, stale), base: low, step: None };
    if high > low
        && let Some(exponent) = exponent(&values.clone().map(|(_, bits)| bits))
    {
        let power = POWERS[usize::from(exponent)];
        let integers = values.map(|(i, bits)| (i, (f64::from_bits(bits) * power).round() as i64));
        for better in [level(exponent, integers.clone(), stale), line(exponent, integers, stale)] {
            // What a line takes more is its step.
            let words = |p: &Plan| bits::words_for(samples.len(), p.width) + usize::from(p.step.is_some());
            if words(&better) < words(&plan) {
                plan = better;
            }
        }
    }
    let Plan { kind, width, base, step } = plan;
    out.push(base);
    out.extend(step);
    let (form, step) = (Form { kind, width, stale }, step.unwrap_or(0));
    bits::pack(out, width, samples.iter().enumerate().map(|(i, (_, bits))| form.code(*bits, i, base, step)));
    form
}

fn level(exponent: u8, integers: impl Iterator<Item = (i64, i64)>, stale: bool) -> Plan {
    let (low, high) = range(integers.map(|(_, n)| n)).unwrap_or_default();
    Plan { kind: Kind::Decimal(exponent), width: width((high - low) as u64, stale), base: low as u64, step: None }
}

fn line(exponent: u8, integers: impl Iterator<Item = (i64, i64)> + Clone, stale: bool) -> Plan {
    let ((from, first), (to, last)) = integers
        .clone()
        .fold(((0, 0), (0, 0)), |(first, last), at| if last == (0, 0) { (at, at) } else { (first, at) });
    let step = if to > from { (last - first) / (to - from) } else { 0 };
    let (low, high) = range(integers.map(|(i, n)| n - i * step)).unwrap_or_default();
    let width = width((high - low) as u64, stale);
    Plan { kind: Kind::Line(exponent), width, base: low as u64, step: Some(step as u64) }
}

/// Bits of the codes up to `highest`, and of one more where there are stale markers.
fn width(highest: u64, stale: bool) -> u8 {
    bits::width_of(highest.saturating_add(u64::from(stale)))
}

impl Form {
    /// Words before the codes.
    fn head(self) -> usize {
        if matches!(self.kind, Kind::Line(_)) { 2 } else { 1 }
    }

    /// The code of the stale marker.
    fn highest(self) -> u64 {
        if self.width == 0 { 0 } else { u64::MAX >> (64 - u32::from(self.width)) }
    }

    fn code(self, value: u64, i: usize, base: u64, step: u64) -> u64 {
        if self.stale && value == STALE_BITS {
            return self.highest();
        }
        let integer = |exponent: u8| (f64::from_bits(value) * POWERS[usize::from(exponent)]).round() as i64 as u64;
        match self.kind {
            Kind::Decimal(exponent) => integer(exponent).wrapping_sub(base),
            Kind::Line(exponent) => integer(exponent).wrapping_sub(base).wrapping_sub(step.wrapping_mul(i as u64)),
            Kind::Bits(shift) => value.wrapping_sub(base) >> shift,
        }
    }

    /// The bits of the value at `i`.
    #[inline]
    pub(crate) fn get(self, words: &[u64], i: usize) -> u64 {
        let code = bits::get(&words[self.head()..], i, self.width);
        if self.stale && code == self.highest() {
            return STALE_BITS;
        }
        let (base, power) = (words[0], |exponent: u8| POWERS[usize::from(exponent)]);
        let n = base.wrapping_add(code);
        match self.kind {
            Kind::Decimal(0) => (n as i64 as f64).to_bits(),
            Kind::Decimal(exponent) => (n as i64 as f64 / power(exponent)).to_bits(),
            Kind::Line(exponent) => {
                let n = n.wrapping_add(words[1].wrapping_mul(i as u64));
                (n as i64 as f64 / power(exponent)).to_bits()
            }
            Kind::Bits(shift) => base.wrapping_add(code << shift),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    /// The words that these values take, and what is made of them.
    fn check(values: &[u64]) -> (usize, Form) {
        let samples: Vec<Pair> = values.iter().map(|v| (0, *v)).collect();
        let mut words = Vec::new();
        let form = encode(&samples, &mut words);
        let read: Vec<u64> = (0..values.len()).map(|i| form.get(&words, i)).collect();
        assert_eq!(read, values);
        (words.len(), form)
    }

    fn floats(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    fn form(kind: Kind, width: u8, stale: bool) -> Form {
        Form { kind, width, stale }
    }

    #[test]
    fn forms() {
        let width = |values: &[f64]| check(&floats(values)).1.width;
        let stale = f64::from_bits(STALE_BITS);
        assert_eq!([width(&[1.5; 9]), width(&[f64::NAN; 2]), width(&[0.0, -0.0])], [0, 0, 1]);
        assert_eq!([width(&[100.0, 103.0, 101.0]), width(&[100.0, 103.0, stale])], [2, 3]);
        assert_eq!(width(&[1.0, f64::INFINITY]), 1);
        let steps: Vec<f64> = (0..99).map(|i| f64::from(i * i % 89) / 100.0).collect();
        assert_eq!(check(&floats(&steps)).1, form(Kind::Decimal(2), 7, false));
        check(&floats(&[1.0, 1e300]));
        let (words, of) = check(&floats(&[stale; 3]));
        assert_eq!((words, of.stale), (2, true));
        assert_eq!(check(&[0, u64::MAX, STALE_BITS]), (4, form(Kind::Bits(0), 64, false)));
        check(&[0, u64::MAX - 1, STALE_BITS]);
        check(&[1, u64::MAX, STALE_BITS]);
        check(&floats(&[EXACT as f64, -(EXACT as f64), 0.5]));
        check(&floats(&[EXACT as f64, -(EXACT as f64), 3.0]));
        check(&[]);
    }

    #[test]
    fn what_is_measured_takes_few_bits() {
        let counter: Vec<f64> = (0..240).map(|i| 5e9 + f64::from(i) * 1_234_567.0 + f64::from(i % 7)).collect();
        let (words, of) = check(&floats(&counter));
        assert_eq!((words, of), (2 + 240 * 3 / 64 + 1, form(Kind::Line(0), 3, false)));
        let seconds: Vec<f64> = (0..240).map(|i| f64::from(1_000_000 + i * 150 + i % 40) / 1e4).collect();
        assert_eq!(check(&floats(&seconds)).1, form(Kind::Line(4), 6, false));
        // The digits of a third are no decimal: what differs is kept.
        let thirds: Vec<f64> = (0..240).map(|i| 100.0 + f64::from(i % 16) / 3.0).collect();
        assert!((40..52).contains(&check(&floats(&thirds)).1.width));
    }

    proptest! {
        #[test]
        fn any_bits(values in proptest::collection::vec(any::<u64>(), 0..40)) {
            check(&values);
        }

        #[test]
        fn any_floats(values in proptest::collection::vec(proptest::num::f64::ANY, 0..40)) {
            check(&floats(&values));
        }

        #[test]
        fn decimals_and_stale_markers(
            start in -1_000_000_000i64..1_000_000_000, step in -1000i64..1000, places in 0usize..10,
            noise in proptest::collection::vec(proptest::option::weighted(0.95, 0i64..1000), 1..100),
        ) {
            let value = |(i, n): (usize, &Option<i64>)| {
                n.map_or(STALE_BITS, |n| ((start + i as i64 * step + n) as f64 / POWERS[places]).to_bits())
            };
            check(&noise.iter().enumerate().map(value).collect::<Vec<_>>());
        }
    }
}
