//! Data points to Prometheus series: `_bucket`, `_sum` and `_count` of a histogram, quantiles of a summary.

use std::borrow::Cow;

use whyd_signals::Timestamp;
use whyd_signals::sample::STALE_BITS;
use whyd_signals::sink::{Counts, Pair, RawLabels, Refusal, SampleSink};

use super::names::{Naming, metric_name};
use super::resource::{Resource, has, labels, set};
use crate::wire::write::label;

/// The kinds of metrics, and whether their values run on from one beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Sum { cumulative: bool, monotonic: bool },
    Histogram { cumulative: bool },
    Exponential,
    Summary,
}

/// The number of cumulative temporality in the protocol; only such is kept.
pub(super) const CUMULATIVE: i64 = 2;
/// The flag of a point that says that there is no value any more.
pub(super) const NO_VALUE: u64 = 1;

impl Kind {
    fn naming(self) -> Naming {
        match self {
            Self::Gauge => Naming::Gauge,
            Self::Sum { monotonic: true, .. } => Naming::Counter,
            _ => Naming::Other,
        }
    }

    /// Why no point of this kind is kept, if none is.
    fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Sum { cumulative: false, .. } | Self::Histogram { cumulative: false } => Some(Refusal::NotCumulative),
            Self::Exponential => Some(Refusal::ExponentialHistogram),
            _ => None,
        }
    }
}

/// Bytes of labels that are handed over of one body. What a resource says of itself is said again for each of its points
/// and buckets, so a small body could make very many. Seventeen megabytes of histograms with fifteen bounds make some 280.
const HANDED: usize = 1 << 30;
/// Bytes of labels of one series over which nobody need look at them: no table takes so many.
const LABELS: usize = 1 << 20;

/// What is left of the labels that one body may hand over.
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(HANDED)
    }
}

impl Budget {
    /// Takes so many bytes.
    ///
    /// # Errors
    /// [`Refusal::LabelLimit`] when there are not so many left, or they are too many for one series or stream.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.0 = self.0.checked_sub(bytes).filter(|_| bytes <= LABELS).ok_or(Refusal::LabelLimit)?;
        Ok(())
    }
}

/// Bytes of names and values.
pub(super) fn weight(labels: &[Pair<'_>]) -> usize {
    labels.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// One data point of any kind; what its kind has not is empty.
#[derive(Debug, Default)]
pub(super) struct Point<'a> {
    pub(super) attributes: Vec<Pair<'a>>,
    pub(super) time: u64,
    pub(super) flags: u64,
    pub(super) value: Option<f64>,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) buckets: Vec<u64>,
    pub(super) bounds: Vec<f64>,
    pub(super) quantiles: Vec<(f64, f64)>,
    pub(super) exemplars: u64,
}

/// What the points of a metric have in common.
pub(super) struct Metric {
    kind: Kind,
    /// Why none of its points is kept.
    refused: Option<Refusal>,
    name: String,
    /// Names of the series of a histogram or summary.
    sum: String,
    count: String,
    bucket: String,
}

impl Metric {
    pub(super) fn new(kind: Kind, name: &str, unit: &str) -> Self {
        let name = metric_name(name, unit, kind.naming());
        let refused = kind.refusal().or_else(|| name.is_none().then_some(Refusal::InvalidLabels));
        let name = name.unwrap_or_default();
        let [sum, count, bucket] = ["sum", "count", "bucket"].map(|part| format!("{name}_{part}"));
        Self { kind, refused, name, sum, count, bucket }
    }

    /// Whether a point need only be counted.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }
}

/// Takes the points of one resource after another.
pub(super) struct Points<'s, S> {
    sink: &'s mut S,
    counts: Counts,
    /// Points of which something was refused.
    rejected: u64,
    /// The labels of a series as they are handed over.
    bytes: Vec<u8>,
    /// The newest time of the resource, for its `target_info`.
    newest: Option<Timestamp>,
    budget: Budget,
}

impl<'s, S: SampleSink> Points<'s, S> {
    pub(super) fn new(sink: &'s mut S) -> Self {
        Self {
            sink,
            counts: Counts::default(),
            rejected: 0,
            bytes: Vec::new(),
            newest: None,
            budget: Budget::default(),
        }
    }

    /// What was handed over.
    pub(super) fn counts(self) -> Counts {
        Counts { rejected: Some(self.rejected), ..self.counts }
    }

    /// A point of a metric of which none is kept.
    pub(super) fn refused(&mut self, metric: &Metric) {
        if let Some(why) = metric.refused {
            self.refuse(why);
            self.counts.histograms += u64::from(metric.kind == Kind::Exponential);
        }
    }

    fn refuse(&mut self, why: Refusal) {
        self.counts.rows += 1;
        self.rejected += 1;
        self.sink.refused(1, why);
    }

    /// One point.
    pub(super) fn point(&mut self, resource: &Resource<'_>, metric: &Metric, point: Point<'_>) {
        self.counts.exemplars += point.exemplars;
        let ts = match time(point.time) {
            Ok(ts) => ts,
            Err(why) => return self.refuse(why),
        };
        let stale = point.flags & NO_VALUE != 0;
        let number = matches!(metric.kind, Kind::Gauge | Kind::Sum { .. });
        let (Some(ts), false) = (ts, number && point.value.is_none() && !stale) else {
            return self.refuse(Refusal::Incomplete);
        };
        self.newest = self.newest.max(Some(ts));
        let base = base(resource, point.attributes);
        let mut series = self.series(&base, ts, stale);
        let name = &metric.name;
        match metric.kind {
            Kind::Gauge | Kind::Sum { .. } => series.sample(name, None, point.value.unwrap_or_default()),
            Kind::Histogram { .. } => {
                if let Some(sum) = point.sum {
                    series.sample(&metric.sum, None, sum);
                }
                series.sample(&metric.count, None, point.count as f64);
                let mut below = 0u64;
                for (bound, count) in point.bounds.iter().zip(&point.buckets) {
                    below = below.saturating_add(*count);
                    series.sample(&metric.bucket, Some(("le", &number_text(*bound))), below as f64);
                }
                series.sample(&metric.bucket, Some(("le", "+Inf")), point.count as f64);
            }
            Kind::Summary => {
                series.sample(&metric.sum, None, point.sum.unwrap_or_default());
                series.sample(&metric.count, None, point.count as f64);
                for (quantile, value) in &point.quantiles {
                    series.sample(name, Some(("quantile", &number_text(*quantile))), *value);
                }
            }
            // none of its points comes here
            Kind::Exponential => {}
        }
        let (rows, kept) = (series.rows, series.kept);
        self.counts.rows += rows;
        self.rejected += u64::from(!kept);
    }

    fn series<'p>(&'p mut self, base: &'p [Pair<'p>], ts: Timestamp, stale: bool) -> Series<'p, S> {
        let Self { sink, bytes, budget, .. } = self;
        Series { sink, bytes, budget, base, weight: weight(base), ts, stale, rows: 0, kept: true }
    }

    /// The end of a resource: its other attributes are `target_info`, where anything says whose they are.
    pub(super) fn end(&mut self, resource: &Resource<'_>) {
        let Some(ts) = self.newest.take() else { return };
        if resource.rest.is_empty() || (resource.job.is_empty() && resource.instance.is_empty()) {
            return;
        }
        let mut base = resource.rest.clone();
        identify(resource, &mut base);
        for (name, value) in &resource.place {
            set(&mut base, name, value.clone());
        }
        let mut series = self.series(&base, ts, false);
        series.sample("target_info", None, 1.0);
        let rows = series.rows;
        self.counts.rows += rows;
    }
}

/// Nanoseconds that fit; none where nothing is said.
///
/// # Errors
/// [`Refusal::OutOfRange`] beyond the year 2262.
pub(super) fn time(nanos: u64) -> Result<Option<Timestamp>, Refusal> {
    match i64::try_from(nanos) {
        Ok(0) => Ok(None),
        Ok(nanos) => Ok(Some(Timestamp(nanos))),
        Err(_) => Err(Refusal::OutOfRange),
    }
}

/// The labels that all series of a point have. A point that says itself which pod or namespace it is about is about
/// that one, and not about the resource that tells of it.
fn base<'a>(resource: &'a Resource<'_>, attributes: Vec<Pair<'a>>) -> Vec<Pair<'a>> {
    let mut base = labels(attributes);
    let elsewhere = has(&base, "pod") || has(&base, "namespace");
    for (name, value) in &resource.place {
        if !has(&base, name) && (!elsewhere || *name == "node") {
            set(&mut base, name, Cow::Borrowed(&**value));
        }
    }
    identify(resource, &mut base);
    base
}

fn identify<'a>(resource: &'a Resource<'_>, base: &mut Vec<Pair<'a>>) {
    for (name, value) in [("job", &resource.job), ("instance", &resource.instance)] {
        if !value.is_empty() {
            set(base, name, Cow::Borrowed(&**value));
        }
    }
}

/// The series of one point.
struct Series<'p, S> {
    sink: &'p mut S,
    bytes: &'p mut Vec<u8>,
    budget: &'p mut Budget,
    base: &'p [Pair<'p>],
    /// Bytes of the base.
    weight: usize,
    ts: Timestamp,
    stale: bool,
    rows: u64,
    /// Whether nothing was refused.
    kept: bool,
}

impl<S: SampleSink> Series<'_, S> {
    fn sample(&mut self, name: &str, extra: Option<(&str, &str)>, value: f64) {
        self.rows += 1;
        let value = if self.stale { f64::from_bits(STALE_BITS) } else { value };
        let series = self.budget.take(self.weight + name.len()).and_then(|()| {
            self.bytes.clear();
            encode(self.base, name, extra, self.bytes);
            self.sink.series(RawLabels(self.bytes))
        });
        let kept = match series {
            // a refusal is counted by the sink that makes it
            Ok(id) => self.sink.sample(id, self.ts, value).is_ok(),
            Err(why) => {
                self.sink.refused(1, why);
                false
            }
        };
        self.kept &= kept;
    }
}

/// Writes labels as [`RawLabels`] has them: those of the list, which is sorted, with a name and perhaps one more put in
/// where they belong. An empty value is no label.
fn encode(base: &[Pair<'_>], name: &str, extra: Option<(&str, &str)>, out: &mut Vec<u8>) {
    let mut ours = std::iter::once(("__name__", name)).chain(extra).peekable();
    for (key, value) in base {
        while let Some(own) = ours.next_if(|(own, _)| *own < &**key) {
            label(own, out);
        }
        match ours.next_if(|(own, _)| *own == &**key) {
            Some(own) => label(own, out),
            None => label((key, value), out),
        }
    }
    for own in ours {
        label(own, out);
    }
}

/// A bound or quantile as Prometheus writes it in a label: all digits, no exponent.
fn number_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}
