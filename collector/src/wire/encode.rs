//! A protobuf writer for tests, written apart from the reader, and sinks that remember.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::sink::{AHEAD, LogSink, Pair, RawLabels, Refusal, SampleSink};
use whyd_signals::{SeriesId, StreamId, Timestamp};

pub(crate) fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push(u8::try_from(n % 128).unwrap() | 0x80);
        n /= 128;
    }
    out.push(u8::try_from(n).unwrap());
    out
}

pub(crate) fn int(field: u64, n: i64) -> Vec<u8> {
    [varint(field * 8), varint(n.cast_unsigned())].concat()
}

pub(crate) fn double(field: u64, x: f64) -> Vec<u8> {
    [varint(field * 8 + 1), x.to_le_bytes().to_vec()].concat()
}

pub(crate) fn bytes(field: u64, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [varint(field * 8 + 2), varint(body.len() as u64), body.to_vec()].concat()
}

pub(crate) fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

/// `prometheus.Label` as field 1 of a series.
pub(crate) fn label(name: &str, value: &str) -> Vec<u8> {
    bytes(1, [bytes(1, name), bytes(2, value)].concat())
}

/// `prometheus.Sample` as field 2 of a series.
pub(crate) fn sample(value: f64, ms: i64) -> Vec<u8> {
    bytes(2, [double(1, value), int(2, ms)].concat())
}

/// A write request of one series for each list of fields.
pub(crate) fn request(series: &[&[Vec<u8>]]) -> Vec<u8> {
    series.iter().flat_map(|fields| bytes(1, fields.concat())).collect()
}

/// A write request of 2.0, its symbols in the order in which they are first named.
pub(crate) struct Write2 {
    pub(crate) symbols: Vec<String>,
    series: Vec<u8>,
}

impl Write2 {
    pub(crate) fn new() -> Self {
        Self { symbols: vec![String::new()], series: Vec::new() }
    }

    pub(crate) fn reference(&mut self, text: &str) -> u64 {
        let at = self.symbols.iter().position(|s| s == text).unwrap_or_else(|| {
            self.symbols.push(text.to_owned());
            self.symbols.len() - 1
        });
        at as u64
    }

    /// `labels_refs` as field 1 of a series or an exemplar.
    pub(crate) fn refs(&mut self, labels: &[(&str, &str)]) -> Vec<u8> {
        let packed: Vec<u8> =
            labels.iter().flat_map(|(k, v)| [*k, *v]).flat_map(|s| varint(self.reference(s))).collect();
        bytes(1, packed)
    }

    pub(crate) fn series(mut self, labels: &[(&str, &str)], fields: &[Vec<u8>]) -> Self {
        let refs = self.refs(labels);
        self.raw_series(&[&[refs], fields].concat())
    }

    pub(crate) fn raw_series(mut self, fields: &[Vec<u8>]) -> Self {
        self.series.extend(bytes(5, fields.concat()));
        self
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let symbols: Vec<u8> = self.symbols.iter().flat_map(|s| bytes(4, s)).collect();
        [symbols, self.series.clone()].concat()
    }
}

/// Labels are kept as they come; a series whose labels hold `refuse` is refused. With `expects` every series is expected
/// that is known and fits.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) series: Vec<Vec<u8>>,
    pub(crate) rows: Vec<(u32, i64, u64)>,
    pub(crate) refused: u64,
    pub(crate) refuse: Option<&'static str>,
    pub(crate) expects: bool,
    /// Finds what comes next ahead, every second of it.
    pub(crate) has_no_order: bool,
    /// How many were taken that had been found ahead.
    pub(crate) found: usize,
    /// How often what was expected came.
    pub(crate) came: usize,
    /// How many of the series are there for good.
    pub(crate) lasting: usize,
    /// The series after which something is expected.
    pub(crate) last: usize,
}

impl SampleSink for Samples {
    fn has_no_order(&self) -> bool {
        self.has_no_order
    }
    fn find_ahead(&self, next: &[RawLabels<'_>], found: &mut [Option<SeriesId>]) {
        assert!(next.len() <= AHEAD && found.len() >= next.len());
        for (labels, found) in next.iter().zip(found).step_by(2) {
            let at = self.series.iter().position(|s| s == labels.0);
            *found = at.map(|at| SeriesId(u32::try_from(at).unwrap()));
        }
    }
    fn take_found(&mut self, series: SeriesId) {
        self.found += 1;
        self.last = series.0 as usize;
    }
    fn series(&mut self, labels: RawLabels<'_>) -> Result<SeriesId, Refusal> {
        if self.refuse.is_some_and(|r| labels.0.windows(r.len()).any(|w| w == r.as_bytes())) {
            return Err(Refusal::SeriesLimit);
        }
        let at = self.series.iter().position(|s| s == labels.0).unwrap_or_else(|| {
            self.series.push(labels.0.to_vec());
            self.series.len() - 1
        });
        self.last = at;
        Ok(SeriesId(u32::try_from(at).unwrap()))
    }
    fn judge(&mut self, labels: RawLabels<'_>) -> Result<(), Refusal> {
        let refused = self.refuse.is_some_and(|r| labels.0.windows(r.len()).any(|w| w == r.as_bytes()));
        if refused { Err(Refusal::InvalidLabels) } else { Ok(()) }
    }
    fn expected(&self) -> Option<SeriesId> {
        let next = (self.last + 1).checked_rem(self.series.len())?;
        self.expects.then(|| SeriesId(u32::try_from(next).unwrap()))
    }
    fn lasts(&self, series: SeriesId, labels: RawLabels<'_>) -> bool {
        let at = series.0 as usize;
        at < self.lasting && self.series[at] == labels.0
    }
    fn successor(&self, fields: &[u8]) -> Option<(SeriesId, usize)> {
        let at = self.series.iter().position(|s| self.expects && fields.starts_with(s))?;
        Some((SeriesId(u32::try_from(at).unwrap()), self.series[at].len()))
    }
    fn take_successor(&mut self, series: SeriesId) {
        self.last = series.0 as usize;
        self.came += 1;
    }
    fn sample(&mut self, series: SeriesId, ts: Timestamp, value: f64) -> Result<(), Refusal> {
        self.rows.push((series.0, ts.nanos(), value.to_bits()));
        Ok(())
    }
    fn refused(&mut self, samples: u64, _: Refusal) {
        self.refused += samples;
    }
}

/// Streams as `labels|metadata`, each asked for once unless the decoder asks again.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) streams: Vec<String>,
    pub(crate) rows: Vec<(u32, i64, String)>,
    pub(crate) refused: u64,
    pub(crate) refuse: bool,
}

fn show(pairs: &[Pair<'_>]) -> String {
    pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

impl LogSink for Lines {
    fn stream(&mut self, labels: &[Pair<'_>], metadata: &[Pair<'_>]) -> Result<StreamId, Refusal> {
        self.streams.push(format!("{}|{}", show(labels), show(metadata)));
        if self.refuse {
            Err(Refusal::StreamLimit)
        } else {
            Ok(StreamId(u32::try_from(self.streams.len() - 1).unwrap()))
        }
    }
    fn line(&mut self, stream: StreamId, ts: Timestamp, line: &str) -> Result<(), Refusal> {
        self.rows.push((stream.0, ts.nanos(), line.to_owned()));
        Ok(())
    }
    fn refused(&mut self, lines: u64, _: Refusal) {
        self.refused += lines;
    }
}
