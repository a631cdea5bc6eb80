#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use whyd_signals::Media;

use super::*;

const ABOUT: &str =
    r#"{"version":1,"name":"x","cluster":"c","from":"2026-01-01T00:00:10Z","to":"2026-01-01T00:01:00Z"}"#;

/// A capture of these files.
fn capture(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("capture.json"), ABOUT).unwrap();
    for (name, text) in files {
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    dir
}

/// What its messages are, one a line, and its problems.
fn told(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let dir = capture(files);
    let capture = Capture::open(dir.path()).unwrap();
    let messages = capture.messages().unwrap();
    let told = messages.iter().map(|m| {
        let body = String::from_utf8_lossy(&m.body);
        let what = match m.media {
            Media::Kube(r, Verb::Listed) => format!("{} Listed {body}", r.plural()),
            Media::Kube(r, verb) => {
                let object: serde_json::Value = serde_json::from_str(&body).unwrap();
                format!("{} {verb:?} {}", r.plural(), object["metadata"]["uid"].as_str().unwrap())
            }
            other => format!("{other:?} {body}"),
        };
        format!("{} {what}", &m.received.to_string()[17..19])
    });
    (told.collect(), capture.problems().to_vec())
}

fn object(uid: &str) -> String {
    format!(r#"{{"metadata":{{"name":"n","namespace":"s","uid":"{uid}","managedFields":[]}}}}"#)
}

fn list(uids: &[&str]) -> String {
    let items: Vec<_> = uids.iter().map(|u| object(u)).collect();
    format!(r#"{{"kind":"List","metadata":{{"resourceVersion":"5"}},"items":[{}]}}"#, items.join(","))
}

fn change(kind: &str, uid: &str) -> String {
    format!(r#"{{"type":"{kind}","object":{}}}"#, object(uid)) + "\n"
}

#[test]
fn lists_come_first_and_then_all_by_time() {
    let (messages, problems) = told(&[
        ("kube/pods.list.json", &list(&["p1"])),
        ("kube/pods.watch.ndjson", &(change("MODIFIED", "p1") + &change("DELETED", "p1"))),
        ("kube/pods.watch.times", "2026-01-01T00:00:20.5Z\n2026-01-01T00:00:30Z\n"),
        ("kube/nodes.list.json", &list(&["n1", "n2"])),
        ("remote_write/bodies.bin", "aabbcc"),
        (
            "remote_write/index.ndjson",
            concat!(
                r#"{"received_ns":1767225608000000000,"path":"/","headers":{},"file":"bodies.bin","offset":0,"bytes":2}"#,
                "\n",
                r#"{"received_ns":1767225630000000000,"path":"/","headers":{},"file":"bodies.bin","offset":2,"bytes":4}"#,
                "\n"
            ),
        ),
    ]);
    assert_eq!(
        messages,
        [
            "08 nodes Apply n1",
            "08 nodes Apply n2",
            r#"08 nodes Listed ["n1","n2"]"#,
            "08 pods Apply p1",
            r#"08 pods Listed ["p1"]"#,
            "08 RemoteWrite1(Snappy) aa",
            "20 pods Apply p1",
            "30 pods Delete p1",
            "30 RemoteWrite1(Snappy) bbcc",
        ]
    );
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn files_of_one_resource_are_listed_once() {
    let (messages, _) = told(&[
        ("kube/events.list.json", &list(&["e1"])),
        ("kube/events-default.list.json", &list(&["e2"])),
        ("kube/events-default.watch.ndjson", &change("ADDED", "e3")),
        ("kube/events-default.watch.times", "2026-01-01T00:00:11Z\n"),
    ]);
    assert_eq!(
        messages,
        ["10 events Apply e1", "10 events Apply e2", r#"10 events Listed ["e1","e2"]"#, "11 events Apply e3"]
    );
}

#[test]
fn what_was_not_recorded_gives_no_message() {
    let (messages, problems) = told(&[("kube/jobs.list.json", r#"{"items":null}"#)]);
    assert_eq!(messages, ["10 jobs Listed []"]);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn damage_is_a_problem_with_file_and_line() {
    let (messages, problems) = told(&[
        ("kube/nodes.list.json", "{\n\"items\": [}"),
        (
            "kube/pods.watch.ndjson",
            &[
                change("ADDED", "p1").as_str(),
                "{\"type\":\n",
                r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#,
                "\n",
                r#"{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"too old"}}"#,
                "\n",
                r#"{"type":"ADDED","object":{"metadata":{}}}"#,
            ]
            .concat(),
        ),
        ("kube/pods.watch.times", "2026-01-01T00:00:20Z\nyesterday\n2026-01-01T00:00:30Z\n2026-01-01T00:00:31Z\n"),
        (
            "loki_push/index.ndjson",
            "{}\n{\"received_ns\":1,\"file\":\"../capture.json\"}\n{\"received_ns\":1,\"file\":\"none.bin\"}\n\
             {\"received_ns\":1,\"file\":\"index.ndjson\",\"offset\":9,\"bytes\":9999}\n",
        ),
    ]);
    assert_eq!(messages, ["20 pods Apply p1"]);
    assert_eq!(
        problems,
        [
            "kube/nodes.list.json:2: expected value at line 2 column 11",
            "kube/pods.watch.times:2: not an RFC 3339 time",
            "kube/pods.watch.ndjson:2: EOF while parsing a value at line 1 column 8",
            "kube/pods.watch.ndjson:4: the watch ended: 410 Expired: too old",
            "kube/pods.watch.ndjson:5: Pod without the field `metadata.name`",
            "kube/pods.watch.ndjson: 1 of its lines have no time beside them",
            "loki_push/index.ndjson:1: missing field `received_ns` at line 1 column 2",
            "loki_push/index.ndjson:2: \"../capture.json\" is not the name of a file beside it",
            "loki_push/index.ndjson:3: none.bin: No such file or directory (os error 2)",
            "loki_push/index.ndjson:4: 9999 bytes at 9 are beyond the 146 of index.ndjson",
        ]
    );
}

#[test]
fn a_folder_without_capture_json_is_none() {
    let dir = TempDir::new().unwrap();
    let error = Capture::open(dir.path()).unwrap_err();
    assert!(error.to_string().ends_with("capture.json: not a capture"), "{error}");
}

#[test]
fn every_bundled_capture_is_read_without_a_problem() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    let mut seen = 0;
    for entry in fs::read_dir(base).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        seen += 1;
        let capture = Capture::open(&path).unwrap();
        assert_eq!(capture.problems(), [""; 0], "{}", path.display());
        let messages = capture.messages().unwrap();
        assert!(messages.windows(2).all(|w| w[0].received <= w[1].received));
        assert!(messages.iter().any(|m| m.media == Media::LokiProto) && messages.len() > 50);
        assert_eq!(messages.iter().filter(|m| m.media == Media::Kube(Resource::Events, Verb::Listed)).count(), 1);
    }
    assert!(seen >= 6);
}
