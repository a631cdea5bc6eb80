//! `logproto.PushRequest`. Field numbers are those of grafana/loki `pkg/push/push.proto`.

use std::borrow::Cow;

use whyd_signals::Timestamp;
use whyd_signals::sink::{Counts, DecodeError, LogSink, Pair, Refusal, tells_streams_apart};

use super::{Resolved, parse_labels, sort};
use crate::wire::protobuf::Reader;
use crate::wire::snappy;

const REQUEST_STREAMS: u32 = 1;
const STREAM_LABELS: u32 = 1;
const STREAM_ENTRIES: u32 = 2;
const ENTRY_TIMESTAMP: u32 = 1;
const ENTRY_LINE: u32 = 2;
const ENTRY_METADATA: u32 = 3;
const TIMESTAMP_SECONDS: u32 = 1;
const TIMESTAMP_NANOS: u32 = 2;
const PAIR_NAME: u32 = 1;
const PAIR_VALUE: u32 = 2;

/// Decodes a snappy block of at most [`snappy::DEFAULT_LIMIT`] inflated bytes.
///
/// # Errors
/// Those of [`snappy::inflate`] and [`decode_message`]; lines handed over before it are the caller's to roll back.
pub fn decode_proto(body: &[u8], scratch: &mut Vec<u8>, sink: &mut impl LogSink) -> Result<Counts, DecodeError> {
    decode_message(snappy::inflate(body, snappy::DEFAULT_LIMIT, scratch)?, sink)
}

/// Decodes the inflated message. [`Counts::rows`] are the lines handed over, refused ones included.
///
/// Bytes of a line that are not UTF-8 become U+FFFD.
///
/// # Errors
/// [`DecodeError::Malformed`] for broken protobuf, an unreadable label string, a missing timestamp or one out of
/// range.
pub fn decode_message(message: &[u8], sink: &mut impl LogSink) -> Result<Counts, DecodeError> {
    let mut counts = Counts::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == REQUEST_STREAMS {
            counts.rows += stream(value.bytes("streams")?, sink)?;
        }
    }
    Ok(counts)
}

fn stream(message: &[u8], sink: &mut impl LogSink) -> Result<u64, DecodeError> {
    let mut text = None;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == STREAM_LABELS {
            text = Some(value.bytes("labels")?);
        }
    }
    let text = text.ok_or_else(|| DecodeError::Malformed("stream without the field `labels`".into()))?;
    let text = utf8(text, "labels")?;
    let mut labels = parse_labels(text)?;
    sort(&mut labels);

    let mut lines = 0;
    let (mut before, mut metadata) = (Vec::new(), Vec::new());
    let mut last: Option<Resolved> = None;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number != STREAM_ENTRIES {
            continue;
        }
        metadata.clear();
        let (ts, line) = entry(value.bytes("entries")?, &mut metadata)?;
        lines += 1;
        let Some(ts) = ts else {
            sink.refused(1, Refusal::OutOfRange);
            continue;
        };
        let resolved = match last {
            Some(resolved) if before == metadata => resolved,
            _ => {
                let resolved = sink.stream(&labels, &sorted(&metadata));
                std::mem::swap(&mut before, &mut metadata);
                *last.insert(resolved)
            }
        };
        match resolved {
            // a refusal is counted by the sink that makes it
            Ok(id) => drop(sink.line(id, ts, &text_of(line))),
            Err(why) => sink.refused(1, why),
        }
    }
    Ok(lines)
}

/// The text of a line; nothing is copied where it is sound.
fn text_of(line: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed)
}

/// When an entry was written, where that can be held, and its line; `metadata` becomes what of its metadata tells
/// streams apart.
fn entry<'a>(
    message: &'a [u8],
    metadata: &mut Vec<(&'a str, &'a str)>,
) -> Result<(Option<Timestamp>, &'a [u8]), DecodeError> {
    let (mut ts, mut line) = (None, &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            ENTRY_TIMESTAMP => ts = Some(timestamp(value.bytes("timestamp")?)?),
            ENTRY_LINE => line = value.bytes("line")?,
            ENTRY_METADATA => metadata.extend(pair(value.bytes("structuredMetadata")?)?),
            _ => {}
        }
    }
    let ts = ts.ok_or_else(|| DecodeError::Malformed("entry without the field `timestamp`".into()))?;
    Ok((ts, line))
}

fn timestamp(message: &[u8]) -> Result<Option<Timestamp>, DecodeError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            TIMESTAMP_SECONDS => seconds = value.int("seconds")?,
            TIMESTAMP_NANOS => nanos = value.int("nanos")?,
            _ => {}
        }
    }
    Ok(Some(nanos).filter(|n| (0..1_000_000_000).contains(n)).and_then(|n| Timestamp::from_parts(seconds, n)))
}

/// A pair of metadata, where it tells streams apart.
fn pair(message: &[u8]) -> Result<Option<(&str, &str)>, DecodeError> {
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            PAIR_NAME => name = field.bytes("name")?,
            PAIR_VALUE => value = field.bytes("value")?,
            _ => {}
        }
    }
    let name = utf8(name, "name of structuredMetadata")?;
    let value = utf8(value, "value of structuredMetadata")?;
    Ok(tells_streams_apart(name).then_some((name, value)))
}

fn sorted<'a>(metadata: &[(&'a str, &'a str)]) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'a>> = metadata.iter().map(|(n, v)| (Cow::Borrowed(*n), Cow::Borrowed(*v))).collect();
    sort(&mut pairs);
    pairs
}

fn utf8<'a>(bytes: &'a [u8], field: &str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Malformed(format!("{field}: not UTF-8")))
}
