//! The ledger outlives the daemon, its log and the pods: rows that stand are taken in again, and what happened while
//! nobody looked is found by the kubelet's count.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::ledger_file::LedgerFile;
use whyd::{replay, wiring};
use whyd_core::{Core, Effect, Message};
use whyd_signals::schema::Restart;
use whyd_signals::{Access, Envelope, Media, Resource, Timestamp, Verb};

/// Runs a capture until its verdicts stand; gives what was settled and all rows.
fn settled(messages: &[Envelope]) -> (Vec<Arc<Restart>>, Vec<Arc<Restart>>) {
    let config = ConfigFile::default().validate().unwrap();
    let mut outcome = replay::run(wiring::core(&config), messages.to_vec(), config.lateness);
    let end = outcome.at.plus(config.lateness * 2);
    let mut kept = Vec::new();
    for effect in outcome.core.step(end, Message::Tick) {
        if let Effect::Settled(rows) = effect {
            kept.extend(rows);
        }
    }
    let all = outcome.core.snapshot().scoped(&Access::All).restarts();
    (kept, all)
}

fn input(core: &mut Core, at: Timestamp, envelope: Envelope) {
    for effect in core.step(at, Message::Input { token: 0, envelope }) {
        if let Effect::Append(record) = effect {
            core.step(at, Message::Durable(record.lsn));
        }
    }
}

#[test]
fn rows_that_stand_are_there_after_a_restart_without_a_log() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/oom-limit");
    let messages = Capture::open(path).unwrap().messages().unwrap();
    let config = ConfigFile::default().validate().unwrap();
    // Some settle while the capture runs out, the rest at the end: together they are all rows.
    let (_, all) = settled(&messages);
    assert!(!all.is_empty());
    let dir = tempfile::tempdir().unwrap();
    let (mut file, _) = LedgerFile::open(dir.path()).unwrap();
    file.append(&all, &all).unwrap();

    let (_, rows) = LedgerFile::open(dir.path()).unwrap();
    let mut core = wiring::core(&config);
    core.restore(rows);
    let again = core.snapshot().scoped(&Access::All).restarts();
    assert_eq!(again, all, "what comes from the file is what went in");

    // The pods are seen again: what stands is not judged anew, and no row is made twice. The first look is before any of them.
    core.step(messages.first().unwrap().received, Message::Tick);
    for m in messages.iter().filter(|m| matches!(m.media, Media::Kube(Resource::Pods, _))) {
        input(&mut core, m.received, m.clone());
    }
    let later = messages.last().unwrap().received.plus(config.lateness);
    core.step(later, Message::Tick);
    assert_eq!(core.snapshot().scoped(&Access::All).restarts(), all);
}

#[test]
fn restarts_while_nobody_looked_are_found_by_their_count() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/oom-limit");
    let messages = Capture::open(path).unwrap().messages().unwrap();
    let config = ConfigFile::default().validate().unwrap();
    let (_, all) = settled(&messages);
    let mut core = wiring::core(&config);
    core.restore(all.iter().map(|r| r.as_ref().clone()).collect());

    // An hour later the pod has restarted three times more, and only the last end is told.
    let last = |m: &&Envelope| {
        matches!(m.media, Media::Kube(Resource::Pods, Verb::Apply))
            && String::from_utf8_lossy(&m.body).contains("OOMKilled")
    };
    let last = messages.iter().rev().find(last).unwrap();
    let mut pod: Value = serde_json::from_slice(&last.body).unwrap();
    let status = &mut pod["status"]["containerStatuses"][0];
    let known = all.iter().filter_map(|r| r.restart_count).max().unwrap() + 1;
    status["restartCount"] = (known + 3).into();
    status["containerID"] = "containerd://newest".into();
    status["state"] = serde_json::json!({"running": {"startedAt": "2026-11-22T15:00:00Z"}});
    let end = serde_json::json!({"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-11-22T14:58:00Z",
        "finishedAt": "2026-11-22T14:59:59Z", "containerID": "containerd://before"});
    status["lastState"] = serde_json::json!({"terminated": end});
    pod["metadata"]["resourceVersion"] = "999999".into();
    let at = Timestamp::parse("2026-11-22T15:00:01Z").unwrap();
    // A look before the first list.
    core.step(at, Message::Tick);
    let namespaces = messages.iter().filter(|m| matches!(m.media, Media::Kube(Resource::Namespaces, Verb::Apply)));
    for m in namespaces {
        input(&mut core, at, m.clone());
    }
    input(&mut core, at, Envelope { received: at, body: Bytes::from(pod.to_string()), ..last.clone() });
    core.step(at, Message::Tick);

    let rows = core.snapshot().scoped(&Access::All).restarts();
    assert_eq!(rows.len(), all.len() + 3, "one told, two counted");
    let unseen: Vec<_> = rows.iter().filter(|r| r.mechanism == "unseen").collect();
    assert_eq!(unseen.len(), 2);
    assert!(
        unseen.iter().all(|r| r.cause == "insufficient-evidence" && r.missing == ["status"] && r.exit_code.is_none())
    );
}
