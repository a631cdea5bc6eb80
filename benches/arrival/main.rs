//! How long it takes from a restart's arrival at the API server's watch until its verdict can be asked for, while samples and
//! lines flow in: `cargo bench --bench arrival`.
//!
//! The daemon runs as a process of its own, watches an API server that tells of a killed container every 100 ms, and takes in
//! 200,000 samples and 20,000 lines a second over two connections, its log on a disk. Each restart is asked for every 5 ms over
//! HTTP until its cause is there: what is told is an upper bound by as much.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]
// A load reads the clock and waits for its time.
#![allow(clippy::disallowed_methods)]

mod cluster;
#[path = "../loki_push/lines.rs"]
#[allow(dead_code)]
mod lines;
#[path = "../loki_push/encode.rs"]
#[allow(dead_code)]
mod lines_encode;
#[path = "../remote_write/encode.rs"]
#[allow(dead_code)]
mod samples_encode;
#[path = "../measured/server.rs"]
#[allow(dead_code)]
mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use samples_encode::{Load, Order, Version};
use server::{Push, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use whyd::capture::Capture;
use whyd::fixture_api::FixtureApi;

/// How many restarts, and one in which time.
const RESTARTS: usize = 300;
const EVERY: Duration = Duration::from_millis(100);
/// Pushes a second, of 2,000 samples and of 2,000 lines.
const SAMPLE_PUSHES: u32 = 100;
const LINE_PUSHES: u32 = 10;
const ASKED_EVERY: Duration = Duration::from_millis(5);
/// Of one restart; over it the bench fails.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    for name in ["with the load", "at rest"] {
        let mut taken = round(name == "with the load");
        taken.sort_unstable();
        let at = |share: f64| taken[(taken.len() as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "{name}: {} restarts, from arrival to verdict {:.0} ms in the median, {:.0} ms for 99 of 100, {:.0} ms at the most",
            taken.len(),
            at(0.5),
            at(0.99),
            taken[taken.len() - 1].as_secs_f64() * 1e3
        );
    }
}

fn round(loaded: bool) -> Vec<Duration> {
    let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let seconds = (RESTARTS as u32 * EVERY.as_millis() as u32).div_ceil(1000) + 5;
    let rounds = (seconds * SAMPLE_PUSHES / 50) as usize;
    let load = Load { series: 100_000, rounds, order: Order::Same, version: Version::One };
    let (samples, lines) = match loaded {
        true => {
            let lines = (seconds * LINE_PUSHES) as usize * 2_000;
            (load.pushes(), lines_encode::pushes(lines_encode::Form::Proto, lines, 1).0)
        }
        false => Default::default(),
    };
    let begins = cluster::write(&dir.path().join("capture"), RESTARTS, EVERY);
    let capture = Capture::open(dir.path().join("capture")).unwrap();
    assert!(capture.problems().is_empty(), "{:?}", capture.problems());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (time, told) = watch::channel(capture.start());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let api = listener.local_addr().unwrap();
    let served = runtime.spawn(FixtureApi::new(&capture, told).serve(listener));
    let server = Server::whyd_with(dir.path(), &format!("kubernetes: {{url: \"http://{api}\"}}\n"));
    let taken = std::thread::scope(|scope| {
        scope.spawn(|| paced(&server, &samples, SAMPLE_PUSHES));
        scope.spawn(|| paced(&server, &lines, LINE_PUSHES));
        runtime.block_on(asked(&server, &time, begins))
    });
    served.abort();
    taken
}

/// So many pushes a second; one that is late is made up for.
fn paced(server: &Server, pushes: &[Push], a_second: u32) {
    let began = Instant::now();
    let due = pushes.iter().enumerate().map(|(n, push)| {
        let at = Duration::from_secs(1) / a_second * n as u32;
        std::thread::sleep(at.saturating_sub(began.elapsed()));
        push
    });
    server.send(due);
    let behind = began.elapsed().saturating_sub(Duration::from_secs(1) / a_second * pushes.len() as u32);
    assert!(behind < Duration::from_secs(2), "the load was not taken in time: {behind:?} late");
}

/// Tells of one restart after the other when it is due, and asks until each has its verdict.
async fn asked(
    server: &Server,
    time: &watch::Sender<whyd_signals::Timestamp>,
    begins: cluster::Times,
) -> Vec<Duration> {
    let cause = async |n: usize| {
        let path = format!("/api/v1/why?namespace={}&pod={}", cluster::NAMESPACE, cluster::pod(n));
        let answer = get(server.address(), &path).await;
        let cause = answer.split_once("\"cause\":\"")?.1;
        cause.split('"').next().map(str::to_owned)
    };
    let began = Instant::now();
    let mut looks = tokio::time::interval(ASKED_EVERY);
    let (mut told, mut waiting, mut taken) = (0, Vec::new(), Vec::new());
    while taken.len() < RESTARTS {
        looks.tick().await;
        if told < RESTARTS && began.elapsed() >= Duration::from_secs(2) + EVERY * told as u32 {
            waiting.push((told, Instant::now()));
            time.send_replace(begins.of(told));
            told += 1;
        }
        let mut open = Vec::new();
        for (n, since) in waiting {
            match cause(n).await {
                Some(cause) => {
                    assert_eq!(cause, "oom-limit", "{}", cluster::pod(n));
                    taken.push(since.elapsed());
                }
                None => {
                    assert!(since.elapsed() < PATIENCE, "no verdict for {}", cluster::pod(n));
                    open.push((n, since));
                }
            }
        }
        waiting = open;
    }
    taken
}

/// What a path answers, head and body.
async fn get(from: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(from).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: whyd\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}
