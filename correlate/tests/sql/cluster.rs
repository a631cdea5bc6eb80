//! The cluster that the `.slt` files ask about: two teams and the platform, a few rows a table.

use std::sync::Arc;

use serde_json::json;
use whyd_buffers::Writer;
use whyd_signals::objects::Object;
use whyd_signals::schema::{
    Alert, Anomaly, Change, Evidence, EvidenceSource, Incident, IncidentStatus, Restart, Root, RuledOut, Severity,
};
use whyd_signals::sink::AlertSink;
use whyd_signals::{Resource, Team, Verb};

use crate::buffers::{ms, write_lines, write_samples, writer};

const STALE: f64 = f64::from_bits(whyd_signals::sample::STALE_BITS);

pub(crate) fn filled() -> Writer {
    let mut w = writer();
    objects(&mut w);
    alerts(&mut w);
    samples(&mut w);
    lines(&mut w);
    rows(&mut w);
    w
}

fn alerts(w: &mut Writer) {
    w.begin(ms(0), None);
    for (team, object, ends_at) in [("a", "web-1", None), ("b", "db-1", Some(ms(50_000)))] {
        let alert = Alert {
            fingerprint: format!("f-{team}"),
            starts_at: ms(20_000),
            ends_at,
            name: "KubePodCrashLooping".into(),
            severity: "warning".into(),
            namespace: format!("team-{team}"),
            kind: "Pod".into(),
            object: object.into(),
            container: "web".into(),
            summary: "it crashes".into(),
            link: String::new(),
        };
        w.alert(alert).unwrap();
    }
    let staged = w.stage();
    w.publish(staged.mark);
}

fn samples(w: &mut Writer) {
    let memory = "container_memory_working_set_bytes";
    let web1: &[(&str, &str)] =
        &[("__name__", memory), ("container", "web"), ("namespace", "team-a"), ("pod", "web-1")];
    let web2: &[(&str, &str)] =
        &[("__name__", memory), ("container", "web"), ("namespace", "team-a"), ("pod", "web-2")];
    let db1: &[(&str, &str)] = &[("__name__", memory), ("container", "db"), ("namespace", "team-b"), ("pod", "db-1")];
    let up: &[(&str, &str)] = &[("__name__", "up"), ("job", "node \"a\"")];
    // Out of order, a repetition, another value of the same time (the larger stays), a NaN and an end.
    let rows: &[(&[(&str, &str)], i64, f64)] = &[
        (web1, 0, 100.0),
        (web1, 30_000, 120.0),
        (web1, 15_000, 110.0),
        (web1, 15_000, 110.0),
        (web1, 30_000, 125.0),
        (web1, 30_000, 115.0),
        (web1, 45_000, STALE),
        (web2, 15_000, f64::NAN),
        (db1, 15_000, 7.0),
        (up, 0, 1.0),
    ];
    write_samples(w, ms(60_000), rows);
    // Half of it in chunks, half in the tail.
    w.seal(ms(15 * 60_000));
    write_samples(w, ms(15 * 60_000), &[(web2, 60_000, -0.5), (db1, 15 * 60_000, 8.0)]);
}

fn lines(w: &mut Writer) {
    let web1: &[(&str, &str)] = &[("container", "web"), ("namespace", "team-a"), ("pod", "web-1")];
    let side: &[(&str, &str)] = &[("container", "proxy"), ("namespace", "team-a"), ("pod", "web-1")];
    let db1: &[(&str, &str)] = &[("container", "db"), ("namespace", "team-b"), ("pod", "db-1")];
    let node: &[(&str, &str)] = &[("job", "systemd")];
    let rows: &[(&[(&str, &str)], i64, &str)] = &[
        (web1, 40_000, "level=error msg=\"out of memory\""),
        (web1, 10_000, "level=info msg=started"),
        (web1, 40_000, "level=error msg=\"giving up\""),
        (side, 20_000, "plain words"),
        (db1, 40_000, "level=error msg=canary"),
        (node, 41_000, "kernel: killed process 77"),
    ];
    write_lines(w, ms(60_000), rows);
}

fn pod(namespace: &str, name: &str, uid: &str, restarts: i64, owner: Option<&str>) -> Object {
    let owners = owner.map(|o| json!([{"kind": "StatefulSet", "name": o, "uid": "s1", "controller": true}]));
    let pod = json!({
        "metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": "5", "generation": 1,
            "creationTimestamp": "2026-11-22T12:00:00Z", "ownerReferences": owners.unwrap_or_else(|| json!([]))},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [{"name": "web", "restartCount": restarts}, {"name": "proxy", "restartCount": 1}]},
    });
    Object::Pod(Arc::new(serde_json::from_value(pod).unwrap()))
}

fn event(namespace: &str, uid: &str, version: u32, count: i64, at: &str, object: (&str, &str, &str)) -> Object {
    let (kind, name, object_uid) = object;
    let event = json!({
        "metadata": {"namespace": namespace, "name": uid, "uid": uid, "resourceVersion": version.to_string()},
        "involvedObject": {"kind": kind, "namespace": if kind == "Node" { "" } else { namespace }, "name": name, "uid": object_uid},
        "reason": "BackOff", "message": format!("seen {count} times"), "type": "Warning", "count": count,
        "lastTimestamp": at,
    });
    Object::Event(Arc::new(serde_json::from_value(event).unwrap()))
}

fn objects(w: &mut Writer) {
    w.begin(ms(0), None);
    let mut put = |resource, verb, object| w.stage_object(resource, verb, Some(object), Vec::new(), (ms(1_000), 100));
    put(Resource::Pods, Verb::Apply, pod("team-a", "web-1", "p1", 3, Some("web")));
    put(Resource::Pods, Verb::Delete, pod("team-a", "web-2", "p2", 0, None));
    put(Resource::Pods, Verb::Apply, pod("team-b", "db-1", "p3", 0, None));
    let web1 = ("Pod", "web-1", "p1");
    put(Resource::Events, Verb::Apply, event("team-a", "e1", 1, 1, "2026-11-22T13:00:41Z", web1));
    put(Resource::Events, Verb::Apply, event("team-a", "e1", 2, 4, "2026-11-22T13:00:51Z", web1));
    put(Resource::Events, Verb::Apply, event("team-b", "e2", 3, 1, "2026-11-22T13:00:42Z", ("Pod", "db-1", "p3")));
    put(Resource::Events, Verb::Apply, event("default", "e3", 4, 1, "2026-11-22T13:00:43Z", ("Node", "node-1", "n1")));
    let staged = w.stage();
    w.publish(staged.mark);
}

fn root(kind: &str, namespace: &str, name: &str) -> Root {
    Root { kind: kind.into(), namespace: namespace.into(), name: name.into(), uid: String::new() }
}

fn rows(w: &mut Writer) {
    let oom = Restart {
        team: Team::new("a"),
        namespace: "team-a".into(),
        workload: "StatefulSet/web".into(),
        pod: Some("web-1".into()),
        pod_uid: Some("p1".into()),
        node: Some("node-1".into()),
        container: Some("web".into()),
        container_id: "c1".into(),
        restart_count: Some(3),
        started_at: Some(ms(0)),
        finished_at: Some(ms(45_000)),
        exit_code: Some(137),
        signal: None,
        reason: Some("OOMKilled".into()),
        again: true,
        mechanism: "oom-limit".into(),
        cause: "oom-limit".into(),
        cause_detail: None,
        confidence: 0.9,
        root: Some(root("StatefulSet", "team-a", "web")),
        summary: "killed at its memory limit".into(),
        evidence: vec![Evidence {
            source: EvidenceSource::Metrics,
            at: Some(ms(30_000)),
            object: "Pod/web-1".into(),
            field: "container_memory_working_set_bytes".into(),
            value: json!(125.0),
            text: "125 bytes".into(),
        }],
        ruled_out: vec![RuledOut {
            cause: "node-pressure".into(),
            because: "the node had memory".into(),
            field: "MemoryPressure".into(),
            value: json!("False"),
        }],
        missing: vec!["logs".into()],
        changes: Vec::new(),
        owner: String::new(),
        speaks_of: Vec::new(),
        shares: Vec::new(),
        incident_key: Some("team-a/Deployment/web/oom-limit".into()),
        seen_at: ms(46_000),
    };
    let never_started = Restart {
        team: Team::new("b"),
        namespace: "team-b".into(),
        workload: "Deployment/db".into(),
        pod: None,
        pod_uid: None,
        node: None,
        container: None,
        container_id: String::new(),
        restart_count: None,
        started_at: None,
        finished_at: None,
        exit_code: None,
        reason: None,
        mechanism: "quota-exceeded".into(),
        cause: "quota-exceeded".into(),
        root: None,
        summary: "no pod was made".into(),
        incident_key: None,
        evidence: Vec::new(),
        ruled_out: Vec::new(),
        missing: Vec::new(),
        ..oom.clone()
    };
    w.put_restarts(Arc::new(vec![Arc::new(oom), Arc::new(never_started)]));
    let incident = |id: &str, team: &str, resolved_at, status, severity| {
        Arc::new(Incident {
            id: id.into(),
            group: format!("team-{team}/Deployment/web/oom-limit"),
            team: Team::new(team),
            namespace: format!("team-{team}"),
            severity,
            status,
            opened_at: ms(45_000),
            resolved_at,
            cause: "oom-limit".into(),
            root: Some(root("Node", "", "node-1")),
            members: vec![format!("team-{team}/x/y")],
            restarts: 1,
            follows: None,
            formerly: if id == "i1" { vec!["i0".into()] } else { Vec::new() },
            suppressed_by: None,
            part_of: None,
            parts: Vec::new(),
            speaks_of: Vec::new(),
            evidence: Vec::new(),
            summary: "node-1 ran out of memory".into(),
        })
    };
    w.put_incidents(Arc::new(vec![
        incident("i1", "a", None, IncidentStatus::Open, Severity::Critical),
        incident("i2", "b", Some(ms(90_000)), IncidentStatus::Resolved, Severity::Warning),
    ]));
    let anomaly = |team: &str, pod: &str, score| {
        Arc::new(Anomaly {
            ts: ms(30_000),
            team: Team::new(team),
            namespace: format!("team-{team}"),
            pod: pod.into(),
            container: String::new(),
            metric: "log_errors".into(),
            score,
            value: 9.0,
            expected: 1.5,
            text: "six times as many".into(),
            workload: format!("Deployment/{}", pod.trim_end_matches("-1")),
            trace: if team == "a" { "0af7651916cd43dd8448eb211c80319c".into() } else { String::new() },
            until: ms(90_000),
            episode: 0,
        })
    };
    w.put_anomalies(Arc::new(vec![anomaly("a", "web-1", 2.5), anomaly("b", "db-1", 1.25)]));
}

pub(crate) fn changes() -> Vec<Change> {
    let change = |at, team: &str, namespace: &str, kind: &str, name: &str, what: &str| Change {
        ts: ms(at),
        team: Team::new(team),
        namespace: namespace.into(),
        kind: kind.into(),
        name: name.into(),
        what: what.into(),
        detail: format!("{what} of {name}"),
        by: String::new(),
    };
    vec![
        change(-5_000, "a", "team-a", "StatefulSet", "web", "image"),
        change(-4_000, "b", "team-b", "Deployment", "db", "replicas"),
        change(-3_000, "platform", "", "Node", "node-1", "cordon"),
    ]
}
