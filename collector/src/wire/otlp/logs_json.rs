//! `ExportLogsServiceRequest` as JSON, level by level.

use serde::Deserialize;
use whyd_signals::sink::{Counts, DecodeError, LogSink};

use super::json::{self, Int, Later, Text, attributes, messages, resource, text};
use super::records::{Record, Records, stream};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    resource_logs: Later<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow)]
    resource: Later<'a>,
    #[serde(borrow)]
    scope_logs: Later<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow)]
    log_records: Later<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RecordJson<'a> {
    time_unix_nano: Int,
    observed_time_unix_nano: Int,
    severity_number: Int,
    #[serde(borrow)]
    severity_text: Text<'a>,
    #[serde(borrow)]
    body: Later<'a>,
    #[serde(borrow)]
    attributes: Later<'a>,
    #[serde(borrow)]
    trace_id: Text<'a>,
    #[serde(borrow)]
    span_id: Text<'a>,
    #[serde(borrow)]
    event_name: Text<'a>,
}

/// Decodes an inflated body, as [`super::decode_logs_proto`] does the other form.
///
/// # Errors
/// [`DecodeError::Malformed`], in one line; lines handed over before it are the caller's to roll back.
pub fn decode_logs_json(body: &[u8], sink: &mut impl LogSink) -> Result<Counts, DecodeError> {
    let request: Request<'_> = json::body(body)?;
    let mut records = Records::new(sink);
    messages(request.resource_logs, |of: ResourceLogs<'_>| {
        let resource = resource(of.resource)?;
        let stream = stream(&resource);
        messages(of.scope_logs, |scope: ScopeLogs<'_>| {
            messages(scope.log_records, |json: RecordJson<'_>| {
                records.record(&stream, record(json)?);
                Ok(())
            })
        })
    })?;
    Ok(records.counts())
}

fn record(json: RecordJson<'_>) -> Result<Record<'_>, DecodeError> {
    let mut record = Record {
        time: json.time_unix_nano.unsigned("timeUnixNano")?,
        observed: json.observed_time_unix_nano.unsigned("observedTimeUnixNano")?,
        severity: json.severity_number.signed("severityNumber")?,
        severity_text: json.severity_text.0,
        body: text(json.body)?,
        attributes: Vec::new(),
        trace_id: json.trace_id.0,
        span_id: json.span_id.0,
        event_name: json.event_name.0,
    };
    attributes(json.attributes, &mut record.attributes)?;
    Ok(record)
}
