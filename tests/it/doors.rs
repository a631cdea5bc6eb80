//! What the daemon keeps at its doors: promises 9 to 13, 15, 16 and 24, each with the real process over its real ports.
//!
//! Longer forms: `WHYD_RAW_BODIES` bodies of any bytes, `WHYD_HOSTILE_ROUNDS` rounds of hostile headers,
//! `WHYD_LOAD_SECONDS` of the load of two teams, each half of it.

mod answers;
mod churn;
mod flood;
mod hostile;
mod slow;
mod stop;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::daemon::request;
use crate::remote_write::encode::{Series, snappy, version1};

const QUIET: &str = "kubernetes: {enabled: false}\nlimits: {tick: 100ms}\n";
const PROTO: &str = "content-type: application/x-protobuf\r\n";
const JSON: &str = "content-type: application/json\r\n";

pub(crate) fn now_ms() -> i64 {
    // the daemon is a process of its own, with the real clock
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as i64
}

/// A body of remote write: a sample of each series from the first to the last number, all of one namespace.
fn body(namespace: &str, series: std::ops::Range<usize>, ms: i64) -> Vec<u8> {
    snappy(&version1(&samples(namespace, series, ms)))
}

fn samples(namespace: &str, series: std::ops::Range<usize>, ms: i64) -> Vec<Series> {
    let one = |n: usize| {
        let pod = format!("pod-{n}");
        Series::new(&[("__name__", "requests_total"), ("namespace", namespace), ("pod", &pod)], &[(ms, n as f64)])
    };
    series.map(one).collect()
}

pub(crate) async fn metric(to: SocketAddr, series: &str) -> Option<f64> {
    let (_, text) = request(to, "GET", "/metrics", "", b"").await?;
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

/// The value below which this part of them lies.
fn quantile(of: &mut [Duration], part: f64) -> Duration {
    of.sort_unstable();
    let at = ((of.len() - 1) as f64 * part).round() as usize;
    of[at]
}

/// A sender with a connection of its own that it keeps.
pub(crate) struct Sender {
    socket: TcpStream,
}

impl Sender {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let socket = TcpStream::connect(to).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket }
    }

    /// One remote write; its status, `None` when the daemon has gone.
    pub(crate) async fn write(&mut self, body: &[u8]) -> Option<u16> {
        let head =
            format!("POST /api/v1/write HTTP/1.1\r\nhost: whyd\r\n{PROTO}content-length: {}\r\n\r\n", body.len());
        self.socket.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
        self.status().await
    }

    /// The status of the next answer, read to its end.
    async fn status(&mut self) -> Option<u16> {
        let mut got = Vec::new();
        loop {
            if let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
                while got.len() < end + 4 + length {
                    if self.socket.read_buf(&mut got).await.ok()? == 0 {
                        return None;
                    }
                }
                return head.split(' ').nth(1)?.parse().ok();
            }
            if self.socket.read_buf(&mut got).await.ok()? == 0 {
                return None;
            }
        }
    }
}
