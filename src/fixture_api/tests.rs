#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use axum::http::StatusCode;
use futures::StreamExt;
use serde_json::Value;

use super::*;

/// The server over a capture of two pods, three changes and a bookmark; events of two namespaces.
fn served(now: &str) -> (FixtureApi, watch::Sender<Timestamp>) {
    let dir = tempfile::TempDir::new().unwrap();
    let kube = dir.path().join("kube");
    std::fs::create_dir(&kube).unwrap();
    let pod = |name: &str, version: u32| {
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"n","uid":"u-{name}","resourceVersion":"{version}"}},"spec":{{}}}}"#
        )
    };
    let change =
        |kind: &str, name: &str, version: u32| format!("{{\"type\":\"{kind}\",\"object\":{}}}\n", pod(name, version));
    let write = |name: &str, text: &str| std::fs::write(kube.join(name), text).unwrap();
    let about = r#"{"version":1,"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:01:00Z"}"#;
    std::fs::write(dir.path().join("capture.json"), about).unwrap();
    let list = |version: u32, items: &[String]| {
        format!(r#"{{"metadata":{{"resourceVersion":"{version}"}},"items":[{}]}}"#, items.join(","))
    };
    write("pods.list.json", &list(10, &[pod("b", 7), pod("a", 8)]));
    write(
        "pods.watch.ndjson",
        &[
            change("ADDED", "c", 11),
            change("MODIFIED", "a", 12),
            "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"13\"}}}\n".to_owned(),
            change("DELETED", "b", 14),
        ]
        .concat(),
    );
    write(
        "pods.watch.times",
        "2026-01-01T00:00:01Z\n2026-01-01T00:00:02Z\n2026-01-01T00:00:03Z\n2026-01-01T00:00:04Z\n",
    );
    write("events.list.json", &list(10, &[pod("e1", 3)]));
    write("events.watch.ndjson", &change("ADDED", "e3", 20));
    write("events.watch.times", "2026-01-01T00:00:02Z\n");
    write("events-default.list.json", &list(9, &[pod("e2", 4)]));
    write("events-default.watch.ndjson", &change("ADDED", "e4", 15));
    write("events-default.watch.times", "2026-01-01T00:00:05Z\n");
    let capture = Capture::open(dir.path()).unwrap();
    assert_eq!(capture.problems(), [""; 0]);
    let (clock, told) = watch::channel(at(now));
    (FixtureApi::new(&capture, told), clock)
}

fn at(second: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-01-01T00:00:{second}Z")).unwrap()
}

fn get(api: &FixtureApi, plural: &str, asked: &Asked, accept: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, accept.parse().unwrap());
    api.answer(("", "v1"), plural, asked, &headers)
}

async fn body(response: Response) -> Value {
    serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|i| i["metadata"]["name"].as_str().unwrap()).collect()
}

/// The next lines of a watch as `TYPE name-or-version`.
async fn next(stream: &mut axum::body::BodyDataStream) -> Vec<String> {
    let Some(chunk) = stream.next().await else { return Vec::new() };
    let told = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let meta = &line["object"]["metadata"];
        let name = meta["name"].as_str().or(meta["resourceVersion"].as_str());
        format!("{} {}", line["type"].as_str().unwrap(), name.unwrap_or_default())
    };
    std::str::from_utf8(&chunk.unwrap()).unwrap().lines().map(told).collect()
}

fn watch_from(version: &str) -> Asked {
    Asked { watch: Some("true".to_owned()), resource_version: version.to_owned(), ..Asked::default() }
}

#[tokio::test]
async fn lists_what_is_there_by_now() {
    let (api, clock) = served("00");
    let list = body(get(&api, "pods", &Asked::default(), "application/json")).await;
    assert_eq!((names(&list), &list["metadata"]["resourceVersion"]), (vec!["a", "b"], &"10".into()));
    assert_eq!((&list["kind"], &list["apiVersion"]), (&"PodList".into(), &"v1".into()));
    clock.send_replace(at("04"));
    let list = body(get(&api, "pods", &Asked::default(), "application/json")).await;
    assert_eq!((names(&list), &list["metadata"]["resourceVersion"]), (vec!["a", "c"], &"14".into()));
}

#[tokio::test]
async fn pages_of_one_list_are_of_one_instant() {
    let (api, clock) = served("02");
    let mut asked = Asked { limit: 2, ..Asked::default() };
    let first = body(get(&api, "pods", &asked, "")).await;
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a", "b"], &1.into()));
    clock.send_replace(at("04"));
    asked.token = first["metadata"]["continue"].as_str().map(str::to_owned);
    let second = body(get(&api, "pods", &asked, "")).await;
    assert_eq!((names(&second), &second["metadata"]["continue"]), (vec!["c"], &Value::Null));
    assert_eq!(second["metadata"]["resourceVersion"], "12");
    asked.token = Some("nonsense".to_owned());
    assert_eq!(get(&api, "pods", &asked, "").status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_watch_goes_with_the_clock_and_ends_with_it() {
    let (api, clock) = served("00");
    let mut stream = get(&api, "pods", &watch_from("10"), "").into_body().into_data_stream();
    clock.send_replace(at("02"));
    assert_eq!(next(&mut stream).await, ["ADDED c", "MODIFIED a"]);
    clock.send_replace(at("03"));
    clock.send_replace(at("59"));
    assert_eq!(next(&mut stream).await, ["DELETED b"]);
    drop(clock);
    assert!(next(&mut stream).await.is_empty());
}

#[tokio::test]
async fn a_watch_takes_up_where_it_is_asked_to() {
    let (api, _clock) = served("59");
    let mut asked = watch_from("11");
    asked.allow_watch_bookmarks = Some("true".to_owned());
    let mut stream = get(&api, "pods", &asked, "").into_body().into_data_stream();
    assert_eq!(next(&mut stream).await, ["MODIFIED a", "BOOKMARK 13", "DELETED b"]);

    let mut stream = get(&api, "events", &watch_from("9"), "").into_body().into_data_stream();
    assert_eq!(next(&mut stream).await, ["ADDED e4", "ADDED e3"], "in the order of their versions");
}

#[tokio::test]
async fn an_old_version_is_gone() {
    let (api, _clock) = served("59");
    for version in ["9", "x"] {
        let response = get(&api, "pods", &watch_from(version), "");
        assert_eq!(response.status(), StatusCode::OK);
        let line = body(response).await;
        assert_eq!((&line["type"], &line["object"]["code"]), (&"ERROR".into(), &410.into()));
    }
}

#[tokio::test]
async fn a_streaming_list_ends_with_its_bookmark() {
    let (api, _clock) = served("02");
    let mut asked = watch_from("");
    asked.send_initial_events = Some("true".to_owned());
    let mut stream = get(&api, "pods", &asked, "").into_body().into_data_stream();
    assert_eq!(next(&mut stream).await, ["ADDED a", "ADDED b", "ADDED c", "BOOKMARK 12"]);
}

#[tokio::test]
async fn metadata_alone_where_asked() {
    let (api, _clock) = served("59");
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = body(get(&api, "pods", &Asked::default(), accept)).await;
    assert_eq!((&list["kind"], &list["apiVersion"]), (&"PartialObjectMetadataList".into(), &"meta.k8s.io/v1".into()));
    assert_eq!((&list["items"][0]["kind"], &list["items"][0]["spec"]), (&"PartialObjectMetadata".into(), &Value::Null));
    assert_eq!(names(&list), ["a", "c"]);
}

#[tokio::test]
async fn what_was_not_recorded_is_not_found() {
    let (api, _clock) = served("59");
    for plural in ["services", "secrets", "deployments"] {
        let response = get(&api, plural, &Asked::default(), "");
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(body(response).await["reason"], "NotFound");
    }
}

#[test]
fn pace_maps_both_ways() {
    let pace = Pace::new(at("10"), 20.0);
    assert_eq!(pace.at(Duration::from_secs(2)), at("50"));
    assert_eq!(pace.until(at("50")), Duration::from_secs(2));
    assert_eq!(pace.until(at("05")), Duration::ZERO);
}

/// The daemon's client library against the server: list in pages, then watch.
#[tokio::test]
async fn a_real_client_reads_it() {
    let (api, clock) = served("00");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(api.serve(listener));

    let config = kube::Config::new(url.parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    let resource = kube::core::ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        plural: "pods".to_owned(),
    };
    let pods: kube::Api<kube::core::DynamicObject> = kube::Api::all_with(client, &resource);
    let watched = kube::runtime::watcher(pods, kube::runtime::watcher::Config::default().page_size(1));
    let mut watched = std::pin::pin!(watched);
    let mut seen = Vec::new();
    while seen.len() < 7 {
        use kube::runtime::watcher::Event;
        seen.push(match watched.next().await.unwrap().unwrap() {
            Event::Init => "init".to_owned(),
            Event::InitApply(o) => format!("listed {}", o.metadata.name.unwrap()),
            Event::InitDone => {
                clock.send_replace(at("59"));
                "done".to_owned()
            }
            Event::Apply(o) => format!("applied {}", o.metadata.name.unwrap()),
            Event::Delete(o) => format!("deleted {}", o.metadata.name.unwrap()),
        });
    }
    assert_eq!(seen, ["init", "listed a", "listed b", "done", "applied c", "applied a", "deleted b"]);
    server.abort();
}
