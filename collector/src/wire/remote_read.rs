//! Prometheus remote read: the request, and both forms of its response.
//!
//! Field numbers are those of prometheus/prompb `remote.proto` and `types.proto`.

use whyd_signals::sink::{Counts, DecodeError, RawLabels, Refusal, SampleSink};
use whyd_signals::{Compression, Range, SeriesId, Timestamp};

use super::inflate::Inflater;
use super::protobuf::Reader;
use super::{crc32c, remote_write1, write, xor};

const REQUEST_QUERIES: u32 = 1;
const REQUEST_ACCEPTED: u32 = 2;
const QUERY_START: u32 = 1;
const QUERY_END: u32 = 2;
const QUERY_MATCHERS: u32 = 3;
const MATCHER_TYPE: u32 = 1;
const MATCHER_NAME: u32 = 2;
const MATCHER_VALUE: u32 = 3;
/// Of `ReadRequest.ResponseType`.
const SAMPLES: i64 = 0;
const STREAMED_XOR_CHUNKS: i64 = 1;

const RESPONSE_RESULTS: u32 = 1;
const CHUNKED_SERIES: u32 = 1;
const SERIES_LABELS: u32 = 1;
const SERIES_CHUNKS: u32 = 2;
const CHUNK_TYPE: u32 = 3;
const CHUNK_DATA: u32 = 4;
/// Of `Chunk.Encoding`.
const XOR: i64 = 1;
const HISTOGRAM: i64 = 2;
const FLOAT_HISTOGRAM: i64 = 3;

/// The largest frame that is read. Prometheus makes them of one MiB unless told otherwise.
pub const LARGEST_FRAME: usize = 8 << 20;

/// How a label has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Equal = 0,
    NotEqual = 1,
    Matches = 2,
    MatchesNot = 3,
}

/// One condition on a series.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Matcher {
    pub name: String,
    pub operator: Operator,
    pub value: String,
}

/// A `prometheus.ReadRequest` for the samples of these series within a time, chunks preferred; not yet compressed.
pub fn request(selectors: &[Vec<Matcher>], range: Range) -> Vec<u8> {
    let (start, end) = millis(range);
    let (mut request, mut query, mut matcher) = (Vec::new(), Vec::new(), Vec::new());
    for matchers in selectors {
        query.clear();
        write::int(QUERY_START, start, &mut query);
        write::int(QUERY_END, end, &mut query);
        for m in matchers {
            matcher.clear();
            write::int(MATCHER_TYPE, m.operator as i64, &mut matcher);
            write::bytes(MATCHER_NAME, m.name.as_bytes(), &mut matcher);
            write::bytes(MATCHER_VALUE, m.value.as_bytes(), &mut matcher);
            write::bytes(QUERY_MATCHERS, &matcher, &mut query);
        }
        write::bytes(REQUEST_QUERIES, &query, &mut request);
    }
    for accepted in [STREAMED_XOR_CHUNKS, SAMPLES] {
        write::int(REQUEST_ACCEPTED, accepted, &mut request);
    }
    request
}

/// The first and the last millisecond of a range.
fn millis(range: Range) -> (i64, i64) {
    let ceil = |t: Timestamp| t.nanos().div_euclid(1_000_000) + i64::from(t.nanos().rem_euclid(1_000_000) > 0);
    (ceil(range.from), ceil(range.to) - 1)
}

/// How many bytes the frame at the start of some bytes takes; `None` while not all of it is there.
///
/// # Errors
/// [`DecodeError`] when it is over [`LARGEST_FRAME`], or is none.
pub fn frame(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    Ok(head(bytes)?.map(|(head, len)| head + 4 + len).filter(|all| *all <= bytes.len()))
}

/// The length of a frame's own length, and what it says.
fn head(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut len = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        len |= u64::from(byte & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
        if *byte < 0x80 {
            return match usize::try_from(len) {
                Ok(len) if len <= LARGEST_FRAME => Ok(Some((i + 1, len))),
                _ => Err(DecodeError::TooLarge { decoded: len, limit: LARGEST_FRAME as u64 }),
            };
        }
    }
    if bytes.len() < 10 { Ok(None) } else { Err(DecodeError::Malformed("frame: its length has no end".into())) }
}

/// Decodes whole frames of a streamed response. [`Counts::rows`] are the samples handed over, refused ones included.
///
/// A chunk reaches beyond the time that was asked for; what lies outside of `range` is passed over. Values keep their
/// bits. Native histograms are counted, not read: they come from a server that has checked them.
///
/// # Errors
/// [`DecodeError::Malformed`] for a frame that is cut or whose checksum is another, broken protobuf, a chunk that cannot be
/// read, or a time that does not fit.
pub fn decode_chunks(mut frames: &[u8], range: Range, sink: &mut impl SampleSink) -> Result<Counts, DecodeError> {
    let cut = || DecodeError::Malformed("frame: it is cut".into());
    let mut counts = Counts::default();
    while !frames.is_empty() {
        let (start, len) = head(frames)?.ok_or_else(cut)?;
        let (framed, rest) = frames.split_at_checked(start + 4 + len).ok_or_else(cut)?;
        let (sum, message) = framed.get(start..).and_then(|f| f.split_first_chunk::<4>()).ok_or_else(cut)?;
        if u32::from_be_bytes(*sum) != crc32c::checksum(message) {
            return Err(DecodeError::Malformed("frame: its checksum is another".into()));
        }
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.field()? {
            if number == CHUNKED_SERIES {
                series(value.bytes("chunked_series")?, range, sink, &mut counts)?;
            }
        }
        frames = rest;
    }
    Ok(counts)
}

fn series(message: &[u8], range: Range, sink: &mut impl SampleSink, counts: &mut Counts) -> Result<(), DecodeError> {
    let labels = labels(message)?;
    let mut resolved: Option<Result<SeriesId, Refusal>> = None;
    let mut refused = 0;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number != SERIES_CHUNKS {
            continue;
        }
        let (encoding, data) = chunk(value.bytes("chunks")?)?;
        match encoding {
            XOR => {}
            HISTOGRAM | FLOAT_HISTOGRAM => {
                counts.histograms += u64::from(xor::count(data)?);
                continue;
            }
            other => return Err(DecodeError::Malformed(format!("chunk of encoding {other}, which is not known"))),
        }
        let mut fits = true;
        xor::decode(data, |ms, bits| {
            let Some(ts) = Timestamp::from_millis(ms) else {
                fits = false;
                return;
            };
            if !range.contains(ts) {
                return;
            }
            counts.rows += 1;
            match *resolved.get_or_insert_with(|| sink.series(RawLabels(&labels))) {
                // a refusal is counted by the sink that makes it
                Ok(id) => drop(sink.sample(id, ts, f64::from_bits(bits))),
                Err(_) => refused += 1,
            }
        })?;
        if !fits {
            return Err(DecodeError::Malformed("a timestamp of a chunk is out of range".into()));
        }
    }
    if let Some(Err(why)) = resolved {
        sink.refused(refused, why);
    }
    Ok(())
}

/// The label fields one after another, as the sink takes them.
fn labels(message: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, DecodeError> {
    let mut reader = Reader::new(message);
    let mut end = 0;
    while let Some((SERIES_LABELS, _)) = reader.field()? {
        end = reader.position();
    }
    let apart = reader.position() > end && {
        let mut more = false;
        while let Some((number, _)) = reader.field()? {
            more |= number == SERIES_LABELS;
        }
        more
    };
    match apart {
        false => Ok(message.get(..end).unwrap_or_default().into()),
        true => remote_write1::gathered_labels(message).map(Into::into),
    }
}

fn chunk(message: &[u8]) -> Result<(i64, &[u8]), DecodeError> {
    let (mut encoding, mut data) = (0, [].as_slice());
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            CHUNK_TYPE => encoding = value.int("type")?,
            CHUNK_DATA => data = value.bytes("data")?,
            _ => {}
        }
    }
    Ok((encoding, data))
}

/// Decodes a response of samples: a snappy block of at most [`super::inflate::LIMIT`] inflated bytes. What lies outside
/// of `range` is passed over.
///
/// # Errors
/// Those of [`Inflater::inflate`] and [`remote_write1::decode_message`].
pub fn decode_samples(
    body: &[u8],
    range: Range,
    inflater: &mut Inflater,
    sink: &mut impl SampleSink,
) -> Result<Counts, DecodeError> {
    let message = inflater.inflate(body, Compression::Snappy)?;
    let mut within = Within { sink, range, refused: None };
    let mut counts = Counts::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == RESPONSE_RESULTS {
            // A result is laid out as a write request is: its series are the first field.
            let one = remote_write1::decode_message(value.bytes("results")?, &mut within)?;
            counts.rows += one.rows;
            counts.histograms += one.histograms;
            counts.invalid_histograms += one.invalid_histograms;
        }
    }
    Ok(counts)
}

/// Passes on what lies within a time. Rows are those alone, of a series that is refused too: the log tells them by their
/// numbers.
struct Within<'s, S> {
    sink: &'s mut S,
    range: Range,
    /// Why the series that was asked for last is.
    refused: Option<Refusal>,
}

/// Stands for a series that was refused.
const REFUSED: SeriesId = SeriesId(u32::MAX);

impl<S: SampleSink> SampleSink for Within<'_, S> {
    fn series(&mut self, labels: RawLabels<'_>) -> Result<SeriesId, Refusal> {
        let found = self.sink.series(labels);
        self.refused = found.err();
        Ok(found.unwrap_or(REFUSED))
    }
    fn sample(&mut self, series: SeriesId, ts: Timestamp, value: f64) -> Result<(), Refusal> {
        if !self.range.contains(ts) {
            return Ok(());
        }
        match self.refused {
            Some(why) => {
                self.sink.refused(1, why);
                Err(why)
            }
            None => self.sink.sample(series, ts, value),
        }
    }
    fn refused(&mut self, samples: u64, why: Refusal) {
        self.sink.refused(samples, why);
    }
}

#[cfg(test)]
mod tests;
