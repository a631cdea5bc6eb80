//! Remote write into the daemon: every status and header, both versions into the same series, and a pair of Debian's own
//! Prometheus that sends everything twice.

pub(crate) mod encode;
mod receiver_suite;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use whyd::config::ConfigFile;
use whyd::wiring;
use whyd_core::{Core, Effect, Message};
use whyd_signals::{Access, Compression, Envelope, Media, Timestamp};

use self::encode::{Series, field, snappy, version1, version2};
use crate::daemon::{Process, answer, get_json, request};
use crate::server::{Server, written};
use crate::until::until;

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

pub(crate) fn now() -> i64 {
    // the daemon is a process of its own, with the real clock
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as i64
}

/// Status, the three written headers, and the text.
async fn write(to: SocketAddr, content_type: &str, encoding: &str, body: &[u8]) -> (u16, String, String) {
    let headers = format!("content-type: {content_type}\r\ncontent-encoding: {encoding}\r\n");
    let text = answer(to, "POST", "/api/v1/write", &headers, body).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let written = ["samples", "histograms", "exemplars"].map(|kind| {
        let name = format!("x-prometheus-remote-write-{kind}-written: ");
        head.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or("-").to_owned()
    });
    (head.split(' ').nth(1).unwrap().parse().unwrap(), written.join(" "), body.to_owned())
}

/// One series of the daemon's own metrics.
pub(crate) async fn metric(to: SocketAddr, series: &str) -> Option<f64> {
    let (_, text) = request(to, "GET", "/metrics", "", b"").await?;
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_status_and_counts_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = "kubernetes: {enabled: false}\nlimits: {series: 8}\nreplicas: {clusters: 1}\n";
    let mut daemon = Process::start_in(dir.path(), config, &[]);
    let t = now();
    let up = |samples: &[(i64, f64)]| Series::new(&[("__name__", "up"), ("job", "a")], samples);
    let nameless = Series::new(&[("job", "a")], &[(t, 1.0)]);
    let twice = Series::new(&[("__name__", "up"), ("job", "a"), ("job", "b")], &[(t, 1.0)]);
    let replica = |name: &str, cluster: &str| {
        Series::new(&[("__name__", "ha"), ("__replica__", name), ("cluster", cluster)], &[(t, 1.0)])
    };
    // A float and a custom histogram, one that says five observations and has none, an exemplar.
    let (float, custom) = (field(3, &[0x11, 0, 0, 0, 0, 0, 0, 0x14, 0x40]), field(3, &[0x20, 105]));
    let (wrong, exemplar) = (field(3, &[8, 5]), field(4, &[0x11, 0, 0, 0, 0, 0, 0, 0x14, 0x40]));
    let histograms = |all: &[&[u8]]| Series::new(&[("__name__", "h")], &[]).with(&all.concat());
    let many: Vec<Series> = (0..9).map(|n| Series::new(&[("__name__", &format!("m{n}"))], &[(t, 1.0)])).collect();
    // Of every case both versions, where it says nothing else; later ones meet what earlier ones stored.
    let cases: Vec<(&str, Vec<Series>, u16, &str, &str)> = vec![
        ("stored", vec![up(&[(t, 1.0), (t + 1, 2.0)])], 204, "2 0 0", ""),
        ("a repetition is there", vec![up(&[(t, 1.0), (t + 1, 2.0)])], 204, "2 0 0", ""),
        ("another value", vec![up(&[(t, -9.0), (t + 2, 2.0)])], 400, "1 0 0", "duplicate 1"),
        ("too old", vec![up(&[(t - 3_600_000, 1.0), (t + 3, 2.0)])], 400, "1 0 0", "too_old 1"),
        ("too new", vec![up(&[(t + 3_600_000, 1.0)])], 400, "0 0 0", "too_new 1"),
        ("no name", vec![nameless, up(&[(t + 4, 2.0)])], 400, "1 0 0", "invalid_labels 1"),
        ("a label twice", vec![twice], 400, "0 0 0", "invalid_labels 1"),
        ("nothing", vec![], 204, "0 0 0", ""),
        ("a replica", vec![replica("a", "c")], 204, "1 0 0", ""),
        ("its twin", vec![replica("b", "c")], 202, "1 0 0", ""),
        ("its twin and others", vec![replica("b", "c"), up(&[(t + 5, 1.0)])], 202, "2 0 0", ""),
        (
            "its twin and trouble",
            vec![replica("b", "c"), up(&[(t, -9.0)])],
            400,
            "1 0 0",
            "0 samples stored, refused: dup",
        ),
        ("a cluster too many", vec![replica("a", "d")], 400, "0 0 0", "cluster_limit 1"),
        ("series too many", many, 400, "6 0 0", "series_limit 3"),
    ];
    for (what, series, status, counts, reason) in cases {
        let first = write(daemon.address, V1, "snappy", &snappy(&version1(&series))).await;
        assert_eq!((first.0, first.1.as_str()), (status, "- - -"), "{what}, 1.0: {}", first.2);
        assert!(first.2.contains(reason) && first.2.is_empty() == (status < 300), "{what}: {}", first.2);
        let second = write(daemon.address, V2, "snappy", &snappy(&version2(&series))).await;
        assert_eq!((second.0, second.1.as_str()), (status, counts), "{what}, 2.0: {}", second.2);
        assert!(second.2.contains(reason), "{what}: {}", second.2);
    }

    let sound = version2(&[histograms(&[&float, &custom, &exemplar]), up(&[(t + 6, 1.0)]).with(&exemplar)]);
    let mixed = version2(&[histograms(&[&float, &wrong, &exemplar]), up(&[(t + 7, 1.0)])]);
    let broken = [version2(&[up(&[(t + 8, 1.0)])]), field(5, &field(1, &[0, 9]))].concat();
    let (good, zstd) = (version2(&[up(&[(t + 6, 1.0)])]), b"\x28\xb5\x2f\xfd\x04\x00\x09\x00\x00x");
    let proto3 = "application/x-protobuf;proto=io.prometheus.write.v3.Request";
    for (what, content_type, encoding, body, status, counts) in [
        ("histograms", V2, "snappy", snappy(&sound), 204, "1 2 2"),
        ("one that is wrong", V2, "snappy", snappy(&mixed), 400, "1 1 1"),
        ("a reference to nothing at the end", V2, "snappy", snappy(&broken), 400, "0 0 0"),
        ("cut", V2, "snappy", snappy(&good[..good.len() - 1]), 400, "0 0 0"),
        ("no symbols", V2, "snappy", snappy(&field(5, &[])), 400, "0 0 0"),
        ("not compressed", V2, "snappy", good.clone(), 400, "0 0 0"),
        ("another version", proto3, "snappy", snappy(&good), 415, "0 0 0"),
        ("another type", "application/json", "snappy", snappy(&good), 415, "0 0 0"),
        ("another encoding", V2, "gzip", snappy(&good), 415, "0 0 0"),
        ("zstd that ends early", V1, "zstd", zstd.to_vec(), 400, "- - -"),
        ("four gigabytes", V2, "snappy", vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0], 413, "0 0 0"),
    ] {
        let (got, written, text) = write(daemon.address, content_type, encoding, &body).await;
        assert_eq!((got, written.as_str()), (status, counts), "{what}: {text}");
        assert_eq!(text.is_empty(), status < 300, "{what}: {text}");
    }

    for (series, expected) in [
        ("whyd_unkept_total{kind=\"histograms\"}", 3.0),
        ("whyd_unkept_total{kind=\"exemplars\"}", 3.0),
        ("whyd_discarded_total{reason=\"invalid_histogram\"}", 1.0),
        ("whyd_deduplicated_total", 6.0),
        ("whyd_replica_clusters", 1.0),
        ("whyd_replica_failovers_total", 0.0),
        ("whyd_series", 8.0),
    ] {
        assert_eq!(metric(daemon.address, series).await, Some(expected), "{series}");
    }
    // What is read back is the same, elections too.
    let stored = get_json(daemon.address, "/prometheus/api/v1/query?query=up%5B1m%5D").await["data"]["result"].clone();
    assert_eq!(stored[0]["values"].as_array().unwrap().len(), 8, "{stored}");
    let at = format!("/prometheus/api/v1/query?query=up%5B1m%5D&time={}", t / 1000 + 5);
    let before = get_json(daemon.address, &at).await;
    daemon.kill();
    let daemon = Process::start_in(dir.path(), config, &[]);
    assert_eq!(get_json(daemon.address, &at).await["data"], before["data"]);
    let twin = write(daemon.address, V2, "snappy", &snappy(&version2(&[replica("b", "c")]))).await;
    assert_eq!(twin.0, 202, "{}", twin.2);
}

/// A core that takes messages and has a log that never fails.
struct Taking(Core);

impl Taking {
    fn take(&mut self, media: Media, body: &[u8]) {
        let received = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let envelope = Envelope { received, media, tenant: None, body: Bytes::from(snappy(body)) };
        for effect in self.0.step(received, Message::Input { token: 0, envelope }) {
            if let Effect::Append(record) = effect {
                self.0.step(received, Message::Durable(record.lsn));
            }
        }
    }

    /// Every series by its number, with its labels and the bits of its samples.
    fn all(&self) -> BTreeMap<u32, (String, Vec<(i64, u64)>)> {
        let scoped = self.0.snapshot().scoped(&Access::All);
        let samples = |id| scoped.slice(id, Timestamp::MIN, Timestamp::MAX);
        let bits = |id| samples(id).iter().map(|s| (s.ts.nanos(), s.value.to_bits())).collect();
        scoped.all_series().map(|(id, meta)| (id.0, (meta.labels.to_json(), bits(id)))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn both_versions_write_the_same_series(
        all in proptest::collection::vec((
            proptest::collection::vec(("[a-d]{0,2}", "[a-d]{0,3}|x{100,200}|.{1,3}"), 0..5),
            proptest::collection::vec((-1000i64..1000, any::<u64>()), 0..4),
        ), 0..12),
        turn in 0usize..12,
    ) {
        let start = Timestamp::parse("2026-01-01T00:00:00Z").unwrap().nanos() / 1_000_000;
        let series: Vec<Series> = all.into_iter().map(|(labels, samples)| {
            let name = labels.first().map_or("m".to_owned(), |(_, value)| format!("m{value}"));
            let labels = labels.into_iter().chain([("__name__".to_owned(), name)]).collect();
            let samples = samples.into_iter().map(|(ms, bits)| (start + ms, f64::from_bits(bits))).collect();
            Series { labels, samples, more: Vec::new() }
        }).collect();
        let core = || Taking(wiring::core(&ConfigFile::default().validate().unwrap()));
        let (mut first, mut second, mut both) = (core(), core(), core());
        let (one, two) = (Media::RemoteWrite1(Compression::Snappy), Media::RemoteWrite2(Compression::Snappy));
        // Several times: what a series is known by the next time is not what it was known by the first time.
        for round in 0..4 {
            let mut series: Vec<Series> = series.clone();
            series.iter_mut().flat_map(|s| &mut s.samples).for_each(|(ms, _)| *ms += 10_000 * round);
            if round == 3 {
                let turn = turn.min(series.len());
                series.rotate_left(turn);
            }
            first.take(one, &version1(&series));
            second.take(two, &version2(&series));
            both.take(one, &version1(&series));
            both.take(two, &version2(&series));
        }
        prop_assert_eq!(first.all(), second.all());
        prop_assert_eq!(first.all(), both.all());
        prop_assert_eq!(first.0.stats().refused, second.0.stats().refused);
    }
}

/// A Prometheus that scrapes a daemon each second and writes to it what it scraped.
async fn prometheus(dir: &Path, name: &str, whyd: SocketAddr, external: &str) -> Server {
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{{external}}}}}\n\
        scrape_configs: [{{job_name: whyd, static_configs: [{{targets: [\"{whyd}\"]}}]}}]\n\
        remote_write: [{{url: \"http://{whyd}/api/v1/write\", queue_config: {{batch_send_deadline: 200ms}}}}]\n"
    );
    let file = written(dir, &format!("{name}.yml"), &config);
    let args = [
        format!("--config.file={file}"),
        format!("--storage.tsdb.path={}", dir.join(name).display()),
        "--web.listen-address=127.0.0.1:0".to_owned(),
    ];
    let server = Server::start("prometheus", "prometheus", &args);
    until("prometheus to be ready", async || {
        let (status, _) = request(server.address, "GET", "/-/ready", "", b"").await?;
        (status == 200).then_some(())
    })
    .await;
    server
}

/// The series that a selector over a range gives, by their labels but the external ones, with their samples as they are.
async fn raw(to: SocketAddr, base: &str, query: &str, at: i64) -> BTreeMap<String, Vec<Value>> {
    let path = format!("{base}/api/v1/query?query={query}&time={at}");
    let answer = get_json(to, &path).await;
    let mut all = BTreeMap::new();
    for series in answer["data"]["result"].as_array().unwrap() {
        let labels = series["metric"].as_object().unwrap().iter().filter(|(name, _)| *name != "cluster");
        let labels = labels.map(|(name, value)| format!("{name}={value}")).collect::<BTreeSet<_>>();
        let values = series["values"].as_array().unwrap().clone();
        let twin = all.insert(format!("{labels:?}"), values);
        assert!(twin.is_none(), "{series} is there twice");
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_pair_of_real_ones_each_sample_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = "kubernetes: {enabled: false}\nlimits: {tick: 100ms}\nreplicas: {failover: 3s}\n";
    let daemon = Process::start_in(dir.path(), config, &[]);
    let mut pair = Vec::new();
    for name in ["a", "b"] {
        let external = format!("cluster: prod, __replica__: {name}");
        pair.push(Some(prometheus(dir.path(), name, daemon.address, &external).await));
    }
    let up = "up%7Bjob%3D%22whyd%22%7D%5B1m%5D";
    let twins = async || metric(daemon.address, "whyd_deduplicated_total").await.unwrap_or_default();
    until("both send", async || {
        let ours = raw(daemon.address, "/prometheus", up, now() / 1000 + 1).await;
        (twins().await > 0.0 && ours.values().any(|values| values.len() >= 5)).then_some(())
    })
    .await;
    let at = now() / 1000;
    let ours = raw(daemon.address, "/prometheus", up, at).await;
    assert_eq!(ours.len(), 1, "{ours:?}");
    let label = "/prometheus/api/v1/label/__replica__/values";
    assert_eq!(get_json(daemon.address, label).await["data"], serde_json::json!([]));
    let (labels, values) = ours.first_key_value().unwrap();
    // One of them has exactly these samples, and the other, which scrapes at other times, none of them.
    let mut winner = None;
    for (n, server) in pair.iter().enumerate() {
        let theirs = raw(server.as_ref().unwrap().address, "", up, at).await;
        let theirs = theirs.get(labels).cloned().unwrap_or_default();
        let shared = values.iter().filter(|v| theirs.contains(v)).count();
        assert!(shared == 0 || shared == values.len(), "{shared} of {values:?} in {theirs:?}");
        if shared > 0 {
            assert!(winner.replace(n).is_none(), "both have {values:?}");
        }
    }
    // It dies, and the other one is listened to.
    pair[winner.unwrap()].take();
    let newest =
        |of: &BTreeMap<String, Vec<Value>>| of.values().flatten().filter_map(|v| v[0].as_f64()).fold(0.0, f64::max);
    until("the other is elected", async || {
        let failovers = metric(daemon.address, "whyd_replica_failovers_total").await;
        (failovers == Some(1.0)).then_some(())
    })
    .await;
    let before = newest(&ours);
    let after = until("its samples", async || {
        let after = raw(daemon.address, "/prometheus", up, now() / 1000 + 1).await;
        (newest(&after) > before + 3.0).then_some(after)
    })
    .await;
    assert_eq!(after.len(), 1, "{after:?}");
}
