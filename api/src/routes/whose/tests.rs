#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;
use whyd_signals::Team;
use whyd_signals::schema::{Incident, IncidentStatus, Link, Severity};

use super::super::fixture::{Fixture, get, incident, restart, root, routes};

/// What a list answers: its rows by this field, or its error.
async fn rows(fixture: Fixture, uri: &str, token: Option<&str>, field: &str) -> Result<Vec<String>, (u16, Value)> {
    let answer = get(&routes(fixture), uri, token).await;
    let body = answer.json();
    if answer.status != StatusCode::OK {
        return Err((answer.status.as_u16(), body));
    }
    let list = uri.split(['/', '?']).nth(3).unwrap();
    Ok(body[list].as_array().unwrap().iter().map(|row| row[field].to_string().replace('"', "")).collect())
}

#[tokio::test]
async fn workloads_are_taken_as_kubectl_has_them() {
    for workload in ["api", "deploy/api", "Deployment/api", "deployments.apps/API", "a/api", "a/deploy/api"] {
        let got = rows(Fixture::default(), &format!("/api/v1/restarts?workload={workload}"), None, "pod").await;
        assert_eq!(got.unwrap(), ["api-1"], "{workload}");
        let got = rows(Fixture::default(), &format!("/api/v1/baselines?workload={workload}"), None, "workload").await;
        assert_eq!(got.unwrap(), ["Deployment/api"], "{workload}");
        let got = rows(Fixture::default(), &format!("/api/v1/incidents?workload={workload}"), None, "id").await;
        assert_eq!(got.unwrap(), ["i-spread"], "{workload}");
    }
    for (uri, field, found) in [
        ("/api/v1/restarts?workload=pod/web-2", "restart_count", &["12"][..]),
        ("/api/v1/anomalies?workload=a/po/WEB-1", "score", &["3.0", "1.5", "2.5"]),
        ("/api/v1/incidents?workload=pod/web-2", "id", &["i-2"]),
        ("/api/v1/restarts?workload=pod/calm-1", "id", &[]),
    ] {
        assert_eq!(rows(Fixture::default(), uri, Some("a"), field).await.unwrap(), found, "{uri}");
    }
    let got = rows(Fixture::default(), "/api/v1/anomalies?workload=deploy/web&pod=a/web-1", Some("a"), "score").await;
    assert_eq!(got.unwrap(), ["3.0", "1.5", "2.5"]);
}

#[tokio::test]
async fn a_name_that_nothing_has_is_told_apart_from_one_of_which_nothing_was_found() {
    for (query, says, candidates) in [
        ("namespace=a-dew", "no namespace \"a-dew\" is known in what you may see", &["a-dev"][..]),
        ("team=b", "no team \"b\" is known", &[]),
        ("workload=deploy/idel", "no workload \"deploy/idel\" is known", &[]),
        ("workload=sts/idle", "no workload \"sts/idle\" is known", &["a/Deployment/idle", "a/Rollout/idle"]),
        (
            "workload=idle&namespace=a-dev",
            "no workload \"idle\" in namespace \"a-dev\" is known",
            &["a/Deployment/idle", "a/Rollout/idle"],
        ),
        ("workload=nix&namespace=nowhere", "no namespace \"nowhere\", and no workload \"nix\" is known", &[]),
    ] {
        for list in ["restarts", "incidents", "anomalies"] {
            let uri = format!("/api/v1/{list}?{query}");
            let (status, problem) = rows(Fixture::default(), &uri, Some("a"), "").await.unwrap_err();
            let detail = problem["detail"].as_str().unwrap();
            assert_eq!(status, 404, "{uri}: {detail}");
            assert!(detail.contains(says) && detail.ends_with("not synced, so unknown: events"), "{uri}: {detail}");
            let named = problem.get("candidates").map_or(0, |named| named.as_array().unwrap().len());
            assert_eq!(named, candidates.len(), "{uri}: {problem}");
            assert!(candidates.iter().all(|one| problem["candidates"].to_string().contains(one)), "{uri}: {problem}");
        }
    }
    // These are there, and nothing befell them; nor does one's own team have to have anything.
    for query in [
        "namespace=a-empty",
        "namespace=A-Empty",
        "workload=idle",
        "workload=rollout/idle",
        "workload=deploy/calm",
        "team=a&namespace=a-empty",
        "workload=web&until=2020-01-01T00:00:00Z",
    ] {
        for list in ["restarts", "incidents", "anomalies"] {
            let uri = format!("/api/v1/{list}?{query}");
            assert_eq!(rows(Fixture::default(), &uri, Some("a"), "").await.unwrap().len(), 0, "{uri}");
        }
    }
    for list in ["restarts", "anomalies"] {
        let uri = format!("/api/v1/{list}?pod=gone-with-its-name");
        assert_eq!(rows(Fixture::default(), &uri, Some("a"), "").await.unwrap().len(), 0, "{uri}");
    }
    for uri in ["/api/v1/restarts?team=b", "/api/v1/incidents", "/api/v1/anomalies?team=b"] {
        assert_eq!(rows(Fixture::default(), uri, Some("b"), "").await.unwrap().len(), 0, "{uri}");
    }
    let other = rows(Fixture::default(), "/api/v1/restarts?team=platform&namespace=a", None, "").await.unwrap_err();
    assert!(other.1["detail"].as_str().unwrap().starts_with("no namespace \"a\" of team \"platform\""), "{other:?}");
    for uri in ["/api/v1/suspects?namespace=nowhere", "/api/v1/baselines?namespace=nowhere"] {
        assert_eq!(get(&routes(Fixture::default()), uri, Some("a")).await.status, StatusCode::NOT_FOUND, "{uri}");
    }
}

#[tokio::test]
async fn what_can_never_be_right_is_named_with_what_there_is() {
    for (uri, says) in [
        ("/api/v1/restarts?casue=oom-limit", "unknown parameter `casue`, expected one of `team`, `namespace`, `pod`"),
        ("/api/v1/incidents?cause=oom", "cause must be one of abort, "),
        ("/api/v1/incidents?severity=bad", "severity must be one of warning, critical, not \"bad\""),
        ("/api/v1/incidents?status=closed", "status must be one of open, resolved, not \"closed\""),
        ("/api/v1/incidents?since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z", "until must not be before since"),
        ("/api/v1/anomalies?min_score=high", "min_score must be a number such as 1.5, not \"high\""),
        ("/api/v1/anomalies?min_score=NaN", "min_score must be a number"),
        ("/api/v1/anomalies?ongoing=yes", "ongoing must be one of true, false, not \"yes\""),
        ("/api/v1/restarts?until=now", "until must be an RFC 3339 time"),
        ("/api/v1/restarts?namespace=team_shop", "namespace must be a namespace's name"),
        ("/api/v1/incidents?namespace=", "namespace must be a namespace's name"),
        ("/api/v1/anomalies?workload=cart-*", "workload must be a name, kind/name or namespace/kind/name"),
        ("/api/v1/restarts?workload=deploy/", "such as deploy/cart, not \"deploy/\""),
        ("/api/v1/restarts?team=", "team must not be empty"),
    ] {
        let (status, problem) = rows(Fixture::default(), uri, None, "").await.unwrap_err();
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 400 && detail.contains(says), "{uri}: {status} {detail}");
    }
}

#[tokio::test]
async fn restarts_are_those_of_an_incident_and_of_a_time() {
    let with_keys = || {
        let mut fixture = Fixture::default();
        for row in &mut fixture.restarts {
            Arc::make_mut(row).incident_key = Some(format!("{}/{}", row.namespace, row.workload));
        }
        let made = |id: &str, group: &str| Incident {
            group: group.into(),
            formerly: vec![format!("{id}-once")],
            ..incident("a", id, IncidentStatus::Open, 0, &[])
        };
        let link = |id: &str| Link { id: id.into(), team: Team::new("a"), teams: vec![Team::new("a")] };
        let whole = Incident { parts: vec![link("one"), link("two")], ..made("whole", "") };
        let parts = [("one", "a/Deployment/web"), ("two", "a/Deployment/api")];
        let parts = parts.map(|(id, group)| Incident { part_of: Some(link("whole")), ..made(id, group) });
        fixture.incidents = parts.into_iter().chain([whole]).map(Arc::new).collect();
        fixture
    };
    for (query, pods) in [
        ("incident_id=two", &["api-1"][..]),
        ("incident_id=two-once", &["api-1"]),
        ("incident_id=one&pod=web-2", &["web-2"]),
        ("incident_id=whole", &["api-1", "web-1", "web-1", "web-2", "web-1"]),
        ("incident_id=two&workload=web", &[]),
        ("namespace=a&since=2026-09-21T14:13:32Z&until=2026-09-21T14:13:40Z", &["web-1", "web-1", "web-2"]),
    ] {
        let got = rows(with_keys(), &format!("/api/v1/restarts?{query}"), Some("a"), "pod").await;
        assert_eq!(got.unwrap(), pods, "{query}");
    }
    let (status, problem) = rows(with_keys(), "/api/v1/restarts?incident_id=three", None, "").await.unwrap_err();
    assert!(status == 404 && problem["detail"].as_str().unwrap().starts_with("no incident \"three\""), "{problem}");
}

#[tokio::test]
async fn incidents_are_those_of_whom_is_asked_for_by_what_is_shown_of_them() {
    let made = || {
        let mut fixture = Fixture::default();
        let mut row = restart("a-dev", "job", "job-1", "job", 44);
        row.cause = "job-failed".into();
        fixture.restarts.push(row.into());
        let of_root = Incident {
            severity: Severity::Warning,
            cause: "job-failed".into(),
            root: Some(root("a-dev", "job")),
            ..incident("a-dev", "i-job", IncidentStatus::Resolved, 44, &["a-dev/job-1/job"])
        };
        fixture.incidents.push(of_root.into());
        let part = Link { id: "p".into(), team: Team::new("a"), teams: vec![Team::new("a")] };
        let whole = incident("platform", "i-whole", IncidentStatus::Open, 70, &[]);
        fixture.incidents.push(Arc::new(Incident { parts: vec![part], root: None, ..whole }));
        fixture
    };
    for (query, token, ids) in [
        ("team=a", None, &["i-whole", "i-job", "i-spread", "i-2", "i-1"][..]),
        ("team=canary", None, &["i-canary"]),
        ("namespace=a-dev", None, &["i-job"]),
        ("namespace=a", None, &["i-spread", "i-2", "i-1"]),
        // A member and the root lie there.
        ("namespace=canary", None, &["i-canary", "i-spread"]),
        ("namespace=canary-data", None, &["i-spread"]),
        ("workload=canary-db", None, &["i-spread"]),
        ("workload=a/deploy/web", Some("a"), &["i-2", "i-1"]),
        ("workload=job", Some("b"), &[]),
        ("cause=job-failed", None, &["i-job"]),
        ("severity=warning", None, &["i-job"]),
        ("namespace=a&status=open", Some("a"), &["i-spread", "i-2"]),
        ("until=2026-09-21T14:13:31Z", Some("a"), &["i-1"]),
        ("since=2026-09-21T14:14:31Z&team=a", Some("a"), &["i-job", "i-spread", "i-2"]),
    ] {
        let got = rows(made(), &format!("/api/v1/incidents?{query}"), token, "id").await;
        if ids.is_empty() {
            assert_eq!(got.unwrap_err().0, 404, "{query}: the namespace is another team's");
        } else {
            assert_eq!(got.unwrap(), ids, "{query}");
        }
    }
}

#[tokio::test]
async fn anomalies_are_those_of_a_score_a_time_and_that_go_on() {
    let fixture = || {
        let mut fixture = Fixture::default();
        for (n, row) in fixture.anomalies.iter_mut().enumerate() {
            let row = Arc::make_mut(row);
            // The clock of the routes says 60: five minutes before that is long ago for all but the first.
            row.ts = super::super::fixture::at(-600 + n as i64);
            row.until = if n == 0 { super::super::fixture::at(-240) } else { row.ts };
        }
        fixture
    };
    for (query, scores) in [
        ("min_score=2", &["3.0", "2.5"][..]),
        ("min_score=2.5&pod=web-1", &["3.0", "2.5"]),
        ("ongoing=true", &["1.5"]),
        ("ongoing=false", &["3.0", "2.5"]),
        ("since=2026-09-21T14:08:00Z", &["1.5"]),
        ("until=2026-09-21T14:03:20Z", &["1.5"]),
        ("team=a&min_score=9", &[]),
    ] {
        let got = rows(fixture(), &format!("/api/v1/anomalies?{query}"), Some("a"), "score").await;
        assert_eq!(got.unwrap(), scores, "{query}");
    }
}
