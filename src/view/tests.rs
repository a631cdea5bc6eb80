#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use whyd_signals::{Envelope, Media};

use super::*;
use crate::capture::Capture;
use crate::config::ConfigFile;
use crate::{replay, wiring};

/// What is seen of those messages of a recorded cluster that are kept.
fn view(keep: impl FnMut(&mut Envelope) -> bool) -> View {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/dependency-down");
    let mut messages = Capture::open(path).unwrap().messages().unwrap();
    messages.retain_mut(keep);
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
