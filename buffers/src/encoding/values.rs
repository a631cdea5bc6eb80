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

/// Added to a float of less than [`ROUNDED`] and taken away again, it rounds to the nearest integer, which then stands in
/// the low bits of the sum.
const ROUNDS: f64 = 6_755_399_441_055_744.0;
const ROUNDED: f64 = (1u64 << 51) as f64;

/// The nearest integer.
#[inline]
fn nearest(x: f64) -> i64 {
    if x.abs() < ROUNDED {
        ((x + ROUNDS).to_bits() as i64).wrapping_sub(ROUNDS.to_bits() as i64)
    } else {
        x.round() as i64
    }
}

/// The integer that this value is of, over a power of ten.
#[inline]
fn decimal(value: u64, power: f64) -> Option<i64> {
    let n = nearest(f64::from_bits(value) * power);
    // Negative zero and NaN do not come back with the same bits.
    let is_exact = n.abs_diff(0) <= EXACT as u64 && (n as f64 / power).to_bits() == value;
    is_exact.then_some(n)
}

/// What stands for a stale marker among integers: no decimal is so low.
const NO_INTEGER: i64 = i64::MIN;

/// Makes integers of these values, over the least power of ten for which all are; `None` where there is none.
fn integers(samples: &[Pair], stale: bool, out: &mut Vec<i64>) -> Option<u8> {
    let first = samples.first().map(|(_, value)| *value).filter(|value| !stale || *value != STALE_BITS);
    let mut exponent = first.map_or(Some(0), |value| higher(value, 0))?;
    loop {
        let power = *POWERS.get(exponent)?;
        let all = !stale
            && if exponent == 0 { small::<true>(samples, power, out) } else { small::<false>(samples, power, out) };
        if all {
            return Some(exponent as u8);
        }
        let Some(value) = fill(samples, power, stale, out) else { return Some(exponent as u8) };
        // More digits of a large value may be more than a float has: then none of a higher power fits either.
        exponent = higher(value, exponent + 1)?;
    }
}

/// The least of these exponents, from this one on, over which a value is an integer.
fn higher(value: u64, from: usize) -> Option<usize> {
    Some(from + POWERS.get(from..)?.iter().position(|power| decimal(value, *power).is_some())?)
}

/// The integers of these values over a power of ten, and whether all are such and less than 2^51. It does not stop at one
/// that is none: mostly there is none, and what does not branch takes less time. `WHOLE`: the power is 1.
fn small<const WHOLE: bool>(samples: &[Pair], power: f64, out: &mut Vec<i64>) -> bool {
    let mut all = true;
    out.clear();
    out.extend(samples.iter().map(|(_, value)| {
        let scaled = if WHOLE { f64::from_bits(*value) } else { f64::from_bits(*value) * power };
        let sum = scaled + ROUNDS;
        let rounded = sum - ROUNDS;
        let back = if WHOLE { rounded } else { rounded / power };
        all &= (scaled.abs() < ROUNDED) & (back.to_bits() == *value);
        (sum.to_bits() as i64).wrapping_sub(ROUNDS.to_bits() as i64)
    }));
    all
}

/// The integers of these values over a power of ten, up to the first value that is none, which is returned.
fn fill(samples: &[Pair], power: f64, stale: bool, out: &mut Vec<i64>) -> Option<u64> {
    out.clear();
    for (_, value) in samples {
        match decimal(*value, power) {
            Some(n) => out.push(n),
            None if stale && *value == STALE_BITS => out.push(NO_INTEGER),
            None => return Some(*value),
        }
    }
    None
}

/// Least and highest of these.
#[inline]
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

/// Appends the values of these samples. What is in `room` does not matter: it saves making another.
pub(crate) fn encode(samples: &[Pair], room: &mut Vec<i64>, out: &mut Vec<u64>) -> Form {
    let mut stale = samples.iter().any(|(_, bits)| *bits == STALE_BITS);
    let Plan { kind, width, base, step } = match stale {
        true => {
            let values = samples.iter().map(|(_, bits)| *bits).filter(|bits| *bits != STALE_BITS);
            plan(samples, values, &mut stale, room)
        }
        false => plan(samples, samples.iter().map(|(_, bits)| *bits), &mut stale, room),
    };
    out.reserve(2 + bits::words_for(samples.len(), width));
    out.push(base);
    out.extend(step);
    let form = Form { kind, width, stale };
    let marker = form.highest();
    let is_marker = |code: bool| stale && code;
    let (base, step) = (base, step.unwrap_or(0));
    match kind {
        Kind::Decimal(_) | Kind::Line(_) => {
            let code = |(i, n): (usize, &i64)| match is_marker(*n == NO_INTEGER) {
                true => marker,
                false => (*n as u64).wrapping_sub(base).wrapping_sub(step.wrapping_mul(i as u64)),
            };
            bits::pack(out, width, room.iter().enumerate().map(code));
        }
        Kind::Bits(shift) => {
            let code = |(_, value): &Pair| match is_marker(*value == STALE_BITS) {
                true => marker,
                false => value.wrapping_sub(base) >> shift,
            };
            bits::pack(out, width, samples.iter().map(code));
        }
    }
    form
}

/// The form that takes least; with decimals, `integers` are those of the samples. `values` are theirs without stale markers.
fn plan(samples: &[Pair], values: impl Iterator<Item = u64> + Clone, stale: &mut bool, room: &mut Vec<i64>) -> Plan {
    let first = values.clone().next().unwrap_or_default();
    let (low, high, differ) = values
        .fold((first, first, 0), |(low, high, differ), bits| (low.min(bits), high.max(bits), differ | (bits ^ first)));
    // No code is left to stand for it, but then the least is 0 and it is its own.
    *stale &= high - low != u64::MAX;
    // Where the last bits of all are the same, so are those of all differences: none.
    let shift = (differ | 1 << 63).trailing_zeros() as u8;
    let of_bits = width((high - low) >> shift, *stale);
    let mut best = Plan { kind: Kind::Bits(shift), width: of_bits, base: low, step: None };
    if high > low
        && let Some(exponent) = integers(samples, *stale, room)
    {
        for better in [level(exponent, room, *stale), line(exponent, room, *stale)] {
            // What a line takes more is its step.
            let words = |p: &Plan| bits::words_for(samples.len(), p.width) + usize::from(p.step.is_some());
            if words(&better) < words(&best) {
                best = better;
            }
        }
    }
    best
}

fn level(exponent: u8, integers: &[i64], stale: bool) -> Plan {
    let known = integers.iter().copied();
    let (low, high) = match stale {
        true => range(known.filter(|n| *n != NO_INTEGER)),
        false => range(known),
    }
    .unwrap_or_default();
    Plan { kind: Kind::Decimal(exponent), width: width((high - low) as u64, stale), base: low as u64, step: None }
}

fn line(exponent: u8, integers: &[i64], stale: bool) -> Plan {
    let is_known = |n: &i64| !stale || *n != NO_INTEGER;
    let at = |i: Option<usize>| i.and_then(|i| Some((i as i64, *integers.get(i)?))).unwrap_or_default();
    let (from, first) = at(integers.iter().position(is_known));
    let (to, last) = at(integers.iter().rposition(is_known));
    let step = if to > from { (last - first) / (to - from) } else { 0 };
    let off = |(i, n): (usize, &i64)| n.wrapping_sub((i as i64).wrapping_mul(step));
    let known = integers.iter().enumerate();
    let (low, high) = match stale {
        true => range(known.filter(|(_, n)| is_known(n)).map(off)),
        false => range(known.map(off)),
    }
    .unwrap_or_default();
    let width = width(high.wrapping_sub(low) as u64, stale);
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

    /// The bits of the value at `i`.
    #[inline]
    pub(crate) fn get(self, words: &[u64], i: usize) -> u64 {
        let code = bits::get(&words[self.head()..], i, self.width);
        if self.stale && code == self.highest() {
            return STALE_BITS;
        }
        let n = words[0].wrapping_add(code);
        match self.kind {
            Kind::Decimal(exponent) => over(n, exponent),
            Kind::Line(exponent) => over(n.wrapping_add(words[1].wrapping_mul(i as u64)), exponent),
            Kind::Bits(shift) => words[0].wrapping_add(code << shift),
        }
    }

    /// Hands over the bits of the first `count` values, as [`Form::get`] gives them one by one.
    #[inline]
    pub(crate) fn each(self, words: &[u64], count: usize, mut each: impl FnMut(u64)) {
        let (base, codes) = (words[0], &words[self.head()..]);
        if self.stale {
            (0..count).for_each(|i| each(self.get(words, i)));
            return;
        }
        match self.kind {
            Kind::Decimal(0) => {
                bits::each(codes, self.width, count, |_, code| each((base.wrapping_add(code) as i64 as f64).to_bits()));
            }
            Kind::Decimal(exponent) => {
                bits::each(codes, self.width, count, |_, code| each(over(base.wrapping_add(code), exponent)));
            }
            Kind::Line(exponent) => {
                let step = words[1];
                bits::each(codes, self.width, count, |i, code| {
                    each(over(base.wrapping_add(code).wrapping_add(step.wrapping_mul(i as u64)), exponent));
                });
            }
            Kind::Bits(shift) => {
                bits::each(codes, self.width, count, |_, code| each(base.wrapping_add(code << shift)));
            }
        }
    }
}

/// The bits of the float that is this integer over a power of ten.
#[inline]
fn over(n: u64, exponent: u8) -> u64 {
    match exponent {
        0 => (n as i64 as f64).to_bits(),
        _ => (n as i64 as f64 / POWERS[usize::from(exponent)]).to_bits(),
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
        let form = encode(&samples, &mut vec![7], &mut words);
        let read: Vec<u64> = (0..values.len()).map(|i| form.get(&words, i)).collect();
        assert_eq!(read, values);
        let mut all = Vec::new();
        form.each(&words, values.len(), |value| all.push(value));
        assert_eq!(all, values);
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
