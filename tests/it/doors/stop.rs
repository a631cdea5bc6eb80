//! Promise 24: SIGTERM under load. What is in flight is answered, nothing acknowledged is lost, and it ends in time.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PROTO, QUIET, Sender, body, now_ms};
use crate::daemon::{Process, get_json, request};
use crate::until::until;

const SENDERS: usize = 4;
/// How long the daemon may take to end.
const WITHIN: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_under_load_it_answers_what_it_has_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Process::start_in(dir.path(), QUIET, &[]);
    let address = daemon.address;
    let t = now_ms() - 60_000;
    let acknowledged = Arc::new(AtomicI64::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|n| {
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                let mut sender = Sender::connect(address).await;
                for ms in t.. {
                    match sender.write(&body(&format!("team-{n}"), 0..20, ms)).await {
                        Some(204) => acknowledged.fetch_add(20, Relaxed),
                        // Nothing is refused on the way out; the connection ends between two requests.
                        Some(status) => panic!("answered {status}"),
                        None => return,
                    };
                }
            })
        })
        .collect();
    until("a load", async || (acknowledged.load(Relaxed) > 2_000).then_some(())).await;

    // One is in the middle of a body.
    let whole = body("team-slow", 0..20, t);
    let (first, rest) = whole.split_at(whole.len() / 2);
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{PROTO}content-length: {}\r\n\r\n",
        whole.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The daemon says so when it begins to read the body.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(first).await.unwrap();
    daemon.signal("TERM");
    let asked = Instant::now();
    let unready = async || {
        let (status, text) = request(address, "GET", "/readyz", "", b"").await?;
        (status == 503 && text.contains("it is stopping")).then_some(())
    };
    until("it to be unready", unready).await;
    let before = acknowledged.load(Relaxed);
    until("the load to go on", async || (acknowledged.load(Relaxed) > before).then_some(())).await;
    until("the door to be shut", async || TcpStream::connect(address).await.is_err().then_some(())).await;
    for sender in senders {
        sender.await.unwrap();
    }
    slow.write_all(rest).await.unwrap();
    let mut slow = Sender { socket: slow };
    assert_eq!(slow.status().await, Some(204), "what was in flight is answered");
    acknowledged.fetch_add(20, Relaxed);
    assert_eq!(daemon.ended().await, Some(0));
    let took = asked.elapsed();
    assert!(took < WITHIN, "it took {took:?}");
    assert_eq!(daemon.panics(), 0);

    let daemon = Process::start_in(dir.path(), QUIET, &[]);
    let ask =
        format!("/prometheus/api/v1/query?query=sum(count_over_time(requests_total%5B2h%5D))&time={}", t / 1000 + 600);
    let found = get_json(daemon.address, &ask).await;
    let found: i64 = found["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    let acknowledged = acknowledged.load(Relaxed);
    println!("{acknowledged} rows acknowledged, {found} found; it ended {took:?} after SIGTERM");
    assert!(found >= acknowledged, "{found} of {acknowledged} rows");
}
