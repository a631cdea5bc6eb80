//! Which media a request carries, from its headers alone. Errors are the text of a 415.

use axum::http::{HeaderMap, HeaderName, header};
use whyd_signals::{Compression, Media};

use crate::wire::otlp::Encoding;

/// Remote write: protobuf of version 1.0 or 2.0, in a snappy block or zstd. Either header may be absent, as early senders
/// leave them.
pub(super) fn of_write(headers: &HeaderMap) -> Result<Media, String> {
    let content_type = text(headers, &header::CONTENT_TYPE)?;
    let mut parts = content_type.split(';').map(str::trim);
    match parts.next().unwrap_or_default() {
        "" | "application/x-protobuf" => {}
        other => return Err(format!("expected content type application/x-protobuf, got {other:?}")),
    }
    let mut version: fn(Compression) -> Media = Media::RemoteWrite1;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (name.trim(), value.trim().trim_matches('"')) {
            ("proto", "prometheus.writerequest") => version = Media::RemoteWrite1,
            ("proto", "io.prometheus.write.v2.request") => version = Media::RemoteWrite2,
            ("proto", other) => {
                let known = "proto=io.prometheus.write.v2.Request or proto=prometheus.WriteRequest";
                return Err(format!("unknown message {other:?}, send {known}"));
            }
            _ => {}
        }
    }
    match text(headers, &header::CONTENT_ENCODING)?.as_str() {
        "" | "snappy" => Ok(version(Compression::Snappy)),
        "zstd" => Ok(version(Compression::Zstd)),
        other => Err(format!("expected content encoding snappy or zstd, got {other:?}")),
    }
}

/// Loki push, and whether the body has to be gunzipped. Without a type it is protobuf, as Loki has it.
pub(super) fn of_push(headers: &HeaderMap) -> Result<(Media, bool), String> {
    let content_type = text(headers, &header::CONTENT_TYPE)?;
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => match text(headers, &header::CONTENT_ENCODING)?.as_str() {
            "" | "identity" => Ok((Media::LokiJson, false)),
            "gzip" => Ok((Media::LokiJson, true)),
            other => Err(format!("expected content encoding gzip or none, got {other:?}")),
        },
        "" | "application/x-protobuf" => {
            snappy_encoding(headers)?;
            Ok((Media::LokiProto, false))
        }
        other => Err(format!("expected content type application/json or application/x-protobuf, got {other:?}")),
    }
}

/// OTLP, and whether the body has to be gunzipped; with what is wrong, how to write the answer.
pub(super) fn of_otlp(headers: &HeaderMap) -> Result<(Encoding, bool), (Encoding, String)> {
    let content_type = text(headers, &header::CONTENT_TYPE).map_err(|e| (Encoding::Json, e))?;
    let encoding = match content_type.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => Encoding::Proto,
        "application/json" => Encoding::Json,
        other => {
            let reason = format!("expected content type application/x-protobuf or application/json, got {other:?}");
            return Err((Encoding::Json, reason));
        }
    };
    match text(headers, &header::CONTENT_ENCODING).map_err(|e| (encoding, e))?.as_str() {
        "" | "identity" => Ok((encoding, false)),
        "gzip" => Ok((encoding, true)),
        other => Err((encoding, format!("expected content encoding gzip or none, got {other:?}"))),
    }
}

/// The notification of an Alertmanager.
pub(super) fn of_webhook(headers: &HeaderMap) -> Result<(), String> {
    let content_type = text(headers, &header::CONTENT_TYPE)?;
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => {}
        other => return Err(format!("expected content type application/json, got {other:?}")),
    }
    match text(headers, &header::CONTENT_ENCODING)?.as_str() {
        "" | "identity" => Ok(()),
        other => Err(format!("expected no content encoding, got {other:?}")),
    }
}

fn snappy_encoding(headers: &HeaderMap) -> Result<(), String> {
    match text(headers, &header::CONTENT_ENCODING)?.as_str() {
        "" | "snappy" => Ok(()),
        other => Err(format!("expected content encoding snappy, got {other:?}")),
    }
}

/// A header in lower case, empty when absent.
fn text(headers: &HeaderMap, name: &HeaderName) -> Result<String, String> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(String::new()),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(text.trim().to_ascii_lowercase()),
            Err(_) => Err(format!("header {name} is not ASCII")),
        },
        _ => Err(format!("header {name} is given more than once")),
    }
}
