//! Lines that are pushed. No shipper is packaged by Debian, so an agent written here stands in: it sends a batch until it is
//! answered, as they all do, in JSON, compressed every second time.

use std::io::Write;
use std::net::SocketAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::rows::{POD, Rows};
use super::{Source, Way, conforms};
use crate::daemon::request;
use crate::gate::Gate;
use crate::remote_write::now;
use crate::until::until;

const LINES: i64 = 200;

struct Agent {
    to: SocketAddr,
    token: String,
    batches: i64,
    sent: Rows,
}

impl Source for Agent {
    const WIRE: &'static str = "Loki push";
    const WAY: Way = Way::Sends(|daemon| daemon.address);
    const COUNTED: &'static [&'static str] = &["logs"];
    const READY: &'static [&'static str] = &["logs"];

    async fn start(gate: &Gate, token: Option<&str>) -> Self {
        let token = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
        Self { to: gate.address, token, batches: 0, sent: Rows::default() }
    }

    fn other_side(&self) -> String {
        "an agent made up for the tests (a stand-in for Alloy and the like)".to_owned()
    }

    async fn offer(&mut self) {
        self.batches += 1;
        let at = now() * 1_000_000;
        let text = |n: i64| format!("batch {} line {n}: é \"quoted\"\t{}", self.batches, "x".repeat(n as usize % 90));
        // three lines of each time
        let lines: Vec<(i64, String)> = (0..LINES).map(|n| (at + n / 3, text(n))).collect();
        let values: Vec<_> = lines.iter().map(|(ns, text)| json!([ns.to_string(), text])).collect();
        let stream = json!({"namespace": POD.0, "pod": POD.1, "container": POD.2});
        let mut body = json!({"streams": [{"stream": stream, "values": values}]}).to_string().into_bytes();
        let mut headers = format!("content-type: application/json\r\n{}", self.token);
        if self.batches % 2 == 0 {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&body).unwrap();
            body = gzip.finish().unwrap();
            headers.push_str("content-encoding: gzip\r\n");
        }
        let status = until("an answer to a push", async || {
            let answer = request(self.to, "POST", "/loki/api/v1/push", &headers, &body).await;
            answer.map(|(status, _)| status).filter(|status| *status < 500)
        })
        .await;
        if status == 204 {
            lines.iter().for_each(|(ns, text)| self.sent.line(*ns, text));
        } else {
            assert_eq!(status, 401);
        }
    }

    async fn has(&mut self, from: i64, to: i64) -> Rows {
        self.sent.clone().within(from, to)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pushes_lines() {
    conforms::<Agent>().await;
}
