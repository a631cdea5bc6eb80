//! Promise 13: a thousand slow sockets hold up nobody and are closed.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PROTO, QUIET, Sender, body, metric, now_ms, quantile};
use crate::daemon::Process;

const SLOW: usize = 1_000;
const POST: &str = "POST /api/v1/write HTTP/1.1\r\nhost: whyd\r\n";
/// Their deadline, and what a machine that does other things may take on top.
const CLOSED: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_sockets_are_closed_and_hold_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_in(dir.path(), QUIET, &[]);
    let mut healthy = Sender::connect(daemon.address).await;
    let mut slow = Vec::new();
    let address = daemon.address;
    for n in 0..SLOW {
        // Nothing, half a head, half a body, or some of one and then a byte a second.
        let text = match n % 4 {
            0 => String::new(),
            1 => "POST /api/v1/write HTTP/1.1\r\nhost: wh".to_owned(),
            2 => format!("{POST}{PROTO}content-length: 1000\r\n\r\n{}", "x".repeat(500)),
            _ => format!("{POST}{PROTO}content-length: 1000000\r\n\r\n{}", "x".repeat(40_000)),
        };
        // One after the other: a queue of the kernel that is full loses connections without a word.
        let mut socket = TcpStream::connect(address).await.unwrap();
        slow.push(tokio::spawn(async move {
            socket.write_all(text.as_bytes()).await.unwrap();
            let begun = Instant::now();
            let (mut from, mut to) = socket.into_split();
            let mut answer = Vec::new();
            let trickle = async {
                while n % 4 == 3 && to.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                _ = from.read_to_end(&mut answer) => {}
                () = trickle => {}
            }
            begun.elapsed()
        }));
    }
    let t = now_ms();
    let mut took = Vec::new();
    let begun = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while begun.elapsed() < CLOSED.0 / 2 {
        pace.tick().await;
        let body = body("team-a", 0..50, t + took.len() as i64);
        let sent = Instant::now();
        assert_eq!(healthy.write(&body).await, Some(204));
        took.push(sent.elapsed());
    }
    let (p50, p99) = (quantile(&mut took, 0.5), quantile(&mut took, 0.99));
    let mut longest = Duration::ZERO;
    for socket in slow {
        longest = longest.max(socket.await.unwrap());
    }
    println!(
        "{} writes beside {SLOW} slow sockets: p50 {p50:?}, p99 {p99:?}; the last was closed after {longest:?}",
        took.len()
    );
    assert!(p99 < Duration::from_millis(250), "p99 {p99:?}");
    assert!(longest < CLOSED.0 + CLOSED.1, "closed after {longest:?}");
    let late = metric(daemon.address, "whyd_connections_total{listener=\"http\",outcome=\"late\"}").await.unwrap();
    assert!(late >= (SLOW / 4) as f64, "{late} counted as late");
}
