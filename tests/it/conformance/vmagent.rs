//! VictoriaMetrics' agent, as Debian packages it, which scrapes Debian's node exporter and sends to the daemon and to a
//! Prometheus: that one says what it was.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::prometheus::{exporter, of_node, prometheus, scraped};
use super::rows::Rows;
use super::{Source, Way, conforms};
use crate::gate::Gate;
use crate::server::{Server, packaged, version, written};

struct Vmagent {
    child: Child,
    beside: Server,
    _exporter: Server,
    _dirs: [TempDir; 2],
}

impl Source for Vmagent {
    const WIRE: &'static str = "remote write 1.0";
    const WAY: Way = Way::Sends(|daemon| daemon.address);
    const COUNTED: &'static [&'static str] = &["metrics"];
    const READY: &'static [&'static str] = &["metrics"];

    async fn start(gate: &Gate, token: Option<&str>) -> Self {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let exporter = exporter();
        let late = "storage: {tsdb: {out_of_order_time_window: 1h}}\n";
        let beside = prometheus(&dirs[0], late, &["--web.enable-remote-write-receiver"]).await;
        let config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
            scrape_configs: [{{job_name: node, static_configs: [{{targets: [\"{}\"]}}]}}]\n",
            exporter.address
        );
        let file = written(dirs[1].path(), "scrape.yml", &config);
        let mut command = Command::new("vmagent");
        command.args([
            format!("-promscrape.config={file}"),
            // Nobody asks it: a port that was free a moment ago may be another test's by now.
            "-httpListenAddr=127.0.0.1:0".to_owned(),
            format!("-remoteWrite.url=http://{}/api/v1/write", gate.address),
            format!("-remoteWrite.url=http://{}/api/v1/write", beside.address),
            format!("-remoteWrite.tmpDataPath={}", dirs[1].path().join("queue").display()),
            "-remoteWrite.flushInterval=200ms".to_owned(),
        ]);
        command.args(token.map(|token| format!("-remoteWrite.bearerToken={token}")));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|e| panic!("vmagent: {e}; apt-get install victoria-metrics"));
        Self { child, beside, _exporter: exporter, _dirs: dirs }
    }

    fn other_side(&self) -> String {
        // its own `-version` says nothing in Debian's build
        let scraped = version("prometheus-node-exporter");
        format!("vmagent {} (real), which scrapes {scraped} (real)", packaged("victoria-metrics"))
    }

    async fn offer(&mut self) {
        scraped(self.beside.address).await;
    }

    async fn has(&mut self, from: i64, to: i64) -> Rows {
        of_node(self.beside.address, from, to).await
    }
}

impl Drop for Vmagent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vmagent_sends_by_remote_write() {
    conforms::<Vmagent>().await;
}
