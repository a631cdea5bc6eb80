//! Promise 16: a flood of new pods stays within its bytes; over the cap new series are refused and counted, known ones go
//! on.
#![allow(clippy::print_stdout)]

use super::{Sender, body, metric, now_ms};
use crate::daemon::Process;
use crate::until::until;

/// Unique label sets.
const SERIES: usize = 1_000_000;
const OF_A_BODY: usize = 2_000;
/// What the daemon may use of memory, and what the chart lets its container have.
const MEMORY: u64 = 256 << 20;
const CONTAINER: u64 = MEMORY / 2 * 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_million_new_pods_stay_within_the_memory_and_known_series_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = "kubernetes: {enabled: false}\nlimits: {memory: 256MiB, series: 2000000, seriesPerTeam: 2000000}\n";
    let daemon = Process::start_in(dir.path(), config, &[]);
    let mut sender = Sender::connect(daemon.address).await;
    let t = now_ms();
    assert_eq!(sender.write(&body("team-known", 0..100, t)).await, Some(204));
    let (mut stored, mut refused, mut most) = (0, 0, 0);
    for (round, first) in (0..SERIES).step_by(OF_A_BODY).enumerate() {
        match sender.write(&body("team-flood", first..first + OF_A_BODY, t)).await {
            Some(204) => stored += 1,
            Some(400) => refused += 1,
            other => panic!("body {round}: {other:?}"),
        }
        if round % 20 == 0 {
            assert_eq!(
                sender.write(&body("team-known", 0..100, t + 1 + round as i64)).await,
                Some(204),
                "body {round}"
            );
            most = most.max(daemon.resident());
        }
    }
    assert!(stored > 50 && refused > 50, "{stored} bodies stored, {refused} refused");
    let (held, counted) = until("each to be held or counted", async || {
        let held = metric(daemon.address, "whyd_series").await?;
        let counted = metric(daemon.address, "whyd_discarded_total{reason=\"series_limit\"}").await?;
        (held + counted == (SERIES + 100) as f64).then_some((held, counted))
    })
    .await;
    let mut bytes = 0.0;
    for owner in ["series", "names", "tail", "chunks", "streams", "logs", "alerts"] {
        bytes += metric(daemon.address, &format!("whyd_buffer_bytes{{owner=\"{owner}\"}}")).await.unwrap();
    }
    // What came since they were last looked at may be on top.
    assert!(bytes <= (MEMORY / 2) as f64 * 1.15, "{bytes} bytes in the buffers");
    println!(
        "{held} series held, {counted} refused; {:.0} MiB accounted, {} MiB resident at most of {} MiB",
        bytes / 1048576.0,
        most >> 20,
        CONTAINER >> 20
    );
    assert!(most < CONTAINER, "{} MiB resident", most >> 20);
}
