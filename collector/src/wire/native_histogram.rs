//! Native histograms, which are the same message in both versions of remote write: whether one is sound.
//!
//! They are counted and not kept: no verdict reads them. What their buckets have to agree on is what Prometheus refuses
//! them for; the formula is that of the specification of native histograms. Nothing is allocated.

use whyd_signals::Timestamp;
use whyd_signals::sink::{Counts, DecodeError};

use super::protobuf::{Reader, Value, zigzag};

/// Bounds of buckets are listed one by one.
const CUSTOM_BUCKETS: i64 = -53;
/// Buckets grow by a power of two to the power of minus the schema.
const EXPONENTIAL: std::ops::RangeInclusive<i64> = -9..=52;

/// What a series has besides its samples.
#[derive(Debug, Default)]
pub(super) struct Beside {
    sound: u64,
    unsound: u64,
    exemplars: u64,
}

impl Beside {
    /// Whether there is nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.sound + self.unsound + self.exemplars == 0
    }

    /// Adds a histogram.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for broken protobuf.
    pub(super) fn histogram(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        let sound = Histogram::read(message)?.is_sound();
        *if sound { &mut self.sound } else { &mut self.unsound } += 1;
        Ok(())
    }

    /// Adds an exemplar.
    pub(super) fn exemplar(&mut self) {
        self.exemplars += 1;
    }

    /// Counts it: of a series that cannot be there none of its histograms is sound.
    pub(super) fn count(self, is_written: bool, counts: &mut Counts) {
        let (sound, exemplars) = if is_written { (self.sound, self.exemplars) } else { (0, 0) };
        counts.histograms += sound;
        counts.invalid_histograms += self.unsound + self.sound - sound;
        counts.exemplars += exemplars;
    }
}

/// The buckets of one side of zero, or the custom ones.
#[derive(Default)]
struct Buckets {
    /// As many as the spans say.
    spanned: u64,
    /// As many as there are.
    listed: u64,
    /// A span that begins before the one before it ends.
    overlapping: bool,
    spans: u64,
    /// The last absolute count of deltas.
    at: i128,
    observations: i128,
    /// A count below zero, or one that is no number.
    negative: bool,
}

#[derive(Default)]
struct Histogram {
    float: bool,
    count: u64,
    count_float: f64,
    sum: f64,
    schema: i64,
    zero_count: u64,
    zero_count_float: f64,
    negative: Buckets,
    positive: Buckets,
    bounds: u64,
    last_bound: f64,
    unordered: bool,
    /// Its time cannot be held.
    timeless: bool,
}

impl Histogram {
    fn read(message: &[u8]) -> Result<Self, DecodeError> {
        let mut h = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => h.count = value.int("count_int")?.cast_unsigned(),
                2 => (h.float, h.count_float) = (true, value.double("count_float")?),
                3 => h.sum = value.double("sum")?,
                4 => h.schema = value.sint("schema")?,
                6 => h.zero_count = value.int("zero_count_int")?.cast_unsigned(),
                7 => h.zero_count_float = value.double("zero_count_float")?,
                8 => h.negative.span(value.bytes("negative_spans")?)?,
                9 => h.negative.deltas(value)?,
                10 => h.negative.counts(value)?,
                11 => h.positive.span(value.bytes("positive_spans")?)?,
                12 => h.positive.deltas(value)?,
                13 => h.positive.counts(value)?,
                15 => h.timeless |= Timestamp::from_millis(value.int("timestamp")?).is_none(),
                16 => doubles(value, |bound| {
                    h.unordered |= h.bounds > 0 && bound <= h.last_bound || !bound.is_finite();
                    (h.bounds, h.last_bound) = (h.bounds + 1, bound);
                })?,
                _ => {}
            }
        }
        Ok(h)
    }

    fn is_sound(&self) -> bool {
        let custom = self.schema == CUSTOM_BUCKETS;
        let schema = if custom {
            let unused = self.negative.spans + self.negative.listed == 0;
            let room = self.positive.spanned <= self.bounds + 1;
            unused && room && !self.unordered && self.zero_count == 0 && self.zero_count_float == 0.0
        } else {
            EXPONENTIAL.contains(&self.schema) && self.bounds == 0
        };
        let buckets = [&self.negative, &self.positive].into_iter().all(Buckets::agree);
        schema && buckets && !self.timeless && self.counts_agree()
    }

    fn counts_agree(&self) -> bool {
        if self.float {
            // their sums are not exact, so only what cannot be is told
            return self.count_float >= 0.0 && self.zero_count_float >= 0.0;
        }
        let observations = self.negative.observations + self.positive.observations + i128::from(self.zero_count);
        let count = i128::from(self.count);
        // what is no number was observed and is in no bucket
        if self.sum.is_nan() { observations <= count } else { observations == count }
    }
}

impl Buckets {
    fn span(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        let (mut offset, mut length) = (0, 0);
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => offset = value.sint("offset")?,
                2 => length = value.int("length")?.cast_unsigned() & u64::from(u32::MAX),
                _ => {}
            }
        }
        self.overlapping |= self.spans > 0 && offset < 0;
        self.spans += 1;
        self.spanned = self.spanned.saturating_add(length);
        Ok(())
    }

    fn deltas(&mut self, value: Value<'_>) -> Result<(), DecodeError> {
        let mut one = |delta: i64| {
            self.listed += 1;
            self.at += i128::from(delta);
            self.observations += self.at;
            self.negative |= self.at < 0;
        };
        match value {
            Value::Bytes(packed) => {
                let mut reader = Reader::new(packed);
                while let Some(n) = reader.packed()? {
                    one(zigzag(n));
                }
            }
            single => one(single.sint("deltas")?),
        }
        Ok(())
    }

    fn counts(&mut self, value: Value<'_>) -> Result<(), DecodeError> {
        doubles(value, |count| {
            self.listed += 1;
            self.negative |= count.is_nan() || count < 0.0;
        })
    }

    fn agree(&self) -> bool {
        self.spanned == self.listed && !self.overlapping && !self.negative
    }
}

fn doubles(value: Value<'_>, mut each: impl FnMut(f64)) -> Result<(), DecodeError> {
    let Value::Bytes(packed) = value else {
        each(value.double("counts")?);
        return Ok(());
    };
    let (whole, rest) = packed.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(DecodeError::Malformed("protobuf: packed doubles end within one".into()));
    }
    whole.iter().for_each(|bits| each(f64::from_le_bytes(*bits)));
    Ok(())
}

#[cfg(test)]
mod tests;
