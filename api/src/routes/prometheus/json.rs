//! Answers as Prometheus writes them: `resultType` before `result`, times as numbers, values as strings.

use std::fmt::{self, Write as _};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::{Pieces, Text};
use crate::promql::{Error, Instant, Labels, Series, Steps};

/// Answers what `pieces` hold.
pub(in crate::routes) fn whole(pieces: Pieces) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::new(pieces)).into_response()
}

/// `data` is JSON already, and short.
pub(super) fn success(data: &str) -> Response {
    let body = format!("{BEGINS}{data}{ENDS}");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What stands before the data of every answer.
pub(super) const BEGINS: &str = "{\"status\":\"success\",\"data\":";
/// What stands after it, where there are no warnings.
const ENDS: &str = "}";

/// What stands after the data.
pub(super) fn ends(out: &mut Text, warnings: &[&str]) {
    if !warnings.is_empty() {
        let _ = write!(out, ",\"warnings\":{}", value(&warnings));
    }
    out.push(ENDS);
}

/// The error envelope, with one of the statuses at which Grafana reads it.
pub(super) fn error(why: &Error) -> Response {
    let (status, kind) = match why {
        Error::Bad(_) => (StatusCode::BAD_REQUEST, "bad_data"),
        Error::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        Error::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        Error::Canceled(_) => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
        Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
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

pub(super) fn instant(out: &mut Text, result: &Instant, at: i64) -> Result<(), Error> {
    match result {
        Instant::Scalar(value) => {
            out.push("{\"resultType\":\"scalar\",\"result\":");
            instant_of(out, at);
            plain(out, *value);
            out.push("\"]");
        }
        Instant::Vector(series) => {
            out.push("{\"resultType\":\"vector\",\"result\":[");
            let points = series.iter().filter_map(|s| s.points.first().map(|p| (&s.labels, p.value)));
            for (i, (labels, value)) in points.enumerate() {
                metric(out, i, labels);
                out.push(",\"value\":");
                sample(out, at, value);
                out.push("}");
                out.check()?;
            }
            out.push("]");
        }
        Instant::Matrix(series) => {
            out.push("{\"resultType\":\"matrix\",\"result\":[");
            for (i, (labels, samples)) in series.iter().enumerate() {
                metric(out, i, labels);
                values(out, samples.iter().copied())?;
            }
            out.push("]");
        }
    }
    out.push("}");
    Ok(())
}

pub(super) fn range(out: &mut Text, result: &[Series], steps: Steps) -> Result<(), Error> {
    out.push("{\"resultType\":\"matrix\",\"result\":[");
    for (i, series) in result.iter().enumerate() {
        metric(out, i, &series.labels);
        values(out, series.points.iter().map(|p| (steps.at(p.step()), p.value)))?;
    }
    out.push("]}");
    Ok(())
}

/// A list of what `one` writes of each.
pub(super) fn list<T>(out: &mut Text, of: impl Iterator<Item = T>, one: impl Fn(&mut Text, T)) -> Result<(), Error> {
    out.push("[");
    for (i, item) in of.enumerate() {
        if i > 0 {
            out.push(",");
        }
        one(out, item);
        out.check()?;
    }
    out.push("]");
    Ok(())
}

/// The labels as an object.
pub(super) fn labels<'a>(out: &mut Text, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push("{");
    for (i, (name, text)) in pairs.enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{}:{}", value(&name), value(&text));
    }
    out.push("}");
}

fn metric(out: &mut Text, place: usize, of: &Labels) {
    out.push(if place == 0 { "{\"metric\":" } else { ",{\"metric\":" });
    labels(out, of.iter());
}

fn values(out: &mut Text, samples: impl Iterator<Item = (i64, f64)>) -> Result<(), Error> {
    out.push(",\"values\":[");
    for (i, (at, value)) in samples.enumerate() {
        if i > 0 {
            out.push(",");
        }
        sample(out, at, value);
        out.check()?;
    }
    out.push("]}");
    Ok(())
}

/// `[seconds, "value"]`.
fn sample(out: &mut impl fmt::Write, at: i64, value: f64) {
    instant_of(out, at);
    number(out, value);
    let _ = out.write_str("\"]");
}

fn instant_of(out: &mut impl fmt::Write, at: i64) {
    let sign = if at < 0 { "-" } else { "" };
    let (seconds, ms) = (at.unsigned_abs() / 1000, at.unsigned_abs() % 1000);
    let _ = match ms {
        0 => write!(out, "[{sign}{seconds},\""),
        ms => write!(out, "[{sign}{seconds}.{ms:03},\""),
    };
}

/// As a scalar is written: without exponents.
fn plain(out: &mut impl fmt::Write, value: f64) {
    let _ = if value.is_finite() { write!(out, "{value}") } else { return number(out, value) };
}

/// As a sample is written: exponents only for what is very small or very large, of two digits at least.
fn number(out: &mut impl fmt::Write, value: f64) {
    let size = value.abs();
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        write!(out, "{digits}e{sign}{exponent:0>2}")
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
            (0, 1.5e-7, "[0,\"1.5e-07\"]"),
            (0, -1e-100, "[0,\"-1e-100\"]"),
            (0, 1.234_567_89e28, "[0,\"1.23456789e+28\"]"),
            (0, 9_223_372_036_854_775_808.0, "[0,\"9223372036854776000\"]"),
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
