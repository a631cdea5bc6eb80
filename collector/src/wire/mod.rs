//! Pure decoders: bytes in, rows out, no IO, no clock, no state but a scratch buffer.
//!
//! A decoder may hand rows to its sink and fail afterwards: on an error the caller rolls the sink back.

pub mod asked;
pub mod crc32c;
pub mod gzip;
pub mod inflate;
pub mod kube;
pub mod loki;
pub mod native_histogram;
pub mod otlp;
pub mod protobuf;
pub mod query_range;
pub mod remote_read;
pub mod remote_write1;
pub mod remote_write2;
pub mod snappy;
pub mod webhook;
mod write;
pub mod xor;
pub mod zstd;

#[cfg(test)]
pub(crate) mod encode;
