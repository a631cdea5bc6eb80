//! Log lines that are asked for, of the server made up in `loki_server` and of the real one.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use whyd::daemon::Daemon;
use whyd_signals::{Access, Range, Timestamp};

use super::loki_server::LokiServer;
use super::{ago, asking, figure, is_whole};
use crate::daemon::request;
use crate::until::until;

/// Lines of a page.
const PAGE: usize = 5000;

/// The lines that a daemon holds of pods of a namespace, in order of time and text.
pub(super) fn lines(daemon: &Daemon, namespace: &str) -> Vec<(i64, String)> {
    let scoped = daemon.view.scoped(&Access::All);
    let of = |pod: &str| scoped.lines_of(namespace, pod, "app", Timestamp::MIN, Timestamp::MAX);
    let mut all: Vec<_> = ["web-1", "web-2"].iter().flat_map(|pod| of(pod)).map(|l| (l.ts.nanos(), l.line)).collect();
    all.sort();
    all
}

async fn until_whole(daemon: &Daemon) {
    until("all lines", async || is_whole(daemon, "pulled logs").then_some(())).await;
}

fn pull(address: SocketAddr, more: &str) -> String {
    format!("loki: [{{name: lines, url: \"http://{address}\", interval: 1s{more}}}]")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_end_anywhere_give_every_line_as_often_as_it_is_there() {
    let loki = LokiServer::start().await;
    let start = ago(900) * 1_000_000;
    let mut expected = Vec::new();
    let mut add = |ns: i64, text: &str| {
        loki.add_of("web-1", ns, "team-a", text);
        expected.push((ns, text.to_owned()));
    };
    // The first page is full and ends with the first of two equal lines of one timestamp; the second ends among forty of
    // which every second is equal; then exactly one page is left.
    (0..PAGE as i64 - 1).for_each(|n| add(start + n * 1000, &format!("first {n}")));
    let twins = start + PAGE as i64 * 1000;
    (0..2).for_each(|_| add(twins, "twin"));
    (0..PAGE as i64 - 22).for_each(|n| add(twins + 1 + n * 1000, &format!("second {n}")));
    let many = twins + PAGE as i64 * 1000 + 7;
    (0..40).for_each(|n| add(many, if n % 2 == 0 { "equal" } else { "other" }));
    (0..PAGE as i64 - 40).for_each(|n| add(many + 1 + n * 1000, &format!("third {n}")));
    expected.sort();
    let dir = tempfile::tempdir().unwrap();
    let daemon = asking(dir.path(), &pull(loki.address, "")).await;
    until_whole(&daemon).await;
    assert_eq!(lines(&daemon, "team-a").len(), expected.len());
    assert_eq!(lines(&daemon, "team-a"), expected);
    assert_eq!(figure(&daemon, "whyd_pull_crowded_total", "lines"), Some(0.0));
    daemon.stop().await.unwrap();

    // Another start goes on where the log ends.
    let asked = loki.starts("").len();
    let again = asking(dir.path(), &pull(loki.address, "")).await;
    loki.add_of("web-1", ago(0) * 1_000_000, "team-a", "new");
    until("the new line", async || (lines(&again, "team-a").len() > expected.len()).then_some(())).await;
    assert_eq!(lines(&again, "team-a").len(), expected.len() + 1);
    let starts = loki.starts("");
    assert!(starts[asked..].iter().all(|at| *at > ago(130) * 1_000_000), "{:?}", &starts[asked..]);
    again.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_comes_late_is_found_within_the_overlap_and_those_around_it_stay_single() {
    let loki = LokiServer::start().await;
    loki.add(ago(60), "team-a", "early");
    loki.add(ago(10), "team-a", "on time");
    let dir = tempfile::tempdir().unwrap();
    let daemon = asking(dir.path(), &pull(loki.address, ", overlap: 20s")).await;
    until("two lines", async || (lines(&daemon, "team-a").len() == 2).then_some(())).await;
    until_whole(&daemon).await;
    // All of this time was had already. One is the twin of one that is there.
    let twin = lines(&daemon, "team-a")[1].0;
    loki.add(ago(6), "team-a", "late");
    loki.add_of("web-1", twin, "team-a", "on time");
    let found = until("late lines", async || Some(lines(&daemon, "team-a")).filter(|found| found.len() >= 4)).await;
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["early", "on time", "on time", "late"]);
    // A second look that finds nothing new leaves no record.
    let records = daemon.view.progress();
    let looks = loki.starts("").len();
    until("more looks", async || (loki.starts("").len() > looks + 12).then_some(())).await;
    let polls = loki.starts("").len() - looks;
    assert_eq!(lines(&daemon, "team-a"), found);
    assert!(daemon.view.progress() - records < polls as u64, "{polls} polls");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_lines_of_one_timestamp_than_a_page_are_counted_and_passed() {
    let loki = LokiServer::start().await;
    let crowded = ago(600) * 1_000_000;
    (0..PAGE + 500).for_each(|n| loki.add_of("web-1", crowded, "team-a", &format!("crowd {n}")));
    loki.add(ago(300), "team-a", "after");
    let dir = tempfile::tempdir().unwrap();
    let daemon = asking(dir.path(), &pull(loki.address, "")).await;
    until_whole(&daemon).await;
    let found = lines(&daemon, "team-a");
    assert_eq!((found.len(), found.last().map(|(_, text)| text.as_str())), (PAGE + 1, Some("after")));
    assert_eq!(figure(&daemon, "whyd_pull_crowded_total", "lines"), Some(1.0));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_is_asked_for_itself_and_one_that_fails_hides_no_other() {
    let loki = LokiServer::start().await;
    for tenant in ["team-a", "team-b"] {
        loki.add(ago(60), tenant, "first");
    }
    loki.fail("team-b", true);
    let dir = tempfile::tempdir().unwrap();
    let daemon = asking(dir.path(), &pull(loki.address, ", tenants: [team-a, team-b]")).await;
    until("a line", async || (lines(&daemon, "team-a").len() == 1).then_some(())).await;
    let now = Timestamp(ago(0) * 1_000_000);
    let lacks = || daemon.view.scoped(&Access::All).lacks_logs(Range::new(now, Timestamp(now.nanos() + 1)));
    until("the mark of a gap", async || lacks().then_some(())).await;
    loki.add(ago(0), "team-a", "second");
    until("another line", async || (lines(&daemon, "team-a").len() == 2).then_some(())).await;
    assert!(!is_whole(&daemon, "pulled logs") && lines(&daemon, "team-b").is_empty());
    assert_eq!(figure(&daemon, "whyd_pull_failing", "team-b"), Some(1.0));
    assert_eq!(figure(&daemon, "whyd_pull_failing", "team-a"), Some(0.0));
    loki.fail("team-b", false);
    until("the line of the other", async || (lines(&daemon, "team-b").len() == 1).then_some(())).await;
    until("no lack any more", async || (!lacks()).then_some(())).await;
    until_whole(&daemon).await;
    daemon.stop().await.unwrap();
}

/// The real one, of one process and files; killed when it is dropped.
pub(crate) struct RealLoki {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl RealLoki {
    pub(crate) async fn start(dir: &Path) -> Self {
        let program = std::env::var("LOKI").expect("LOKI names the program");
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, grpc) = (free(), free());
        let at = dir.display();
        let config = format!(
            "auth_enabled: true\nserver: {{http_listen_address: 127.0.0.1, http_listen_port: {}, grpc_listen_address: \
            127.0.0.1, grpc_listen_port: {}, log_level: error}}\ncommon: {{path_prefix: \"{at}\", replication_factor: 1, \
            ring: {{instance_addr: 127.0.0.1, kvstore: {{store: inmemory}}}}, storage: {{filesystem: {{chunks_directory: \
            \"{at}/chunks\", rules_directory: \"{at}/rules\"}}}}}}\nschema_config: {{configs: [{{from: 2020-01-01, store: \
            tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}]}}\nlimits_config: \
            {{allow_structured_metadata: true, discover_log_levels: false, ingestion_rate_mb: 100, \
            ingestion_burst_size_mb: 100, per_stream_rate_limit: 100MB, per_stream_rate_limit_burst: 100MB}}\n\
            frontend: {{address: 127.0.0.1}}\ningester: {{lifecycler: {{min_ready_duration: 0s, final_sleep: 0s}}}}\nanalytics: {{reporting_enabled: false}}\n",
            address.port(),
            grpc.port()
        );
        let file = dir.join("loki.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(&program);
        command.arg(format!("-config.file={}", file.display())).current_dir(dir).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}"));
        let loki = Self { child, address };
        until("loki to be ready", async || {
            let (status, _) = request(address, "GET", "/ready", "", b"").await?;
            (status == 200).then_some(())
        })
        .await;
        loki
    }

    pub(crate) async fn push(&self, tenant: &str, lines: &[(i64, String)]) {
        for part in lines.chunks(4000) {
            let values: Vec<_> =
                part.iter().map(|(ns, text)| json!([ns.to_string(), text, {"pod": "web-1"}])).collect();
            let stream = json!({"stream": {"namespace": tenant, "container": "app"}, "values": values});
            let body = json!({"streams": [stream]}).to_string();
            let headers = format!("content-type: application/json\r\nx-scope-orgid: {tenant}\r\n");
            let answer = request(self.address, "POST", "/loki/api/v1/push", &headers, body.as_bytes()).await;
            assert!(answer.as_ref().is_some_and(|(status, _)| *status == 204), "{answer:?}");
        }
    }
}

impl Drop for RealLoki {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real one: LOKI"]
async fn the_real_loki_is_read_page_by_page_and_late_lines_are_found() {
    let (data, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let loki = RealLoki::start(data.path()).await;
    let start = ago(900) * 1_000_000;
    // Lines of one timestamp lie across the end of the first page; Loki itself keeps one of those that are equal.
    let mut expected: Vec<(i64, String)> =
        (0..PAGE as i64 - 3).map(|n| (start + n * 1000, format!("line {n}"))).collect();
    let shared = start + PAGE as i64 * 1000;
    expected.extend((0..10).map(|n| (shared, format!("shared {n}"))));
    expected.extend((0..PAGE as i64).map(|n| (shared + 1 + n * 1000, format!("further {n}"))));
    loki.push("team-a", &expected).await;
    loki.push("team-b", &[(start, "of another".to_owned())]).await;
    let daemon = asking(dir.path(), &pull(loki.address, ", overlap: 30s, tenants: [team-a, team-b]")).await;
    until("all lines", async || (lines(&daemon, "team-a").len() >= expected.len()).then_some(())).await;
    until_whole(&daemon).await;
    expected.sort();
    assert_eq!(lines(&daemon, "team-a"), expected);
    assert_eq!(lines(&daemon, "team-b").len(), 1);
    let late = (ago(5) * 1_000_000, "late".to_owned());
    loki.push("team-a", std::slice::from_ref(&late)).await;
    expected.push(late);
    until("the late line", async || (lines(&daemon, "team-a").len() >= expected.len()).then_some(())).await;
    assert_eq!(lines(&daemon, "team-a"), expected);
    daemon.stop().await.unwrap();
}
