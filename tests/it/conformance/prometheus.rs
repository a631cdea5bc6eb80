//! Debian's Prometheus, which scrapes Debian's node exporter and sends by remote write.

use std::net::SocketAddr;

use tempfile::TempDir;

use super::rows::Rows;
use super::{Source, Way, conforms};
use crate::daemon::{get_json, request};
use crate::gate::Gate;
use crate::remote_write::now;
use crate::server::{Server, version, written};
use crate::until::until;

/// A node exporter.
pub(super) fn exporter() -> Server {
    let args = ["--web.listen-address=127.0.0.1:0".to_owned()];
    Server::start("prometheus-node-exporter", "prometheus-node-exporter", &args)
}

/// A Prometheus with this in its configuration.
pub(super) async fn prometheus(dir: &TempDir, config: &str, args: &[&str]) -> Server {
    let file = written(dir.path(), "prometheus.yml", config);
    let mut all = vec![
        format!("--config.file={file}"),
        format!("--storage.tsdb.path={}", dir.path().join("data").display()),
        "--web.listen-address=127.0.0.1:0".to_owned(),
    ];
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    let server = Server::start("prometheus", "prometheus", &all);
    until("prometheus to be ready", async || {
        let (status, _) = request(server.address, "GET", "/-/ready", "", b"").await?;
        (status == 200).then_some(())
    })
    .await;
    server
}

/// What a Prometheus has of the node exporter, as it was written.
pub(super) async fn of_node(at: SocketAddr, from: i64, to: i64) -> Rows {
    let to = to.div_euclid(1_000_000);
    let path = format!("/api/v1/query?query=%7Bjob%3D%22node%22%7D%5B1h%5D&time={}", to as f64 / 1000.0);
    Rows::of_matrix(&get_json(at, &path).await).within(from, to * 1_000_000)
}

/// Until a Prometheus has a scrape that begins from here on.
pub(super) async fn scraped(at: SocketAddr) {
    let from = now();
    until("a scrape", async || {
        let newest = get_json(at, "/api/v1/query?query=timestamp(up)").await;
        let newest: f64 = newest["data"]["result"][0]["value"][1].as_str()?.parse().unwrap();
        (newest * 1000.0 > from as f64).then_some(())
    })
    .await;
}

struct Prometheus {
    server: Server,
    _exporter: Server,
    _dir: TempDir,
}

impl Source for Prometheus {
    const WIRE: &'static str = "remote write 1.0";
    const WAY: Way = Way::Sends(|daemon| daemon.address);
    const COUNTED: &'static [&'static str] = &["metrics"];
    const READY: &'static [&'static str] = &["metrics"];

    async fn start(gate: &Gate, token: Option<&str>) -> Self {
        let (dir, exporter) = (tempfile::tempdir().unwrap(), exporter());
        let credentials = token.map_or(String::new(), |token| format!("authorization: {{credentials: {token}}}, "));
        let config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
            scrape_configs: [{{job_name: node, static_configs: [{{targets: [\"{}\"]}}]}}]\n\
            remote_write: [{{url: \"http://{}/api/v1/write\", {credentials}queue_config: {{batch_send_deadline: \
            200ms}}}}]\n",
            exporter.address, gate.address
        );
        Self { server: prometheus(&dir, &config, &[]).await, _exporter: exporter, _dir: dir }
    }

    fn other_side(&self) -> String {
        let (sender, scraped) = (version("prometheus"), version("prometheus-node-exporter"));
        format!("{sender} (real), which scrapes {scraped} (real)")
    }

    async fn offer(&mut self) {
        scraped(self.server.address).await;
    }

    async fn has(&mut self, from: i64, to: i64) -> Rows {
        of_node(self.server.address, from, to).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_sends_by_remote_write() {
    conforms::<Prometheus>().await;
}
