#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::net::SocketAddr;

use tokio::sync::watch;

use super::*;
use crate::config::{Config, ConfigFile, OtlpConfig};
use crate::daemon::Daemon;

const HOUR: i64 = 3600;

/// A wall clock and an elapsed time that the test sets, in seconds.
struct Machine {
    wall: watch::Sender<i64>,
    elapsed: watch::Sender<u64>,
    clock: SteadyClock,
}

/// When it begins.
const BEGINS: i64 = 1_764_000_000;

impl Machine {
    fn new() -> Self {
        let ((wall, w), (elapsed, e)) = (watch::channel(BEGINS), watch::channel(0));
        let elapsed_now = Box::new(move || Duration::from_secs(*e.borrow()));
        let clock = SteadyClock::new(Arc::new(move || Timestamp(*w.borrow() * 1_000_000_000)), elapsed_now);
        Self { wall, elapsed, clock }
    }

    /// So much time goes by on both clocks, and the wall clock is set by so much.
    fn goes(&self, seconds: u64, leap: i64) -> i64 {
        self.elapsed.send_modify(|e| *e += seconds);
        self.wall.send_modify(|w| *w += seconds as i64 + leap);
        self.clock.now().nanos() / 1_000_000_000 - BEGINS
    }
}

#[test]
fn steps_are_followed_at_once_and_drift_is() {
    let machine = Machine::new();
    assert_eq!(machine.goes(10, 0), 10);
    assert_eq!(machine.goes(0, 300), 310);
    assert_eq!(machine.goes(0, -299), 11);
    // A clock that runs too fast is the machine's all the same.
    for _ in 0..1000 {
        machine.goes(60, 1);
    }
    assert_eq!(machine.goes(0, 0), 11 + 61_000);
    assert_eq!(machine.clock.leaps(), Leaps::default());
}

#[test]
fn a_leap_that_passes_is_none() {
    for leap in [301, 24 * HOUR, -24 * HOUR] {
        let machine = Machine::new();
        assert_eq!(machine.goes(10, leap), 10, "{leap}");
        assert_eq!(machine.clock.leaps().doubted, Some(leap));
        for n in 1..60 {
            assert_eq!(machine.goes(1, 0), 10 + n);
        }
        assert_eq!(machine.goes(0, -leap), 69);
        assert_eq!(machine.clock.leaps(), Leaps { doubted: None, followed: 0, passed: 1 });
        // Nothing of it counts for the next one.
        assert_eq!(machine.goes(10, leap), 79);
    }
}

#[test]
fn a_leap_that_stands_is_followed_and_one_upon_another_begins_anew() {
    let machine = Machine::new();
    assert_eq!(machine.goes(1, HOUR), 1);
    assert_eq!(machine.goes(59, 0), 60);
    assert_eq!(machine.goes(0, HOUR), 60, "it is another");
    assert_eq!(machine.goes(59, 100), 119, "and the same, put right");
    assert_eq!(machine.goes(1, 0), 120 + 2 * HOUR + 100);
    assert_eq!(machine.clock.leaps(), Leaps { doubted: None, followed: 1, passed: 0 });
    assert_eq!(machine.goes(1, 0), 121 + 2 * HOUR + 100);
}

/// What a daemon holds is there after a leap that passes, and what comes meanwhile is told to come again.
#[tokio::test(flavor = "multi_thread")]
async fn a_leap_that_passes_takes_nothing_from_a_daemon() {
    let (dir, machine) = (tempfile::tempdir().unwrap(), Machine::new());
    let config = Config {
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: dir.path().to_owned(),
        tick: Duration::from_millis(20),
        otlp: OtlpConfig::OFF,
        kubernetes: false,
        ..ConfigFile::default().validate().unwrap()
    };
    let daemon = Daemon::start(&config, None, machine.clock.clone()).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let at = |path: &str| format!("http://{}{path}", daemon.address());
    let push = async |second: i64| {
        let line = format!(
            "{{\"streams\":[{{\"stream\":{{\"namespace\":\"a\",\"pod\":\"b\"}},\"values\":[[\"{second}000000000\",\"x\"]]}}]}}"
        );
        let request = client.post(at("/loki/api/v1/push")).header("content-type", "application/json").body(line);
        request.send().await.unwrap().status().as_u16()
    };
    let shows = async |line: &str| loop {
        let text = client.get(at("/metrics")).send().await.unwrap().text().await.unwrap();
        if text.lines().any(|l| l == line) {
            break;
        }
        tokio::task::yield_now().await;
    };
    let leaps = async {
        assert_eq!(push(BEGINS).await, 204);
        machine.goes(1, 24 * HOUR);
        shows(&format!("whyd_clock_doubted_seconds {}", 24 * HOUR)).await;
        let ready = client.get(at("/readyz")).send().await.unwrap().text().await.unwrap();
        assert!(ready.contains("the machine's clock leapt"), "{ready}");
        while push(BEGINS + 24 * HOUR).await != 503 {}
        machine.goes(30, -24 * HOUR);
        shows("whyd_clock_leaps_total{end=\"passed\"} 1").await;
        while push(BEGINS + 31).await != 204 {}
        shows("whyd_lines_total 2").await;
        let text = client.get(at("/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(!text.contains("whyd_dropped_total{reason=\"window\"}"), "the first is there still");
    };
    tokio::time::timeout(Duration::from_secs(30), leaps).await.unwrap();
    daemon.stop().await.unwrap();
}
