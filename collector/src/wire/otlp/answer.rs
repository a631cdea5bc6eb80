//! What a sender is answered: the response message of its service, or a `google.rpc.Status`, in its own encoding.

use bytes::Bytes;
use serde_json::json;

/// How a body is written, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Binary protobuf.
    Proto,
    /// The JSON mapping of protobuf.
    Json,
}

impl Encoding {
    /// The content type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Proto => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Signal {
    Metrics,
    Logs,
}

/// The codes of `google.rpc.Status` that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Sending it again is of no use.
    InvalidArgument = 3,
    /// Over a limit of size.
    ResourceExhausted = 8,
    /// No such method.
    Unimplemented = 12,
    /// It may be sent again.
    Unavailable = 14,
    /// Without the token that senders need.
    Unauthenticated = 16,
}

/// The answer to a body that was read: empty when all of it was taken, else how much was not and why.
pub fn accepted(signal: Signal, encoding: Encoding, partial: Option<(u64, &str)>) -> Bytes {
    let Some((rejected, why)) = partial else {
        return Bytes::from_static(if encoding == Encoding::Json { b"{}" } else { b"" });
    };
    match encoding {
        Encoding::Json => {
            let count = match signal {
                Signal::Metrics => "rejectedDataPoints",
                Signal::Logs => "rejectedLogRecords",
            };
            Bytes::from(json!({"partialSuccess": {count: rejected.to_string(), "errorMessage": why}}).to_string())
        }
        Encoding::Proto => {
            let mut partial = Vec::new();
            number(1, rejected, &mut partial);
            bytes(2, why.as_bytes(), &mut partial);
            let mut out = Vec::new();
            bytes(1, &partial, &mut out);
            Bytes::from(out)
        }
    }
}

/// The answer to what was not taken at all.
pub fn status(encoding: Encoding, code: Code, message: &str) -> Bytes {
    match encoding {
        Encoding::Json => Bytes::from(json!({"code": code as u8, "message": message}).to_string()),
        Encoding::Proto => {
            let mut out = Vec::new();
            number(1, code as u64, &mut out);
            bytes(2, message.as_bytes(), &mut out);
            Bytes::from(out)
        }
    }
}

/// The `google.rpc.Status` of what may be sent again in a second, and the `RetryInfo` in it that says so.
pub fn try_again(message: &str) -> (Bytes, Bytes) {
    let (mut delay, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
    number(1, 1, &mut delay);
    bytes(1, &delay, &mut info);
    bytes(1, b"type.googleapis.com/google.rpc.RetryInfo", &mut any);
    bytes(2, &info, &mut any);
    let mut out = status(Encoding::Proto, Code::Unavailable, message).to_vec();
    bytes(3, &any, &mut out);
    (Bytes::from(out), Bytes::from(info))
}

fn number(field: u8, n: u64, out: &mut Vec<u8>) {
    if n != 0 {
        out.push(field << 3);
        varint(n, out);
    }
}

fn bytes(field: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
