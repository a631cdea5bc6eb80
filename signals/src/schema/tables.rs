//! The Arrow schemas of the tables that SQL sees.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// `Timestamp(Nanosecond, "UTC")`: the only time type.
pub fn ts_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

fn utf8(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn ts(name: &str) -> Field {
    Field::new(name, ts_type(), true)
}

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// `samples(series_id, ts, value)`.
pub fn samples() -> SchemaRef {
    schema(vec![
        Field::new("series_id", DataType::UInt32, false),
        Field::new("ts", ts_type(), false),
        Field::new("value", DataType::Float64, false),
    ])
}

/// `series(series_id, name, labels, team, namespace, pod, pod_uid, container, node, workload)`; `labels` is JSON.
pub fn series() -> SchemaRef {
    let mut fields = vec![Field::new("series_id", DataType::UInt32, false)];
    fields.extend(["name", "labels", "team", "namespace", "pod", "pod_uid", "container", "node", "workload"].map(utf8));
    schema(fields)
}

/// `logs(ts, team, namespace, pod, container, level, template_id, line, trace_id)`.
pub fn logs() -> SchemaRef {
    schema(vec![
        Field::new("ts", ts_type(), false),
        utf8("team"),
        utf8("namespace"),
        utf8("pod"),
        utf8("container"),
        utf8("level"),
        Field::new("template_id", DataType::UInt64, true),
        utf8("line"),
        utf8("trace_id"),
    ])
}

/// `log_templates(team, template_id, template)`: what the `template_id` of `logs` stands for, variables as `<*>`.
pub fn log_templates() -> SchemaRef {
    schema(vec![utf8("team"), Field::new("template_id", DataType::UInt64, false), utf8("template")])
}

/// `events(ts, uid, type, reason, message, kind, namespace, name, object_uid, count, team, pod, workload)`: the last two of the object
/// that it is about, where that is one or belongs to one.
pub fn events() -> SchemaRef {
    schema(vec![
        Field::new("ts", ts_type(), false),
        utf8("uid"),
        utf8("type"),
        utf8("reason"),
        utf8("message"),
        utf8("kind"),
        utf8("namespace"),
        utf8("name"),
        utf8("object_uid"),
        Field::new("count", DataType::Int64, true),
        utf8("team"),
        utf8("pod"),
        utf8("workload"),
    ])
}

/// `pods(uid, team, namespace, name, workload, node, phase, ready, restarts, created_at, deleted_at)`.
pub fn pods() -> SchemaRef {
    let mut fields: Vec<Field> = ["uid", "team", "namespace", "name", "workload", "node", "phase"].map(utf8).into();
    fields.push(Field::new("ready", DataType::Boolean, true));
    fields.push(Field::new("restarts", DataType::Int64, true));
    fields.push(ts("created_at"));
    fields.push(ts("deleted_at"));
    schema(fields)
}

/// `changes(ts, team, namespace, kind, name, what, detail, by, workload)`: what changed as `Kind/name`, where it is a workload.
pub fn changes() -> SchemaRef {
    let mut fields = vec![ts("ts")];
    fields.extend(["team", "namespace", "kind", "name", "what", "detail", "by", "workload"].map(utf8));
    schema(fields)
}

/// `restarts`: the ledger; evidence and what was ruled out as JSON, and the incident that it is of.
pub fn restarts() -> SchemaRef {
    let mut fields: Vec<Field> =
        ["team", "namespace", "workload", "pod", "pod_uid", "node", "container"].map(utf8).into();
    fields.push(Field::new("restart_count", DataType::Int64, true));
    fields.push(ts("started_at"));
    fields.push(ts("finished_at"));
    fields.push(Field::new("exit_code", DataType::Int32, true));
    fields.extend(["reason", "mechanism", "cause", "cause_detail"].map(utf8));
    fields.push(Field::new("confidence", DataType::Float64, true));
    fields
        .extend(["root_kind", "root_namespace", "root_name", "summary", "evidence", "ruled_out", "missing"].map(utf8));
    fields.push(utf8("incident_id"));
    schema(fields)
}

/// `anomalies(ts, team, namespace, pod, container, metric, score, value, expected, text, workload, until, trace_id, ongoing)`: `until` is
/// when it was last seen to go on, which is `ongoing` where that was just now; calls that take long are shown by the trace of one.
pub fn anomalies() -> SchemaRef {
    let mut fields = vec![ts("ts")];
    fields.extend(["team", "namespace", "pod", "container", "metric"].map(utf8));
    fields.extend(["score", "value", "expected"].map(|n| Field::new(n, DataType::Float64, true)));
    fields.extend([utf8("text"), utf8("workload"), ts("until"), utf8("trace_id")]);
    fields.push(Field::new("ongoing", DataType::Boolean, true));
    schema(fields)
}

/// `incidents(id, team, severity, status, opened_at, resolved_at, cause, root_kind, root_namespace, root_name, members, summary, part_of, formerly, restarts)`: members
/// and the ids under which it was told before as JSON, and how many instances ended in it.
pub fn incidents() -> SchemaRef {
    let mut fields: Vec<Field> = ["id", "team", "severity", "status"].map(utf8).into();
    fields.push(ts("opened_at"));
    fields.push(ts("resolved_at"));
    fields.extend(
        ["cause", "root_kind", "root_namespace", "root_name", "members", "summary", "part_of", "formerly"].map(utf8),
    );
    fields.push(Field::new("restarts", DataType::Int64, true));
    schema(fields)
}

/// `alerts(starts_at, ends_at, team, namespace, kind, name, container, alertname, severity, summary, fingerprint)`:
/// what an Alertmanager told of an object; `ends_at` is NULL while it fires.
pub fn alerts() -> SchemaRef {
    let mut fields = vec![ts("starts_at"), ts("ends_at")];
    let texts =
        ["team", "namespace", "kind", "name", "container", "alertname", "severity", "summary", "fingerprint"].map(utf8);
    fields.extend(texts);
    schema(fields)
}
