//! The symbols of one body, as places in it, and references to them.

use whyd_signals::sink::DecodeError;

use super::known::{Known, UNKNOWN};
use crate::wire::protobuf::{Reader, Value};

/// Symbols of one body; a symbol takes two bytes there and eight here.
const MOST: usize = 1 << 20;
/// References of one series; one takes a byte there and four here.
const MOST_REFS: usize = 1 << 16;

/// Where the symbols of a body lie, each with the length that stands before it: as it stands in a label of 1.0.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    places: Vec<(u32, u32)>,
    /// The numbers by which they are known from body to body.
    numbers: Vec<u32>,
    longest: usize,
}

impl Symbols {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.numbers.clear();
        self.longest = 0;
    }

    /// The next symbol, which ends at `end` of the message.
    pub(super) fn add(
        &mut self,
        symbol: &[u8],
        message: &[u8],
        end: usize,
        known: &mut Known,
    ) -> Result<(), DecodeError> {
        if self.places.len() == MOST {
            return Err(DecodeError::Malformed(format!("over {MOST} symbols")));
        }
        let start = end - symbol.len();
        // every encoder writes the shortest length, and only that is the length of a label as others send it
        let place =
            start.checked_sub(shortest(symbol.len())).filter(|at| is_number(message.get(*at..start), symbol.len()));
        match (place.map(u32::try_from), u32::try_from(end)) {
            (Some(Ok(start)), Ok(end)) => {
                self.places.push((start, end));
                self.numbers.push(known.number(message.get(start as usize..end as usize).unwrap_or_default()));
                self.longest = self.longest.max((end - start) as usize);
            }
            _ => return Err(DecodeError::Malformed("the length of a symbol is padded".into())),
        }
        Ok(())
    }

    /// The empty symbol stands for what is not said, so it has to be there and first.
    pub(super) fn begin_with_the_empty_one(&self, needed: bool) -> Result<(), DecodeError> {
        match self.places.first() {
            Some((start, end)) if end - start == 1 => Ok(()),
            None if !needed => Ok(()),
            _ => Err(DecodeError::Malformed("symbols do not begin with the empty one".into())),
        }
    }

    /// Whether the body has none.
    pub(super) fn are_none(&self) -> bool {
        self.places.is_empty()
    }

    /// Adds the references of a packed or single field to `refs`.
    #[inline]
    pub(super) fn refs(&self, value: Value<'_>, refs: &mut Vec<u32>) -> Result<(), DecodeError> {
        match value {
            Value::Bytes(packed) => {
                // References are small, and nearly always all of them are.
                let mut rest = packed;
                while refs.len() <= MOST_REFS {
                    let n;
                    (n, rest) = match *rest {
                        [] => break,
                        [n @ ..0x80, ref rest @ ..] => (u64::from(n), rest),
                        [low, high @ ..0x80, ref rest @ ..] => (u64::from(low & 0x7f) | u64::from(high) << 7, rest),
                        _ => {
                            let mut reader = Reader::new(rest);
                            let n = reader.packed()?.unwrap_or_default();
                            (n, rest.get(reader.position()..).unwrap_or_default())
                        }
                    };
                    refs.push(self.known(n)?);
                }
            }
            single => refs.push(self.known(single.int("labels_refs")?.cast_unsigned())?),
        }
        if refs.len() > MOST_REFS {
            return Err(DecodeError::Malformed(format!("a series of over {} labels", MOST_REFS / 2)));
        }
        Ok(())
    }

    /// Whether these packed references name the texts of these numbers, one by one.
    #[inline]
    pub(super) fn are(&self, mut packed: &[u8], numbers: &[u32]) -> bool {
        for number in numbers {
            let reference;
            (reference, packed) = match *packed {
                [n @ ..0x80, ref rest @ ..] => (usize::from(n), rest),
                [low, high @ ..0x80, ref rest @ ..] => (usize::from(low & 0x7f) | usize::from(high) << 7, rest),
                [low, middle, high @ ..0x80, ref rest @ ..] => {
                    (usize::from(low & 0x7f) | usize::from(middle & 0x7f) << 7 | usize::from(high) << 14, rest)
                }
                _ => return false,
            };
            if self.numbers.get(reference) != Some(number) {
                return false;
            }
        }
        packed.is_empty()
    }

    /// Whether there is a symbol of this reference.
    #[inline]
    pub(super) fn has(&self, reference: usize) -> bool {
        reference < self.places.len()
    }

    /// The number that a reference is known by.
    pub(super) fn number(&self, reference: u32) -> u32 {
        self.numbers.get(reference as usize).copied().unwrap_or(UNKNOWN)
    }

    pub(super) fn set_number(&mut self, reference: u32, number: u32) {
        if let Some(known) = self.numbers.get_mut(reference as usize) {
            *known = number;
        }
    }

    pub(super) fn forget_numbers(&mut self) {
        self.numbers.fill(UNKNOWN);
    }

    /// How many references there are, all of them to something.
    pub(super) fn check(&self, value: Value<'_>) -> Result<usize, DecodeError> {
        let Value::Bytes(packed) = value else {
            return self.known(value.int("labels_refs")?.cast_unsigned()).map(|_| 1);
        };
        let (mut reader, mut refs) = (Reader::new(packed), 0);
        while let Some(n) = reader.packed()? {
            self.known(n)?;
            refs += 1;
        }
        Ok(refs)
    }

    #[inline]
    fn known(&self, n: u64) -> Result<u32, DecodeError> {
        if n < self.places.len() as u64 { Ok(n as u32) } else { Err(unknown(n, self.places.len())) }
    }

    /// A symbol with the length before it.
    #[inline]
    pub(super) fn field<'m>(&self, reference: u32, message: &'m [u8]) -> &'m [u8] {
        let (start, end) = self.places.get(reference as usize).copied().unwrap_or_default();
        message.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Whether labels take more bytes than this once rendered.
    #[inline]
    pub(super) fn are_over(&self, bytes: usize, refs: &[u32]) -> bool {
        refs.len().saturating_mul(self.longest + 4) > bytes && self.rendered_len(refs) > bytes
    }

    /// About how many bytes labels take once rendered, never less than they do.
    fn rendered_len(&self, refs: &[u32]) -> usize {
        let len =
            |reference: &u32| self.places.get(*reference as usize).map_or(0, |(start, end)| (end - start) as usize);
        refs.iter().map(len).sum::<usize>() + refs.len() * 4
    }
}

/// Bytes of a number as a varint without padding.
fn shortest(n: usize) -> usize {
    (usize::BITS - (n | 1).leading_zeros()).div_ceil(7) as usize
}

fn is_number(varint: Option<&[u8]>, n: usize) -> bool {
    let read = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, byte| n << 7 | usize::from(byte & 0x7f));
    varint.is_some_and(|bytes| read(bytes) == n && bytes.last().is_some_and(|last| *last < 0x80))
}

#[cold]
fn unknown(n: u64, symbols: usize) -> DecodeError {
    DecodeError::Malformed(format!("reference to symbol {n} of {symbols}"))
}
