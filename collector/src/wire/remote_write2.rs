//! Prometheus remote write 2.0: `io.prometheus.write.v2.Request`.
//!
//! Field numbers are those of prometheus/prompb `io/prometheus/write/v2/types.proto`. A series is a list of references
//! to the symbols of its body; the sink knows series by the bytes of their labels in 1.0. So the labels are rendered in
//! that form, into one buffer in which only what differs from the series before is written anew.

mod rendered;
mod symbols;

use whyd_signals::Compression;
use whyd_signals::sink::{Counts, DecodeError, RawLabels, Refusal, SampleSink};

use self::rendered::Rendered;
use self::symbols::Symbols;
use super::inflate::{self, Inflater};
use super::native_histogram;
use super::protobuf::{Reader, Value};
use super::remote_write1::{hand_over, is_written, sample};

const REQUEST_SYMBOLS: u32 = 4;
const REQUEST_TIMESERIES: u32 = 5;
const SERIES_LABELS: u32 = 1;
const SERIES_SAMPLES: u32 = 2;
const SERIES_HISTOGRAMS: u32 = 3;
const SERIES_EXEMPLARS: u32 = 4;
const SERIES_METADATA: u32 = 5;
const EXEMPLAR_LABELS: u32 = 1;
const EXEMPLAR_VALUE: u32 = 2;
const EXEMPLAR_TIMESTAMP: u32 = 3;
const METADATA_HELP: u32 = 3;
const METADATA_UNIT: u32 = 4;

/// Bytes of rendered labels in one body. A body that names long symbols again and again is small and means much; this
/// is what it may mean, four times what a body of 1.0 can hold.
const LABELS: usize = 4 * inflate::LIMIT;
/// Bytes of rendered labels of one series; one that has more is refused by itself.
const LABELS_OF_ONE: usize = 1 << 20;

/// What is used again from body to body.
#[derive(Debug, Default)]
pub struct Scratch {
    symbols: Symbols,
    /// Of the series that is read.
    refs: Vec<u32>,
    rendered: Rendered,
}

/// Decodes a body of at most [`inflate::LIMIT`] inflated bytes.
///
/// # Errors
/// Those of [`Inflater::inflate`] and [`decode_message`]; rows handed over before it are the caller's to roll back.
pub fn decode(
    body: &[u8],
    compression: Compression,
    inflater: &mut Inflater,
    scratch: &mut Scratch,
    sink: &mut impl SampleSink,
) -> Result<Counts, DecodeError> {
    decode_message(inflater.inflate(body, compression)?, scratch, sink)
}

/// Decodes the inflated message. [`Counts::rows`] are the samples handed over, refused ones included.
///
/// Metadata and start times are read for what is broken in them, and not kept. A series without samples is not looked up.
///
/// # Errors
/// [`DecodeError::Malformed`] for broken protobuf, symbols that do not begin with the empty one, a reference to none, a
/// label without a value, or a time that does not fit.
pub fn decode_message(
    message: &[u8],
    scratch: &mut Scratch,
    sink: &mut impl SampleSink,
) -> Result<Counts, DecodeError> {
    let Scratch { symbols, refs, rendered } = scratch;
    symbols.clear();
    rendered.clear();
    let mut series = false;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            REQUEST_SYMBOLS => symbols.add(value.bytes("symbols")?, message, reader.position())?,
            REQUEST_TIMESERIES => series = true,
            _ => {}
        }
    }
    symbols.begin_with_the_empty_one(series)?;
    let mut body = Body { message, symbols, refs, rendered, handed: 0, counts: Counts::default() };
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == REQUEST_TIMESERIES {
            body.time_series(value.bytes("timeseries")?, sink)?;
        }
    }
    Ok(body.counts)
}

struct Body<'a> {
    message: &'a [u8],
    symbols: &'a Symbols,
    refs: &'a mut Vec<u32>,
    rendered: &'a mut Rendered,
    /// Bytes of labels handed over.
    handed: usize,
    counts: Counts,
}

impl Body<'_> {
    fn time_series(&mut self, message: &[u8], sink: &mut impl SampleSink) -> Result<(), DecodeError> {
        self.refs.clear();
        let (mut samples_start, mut samples, mut exemplars) = (0, 0, 0);
        let mut first: &[u8] = &[];
        let mut reader = Reader::new(message);
        loop {
            let start = reader.position();
            let Some((number, value)) = reader.field()? else { break };
            match number {
                SERIES_LABELS => self.symbols.refs(value, self.refs)?,
                SERIES_SAMPLES => {
                    if samples == 0 {
                        samples_start = start;
                        first = value.bytes("samples")?;
                    }
                    samples += 1;
                }
                SERIES_HISTOGRAMS => native_histogram::count(value.bytes("histograms")?, &mut self.counts)?,
                SERIES_EXEMPLARS => {
                    exemplars += 1;
                    self.exemplar(value.bytes("exemplars")?)?;
                }
                SERIES_METADATA => self.metadata(value.bytes("metadata")?)?,
                _ => {}
            }
        }
        paired(self.refs.len())?;
        if samples == 0 {
            self.counts.exemplars += exemplars;
            return Ok(());
        }
        let resolved = if self.symbols.are_over(LABELS_OF_ONE, self.refs) {
            Err(Refusal::InvalidLabels)
        } else {
            let labels = self.rendered.render(self.refs, self.symbols, self.message);
            self.handed += labels.len();
            if self.handed > LABELS {
                return Err(DecodeError::Malformed(format!("the labels of all series are over {LABELS} bytes")));
            }
            sink.series(RawLabels(labels))
        };
        if is_written(resolved) {
            self.counts.exemplars += exemplars;
        }
        self.counts.rows += samples;
        if samples == 1
            && let Ok(id) = resolved
        {
            let (ts, value) = sample(first)?;
            // a refusal is counted by the sink that makes it
            let _ = sink.sample(id, ts, value);
            return Ok(());
        }
        hand_over(message.get(samples_start..).unwrap_or_default(), samples, resolved, sink)
    }

    fn exemplar(&self, message: &[u8]) -> Result<(), DecodeError> {
        let mut labels = 0;
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            match number {
                EXEMPLAR_LABELS => labels += self.symbols.check(value)?,
                EXEMPLAR_VALUE => {
                    value.double("value")?;
                }
                EXEMPLAR_TIMESTAMP => {
                    value.int("timestamp")?;
                }
                _ => {}
            }
        }
        paired(labels)
    }

    fn metadata(&self, message: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            if matches!(number, METADATA_HELP | METADATA_UNIT) {
                self.symbols.check(Value::Varint(value.int("metadata")?.cast_unsigned()))?;
            }
        }
        Ok(())
    }
}

fn paired(refs: usize) -> Result<(), DecodeError> {
    if refs.is_multiple_of(2) {
        return Ok(());
    }
    Err(DecodeError::Malformed(format!("labels_refs of {refs} references: a name without a value")))
}

#[cfg(test)]
mod tests;
