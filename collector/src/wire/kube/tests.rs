#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;
use serde_json::{Value, json};
use whyd_signals::{Envelope, Media, Timestamp};

use super::slim::LAST_APPLIED;
use super::*;

const PODS: &[u8] = include_bytes!("../../../../fixtures/wire/pods.list.json");
const AT: Timestamp = Timestamp(5);

fn slimmed(resource: Resource, object: &Value) -> Value {
    serde_json::from_slice(&slim(resource, object.to_string().as_bytes()).unwrap()).unwrap()
}

#[test]
fn slim_drops_bulk_and_secrets_and_keeps_the_rest() {
    let container = json!({"name": "web", "image": "i", "command": ["run"], "resources": {"limits": {"memory": "128Mi"}},
        "env": [{"name": "TOKEN", "value": "hunter2"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "livenessProbe": {"httpGet": {"path": "/", "httpHeaders": [{"name": "Authorization", "value": "hunter2"}]}, "periodSeconds": 3}});
    let meta = json!({"name": "n", "uid": "u", "namespace": "team-a", "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "hunter2"}], "deletionTimestamp": null, "labels": {"a": "b"},
        "annotations": {LAST_APPLIED: "hunter2", "keep": "this", "env": "prod"}});
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": 2,
        "template": {"metadata": {"creationTimestamp": null, "annotations": {LAST_APPLIED: "hunter2"}},
                     "spec": {"containers": [container.clone()], "initContainers": [container]}}}});
    let slim = slimmed(Resource::Deployments, &object);
    assert!(!slim.to_string().contains("hunter2") && !slim.to_string().contains("null"), "{slim}");
    assert_eq!(slim["metadata"]["annotations"], json!({"keep": "this", "env": "prod"}));
    let kept = &slim["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        kept["env"],
        json!([{"name": "TOKEN"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])
    );
    assert_eq!((&kept["command"], &kept["livenessProbe"]["periodSeconds"]), (&json!(["run"]), &json!(3)));

    let body = slim.to_string();
    let Some(Object::Deployment(decoded)) = decode(Resource::Deployments, Verb::Apply, body.as_bytes()).unwrap() else {
        panic!("not a deployment")
    };
    assert_eq!(decoded.spec.replicas, Some(2));
    assert_eq!(decoded.spec.template.spec.containers[0].resources.limits["memory"], "128Mi");
    assert_eq!(slimmed(Resource::Deployments, &slim), slim, "slimming twice changes nothing");
}

#[test]
fn config_maps_keep_their_metadata_only() {
    let object = json!({"kind": "ConfigMap", "metadata": {"name": "n", "uid": "u", "resourceVersion": "7"},
        "data": {"k": "hunter2"}, "binaryData": {"k": "aHVudGVyMg=="}, "immutable": true});
    let expected = json!({"kind": "ConfigMap", "metadata": {"name": "n", "uid": "u", "resourceVersion": "7"}});
    assert_eq!(slimmed(Resource::ConfigMaps, &object), expected);
    let partial = json!({"kind": "PartialObjectMetadata", "metadata": {"name": "n", "uid": "u"}});
    assert_eq!(slimmed(Resource::ConfigMaps, &partial), partial);
}

#[test]
fn node_images_go() {
    let object = json!({"metadata": {"name": "n", "uid": "u"}, "status": {"images": [{"names": ["x"]}], "nodeInfo": {"bootID": "b"}}});
    assert_eq!(slimmed(Resource::Nodes, &object)["status"], json!({"nodeInfo": {"bootID": "b"}}));
}

#[test]
fn faults_are_named() {
    for (raw, expected) in [
        ("", "Pod: EOF"),
        ("[]", "Pod: not an object"),
        (r#"{"kind":"Node","metadata":{"name":"n","uid":"u"}}"#, "expected the kind Pod, found Node"),
        (r#"{"metadata":{"name":"n"}}"#, "Pod without the field `metadata.uid`"),
        (r#"{"metadata":{"uid":"u","name":""}}"#, "Pod without the field `metadata.name`"),
        (r#"{}"#, "metadata.name"),
    ] {
        let error = slim(Resource::Pods, raw.as_bytes()).expect_err(raw).to_string();
        assert!(error.contains(expected), "{raw}: {error}");
    }
    let error = decode(Resource::Pods, Verb::Apply, br#"{"metadata":{"name":"n"}}"#).unwrap_err().to_string();
    assert!(error.contains("`metadata.uid`"), "{error}");
    assert!(decode(Resource::Pods, Verb::Delete, br#"{"metadata":{"name":"n","uid":"u"},"spec":7}"#).is_err());
    assert!(slim(Resource::Pods, "[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn a_list_gives_its_objects_and_then_its_uids() {
    let envelopes = list(Resource::Pods, AT, &[PODS]).unwrap();
    let [pod, listed] = envelopes.as_slice() else { panic!("{} envelopes", envelopes.len()) };
    assert_eq!(
        (pod.received, pod.media, listed.media),
        (AT, Media::Kube(Resource::Pods, Verb::Apply), Media::Kube(Resource::Pods, Verb::Listed))
    );
    let Some(Object::Pod(pod)) = decode(Resource::Pods, Verb::Apply, &pod.body).unwrap() else { panic!("not a pod") };
    assert_eq!(
        (pod.metadata.name.as_str(), pod.metadata.namespace.as_str()),
        ("frontend-577f5f765f-dvbkm", "team-cart")
    );
    assert_eq!(pod.statuses().next().unwrap().name, "frontend");
    assert!(pod.metadata.creation_timestamp.is_some() && pod.metadata.controller().is_some());
    assert_eq!(listed_uids(&listed.body).unwrap(), std::slice::from_ref(&pod.metadata.uid));
    assert!(decode(Resource::Pods, Verb::Listed, &listed.body).unwrap().is_none());
}

fn uids(parts: &[Value]) -> Vec<String> {
    let parts: Vec<String> = parts.iter().map(Value::to_string).collect();
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    let envelopes = list(Resource::Events, AT, &parts).unwrap();
    match envelopes.last() {
        Some(Envelope { media: Media::Kube(_, Verb::Listed), body, .. }) => listed_uids(body).unwrap(),
        _ => vec!["incomplete".into()],
    }
}

#[test]
fn parts_of_a_list_end_once_and_only_when_whole() {
    let page = |uid: &str, next: &str| json!({"kind": "EventList", "metadata": {"continue": next}, "items": [{"metadata": {"name": "n", "uid": uid}}]});
    assert_eq!(uids(&[page("a", ""), page("b", "")]), ["a", "b"]);
    assert_eq!(uids(&[page("a", "x"), page("b", "")]), ["a", "b"]);
    assert_eq!(uids(&[page("a", "x")]), ["incomplete"]);
    assert_eq!(uids(&[json!({"kind": "EventList", "metadata": {}, "items": null})]), [""; 0]);
    for (body, expected) in [
        (json!({"kind": "PodList", "items": []}), "expected the kind EventList, found PodList"),
        (json!({"kind": "Status", "message": "forbidden"}), "found Status: forbidden"),
        (json!({"items": []}), "expected the kind EventList"),
        (json!({"kind": "EventList", "items": [{}]}), "metadata.name"),
    ] {
        let error = list(Resource::Events, AT, &[body.to_string().as_bytes()]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn watch_lines_of_every_type() {
    let object = r#"{"kind":"Pod","metadata":{"name":"n","uid":"u","resourceVersion":"9","managedFields":[]}}"#;
    for (kind, verb) in [("ADDED", Verb::Apply), ("MODIFIED", Verb::Apply), ("DELETED", Verb::Delete)] {
        let line = format!(r#"{{"type":"{kind}","object":{object}}}"#);
        let Watched::Change(change) = watch_line(Resource::Pods, AT, line.as_bytes()).unwrap() else {
            panic!("{kind}")
        };
        assert_eq!((change.media, change.received), (Media::Kube(Resource::Pods, verb), AT));
        assert!(!change.body.windows(7).any(|w| w == b"managed"));
    }
    // as a real API server sent them
    let bookmark = br#"{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"9889","annotations":{"k8s.io/initial-events-end":"true"}},"spec":{"containers":null},"status":{}}}"#;
    let expected = Watched::Bookmark { resource_version: "9889".into() };
    assert_eq!(watch_line(Resource::Pods, AT, bookmark).unwrap(), expected);
    let gone = br#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 5 (8774)","reason":"Expired","code":410}}"#;
    let expected = Watched::Failed { code: 410, message: "too old resource version: 5 (8774)".into() };
    assert_eq!(watch_line(Resource::Pods, AT, gone).unwrap(), expected);
    for line in [
        "",
        "{}",
        r#"{"type":"ADDED"}"#,
        r#"{"type":"PATCHED","object":{}}"#,
        r#"{"type":"ADDED","object":{}}"#,
        r#"{"type":"ADDED","object":7}"#,
    ] {
        assert!(watch_line(Resource::Pods, AT, line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn every_resource_decodes_its_bare_object() {
    for resource in Resource::ALL {
        let body = slim(resource, br#"{"metadata":{"name":"n","uid":"u"}}"#).unwrap();
        let object = decode(resource, Verb::Apply, &body).unwrap().unwrap();
        assert_eq!(object.meta().uid, "u");
    }
}

#[test]
fn truncation_at_every_byte_never_panics() {
    for end in 0..PODS.trim_ascii_end().len() {
        assert!(list(Resource::Pods, AT, &[&PODS[..end]]).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200), n in 0u8..11) {
        let resource = Resource::from_u8(n).unwrap();
        let _ = slim(resource, &body);
        let _ = decode(resource, Verb::Apply, &body);
        let _ = list(resource, AT, &[&body]);
        let _ = watch_line(resource, AT, &body);
        let _ = listed_uids(&body);
    }
}
