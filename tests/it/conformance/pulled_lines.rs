//! Lines that are asked for: of the real Loki where `LOKI` names it, else of the server that is made up for the tests.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use super::rows::{POD, Rows};
use super::{Source, Way, conforms};
use crate::daemon::{request, unchunked};
use crate::gate::Gate;
use crate::pull::ago;
use crate::pull::loki::RealLoki;
use crate::pull::loki_server::LokiServer;
use crate::remote_write::now;
use crate::server::version;

enum Loki {
    Real { loki: RealLoki, _dir: TempDir },
    MadeUp(LokiServer),
}

impl Loki {
    async fn add(&self, lines: &[(i64, String)]) {
        match self {
            Self::Real { loki, .. } => loki.push(POD.0, lines).await,
            Self::MadeUp(loki) => lines.iter().for_each(|(ns, text)| loki.add_of(POD.1, *ns, POD.0, text)),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Real { loki, .. } => loki.address,
            Self::MadeUp(loki) => loki.address,
        }
    }
}

impl Source for Loki {
    const WIRE: &'static str = "query_range of lines";
    const WAY: Way = Way::IsAsked(60_000);
    const COUNTED: &'static [&'static str] = &["logs"];
    const READY: &'static [&'static str] = &["pulled logs"];

    async fn start(gate: &Gate, _: Option<&str>) -> Self {
        let loki = if std::env::var_os("LOKI").is_some() {
            let dir = tempfile::tempdir().unwrap();
            Self::Real { loki: RealLoki::start(dir.path()).await, _dir: dir }
        } else {
            Self::MadeUp(LokiServer::start().await)
        };
        let start = ago(900) * 1_000_000;
        let lines: Vec<(i64, String)> = (0..3000)
            .map(|n| (start + n / 3, format!("line {n}: é \"quoted\"\t{}", "x".repeat(n as usize % 50))))
            .collect();
        loki.add(&lines).await;
        gate.lead(loki.address());
        loki
    }

    fn other_side(&self) -> String {
        match self {
            Self::Real { .. } => format!("{} (real)", version(&std::env::var("LOKI").unwrap())),
            Self::MadeUp(_) => "a server made up for the tests (a stand-in for Loki)".to_owned(),
        }
    }

    fn config(&self, gate: SocketAddr) -> String {
        format!("pull: {{loki: [{{name: kit, url: \"http://{gate}\", interval: 1s, tenants: [{}]}}]}}\n", POD.0)
    }

    async fn offer(&mut self) {
        let at = now() * 1_000_000;
        self.add(&[(at, format!("offered at {at}")), (at, "another of that time".to_owned())]).await;
    }

    async fn has(&mut self, from: i64, to: i64) -> Rows {
        let mut rows = Rows::default();
        let from = from.max(ago(3600) * 1_000_000);
        let path = format!(
            "/loki/api/v1/query_range?query=%7Bnamespace%3D~%22.%2B%22%7D&direction=forward&limit=5000&start={from}&end={}",
            to + 1
        );
        let headers = format!("x-scope-orgid: {}\r\nx-loki-response-encoding-flags: categorize-labels\r\n", POD.0);
        let (status, body) = request(self.address(), "GET", &path, &headers, b"").await.unwrap();
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&unchunked(&body)).unwrap();
        for value in answer["data"]["result"].as_array().unwrap().iter().flat_map(|s| s["values"].as_array().unwrap()) {
            rows.line(value[0].as_str().unwrap().parse().unwrap(), value[1].as_str().unwrap());
        }
        rows
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loki_is_asked_for_lines() {
    conforms::<Loki>().await;
}
