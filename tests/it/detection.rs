//! What detectors find and know, through the whole: lines as a shipper pushes them, and a daemon asked what is usual.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use whyd_collector::wire::kube::{envelope, listed, slim};
use whyd_signals::schema::Anomaly;
use whyd_signals::{Compression, Envelope, Media, Resource, Timestamp, Verb};

use crate::checkpoints::Player;
use crate::daemon::{Process, get_json, request};
use crate::remote_write::encode::{Series, snappy, version1};
use crate::until::until;

const START: i64 = 1_790_000_000;

/// What the container of a pod says at a second, a line and its level each.
type Says<'a> = dyn Fn(i64) -> Vec<String> + 'a;

fn push(pod: &str, second: i64, lines: &[String]) -> Envelope {
    let at = Timestamp::from_parts(START + second, 0).unwrap();
    let values: Vec<[String; 2]> = (0..).zip(lines).map(|(n, line)| [(at.0 + n).to_string(), line.clone()]).collect();
    let stream = json!({"namespace": "team-shop", "pod": pod, "container": "cart"});
    let body = json!({"streams": [{"stream": stream, "values": values}]}).to_string();
    let received = at.plus(Duration::from_millis(1));
    Envelope { received, media: Media::LokiJson, tenant: None, body: body.into() }
}

/// What is told of a pod that says this for so long, a push each ten seconds; half way another process goes on from a checkpoint.
fn told(seconds: i64, says: &Says<'_>) -> Vec<Arc<Anomaly>> {
    let mut player = Player::new(Timestamp::from_parts(START, 0).unwrap());
    for n in 0..seconds / 10 {
        if n == seconds / 20 {
            player.restart();
        }
        player.play(push("cart-1", n * 10, &says(n * 10)));
    }
    player.anomalies()
}

fn usual(second: i64) -> Vec<String> {
    let mut lines = vec![format!("level=info msg=\"order {} taken\" took={}ms", second * 7 % 1000, second % 83)];
    if second % 30 == 0 {
        lines.push("level=info msg=\"heartbeat sent to the coordinator\"".to_owned());
    }
    lines
}

#[test]
fn a_new_error_is_told_once_and_without_the_secret_in_it() {
    let found = told(3 * 3600, &|second| {
        let mut lines = usual(second);
        if second >= 9000 {
            lines.push("level=error msg=\"cannot log in to the ledger\" password=hunter2x".to_owned());
        }
        lines
    });
    let new: Vec<_> = found.iter().filter(|a| a.metric == "log_new").collect();
    assert_eq!(new.len(), 1, "{found:?}");
    assert_eq!(new[0].ts, Timestamp::from_parts(START + 9000, 1 + i64::from(9000 % 30 == 0)).unwrap());
    assert!(new[0].text.starts_with("first time in 2 h: \""), "{}", new[0].text);
    assert!(new[0].text.contains("cannot log in to the ledger") && !new[0].text.contains("hunter2"), "{}", new[0].text);
    assert_eq!((new[0].namespace.as_str(), new[0].pod.as_str(), new[0].team.as_str()), ("team-shop", "cart-1", "shop"));
}

#[test]
fn a_heartbeat_that_stops_is_told_and_a_container_that_is_well_is_not() {
    assert_eq!(told(4 * 3600, &usual), []);
    let found = told(3 * 3600, &|second| {
        usual(second).into_iter().filter(|line| second < 7200 || !line.contains("heartbeat")).collect()
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].metric.as_str(), found[0].expected), ("log_vanished", 2.0));
    let text = &found[0].text;
    assert!(text.contains("before 2 a minute in 2 h with lines: \"") && text.contains("heartbeat sent"), "{text}");
}

/// A request each two seconds, as the two write of it that it goes through; the way from the one to the other, and back, takes
/// so many milliseconds.
fn told_of_requests(way: impl Fn(i64) -> i64, id: impl Fn(i64) -> String) -> Vec<Arc<Anomaly>> {
    let mut player = Player::new(Timestamp::from_parts(START, 0).unwrap());
    for second in (0..1200).step_by(2) {
        if second == 700 {
            player.restart();
        }
        let (at, way, id) = (Timestamp::from_parts(START + second, 0).unwrap(), way(second), id(second));
        let stream = |pod: &str, said: [(i64, &str); 2]| {
            let values = said.map(|(ms, text)| {
                let ts = at.plus(Duration::from_millis(ms as u64));
                [ts.0.to_string(), format!("INFO {text} traceId={id} spanId=51")]
            });
            json!({"stream": {"namespace": "team-shop", "pod": pod, "container": "app"}, "values": values})
        };
        // Who answers is heard first: of which sender a line comes first says nothing.
        let code = stream("code-1", [(way + 4, "asked for a code"), (way + 20, "code is right")]);
        let web = stream("web-1", [(0, "somebody logs in"), (2 * way + 25, "logged in")]);
        let body = json!({"streams": [code, web]}).to_string();
        let received = at.plus(Duration::from_secs(4));
        player.play(Envelope { received, media: Media::LokiJson, tenant: None, body: body.into() });
    }
    player.anomalies()
}

#[test]
fn requests_that_wait_on_their_way_are_told_of_the_one_they_went_to() {
    let id = |second: i64| format!("{:032x}", second + 1);
    let way = |second: i64| if second < 800 { second % 3 } else { 500 };
    let found = told_of_requests(way, id);
    assert_eq!(found.len(), 1, "{found:?}");
    let Anomaly { metric, pod, namespace, container, team, ts, .. } = found[0].as_ref();
    let whose = (metric.as_str(), team.as_str(), namespace.as_str(), pod.as_str(), container.as_str());
    assert_eq!(whose, ("calls", "shop", "team-shop", "code-1", "app"));
    assert!((800.0..840.0).contains(&ts.seconds_since(Timestamp::from_parts(START, 0).unwrap())), "{ts}");
    let text = &found[0].text;
    assert!(text.starts_with("calls by Pod/web-1 "), "{text}");
    let number = i64::from_str_radix(&found[0].trace, 16).unwrap();
    assert!(
        (800..840).contains(&number) && text.ends_with(&format!(", one of them in trace {}", found[0].trace)),
        "{text}"
    );
    let until = found[0].until.seconds_since(Timestamp::from_parts(START, 0).unwrap());
    assert!((1150.0..1200.0).contains(&until), "it goes on: {until}");
    assert_eq!(found[0].workload, "Pod/code-1");
    assert_eq!(told_of_requests(|second| second % 3, id), []);
    assert_eq!(told_of_requests(way, |_| "0".repeat(32)), [], "an id of zeros is none");
}

/// A scrape of a program that counts its requests, and its errors once there are some.
fn program(second: i64, errors: i64) -> Envelope {
    let at = Timestamp::from_parts(START + second, 0).unwrap();
    let count = |metric: &str, n: i64| {
        let labels = [
            ("__name__", metric),
            ("instance", "10.0.0.7:8080"),
            ("job", "cart"),
            ("namespace", "team-shop"),
            ("pod", "cart-1"),
        ];
        Series::new(&labels, &[(at.0 / 1_000_000, n as f64)])
    };
    let mut all = vec![count("cart_requests_total", second)];
    all.extend((errors > 0).then(|| count("cart_request_errors_total", errors)));
    let media = Media::RemoteWrite1(Compression::Snappy);
    Envelope { received: at, media, tenant: None, body: snappy(&version1(&all)).into() }
}

#[test]
fn a_count_of_errors_that_was_not_there_while_its_program_was_scraped_was_nothing() {
    let told = |from: i64, restart: Option<i64>| {
        let mut player = Player::new(Timestamp::from_parts(START, 0).unwrap());
        for second in (0..900).step_by(15) {
            if restart == Some(second) {
                player.restart();
            }
            player.play(program(second, (second - from + 15) * 40));
        }
        player.anomalies()
    };
    let found = told(300, None);
    assert_eq!(found.len(), 1, "{found:?}");
    let text = "cart_request_errors_total 40/s, usually 0/s, seen for 5 min only";
    assert_eq!((found[0].text.as_str(), found[0].pod.as_str()), (text, "cart-1"));
    assert_eq!(told(300, Some(270)), found, "it is remembered since when it was scraped");
    assert_eq!(told(0, None), [], "it came with the first scrape");
}

#[test]
fn counts_that_there_was_no_room_for_come_into_being_with_no_errors_when_there_is() {
    // More than there are places for what nobody asked for; most of them end, and make room for those that were there as long.
    let mut player = Player::new(Timestamp::from_parts(START, 0).unwrap());
    for second in (0..1800).step_by(15) {
        let at = Timestamp::from_parts(START + second, 0).unwrap();
        let count = |n: usize| {
            let (pod, instance) = (format!("cart-{n}"), format!("10.0.{}.{}:8080", n / 256, n % 256));
            let labels = [
                ("__name__", "cart_cache_errors_total"),
                ("instance", instance.as_str()),
                ("job", "cart"),
                ("namespace", "team-shop"),
                ("pod", pod.as_str()),
            ];
            Series::new(&labels, &[(at.0 / 1_000_000, 5.0 * second as f64)])
        };
        let all: Vec<Series> = (if second < 600 { 0 } else { 2000 }..2600).map(count).collect();
        let media = Media::RemoteWrite1(Compression::Snappy);
        player.play(Envelope { received: at, media, tenant: None, body: snappy(&version1(&all)).into() });
    }
    assert_eq!(player.anomalies(), []);
}

/// A scrape of the kubelet's counts of a pod's readiness probe.
fn probes(second: i64, succeeded: i64, failed: i64) -> Envelope {
    let at = Timestamp::from_parts(START + second, 0).unwrap();
    let count = |result: &str, n: i64| {
        let labels = [
            ("__name__", "prober_probe_total"),
            ("container", "cart"),
            ("namespace", "team-shop"),
            ("pod", "cart-1"),
            ("probe_type", "Readiness"),
            ("result", result),
        ];
        Series::new(&labels, &[(at.0 / 1_000_000, n as f64)])
    };
    let all = [count("failed", failed), count("successful", succeeded)];
    let media = Media::RemoteWrite1(Compression::Snappy);
    Envelope { received: at, media, tenant: None, body: snappy(&version1(&all)).into() }
}

/// What is told of a probe that succeeds for a while and fails then, of a pod that is there, or whose deletion is heard then, or
/// that it is gone.
fn told_of_a_probe(deleted: Option<(i64, bool)>) -> Vec<Arc<Anomaly>> {
    let at = |second: i64| Timestamp::from_parts(START + second, 0).unwrap();
    let pod = |version: i64, deleted: bool| {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "cart-1", "namespace": "team-shop", "uid": "0a", "resourceVersion": version.to_string(),
                "creationTimestamp": at(-3600).to_string(),
            },
            "spec": {"containers": [{"name": "cart", "image": "cart:1"}]},
            "status": {"phase": "Running"},
        });
        if deleted {
            pod["metadata"]["deletionTimestamp"] = json!(at(44).to_string());
            pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
        }
        slim(Resource::Pods, pod.to_string().as_bytes()).unwrap()
    };
    let mut player = Player::new(at(0));
    player.play(envelope(Resource::Pods, Verb::Apply, at(0), pod(1, false)));
    player.play(listed(Resource::Pods, at(0), &["0a".to_owned()]).unwrap());
    for scrape in 0..12 {
        if let Some((heard, is_gone)) = deleted.filter(|(heard, _)| heard / 5 + 1 == scrape) {
            player.play(envelope(Resource::Pods, Verb::Apply, at(heard), pod(2, true)));
            if is_gone {
                player.play(envelope(Resource::Pods, Verb::Delete, at(heard), pod(3, true)));
            }
        }
        player.play(probes(scrape * 5, scrape.min(8), (scrape - 8).max(0)));
    }
    player.anomalies()
}

#[test]
fn a_probe_that_fails_is_told_unless_its_pod_goes() {
    let found = told_of_a_probe(None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].text, "readiness probe failed, after 8 that succeeded");
    assert_eq!(found[0].ts, Timestamp::from_parts(START + 45, 0).unwrap());
    assert_eq!((found[0].pod.as_str(), found[0].team.as_str()), ("cart-1", "shop"));
    for is_gone in [false, true] {
        assert_eq!(told_of_a_probe(Some((44, is_gone))), [], "deleted before");
        assert_eq!(told_of_a_probe(Some((47, is_gone))), [], "which is heard after the scrape");
    }
    assert_eq!(told_of_a_probe(Some((53, true))).len(), 1, "deleted since");
}

#[test]
fn what_fills_up_says_which_volume_or_node_it_is() {
    let at = |second: i64| Timestamp::from_parts(START + second, 0).unwrap();
    let mut player = Player::new(at(0));
    let pod = |namespace: &str, name: &str, uid: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": namespace, "uid": uid, "resourceVersion": "1",
            "creationTimestamp": at(-3600).to_string()});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Running"}});
        slim(Resource::Pods, pod.to_string().as_bytes()).unwrap()
    };
    let mounted = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-pg-0"}}]);
    let database = json!({"containers": [{"name": "pg", "image": "pg:1"}], "volumes": mounted});
    let exporter =
        json!({"containers": [{"name": "exporter", "image": "e:1"}], "nodeName": "worker-2", "hostNetwork": true});
    player.play(envelope(Resource::Pods, Verb::Apply, at(0), pod("team-shop", "pg-0", "0a", database)));
    player.play(envelope(Resource::Pods, Verb::Apply, at(0), pod("monitoring", "node-exporter-x", "0b", exporter)));
    player.play(listed(Resource::Pods, at(0), &["0a".to_owned(), "0b".to_owned()]).unwrap());
    for scrape in 0..80 {
        let second = scrape * 15;
        let left = if scrape < 70 { 100e9 } else { 1e9 };
        let volume = [
            ("__name__", "kubelet_volume_stats_available_bytes"),
            ("namespace", "team-shop"),
            ("persistentvolumeclaim", "data-pg-0"),
        ];
        let node = [
            ("__name__", "node_filesystem_avail_bytes"),
            ("container", "exporter"),
            ("device", "/dev/sda1"),
            ("mountpoint", "/var"),
            ("namespace", "monitoring"),
            ("pod", "node-exporter-x"),
        ];
        let all = [
            Series::new(&volume, &[(at(second).0 / 1_000_000, left)]),
            Series::new(&node, &[(at(second).0 / 1_000_000, left)]),
        ];
        let media = Media::RemoteWrite1(Compression::Snappy);
        player.play(Envelope { received: at(second), media, tenant: None, body: snappy(&version1(&all)).into() });
    }
    let found = player.anomalies();
    let of = |metric: &str| found.iter().find(|a| a.metric == metric).unwrap_or_else(|| panic!("{metric}: {found:?}"));
    let (volume, node) = (of("kubelet_volume_stats_available_bytes"), of("node_filesystem_avail_bytes"));
    assert_eq!((volume.namespace.as_str(), volume.pod.as_str()), ("team-shop", "pg-0"));
    assert!(volume.text.ends_with(" (volume claim data-pg-0)"), "{}", volume.text);
    assert_eq!((node.pod.as_str(), node.container.as_str()), ("", ""));
    assert!(node.text.ends_with(" (node worker-2, /var)"), "{}", node.text);
}

/// A metric that was asked for, sent to a daemon: it is being learnt, and that is counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_says_what_it_watches_what_it_knows_and_what_that_costs() {
    #[allow(clippy::disallowed_methods)]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let dir = tempfile::tempdir().unwrap();
    let more = "anomaly: {watch: [{metric: m0, words: jobs waiting, why: they pile up}]}\n";
    let daemon = Process::start_with(dir.path(), None, more);
    let headers = "content-type: application/x-protobuf\r\n";
    for n in 0..3 {
        let body = crate::log::run(0, now - 60_000 + n * 10_000, 50);
        assert_eq!(request(daemon.address, "POST", "/api/v1/write", headers, &body).await.unwrap().0, 204);
    }
    let known = async || {
        let answer = get_json(daemon.address, "/api/v1/baselines?state=learning").await;
        answer["baselines"].get(0).cloned()
    };
    let baseline = until("what is known is shown", known).await;
    assert_eq!((baseline["metric"].clone(), baseline["words"].clone()), ("m0".into(), "jobs waiting".into()));
    assert_eq!((baseline["usual"].clone(), baseline["series"].clone()), (Value::Null, 1.into()));
    let time = |key: &str| Timestamp::parse(baseline[key].as_str().unwrap()).unwrap();
    assert_eq!(time("since"), Timestamp::from_millis(now - 60_000).unwrap());
    assert!(time("until") >= time("since").plus(Duration::from_secs(600)), "{baseline}");
    let watched = get_json(daemon.address, "/api/v1/watched").await;
    let rows = watched["watched"].as_array().unwrap();
    assert!(rows.iter().any(|w| w["metric"] == "m0" && w["why"] == "they pile up"), "{watched}");
    assert!(rows.iter().any(|w| w["metric"] == "container_memory_working_set_bytes"), "{watched}");

    let metrics = request(daemon.address, "GET", "/metrics", "", b"").await.unwrap().1;
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|l| l.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {metrics}")).parse().unwrap()
    };
    assert_eq!((value("whyd_detector_series"), value("whyd_detector_values_total")), (1.0, 150.0));
    assert!(value("whyd_detector_bytes") >= value("whyd_detector_series_bytes"));
    assert_eq!(value("whyd_detector_refused_total{what=\"baselines\"}"), 0.0);
    if std::path::Path::new("/proc/thread-self/schedstat").exists() {
        // The kernel adds it up some hundred times a second.
        assert!((0.0..10.0).contains(&value("whyd_detector_cpu_seconds_total")));
    }
}
