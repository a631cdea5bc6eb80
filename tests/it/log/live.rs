//! What senders, the kubelet and Prometheus are told by the live driver of a disk that is full and of one that fails.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;
use whyd::config::ConfigFile;
use whyd::live::{Kept, Live, Times};
use whyd::log_health::LogShown;
use whyd::view::{Shown, View};
use whyd::wiring;
use whyd_api::{Anonymous, Api, Door};
use whyd_buffers::checkpoint::{Checkpoints, KeepLimits};
use whyd_buffers::wal::{Bounds, Log};
use whyd_collector::inlet::{InletLimits, Reply, inlet};
use whyd_collector::{Clock, Inlet};
use whyd_signals::{Envelope, Timestamp};

use super::model::{Faults, ModelDisk};
use super::oracle::Message;
use super::random::Random;
use super::shelf::Shelf;
use crate::until::until;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);

/// A daemon without sockets on a model disk.
struct Daemon {
    disk: ModelDisk,
    inlet: Inlet,
    routes: Router,
    random: Random,
    _dir: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let config = ConfigFile::default().validate().unwrap();
        let (core, disk, dir) = (wiring::core(&config), ModelDisk::new(1), tempfile::tempdir().unwrap());
        let view = Arc::new(View::new(Shown::of(&core, LogShown::default())));
        let clock: Clock = Arc::new(|| NOW);
        let log = Log::on(Box::new(disk.clone()), Bounds::default()).unwrap();
        let times = Times { tick: Duration::from_millis(20), keep: Duration::from_secs(3600) };
        let limits = KeepLimits {
            window: config.window,
            memory: config.memory / 2,
            retention: config.retention,
            bytes: config.history_bytes,
        };
        let checkpoints = Checkpoints::new(Box::new(Shelf(disk.clone())), limits);
        let kept = Kept { dir: dir.path().to_owned(), checkpoints, by: wiring::made_by(&config) };
        let live = Live::open(core, log, kept, Arc::clone(&clock), times, Arc::clone(&view)).unwrap();
        let (inlet, inbox) = inlet(InletLimits::default());
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || live.run(inbox, &runtime));
        let door = Door::new(Anonymous::All, Vec::new()).unwrap();
        let routes = whyd_api::router(Api::new(view, door, clock), Router::new());
        Self { disk, inlet, routes, random: Random::new(1), _dir: dir }
    }

    async fn send(&mut self) -> Reply {
        let message = Message::any(&mut self.random, NOW, 0);
        let (media, body) = (message.media, message.body);
        self.inlet.send(Envelope { received: NOW, media, tenant: None, body }).await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Readiness, liveness and whether reads are answered.
    async fn health(&self) -> (u16, u16, u16) {
        let (ready, live, restarts) = ("/readyz", "/livez", "/api/v1/restarts");
        (self.get(ready).await.0, self.get(live).await.0, self.get(restarts).await.0)
    }

    async fn metric(&self, line: &str) -> bool {
        self.get("/metrics").await.1.lines().any(|l| l == line)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_says_so_and_passes_by_itself() {
    for late in [false, true] {
        let mut daemon = Daemon::start();
        daemon.disk.faults(Faults { late, ..Faults::default() });
        assert!(matches!(daemon.send().await, Reply::Stored { .. }));
        assert_eq!(daemon.health().await, (200, 200, 200));
        daemon.disk.leave_space(10);
        for _ in 0..3 {
            let reply = daemon.send().await;
            assert!(matches!(&reply, Reply::Overloaded(why) if why.contains("no space")), "{reply:?}");
        }
        assert_eq!(daemon.health().await, (503, 200, 200), "late {late}");
        assert!(daemon.get("/readyz").await.1.contains("no space"));
        assert!(daemon.metric("whyd_log_errors_total{reason=\"full\"} 3").await, "{}", daemon.get("/metrics").await.1);
        assert!(daemon.metric("whyd_log_writable 0").await);
        // Nobody sends anything, and it is well again.
        daemon.disk.leave_space(usize::MAX);
        until("ready again", async || (daemon.health().await == (200, 200, 200)).then_some(())).await;
        assert!(daemon.metric("whyd_log_writable 1").await);
        assert!(matches!(daemon.send().await, Reply::Stored { .. }));
        // And with a message that comes before anyone looked.
        daemon.disk.leave_space(10);
        assert!(matches!(daemon.send().await, Reply::Overloaded(_)));
        daemon.disk.leave_space(usize::MAX);
        assert!(matches!(daemon.send().await, Reply::Stored { .. }));
        assert_eq!(daemon.health().await, (200, 200, 200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_final_answers_reads_and_asks_for_a_restart() {
    let mut daemon = Daemon::start();
    assert!(matches!(daemon.send().await, Reply::Stored { .. }));
    daemon.disk.faults(Faults { sync: 1, ..Faults::default() });
    assert!(matches!(daemon.send().await, Reply::Overloaded(_)));
    daemon.disk.faults(Faults::default());
    let syncs = daemon.disk.counts().syncs;
    for _ in 0..3 {
        let reply = daemon.send().await;
        assert!(matches!(&reply, Reply::Overloaded(why) if why.contains("cannot be written")), "{reply:?}");
    }
    assert_eq!(daemon.health().await, (503, 503, 200));
    assert!(daemon.get("/livez").await.1.contains("restart"));
    assert!(daemon.metric("whyd_log_errors_total{reason=\"failed\"} 1").await);
    assert!(daemon.metric("whyd_log_writable 0").await);
    assert_eq!(daemon.disk.counts().syncs, syncs, "nothing is tried again");
}
