//! `ExportMetricsServiceRequest` as JSON, level by level.

use serde::Deserialize;
use whyd_signals::sink::{Counts, DecodeError, SampleSink};

use super::attributes::push;
use super::json::{self, Double, Int, Later, Text, attributes, each, messages, read, resource};
use super::points::{CUMULATIVE, Kind, Metric, Point, Points};
use super::resource::Resource;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    resource_metrics: Later<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ResourceMetrics<'a> {
    #[serde(borrow)]
    resource: Later<'a>,
    #[serde(borrow)]
    scope_metrics: Later<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ScopeMetrics<'a> {
    #[serde(borrow)]
    metrics: Later<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct MetricJson<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    unit: Text<'a>,
    #[serde(borrow)]
    gauge: Later<'a>,
    #[serde(borrow)]
    sum: Later<'a>,
    #[serde(borrow)]
    histogram: Later<'a>,
    #[serde(borrow)]
    exponential_histogram: Later<'a>,
    #[serde(borrow)]
    summary: Later<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    data_points: Later<'a>,
    #[serde(borrow)]
    aggregation_temporality: Later<'a>,
    is_monotonic: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct PointJson<'a> {
    #[serde(borrow)]
    attributes: Later<'a>,
    time_unix_nano: Int,
    flags: Int,
    as_double: Option<Double>,
    as_int: Option<Int>,
    count: Int,
    sum: Option<Double>,
    #[serde(borrow)]
    bucket_counts: Later<'a>,
    #[serde(borrow)]
    explicit_bounds: Later<'a>,
    #[serde(borrow)]
    quantile_values: Later<'a>,
    #[serde(borrow)]
    exemplars: Later<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Quantile {
    quantile: Double,
    value: Double,
}

/// Decodes an inflated body, as [`super::decode_metrics_proto`] does the other form.
///
/// # Errors
/// [`DecodeError::Malformed`], in one line; rows handed over before it are the caller's to roll back.
pub fn decode_metrics_json(body: &[u8], sink: &mut impl SampleSink) -> Result<Counts, DecodeError> {
    let request: Request<'_> = json::body(body)?;
    let mut points = Points::new(sink);
    messages(request.resource_metrics, |of: ResourceMetrics<'_>| {
        let resource = resource(of.resource)?;
        messages(of.scope_metrics, |scope: ScopeMetrics<'_>| {
            messages(scope.metrics, |m: MetricJson<'_>| metric(&m, &resource, &mut points))
        })?;
        points.end(&resource);
        Ok(())
    })?;
    Ok(points.counts())
}

fn metric<S: SampleSink>(
    json: &MetricJson<'_>,
    resource: &Resource<'_>,
    points: &mut Points<'_, S>,
) -> Result<(), DecodeError> {
    let all = [json.gauge, json.sum, json.histogram, json.exponential_histogram, json.summary];
    let data: Data<'_> = read(all.into_iter().flatten().next())?;
    let cumulative = is_cumulative(data.aggregation_temporality)?;
    let kind = if json.gauge.is_some() {
        Kind::Gauge
    } else if json.sum.is_some() {
        Kind::Sum { cumulative, monotonic: data.is_monotonic.unwrap_or_default() }
    } else if json.histogram.is_some() {
        Kind::Histogram { cumulative }
    } else if json.exponential_histogram.is_some() {
        Kind::Exponential
    } else {
        Kind::Summary
    };
    let metric = Metric::new(kind, &json.name.0, &json.unit.0);
    messages(data.data_points, |json: PointJson<'_>| {
        if metric.is_refused() {
            points.refused(&metric);
            return Ok(());
        }
        points.point(resource, &metric, point(&json)?);
        Ok(())
    })
}

/// The number of an enumeration, or its name, which some senders write.
fn is_cumulative(raw: Later<'_>) -> Result<bool, DecodeError> {
    let Some(raw) = raw else { return Ok(false) };
    Ok(raw.get() == "\"AGGREGATION_TEMPORALITY_CUMULATIVE\""
        || serde_json::from_str::<Int>(raw.get()).is_ok_and(|n| n.0 == i128::from(CUMULATIVE)))
}

fn point<'a>(json: &PointJson<'a>) -> Result<Point<'a>, DecodeError> {
    let value = match (json.as_double, json.as_int) {
        (Some(double), _) => Some(double.0),
        (None, Some(int)) => Some(int.signed("asInt")? as f64),
        (None, None) => None,
    };
    let mut point = Point {
        time: json.time_unix_nano.unsigned("timeUnixNano")?,
        flags: json.flags.unsigned("flags")?,
        value,
        count: json.count.unsigned("count")?,
        sum: json.sum.map(|s| s.0),
        ..Point::default()
    };
    attributes(json.attributes, &mut point.attributes)?;
    each(json.bucket_counts, |n: Int| push(&mut point.buckets, n.unsigned("bucketCounts")?, "buckets"))?;
    each(json.explicit_bounds, |x: Double| push(&mut point.bounds, x.0, "buckets"))?;
    messages(json.quantile_values, |q: Quantile| push(&mut point.quantiles, (q.quantile.0, q.value.0), "quantiles"))?;
    each(json.exemplars, |_: serde::de::IgnoredAny| {
        point.exemplars += 1;
        Ok(())
    })?;
    Ok(point)
}
