#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use axum::http::StatusCode;
use serde_json::{Value, json};
use whyd_signals::schema::Root;

use super::*;
use crate::routes::fixture::{Answer, CANARY, Fixture, at, door, get, incident, send};

fn suppression(name: &str, cause: Option<&str>, namespace: Option<&str>, until: i64) -> Suppression {
    Suppression {
        name: name.into(),
        cause: cause.map(str::to_owned),
        namespace: namespace.map(str::to_owned),
        workload: Some("web".into()),
        until: at(until),
        reason: if namespace == Some("a") { "known".into() } else { format!("{CANARY} knows") },
    }
}

/// The fixture with two more incidents that are hidden, one by a suppression of all namespaces.
fn routes(replayed: bool) -> Router {
    let mut fixture = Fixture::default();
    let hidden = |namespace, id, by: &str| Incident {
        suppressed_by: Some(by.to_owned()),
        ..incident(namespace, id, IncidentStatus::Open, 21, &[])
    };
    fixture.incidents.push(Arc::new(hidden("a", "i-hidden", "everywhere")));
    fixture.incidents.push(Arc::new(hidden(CANARY, "i-hidden-canary", "theirs")));
    let node = Incident {
        root: Some(Root { kind: "Node".into(), namespace: String::new(), name: "node-1".into(), uid: "u".into() }),
        ..incident("", "i-node", IncidentStatus::Open, 22, &[])
    };
    fixture.incidents.push(Arc::new(node));
    fixture.status.replayed = replayed;
    let settings = Settings {
        cluster: "lab".into(),
        interval: Duration::from_secs(60),
        external_url: "https://whyd.example".into(),
        suppressions: vec![
            suppression("everywhere", Some("oom-limit"), None, 9000),
            suppression("theirs", None, Some(CANARY), 9000),
            suppression("mine", None, Some("a"), 50),
            suppression("unused", Some("abort"), None, 9000),
        ],
        started: at(0),
        now: Arc::new(|| at(100)),
    };
    let api = Api::new(Arc::new(fixture), door(), Arc::new(|| at(100)));
    crate::router(api.clone(), router(api, settings))
}

async fn answer(path: &str, token: Option<&str>) -> Answer {
    get(&routes(true), &format!("/alertmanager{path}"), token).await
}

async fn json_of(path: &str, token: Option<&str>) -> Value {
    let answer = answer(path, token).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    answer.json()
}

/// The incident ids of `/api/v2/alerts`, sorted.
async fn ids(query: &str, token: Option<&str>) -> Vec<String> {
    let body = json_of(&format!("/api/v2/alerts{query}"), token).await;
    let id = |a: &Value| a["labels"]["incident_id"].as_str().unwrap().to_owned();
    let mut ids: Vec<String> = body.as_array().unwrap().iter().map(id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn filters_choose_alerts() {
    let all = ["i-2", "i-canary", "i-hidden", "i-hidden-canary", "i-node", "i-spread"];
    let cases: [(&str, &[&str]); 13] = [
        ("", &all),
        ("?active=true&silenced=true&inhibited=true&unprocessed=true", &all),
        ("?silenced=false&inhibited=false", &["i-2", "i-canary", "i-node", "i-spread"]),
        ("?active=false", &["i-hidden", "i-hidden-canary"]),
        ("?receiver=whyd", &all),
        ("?receiver=wh.%2A", &all),
        ("?receiver=why", &[]),
        ("?filter=team%3D%22a%22", &["i-2", "i-hidden", "i-spread"]),
        ("?filter=team=a&filter=incident_id=~%22i-(2|hidden.*)%22", &["i-2", "i-hidden"]),
        ("?filter=team!=a&filter=team!~%22.%2B%22", &["i-node"]),
        ("?filter=namespace=", &["i-node"]),
        ("?filter=alertname=WhydIncident&filter=source=whyd", &all),
        ("?what=ever", &all),
    ];
    for (query, wanted) in cases {
        assert_eq!(ids(query, None).await, wanted, "{query}");
    }
    for bad in ["?filter=nothing", "?filter=a=~(", "?receiver=(", "?active=maybe"] {
        assert_eq!(answer(&format!("/api/v2/alerts{bad}"), None).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn alerts_have_every_field_and_lists_are_never_null() {
    let all = json_of("/api/v2/alerts", None).await;
    for alert in all.as_array().unwrap() {
        let keys: Vec<&str> = alert.as_object().unwrap().keys().map(String::as_str).collect();
        let mut wanted = vec!["annotations", "endsAt", "fingerprint", "generatorURL", "labels", "receivers"];
        wanted.extend(["startsAt", "status", "updatedAt"]);
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>(), wanted.iter().collect());
        for list in ["silencedBy", "inhibitedBy", "mutedBy"] {
            assert!(alert["status"][list].is_array(), "{alert}");
        }
        assert_eq!(alert["receivers"], json!([{"name": "whyd"}]));
        assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
        assert!(alert["generatorURL"].as_str().unwrap().starts_with("https://whyd.example/?pod=i-"));
    }
    for path in ["/alerts?filter=team=none", "/alerts/groups?filter=team=none", "/silences?filter=cause=none"] {
        assert_eq!(json_of(&format!("/api/v2{path}"), None).await, json!([]), "{path}");
    }
    let status = json_of("/api/v2/status", None).await;
    assert_eq!(status["cluster"]["peers"], json!([]));
    assert!(status["config"]["original"].as_str().unwrap().contains("receiver: whyd\n"));
    assert_eq!(json_of("/api/v2/receivers", None).await, json!([{"name": "whyd"}]));
    let groups = json_of("/api/v2/alerts/groups", None).await;
    let of_a = groups.as_array().unwrap().iter().find(|g| g["labels"]["team"] == "a").unwrap();
    assert_eq!(of_a["labels"], json!({"namespace": "a", "team": "a"}));
    assert_eq!((of_a["receiver"]["name"].as_str(), of_a["alerts"].as_array().unwrap().len()), (Some("whyd"), 3));
}

#[tokio::test]
async fn suppressions_are_silences_that_nobody_can_write() {
    let silences = json_of("/api/v2/silences", None).await;
    let states = silences.as_array().unwrap().iter().map(|s| s["status"]["state"].as_str().unwrap());
    assert_eq!(states.collect::<Vec<_>>(), ["active", "active", "expired", "active"]);
    let everywhere = &silences[0];
    assert_eq!(
        everywhere["matchers"][0],
        json!({"isEqual": true, "isRegex": false, "name": "cause", "value": "oom-limit"})
    );
    let hidden = json_of("/api/v2/alerts?filter=incident_id=i-hidden", None).await;
    assert_eq!(hidden[0]["status"]["state"], "suppressed");
    assert_eq!(hidden[0]["status"]["silencedBy"], json!([everywhere["id"]]));
    let path = format!("/api/v2/silence/{}", everywhere["id"].as_str().unwrap());
    assert_eq!(json_of(&path, None).await, *everywhere);
    assert_eq!(answer("/api/v2/silence/none", None).await.status, StatusCode::NOT_FOUND);
    let router = routes(true);
    for (method, path) in [("POST", "/api/v2/silences"), ("POST", "/api/v2/alerts"), ("DELETE", path.as_str())] {
        let refused = send(&router, method, &format!("/alertmanager{path}"), None).await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let said: String = serde_json::from_str(&refused.text).expect("a JSON string, as an Alertmanager answers");
        assert!(said.contains("incidents.suppressions"), "{method} {path}: {said}");
    }
}

#[tokio::test]
async fn a_team_sees_its_own_alerts_and_silences_and_no_name_of_others() {
    assert_eq!(ids("", Some("a")).await, ["i-2", "i-hidden", "i-spread"]);
    assert!(ids("", Some("b")).await.is_empty());
    let silences = json_of("/api/v2/silences", Some("a")).await;
    let comments: Vec<&str> = silences.as_array().unwrap().iter().map(|s| s["comment"].as_str().unwrap()).collect();
    assert_eq!(comments, ["everywhere", "mine: known"]);
    assert_eq!(json_of("/api/v2/silences", Some("b")).await, json!([]));
    let canary = silences::id("theirs");
    let mut paths: Vec<String> =
        ["status", "receivers", "alerts", "alerts/groups"].iter().map(|p| format!("/api/v2/{p}")).collect();
    paths.push(format!("/api/v2/silence/{canary}"));
    paths.push("/metrics".into());
    for path in paths {
        for token in ["a", "b"] {
            let text = answer(&path, Some(token)).await.text;
            assert!(!text.contains(CANARY), "{path}: {text}");
        }
        assert_eq!(answer(&path, Some("wrong")).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn grafana_takes_it_for_prometheus_own_and_karma_finds_the_version() {
    let router = routes(true);
    let twice = get(&router, "/alertmanager/alertmanager/api/v2/status", None).await;
    assert_eq!(twice.status, StatusCode::NOT_FOUND);
    let text = answer("/metrics", None).await.text;
    assert!(text.contains("alertmanager_build_info{") && text.contains("version=\"0.27.0\"} 1\n"), "{text}");
    // Before the log is read back nothing open is known, which is not the same as nothing.
    let early = routes(false);
    assert_eq!(get(&early, "/alertmanager/api/v2/alerts", None).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&early, "/alertmanager/api/v2/status", None).await.status, StatusCode::OK);
}
