//! What decides, and what does not: one field of a recorded capture is flipped. A decisive one changes the verdict to
//! the one that is named, an irrelevant one changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::{replay, wiring};
use whyd_signals::{Access, Envelope, Media, Resource};

/// Which messages a flip is about.
#[derive(Clone, Copy)]
enum In {
    Pods,
    Events,
    /// All objects.
    Objects,
}

/// A capture, what is flipped to what, and the causes that the workload's ended instances have then.
struct Flip {
    capture: &'static str,
    place: In,
    from: &'static str,
    to: &'static str,
    workload: &'static str,
    causes: &'static [&'static str],
}

const fn flip(
    capture: &'static str,
    place: In,
    (from, to): (&'static str, &'static str),
    workload: &'static str,
    causes: &'static [&'static str],
) -> Flip {
    Flip { capture, place, from, to, workload, causes }
}

const DECISIVE: [Flip; 9] = [
    // The kernel did not do it: then somebody else's SIGKILL did.
    flip("oom-limit", In::Pods, (r#""reason":"OOMKilled""#, r#""reason":"Error""#), "cart", &["killed-by-signal"]),
    flip("false-137", In::Pods, (r#""exitCode":137"#, r#""exitCode":139"#), "etl", &["segfault"]),
    flip("false-137", In::Pods, (r#""exitCode":137"#, r#""exitCode":134"#), "etl", &["abort"]),
    flip("segfault", In::Pods, (r#""exitCode":139"#, r#""exitCode":135"#), "", &["bus-error"]),
    // Without the kubelet's word that it killed for the probe, the exit code is all there is.
    flip("liveness-fail", In::Events, ("failed liveness probe, will be restarted", "x"), "", &[]),
    flip("config-change", In::Pods, (r#""name":"ledger-config""#, r#""name":"other-config""#), "ledger", &[]),
    flip("clean-exit-always", In::Pods, (r#""exitCode":0"#, r#""exitCode":9"#), "", &["app-error"]),
    flip("app-panic", In::Pods, (r#""exitCode":1"#, r#""exitCode":127"#), "", &["command-not-found"]),
    flip("eviction", In::Pods, (r#""reason":"Evicted""#, r#""reason":"Elsewhere""#), "report", &[]),
];

/// Nothing that a verdict rests on: image pull times, host addresses, scheduling, labels nobody selects by.
const IRRELEVANT: [(&str, In, (&str, &str)); 5] = [
    ("oom-limit", In::Pods, (r#""qosClass":"Burstable""#, r#""qosClass":"BestEffort""#)),
    ("dependency-down", In::Pods, (r#""schedulerName":"default-scheduler""#, r#""schedulerName":"another""#)),
    ("app-panic", In::Pods, (r#""dnsPolicy":"ClusterFirst""#, r#""dnsPolicy":"Default""#)),
    ("bad-rollout", In::Objects, (r#""progressDeadlineSeconds":600"#, r#""progressDeadlineSeconds":300"#)),
    ("liveness-fail", In::Events, (r#""reason":"Pulled""#, r#""reason":"Created""#)),
];

fn messages(capture: &str) -> Vec<Envelope> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures").join(capture);
    Capture::open(path).unwrap().messages().unwrap()
}

fn flipped(messages: &[Envelope], place: In, (from, to): (&str, &str)) -> Vec<Envelope> {
    let mut hits = 0;
    let out = messages
        .iter()
        .map(|m| {
            let meant = matches!(
                (m.media, place),
                (Media::Kube(Resource::Pods, _), In::Pods)
                    | (Media::Kube(Resource::Events, _), In::Events)
                    | (Media::Kube(..), In::Objects)
            );
            let text = String::from_utf8_lossy(&m.body);
            if !meant || !text.contains(from) {
                return m.clone();
            }
            hits += 1;
            Envelope { body: Bytes::from(text.replace(from, to)), ..m.clone() }
        })
        .collect();
    assert!(hits > 0, "{from} is nowhere");
    out
}

/// Pod, exit code, cause and root of each row.
fn verdicts(messages: Vec<Envelope>) -> BTreeSet<(String, Option<i32>, String, String)> {
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    let rows = outcome.snapshot.scoped(&Access::All).restarts();
    let row = |r: &std::sync::Arc<whyd_signals::schema::Restart>| {
        let root = r.root.as_ref().map(ToString::to_string).unwrap_or_default();
        (format!("{}/{}", r.workload, r.pod.clone().unwrap_or_default()), r.exit_code, r.cause.clone(), root)
    };
    rows.iter().map(row).collect()
}

#[test]
fn a_decisive_field_changes_the_verdict() {
    for f in DECISIVE {
        let before = messages(f.capture);
        let was = verdicts(before.clone());
        let is = verdicts(flipped(&before, f.place, (f.from, f.to)));
        let of = |all: &BTreeSet<(String, Option<i32>, String, String)>| -> BTreeSet<String> {
            let own = all.iter().filter(|(place, exit, ..)| place.contains(f.workload) && exit.is_some());
            own.map(|(_, _, cause, _)| cause.clone()).collect()
        };
        let (old, new) = (of(&was), of(&is));
        assert_ne!(old, new, "{}: {} to {} changed nothing", f.capture, f.from, f.to);
        let named: BTreeSet<String> = f.causes.iter().map(|c| (*c).to_owned()).collect();
        assert!(f.causes.is_empty() || new == named, "{}: {} to {}: {new:?}", f.capture, f.from, f.to);
    }
}

#[test]
fn an_irrelevant_field_changes_nothing() {
    for (capture, place, change) in IRRELEVANT {
        let before = messages(capture);
        let was = verdicts(before.clone());
        assert_eq!(was, verdicts(flipped(&before, place, change)), "{capture}: {change:?}");
    }
}
