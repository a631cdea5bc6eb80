//! OTLP metrics and logs, protobuf and JSON, already inflated.
//!
//! Metrics become the series that Prometheus' own OTLP receiver makes of them, with one difference: the attributes
//! that say which pod a resource is have the names by which every other series is joined, `namespace`, `pod`,
//! `container` and `node`. Field numbers are those of opentelemetry-proto 1.x.

mod answer;
mod attributes;
mod json;
mod logs_json;
mod logs_proto;
mod metrics_json;
mod metrics_proto;
mod names;
mod points;
mod records;
mod resource;

pub use answer::{Code, Encoding, Signal, accepted, status, try_again};
pub use attributes::base64;
pub use logs_json::decode_logs_json;
pub use logs_proto::decode_logs_proto;
pub use metrics_json::decode_metrics_json;
pub use metrics_proto::decode_metrics_proto;

#[cfg(test)]
mod tests;
