//! `ExportMetricsServiceRequest` as protobuf. Points are handed over one by one, so that memory follows the largest of
//! them and not the body.

use whyd_signals::sink::{Counts, DecodeError, SampleSink};

use super::attributes::{pair, push, utf8};
use super::points::{CUMULATIVE, Kind, Metric, Point, Points};
use super::resource::Resource;
use crate::wire::protobuf::{Reader, Value};

const REQUEST_RESOURCES: u32 = 1;
pub(super) const RESOURCE: u32 = 1;
pub(super) const SCOPES: u32 = 2;
const RESOURCE_ATTRIBUTES: u32 = 1;
const SCOPE_METRICS: u32 = 2;
const METRIC_NAME: u32 = 1;
const METRIC_UNIT: u32 = 3;
const GAUGE: u32 = 5;
const SUM: u32 = 7;
const HISTOGRAM: u32 = 9;
const EXPONENTIAL: u32 = 10;
const SUMMARY: u32 = 11;
const DATA_POINTS: u32 = 1;
const DATA_TEMPORALITY: u32 = 2;
const DATA_MONOTONIC: u32 = 3;
const QUANTILE: u32 = 1;
const QUANTILE_VALUE: u32 = 2;

/// Decodes an inflated body. [`Counts::rows`] are the samples handed over, refused ones included, and
/// [`Counts::rejected`] the points of which something was refused.
///
/// # Errors
/// [`DecodeError::Malformed`] for broken protobuf, a time that does not fit, or more attributes or buckets than are
/// taken; rows handed over before it are the caller's to roll back.
pub fn decode_metrics_proto(body: &[u8], sink: &mut impl SampleSink) -> Result<Counts, DecodeError> {
    let mut points = Points::new(sink);
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.field()? {
        if number == REQUEST_RESOURCES {
            let message = value.bytes("resource_metrics")?;
            let resource = resource(message)?;
            let mut scopes = Reader::new(message);
            while let Some((number, value)) = scopes.field()? {
                if number == SCOPES {
                    scope(value.bytes("scope_metrics")?, &resource, &mut points)?;
                }
            }
            points.end(&resource);
        }
    }
    Ok(points.counts())
}

/// The resource of `ResourceMetrics` or `ResourceLogs`.
pub(super) fn resource(message: &[u8]) -> Result<Resource<'_>, DecodeError> {
    let mut attributes = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == RESOURCE {
            let mut fields = Reader::new(value.bytes("resource")?);
            while let Some((number, value)) = fields.field()? {
                if number == RESOURCE_ATTRIBUTES {
                    pair(value.bytes("attributes")?, &mut attributes)?;
                }
            }
        }
    }
    Ok(Resource::of(attributes))
}

fn scope<S: SampleSink>(
    message: &[u8],
    resource: &Resource<'_>,
    points: &mut Points<'_, S>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if number == SCOPE_METRICS {
            metric(value.bytes("metrics")?, resource, points)?;
        }
    }
    Ok(())
}

fn metric<S: SampleSink>(
    message: &[u8],
    resource: &Resource<'_>,
    points: &mut Points<'_, S>,
) -> Result<(), DecodeError> {
    let (mut name, mut unit, mut data) = ("", "", None);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            METRIC_NAME => name = utf8(value.bytes("name")?, "name")?,
            METRIC_UNIT => unit = utf8(value.bytes("unit")?, "unit")?,
            GAUGE | SUM | HISTOGRAM | EXPONENTIAL | SUMMARY => data = Some((number, value.bytes("data")?)),
            _ => {}
        }
    }
    let Some((number, data)) = data else { return Ok(()) };
    let kind = kind(number, data)?;
    let metric = Metric::new(kind, name, unit);
    let mut reader = Reader::new(data);
    while let Some((number, value)) = reader.field()? {
        if number == DATA_POINTS {
            let message = value.bytes("data_points")?;
            if metric.is_refused() {
                points.refused(&metric);
            } else {
                points.point(resource, &metric, point(kind, message)?);
            }
        }
    }
    Ok(())
}

fn kind(number: u32, data: &[u8]) -> Result<Kind, DecodeError> {
    let (mut cumulative, mut monotonic) = (false, false);
    let mut reader = Reader::new(data);
    while let Some((field, value)) = reader.field()? {
        match (number, field) {
            (SUM | HISTOGRAM, DATA_TEMPORALITY) => cumulative = value.int("aggregation_temporality")? == CUMULATIVE,
            (SUM, DATA_MONOTONIC) => monotonic = value.int("is_monotonic")? != 0,
            _ => {}
        }
    }
    Ok(match number {
        GAUGE => Kind::Gauge,
        SUM => Kind::Sum { cumulative, monotonic },
        HISTOGRAM => Kind::Histogram { cumulative },
        SUMMARY => Kind::Summary,
        _ => Kind::Exponential,
    })
}

fn point(kind: Kind, message: &[u8]) -> Result<Point<'_>, DecodeError> {
    let mut point = Point::default();
    let number_point = matches!(kind, Kind::Gauge | Kind::Sum { .. });
    let histogram = matches!(kind, Kind::Histogram { .. });
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            3 => point.time = fixed(value, "time_unix_nano")?,
            // numbers and summaries
            7 if !histogram => pair(value.bytes("attributes")?, &mut point.attributes)?,
            8 if !histogram => point.flags = value.int("flags")?.cast_unsigned(),
            4 if number_point => point.value = Some(value.double("as_double")?),
            6 if number_point => point.value = Some(fixed(value, "as_int")?.cast_signed() as f64),
            5 if number_point => point.exemplars += 1,
            4 => point.count = fixed(value, "count")?,
            5 => point.sum = Some(value.double("sum")?),
            6 if histogram => {
                eights(value, "bucket_counts", |bits| push(&mut point.buckets, bits, "buckets"))?;
            }
            6 => push(&mut point.quantiles, quantile(value.bytes("quantile_values")?)?, "quantiles")?,
            7 => {
                eights(value, "explicit_bounds", |bits| push(&mut point.bounds, f64::from_bits(bits), "buckets"))?;
            }
            8 => point.exemplars += 1,
            9 if histogram => pair(value.bytes("attributes")?, &mut point.attributes)?,
            10 if histogram => point.flags = value.int("flags")?.cast_unsigned(),
            _ => {}
        }
    }
    Ok(point)
}

/// Eight bytes, whatever they mean.
pub(super) fn fixed(value: Value<'_>, field: &str) -> Result<u64, DecodeError> {
    Ok(value.double(field)?.to_bits())
}

/// A list of numbers of eight bytes, which may be packed into one field or not.
fn eights(
    value: Value<'_>,
    field: &str,
    mut each: impl FnMut(u64) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let Value::Bytes(packed) = value else { return each(fixed(value, field)?) };
    let (whole, rest) = packed.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(DecodeError::Malformed(format!("protobuf: field {field} ends within a number")));
    }
    whole.iter().try_for_each(|eight| each(u64::from_le_bytes(*eight)))
}

fn quantile(message: &[u8]) -> Result<(f64, f64), DecodeError> {
    let (mut quantile, mut of) = (0.0, 0.0);
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            QUANTILE => quantile = value.double("quantile")?,
            QUANTILE_VALUE => of = value.double("value")?,
            _ => {}
        }
    }
    Ok((quantile, of))
}
