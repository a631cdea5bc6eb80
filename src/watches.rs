//! How the watches of the Kubernetes API fare, for `/metrics`.

use whyd_api::{Kind, Metric};
use whyd_collector::source::kube::{SourceStatus, Statuses};

/// What the watches themselves tell; each clone shows the same.
#[derive(Debug, Clone, Default)]
pub struct Watches(pub Statuses);

impl Watches {
    /// Figures for each resource that was asked for.
    pub fn metrics(&self) -> Vec<Metric> {
        let all = self.0.all();
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
                "1 while the last that was heard of a watch is an error",
                Kind::Gauge,
                by_resource(&|s| f64::from(u8::from(s.last_error.is_some()))),
            ),
        ]
    }
}
