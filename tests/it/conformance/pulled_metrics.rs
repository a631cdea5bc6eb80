//! Metrics that are asked for: of Debian's Prometheus by remote read, and of Debian's VictoriaMetrics by `query_range`,
//! whose answers are what it makes of its samples at each step.

use std::net::SocketAddr;

use super::rows::Rows;
use super::{Source, Way, conforms};
use crate::gate::Gate;
use crate::pull::ago;
use crate::pull::prometheus::series;
use crate::pull::servers::{Kind, Server};
use crate::remote_write::now;
use crate::server::{packaged, version};

/// Between two values that VictoriaMetrics is asked for, in milliseconds.
const STEP: i64 = 10_000;

struct RemoteRead(Server);

impl Source for RemoteRead {
    const WIRE: &'static str = "remote read";
    const WAY: Way = Way::IsAsked(80_000);
    const COUNTED: &'static [&'static str] = &["metrics"];
    const READY: &'static [&'static str] = &["pulled metrics"];

    async fn start(gate: &Gate, _: Option<&str>) -> Self {
        let server = Server::start(Kind::Prometheus).await;
        server.write(&series("pulled_bytes", 50, 2 * 3600, 30)).await;
        gate.lead(server.address);
        Self(server)
    }

    fn other_side(&self) -> String {
        format!("{} (real)", version("prometheus"))
    }

    fn config(&self, gate: SocketAddr) -> String {
        format!("pull: {{prometheus: [{{name: kit, url: \"http://{gate}\", select: [pulled_bytes], interval: 1s}}]}}\n")
    }

    /// What it has is asked for when the daemon starts.
    async fn offer(&mut self) {}

    async fn has(&mut self, from: i64, to: i64) -> Rows {
        Rows::of_samples(&self.0.raw("pulled_bytes[6h]", now()).await).within(from, to)
    }
}

struct QueryRange {
    server: Server,
    /// In milliseconds.
    start: i64,
    end: i64,
}

impl Source for QueryRange {
    const WIRE: &'static str = "query_range of metrics";
    const WAY: Way = Way::IsAsked(20_000);
    const COUNTED: &'static [&'static str] = &["metrics"];
    const READY: &'static [&'static str] = &["pulled metrics"];

    async fn start(gate: &Gate, _: Option<&str>) -> Self {
        let server = Server::start(Kind::VictoriaMetrics).await;
        server.write(&series("pulled_bytes", 20, 3600, 100)).await;
        gate.lead(server.address);
        Self { server, start: ago(3500) / STEP * STEP, end: ago(120) / STEP * STEP }
    }

    fn other_side(&self) -> String {
        // its own `-version` says nothing in Debian's build
        format!("victoria-metrics {} (real)", packaged("victoria-metrics"))
    }

    fn config(&self, gate: SocketAddr) -> String {
        format!(
            "pull: {{prometheus: [{{name: kit, url: \"http://{gate}\", method: query_range, step: {STEP}ms, \
            interval: 1s, select: [pulled_bytes]}}]}}\n"
        )
    }

    /// What it has is asked for when the daemon starts.
    async fn offer(&mut self) {}

    async fn has(&mut self, _: i64, _: i64) -> Rows {
        Rows::of_samples(&self.server.range("pulled_bytes", (self.start, self.end, STEP)).await)
    }

    fn compared(&self) -> (i64, Option<i64>) {
        (self.start * 1_000_000, Some(self.end * 1_000_000))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_is_asked_by_remote_read() {
    conforms::<RemoteRead>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_is_asked_by_query_range() {
    conforms::<QueryRange>().await;
}
