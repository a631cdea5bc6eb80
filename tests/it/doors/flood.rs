//! Promise 15: one team's tenfold flood beside another team's usual load.
//!
//! What is held here is the mechanism: of the quiet team nothing is refused and nothing waits long, and the flood is
//! refused by its share without reaching the disk. The figure itself depends on who else uses the machine, and is printed.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{Sender, body, metric, now_ms, quantile};
use crate::daemon::Process;
use crate::log::cases;

/// Series of a body of the quiet team, and how often it sends one.
const SERIES: usize = 200;
const EVERY: Duration = Duration::from_millis(20);

/// The quiet team's writes for a while; how long each took.
async fn usual(sender: &mut Sender, t: i64, sent: &mut i64, during: Duration) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut pace = tokio::time::interval(EVERY);
    let begun = Instant::now();
    while begun.elapsed() < during {
        pace.tick().await;
        *sent += 1;
        let body = body("team-quiet", 0..SERIES, t + *sent);
        let asked = Instant::now();
        assert_eq!(sender.write(&body).await, Some(204), "the quiet team is never refused");
        took.push(asked.elapsed());
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenfold_flood_of_one_team_refuses_nothing_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let config = "kubernetes: {enabled: false}\nlimits: {tick: 100ms, series: 20000, seriesPerTeam: 5000}\n";
    let daemon = Process::start_in(dir.path(), config, &[]);
    let during = Duration::from_secs(cases("WHYD_LOAD_SECONDS", 8)) / 2;
    let mut quiet = Sender::connect(daemon.address).await;
    let (t, mut sent) = (now_ms(), 0);
    usual(&mut quiet, t, &mut sent, Duration::from_secs(1)).await;
    let mut alone = usual(&mut quiet, t, &mut sent, during).await;

    // Ten times as many series as often, none of them seen before: a rollout gone wild.
    let stop = Arc::new(AtomicBool::new(false));
    let (next, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let flood = tokio::spawn({
        let (stop, next, over, address) = (Arc::clone(&stop), Arc::clone(&next), Arc::clone(&over), daemon.address);
        async move {
            let mut sender = Sender::connect(address).await;
            let mut pace = tokio::time::interval(EVERY);
            while !stop.load(Relaxed) {
                pace.tick().await;
                let first = next.fetch_add(10 * SERIES as u64, Relaxed) as usize;
                match sender.write(&body("team-loud", first..first + 10 * SERIES, t)).await {
                    Some(429) => drop(over.fetch_add(1, Relaxed)),
                    Some(204 | 400) => {}
                    other => panic!("the flood was answered {other:?}"),
                }
            }
        }
    });
    let records = metric(daemon.address, "whyd_log_records_total").await.unwrap();
    let mut beside = usual(&mut quiet, t, &mut sent, during).await;
    stop.store(true, Relaxed);
    flood.await.unwrap();
    let logged = metric(daemon.address, "whyd_log_records_total").await.unwrap() - records;
    let quotas = over.load(Relaxed);
    let (a50, a99) = (quantile(&mut alone, 0.5), quantile(&mut alone, 0.99));
    let (b50, b99) = (quantile(&mut beside, 0.5), quantile(&mut beside, 0.99));
    println!(
        "alone p50 {a50:?} p99 {a99:?}; beside the flood p50 {b50:?} p99 {b99:?}, {:+.0} %; {quotas} bodies over the quota",
        (b99.as_secs_f64() / a99.as_secs_f64() - 1.0) * 100.0
    );
    assert!(quotas > 10, "{quotas} bodies over the quota");
    assert!(logged <= (beside.len() + 6) as f64, "{logged} records for {} bodies of the quiet team", beside.len());
    assert_eq!(metric(daemon.address, "whyd_series").await, Some((SERIES + 5_000) as f64));
    assert!(b99 < Duration::from_millis(250), "p99 {b99:?}");
}
