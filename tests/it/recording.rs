//! What is recorded is a capture: played again it gives the same verdicts, and redacted it holds no secret.

use std::path::Path;

use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::recording::Recording;
use whyd::{replay, wiring};
use whyd_signals::{Access, Envelope};

fn verdicts(messages: Vec<Envelope>) -> Vec<String> {
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    let scoped = outcome.snapshot.scoped(&Access::All);
    let rows = scoped.restarts();
    let root = |r: &Option<whyd_signals::schema::Root>| r.as_ref().map(ToString::to_string);
    let mut told: Vec<String> =
        rows.iter().map(|r| format!("{:?} {:?} {} {:?}", r.pod, r.finished_at, r.cause, root(&r.root))).collect();
    told.extend(scoped.incidents().iter().map(|i| format!("{} {} {:?}", i.id, i.cause, i.members)));
    told
}

#[test]
fn a_recording_gives_the_verdicts_of_what_it_recorded() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    for (name, redacted) in [("dependency-down", false), ("dependency-down", true), ("bad-rollout", true)] {
        let capture = Capture::open(captures.join(name)).unwrap();
        let messages = capture.messages().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("again");
        let mut recording = Recording::begin(&out, "cluster", redacted, capture.start()).unwrap();
        for message in &messages {
            recording.take(message).unwrap();
        }
        assert!(Capture::open(&out).is_err(), "without its end it is no capture");
        recording.finish().unwrap();
        let again = Capture::open(&out).unwrap();
        assert_eq!(again.problems(), [""; 0]);
        assert_eq!(verdicts(again.messages().unwrap()), verdicts(messages), "{name}, redacted: {redacted}");
        assert!(Recording::begin(&out, "cluster", false, capture.start()).is_err(), "over another capture");
    }
}

#[test]
fn a_redacted_recording_holds_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("capture");
    let start = whyd_signals::Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let mut recording = Recording::begin(&out, "cluster", true, start).unwrap();
    let line = r#"{"streams":[{"stream":{"pod":"p"},"values":[["1767225600000000000","login password=hunter2 of mia@shop.example"]]}]}"#;
    let logs = Envelope { received: start, media: whyd_signals::Media::LokiJson, tenant: None, body: line.into() };
    recording.take(&logs).unwrap();
    let object =
        r#"{"kind":"ConfigMap","metadata":{"name":"c","uid":"u","namespace":"n","annotations":{"note":"hunter2"}}}"#;
    let media = whyd_signals::Media::Kube(whyd_signals::Resource::ConfigMaps, whyd_signals::Verb::Apply);
    recording.take(&Envelope { received: start, media, tenant: None, body: object.into() }).unwrap();
    let probe = r#"{"exec":{"command":["mysqladmin","ping","-uroot","-phunter2"]}}"#;
    let pod = format!(
        r#"{{"kind":"Pod","metadata":{{"name":"p","uid":"v","namespace":"n"}},
        "spec":{{"volumes":[{{"name":"x","csi":{{"volumeAttributes":{{"key":"hunter2"}}}}}}],
            "containers":[{{"name":"c","command":["/app","hunter2"],"args":["--key","hunter2"],"livenessProbe":{probe}}}]}},
        "status":{{"containerStatuses":[{{"name":"c",
            "state":{{"waiting":{{"reason":"PostStartHookError","message":"Exec lifecycle hook ([sh -c login hunter2]) failed"}}}},
            "lastState":{{"terminated":{{"message":"no login, password=hunter2"}}}}}}]}}}}"#
    );
    let event = |uid: &str| {
        format!(
            r#"{{"kind":"Event","metadata":{{"name":"e","uid":"e{uid}","namespace":"n"}},"reason":"Unhealthy",
            "involvedObject":{{"kind":"Pod","name":"p","namespace":"n","uid":"{uid}"}},
            "message":"Liveness probe failed: command timed out: \"mysqladmin ping -uroot -phunter2\" timed out after 1s"}}"#
        )
    };
    let workload = r#"{"kind":"Deployment","metadata":{"name":"d","uid":"d","namespace":"n",
        "annotations":{"kubernetes.io/change-cause":"kubectl set env deploy/d DB_PASSWORD=hunter2"}}}"#;
    let (pods, events, deployments) =
        (whyd_signals::Resource::Pods, whyd_signals::Resource::Events, whyd_signals::Resource::Deployments);
    // An event may come before its pod is known.
    for (resource, body) in
        [(events, event("w")), (pods, pod), (events, event("v")), (deployments, workload.to_owned())]
    {
        let media = whyd_signals::Media::Kube(resource, whyd_signals::Verb::Apply);
        recording.take(&Envelope { received: start, media, tenant: None, body: body.into() }).unwrap();
    }
    let maps = whyd_signals::Resource::ConfigMaps;
    for (resource, uids) in [(maps, vec!["u"]), (pods, vec!["v"]), (events, vec!["ev", "ew"]), (deployments, vec!["d"])]
    {
        let uids: Vec<String> = uids.into_iter().map(str::to_owned).collect();
        recording.take(&whyd_collector::wire::kube::listed(resource, start, &uids).unwrap()).unwrap();
    }
    recording.finish().unwrap();
    let mut files = 0;
    for folder in ["kube", "loki_push"] {
        for entry in std::fs::read_dir(out.join(folder)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(!text.contains("hunter2") && !text.contains("mia@"), "{text}");
            files += 1;
        }
    }
    assert_eq!(files, 14);
    let pods = std::fs::read_to_string(out.join("kube/pods.list.json")).unwrap();
    assert!(pods.contains("/app") && pods.contains("hidden-1") && pods.contains("no login"), "{pods}");
}
