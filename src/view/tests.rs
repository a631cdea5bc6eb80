#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use whyd_signals::{Envelope, Media};

use super::*;
use crate::capture::Capture;
use crate::config::ConfigFile;
use crate::{replay, wiring};

/// What is seen of those messages of a recorded cluster that are kept.
fn view(keep: impl Fn(&Envelope) -> bool) -> View {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/dependency-down");
    let mut messages = Capture::open(path).unwrap().messages().unwrap();
    messages.retain(keep);
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    View::new(Shown::of(&outcome.core, LogShown::default()))
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
