//! Prometheus remote write 1.0: `prometheus.WriteRequest`.
//!
//! Field numbers are those of prometheus/prompb `remote.proto` and `types.proto`.

use whyd_signals::sink::{AHEAD, Counts, DecodeError, RawLabels, Refusal, SampleSink};
use whyd_signals::{Compression, SeriesId, Timestamp};

use super::inflate::Inflater;
use super::native_histogram::Beside;
use super::protobuf::{Reader, Value};

const REQUEST_TIMESERIES: u32 = 1;
const SERIES_LABELS: u32 = 1;
const SERIES_SAMPLES: u32 = 2;
const SERIES_EXEMPLARS: u32 = 3;
const SERIES_HISTOGRAMS: u32 = 4;
const SAMPLE_VALUE: u32 = 1;
const SAMPLE_TIMESTAMP: u32 = 2;
/// These fields as they are written: number and wire type.
const LABELS_TAG: u8 = 0x0a;
const SAMPLES_TAG: u8 = 0x12;
const VALUE_TAG: u8 = 0x09;
const TIMESTAMP_TAG: u8 = 0x10;

/// Decodes a body of at most [`super::inflate::LIMIT`] inflated bytes.
///
/// # Errors
/// Those of [`Inflater::inflate`] and [`decode_message`]; rows handed over before it are the caller's to roll back.
pub fn decode(
    body: &[u8],
    compression: Compression,
    inflater: &mut Inflater,
    sink: &mut impl SampleSink,
) -> Result<Counts, DecodeError> {
    decode_message(inflater.inflate(body, compression)?, sink)
}

/// Decodes the inflated message. [`Counts::rows`] are the samples handed over, refused ones included.
///
/// Values keep their bits, the stale marker among them; milliseconds become nanoseconds.
/// A series without samples is not looked up. What the labels hold is for the sink to judge. A time that cannot be held
/// is refused by itself.
///
/// # Errors
/// [`DecodeError::Malformed`] for broken protobuf.
pub fn decode_message(message: &[u8], sink: &mut impl SampleSink) -> Result<Counts, DecodeError> {
    let mut counts = Counts::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number != REQUEST_TIMESERIES {
            continue;
        }
        let series = value.bytes("timeseries")?;
        if sink.has_no_order()
            && let Some(first) = usual_series(series)
        {
            together(first, &mut reader, sink, &mut counts);
        } else {
            time_series(series, sink, &mut counts)?;
        }
    }
    Ok(counts)
}

/// Hands over this series and those behind it that are as usual, [`AHEAD`] at most.
fn together<'a>(first: Usual<'a>, reader: &mut Reader<'a>, sink: &mut impl SampleSink, counts: &mut Counts) {
    let mut labels = [RawLabels(&[]); AHEAD];
    let mut samples = [first.1; AHEAD];
    let mut next = Some(first);
    let mut many = 0;
    for (labels, sample) in labels.iter_mut().zip(&mut samples) {
        let Some(series) = next else { break };
        (*labels, *sample) = series;
        many += 1;
        next = (many < AHEAD).then(|| next_usual(reader)).flatten();
    }
    let (labels, mut found) = (labels.get(..many).unwrap_or_default(), [None; AHEAD]);
    sink.find_ahead(labels, &mut found);
    counts.rows += many as u64;
    for ((labels, sample), found) in labels.iter().zip(samples).zip(found) {
        if let Some(id) = found {
            sink.take_found(id);
            one(id, sample, sink);
        } else {
            hand_one(*labels, sample, sink);
        }
    }
}

/// The series that comes next, if it is as usual; what is malformed stays for its turn.
#[inline]
fn next_usual<'a>(reader: &mut Reader<'a>) -> Option<Usual<'a>> {
    let mut behind = reader.clone();
    let Ok(Some((REQUEST_TIMESERIES, Value::Bytes(series)))) = behind.field() else { return None };
    let usual = usual_series(series)?;
    *reader = behind;
    Some(usual)
}

/// Where the parts of one series lie, found by stepping over its fields once.
#[derive(Default)]
struct Layout {
    labels_start: usize,
    labels_end: usize,
    contiguous: bool,
    samples_start: usize,
    samples: u64,
    beside: Beside,
}

#[inline]
fn time_series(message: &[u8], sink: &mut impl SampleSink, counts: &mut Counts) -> Result<(), DecodeError> {
    // Nearly always: the labels are those that were expected, and one sample follows.
    if let Some((id, labels)) = sink.successor(message)
        && let Some(((ms, value), [])) = message.get(labels..).and_then(first_sample)
        && let Some(ts) = Timestamp::from_millis(ms)
    {
        sink.take_successor(id);
        counts.rows += 1;
        // a refusal is counted by the sink that makes it
        let _ = sink.sample(id, ts, value);
        return Ok(());
    }
    match usual_series(message) {
        Some((labels, sample)) => {
            counts.rows += 1;
            hand_one(labels, sample, sink);
            Ok(())
        }
        None => any_series(message, sink, counts),
    }
}

#[inline]
fn hand_one(labels: RawLabels<'_>, sample: (Option<Timestamp>, f64), sink: &mut impl SampleSink) {
    match sink.series(labels) {
        Ok(id) => one(id, sample, sink),
        Err(why) => sink.refused(1, why),
    }
}

/// A series as nearly everybody writes it: labels of a few words each, then one sample.
type Usual<'a> = (RawLabels<'a>, (Option<Timestamp>, f64));

#[inline]
fn usual_series(message: &[u8]) -> Option<Usual<'_>> {
    let mut rest = message;
    while let [LABELS_TAG, len @ ..0x80, label @ ..] = rest {
        rest = label.get(usize::from(*len)..)?;
    }
    let ((ms, value), []) = first_sample(rest)? else { return None };
    let labels = message.get(..message.len() - rest.len())?;
    Some((RawLabels(labels), (Timestamp::from_millis(ms), value)))
}

/// The sample with which `fields` begin, and what is behind it.
#[inline]
pub(super) fn first_sample(fields: &[u8]) -> Option<((i64, f64), &[u8])> {
    let (&[SAMPLES_TAG, len @ ..0x80], rest) = fields.split_first_chunk()? else { return None };
    let (message, rest) = rest.split_at_checked(usize::from(len))?;
    Some((usual_sample(message)?, rest))
}

/// A sample as everybody writes it: value, then time.
#[inline]
fn usual_sample(message: &[u8]) -> Option<(i64, f64)> {
    let (&VALUE_TAG, rest) = message.split_first()? else { return None };
    let (value, rest) = rest.split_first_chunk()?;
    let (&TIMESTAMP_TAG, varint) = rest.split_first()? else { return None };
    // Shorter than nine bytes there is no overflow to look for, and so is any time of this age.
    let (last, first) = varint.split_last()?;
    if *last >= 0x80 || first.len() > 7 || first.iter().any(|byte| *byte < 0x80) {
        return None;
    }
    let ms = varint.iter().rev().fold(0, |ms, byte| ms << 7 | u64::from(byte & 0x7f));
    Some((ms.cast_signed(), f64::from_le_bytes(*value)))
}

fn any_series(message: &[u8], sink: &mut impl SampleSink, counts: &mut Counts) -> Result<(), DecodeError> {
    let layout = layout(message)?;
    let gathered = if layout.contiguous { Vec::new() } else { gathered_labels(message)? };
    let labels = if layout.contiguous { message.get(layout.labels_start..layout.labels_end) } else { Some(&*gathered) };
    let labels = RawLabels(labels.unwrap_or_default());
    if layout.samples == 0 {
        if !layout.beside.is_nothing() {
            layout.beside.count(sink.judge(labels).is_ok(), counts);
        }
        return Ok(());
    }
    let resolved = sink.series(labels);
    layout.beside.count(is_written(resolved), counts);
    counts.rows += layout.samples;
    hand_over(message.get(layout.samples_start..).unwrap_or_default(), layout.samples, resolved, sink)
}

/// Whether the sender is told that what hangs on this series is written.
pub(super) fn is_written(resolved: Result<SeriesId, Refusal>) -> bool {
    matches!(resolved, Ok(_) | Err(Refusal::Deduplicated))
}

/// The samples among the fields of a series, which are the same in both versions.
#[inline]
pub(super) fn hand_over(
    fields: &[u8],
    samples: u64,
    resolved: Result<SeriesId, Refusal>,
    sink: &mut impl SampleSink,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(fields);
    match resolved {
        Ok(id) => {
            while let Some((number, value)) = reader.field()? {
                if number == SERIES_SAMPLES {
                    one(id, sample(value.bytes("samples")?)?, sink);
                }
            }
        }
        Err(why) => {
            while let Some((number, value)) = reader.field()? {
                if number == SERIES_SAMPLES {
                    sample(value.bytes("samples")?)?;
                }
            }
            sink.refused(samples, why);
        }
    }
    Ok(())
}

/// One sample; a refusal is counted by the sink that makes it.
#[inline]
pub(super) fn one(id: SeriesId, (ts, value): (Option<Timestamp>, f64), sink: &mut impl SampleSink) {
    match ts {
        Some(ts) => drop(sink.sample(id, ts, value)),
        None => sink.refused(1, Refusal::OutOfRange),
    }
}

fn layout(message: &[u8]) -> Result<Layout, DecodeError> {
    let mut found = Layout { contiguous: true, ..Layout::default() };
    let mut labelled = false;
    let mut reader = Reader::new(message);
    loop {
        let start = reader.position();
        let Some((number, value)) = reader.field()? else { return Ok(found) };
        match number {
            SERIES_LABELS => {
                value.bytes("labels")?;
                if !labelled {
                    labelled = true;
                    found.labels_start = start;
                } else if found.labels_end != start {
                    found.contiguous = false;
                }
                found.labels_end = reader.position();
            }
            SERIES_SAMPLES => {
                if found.samples == 0 {
                    found.samples_start = start;
                }
                found.samples += 1;
            }
            SERIES_EXEMPLARS => {
                value.bytes("exemplars")?;
                found.beside.exemplar();
            }
            SERIES_HISTOGRAMS => found.beside.histogram(value.bytes("histograms")?)?,
            _ => {}
        }
    }
}

/// The label fields one after another, for a sender that put something in between.
pub(super) fn gathered_labels(message: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut labels = Vec::new();
    let mut reader = Reader::new(message);
    loop {
        let start = reader.position();
        match reader.field()? {
            Some((SERIES_LABELS, _)) => {
                labels.extend_from_slice(message.get(start..reader.position()).unwrap_or_default());
            }
            Some(_) => {}
            None => return Ok(labels),
        }
    }
}

/// A sample of either version: its time, where that can be held, and its value.
#[inline]
pub(super) fn sample(message: &[u8]) -> Result<(Option<Timestamp>, f64), DecodeError> {
    if let Some((ms, value)) = usual_sample(message) {
        return Ok((Timestamp::from_millis(ms), value));
    }
    let (mut value, mut ms) = (0.0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            SAMPLE_VALUE => value = field.double("value")?,
            SAMPLE_TIMESTAMP => ms = field.int("timestamp")?,
            _ => {}
        }
    }
    Ok((Timestamp::from_millis(ms), value))
}

#[cfg(test)]
mod tests;
