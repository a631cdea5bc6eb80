//! How the watches of the Kubernetes API fare, for `/metrics` and `/readyz`.

use whyd_api::{Kind, Metric};
use whyd_collector::source::kube::{SourceStatus, Statuses, WATCH};
use whyd_correlate::SILENCE;
use whyd_signals::{Resource, Timestamp};

/// What the watches themselves tell.
#[derive(Clone)]
pub struct Watches {
    statuses: Statuses,
}

/// When pods were heard of last since the start, and whether they are not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Heard {
    pub at: Option<Timestamp>,
    pub lost: bool,
}

// A watch that nothing happens to is taken up anew in less time than is taken for silence, so that one without bookmarks is none.
const _: () = assert!((WATCH as u64) < SILENCE.as_secs());

/// Whether a watch was not heard since the start, fails, or its connection is there and nothing comes. One that was heard since it failed is only not yet known to last.
fn is_lost(status: &SourceStatus, now: Option<Timestamp>) -> bool {
    let Some(heard) = status.heard_at else { return true };
    let is_silent = now.is_some_and(|now| now > heard.plus(SILENCE));
    is_silent || status.failing.is_some_and(|f| heard <= f.at)
}

impl Watches {
    /// Those that write to these statuses.
    pub fn new(statuses: Statuses) -> Self {
        Self { statuses }
    }

    /// What is to be known of them beside what is synced; no error's text, since it may hold names of the cluster.
    pub fn note(&self) -> Option<&'static str> {
        let failing: Vec<bool> = self.statuses.all().iter().filter_map(|s| Some(s.failing?.unserved)).collect();
        match (failing.is_empty(), failing.iter().all(|unserved| *unserved)) {
            (true, _) => None,
            (false, true) => Some(
                "the Kubernetes API does not serve a resource that is watched; whyd_watch_unserved at /metrics says which",
            ),
            (false, false) => Some("a watch of the Kubernetes API fails; whyd_watch_failing at /metrics says which"),
        }
    }

    /// Those that fail, or are silent for long, of what the server has, each with when anything of it was heard last; and whether there
    /// is no other.
    pub fn unheard(&self, now: Option<Timestamp>) -> (Vec<(Resource, Option<Timestamp>)>, bool) {
        let all = self.statuses.all();
        let served = all.iter().filter(|s| !s.failing.is_some_and(|f| f.unserved));
        let is_lost = |s: &&SourceStatus| is_lost(s, now);
        let (failing, sound): (Vec<_>, Vec<_>) = served.partition(is_lost);
        (failing.into_iter().map(|s| (s.resource, s.heard_at)).collect(), sound.is_empty())
    }

    /// Whether the cluster's pods are heard of.
    pub fn hears_pods(&self, now: Option<Timestamp>) -> Heard {
        let pods = self.statuses.all().into_iter().find(|s| s.resource == Resource::Pods);
        Heard { at: pods.as_ref().and_then(|s| s.heard_at), lost: pods.is_some_and(|s| is_lost(&s, now)) }
    }

    /// When anything of a resource was heard last.
    pub fn heard_at(&self, resource: Resource) -> Option<Timestamp> {
        self.statuses.all().iter().find(|s| s.resource == resource)?.heard_at
    }

    /// Figures for each resource that was asked for.
    pub fn metrics(&self) -> Vec<Metric> {
        let all = self.statuses.all();
        let by_resource = |of: &dyn Fn(&SourceStatus) -> f64| {
            all.iter().map(|s| (vec![("resource", s.resource.plural().to_owned())], of(s))).collect::<Vec<_>>()
        };
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        vec![
            metric(
                "whyd_watch_lists_total",
                "whole lists taken in: one, and one more each time a watch could not be resumed",
                Kind::Counter,
                by_resource(&|s| s.lists as f64),
            ),
            metric(
                "whyd_watch_errors_total",
                "lists and watches that failed, and objects that could not be read",
                Kind::Counter,
                by_resource(&|s| s.errors as f64),
            ),
            metric(
                "whyd_watch_failing",
                "1 while a watch cannot be taken up, and until it has gone on for ten seconds; for a minute and a half, where nothing changes",
                Kind::Gauge,
                by_resource(&|s| f64::from(u8::from(s.failing.is_some()))),
            ),
            metric(
                "whyd_watch_unserved",
                "1 while the API server says that it has no such resource: it is asked ever less often, each ten minutes at last",
                Kind::Gauge,
                by_resource(&|s| f64::from(u8::from(s.failing.is_some_and(|f| f.unserved)))),
            ),
            metric(
                "whyd_watch_pause_seconds",
                "how long a watch that fails is left alone before it is asked again",
                Kind::Gauge,
                by_resource(&|s| s.failing.map_or(0.0, |f| f.pause.as_secs_f64())),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::Arc;

    use whyd_collector::inlet::{InletLimits, inlet};
    use whyd_collector::source::kube::{ApiServer, client, watch as follow};

    use super::*;

    #[tokio::test]
    async fn a_watch_that_fails_shows_with_its_pause_and_at_readyz() {
        let statuses = Statuses::default();
        let watches = Watches::new(statuses.clone());
        let gauge = |name: &str| {
            let all = watches.metrics();
            let family = all.iter().find(|m| m.name == name).unwrap();
            family.samples.first().map(|(_, value)| *value)
        };
        assert_eq!((gauge("whyd_watch_failing"), watches.note()), (None, None), "nothing is watched");
        // Nobody listens there.
        let (inlet, _inbox) = inlet(InletLimits::default());
        let nowhere = client(&ApiServer::Url("http://127.0.0.1:9".into())).await.unwrap();
        let watching = tokio::spawn(follow(nowhere, Resource::Pods, inlet, Arc::new(|| Timestamp(0)), statuses));
        while gauge("whyd_watch_failing") != Some(1.0) {
            tokio::task::yield_now().await;
        }
        watching.abort();
        assert_eq!(gauge("whyd_watch_unserved"), Some(0.0));
        assert!((0.5..=1.5).contains(&gauge("whyd_watch_pause_seconds").unwrap()));
        assert_eq!(watches.unheard(None), (vec![(Resource::Pods, None)], true));
        assert_eq!(watches.hears_pods(None), Heard { at: None, lost: true });
        assert!(watches.note().unwrap().contains("a watch of the Kubernetes API fails"));
    }
}
