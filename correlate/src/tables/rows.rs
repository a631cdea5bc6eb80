//! The small tables, a batch each, in the order of their schemas. Empty text is NULL.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, StringBuilder, TimestampNanosecondArray,
    UInt64Array,
};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde::Serialize;
use whyd_buffers::Scoped;
use whyd_buffers::state::{EventSeen, NamespaceState, Record};
use whyd_signals::objects::Pod;
use whyd_signals::schema::{Anomaly, Incident, IncidentStatus, Restart, Root, Severity, tables};
use whyd_signals::templates::Template;
use whyd_signals::{Team, Timestamp};

type Made = Result<RecordBatch, ArrowError>;

/// Rows whose texts are read ahead.
const AHEAD: usize = 16;
/// What was seen to go on so long ago goes on: it is looked at with each sample, and `whyd_anomaly_score` shows it for as long.
const JUST_NOW: Duration = Duration::from_secs(300);
/// Bytes of a text, to begin with.
const SHORT: usize = 16;

pub(super) fn texts<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> Option<&'a str>) -> ArrayRef {
    let mut made = StringBuilder::with_capacity(rows.len(), rows.len() * SHORT);
    for some in rows.chunks(AHEAD) {
        // The memory of several is waited for together: one after another each waits for its own.
        let first = some.iter().filter_map(|r| of(r)?.bytes().next());
        std::hint::black_box(first.fold(0, |all, byte| all ^ byte));
        some.iter().for_each(|r| made.append_option(of(r).filter(|text| !text.is_empty())));
    }
    Arc::new(made.finish())
}

pub(super) fn times<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> Option<Timestamp>) -> ArrayRef {
    let values = rows.iter().map(|r| of(r).map(|t| t.0));
    Arc::new(values.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

fn ints<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<Int64Array>())
}

fn floats<'a, R>(rows: &'a [R], of: impl Fn(&'a R) -> f64) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(rows.iter().map(of)))
}

/// What has structure is kept as JSON text.
fn json<'a, R, T: Serialize + 'a>(rows: &'a [R], of: impl Fn(&'a R) -> &'a T) -> ArrayRef {
    let values = rows.iter().map(|r| serde_json::to_string(of(r)).ok());
    Arc::new(values.collect::<StringArray>())
}

/// Events may be many: only these columns of them are made, of one of as many parts.
pub(super) fn events(scoped: &Scoped, columns: &[usize], (part, parts): (usize, usize)) -> Made {
    let spaces = || scoped.cluster().namespaces();
    let each = spaces().map(|n| n.events.len()).sum::<usize>().div_ceil(parts.max(1));
    let of_part = spaces().flat_map(|n| n.events.iter().map(move |e| (n, e))).skip(part * each).take(each);
    let all: Vec<(&NamespaceState, &EventSeen)> = of_part.collect();
    let column = |n: &usize| match n {
        0 => times(&all, |(_, e)| Some(e.at)),
        1 => texts(&all, |(_, e)| Some(&e.event.metadata.uid)),
        2 => texts(&all, |(_, e)| Some(&e.event.kind)),
        3 => texts(&all, |(_, e)| Some(&e.event.reason)),
        4 => texts(&all, |(_, e)| Some(&e.event.message)),
        5 => texts(&all, |(_, e)| Some(&e.event.involved_object.kind)),
        6 => texts(&all, |(_, e)| Some(&e.event.involved_object.namespace)),
        7 => texts(&all, |(_, e)| Some(&e.event.involved_object.name)),
        8 => texts(&all, |(_, e)| Some(&e.event.involved_object.uid)),
        9 => ints(&all, |(_, e)| Some(e.event.count())),
        10 => texts(&all, |(n, _)| Some(n.team.as_str())),
        11 => texts(&all, |(_, e)| Some(&e.event.involved_object).filter(|o| o.kind == "Pod").map(|o| o.name.as_str())),
        _ => texts(&all.iter().map(|(n, e)| workload_about(n, e)).collect::<Vec<_>>(), |workload| workload.as_deref()),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(all.len()));
    let schema = Arc::new(tables::events().project(columns)?);
    RecordBatch::try_new_with_options(schema, columns.iter().map(column).collect(), &options)
}

/// Kinds that make pods, by themselves or through another.
const WORKLOADS: [&str; 7] =
    ["CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"];

/// `Kind/name` of a workload, where this is one.
pub(super) fn workload(kind: &str, name: &str) -> Option<String> {
    WORKLOADS.contains(&kind).then(|| format!("{kind}/{name}"))
}

/// The workload of the object that an event is about: of a pod and a ReplicaSet whose they are, as far as they are known.
fn workload_about(space: &NamespaceState, seen: &EventSeen) -> Option<String> {
    let about = &seen.event.involved_object;
    match about.kind.as_str() {
        "Pod" => {
            let pod = space.pods.get(&about.uid).or_else(|| space.pod_named(&about.name))?;
            Some(space.workload_of(&pod.object))
        }
        "ReplicaSet" => {
            let of = space.owner(&about.uid).and_then(|(_, set)| set.object.metadata.controller());
            of.map(|up| format!("{}/{}", up.kind, up.name)).or_else(|| workload(&about.kind, &about.name))
        }
        kind => workload(kind, &about.name),
    }
}

struct PodRow<'a> {
    space: &'a NamespaceState,
    record: &'a Record<Pod>,
    workload: String,
}

pub(super) fn pods(scoped: &Scoped) -> Made {
    let mut all = Vec::new();
    for space in scoped.cluster().namespaces() {
        for record in space.pods.values() {
            all.push(PodRow { space, record, workload: space.workload_of(&record.object) });
        }
    }
    let ready = |p: &PodRow<'_>| p.record.object.condition("Ready").map(|c| c.status == "True");
    let columns = vec![
        texts(&all, |p| Some(&p.record.object.metadata.uid)),
        texts(&all, |p| Some(p.space.team.as_str())),
        texts(&all, |p| Some(&p.record.object.metadata.namespace)),
        texts(&all, |p| Some(&p.record.object.metadata.name)),
        texts(&all, |p| Some(&p.workload)),
        texts(&all, |p| Some(&p.record.object.spec.node_name)),
        texts(&all, |p| Some(&p.record.object.status.phase)),
        Arc::new(all.iter().map(ready).collect::<BooleanArray>()),
        ints(&all, |p| Some(p.record.object.statuses().map(|s| s.restart_count).sum())),
        times(&all, |p| p.record.object.metadata.creation_timestamp),
        times(&all, |p| p.record.deleted_at),
    ];
    RecordBatch::try_new(tables::pods(), columns)
}

fn root_kind(root: Option<&Root>) -> Option<&str> {
    root.map(|r| r.kind.as_str())
}

fn root_namespace(root: Option<&Root>) -> Option<&str> {
    root.map(|r| r.namespace.as_str())
}

fn root_name(root: Option<&Root>) -> Option<&str> {
    root.map(|r| r.name.as_str())
}

/// `incidents` has the id of each one's.
pub(super) fn restarts(all: &[Arc<Restart>], incidents: &[Option<String>]) -> Made {
    let columns = vec![
        texts(all, |r| Some(r.team.as_str())),
        texts(all, |r| Some(&r.namespace)),
        texts(all, |r| Some(&r.workload)),
        texts(all, |r| r.pod.as_deref()),
        texts(all, |r| r.pod_uid.as_deref()),
        texts(all, |r| r.node.as_deref()),
        texts(all, |r| r.container.as_deref()),
        ints(all, |r| r.restart_count),
        times(all, |r| r.started_at),
        times(all, |r| r.finished_at),
        Arc::new(all.iter().map(|r| r.exit_code).collect::<Int32Array>()),
        texts(all, |r| r.reason.as_deref()),
        texts(all, |r| Some(&r.mechanism)),
        texts(all, |r| Some(&r.cause)),
        texts(all, |r| r.cause_detail.as_deref()),
        floats(all, |r| r.confidence),
        texts(all, |r| root_kind(r.root.as_ref())),
        texts(all, |r| root_namespace(r.root.as_ref())),
        texts(all, |r| root_name(r.root.as_ref())),
        texts(all, |r| Some(&r.summary)),
        json(all, |r| &r.evidence),
        json(all, |r| &r.ruled_out),
        json(all, |r| &r.missing),
        texts(incidents, |id| id.as_deref()),
    ];
    RecordBatch::try_new(tables::restarts(), columns)
}

pub(super) fn log_templates(all: &[(Team, Template)]) -> Made {
    let columns = vec![
        texts(all, |(team, _)| Some(team.as_str())),
        Arc::new(UInt64Array::from_iter_values(all.iter().map(|(_, t)| t.id.0))) as ArrayRef,
        texts(all, |(_, t)| Some(&t.text)),
    ];
    RecordBatch::try_new(tables::log_templates(), columns)
}

/// `now` is when it is asked.
pub(super) fn anomalies(all: &[Arc<Anomaly>], now: Timestamp) -> Made {
    let columns = vec![
        times(all, |a| Some(a.ts)),
        texts(all, |a| Some(a.team.as_str())),
        texts(all, |a| Some(&a.namespace)),
        texts(all, |a| Some(&a.pod)),
        texts(all, |a| Some(&a.container)),
        texts(all, |a| Some(&a.metric)),
        floats(all, |a| a.score),
        floats(all, |a| a.value),
        floats(all, |a| a.expected),
        texts(all, |a| Some(&a.text)),
        texts(all, |a| Some(&a.workload)),
        times(all, |a| Some(a.until)),
        texts(all, |a| Some(&a.trace)),
        Arc::new(all.iter().map(|a| Some(a.until.plus(JUST_NOW) >= now)).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(tables::anomalies(), columns)
}

pub(super) fn incidents(all: &[Arc<Incident>]) -> Made {
    let severity = |i: &Incident| match i.severity {
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    };
    let status = |i: &Incident| match i.status {
        IncidentStatus::Open => "open",
        IncidentStatus::Resolved => "resolved",
    };
    let columns = vec![
        texts(all, |i| Some(&i.id)),
        texts(all, |i| Some(i.team.as_str())),
        texts(all, |i| Some(severity(i))),
        texts(all, |i| Some(status(i))),
        times(all, |i| Some(i.opened_at)),
        times(all, |i| i.resolved_at),
        texts(all, |i| Some(&i.cause)),
        texts(all, |i| root_kind(i.root.as_ref())),
        texts(all, |i| root_namespace(i.root.as_ref())),
        texts(all, |i| root_name(i.root.as_ref())),
        json(all, |i| &i.members),
        texts(all, |i| Some(&i.summary)),
        texts(all, |i| i.part_of.as_ref().map(|whole| whole.id.as_str())),
        json(all, |i| &i.formerly),
        ints(all, |i| i64::try_from(i.restarts).ok()),
    ];
    RecordBatch::try_new(tables::incidents(), columns)
}
