//! Rows of a team that speak of another: what names that one is not in any column.

use std::sync::Arc;

use arrow::util::pretty::pretty_format_batches;
use serde_json::json;
use whyd_correlate::engine::{Engine, EngineLimits};
use whyd_correlate::tables::tables;
use whyd_signals::schema::{Evidence, EvidenceSource, Incident, Link, Restart, Root};
use whyd_signals::{Access, Team};

use crate::buffers::scoped;
use crate::cluster;

fn shown(writer: &whyd_buffers::Writer, access: &Access, sql: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let batches = runtime.block_on(engine.query(tables(&scoped(writer, access), Vec::new()), sql)).unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

#[test]
fn rows_that_speak_of_another_team_do_not_name_it() {
    let mut writer = cluster::filled();
    let all = scoped(&writer, &Access::All);
    let foreign =
        Root { kind: "Deployment".into(), namespace: "team-b".into(), name: "canary".into(), uid: String::new() };
    let said = |object: &str, source| Evidence {
        source,
        object: object.into(),
        field: "line".into(),
        value: json!("cannot reach canary"),
        text: "it says canary".into(),
        ..all.restarts()[0].evidence[0].clone()
    };
    let own = |r: &Restart| Restart {
        summary: "canary is down".into(),
        cause_detail: Some("canary".into()),
        evidence: vec![said("Deployment/canary", EvidenceSource::Kube), said("Pod/web-1", EvidenceSource::Logs)],
        ..r.clone()
    };
    let row = all.restarts().iter().find(|r| r.namespace == "team-a").map(|r| own(r)).unwrap();
    let with_root = Restart { root: Some(foreign.clone()), ..row.clone() };
    let with_link = Restart { root: None, speaks_of: vec!["team-b".into()], ..row };
    writer.put_restarts(Arc::new(vec![Arc::new(with_root), Arc::new(with_link)]));
    let incident = all.incidents().iter().find(|i| i.namespace == "team-a").map(|i| Incident::clone(i)).unwrap();
    let members = vec!["team-a/web-1/web".to_owned(), "team-b/canary/db".to_owned()];
    let part_of = Some(Link { id: "canary".into(), team: Team::new("b"), teams: vec![Team::new("b")] });
    let incident =
        Incident { root: Some(foreign), members, part_of, summary: "canary is down".into(), restarts: 70, ..incident };
    writer.put_incidents(Arc::new(vec![Arc::new(incident)]));

    for sql in ["SELECT * FROM restarts", "SELECT * FROM incidents"] {
        assert!(shown(&writer, &Access::All, sql).contains("Deployment"), "{sql}");
        let seen = shown(&writer, &Access::team("a"), sql);
        assert!(!seen.contains("canary"), "{sql}: {seen}");
        assert!(!seen.contains("team-b") && seen.contains("team-a"), "{sql}: {seen}");
    }
    // Nor how often it ended.
    let ends = "SELECT restarts AS n FROM incidents";
    let own =
        "SELECT count(*) AS n FROM restarts r JOIN incidents i ON i.id = r.incident_id WHERE r.exit_code IS NOT NULL";
    assert!(shown(&writer, &Access::All, ends).contains("70"));
    assert_eq!(shown(&writer, &Access::team("a"), ends), shown(&writer, &Access::team("a"), own));
}
