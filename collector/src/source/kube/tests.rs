#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use whyd_signals::{Media, Timestamp};

use super::*;
use crate::Delivery;
use crate::Written;
use crate::inlet::{InletLimits, inlet};
use crate::wire::kube::listed_uids;

/// An API server on loopback that answers lists and watches from scripts, and remembers what it was asked.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    lists: Vec<(u16, Value)>,
    watches: Vec<Vec<Value>>,
    asked: Vec<String>,
    accepted: Vec<String>,
}

async fn serve(State(server): State<Server>, uri: Uri, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    let mut script = server.0.lock().unwrap();
    script.asked.push(format!("{}?{query}", uri.path()));
    let accept = headers.get("accept").map(|v| v.to_str().unwrap().to_owned());
    script.accepted.push(accept.unwrap_or_default());
    if !query.contains("watch=true") {
        let (status, body) = if script.lists.is_empty() { (500, json!({})) } else { script.lists.remove(0) };
        return (axum::http::StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
    }
    // a watch whose script is over stays open
    let hold = script.watches.len() <= 1;
    let lines = if script.watches.is_empty() { Vec::new() } else { script.watches.remove(0) };
    let lines = lines.into_iter().map(|l| Ok::<_, std::io::Error>(Bytes::from(format!("{l}\n"))));
    let lines = futures::stream::iter(lines);
    if hold { Body::from_stream(lines.chain(futures::stream::pending())) } else { Body::from_stream(lines) }
        .into_response()
}

fn pod(uid: &str, version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{uid}"), "namespace": "team-a", "uid": uid,
        "resourceVersion": version, "managedFields": [{"manager": "kubelet"}]}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}})
}

fn page(version: &str, next: &str, pods: &[Value]) -> (u16, Value) {
    (
        200,
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version, "continue": next}, "items": pods}),
    )
}

/// Starts a server and a watch of it.
async fn start(
    resource: Resource,
    script: Script,
    bounds: InletLimits,
) -> (Server, mpsc::Receiver<Delivery>, Statuses) {
    let server = Server(Arc::new(Mutex::new(script)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(serve).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = client(&ApiServer::Url(format!("http://{address}"))).await.unwrap();
    let (inlet, queue) = inlet(bounds);
    let statuses = Statuses::default();
    tokio::spawn(watch(client, resource, inlet, Arc::new(|| Timestamp(7)), statuses.clone()));
    (server, queue, statuses)
}

/// Takes one message and shows it as `verb uid` or `listed uid,uid`.
async fn take(queue: &mut mpsc::Receiver<Delivery>, reply: Reply) -> String {
    let Delivery { envelope, responder } = queue.recv().await.unwrap();
    responder.reply(reply);
    assert_eq!(envelope.received, Timestamp(7));
    let Media::Kube(resource, verb) = envelope.media else { panic!("{:?}", envelope.media) };
    if verb == Verb::Listed {
        return format!("listed {}", listed_uids(&envelope.body).unwrap().join(","));
    }
    let object = crate::wire::kube::decode(resource, verb, &envelope.body).unwrap().unwrap();
    assert!(!envelope.body.windows(7).any(|w| w == b"managed"));
    format!("{verb:?} {}", object.meta().uid)
}

const STORED: Reply = Reply::Stored(Written::rows(1));

#[tokio::test]
async fn pages_then_changes_then_a_gap_and_the_list_again() {
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version: 5 (8774)", "reason": "Expired", "code": 410}});
    let script = Script {
        lists: vec![
            page("", "next", &[pod("a", "1"), pod("b", "2")]),
            page("10", "", &[pod("c", "3")]),
            page("20", "", &[pod("b", "12")]),
        ],
        watches: vec![
            vec![
                json!({"type": "MODIFIED", "object": pod("a", "11")}),
                json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "12"}}}),
                json!({"type": "DELETED", "object": pod("c", "13")}),
                gone,
            ],
            vec![json!({"type": "ADDED", "object": pod("d", "21")})],
        ],
        ..Script::default()
    };
    let (server, mut queue, statuses) = start(Resource::Pods, script, InletLimits::default()).await;
    for expected in ["Apply a", "Apply b", "Apply c", "listed a,b,c", "Apply a", "Delete c"] {
        assert_eq!(take(&mut queue, STORED).await, expected);
    }
    // the gap: what it hid shows in the second list
    for expected in ["Apply b", "listed b", "Apply d"] {
        assert_eq!(take(&mut queue, STORED).await, expected);
    }
    let status = statuses.all().remove(0);
    assert_eq!((status.resource, status.synced_at, status.errors), (Resource::Pods, Some(Timestamp(7)), 1));
    let asked = server.0.lock().unwrap().asked.clone();
    assert!(asked[0].starts_with("/api/v1/pods?") && asked[0].contains("limit=500"), "{asked:?}");
    assert!(asked[1].contains("continue=next") && asked[2].contains("resourceVersion=10"), "{asked:?}");
    assert!(asked[2].contains("allowWatchBookmarks=true"), "{asked:?}");
}

#[tokio::test]
async fn a_list_waits_for_the_log_in_groups_and_ends_when_all_of_it_is_answered() {
    let pods: Vec<Value> = (0..AT_ONCE + 3).map(|i| pod(&i.to_string(), "1")).collect();
    let script = Script { lists: vec![page("10", "", &pods)], ..Script::default() };
    let (_, mut queue, _) = start(Resource::Pods, script, InletLimits::default()).await;
    let mut waiting = Vec::new();
    while waiting.len() < AT_ONCE {
        waiting.push(queue.recv().await.unwrap());
    }
    // No more than these before one of them is answered.
    assert!(tokio::time::timeout(Duration::from_millis(50), queue.recv()).await.is_err());
    for delivery in waiting {
        delivery.responder.reply(STORED);
    }
    for i in AT_ONCE..AT_ONCE + 3 {
        assert_eq!(take(&mut queue, STORED).await, format!("Apply {i}"));
    }
    let all = (0..AT_ONCE + 3).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(take(&mut queue, STORED).await, format!("listed {all}"));
}

#[tokio::test]
async fn config_maps_are_asked_for_without_their_data() {
    let object = json!({"metadata": {"name": "c", "uid": "u", "resourceVersion": "1"}, "data": {"k": "hunter2"}});
    let list =
        json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": [object]});
    let script = Script { lists: vec![(200, list)], ..Script::default() };
    let (server, mut queue, _) = start(Resource::ConfigMaps, script, InletLimits::default()).await;
    let Delivery { envelope, responder } = queue.recv().await.unwrap();
    assert!(!envelope.body.windows(7).any(|w| w == b"hunter2"), "a server that answers in full is stripped");
    responder.reply(STORED);
    assert_eq!(take(&mut queue, STORED).await, "listed u");
    assert!(server.0.lock().unwrap().accepted[0].contains("PartialObjectMetadata"));
}

#[tokio::test]
async fn groups_have_their_paths() {
    for (resource, path, kind) in [
        (Resource::Deployments, "/apis/apps/v1/deployments", "DeploymentList"),
        (Resource::Jobs, "/apis/batch/v1/jobs", "JobList"),
    ] {
        let list = json!({"kind": kind, "metadata": {"resourceVersion": "5"}, "items": []});
        let script = Script { lists: vec![(200, list)], ..Script::default() };
        let (server, mut queue, _) = start(resource, script, InletLimits::default()).await;
        assert_eq!(take(&mut queue, STORED).await, "listed ");
        assert!(server.0.lock().unwrap().asked[0].starts_with(path));
    }
}

#[tokio::test]
async fn a_message_refused_for_room_is_sent_again_and_a_bad_one_is_passed_over() {
    let mut nameless = pod("x", "1");
    nameless["metadata"]["uid"] = json!("");
    let script = Script { lists: vec![page("10", "", &[pod("a", "1"), nameless, pod("b", "2")])], ..Script::default() };
    let (_, mut queue, statuses) = start(Resource::Pods, script, InletLimits::default()).await;
    assert_eq!(take(&mut queue, Reply::Overloaded("later".into())).await, "Apply a");
    assert_eq!(take(&mut queue, Reply::Invalid("bad".into())).await, "Apply b");
    assert_eq!(take(&mut queue, STORED).await, "Apply a");
    // an object that could not be kept is there all the same
    assert_eq!(take(&mut queue, STORED).await, "listed a,b");
    assert_eq!(statuses.all().remove(0).errors, 2);
}

#[tokio::test]
async fn a_server_that_refuses_shows_in_the_status_and_is_asked_again() {
    let forbidden = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden",
        "message": "pods is forbidden", "code": 403});
    let script = Script { lists: vec![(403, forbidden), page("10", "", &[])], ..Script::default() };
    let (_, mut queue, statuses) = start(Resource::Pods, script, InletLimits::default()).await;
    while statuses.all().first().is_none_or(|s| s.last_error.is_none()) {
        tokio::task::yield_now().await;
    }
    let status = statuses.all().remove(0);
    assert_eq!(status.synced_at, None);
    assert!(status.last_error.unwrap().1.contains("pods is forbidden"));
    assert_eq!(take(&mut queue, STORED).await, "listed ");
    while statuses.all().remove(0).synced_at.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(statuses.all().remove(0).last_error, None);
}

#[tokio::test]
async fn a_resource_that_is_not_served_is_left_alone_for_longer_each_time() {
    // As an API server answers for a group that it does not have.
    let lists = (0..100).map(|_| (404, json!("404 page not found"))).collect();
    let (server, _queue, statuses) =
        start(Resource::Jobs, Script { lists, ..Script::default() }, InletLimits::default()).await;
    let failing = || statuses.all().first().and_then(|s| s.failing);
    // The third pause is from two seconds on; one that began anew each time would never be.
    while failing().is_none_or(|f| f.pause < Duration::from_secs(2)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(server.0.lock().unwrap().asked.len() <= 3, "{:?}", failing());
    }
    assert!(failing().is_some_and(|f| f.unserved));
    assert!(statuses.all().remove(0).last_error.is_some());
}

#[tokio::test]
async fn a_watch_that_is_answered_is_heard_and_one_that_is_refused_is_not() {
    let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}}});
    let script = Script { lists: vec![page("1", "", &[])], watches: vec![vec![bookmark]], ..Script::default() };
    let (_server, mut queue, statuses) = start(Resource::Pods, script, InletLimits::default()).await;
    assert_eq!(take(&mut queue, Reply::Stored(Written::rows(0))).await, "listed ");
    while statuses.all()[0].heard_at.is_none() || statuses.all()[0].synced_at.is_none() {
        tokio::task::yield_now().await;
    }
    let (_server, _queue, statuses) = start(Resource::Pods, Script::default(), InletLimits::default()).await;
    while statuses.all().first().is_none_or(|s| s.failing.is_none()) {
        tokio::task::yield_now().await;
    }
    let refused = &statuses.all()[0];
    assert_eq!((refused.heard_at, refused.failing.unwrap().at), (None, Timestamp(7)));
}

#[tokio::test]
async fn a_watch_ends_with_the_inlet() {
    let (inlet, queue) = inlet(InletLimits::default());
    drop(queue);
    let client = client(&ApiServer::Url("http://127.0.0.1:9".into())).await.unwrap();
    watch(client, Resource::Pods, inlet, Arc::new(|| Timestamp(7)), Statuses::default()).await;
}

#[tokio::test]
async fn addresses_are_checked_and_tls_has_its_provider() {
    assert!(client(&ApiServer::Url("https://127.0.0.1:6443".into())).await.is_ok());
    let Err(error) = client(&ApiServer::Url("not a url".into())).await else { panic!("no url") };
    assert!(error.to_string().contains("not a url"));
}

#[test]
fn an_error_is_told_down_to_its_last_cause() {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let error = kube::Error::Service(Box::new(refused));
    let text = chain(&error);
    assert!(text.ends_with("connection refused") && text.matches("connection refused").count() == 1, "{text}");
}

#[test]
fn error_texts_are_bounded() {
    let statuses = Statuses::default();
    statuses.failed(Resource::Pods, Timestamp(1), &"a\n".repeat(9000));
    let text = statuses.all().remove(0).last_error.unwrap().1;
    assert!(text.chars().count() == 500 && !text.contains('\n'));
    let by_resource: BTreeMap<_, _> = statuses.all().into_iter().map(|s| (s.resource, s.errors)).collect();
    assert_eq!(by_resource[&Resource::Pods], 1);
}
