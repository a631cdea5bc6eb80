//! The daemon at a real kube-apiserver with a real etcd: watch, 410, a restart of the server, and no rights.
//!
//! `KUBE_APISERVER` names the program; `etcd` is Debian's etcd-server. Neither is built here, so these tests run when
//! they are asked for: `cargo test --release --test it kube_apiserver:: -- --ignored`.

pub(crate) mod server;

use std::path::Path;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use self::server::{ApiServer, pods};
use crate::daemon::{Process, get_json, request};
use crate::until::until;

const CONFIG: &str = "limits: {tick: 100ms, lateness: 2s}\n";

fn daemon(dir: &Path, kubeconfig: &Path) -> Process {
    Process::start_in(dir, CONFIG, &[("KUBECONFIG", kubeconfig)])
}

/// One figure of `/metrics`, by the name and labels before it.
async fn metric(whyd: &Process, name: &str) -> Option<f64> {
    let (_, text) = request(whyd.address, "GET", "/metrics", "", b"").await?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

async fn lists_of_pods(whyd: &Process, times: f64) {
    until("the list of pods", async || {
        (metric(whyd, "whyd_watch_lists_total{resource=\"pods\"}").await? >= times).then_some(())
    })
    .await;
}

/// Cause and exit code of each restart of a pod, once there are as many.
async fn restarts(whyd: &Process, pod: &str, count: usize) -> Vec<(String, Value)> {
    until("the restarts", async || {
        let found = get_json(whyd.address, "/api/v1/restarts?limit=1000").await;
        let rows: Vec<_> = found["restarts"]
            .as_array()?
            .iter()
            .filter(|row| row["pod"] == pod)
            .map(|row| (row["cause"].as_str().unwrap().to_owned(), row["exit_code"].clone()))
            .collect();
        (rows.len() >= count).then_some(rows)
    })
    .await
}

pub(crate) fn pod(name: &str) -> DynamicObject {
    let spec = json!({"containers": [{"name": "app", "image": "registry.example/app:1",
        "resources": {"limits": {"memory": "64Mi"}}}]});
    serde_json::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}))
        .unwrap()
}

/// What a kubelet writes of a container that ended so often, the last time like this.
pub(crate) fn ended(restarts: u32, reason: &str, exit_code: i32, second: u32) -> Value {
    let at = |s: u32| format!("2026-11-25T10:{:02}:{:02}Z", s / 60, s % 60);
    let last = json!({"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": at(second - 30),
        "finishedAt": at(second), "containerID": format!("containerd://{restarts}")}});
    let now = json!({"running": {"startedAt": at(second + 1)}});
    json!({"status": {"phase": "Running", "startTime": at(0), "containerStatuses": [{"name": "app", "image": "app:1",
        "imageID": "", "ready": true, "started": true, "restartCount": restarts, "containerID":
        format!("containerd://{}", restarts + 1), "state": now, "lastState": last}]}})
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a kube-apiserver: KUBE_APISERVER"]
async fn what_happens_while_the_watch_is_lost_is_found_by_the_next_list() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start(dir.path()).await;
    let mut whyd = daemon(dir.path(), &server.kubeconfig("admin"));
    lists_of_pods(&whyd, 1.0).await;

    let api = pods(&server.client().await);
    for name in ["shop-1", "gone-1"] {
        api.create(&PostParams::default(), &pod(name)).await.unwrap();
    }
    let patch = |restarts, reason: &'static str, code, second| Patch::Merge(ended(restarts, reason, code, second));
    api.patch_status("shop-1", &PatchParams::default(), &patch(1, "OOMKilled", 137, 60)).await.unwrap();
    api.patch_status("gone-1", &PatchParams::default(), &patch(0, "Completed", 0, 60)).await.unwrap();
    let oom = ("oom-limit".to_owned(), json!(137));
    assert_eq!(restarts(&whyd, "shop-1", 1).await, std::slice::from_ref(&oom));
    assert_eq!(metric(&whyd, "whyd_watch_lists_total{resource=\"pods\"}").await, Some(1.0), "by the watch alone");

    // The first restart cuts the connection, so nothing of what follows is heard. After the second the server knows no
    // history from before it, so the watch is answered 410.
    whyd.signal("STOP");
    server.restart().await;
    let api = pods(&server.client().await);
    api.delete("gone-1", &DeleteParams::default().grace_period(0)).await.unwrap();
    api.patch_status("shop-1", &PatchParams::default(), &patch(2, "Error", 3, 120)).await.unwrap();
    server.restart().await;
    whyd.signal("CONT");
    lists_of_pods(&whyd, 2.0).await;
    let rows = restarts(&whyd, "shop-1", 2).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.contains(&oom) && rows.iter().any(|(_, code)| *code == json!(3)), "{rows:?}");
    let gone = restarts(&whyd, "gone-1", 1).await;
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(metric(&whyd, "whyd_watch_errors_total{resource=\"pods\"}").await >= Some(1.0));
    until("a watch that works again", async || {
        (metric(&whyd, "whyd_watch_failing{resource=\"pods\"}").await? == 0.0).then_some(())
    })
    .await;

    // And the daemon itself: the same rows, none twice.
    whyd.kill();
    let whyd = daemon(dir.path(), &server.kubeconfig("admin"));
    lists_of_pods(&whyd, 1.0).await;
    let api = pods(&server.client().await);
    api.patch_status("shop-1", &PatchParams::default(), &patch(3, "Error", 4, 180)).await.unwrap();
    let rows = restarts(&whyd, "shop-1", 3).await;
    let all = get_json(whyd.address, "/api/v1/restarts?pod=shop-1").await;
    assert_eq!(rows.len(), 3, "{all:#}");
    assert!(rows.contains(&oom), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a kube-apiserver: KUBE_APISERVER"]
async fn a_watch_without_rights_is_failing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start(dir.path()).await;
    let whyd = daemon(dir.path(), &server.kubeconfig("nobody"));
    until("watches that fail", async || {
        let (_, text) = request(whyd.address, "GET", "/metrics", "", b"").await?;
        let failing = text.lines().filter(|l| l.starts_with("whyd_watch_failing{") && l.ends_with(" 1")).count();
        (failing == whyd_signals::Resource::ALL.len()).then_some(())
    })
    .await;
    assert_eq!(metric(&whyd, "whyd_watch_lists_total{resource=\"pods\"}").await, Some(0.0));
}
