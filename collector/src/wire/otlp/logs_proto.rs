//! `ExportLogsServiceRequest` as protobuf.

use std::borrow::Cow;

use whyd_signals::sink::{Counts, DecodeError, LogSink};

use super::attributes::{hex, pair, text, utf8};
use super::metrics_proto::{SCOPES, fixed, resource};
use super::records::{Record, Records, stream};
use crate::wire::protobuf::Reader;

const REQUEST_RESOURCES: u32 = 1;
const SCOPE_RECORDS: u32 = 2;
const RECORD_TIME: u32 = 1;
const RECORD_SEVERITY: u32 = 2;
const RECORD_SEVERITY_TEXT: u32 = 3;
const RECORD_BODY: u32 = 5;
const RECORD_ATTRIBUTES: u32 = 6;
const RECORD_TRACE_ID: u32 = 9;
const RECORD_SPAN_ID: u32 = 10;
const RECORD_OBSERVED: u32 = 11;
const RECORD_EVENT_NAME: u32 = 12;

/// Decodes an inflated body. [`Counts::rows`] are the records handed over, refused ones included.
///
/// # Errors
/// [`DecodeError::Malformed`] for broken protobuf, a time that does not fit, or more attributes than are taken; lines
/// handed over before it are the caller's to roll back.
pub fn decode_logs_proto(body: &[u8], sink: &mut impl LogSink) -> Result<Counts, DecodeError> {
    let mut records = Records::new(sink);
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.field()? {
        if number == REQUEST_RESOURCES {
            let message = value.bytes("resource_logs")?;
            let resource = resource(message)?;
            let stream = stream(&resource);
            let mut scopes = Reader::new(message);
            while let Some((number, value)) = scopes.field()? {
                if number != SCOPES {
                    continue;
                }
                let mut of = Reader::new(value.bytes("scope_logs")?);
                while let Some((number, value)) = of.field()? {
                    if number == SCOPE_RECORDS {
                        records.record(&stream, record(value.bytes("log_records")?)?);
                    }
                }
            }
        }
    }
    Ok(records.counts())
}

fn record(message: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut record = Record::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            RECORD_TIME => record.time = fixed(value, "time_unix_nano")?,
            RECORD_OBSERVED => record.observed = fixed(value, "observed_time_unix_nano")?,
            RECORD_SEVERITY => record.severity = value.int("severity_number")?,
            RECORD_SEVERITY_TEXT => {
                record.severity_text = Cow::Borrowed(utf8(value.bytes("severity_text")?, "severity_text")?);
            }
            RECORD_BODY => record.body = text(value.bytes("body")?)?,
            RECORD_ATTRIBUTES => pair(value.bytes("attributes")?, &mut record.attributes)?,
            RECORD_TRACE_ID => record.trace_id = Cow::Owned(hex(value.bytes("trace_id")?)),
            RECORD_SPAN_ID => record.span_id = Cow::Owned(hex(value.bytes("span_id")?)),
            RECORD_EVENT_NAME => record.event_name = Cow::Borrowed(utf8(value.bytes("event_name")?, "event_name")?),
            _ => {}
        }
    }
    Ok(record)
}
