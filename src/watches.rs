//! How the watches of the Kubernetes API fare, for `/metrics`.

use std::time::Duration;

use whyd_api::{Kind, Metric};
use whyd_collector::Clock;
use whyd_collector::source::kube::{SourceStatus, Statuses};

/// A watch that is taken up again says nothing until something changes. While it cannot be, it fails anew more often
/// than this: the pauses between attempts go up to half a minute.
const SILENCE: Duration = Duration::from_secs(90);

/// What the watches themselves tell.
#[derive(Clone)]
pub struct Watches {
    statuses: Statuses,
    clock: Clock,
}

impl Watches {
    /// Those that write to these statuses by this clock.
    pub fn new(statuses: Statuses, clock: Clock) -> Self {
        Self { statuses, clock }
    }

    /// Figures for each resource that was asked for.
    pub fn metrics(&self) -> Vec<Metric> {
        let all = self.statuses.all();
        let by_resource = |of: &dyn Fn(&SourceStatus) -> f64| {
            all.iter().map(|s| (vec![("resource", s.resource.plural().to_owned())], of(s))).collect::<Vec<_>>()
        };
        let now = (self.clock)();
        let fails = |s: &SourceStatus| s.last_error.as_ref().is_some_and(|(at, _)| now <= at.plus(SILENCE));
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
                "1 while a watch cannot be taken up: an error was the last that was heard of it, a minute and a half ago at most",
                Kind::Gauge,
                by_resource(&|s| f64::from(u8::from(fails(s)))),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::Arc;

    use tokio::sync::watch;
    use whyd_collector::inlet::{InletLimits, inlet};
    use whyd_collector::source::kube::{ApiServer, client, watch as follow};
    use whyd_signals::{Resource, Timestamp};

    use super::*;

    #[tokio::test]
    async fn an_error_that_does_not_come_again_is_over() {
        let statuses = Statuses::default();
        let (time, told) = watch::channel(Timestamp(0));
        let clock: Clock = Arc::new(move || *told.borrow());
        let watches = Watches::new(statuses.clone(), Arc::clone(&clock));
        let failing = || {
            let all = watches.metrics();
            let gauge = all.iter().find(|m| m.name == "whyd_watch_failing").unwrap();
            gauge.samples.first().map(|(_, value)| *value)
        };
        assert_eq!(failing(), None, "nothing is watched");
        // Nobody listens there, so the first list fails; then it is not asked again.
        let (inlet, _inbox) = inlet(InletLimits::default());
        let nowhere = client(&ApiServer::Url("http://127.0.0.1:9".into())).await.unwrap();
        let watching = tokio::spawn(follow(nowhere, Resource::Pods, inlet, clock, statuses));
        while failing() != Some(1.0) {
            tokio::task::yield_now().await;
        }
        watching.abort();
        assert!(watching.await.is_err());
        time.send_replace(Timestamp(0).plus(SILENCE));
        assert_eq!(failing(), Some(1.0));
        time.send_replace(Timestamp(1).plus(SILENCE));
        assert_eq!(failing(), Some(0.0));
    }
}
