//! Debian's Prometheus as a process of its own, with nothing to scrape.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Prometheus {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("prometheus.yml");
        std::fs::write(&config, "storage: {tsdb: {out_of_order_time_window: 1000d}}\n").unwrap();
        // Free a moment ago; should another take it meanwhile, Prometheus ends and says so.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let spawned = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver", "--log.level=error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                panic!("this test needs the real Prometheus: apt-get install -y --no-install-recommends prometheus")
            }
            Err(e) => panic!("prometheus cannot be started: {e}"),
        };
        let mut this = Self { child, address, _dir: dir };
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..600 {
            looks.tick().await;
            if let Some(ended) = this.child.try_wait().unwrap() {
                panic!("prometheus ended: {ended}");
            }
            if this.request("GET", "/-/ready", "", b"").await.is_some_and(|(status, _)| status == 200) {
                return this;
            }
        }
        panic!("prometheus was not ready after 30 s");
    }

    /// One remote write.
    pub(super) async fn write(&mut self, body: &[u8]) {
        let headers = "content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\n";
        let answer = self.request("POST", "/api/v1/write", headers, body).await;
        assert!(answer.as_ref().is_some_and(|(status, _)| *status == 204), "{answer:?}");
    }

    /// A form to one of the paths of its API.
    pub(super) async fn ask(&self, path: &str, form: &str) -> (u16, Value) {
        let headers = "content-type: application/x-www-form-urlencoded\r\n";
        let answer = self.request("POST", &format!("/api/v1/{path}"), headers, form.as_bytes()).await;
        let (status, body) = answer.expect("prometheus answers");
        (status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}")))
    }

    /// By HTTP 1.0, so that the body ends with the connection.
    async fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<(u16, String)> {
        let mut socket = TcpStream::connect(self.address).await.ok()?;
        let head = format!("{method} {path} HTTP/1.0\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        socket.write_all(head.as_bytes()).await.ok()?;
        socket.write_all(body).await.ok()?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.ok()?;
        let text = String::from_utf8(answer).ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
