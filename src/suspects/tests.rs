#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::path::Path;

use whyd_signals::Access;

use super::*;
use crate::capture::Capture;
use crate::config::ConfigFile;
use crate::{replay, wiring};

#[test]
fn a_counter_is_its_increase_and_may_begin_anew() {
    let second = 1_000_000_000;
    let (times, values) = rates([(0, 10.0), (second, 14.0), (3 * second, 2.0)].into_iter());
    assert_eq!((times, values), (vec![second, 3 * second], vec![4.0, 1.0]));
}

fn of_capture(name: &str, namespace: Option<&str>, most: Most) -> Suspects {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures").join(name);
    let capture = Capture::open(&path).unwrap();
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), capture.messages().unwrap(), config.lateness);
    let scoped = outcome.snapshot.scoped(&Access::All);
    Suspects::of((&scoped, &scoped), (outcome.at.minus(PAST), outcome.at), namespace, most)
}

#[test]
fn what_is_too_much_is_left_out_counted_and_said() {
    let whole = of_capture("dependency-down", None, Most::default());
    assert_eq!(whole.left_out, LeftOut::default());
    assert_eq!(whole.left_out.told(), None);
    let of_lines = |suspects: &Suspects| suspects.facts.lines.len() + suspects.facts.complaints.len();
    let (series, lines) = (whole.facts.series.len(), of_lines(&whole));
    let most = Most { series: series - 2, samples: series, lines: lines - 3 };
    let cut = of_capture("dependency-down", None, most);
    assert_eq!((cut.facts.series.len(), cut.left_out.series), (series - 2, 2));
    assert!(cut.facts.series.iter().all(|s| s.times.len() <= 1), "of each series as many");
    assert!(cut.left_out.samples > 0);
    assert!(of_lines(&cut) <= lines - 3 && !cut.facts.lines.is_empty());
    assert_eq!(of_lines(&cut) + cut.left_out.lines, lines);
    let newest = |suspects: &Suspects| suspects.facts.lines.iter().map(|l| l.at).max();
    assert_eq!(newest(&cut), newest(&whole), "the oldest are left out");
    let told = cut.left_out.told().unwrap();
    assert!(told.starts_with("2 series, ") && told.ends_with("left out"), "{told}");
}

#[test]
fn what_ended_is_blamed_on_its_root() {
    let suspects = of_capture("dependency-down", None, Most::default());
    let at = |name: &str| suspects.who.iter().position(|s| s.name == name).unwrap() as u32;
    let (database, api) = (at("paydb"), at("payments-api"));
    assert!(suspects.facts.ended.iter().all(|e| e.candidate == database), "{:?}", suspects.facts.ended);
    assert!(suspects.facts.ended.iter().any(|e| e.seen_at == Some(api)));
    let until = suspects.facts.ended.iter().map(|e| e.at).max().unwrap() + 1;
    let (_, ranked) = ranking::find(&suspects.facts, until - 600_000_000_000, until);
    assert_eq!(ranked[0].candidate, database);
    let told = suspects.told(&ranked[0]).remove(0);
    assert!(told.contains("payments-api") && told.contains("dependency-down"), "{told}");
}

/// Whoever asks wants to know what happened before what was counted; who is suspected, and how much, does not depend on it.
#[test]
fn how_a_suspect_ended_is_told_before_what_was_counted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/dependency-down");
    let capture = Capture::open(&path).unwrap();
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), capture.messages().unwrap(), config.lateness);
    let scoped = outcome.snapshot.scoped(&Access::All);
    let own: Vec<_> = scoped.each_restart().filter(|row| row.workload == "StatefulSet/paydb").collect();
    let first = own.iter().filter_map(|row| row.finished_at).min().unwrap();
    let at = WrongAt { first: Some(first), until: outcome.at };
    let found = ranking((&scoped, &scoped), at, None, Most::default());
    let suspects = Suspects::of((&scoped, &scoped), (at.until.minus(PAST), at.until), None, Most::default());
    let (_, ranked) = ranking::find_around(&suspects.facts, first.0, at.until.0 + 1);
    for (told, ranked) in found.ranking.iter().zip(&ranked) {
        assert_eq!((told.score, &told.name), (ranked.score, &suspects.who[ranked.candidate as usize].name));
        assert!(told.because.ends_with(&suspects.told(ranked)), "{told:?}");
    }
    let root = &found.ranking[0];
    let time = &first.to_string()[11..19];
    let end =
        format!("paydb-0 ended with exit 137 OOMKilled at {time}: oom-limit, and {} times more until ", own.len() - 1);
    assert!(root.name == "paydb" && root.because[0].starts_with(&end), "{end}: {root:?}");
    assert!(root.because[1].starts_with("anomaly at "), "{root:?}");
    // What ended of other pods is none of the first one's.
    let payments = found.ranking.iter().find(|s| s.name == "payments-api").unwrap();
    let ends = scoped.each_restart().filter(|row| row.workload == "Deployment/payments-api");
    let pods: std::collections::BTreeSet<_> = ends.map(|row| row.pod.clone()).collect();
    assert!(pods.len() > 1 && payments.because[0].contains(&format!(", in {} pods,", pods.len())), "{payments:?}");
    // Of what was long before nothing is told.
    let seen = seen::Seen::of(&scoped, (first.minus(Duration::from_secs(60)), first.minus(Duration::from_nanos(1))));
    let paydb = suspects.who.iter().find(|s| s.name == "paydb").unwrap();
    assert!(seen.told(paydb).iter().all(|told| !told.contains("ended")), "{:?}", seen.told(paydb));
}

#[test]
fn a_namespace_has_its_own_suspects_only() {
    let none = of_capture("dependency-down", Some("nowhere"), Most::default());
    assert!(none.who.is_empty() && none.facts.lines.is_empty() && none.facts.series.is_empty());
    let own = of_capture("dependency-down", Some("team-pay"), Most::default());
    assert!(!own.who.is_empty() && own.who.iter().all(|s| &*s.namespace == "team-pay"), "{:?}", own.who);
}

#[test]
fn warnings_are_told_by_their_reason_and_how_often() {
    let suspects = of_capture("liveness-fail", None, Most::default());
    let unhealthy = suspects.events.iter().position(|kind| kind == "Unhealthy").unwrap() as u32;
    let of: Vec<&Event> = suspects.facts.events.iter().filter(|e| e.kind == unhealthy).collect();
    let at = of.iter().map(|e| e.at).min().unwrap();
    assert!(of.iter().all(|e| e.candidate == of[0].candidate && e.seen_at.is_none()), "{of:?}");
    let facts =
        Facts { candidates: suspects.facts.candidates, events: suspects.facts.events.clone(), ..Facts::default() };
    let ranked = ranking::Prepared::of(&facts, i64::MAX).at(at - 1);
    let first = ranked.iter().find(|r| r.candidate == of[0].candidate).unwrap();
    let told = suspects.told(first).join("; ");
    assert!(told.starts_with("event ") && told.ends_with(", never before"), "{told}");
}

#[test]
fn who_did_not_answer_is_named_by_whom_it_did_not_answer() {
    let suspects = of_capture("dependency-down", None, Most::default());
    let at = |name: &str| suspects.who.iter().position(|s| s.name == name).unwrap() as u32;
    let (database, api) = (at("paydb"), at("payments-api"));
    assert!(suspects.facts.calls.contains(&(api, database)), "{:?}", suspects.facts.calls);
    let of_api = suspects.facts.complaints.iter().filter(|c| c.caller == api);
    assert!(of_api.clone().count() > 0 && of_api.clone().all(|c| c.callee == database));
    let facts = &suspects.facts;
    let complaints = facts.complaints.clone();
    let onset = complaints.iter().map(|c| c.at).min().unwrap();
    let facts = Facts { candidates: facts.candidates, complaints, ..Facts::default() };
    let ranked = ranking::Prepared::of(&facts, i64::MAX).at(onset);
    assert_eq!(ranked[0].candidate, database);
    let told = suspects.told(&ranked[0]).remove(0);
    assert!(told.starts_with("payments-api could not reach it: ") && told.ends_with("never before"), "{told}");
}

#[test]
fn what_went_as_somebody_wanted_makes_nobody_suspect() {
    for (name, failed) in
        [("rolling-restart", false), ("benign-changes", false), ("manual-delete", false), ("oom-limit", true)]
    {
        let suspects = of_capture(name, None, Most::default());
        assert_eq!(
            !suspects.facts.ended.is_empty(),
            failed,
            "{name}: {:?} for {:?}",
            suspects.facts.ended,
            suspects.causes
        );
    }
}

#[test]
fn a_line_of_no_request_is_told_by_its_share_and_numbers_by_the_digits_that_count() {
    let suspects = Suspects { templates: BTreeMap::from([(7, "disk <*> full".into())]), ..Suspects::default() };
    let told = |reason| suspects.told(&Ranked { candidate: 0, score: 1.0, because: vec![reason] }).remove(0);
    let share = ranking::Reason::Share { kind: 7, now: (12, 20), before: (0, 400) };
    assert_eq!(told(share), "\"disk <*> full\" is 12 of 20 lines, 0 of 400 before");
    let small = ranking::Reason::Metric { metric: 0, was: 0.000_012_3, is: 0.0456 };
    assert_eq!(told(small), "a metric went from 1.23e-5 to 0.0456");
}

/// A capture of requests of web, in one namespace, that auth of another one answers, slowly in the end.
fn requests_of_two(dir: &Path) {
    use std::io::Write;
    let start = 1_790_000_000_i64;
    let at = |second: i64, ms: i64| (start + second) * 1_000_000_000 + ms * 1_000_000;
    let (mut bodies, mut index) = (Vec::new(), String::new());
    for second in (0..1500).step_by(2) {
        let took = if second < 1200 { 20 } else { 700 } + second * 7 % 11;
        let stream = |namespace: &str, pod: &str, said: [(i64, &str); 2]| {
            let line = |(ms, text): (i64, &str)| {
                [at(second, ms).to_string(), format!("INFO {text} traceId={:032x} spanId=51", second + 1)]
            };
            serde_json::json!({"stream": {"namespace": namespace, "pod": pod, "container": "app"}, "values": said.map(line)})
        };
        let web = stream("team-web", "web-1", [(0, "asked"), (10 + took, "answered")]);
        let auth = stream("team-auth", "auth-1", [(5, "begins"), (5 + took, "ends")]);
        let body = serde_json::json!({"streams": [web, auth]}).to_string();
        let row = serde_json::json!({"received_ns": at(second, 4000), "path": "/loki/api/v1/push", "file": "bodies.json",
            "offset": bodies.len(), "bytes": body.len(), "headers": {"Content-Type": "application/json"}});
        index.push_str(&format!("{row}\n"));
        bodies.write_all(body.as_bytes()).unwrap();
    }
    std::fs::create_dir(dir.join("loki_push")).unwrap();
    std::fs::write(dir.join("loki_push/bodies.json"), bodies).unwrap();
    std::fs::write(dir.join("loki_push/index.ndjson"), index).unwrap();
    let time = |second: i64| Timestamp(at(second, 0)).to_string();
    let about = serde_json::json!({"version": 1, "name": "two", "cluster": "two", "from": time(-5), "to": time(1510)});
    std::fs::write(dir.join("capture.json"), about.to_string()).unwrap();
}

#[test]
fn who_waited_for_another_namespace_is_not_blamed_for_that() {
    let dir = tempfile::tempdir().unwrap();
    requests_of_two(dir.path());
    let capture = Capture::open(dir.path()).unwrap();
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), capture.messages().unwrap(), config.lateness);
    let everybody = outcome.snapshot.scoped(&Access::All);
    let until = Timestamp((1_790_000_000 + 1490) * 1_000_000_000);
    let at = WrongAt { first: None, until };
    let first = |scoped: &Scoped, everybody: &Scoped, namespace: Option<&str>| {
        let found = ranking((scoped, everybody), at, namespace, Most::default());
        found.ranking.first().map(|r| (r.name.clone(), r.because.join("; ")))
    };
    // Whom nobody knows of takes its time at the one that called.
    let nobody = outcome.snapshot.scoped(&Access::team("nobody"));
    let (name, because) = first(&everybody, &nobody, Some("team-web")).unwrap();
    assert!(name == "web-1" && because.contains("steps with web-1 took"), "{name}: {because}");
    assert_eq!(first(&everybody, &everybody, Some("team-web")), None);
    let (name, _) = first(&everybody, &everybody, None).unwrap();
    assert_eq!(name, "auth-1");
    // A team is told no more than that somebody was there.
    let web = outcome.snapshot.scoped(&Access::team("web"));
    assert_eq!(first(&web, &everybody, None), None);
}
