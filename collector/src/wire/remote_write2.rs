//! Prometheus remote write 2.0: `io.prometheus.write.v2.Request`.
//!
//! Field numbers are those of prometheus/prompb `io/prometheus/write/v2/types.proto`. A series is a list of references
//! to the symbols of its body; the sink knows series by the bytes of their labels in 1.0. So the labels are rendered in
//! that form, into one buffer in which only what differs from the series before is written anew. A series
//! that is expected is told without: by what its references meant in the bodies before.

mod known;
mod rendered;
mod symbols;

use whyd_signals::sink::{Counts, DecodeError, RawLabels, Refusal, SampleSink};
use whyd_signals::{Compression, SeriesId, Timestamp};

use self::known::Known;
use self::rendered::Rendered;
use self::symbols::Symbols;
use super::inflate::{self, Inflater};
use super::native_histogram::Beside;
use super::protobuf::{Reader, Value};
use super::remote_write1::{first_sample, hand_over, is_written, one, sample};

const REQUEST_SYMBOLS: u32 = 4;
const REQUEST_TIMESERIES: u32 = 5;
const SERIES_LABELS: u32 = 1;
const SERIES_SAMPLES: u32 = 2;
const SERIES_HISTOGRAMS: u32 = 3;
const SERIES_EXEMPLARS: u32 = 4;
const SERIES_METADATA: u32 = 5;
/// These fields as they are written: number and wire type.
const LABELS_TAG: u8 = 0x0a;
const METADATA_TAG: u8 = 0x2a;
const TYPE_TAG: u8 = 0x08;
const HELP_TAG: u8 = 0x18;
const UNIT_TAG: u8 = 0x20;
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

/// Series of one body; one takes two bytes there and sixteen here.
const MOST_SERIES: usize = 1 << 20;
/// Room for so many is kept from body to body.
const KEPT_ROOM: usize = 1 << 16;

/// What is used again from body to body.
#[derive(Debug)]
pub struct Scratch {
    symbols: Symbols,
    /// Where the series of the body lie: symbols may come behind them.
    series: Vec<(usize, usize)>,
    /// Of the series that is read.
    refs: Vec<u32>,
    rendered: Rendered,
    known: Known,
}

impl Scratch {
    /// For what is known from body to body no more than `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self {
            symbols: Symbols::default(),
            series: Vec::new(),
            refs: Vec::new(),
            rendered: Rendered::default(),
            known: Known::new(bytes),
        }
    }

    /// Bytes held of what is known from body to body.
    pub fn bytes(&self) -> usize {
        self.known.bytes()
    }

    /// How often all that was known was forgotten, for having no room and being of no use.
    pub fn forgotten(&self) -> u64 {
        self.known.forgotten()
    }
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
/// [`DecodeError::Malformed`] for broken protobuf, symbols that do not begin with the empty one, a reference to none, or a
/// label without a value.
pub fn decode_message(
    message: &[u8],
    scratch: &mut Scratch,
    sink: &mut impl SampleSink,
) -> Result<Counts, DecodeError> {
    let Scratch { symbols, series, refs, rendered, known } = scratch;
    symbols.clear();
    series.clear();
    series.shrink_to(KEPT_ROOM);
    rendered.clear();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            REQUEST_SYMBOLS => symbols.add(value.bytes("symbols")?, message, reader.position(), known)?,
            REQUEST_TIMESERIES if series.len() == MOST_SERIES => {
                return Err(DecodeError::Malformed(format!("over {MOST_SERIES} series")));
            }
            REQUEST_TIMESERIES => {
                let end = reader.position();
                series.push((end - value.bytes("timeseries")?.len(), end));
            }
            _ => {}
        }
    }
    symbols.begin_with_the_empty_one(!series.is_empty())?;
    if symbols.are_none() && !message.is_empty() {
        return Err(DecodeError::Malformed("neither symbols nor series: a message of 1.0 is no message of 2.0".into()));
    }
    let mut body = Body { message, symbols, refs, rendered, known, handed: 0, counts: Counts::default() };
    for (start, end) in series {
        body.time_series(message.get(*start..*end).unwrap_or_default(), sink)?;
    }
    Ok(body.counts)
}

struct Body<'a> {
    message: &'a [u8],
    symbols: &'a mut Symbols,
    refs: &'a mut Vec<u32>,
    rendered: &'a mut Rendered,
    known: &'a mut Known,
    /// Bytes of labels handed over.
    handed: usize,
    counts: Counts,
}

impl Body<'_> {
    #[inline]
    fn time_series(&mut self, message: &[u8], sink: &mut impl SampleSink) -> Result<(), DecodeError> {
        // Nearly always: the references mean what was expected, one sample follows, and at most what the metric is.
        if let Some((id, labels, rest)) = self.expected(message, sink)
            && let Some(((ms, value), rest)) = first_sample(rest)
            && let Some(ts) = Timestamp::from_millis(ms)
            && (rest.is_empty() || self.is_metadata(rest)?)
        {
            bounded(&mut self.handed, labels)?;
            sink.take_successor(id);
            self.counts.rows += 1;
            // a refusal is counted by the sink that makes it
            let _ = sink.sample(id, ts, value);
            return Ok(());
        }
        self.any_series(message, sink)
    }

    /// The series that is expected, if `message` begins with its labels; how many bytes they are, and what is behind them.
    #[inline]
    fn expected<'m>(&self, message: &'m [u8], sink: &impl SampleSink) -> Option<(SeriesId, usize, &'m [u8])> {
        let id = sink.expected()?;
        let (numbers, bytes) = self.known.labels(id)?;
        let (len, rest) = match *message {
            [LABELS_TAG, len @ ..0x80, ref rest @ ..] => (usize::from(len), rest),
            [LABELS_TAG, low, high @ ..0x80, ref rest @ ..] => (usize::from(low & 0x7f) | usize::from(high) << 7, rest),
            _ => return None,
        };
        let (packed, rest) = rest.split_at_checked(len)?;
        self.symbols.are(packed, numbers).then_some((id, bytes, rest))
    }

    /// Whether these fields are one of metadata and nothing else.
    fn is_metadata(&self, fields: &[u8]) -> Result<bool, DecodeError> {
        match *fields {
            [METADATA_TAG, len @ ..0x80, ref message @ ..] if message.len() == usize::from(len) => {
                if self.is_usual_metadata(message) {
                    return Ok(true);
                }
            }
            [METADATA_TAG, ..] => {}
            _ => return Ok(false),
        }
        let mut reader = Reader::new(fields);
        match reader.field()? {
            Some((SERIES_METADATA, value)) if reader.position() == fields.len() => {
                self.metadata(value.bytes("metadata")?).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Whether these are type, help and unit as everybody writes them, of symbols that there are.
    #[inline]
    fn is_usual_metadata(&self, mut message: &[u8]) -> bool {
        while let [tag @ (TYPE_TAG | HELP_TAG | UNIT_TAG), ref rest @ ..] = *message {
            let number;
            (number, message) = match *rest {
                [n @ ..0x80, ref rest @ ..] => (usize::from(n), rest),
                [low, high @ ..0x80, ref rest @ ..] => (usize::from(low & 0x7f) | usize::from(high) << 7, rest),
                _ => return false,
            };
            if tag != TYPE_TAG && !self.symbols.has(number) {
                return false;
            }
        }
        message.is_empty()
    }

    fn any_series(&mut self, message: &[u8], sink: &mut impl SampleSink) -> Result<(), DecodeError> {
        self.refs.clear();
        let (mut samples_start, mut samples, mut beside) = (0, 0, Beside::default());
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
                SERIES_HISTOGRAMS => beside.histogram(value.bytes("histograms")?)?,
                SERIES_EXEMPLARS => {
                    beside.exemplar();
                    self.exemplar(value.bytes("exemplars")?)?;
                }
                SERIES_METADATA => self.metadata(value.bytes("metadata")?)?,
                _ => {}
            }
        }
        paired(self.refs.len())?;
        if samples == 0 && beside.is_nothing() {
            return Ok(());
        }
        let over = self.symbols.are_over(LABELS_OF_ONE, self.refs);
        if samples == 0 {
            let sound = !over && {
                let labels = self.rendered.render(self.refs, self.symbols, self.message);
                bounded(&mut self.handed, labels.len())?;
                sink.judge(RawLabels(labels)).is_ok()
            };
            beside.count(sound, &mut self.counts);
            return Ok(());
        }
        let resolved = if over {
            Err(Refusal::LabelLimit)
        } else {
            let labels = self.rendered.render(self.refs, self.symbols, self.message);
            bounded(&mut self.handed, labels.len())?;
            let resolved = sink.series(RawLabels(labels));
            if let Ok(id) = resolved
                && sink.lasts(id, RawLabels(labels))
            {
                self.known.learn(id, self.refs, labels.len(), self.symbols, self.message);
            }
            resolved
        };
        beside.count(is_written(resolved), &mut self.counts);
        self.counts.rows += samples;
        if samples == 1
            && let Ok(id) = resolved
        {
            one(id, sample(first)?, sink);
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

/// Counts bytes of labels that are handed over.
fn bounded(handed: &mut usize, labels: usize) -> Result<(), DecodeError> {
    *handed += labels;
    if *handed > LABELS {
        return Err(DecodeError::Malformed(format!("the labels of all series are over {LABELS} bytes")));
    }
    Ok(())
}

fn paired(refs: usize) -> Result<(), DecodeError> {
    if refs.is_multiple_of(2) {
        return Ok(());
    }
    Err(DecodeError::Malformed(format!("labels_refs of {refs} references: a name without a value")))
}

#[cfg(test)]
mod tests;
