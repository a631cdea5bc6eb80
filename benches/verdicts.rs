//! What one restart costs from its arrival to its stored verdict, and how long `why` takes to answer, in a cluster of
//! 5,000 pods whose ledger is full already: `cargo bench --bench verdicts`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use serde_json::{Value, json};
use tower::ServiceExt;
use whyd::config::ConfigFile;
use whyd::log_health::LogShown;
use whyd::view::{Shown, View};
use whyd::wiring;
use whyd_api::{Anonymous, Api, Door};
use whyd_collector::wire::kube::{envelope, listed, slim};
use whyd_core::{Core, Effect, Message};
use whyd_signals::{Envelope, Media, Resource, Timestamp, Verb};

/// In how many namespaces they are, and how many lines each writes in its last minute: as platforms of many teams have
/// them, all in one namespace, and talkative.
const SHAPES: [(usize, usize); 3] = [(250, 1), (1, 1), (250, 500)];
const PODS: usize = 5_000;
/// Rows in the ledger before it is measured.
const BEFORE: usize = 10_000;
/// Restarts that are measured.
const MEASURED: usize = 2_000;
const QUESTIONS: usize = 5_000;

struct Cluster {
    core: Core,
    namespaces: usize,
    now: Timestamp,
    version: u64,
    restarts: Vec<u32>,
}

impl Cluster {
    fn take(&mut self, media: Media, body: Bytes) {
        let message = Envelope { received: self.now, media, tenant: None, body };
        self.message(message);
    }

    fn message(&mut self, envelope: Envelope) {
        let at = envelope.received;
        let mut effects = self.core.step(at, Message::Input { token: 0, envelope });
        while let Some(effect) = effects.pop() {
            if let Effect::Append(record) = effect {
                effects.extend(self.core.step(at, Message::Durable(record.lsn)));
            }
        }
    }

    fn object(&mut self, resource: Resource, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let body = slim(resource, object.to_string().as_bytes()).unwrap();
        self.message(envelope(resource, Verb::Apply, self.now, body));
    }

    fn names(&self, pod: usize) -> (String, String) {
        (format!("team-{}", pod % self.namespaces), format!("app-{pod}-5f6d8c7b9-x2x7p"))
    }

    /// The pod as it is after its newest end; of every third one an OOM kill.
    fn pod(&mut self, pod: usize) {
        let (namespace, name) = self.names(pod);
        let count = self.restarts[pod];
        let (exit, reason) = if pod.is_multiple_of(3) { (137, "OOMKilled") } else { (1, "Error") };
        let time = |at: Timestamp| format!("{}Z", at.to_string().split('.').next().unwrap());
        let mut status = json!({
            "name": "app", "restartCount": count, "containerID": format!("c-{pod}-{count}"), "ready": true,
            "state": {"running": {"startedAt": time(self.now)}},
        });
        if count > 0 {
            let (ended, began) = (self.now, self.now.minus(Duration::from_secs(30)));
            status["lastState"] = json!({"terminated": {
                "exitCode": exit, "reason": reason, "startedAt": time(began), "finishedAt": time(ended),
                "containerID": format!("c-{pod}-{}", count - 1),
            }});
        }
        let object = json!({
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": namespace, "uid": format!("u-{pod}"), "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"kind": "ReplicaSet", "name": format!("app-{pod}-5f6d8c7b9"), "uid": format!("r-{pod}"), "controller": true}],
            },
            "spec": {"nodeName": format!("node-{}", pod % 100), "restartPolicy": "Always", "containers": [
                {"name": "app", "image": "app:1", "resources": {"limits": {"memory": "128Mi"}}},
            ]},
            "status": {"phase": "Running", "containerStatuses": [status]},
        });
        self.object(Resource::Pods, object);
    }

    /// What the pod writes in its last minute.
    fn talk(&mut self, pod: usize, lines: usize) {
        let (namespace, name) = self.names(pod);
        let pause = 60_000_000_000 / lines as i64;
        let values: Vec<Value> = (0..lines as i64)
            .map(|n| {
                let at = self.now.nanos() - 60_000_000_000 + n * pause;
                json!([at.to_string(), format!("served /orders/{} in {} ms", n * 7919 % 10_007, n % 97)])
            })
            .collect();
        let stream = json!({"namespace": namespace, "pod": name, "container": "app"});
        let body = json!({"streams": [{"stream": stream, "values": values}]});
        self.take(Media::LokiJson, Bytes::from(body.to_string()));
    }

    /// The pod ends: its last words, then its status, then the tick that judges it.
    fn restart(&mut self, pod: usize) {
        let (namespace, name) = self.names(pod);
        let at = self.now.nanos();
        let line = format!("fatal: worker {pod} lost its queue");
        let body = json!({"streams": [{
            "stream": {"namespace": namespace, "pod": name, "container": "app"},
            "values": [[(at - 1_000_000).to_string(), "taking the next job"], [at.to_string(), line]],
        }]});
        self.take(Media::LokiJson, Bytes::from(body.to_string()));
        self.restarts[pod] += 1;
        self.pod(pod);
        self.core.step(self.now, Message::Tick);
    }
}

/// Nanoseconds that this thread has had a processor.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn main() {
    for (namespaces, lines) in SHAPES {
        measure(namespaces, lines);
    }
}

fn measure(namespaces: usize, lines: usize) {
    let config = ConfigFile::default().validate().unwrap();
    let start = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let mut cluster =
        Cluster { core: wiring::core(&config), namespaces, now: start, version: 0, restarts: vec![0; PODS] };
    for resource in Resource::ALL {
        cluster.message(listed(resource, start, &[]).unwrap());
    }
    for pod in 0..PODS {
        let (namespace, _) = cluster.names(pod);
        let replica_set = json!({"kind": "ReplicaSet", "metadata": {
            "name": format!("app-{pod}-5f6d8c7b9"), "namespace": namespace, "uid": format!("r-{pod}"), "generation": 1,
            "ownerReferences": [{"kind": "Deployment", "name": format!("app-{pod}"), "uid": format!("d-{pod}"), "controller": true}],
        }, "spec": {"replicas": 1}, "status": {"replicas": 1}});
        cluster.object(Resource::ReplicaSets, replica_set);
        cluster.pod(pod);
    }
    for n in 0..BEFORE {
        cluster.now = cluster.now.plus(Duration::from_secs(1));
        cluster.restart(n * 7 % PODS);
    }
    let judged = cluster.core.ledger_counts().0;
    let mut spent = 0;
    for n in 0..MEASURED {
        cluster.now = cluster.now.plus(Duration::from_secs(1));
        cluster.talk(n * 11 % PODS, lines);
        let began = cpu();
        cluster.restart(n * 11 % PODS);
        spent += cpu() - began;
    }
    let verdicts = cluster.core.ledger_counts().0 - judged;
    println!(
        "{}",
        json!({
            "bench": "verdict", "namespaces": namespaces, "pods": PODS, "ledger_rows": BEFORE, "restarts": MEASURED, "verdicts": verdicts,
            "lines_before": lines, "cpu_ms_per_restart": spent as f64 / 1e6 / MEASURED as f64,
        })
    );

    let began = cpu();
    let held = cluster.core.hold();
    let paused = cpu() - began;
    assert!(held.is_some());
    println!(
        "{}",
        json!({"bench": "hold", "namespaces": namespaces, "pods": PODS, "ledger_rows": BEFORE + MEASURED, "cpu_ms": paused as f64 / 1e6})
    );

    let view = Arc::new(View::new(Shown::of(&cluster.core, LogShown::default())));
    view.ready();
    let door = Door::new(Anonymous::All, Vec::new()).unwrap();
    let router = whyd_api::router(Api::new(view, door, Arc::new(|| Timestamp(0))), axum::Router::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut took: Vec<Duration> = Vec::with_capacity(QUESTIONS);
    for n in 0..QUESTIONS {
        let (namespace, name) = cluster.names(n * 13 % PODS);
        let uri = format!("/api/v1/why?pod={name}&namespace={namespace}");
        let asked = Instant::now();
        let answer = runtime.block_on(async {
            let answer = router.clone().oneshot(Request::get(&uri).body(Body::empty()).unwrap()).await.unwrap();
            let status = answer.status();
            (status, axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap())
        });
        took.push(asked.elapsed());
        assert!(answer.0.is_success(), "{uri}: {:?}", answer.1);
    }
    took.sort();
    let at = |share: f64| took[((QUESTIONS as f64 * share) as usize).min(QUESTIONS - 1)].as_secs_f64() * 1e3;
    println!(
        "{}",
        json!({"bench": "why", "namespaces": namespaces, "pods": PODS, "ledger_rows": BEFORE + MEASURED, "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0)})
    );
}
