//! Pure decoders: bytes in, rows out, no IO, no clock, no state but a scratch buffer.
//!
//! A decoder may hand rows to its sink and fail afterwards: on an error the caller rolls the sink back.

pub mod gzip;
pub mod kube;
pub mod loki;
pub mod otlp;
pub mod protobuf;
pub mod remote_write1;
pub mod snappy;

#[cfg(test)]
pub(crate) mod encode;
