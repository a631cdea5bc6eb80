#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use whyd_signals::{Envelope, Media};

use super::*;
use crate::capture::Capture;
use crate::config::ConfigFile;
use crate::{replay, wiring};

/// What is seen of those messages of a recorded cluster that are kept.
fn view(keep: impl FnMut(&mut Envelope) -> bool) -> View {
    view_with(keep, None)
}

/// The same with one more.
fn view_with(keep: impl FnMut(&mut Envelope) -> bool, more: Option<Envelope>) -> View {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/dependency-down");
    let mut messages = Capture::open(path).unwrap().messages().unwrap();
    messages.retain_mut(keep);
    if let Some(more) = more {
        messages.insert(messages.partition_point(|m| m.received <= more.received), more);
    }
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    View::new(Shown::of(&outcome.core, LogShown::default()))
}

#[test]
fn what_is_sent_says_which_pods_there_are_where_kubernetes_says_nothing() {
    let view = view(|m| !matches!(m.media, Media::Kube(..)));
    assert!(view.pods(&Access::All).is_empty() && view.restarts(&Access::All, &|_| true).is_empty());
    let heard =
        |access: &Access, asked: &str, namespace: Option<&str>| view.heard(access, &Asked::read(asked), namespace);
    let all = heard(&Access::All, "paydb-0", None);
    assert_eq!(all.iter().map(|h| h.source.as_str()).collect::<Vec<_>>(), ["logs", "metrics"]);
    for one in &all {
        assert_eq!((one.namespace.as_str(), one.pod.as_str()), ("team-pay", "paydb-0"));
        assert!(one.since < one.last, "{one:?}");
    }
    assert!((1..=5).contains(&all[0].lines.len()) && all[0].lines.last().unwrap().at == all[0].last, "{:?}", all[0]);
    assert!(all[1].text.contains(" series: container_"), "{}", all[1].text);
    let own = Access::team("pay");
    assert_eq!(heard(&own, "team-pay/PAYDB-0", None), all);
    assert_eq!(heard(&own, "pod/paydb-0", Some("team-pay")), all);
    for (access, asked, namespace) in [
        (&Access::team("shop"), "paydb-0", None),
        (&own, "paydb-0", Some("team-shop")),
        (&own, "team-shop/paydb-0", None),
        (&own, "deploy/paydb-0", None),
        (&own, "", Some("nowhere")),
    ] {
        assert!(heard(access, asked, namespace).is_empty(), "{asked}");
    }
    // Those that begin so, where none is called so.
    let begun = heard(&own, "payments-api", None);
    assert!(begun.len() >= 2 && begun.iter().all(|h| h.pod.starts_with("payments-api-")), "{begun:?}");
    assert!(view.namespaces(&own).contains(&(Team::new("pay"), "team-pay".to_owned())));
    assert!(view.namespaces(&Access::team("shop")).iter().all(|(team, _)| *team == Team::new("shop")));
}

#[test]
fn workloads_are_known_by_their_objects() {
    let view = view(|m| !matches!(m.media, Media::Kube(Resource::Pods, _)));
    let workloads = view.workloads(&Access::team("pay"));
    let named = |kind: &str, name: &str| ("team-pay".to_owned(), format!("{kind}/{name}"));
    assert!(workloads.contains(&named("StatefulSet", "paydb")), "{workloads:?}");
    assert!(workloads.contains(&named("Deployment", "payments-api")), "{workloads:?}");
    assert!(!workloads.iter().any(|(_, name)| name.starts_with("ReplicaSet/payments-api-")), "{workloads:?}");
    assert!(workloads.iter().all(|(namespace, _)| namespace == "team-pay"), "{workloads:?}");
}

#[test]
fn what_an_operator_made_is_a_workload_of_its_own() {
    let owner = r#""ownerReferences":[{"apiVersion":"monitoring.coreos.com/v1","kind":"Prometheus","name":"paydb","uid":"1","controller":true}],"uid""#;
    let view = view(|m| {
        if matches!(m.media, Media::Kube(Resource::StatefulSets, _)) {
            m.body = String::from_utf8(m.body.to_vec()).unwrap().replace(r#""uid""#, owner).into();
        }
        !matches!(m.media, Media::Kube(Resource::Pods, _))
    });
    let workloads = view.workloads(&Access::team("pay"));
    assert!(workloads.contains(&("team-pay".to_owned(), "StatefulSet/paydb".to_owned())), "{workloads:?}");
}

#[test]
fn a_sample_that_is_no_number_is_a_gap_in_the_memory() {
    let at = Timestamp::parse("2026-11-22T13:38:30Z").unwrap();
    let second = at.0 / 1_000_000_000;
    let series = r#"{"__name__":"container_memory_working_set_bytes","namespace":"team-pay","pod":"paydb-0","container":"paydb"}"#;
    let answer = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{series},
            "values":[[{},"NaN"],[{},"+Inf"],[{second},"1048576"]]}}]}}}}"#,
        second - 2,
        second - 1
    );
    let range = whyd_signals::Range {
        from: at.minus(std::time::Duration::from_secs(60)),
        to: at.plus(std::time::Duration::from_secs(1)),
    };
    let of = whyd_collector::wire::asked::Target { source: "prometheus".into(), tenant: None };
    let asked = whyd_collector::wire::asked::Asked { of, range, whole: true, labels: [].into() };
    let body = [asked.line(), answer.into_bytes()].concat().into();
    let media = Media::Pulled(whyd_signals::Pulled::QueryRange);
    let view = view_with(|_| true, Some(Envelope { received: at, media, tenant: None, body }));
    let rows = view.restarts(&Access::All, &|r| r.mechanism == "oom-limit");
    let memory = view.memory(&Access::All, &rows[0]).unwrap();
    let of_answer = |s: &MemorySample| s.bytes == 1_048_576.0 && s.at == at;
    assert!(memory.samples.iter().any(of_answer), "{memory:?}");
    assert!(memory.samples.iter().all(|s| s.bytes.is_finite()), "{memory:?}");
    let json = serde_json::to_string(&memory).unwrap();
    assert_eq!(serde_json::from_str::<MemoryUse>(&json).unwrap(), memory);
}
