//! Debian's Prometheus and VictoriaMetrics, which are written to and asked, and may be killed and come back.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{Samples, said};
use crate::daemon::request;
use crate::remote_write::encode::{Series, snappy, version1};
use crate::until::until;

/// Samples of one write.
const BATCH: usize = 5000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Prometheus,
    VictoriaMetrics,
}

pub(crate) struct Server {
    kind: Kind,
    child: Option<Child>,
    pub(crate) address: SocketAddr,
    dir: TempDir,
}

impl Server {
    pub(crate) async fn start(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = "global: {external_labels: {server: main}}\nstorage: {tsdb: {out_of_order_time_window: 1d}}\n";
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        // Free a moment ago, and kept over restarts.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut server = Self { kind, child: None, address, dir };
        server.again().await;
        server
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it over what it had.
    pub(crate) async fn again(&mut self) {
        let (dir, at) = (self.dir.path().display(), self.address);
        let (program, args, ready) = match self.kind {
            Kind::Prometheus => (
                "prometheus",
                vec![
                    format!("--config.file={dir}/prometheus.yml"),
                    format!("--storage.tsdb.path={dir}/data"),
                    format!("--web.listen-address={at}"),
                    "--web.enable-remote-write-receiver".to_owned(),
                    "--log.level=error".to_owned(),
                ],
                "/-/ready",
            ),
            Kind::VictoriaMetrics => (
                "victoria-metrics",
                vec![format!("-storageDataPath={dir}/data"), format!("-httpListenAddr={at}")],
                "/health",
            ),
        };
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|e| panic!("{program}: {e}; apt-get install {program}")));
        until(program, async || {
            let (status, _) = request(at, "GET", ready, "", b"").await?;
            (status == 200).then_some(())
        })
        .await;
    }

    /// Writes them as they come in life, all series of a time before those of the next: Prometheus 2.42 goes without the
    /// first chunk of some series that are new to it while it writes older times of others to a block.
    pub(crate) async fn write(&self, all: &[Series]) {
        let headers = "content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\n";
        let at_once = (BATCH / all.len().max(1)).max(1);
        let longest = all.iter().map(|s| s.samples.len()).max().unwrap_or(0);
        for first in (0..longest).step_by(at_once) {
            let slice = |series: &Series| {
                let mut slice = series.clone();
                slice.samples = series.samples.iter().skip(first).take(at_once).copied().collect();
                slice
            };
            let batch: Vec<Series> = all.iter().map(slice).filter(|s| !s.samples.is_empty()).collect();
            let body = snappy(&version1(&batch));
            let answer = request(self.address, "POST", "/api/v1/write", headers, &body).await;
            assert!(answer.as_ref().is_some_and(|(status, _)| *status == 204), "{answer:?}");
        }
        if self.kind == Kind::VictoriaMetrics {
            request(self.address, "GET", "/internal/force_flush", "", b"").await.unwrap();
        }
    }

    /// Every sample of these series up to a time, as it answers it, with the labels that it gives to who reads remotely.
    pub(crate) async fn raw(&self, query: &str, until: i64) -> Samples {
        let form = form(&[("query", query), ("time", &format!("{}", until as f64 / 1000.0))]);
        let mut samples = said(&self.ask("query", &form).await);
        if self.kind == Kind::Prometheus {
            samples =
                samples.into_iter().map(|(labels, s)| (labels.replacen('}', ",\"server\":\"main\"}", 1), s)).collect();
        }
        samples
    }

    pub(crate) async fn range(&self, query: &str, (start, end, step): (i64, i64, i64)) -> Samples {
        let second = |ms: i64| format!("{}", ms as f64 / 1000.0);
        let form = form(&[("query", query), ("start", &second(start)), ("end", &second(end)), ("step", &second(step))]);
        said(&self.ask("query_range", &form).await)
    }

    async fn ask(&self, path: &str, form: &str) -> Value {
        let headers = "content-type: application/x-www-form-urlencoded\r\n";
        let text = request(self.address, "POST", &format!("/api/v1/{path}"), headers, form.as_bytes()).await.unwrap();
        assert_eq!(text.0, 200, "{}", text.1);
        let body = crate::daemon::unchunked(&text.1);
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn form(pairs: &[(&str, &str)]) -> String {
    let url = reqwest::Url::parse_with_params("http://form/", pairs).unwrap();
    url.query().unwrap().to_owned()
}
