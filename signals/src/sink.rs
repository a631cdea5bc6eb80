//! What a decoder writes into. A decoder knows nothing of buffers, and buffers nothing of wire formats.

use std::borrow::Cow;

use thiserror::Error;

use crate::schema::Alert;
use crate::{SeriesId, StreamId, Timestamp};

/// A body that cannot be read, or holds something out of range. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The compression is broken or not the expected one.
    #[error("{0}")]
    Compression(String),
    /// More bytes than allowed, said by the header before anything was allocated.
    #[error("body of {decoded} bytes is over the limit of {limit}")]
    TooLarge {
        /// What the header says.
        decoded: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The bytes are not what the media type says.
    #[error("{0}")]
    Malformed(String),
}

/// Why the buffers refused a single sample or line of a sound body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Older than the lateness allows.
    TooOld,
    /// Same series and time, another value.
    Duplicate,
    /// Labels without a name, or repeated.
    InvalidLabels,
    /// The cap on series is reached and this one is new.
    SeriesLimit,
    /// The cap on streams is reached and this one is new.
    StreamLimit,
    /// Further ahead of the receive time than the lateness allows.
    TooNew,
    /// A sum or histogram of OTLP that begins anew with each point, or does not say whether it does.
    NotCumulative,
    /// A histogram of OTLP with exponential buckets.
    ExponentialHistogram,
    /// A point or record of OTLP without a time, a point without a value, an alert without a start or fingerprint.
    Incomplete,
    /// Of a replica that is not the elected one of its cluster. To the sender it is written: its twin wrote it.
    Deduplicated,
    /// The cap on clusters of replicas is reached and this one is new.
    ClusterLimit,
    /// A native histogram whose buckets contradict themselves. No row: the log's bitmap knows nothing of it.
    InvalidHistogram,
    /// More labels, or more bytes of them, than one series or stream may have.
    LabelLimit,
    /// The cap on what one team may have is reached and this series or stream is new.
    TeamLimit,
    /// There are as many namespaces as can be told apart, and this one is new.
    NamespaceLimit,
    /// A time that cannot be held in nanoseconds.
    OutOfRange,
    /// The time of a line counts seconds, milliseconds or microseconds: as nanoseconds it would lie decades back, and as what
    /// it is it is of now.
    WrongUnit,
    /// An alert that carries our own marker: it tells us what we told.
    OwnAlert,
    /// More alerts in one notification than are taken.
    AlertLimit,
}

impl Refusal {
    /// The name used in answers and counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::Duplicate => "duplicate",
            Self::InvalidLabels => "invalid_labels",
            Self::SeriesLimit => "series_limit",
            Self::StreamLimit => "stream_limit",
            Self::TooNew => "too_new",
            Self::NotCumulative => "not_cumulative",
            Self::ExponentialHistogram => "exponential_histogram",
            Self::Incomplete => "incomplete",
            Self::Deduplicated => "deduplicated",
            Self::ClusterLimit => "cluster_limit",
            Self::InvalidHistogram => "invalid_histogram",
            Self::LabelLimit => "label_limit",
            Self::TeamLimit => "team_limit",
            Self::NamespaceLimit => "namespace_limit",
            Self::OutOfRange => "out_of_range",
            Self::WrongUnit => "wrong_unit",
            Self::OwnAlert => "own_alert",
            Self::AlertLimit => "alert_limit",
        }
    }
}

/// How much a decoder handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Samples or log lines.
    pub rows: u64,
    /// Native histograms accepted: sound, and not kept beyond the log.
    pub histograms: u64,
    /// Exemplars accepted, and not kept beyond the log.
    pub exemplars: u64,
    /// Native histograms whose buckets contradict themselves.
    pub invalid_histograms: u64,
    /// Alerts that the sender left out of its notification.
    pub truncated_alerts: u64,
    /// Of what a sender counts by, how many had a row refused; `None` where it counts rows. A histogram of OTLP is one
    /// point and many samples.
    pub rejected: Option<u64>,
}

/// The labels of one series as they lie in the body: the protobuf `Label` fields, tag and length included.
///
/// Two equal byte strings are the same series, so an index may compare before it parses.
#[derive(Debug, Clone, Copy)]
pub struct RawLabels<'a>(pub &'a [u8]);

/// How many series are looked at ahead.
pub const AHEAD: usize = 16;

/// Takes samples. Nothing is visible to readers until the caller commits.
pub trait SampleSink {
    /// The id of the series with these labels.
    ///
    /// # Errors
    /// [`Refusal::InvalidLabels`], [`Refusal::LabelLimit`], [`Refusal::SeriesLimit`], [`Refusal::TeamLimit`],
    /// [`Refusal::NamespaceLimit`], [`Refusal::Deduplicated`] or [`Refusal::ClusterLimit`]; the caller counts its samples
    /// as refused.
    fn series(&mut self, labels: RawLabels<'_>) -> Result<SeriesId, Refusal>;
    /// The series that came next the last time, if `fields` begin with its labels, and how many bytes those take. More
    /// labels may follow, and then it is another series: it is taken by [`SampleSink::take_successor`].
    fn successor(&self, _fields: &[u8]) -> Option<(SeriesId, usize)> {
        None
    }
    /// Goes on after the series that [`SampleSink::successor`] gave: the same as [`SampleSink::series`] with its labels.
    fn take_successor(&mut self, _series: SeriesId) {}
    /// The series that came next the last time, whatever comes now.
    fn expected(&self) -> Option<SeriesId> {
        None
    }
    /// Whether series come in no order that is known: then [`SampleSink::find_ahead`] is worth its while.
    fn has_no_order(&self) -> bool {
        false
    }
    /// Finds those of the next series that are known, [`AHEAD`] at most: what has to be looked at for one is fetched while
    /// another is. Each that is found is taken by [`SampleSink::take_found`] when its turn comes, the others are asked for.
    fn find_ahead(&self, _next: &[RawLabels<'_>], _found: &mut [Option<SeriesId>]) {}
    /// Goes on after a series that [`SampleSink::find_ahead`] gave: the same as [`SampleSink::series`] with its labels.
    fn take_found(&mut self, _series: SeriesId) {}
    /// Whether a series could have these labels; it gets no number for that.
    ///
    /// # Errors
    /// [`Refusal::InvalidLabels`] or [`Refusal::LabelLimit`].
    fn judge(&mut self, _labels: RawLabels<'_>) -> Result<(), Refusal> {
        Ok(())
    }
    /// Whether these are the labels of `series` to the byte, and its number will never be given to another.
    fn lasts(&self, _series: SeriesId, _labels: RawLabels<'_>) -> bool {
        false
    }
    /// One sample of it.
    ///
    /// # Errors
    /// [`Refusal::TooOld`], [`Refusal::TooNew`] or [`Refusal::Duplicate`]: the sample is not kept.
    fn sample(&mut self, series: SeriesId, ts: Timestamp, value: f64) -> Result<(), Refusal>;
    /// `samples` samples of a series that [`SampleSink::series`] refused, or that no sample can be made of.
    fn refused(&mut self, samples: u64, why: Refusal);
}

/// A label or metadata pair, borrowed from the body where it needs no unescaping.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Whether structured metadata of this name is part of what a stream is. Other names (a trace id) differ from line to
/// line and tell nothing of where it comes from.
pub fn tells_streams_apart(name: &str) -> bool {
    matches!(name, "namespace" | "pod" | "container" | "stream" | "level" | "detected_level")
}

/// Takes log lines. Nothing is visible to readers until the caller commits.
pub trait LogSink {
    /// The id of the stream with these labels and this structured metadata (`pod` is often only there).
    ///
    /// # Errors
    /// [`Refusal::StreamLimit`], [`Refusal::TeamLimit`], [`Refusal::NamespaceLimit`], [`Refusal::InvalidLabels`] or
    /// [`Refusal::LabelLimit`].
    fn stream(&mut self, labels: &[Pair<'_>], metadata: &[Pair<'_>]) -> Result<StreamId, Refusal>;
    /// One line of it.
    ///
    /// # Errors
    /// [`Refusal::TooOld`], [`Refusal::TooNew`] or [`Refusal::WrongUnit`].
    fn line(&mut self, stream: StreamId, ts: Timestamp, line: &str) -> Result<(), Refusal>;
    /// `lines` lines of a stream that [`LogSink::stream`] refused.
    fn refused(&mut self, lines: u64, why: Refusal);
}

/// Takes alerts.
pub trait AlertSink {
    /// One alert, as of this notification.
    ///
    /// # Errors
    /// [`Refusal::AlertLimit`]: it is not kept.
    fn alert(&mut self, alert: Alert) -> Result<(), Refusal>;
    /// `alerts` alerts that are not to be kept.
    fn refused(&mut self, alerts: u64, why: Refusal);
}
