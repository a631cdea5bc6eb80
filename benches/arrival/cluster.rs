//! A cluster in which one container after the other is killed at its memory limit, as a capture.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use whyd_signals::Timestamp;

pub(crate) const NAMESPACE: &str = "team-shop";
/// Pods of one workload.
const REPLICAS: usize = 10;

/// When each container is told to be dead.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    start: Timestamp,
    every: Duration,
}

impl Times {
    pub(crate) fn of(self, n: usize) -> Timestamp {
        self.start.plus(self.every * (n as u32 + 1))
    }
}

fn app(n: usize) -> String {
    format!("app-{}", n / REPLICAS)
}

fn set(n: usize) -> String {
    format!("{}-6f6ff55c87", app(n))
}

pub(crate) fn pod(n: usize) -> String {
    format!("{}-{:05}", set(n), n % REPLICAS)
}

/// Writes it, as of now.
pub(crate) fn write(dir: &Path, restarts: usize, every: Duration) -> Times {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let times = Times { start: Timestamp(now.as_nanos() as i64), every };
    let kube = dir.join("kube");
    fs::create_dir_all(&kube).unwrap();
    let about = json!({"version": 1, "name": "arrival", "cluster": "bench", "from": times.start.to_string(),
        "to": times.of(restarts).to_string()});
    fs::write(dir.join("capture.json"), about.to_string()).unwrap();

    let created = Timestamp(times.start.0 - 3_600_000_000_000).to_string();
    let meta = |name: &str, namespace: &str, owner: Value| {
        json!({"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "resourceVersion": "1", "generation": 1,
            "creationTimestamp": created, "labels": {"app": name}, "ownerReferences": owner})
    };
    let apps: Vec<usize> = (0..restarts).step_by(REPLICAS).collect();
    let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container()]}});
    let spec =
        |n: usize| json!({"replicas": REPLICAS, "selector": {"matchLabels": {"app": app(n)}}, "template": template});
    let namespaces = vec![json!({"metadata": {"name": NAMESPACE, "uid": "uid-ns", "resourceVersion": "1"}})];
    let nodes = vec![json!({"metadata": {"name": "node-1", "uid": "uid-node", "resourceVersion": "1"},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": created}]}})];
    let deployments = apps.iter().map(|n| json!({"metadata": meta(&app(*n), NAMESPACE, json!([])), "spec": spec(*n)}));
    let sets = apps.iter().map(|n| {
        let owner =
            json!([{"kind": "Deployment", "name": app(*n), "uid": format!("uid-{}", app(*n)), "controller": true}]);
        json!({"metadata": meta(&set(*n), NAMESPACE, owner), "spec": spec(*n)})
    });
    let pods = |n: usize, version: usize, killed: Option<Timestamp>| {
        let owner =
            json!([{"kind": "ReplicaSet", "name": set(n), "uid": format!("uid-{}", set(n)), "controller": true}]);
        let mut metadata = meta(&pod(n), NAMESPACE, owner);
        metadata["resourceVersion"] = json!(version.to_string());
        let last = killed.map_or(json!({}), |at| {
            json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": created, "finishedAt": at.to_string(),
                "containerID": format!("containerd://{n}-0")}})
        });
        let begun = killed.map_or_else(|| created.clone(), |at| at.to_string());
        let count = u8::from(killed.is_some());
        let status = json!({"name": "app", "ready": true, "restartCount": count, "image": "registry/app:1", "imageID": "x",
            "containerID": format!("containerd://{n}-{count}"), "started": true, "lastState": last,
            "state": {"running": {"startedAt": begun}}});
        json!({"metadata": metadata, "spec": {"nodeName": "node-1", "containers": [container()], "restartPolicy": "Always"},
            "status": {"phase": "Running", "qosClass": "Burstable", "containerStatuses": [status],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": created}]}})
    };
    let listed: Vec<Value> = (0..restarts).map(|n| pods(n, 1, None)).collect();
    for (name, items) in [
        ("namespaces", namespaces),
        ("nodes", nodes),
        ("deployments", deployments.collect()),
        ("replicasets", sets.collect()),
        ("pods", listed),
        ("statefulsets", Vec::new()),
        ("daemonsets", Vec::new()),
        ("jobs", Vec::new()),
        ("configmaps", Vec::new()),
        ("events", Vec::new()),
    ] {
        let list = json!({"metadata": {"resourceVersion": "1"}, "items": items});
        fs::write(kube.join(format!("{name}.list.json")), list.to_string()).unwrap();
    }
    let (mut lines, mut stamps) = (String::new(), String::new());
    for n in 0..restarts {
        let object = pods(n, n + 2, Some(times.of(n)));
        lines.push_str(&format!("{}\n", json!({"type": "MODIFIED", "object": object})));
        stamps.push_str(&format!("{}\n", times.of(n)));
    }
    fs::write(kube.join("pods.watch.ndjson"), lines).unwrap();
    fs::write(kube.join("pods.watch.times"), stamps).unwrap();
    times
}

fn container() -> Value {
    json!({"name": "app", "image": "registry/app:1", "resources": {"limits": {"memory": "128Mi"}, "requests": {"memory": "64Mi"}}})
}
