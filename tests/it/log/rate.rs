//! Promise 7: how fast the log is read back after a kill, and that nobody is told to send before it is.
//!
//! What runs beside it on the machine makes a processor second worth up to four times less, which is memory that others push out
//! of its caches. So it is held against a walk over as much memory, taken right before and after.
#![allow(clippy::print_stdout)]

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::daemon::{Process, request};
use crate::doors::{Sender, metric, now_ms};
use crate::remote_write::encode::{Series, snappy, version1};

const CONFIG: &str = "kubernetes: {enabled: false}\notlp: {grpc: none, http: none}\n";
const SERIES: usize = 2_000;
const ROUNDS: i64 = 500;
/// How often the log is read back.
const READINGS: usize = 5;
/// What is promised takes 0.5 s of processor time where a walk takes 0.065 s, and half of that has to be held.
const WALKS: f64 = 2.0 * 0.5 / 0.065;

/// Processor time of this thread for a walk over 16 MiB, as detectors go over the state of their series: a visit is for one series, and
/// reads and writes twelve cache lines of its 8 KiB. As many visits as samples are read back.
fn walk() -> Duration {
    const STATE: usize = 1024;
    let clock = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
    };
    let from = clock();
    let (mut states, mut random) = (vec![0_u64; SERIES * STATE], 88_172_645_463_325_252_u64);
    for round in 0..ROUNDS as u64 {
        for state in states.chunks_exact_mut(STATE) {
            for line in 0..12 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let word = &mut state[line * 80 + (random & 7) as usize];
                *word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round ^ random);
            }
        }
    }
    std::hint::black_box(&states);
    clock().saturating_sub(from)
}

/// A body of all series at a time, with as many labels as series of containers have.
fn round(ms: i64) -> Vec<u8> {
    let one = |n: usize| {
        let (pod, id) = (format!("checkout-7d9f8b6c5-{n:05}"), format!("/kubepods/burstable/pod{n:032x}"));
        let labels = [
            ("__name__", "container_memory_working_set_bytes"),
            ("container", "app"),
            ("endpoint", "https-metrics"),
            ("id", &id),
            ("image", "registry.example.org/checkout/app:1.24.3"),
            ("instance", "10.0.0.17:10250"),
            ("job", "kubelet"),
            ("metrics_path", "/metrics/cadvisor"),
            ("namespace", "team-a"),
            ("node", "worker-17"),
            ("pod", &pod),
            ("service", "kubelet"),
        ];
        Series::new(&labels, &[(ms, (ms % 997 * n as i64) as f64)])
    };
    snappy(&version1(&(0..SERIES).map(one).collect::<Vec<_>>()))
}

/// Asks until the daemon is ready; how often it said that it was not. Lists are no emptier than what is known: until then they say so.
async fn ready(at: SocketAddr) -> usize {
    let mut early = 0;
    loop {
        let list = request(at, "GET", "/api/v1/restarts", "", b"").await;
        match request(at, "GET", "/readyz", "", b"").await.map(|(status, _)| status) {
            Some(200) => return early,
            Some(503) => {
                early += 1;
                if let Some((status, said)) = list {
                    assert!(status == 503 && said.contains("urn:whyd:problem:replaying"), "{status}: {said}");
                }
            }
            Some(other) => panic!("{other}"),
            None => {}
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_back_at_its_rate_and_ready_comes_after() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Process::start_in(dir.path(), CONFIG, &[]);
    ready(daemon.address).await;
    let empty = daemon.processor_time();
    let samples = SERIES * ROUNDS as usize;
    let mut sender = Sender::connect(daemon.address).await;
    let from = now_ms() - ROUNDS * 1000;
    for n in 0..ROUNDS {
        assert_eq!(sender.write(&round(from + n * 1000)).await, Some(204));
    }
    let mut readings = Vec::new();
    for _ in 0..READINGS {
        daemon.kill();
        // Free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let path = dir.path().to_owned();
        let before = walk();
        let starting = tokio::task::spawn_blocking(move || Process::start_on(&path, CONFIG, free));
        let early = ready(free).await;
        daemon = starting.await.unwrap();
        let took = daemon.processor_time().saturating_sub(empty);
        readings.push((took, (before + walk()) / 2));
        assert_eq!(metric(daemon.address, "whyd_samples_total").await, Some(samples as f64));
        assert!(early > 0, "it was asked before all was there");
    }
    println!("{samples} samples read back, and walks beside it, in processor time: {readings:?}");
    let walks = readings.iter().map(|(took, walk)| took.as_secs_f64() / walk.as_secs_f64()).fold(f64::MAX, f64::min);
    assert!(walks < WALKS, "reading back takes as long as {walks:.1} walks: {readings:?}");
}
