#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use serde_json::Value;
use whyd_signals::schema::{Incident, IncidentStatus, Link, Root};
use whyd_signals::{Team, Timestamp};

use super::fixture::{Answer, CANARY, Fixture, at, get, incident, routes, send};
use super::table;
use crate::dto::{Incidents, Match, Restarts, Why};
use crate::{Trouble, Unheard, document};

/// The answer is a problem of this kind, and whole.
fn check_problem(answer: &Answer, uri: &str, status: u16, kind: &str) {
    assert_eq!(answer.status.as_u16(), status, "{uri}: {}", answer.text);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json", "{uri}");
    let body = answer.json();
    assert_eq!(body["type"], format!("urn:whyd:problem:{kind}"), "{uri}");
    assert_eq!(body["status"], status, "{uri}");
    assert_eq!(body["instance"], uri, "{uri}");
    for text in ["title", "detail"] {
        assert!(!body[text].as_str().unwrap().is_empty(), "{uri}: {text}");
    }
}

async fn why(query: &str, token: Option<&str>) -> Why {
    let answer = get(&routes(Fixture::default()), &format!("/api/v1/why?{query}"), token).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

#[tokio::test]
async fn errors_are_problems() {
    let router = routes(Fixture::default());
    let far = "/api/v1/restarts?limit=1001&since=yesterday&cursor=xyz";
    let cases = [
        ("GET", "/none", None, 404, "no-such-route"),
        ("GET", "/api/v2/why?pod=x", None, 404, "no-such-route"),
        ("POST", "/api/v1/why?pod=web-1", None, 405, "method-not-allowed"),
        ("DELETE", "/livez", None, 405, "method-not-allowed"),
        ("GET", "/api/v1/why", None, 400, "invalid-query"),
        ("GET", "/api/v1/why?pod=", None, 400, "invalid-query"),
        ("GET", "/api/v1/why?pod=a&pod=b", None, 400, "invalid-query"),
        ("GET", "/api/v1/why?pod=a&ns=b", None, 400, "invalid-query"),
        ("GET", "/api/v1/why?pod=web", None, 400, "ambiguous-namespace"),
        ("GET", "/api/v1/why?pod=web-1&namespace=zzz", None, 404, "not-found"),
        ("GET", "/api/v1/why?pod=web-2&namespace=a&container=x", None, 404, "not-found"),
        ("GET", far, None, 400, "invalid-query"),
        ("GET", "/api/v1/restarts?limit=0", None, 400, "invalid-query"),
        ("GET", "/api/v1/baselines?state=old&limit=0", None, 400, "invalid-query"),
        ("GET", "/api/v1/baselines?pod=web-1", None, 400, "invalid-query"),
        ("GET", "/api/v1/baselines", Some("wrong"), 401, "unauthorized"),
        ("GET", "/api/v1/watched", Some("wrong"), 401, "unauthorized"),
        ("GET", "/api/v1/restarts?cause=oom", None, 400, "invalid-query"),
        ("GET", "/api/v1/incidents?status=closed", None, 400, "invalid-query"),
        ("GET", "/api/v1/incidents?status=open&teams=a", None, 400, "invalid-query"),
        ("GET", "/api/v1/incidents/none", None, 404, "not-found"),
        ("GET", "/api/v1/incidents/%ff", None, 400, "invalid-query"),
        ("GET", "/api/v1/incidents/none/suspects", None, 404, "not-found"),
        ("GET", "/api/v1/suspects?at=yesterday", None, 400, "invalid-query"),
        ("GET", "/api/v1/suspects?team=a", None, 400, "invalid-query"),
        ("GET", "/api/v1/suspects", Some("wrong"), 401, "unauthorized"),
        ("GET", "/api/v1/why?pod=web-1", Some("wrong"), 401, "unauthorized"),
        ("GET", "/api/v1/restarts", Some("wrong"), 401, "unauthorized"),
        ("GET", "/api/v1/incidents", Some("wrong"), 401, "unauthorized"),
        ("GET", "/api/v1/incidents/i-1", Some("wrong"), 401, "unauthorized"),
        ("GET", "/metrics", Some("wrong"), 401, "unauthorized"),
        ("GET", "/metrics", Some("a"), 403, "forbidden"),
    ];
    for (method, uri, token, status, kind) in cases {
        check_problem(&send(&router, method, uri, token).await, uri, status, kind);
    }
    let every = get(&router, far, None).await.json()["detail"].to_string();
    assert!(["limit", "since", "cursor"].iter().all(|name| every.contains(name)), "{every}");
    assert_eq!(send(&router, "PUT", "/metrics", None).await.headers[header::ALLOW], "GET,HEAD");
    assert!(get(&router, "/metrics", Some("wrong")).await.headers.contains_key(header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn why_finds_by_pod_workload_and_prefix() {
    let cases: &[(&str, Match, &[i64])] = &[
        ("pod=web-1&namespace=a", Match::Pod, &[20, 15, 10]),
        ("pod=web-1&namespace=a&container=web", Match::Pod, &[20, 10]),
        ("pod=web&namespace=a", Match::Workload, &[20, 15, 12, 10]),
        ("pod=Deployment/web&namespace=a", Match::Workload, &[20, 15, 12, 10]),
        ("pod=deploy/web&namespace=a", Match::Workload, &[20, 15, 12, 10]),
        ("pod=a/DEPLOYMENT/Web", Match::Workload, &[20, 15, 12, 10]),
        ("pod=a/web-2", Match::Pod, &[12]),
        ("pod=we&namespace=a", Match::Prefix, &[20, 15, 12, 10]),
        ("pod=web-9", Match::Pod, &[40]),
    ];
    for (query, matched, counts) in cases {
        let found = why(query, None).await;
        assert_eq!(found.matched, *matched, "{query}");
        let got: Vec<i64> = found.restarts.iter().filter_map(|r| r.restart_count).collect();
        assert_eq!(got, *counts, "{query}");
    }
    // What only another team has twice is not ambiguous to this one.
    assert_eq!(why("pod=web-1", Some("a")).await.restarts.len(), 3);
    let found = why("pod=web-2&namespace=a", None).await;
    assert_eq!(found.incidents.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["i-2"]);
    assert_eq!(found.problems.iter().map(|p| p.source.as_deref()).collect::<Vec<_>>(), [Some("events")]);
}

#[tokio::test]
async fn why_says_what_is_known_instead() {
    let router = routes(Fixture::default());
    let cases: &[(&str, &[&str])] = &[
        ("pod=wex-1", &["\"wex-1\""]),
        ("pod=web-3", &["names most like it", "not synced, so unknown: events"]),
        ("pod=web-9&namespace=a", &["in namespace \"a\""]),
    ];
    for (query, texts) in cases {
        let uri = format!("/api/v1/why?{query}");
        let answer = get(&router, &uri, Some("a")).await;
        check_problem(&answer, &uri, 404, "not-found");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        for text in *texts {
            assert!(detail.contains(text), "{query}: {text} not in {detail}");
        }
    }
    let nearby = get(&router, "/api/v1/why?pod=web-3", Some("a")).await.json();
    assert_eq!(nearby["candidates"], serde_json::json!(["a/web-1", "a/web-2", "a-dev/web-9"]));
    let loud = get(&router, "/api/v1/why?pod=WEB-3", Some("a")).await.json();
    assert_eq!(loud["candidates"], nearby["candidates"], "as it is told, and not as it is written");
    let nowhere = get(&router, "/api/v1/why?pod=web-1&namespace=nope", Some("a")).await.json();
    assert!(nowhere["detail"].as_str().unwrap().contains("no pod of a namespace \"nope\" is known"), "{nowhere}");
    // Pods are counted to what owns their owner, and are found by that too.
    let owner = why("pod=ReplicaSet/calm", Some("a")).await;
    assert_eq!((owner.matched, owner.restarts.len()), (Match::Prefix, 0));
    let kind = get(&router, "/api/v1/why?pod=StatefulSet/web-3", Some("a")).await.json();
    assert_eq!(kind["candidates"], nearby["candidates"]);
    for (query, matched) in [("pod=calm-1", Match::Pod), ("pod=calm", Match::Workload), ("pod=cal", Match::Prefix)] {
        let found = why(query, Some("a")).await;
        assert_eq!((found.matched, found.restarts.len()), (matched, 0), "it is known and did not restart: {query}");
    }
    // What nothing but its lines knows of is told by those.
    for (query, matched) in [("pod=loner-1", Match::Pod), ("pod=lon", Match::Prefix), ("pod=a/pod/loner-1", Match::Pod)]
    {
        let found = why(query, Some("a")).await;
        assert_eq!((found.matched, found.restarts.len()), (matched, 0), "{query}");
        assert_eq!(found.heard.iter().map(|h| h.text.as_str()).collect::<Vec<_>>(), ["lines of a"], "{query}");
    }
    assert_eq!(get(&router, "/api/v1/why?pod=loner-1", Some("b")).await.status, StatusCode::NOT_FOUND);
    let ambiguous = get(&router, "/api/v1/why?pod=web", Some("a")).await.json();
    assert_eq!(ambiguous["candidates"], serde_json::json!(["a", "a-dev"]));
}

/// The keys and their order are `whyd replay --json`'s.
#[tokio::test]
async fn rows_have_every_key() {
    let router = routes(Fixture::default());
    let text = get(&router, "/api/v1/restarts?pod=web-2", None).await.text;
    let want = concat!(
        r#"{"restarts":[{"team":"a","namespace":"a","workload":"Deployment/web","pod":"web-2","pod_uid":"uid-web-2","#,
        r#""node":"node-1","container":"web","restart_count":12,"started_at":"2026-09-21T14:13:27.000000000Z","#,
        r#""finished_at":"2026-09-21T14:13:32.000000000Z","exit_code":137,"signal":null,"reason":"OOMKilled","#,
        r#""again":true,"mechanism":"oom-limit","cause":"oom-limit","cause_detail":null,"confidence":0.95,"#,
        r#""root":{"kind":"Deployment","namespace":"a","name":"web"},"#,
        r#""summary":"web of web-2 went over its memory limit","#,
        r#""evidence":[{"source":"kube","at":null,"object":"Pod/web-2","field":"f","value":"OOMKilled","#,
        r#""text":"the kubelet says so","age_seconds":null,"shown_by":{"language":"kubectl","#,
        r#""query":"kubectl -n a get pod/web-2 -o jsonpath='{.f}'"}},{"source":"metrics","at":null,"object":"Pod/web-2","field":"f","#,
        r#""value":67108864.0,"text":"at its limit","age_seconds":null,"shown_by":{"language":"promql","#,
        r#""query":"f{namespace=\"a\",pod=\"web-2\",container=\"web\"}"}}],"ruled_out":[{"cause":"app-error","#,
        r#""because":"the code is not 1","field":"exitCode","value":137}],"changes":[],"missing":["events"],"incident_id":null}],"next":null,"#,
        r#""problems":[{"source":"events","#,
        r#""detail":"events is not synced: what it would hold is unknown, not empty"}]}"#,
    );
    assert_eq!(text, want);
    let router = routes(Fixture { told: Vec::new(), ..Fixture::default() });
    let text = get(&router, "/api/v1/incidents/i-1", None).await.text;
    let want = concat!(
        r#"{"id":"i-1","team":"a","severity":"critical","status":"resolved","#,
        r#""opened_at":"2026-09-21T14:13:30.000000000Z","resolved_at":"2026-09-21T14:14:30.000000000Z","#,
        r#""cause":"oom-limit","root":{"kind":"Deployment","namespace":"a","name":"web"},"#,
        r#""members":["a/web-1/web"],"restarts":1,"follows":null,"formerly":[],"suppressed_by":null,"part_of":null,"parts":[],"#,
        r#""summary":"web of a is out of memory"}"#,
    );
    assert_eq!(text, want);
}

#[tokio::test]
async fn lists_filter() {
    let router = routes(Fixture::default());
    let cases: &[(&str, &[i64])] = &[
        ("", &[51, 50, 40, 30, 20, 15, 12, 10]),
        ("namespace=a", &[30, 20, 15, 12, 10]),
        ("namespace=a&pod=web-1", &[20, 15, 10]),
        ("workload=web&namespace=a-dev", &[40]),
        ("workload=Deployment/api", &[30]),
        ("cause=dependency-down", &[30]),
        ("since=2026-09-21T14:14:00Z", &[51, 50, 40]),
        ("since=2026-09-21T16:14:00%2B02:00&limit=1", &[51]),
        ("since=20s&until=15s", &[40]),
        ("cause=oom-limit&workload=api", &[]),
    ];
    for (query, counts) in cases {
        let answer = get(&router, &format!("/api/v1/restarts?{query}"), None).await;
        let list: Restarts = serde_json::from_str(&answer.text).unwrap();
        let got: Vec<i64> = list.restarts.iter().filter_map(|r| r.restart_count).collect();
        assert_eq!(got, *counts, "{query}");
    }
    for (query, ids) in [
        ("", &["i-canary", "i-spread", "i-2", "i-1"][..]),
        ("status=open", &["i-canary", "i-spread", "i-2"]),
        ("status=resolved", &["i-1"]),
    ] {
        let answer = get(&router, &format!("/api/v1/incidents?{query}"), None).await;
        let list: Incidents = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(list.incidents.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ids, "{query}");
    }
}

#[tokio::test]
async fn an_incident_that_is_asked_about_begins_with_its_root() {
    let mut fixture = Fixture::default();
    for row in &mut fixture.restarts {
        Arc::make_mut(row).incident_key = (row.namespace == "a").then(|| "k".to_owned());
    }
    let root = |kind: &str, name: &str| Root { kind: kind.into(), ..super::fixture::root("a", name) };
    let of = |cause: &str, root: Root| {
        let mut fixture = Fixture { restarts: fixture.restarts.clone(), ..Fixture::default() };
        let made = incident("a", "i", IncidentStatus::Open, 0, &["a/web-1/web"]);
        fixture.incidents =
            vec![Arc::new(Incident { group: "k".into(), cause: cause.into(), root: Some(root), ..made })];
        routes(fixture)
    };
    for (cause, root, counts) in [
        // Its pod and its workload, wherever in time; then what has its cause, and the rest; each newest first.
        ("oom-limit", root("Pod", "web-2"), [12, 20, 15, 10, 30]),
        ("oom-limit", root("Deployment", "api"), [30, 20, 15, 12, 10]),
        ("oom-limit", root("Image", "x"), [20, 15, 12, 10, 30]),
        ("dependency-down", root("Host", "x"), [30, 20, 15, 12, 10]),
    ] {
        let answer = get(&of(cause, root.clone()), "/api/v1/why?pod=i", Some("a")).await;
        let why: Why = serde_json::from_str(&answer.text).unwrap();
        let got: Vec<i64> = why.restarts.iter().filter_map(|r| r.restart_count).collect();
        assert_eq!(got, counts, "{root:?}");
    }
}

#[tokio::test]
async fn a_list_shows_the_whole_in_the_place_of_its_parts_to_whom_may_see_all_of_it() {
    let link = |id: &str, teams: &[&str]| Link {
        id: id.into(),
        team: Team::new(teams[0]),
        teams: teams.iter().map(|team| Team::new(team)).collect(),
    };
    let (of_a, of_all) = (link("w-a", &["a"]), link("w-all", &["platform", "a", CANARY]));
    let made = |namespace: &str, id: &str| incident(namespace, id, IncidentStatus::Open, 60, &[]);
    let theirs = Incident { part_of: Some(of_all.clone()), ..made(CANARY, "p-theirs") };
    let parts = ["p-1", "p-2"].map(|id| Incident { part_of: Some(of_a.clone()), ..made("a", id) });
    let own = vec![link("p-1", &["a"]), link("p-2", &["a"])];
    let all = vec![link("p-1", &["a"]), link("p-2", &["a"]), link("p-theirs", &[CANARY])];
    let whole = Incident { part_of: Some(of_all), parts: own, ..made("a", "w-a") };
    let wide = Incident { parts: all, ..made("platform", "w-all") };
    let incidents: Vec<Arc<Incident>> = parts.into_iter().chain([theirs, whole, wide]).map(Arc::new).collect();
    let router = routes(Fixture { incidents, ..Fixture::default() });
    for (query, token, ids) in [
        ("", None, &["w-all"][..]),
        ("?parts=true", None, &["p-1", "p-2", "p-theirs", "w-a", "w-all"]),
        ("", Some("a"), &["w-a"]),
        ("?parts=true", Some("a"), &["p-1", "p-2", "w-a"]),
        ("?parts=true", Some("b"), &[]),
    ] {
        let answer = get(&router, &format!("/api/v1/incidents{query}"), token).await;
        let list: Incidents = serde_json::from_str(&answer.text).unwrap();
        let shown: Vec<&str> = list.incidents.iter().map(|i| i.id.as_str()).collect();
        assert_eq!(shown, ids, "{query} as {token:?}");
    }
    for (id, token, part_of, parts) in [
        ("p-1", Some("a"), Some("w-a"), 0),
        ("w-a", Some("a"), None, 2),
        ("w-a", None, Some("w-all"), 2),
        ("w-all", None, None, 3),
    ] {
        let answer = get(&router, &format!("/api/v1/incidents/{id}"), token).await.json();
        assert_eq!((answer["part_of"].as_str(), answer["parts"].as_array().unwrap().len()), (part_of, parts), "{id}");
        let suspects = get(&router, &format!("/api/v1/incidents/{id}/suspects"), token).await;
        assert_eq!(suspects.status, StatusCode::OK, "what can be looked at can be asked about: {id}");
    }
    for of in ["", "/suspects"] {
        let answer = get(&router, &format!("/api/v1/incidents/w-all{of}"), Some("a")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{of}");
    }
}

#[tokio::test]
async fn alerts_of_others_stand_beside_what_they_fired_for() {
    let router = routes(Fixture::default());
    let names = |alerts: &Value| -> Vec<String> {
        alerts.as_array().into_iter().flatten().map(|a| a["name"].as_str().unwrap().to_owned()).collect()
    };
    for (id, expected) in [
        // The one of the namespace came later than its end; the other pod is no member.
        ("i-1", &["a Pod web-1", "a Deployment web"][..]),
        ("i-2", &["a Pod web-1", "a Deployment web", "a Namespace a"]),
        ("i-spread", &["a Namespace a", "canary Pod web-1"]),
    ] {
        let answer = get(&router, &format!("/api/v1/incidents/{id}"), None).await;
        let mut found = names(&answer.json()["alerts"]);
        found.sort_by_key(|name| !name.starts_with('a'));
        assert_eq!(found, expected, "{id}");
    }
    let answer = get(&router, "/api/v1/why?pod=web-1&namespace=a", None).await.json();
    assert_eq!(names(&answer["incidents"][1]["alerts"]), ["a Pod web-1", "a Deployment web"]);
    let unknown = get(&router, "/api/v1/workloads/a/calmer/timeline", Some("a")).await;
    assert_eq!(
        (unknown.status, &unknown.json()["candidates"]),
        (StatusCode::NOT_FOUND, &serde_json::json!(["a/Deployment/calm"]))
    );
    let answer = get(&router, "/api/v1/workloads/a/web/timeline", None).await.json();
    let moments = answer["moments"].as_array().unwrap().iter().filter(|m| m["kind"] == "alert");
    assert_eq!(names(&moments.cloned().collect()), ["a Pod web-1", "a Deployment web"]);
    assert!(get(&router, "/api/v1/incidents", None).await.json()["incidents"][0].get("alerts").is_none());
}

#[tokio::test]
async fn pages_hold_every_row_once() {
    let router = routes(Fixture::default());
    for (path, key, all) in [
        ("restarts", "restarts", 8),
        ("incidents", "incidents", 4),
        ("baselines", "baselines", 4),
        ("anomalies", "anomalies", 4),
    ] {
        let mut rows = Vec::new();
        let mut uri = format!("/api/v1/{path}?limit=3");
        loop {
            let body = get(&router, &uri, None).await.json();
            rows.extend(body[key].as_array().unwrap().iter().map(Value::to_string));
            let Some(next) = body["next"].as_str() else { break };
            uri = format!("/api/v1/{path}?limit=3&cursor={next}");
        }
        let distinct: BTreeSet<&String> = rows.iter().collect();
        assert_eq!((rows.len(), distinct.len()), (all, all), "{path}");
    }
}

#[tokio::test]
async fn anomalies_are_told_newest_first_and_by_whose_they_are() {
    let mut fixture = Fixture::default();
    let mut goes_on = (*fixture.anomalies[0]).clone();
    (goes_on.workload, goes_on.metric, goes_on.trace) = ("Deployment/api".into(), "calls".into(), "abc".into());
    goes_on.until = goes_on.ts.plus(std::time::Duration::from_secs(60));
    fixture.anomalies.push(goes_on.into());
    let router = routes(fixture);
    let scores = async |query: &str| -> Vec<f64> {
        let body = get(&router, &format!("/api/v1/anomalies{query}"), Some("a")).await.json();
        body["anomalies"].as_array().unwrap().iter().filter_map(|a| a["score"].as_f64()).collect()
    };
    assert_eq!(scores("").await, [3.0, 1.5, 1.5, 2.5]);
    assert_eq!(scores("?workload=web&limit=2").await, [3.0, 1.5]);
    assert_eq!(scores("?workload=Deployment/api&pod=web-1").await, [1.5]);
    assert_eq!(scores("?metric=calls&namespace=a").await, [1.5]);
    let since = get(&router, "/api/v1/anomalies?metric=calls", None).await.json()["anomalies"][0].clone();
    assert_eq!((&since["trace_id"], since["until"] != since["at"]), (&"abc".into(), true));
    let until = since["until"].as_str().unwrap();
    // What goes on at that time counts, whenever it began.
    assert_eq!(scores(&format!("?since={until}")).await, [1.5]);
    assert_eq!(get(&router, "/api/v1/anomalies?since=now", None).await.status, 400);
    assert_eq!(get(&router, "/api/v1/anomalies?since=now", Some("wrong")).await.status, 401);
}

#[tokio::test]
async fn baselines_say_what_is_known_and_what_is_learning() {
    let router = routes(Fixture::default());
    let all = get(&router, "/api/v1/baselines?namespace=a", None).await.json();
    let state = |n: usize| (all["baselines"][n]["workload"].clone(), all["baselines"][n]["state"].clone());
    assert_eq!(state(0), ("Deployment/api".into(), "learning".into()));
    assert_eq!(state(1), ("Deployment/web".into(), "days".into()));
    assert_eq!(all["baselines"][0]["until"], "2026-09-21T14:23:21.000000000Z");
    assert_eq!(
        (all["baselines"][0]["usual"].clone(), all["baselines"][1]["usual"].clone()),
        (Value::Null, 12.0.into())
    );
    let learning = get(&router, "/api/v1/baselines?state=learning&workload=api", Some("a")).await.json();
    assert_eq!((learning["baselines"].as_array().unwrap().len(), learning["next"].clone()), (1, Value::Null));
    let watched = get(&router, "/api/v1/watched", Some("a")).await.json();
    assert_eq!(watched["watched"][0]["why"], "a leak ends at the pids limit");
}

#[tokio::test]
async fn why_says_that_it_was_learning_where_no_metric_speaks() {
    let mut fixture = Fixture::default();
    let mut silent = (*fixture.restarts[5]).clone();
    silent.evidence.retain(|e| e.source != whyd_signals::schema::EvidenceSource::Metrics);
    silent.pod = Some("api-2".into());
    fixture.restarts.push(silent.into());
    let asked_on = Arc::clone(&fixture.asked_on);
    let router = routes(fixture);
    let learning = |answer: &Answer| answer.json()["learning"]["since"].clone();
    let answer = get(&router, "/api/v1/why?pod=api-2", None).await;
    assert_eq!(learning(&answer), "2026-09-21T14:13:21.000000000Z", "{}", answer.text);
    assert_eq!(learning(&get(&router, "/api/v1/why?pod=api-1", None).await), Value::Null);
    assert_eq!(learning(&get(&router, "/api/v1/why?pod=web-2&namespace=a", None).await), Value::Null);
    // All series are looked through, which no thread of sockets does.
    let asked_on = asked_on.lock().unwrap();
    let own = std::thread::current().id();
    assert!(!asked_on.is_empty() && asked_on.iter().all(|thread| *thread != own), "{asked_on:?}");
}

#[tokio::test]
async fn why_says_how_it_stands_now() {
    let of = async |query: &str| {
        let now = why(query, Some("a")).await.now.map(|now| (now.at, now.text));
        assert!(now.as_ref().is_none_or(|(asked, _)| *asked == at(60)));
        now.map(|(_, text)| text)
    };
    assert_eq!(of("pod=web-1&namespace=a").await.unwrap(), "a/web-1, container web");
    assert_eq!(of("pod=calm-1").await.unwrap(), "a/calm-1, container none");
    assert_eq!(of("pod=i-2").await, None, "of an incident without rows");
}

#[tokio::test]
async fn health_is_open_and_says_how_fresh() {
    let router = routes(Fixture::default());
    assert_eq!(get(&router, "/livez", Some("wrong")).await.text, "ok\n");
    let ready = get(&router, "/readyz", Some("wrong")).await;
    assert_eq!(ready.status, StatusCode::OK);
    let body = ready.json();
    assert_eq!(body["ready"], true);
    assert_eq!(body["sources"][0]["newest"], "2026-09-21T14:14:20.000000000Z");
    assert_eq!(body["sources"][1], serde_json::json!({"source": "events", "synced": false, "newest": null}));
    assert_eq!(send(&router, "HEAD", "/readyz", None).await.text, "");

    let metrics = get(&router, "/metrics", None).await;
    assert_eq!(metrics.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.text.contains("whyd_rows_total{team=\"canary\"} 7\n"), "{}", metrics.text);
    let canary = "whyd_incident_active{cause=\"oom-limit\",cluster=\"lab\",incident_id=\"i-canary\",\
        namespace=\"canary\",severity=\"critical\",source=\"whyd\",team=\"canary\"} 1\n";
    assert!(metrics.text.contains(canary), "{}", metrics.text);
    let own = get(&router, "/metrics/incidents", Some("a")).await.text;
    assert_eq!(own.matches("\nwhyd_incident_active{").count(), 2, "{own}");
}

#[tokio::test]
async fn a_server_that_is_not_heard_is_told_in_every_answer() {
    let lost = |failing: &[(&'static str, Option<Timestamp>)], all_fail: bool| {
        let mut fixture = Fixture::default();
        fixture.status.sources[0].synced = false;
        fixture.status.unheard = Unheard { failing: failing.to_vec(), all_fail };
        routes(fixture)
    };
    let (pods, nodes) = (("pods", Some(at(60))), ("nodes", Some(at(62))));
    let problems = |problems: Value| problems.as_array().unwrap().clone();
    let router = lost(&[pods, nodes], true);
    for uri in ["/api/v1/why?pod=calm-1", "/api/v1/restarts", "/api/v1/incidents", "/api/v1/anomalies"] {
        let told = problems(get(&router, uri, Some("a")).await.json()["problems"].clone());
        let said = |p: &Value| {
            p["source"] == "kubernetes" && p["detail"].as_str().unwrap().starts_with(
            "the API server has not been heard since 2026-09-21T14:14:22Z (the watch of pods fails or is silent, and 1 more): ",
        )
        };
        assert!(told.iter().any(said), "{uri}: {told:?}");
        assert!(told.iter().all(|p| p["source"] != "pods"), "once: {told:?}");
    }
    // Where others go on it is no server that is lost.
    let router = lost(&[pods], false);
    let told = problems(get(&router, "/api/v1/restarts", Some("a")).await.json()["problems"].clone());
    let said = |p: &Value| {
        p["detail"]
            .as_str()
            .unwrap()
            .starts_with("pods have not been heard of since 2026-09-21T14:14:20Z (their watch fails or is silent)")
    };
    assert!(told.iter().any(|p| p["source"] == "pods" && said(p)), "{told:?}");
}

#[tokio::test]
async fn before_the_replay_nothing_is_said_to_be_absent() {
    let mut fixture = Fixture::default();
    fixture.status.replayed = false;
    let router = routes(fixture);
    let ready = get(&router, "/readyz", None).await;
    assert_eq!((ready.status, ready.json()["ready"].clone()), (StatusCode::SERVICE_UNAVAILABLE, Value::Bool(false)));
    assert!(ready.headers.contains_key(header::RETRY_AFTER));
    let lists =
        ["restarts", "incidents?status=open", "anomalies", "baselines", "cohorts", "suspects", "sql?query=SELECT%201"];
    let lists = lists.map(|list| format!("/api/v1/{list}"));
    for uri in ["/api/v1/why?pod=none", "/api/v1/incidents/none"].into_iter().chain(lists.iter().map(String::as_str)) {
        let answer = get(&router, uri, None).await;
        check_problem(&answer, uri, 503, "replaying");
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
    }
    for list in &lists {
        check_problem(&get(&router, list, Some("wrong")).await, list, 401, "unauthorized");
    }
    let known = get(&router, "/api/v1/why?pod=web-9", None).await;
    assert_eq!((known.status, known.json()["problems"][0]["source"].clone()), (StatusCode::OK, Value::Null));
}

#[tokio::test]
async fn a_daemon_that_is_stopping_is_alive_and_answers_and_is_not_ready() {
    let mut fixture = Fixture::default();
    fixture.status.stopping = true;
    let router = routes(fixture);
    let ready = get(&router, "/readyz", None).await;
    assert_eq!((ready.status.as_u16(), ready.json()["because"].clone()), (503, "it is stopping".into()));
    assert_eq!(get(&router, "/livez", None).await.status, StatusCode::OK);
    assert_eq!(get(&router, "/api/v1/why?pod=web-9", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_full_log_makes_unready_and_one_that_failed_asks_for_a_restart() {
    for (trouble, live, word) in
        [(Trouble::LogFull, 200, "no space"), (Trouble::LogFailed, 503, "could not be written")]
    {
        let mut fixture = Fixture::default();
        fixture.status.trouble = Some(trouble);
        let router = routes(fixture);
        let ready = get(&router, "/readyz", None).await;
        assert_eq!((ready.status.as_u16(), ready.json()["ready"].clone()), (503, Value::Bool(false)));
        assert!(ready.json()["because"].as_str().is_some_and(|b| b.contains(word)), "{}", ready.text);
        assert!(ready.headers.contains_key(header::RETRY_AFTER));
        assert_eq!(get(&router, "/livez", None).await.status.as_u16(), live);
        assert_eq!(
            get(&router, "/api/v1/why?pod=web-9", None).await.status,
            StatusCode::OK,
            "what is known is answered"
        );
        check_problem(&get(&router, "/api/v1/incidents/none", None).await, "/api/v1/incidents/none", 404, "not-found");
    }
}

#[tokio::test]
async fn another_team_never_shows() {
    let router = routes(Fixture::default());
    let tries = [
        "/api/v1/why?pod=web-1",
        "/api/v1/why?pod=web",
        "/api/v1/why?pod=w",
        "/api/v1/why?pod=api-1",
        "/api/v1/why?pod=only",
        "/api/v1/why?pod=can",
        "/api/v1/why?pod=calm",
        "/api/v1/why?pod=web-1&container=none",
        "/api/v1/restarts",
        "/api/v1/restarts?limit=2",
        "/api/v1/restarts?cause=dependency-down",
        "/api/v1/restarts?workload=only",
        "/api/v1/incidents",
        "/api/v1/incidents?status=open",
        "/api/v1/incidents?parts=true",
        "/api/v1/incidents/i-spread",
        "/api/v1/workloads/a/web/timeline",
        "/api/v1/workloads/a/only/timeline",
        "/api/v1/incidents/none",
        "/api/v1/incidents/i-spread/suspects",
        "/api/v1/incidents/none/suspects",
        "/api/v1/suspects",
        "/api/v1/suspects?namespace=a&at=2026-09-21T14:20:00Z",
        "/api/v1/anomalies",
        "/api/v1/anomalies?limit=1",
        "/api/v1/anomalies?workload=nothing",
        "/api/v1/restarts?team=none",
        "/api/v1/incidents?namespace=none",
        "/api/v1/why?pod=loner",
        "/api/v1/cohorts",
        "/readyz",
        "/metrics",
        "/metrics/incidents",
        "/openapi.json",
        "/",
        "/page.js",
        "/answer.js",
        "/drawing.js",
        "/memory.js",
        "/api/v1/sql?query=SELECT%20*%20FROM%20restarts",
        "/api/v1/baselines",
        "/api/v1/baselines?limit=1",
        "/api/v1/baselines?namespace=a",
        "/api/v1/watched",
        "/none",
    ];
    for uri in tries {
        for token in ["a", "b"] {
            let answer = get(&router, uri, Some(token)).await;
            assert!(!answer.text.contains(CANARY), "{uri} as {token}: {}", answer.text);
            let next = answer.headers.get(header::CONTENT_TYPE).is_some_and(|t| t == "application/json");
            let cursor = next.then(|| answer.json()["next"].as_str().map(str::to_owned)).flatten().unwrap_or_default();
            assert!(!cursor.contains(&hex(CANARY)), "{uri} as {token}");
        }
    }
    // What another team has is answered like what nobody has.
    for (theirs, nobodys) in [
        ("/api/v1/why?pod=only-canary", "/api/v1/why?pod=only-xxxxxx"),
        ("/api/v1/why?pod=web-1&namespace=canary", "/api/v1/why?pod=web-1&namespace=xxxxxx"),
        ("/api/v1/incidents/i-canary", "/api/v1/incidents/i-xxxxxx"),
        ("/api/v1/incidents/i-canary/suspects", "/api/v1/incidents/i-xxxxxx/suspects"),
        (
            "/api/v1/suspects?namespace=canary&at=2026-01-01T00:00:00Z",
            "/api/v1/suspects?namespace=xxxxxx&at=2026-01-01T00:00:00Z",
        ),
        ("/api/v1/suspects?namespace=canary", "/api/v1/suspects?namespace=xxxxxx"),
        ("/api/v1/restarts?namespace=canary", "/api/v1/restarts?namespace=xxxxxx"),
        ("/api/v1/restarts?team=canary", "/api/v1/restarts?team=xxxxxx"),
        ("/api/v1/restarts?incident_id=i-canary", "/api/v1/restarts?incident_id=i-xxxxxx"),
        ("/api/v1/incidents?namespace=canary", "/api/v1/incidents?namespace=xxxxxx"),
        ("/api/v1/incidents?namespace=canary-data", "/api/v1/incidents?namespace=xxxxxx-data"),
        ("/api/v1/incidents?workload=canary-db", "/api/v1/incidents?workload=xxxxxx-db"),
        ("/api/v1/anomalies?namespace=canary-empty", "/api/v1/anomalies?namespace=xxxxxx-empty"),
        ("/api/v1/anomalies?workload=idle-canary", "/api/v1/anomalies?workload=idle-xxxxxx"),
        ("/api/v1/anomalies?pod=canary-1", "/api/v1/anomalies?pod=xxxxxx-1"),
        ("/api/v1/baselines?workload=canary-db", "/api/v1/baselines?workload=xxxxxx-db"),
    ] {
        let (one, other) = (get(&router, theirs, Some("a")).await, get(&router, nobodys, Some("a")).await);
        assert_eq!((one.status, one.text.replace(CANARY, "xxxxxx")), (other.status, other.text), "{theirs}");
    }
    // And nobody at all sees nothing.
    assert_eq!(get(&router, "/api/v1/restarts", Some("b")).await.json()["restarts"], serde_json::json!([]));
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test]
async fn a_root_of_another_team_is_left_out_with_what_names_it() {
    let blamed = why("pod=api-1", Some("a")).await.restarts.remove(0);
    assert_eq!((blamed.root, blamed.cause_detail), (None, None));
    assert_eq!(blamed.cause, "dependency-down");
    let texts: Vec<&str> = blamed.evidence.iter().map(|e| e.text.as_str()).collect();
    assert_eq!(texts, ["the kubelet says so", "at its limit", "it could not connect"]);
    assert_eq!(blamed.ruled_out.len(), 1);

    let router = routes(Fixture::default());
    let spread = get(&router, "/api/v1/incidents/i-spread", Some("a")).await.json();
    assert_eq!(spread["members"], serde_json::json!(["a/api-1/api"]));
    assert_eq!(spread["root"], Value::Null);
    let whole = get(&router, "/api/v1/incidents/i-spread", None).await.json();
    assert_eq!(whole["members"].as_array().unwrap().len(), 2);
    assert_eq!(whole["summary"], "canary-db took 2 down");
}

#[tokio::test]
async fn suspects_are_the_caller_s_own_of_a_time_or_of_an_incident() {
    let router = routes(Fixture::default());
    let names = |answer: &Answer| -> Vec<String> {
        let body = answer.json();
        let ranking = body["ranking"].as_array().unwrap();
        ranking.iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = get(&router, "/api/v1/suspects?at=2026-01-01T00:00:00Z", None).await;
    assert_eq!(names(&all), ["web", format!("{CANARY}-db").as_str()], "{}", all.text);
    assert_eq!(all.json()["at"], "2026-01-01T00:00:00.000000000Z");
    assert_eq!(all.json()["problems"].as_array().unwrap().len(), 2, "what is not synced, and what was left out");
    // The second lock: a reader that gives a row too many.
    assert_eq!(names(&get(&router, "/api/v1/suspects", Some("a")).await), ["web"]);
    assert_eq!(names(&get(&router, "/api/v1/suspects", Some("b")).await), [""; 0]);
    assert_eq!(names(&get(&router, "/api/v1/suspects?namespace=a", None).await), ["web"]);
    let incident = get(&router, "/api/v1/incidents/i-spread", None).await.json();
    let of_incident = get(&router, "/api/v1/incidents/i-spread/suspects", None).await.json();
    assert!(of_incident["at"].as_str() > incident["opened_at"].as_str(), "{of_incident}");
    assert_eq!(of_incident["onset"], incident["opened_at"], "it is told when something was wrong first");
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_lists_every_route_and_defines_what_it_refers_to() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let listed: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let routed: BTreeSet<&str> = table().into_iter().map(|(path, _)| path).collect();
    let own: BTreeSet<&str> = listed.iter().copied().filter(|path| routed.contains(path)).collect();
    assert_eq!(own, routed);
    let others: BTreeSet<&str> = listed.difference(&routed).copied().collect();
    assert!(others.contains("/api/v1/write") && others.contains("/alertmanager/api/v2/alerts"), "{others:?}");

    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() >= 10, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} is not defined");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str()), "{method} {path}: {}", operation["operationId"]);
            let in_path = |p: &&Value| p["in"] == "path";
            let named = operation["parameters"].as_array().map_or(0, |all| all.iter().filter(in_path).count());
            assert_eq!(path.matches('{').count(), named, "{method} {path}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.contains_key("200") || answers.contains_key("204"), "{method} {path}");
            assert!(operation["operationId"].is_string(), "{method} {path}");
        }
    }
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let router = routes(Fixture::default());
    assert_eq!(get(&router, "/openapi.json", None).await.json(), document);

    // A row has just the keys that its schema requires.
    let row = &get(&router, "/api/v1/restarts?limit=1", None).await.json()["restarts"][0];
    let keys: BTreeSet<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    let required = document.pointer("/components/schemas/Restart/required").unwrap().as_array().unwrap();
    assert_eq!(keys, required.iter().filter_map(Value::as_str).collect());
}

#[tokio::test]
async fn an_id_that_was_told_before_leads_to_what_it_is_now_for_whom_may_see_that() {
    let made = |id: &str, formerly: &[&str]| Incident {
        formerly: formerly.iter().map(|id| (*id).to_owned()).collect(),
        ..incident("a", id, IncidentStatus::Open, 60, &[])
    };
    let incidents = [made("now", &["then", "other"]), made("other", &[])].map(Arc::new).to_vec();
    let router = routes(Fixture { incidents, ..Fixture::default() });
    for (asked, id) in [("then", "now"), ("now", "now"), ("other", "other")] {
        let answer = get(&router, &format!("/api/v1/incidents/{asked}"), Some("a")).await.json();
        assert_eq!(answer["id"], id, "{asked}: one that is there is not another's former");
        let suspects = get(&router, &format!("/api/v1/incidents/{asked}/suspects"), Some("a")).await;
        assert_eq!(suspects.status, StatusCode::OK, "{asked}");
    }
    for (asked, token) in [("then", "b"), ("never", "a")] {
        let answer = get(&router, &format!("/api/v1/incidents/{asked}"), Some(token)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{asked} as {token}");
    }
}

#[tokio::test]
async fn an_id_is_known_by_its_beginning_where_no_other_begins_so() {
    let made = |id: &str, formerly: &str| Incident {
        formerly: vec![formerly.to_owned()],
        ..incident("a", id, IncidentStatus::Open, 60, &[])
    };
    let incidents = [
        made("93f86e8d420f48ea", "72ed612e7d36a446"),
        made("93f86e8d52000000", "aaaaaaaabbbbbbbb"),
        made("aaaaaaaacccccccc", "93f86e8d52000000"),
    ];
    let router = routes(Fixture { incidents: incidents.map(Arc::new).to_vec(), ..Fixture::default() });
    for (asked, id) in [
        ("93f86e8d4", Some("93f86e8d420f48ea")),
        ("93F86E8D4", Some("93f86e8d420f48ea")),
        ("72ed612e", Some("93f86e8d420f48ea")),
        ("93f86e8d52", Some("93f86e8d52000000")),
        ("aaaaaaaa", Some("aaaaaaaacccccccc")),
        ("93f86e8d", None),
        ("72ed612", None),
        ("72ed612e7d36a446x", None),
    ] {
        let answer = get(&router, &format!("/api/v1/why?pod={asked}"), Some("a")).await.json();
        assert_eq!(answer["incidents"][0]["id"].as_str(), id, "{asked}: {answer}");
        let other = get(&router, &format!("/api/v1/incidents/{asked}"), Some("b")).await;
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{asked} of another team");
    }
}

#[tokio::test]
async fn a_name_that_is_not_found_is_said_to_be_looked_for_where_the_token_looks() {
    let router = routes(Fixture::default());
    let said = async |query: &str, token: Option<&str>| {
        let answer = get(&router, &format!("/api/v1/why?pod={query}"), token).await;
        assert!(answer.status.is_client_error(), "{query}");
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    assert!(
        said("nobody", Some("a"))
            .await
            .starts_with("no pod or workload \"nobody\" is known in what the team a may see")
    );
    assert!(!said("nobody", None).await.contains("may see"));
    assert!(said("node/n-1", None).await.contains("SELECT * FROM restarts WHERE node = "));
    assert!(said("web", Some("a")).await.ends_with("; say which by namespace=NAME, in the terminal -n NAME"));
}

#[tokio::test]
async fn a_row_names_its_incident_and_an_id_is_asked_about_as_a_pod_is() {
    let mut fixture = Fixture::default();
    let key = |i: usize| format!("k-{i}");
    for (i, row) in fixture.restarts.iter_mut().enumerate() {
        Arc::make_mut(row).incident_key = Some(key(i));
    }
    let own = fixture.restarts.iter().position(|r| r.namespace == "a" && r.pod.is_some()).unwrap();
    let made = |id: &str, group: String| Incident {
        group,
        formerly: vec!["then".into()],
        ..incident("a", id, IncidentStatus::Open, 0, &["a/web-1/web"])
    };
    fixture.incidents = vec![Arc::new(made("now", key(own)))];
    let summary = fixture.restarts[own].summary.clone();
    let router = routes(fixture);
    let rows = get(&router, "/api/v1/restarts", Some("a")).await.json();
    let ids: Vec<_> = rows["restarts"].as_array().unwrap().iter().map(|r| r["incident_id"].clone()).collect();
    assert_eq!(ids.iter().filter(|id| **id == "now").count(), 1, "{ids:?}");
    assert!(ids.iter().all(|id| *id == "now" || id.is_null()), "{ids:?}");
    for id in ["now", "then"] {
        let why = get(&router, &format!("/api/v1/why?pod={id}"), Some("a")).await.json();
        assert_eq!((why["matched"].clone(), why["incidents"][0]["id"].clone()), ("incident".into(), "now".into()));
        assert_eq!(why["restarts"].as_array().unwrap().len(), 1, "{why}");
        assert_eq!(
            (&why["restarts"][0]["summary"], &why["restarts"][0]["incident_id"]),
            (&summary.clone().into(), &"now".into())
        );
    }
    let none = get(&router, "/api/v1/why?pod=then", Some("b")).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}
