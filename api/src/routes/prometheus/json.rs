//! Answers as Prometheus writes them: `resultType` before `result`, times as numbers, values as strings.

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::promql::{Error, Instant, Labels, Series, Steps};

/// `data` is JSON already.
pub(super) fn success(data: &str, warnings: &[&str]) -> Response {
    let mut body = format!("{{\"status\":\"success\",\"data\":{data}");
    if !warnings.is_empty() {
        let _ = write!(body, ",\"warnings\":{}", value(&warnings));
    }
    body.push('}');
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The error envelope, with one of the statuses at which Grafana reads it.
pub(super) fn error(why: &Error) -> Response {
    let (status, kind) = match why {
        Error::Bad(_) => (StatusCode::BAD_REQUEST, "bad_data"),
        Error::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        Error::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        Error::Canceled(_) => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
    };
    let body = format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":{}}}", value(&why.to_string()));
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Any value that serialises without fail: strings, and lists and maps of them.
pub(super) fn value(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

pub(super) fn instant(result: &Instant, at: i64) -> String {
    let mut out = String::new();
    match result {
        Instant::Scalar(value) => {
            out.push_str("{\"resultType\":\"scalar\",\"result\":");
            sample(&mut out, at, *value);
        }
        Instant::Vector(series) => {
            out.push_str("{\"resultType\":\"vector\",\"result\":[");
            let points = series.iter().filter_map(|s| s.points.first().map(|p| (&s.labels, p.value)));
            for (i, (labels, value)) in points.enumerate() {
                metric(&mut out, i, labels);
                out.push_str(",\"value\":");
                sample(&mut out, at, value);
                out.push('}');
            }
            out.push(']');
        }
        Instant::Matrix(series) => {
            out.push_str("{\"resultType\":\"matrix\",\"result\":[");
            for (i, (labels, samples)) in series.iter().enumerate() {
                metric(&mut out, i, labels);
                values(&mut out, samples.iter().copied());
            }
            out.push(']');
        }
    }
    out.push('}');
    out
}

pub(super) fn range(result: &[Series], steps: Steps) -> String {
    let mut out = String::from("{\"resultType\":\"matrix\",\"result\":[");
    for (i, series) in result.iter().enumerate() {
        metric(&mut out, i, &series.labels);
        values(&mut out, series.points.iter().map(|p| (steps.at(p.step()), p.value)));
    }
    out.push_str("]}");
    out
}

/// The labels as an object.
pub(super) fn labels<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push('{');
    for (i, (name, text)) in pairs.enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{}:{}", value(&name), value(&text));
    }
    out.push('}');
}

fn metric(out: &mut String, place: usize, of: &Labels) {
    out.push_str(if place == 0 { "{\"metric\":" } else { ",{\"metric\":" });
    labels(out, of.iter());
}

fn values(out: &mut String, samples: impl Iterator<Item = (i64, f64)>) {
    out.push_str(",\"values\":[");
    for (i, (at, value)) in samples.enumerate() {
        if i > 0 {
            out.push(',');
        }
        sample(out, at, value);
    }
    out.push_str("]}");
}

/// `[seconds, "value"]`.
fn sample(out: &mut String, at: i64, value: f64) {
    let sign = if at < 0 { "-" } else { "" };
    let (seconds, ms) = (at.unsigned_abs() / 1000, at.unsigned_abs() % 1000);
    let _ = match ms {
        0 => write!(out, "[{sign}{seconds},\""),
        ms => write!(out, "[{sign}{seconds}.{ms:03},\""),
    };
    number(out, value);
    out.push_str("\"]");
}

/// As Go writes it: exponents only for what is very small or very large.
fn number(out: &mut String, value: f64) {
    let size = value.abs();
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        out.write_str(&if text.contains("e-") { text } else { text.replace('e', "e+") })
    } else {
        write!(out, "{value}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_prometheus_writes_them() {
        let cases = [
            (4000, 2.0, "[4,\"2\"]"),
            (1_435_781_430_781, -0.5, "[1435781430.781,\"-0.5\"]"),
            (-1500, f64::NAN, "[-1.500,\"NaN\"]"),
            (0, f64::INFINITY, "[0,\"+Inf\"]"),
            (5, f64::NEG_INFINITY, "[0.005,\"-Inf\"]"),
            (0, 1e21, "[0,\"1e+21\"]"),
            (0, 1.5e-7, "[0,\"1.5e-7\"]"),
            (0, 123_456_789_012.0, "[0,\"123456789012\"]"),
            (0, -0.0, "[0,\"-0\"]"),
        ];
        for (at, value, want) in cases {
            let mut out = String::new();
            sample(&mut out, at, value);
            assert_eq!(out, want);
        }
    }
}
