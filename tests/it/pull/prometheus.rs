//! Metrics that are asked for, of the real servers.

use std::path::Path;

use whyd_api::Reader;
use whyd_signals::sample::STALE_BITS;

use super::loki_server::LokiServer;
use super::servers::{Kind, Server};
use super::{REST, Samples, ago, asking, count, figure, fresh, held, is_whole, said};
use crate::daemon::{Process, get_json, request};
use crate::gate::Gate;
use crate::remote_write::encode::{Series, snappy, version1};
use crate::remote_write::{metric, now};
use crate::until::until;

/// A number of 64 bits that look random, the same for the same `n`.
fn mixed(n: i64) -> f64 {
    let z = n.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z >> 12) as f64 / 7.0
}

/// So many series with a sample every 15 s between so many seconds ago; `mixed` values do not compress.
pub(crate) fn series(name: &str, how_many: usize, from: i64, to: i64) -> Vec<Series> {
    let times: Vec<i64> =
        (0..).map(|n| ago(from) / 15_000 * 15_000 + n * 15_000).take_while(|t| *t < ago(to)).collect();
    let one = |n: usize| {
        let samples: Vec<(i64, f64)> =
            times.iter().map(|t| (t + n as i64 % 97, mixed(t / 15_000 + n as i64))).collect();
        let pod = format!("pod-{n:04}");
        Series::new(&[("__name__", name), ("container", "app"), ("namespace", "team-a"), ("pod", &pod)], &samples)
    };
    (0..how_many).map(one).collect()
}

/// Once a daemon holds what a server does.
async fn until_same(daemon: &whyd::daemon::Daemon, name: &str, theirs: &Samples) -> Samples {
    until("the same samples", async || {
        let ours = held(daemon, name);
        (count(&fresh(&ours)) >= count(theirs) && is_whole(daemon, "pulled metrics")).then_some(ours)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_before_the_start_is_what_the_real_prometheus_holds_bit_for_bit() {
    let server = Server::start(Kind::Prometheus).await;
    let mut all = series("pulled_bytes", 100, 5 * 3600, 30);
    for (n, value) in [f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324].into_iter().enumerate() {
        all[n].samples[7].1 = value;
    }
    all[9].samples.last_mut().unwrap().1 = f64::from_bits(STALE_BITS);
    server.write(&all).await;
    let dir = tempfile::tempdir().unwrap();
    // Newer samples of the same series are there before any of the old is.
    let newest = |s: &Series| {
        let labels: Vec<(&str, &str)> = s.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        Series::new(&[labels, vec![("server", "main")]].concat(), &[(now(), 1.0)])
    };
    let pushed: Vec<Series> = all.iter().take(50).map(newest).collect();
    let daemon = asking(dir.path(), "").await;
    let headers = "content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\n";
    let body = snappy(&version1(&pushed));
    assert_eq!(request(daemon.address(), "POST", "/api/v1/write", headers, &body).await.unwrap().0, 204);
    daemon.stop().await.unwrap();

    let pull = format!(
        "prometheus: [{{name: main, url: \"http://{}\", select: [\"{{__name__=~\\\"pulled_.*\\\"}}\"], interval: 1s}}]",
        server.address
    );
    let daemon = asking(dir.path(), &pull).await;
    let theirs = server.raw("{__name__=~\"pulled_.*\"}[6h]", now()).await;
    assert_eq!(theirs.len(), 100);
    let mut ours = until_same(&daemon, "pulled_", &theirs).await;
    for samples in ours.values_mut() {
        samples.retain(|(_, bits)| *bits != 1f64.to_bits());
    }
    assert_eq!(count(&ours), count(&theirs) + 1, "the stale marker is there too");
    assert_eq!(fresh(&ours), theirs);

    // Another start asks for next to nothing, and adds nothing.
    daemon.stop().await.unwrap();
    let again = asking(dir.path(), &pull).await;
    until("an answer", async || figure(&again, "whyd_pull_answered_seconds", "main")).await;
    assert!(figure(&again, "whyd_pull_requests_total", "main").unwrap() < 4.0);
    let mut still = held(&again, "pulled_");
    still.values_mut().for_each(|samples| samples.retain(|(_, bits)| *bits != 1f64.to_bits()));
    assert_eq!(still, ours);
    again.stop().await.unwrap();
}

async fn resampled(kind: Kind) {
    let server = Server::start(kind).await;
    server.write(&series("pulled_bytes", 20, 3600, 100)).await;
    let dir = tempfile::tempdir().unwrap();
    let pull = format!(
        "prometheus: [{{name: other, url: \"http://{}\", method: query_range, step: 10s, interval: 1s, \
        labels: {{cluster: far}}, select: [pulled_bytes]}}]",
        server.address
    );
    let daemon = asking(dir.path(), &pull).await;
    until("all of it", async || is_whole(&daemon, "pulled metrics").then_some(())).await;
    let (start, end) = (ago(3500) / 10_000 * 10_000, ago(120) / 10_000 * 10_000);
    let theirs = server.range("pulled_bytes", (start, end, 10_000)).await;
    assert_eq!((theirs.len(), count(&theirs)), (20, 20 * (((end - start) / 10_000) as usize + 1)));
    let mut ours = Samples::new();
    for (labels, samples) in held(&daemon, "pulled_") {
        let within = samples.into_iter().filter(|(t, _)| (start..=end).contains(t)).collect();
        ours.insert(labels.replacen(",\"cluster\":\"far\"", "", 1), within);
    }
    assert_eq!(ours, theirs);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_prometheus_makes_of_it_at_each_step_is_taken_as_it_is() {
    resampled(Kind::Prometheus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_is_asked_the_same_way() {
    resampled(Kind::VictoriaMetrics).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_hides_no_other_and_its_gap_is_marked_and_filled() {
    let mut server = Server::start(Kind::Prometheus).await;
    server.write(&series("pulled_bytes", 10, 1800, 600)).await;
    let gate = Gate::to(server.address).await;
    let loki = LokiServer::start().await;
    loki.add(ago(300), "team-a", "before");
    let dir = tempfile::tempdir().unwrap();
    let pull = format!(
        "prometheus: [{{name: main, url: \"http://{}\", select: [pulled_bytes], interval: 1s}}], \
        loki: [{{name: lines, url: \"http://{}\", interval: 1s}}]",
        gate.address, loki.address
    );
    let daemon = asking(dir.path(), &pull).await;
    let theirs = server.raw("pulled_bytes[6h]", now()).await;
    assert_eq!(until_same(&daemon, "pulled_", &theirs).await, theirs);
    let problems = || {
        let status = daemon.view.status();
        status.sources.iter().filter(|s| !s.synced).map(|s| s.source).collect::<Vec<_>>()
    };
    let scoped = || daemon.view.scoped(&whyd_signals::Access::All);
    let lately = |seconds| {
        let to = whyd_signals::Timestamp(now() * 1_000_000);
        whyd_signals::Range::new(to.minus(std::time::Duration::from_secs(seconds)), to)
    };
    assert!(!scoped().lacks_metrics(lately(1)));

    gate.close();
    server.kill();
    let down = now();
    until("the mark of a gap", async || scoped().lacks_metrics(lately(1)).then_some(())).await;
    assert_eq!(figure(&daemon, "whyd_pull_failing", "main"), Some(1.0));
    until("an answer that says so", async || problems().contains(&"pulled metrics").then_some(())).await;
    // Loki goes on.
    assert!(is_whole(&daemon, "pulled logs") && !scoped().lacks_logs(lately(1)));
    loki.add(ago(0), "team-a", "meanwhile");
    until("a line of the other source", async || (super::loki::lines(&daemon, "team-a").len() == 2).then_some(()))
        .await;

    // What was measured meanwhile is there when it is back.
    server.again().await;
    let meanwhile: Vec<(i64, f64)> = (down..now()).step_by(100).map(|t| (t, mixed(t))).collect();
    let labels = [("__name__", "pulled_bytes"), ("container", "app"), ("namespace", "team-a"), ("pod", "pod-0000")];
    server.write(&[Series::new(&labels, &meanwhile)]).await;
    gate.open();
    let theirs = server.raw("pulled_bytes[6h]", now()).await;
    assert_eq!(until_same(&daemon, "pulled_", &theirs).await, theirs);
    until("no lack any more", async || (!scoped().lacks_metrics(lately(3600))).then_some(())).await;
    assert_eq!(figure(&daemon, "whyd_pull_failing", "main"), Some(0.0));
    assert!(!problems().contains(&"pulled metrics"), "{:?}", problems());
    daemon.stop().await.unwrap();
}

/// The daemon as a process with this to ask.
fn process(dir: &Path, pull: &str) -> Process {
    Process::start_in(dir, &format!("{}pull: {{{pull}}}\n", REST.replace("listen:", "# listen:")), &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_it_nothing_is_lost_or_doubled() {
    let server = Server::start(Kind::Prometheus).await;
    server.write(&series("pulled_bytes", 150, 5 * 3600, 30)).await;
    let gate = Gate::to(server.address).await;
    let dir = tempfile::tempdir().unwrap();
    let pull =
        format!("prometheus: [{{name: main, url: \"http://{}\", select: [pulled_bytes], interval: 1s}}]", gate.address);
    // Enough for some of the questions, and for a part of one more.
    gate.let_through(700_000);
    let mut daemon = process(dir.path(), &pull);
    until("as much as was let through", async || gate.is_closed().then_some(())).await;
    let stored = metric(daemon.address, "whyd_samples_total").await.unwrap();
    daemon.kill();
    assert!((1000.0..150_000.0).contains(&stored), "{stored}");

    let before = gate.passed();
    gate.open();
    let daemon = process(dir.path(), &pull);
    until("all of it", async || {
        let lag = metric(daemon.address, "whyd_pull_missing_seconds{source=\"main\"}").await?;
        (lag < 30.0).then_some(())
    })
    .await;
    let at = now() / 1000 - 20;
    let theirs = server.raw("pulled_bytes[6h]", at * 1000).await;
    let ours = format!("/prometheus/api/v1/query?query=pulled_bytes%5B6h%5D&time={at}");
    let ours = said(&get_json(daemon.address, &ours).await);
    assert_eq!(theirs.len(), 150);
    assert_eq!(theirs, ours);
    let (_, figures) = request(daemon.address, "GET", "/metrics", "", b"").await.unwrap();
    assert!(figures.contains("whyd_samples_total") && !figures.contains("whyd_discarded_total{"), "{figures}");
    assert!(gate.passed() - before < 150 * 1200 * 9, "it went on where it was, and did not begin anew");
}
