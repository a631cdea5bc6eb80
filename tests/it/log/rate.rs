//! Promise 7: how fast the log is read back after a kill, and that nobody is told to send before it is.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use crate::daemon::{Process, request};
use crate::doors::{Sender, body, now_ms};

const CONFIG: &str = "kubernetes: {enabled: false}\notlp: {grpc: none, http: none}\n";
const SERIES: usize = 2_000;
const ROUNDS: i64 = 500;
/// Samples a processor second; half of what is promised, for a machine that does other things.
const FLOOR: f64 = 1e6;

/// Asks until the daemon is ready, and how often it said that it was not.
async fn ready(daemon: &Process) -> usize {
    let mut early = 0;
    loop {
        match request(daemon.address, "GET", "/readyz", "", b"").await.map(|(status, _)| status) {
            Some(200) => return early,
            Some(503) => early += 1,
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_back_at_its_rate_and_ready_comes_after() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Process::start_in(dir.path(), CONFIG, &[]);
    ready(&daemon).await;
    let empty = daemon.processor_time();
    let mut sender = Sender::connect(daemon.address).await;
    let from = now_ms() - ROUNDS * 1000;
    for round in 0..ROUNDS {
        assert_eq!(sender.write(&body("team-a", 0..SERIES, from + round * 1000)).await, Some(204));
    }
    daemon.kill();

    let daemon = Process::start_in(dir.path(), CONFIG, &[]);
    let early = ready(&daemon).await;
    let took = daemon.processor_time().saturating_sub(empty);
    let samples = SERIES * ROUNDS as usize;
    let held = crate::doors::metric(daemon.address, "whyd_samples_total").await.unwrap();
    let rate = samples as f64 / took.as_secs_f64();
    println!("{samples} samples read back in {took:?} of processor time, {rate:.0} a second; {early} times not ready");
    assert_eq!(held, samples as f64);
    assert!(early > 0, "it was asked before all was there");
    assert!(rate > FLOOR, "{rate:.0} samples a processor second");
}
