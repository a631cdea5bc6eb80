//! How the sources that are asked fare, for `/metrics` and for who asks how whole an answer is.

use whyd_api::{Kind, Metric, SourceStatus};
use whyd_collector::Clock;
use whyd_collector::source::pull::{PullStatus, PullStatuses};
use whyd_collector::wire::asked::Target;

/// What the loops tell of themselves.
#[derive(Clone)]
pub struct PullHealth {
    statuses: PullStatuses,
    clock: Clock,
}

impl PullHealth {
    /// Of those that write to these statuses by this clock.
    pub fn new(statuses: PullStatuses, clock: Clock) -> Self {
        Self { statuses, clock }
    }

    /// One for all that are asked for metrics and one for all that are asked for log lines, where there are any: whole
    /// while none is behind, and as new as the one that answered longest ago.
    pub fn sources(&self) -> Vec<SourceStatus> {
        let (all, now) = (self.statuses.all(), (self.clock)());
        let of = |logs: bool, source: &'static str| {
            let mut asked = all.iter().filter(|(_, s)| s.logs == logs).map(|(_, s)| s).peekable();
            asked.peek()?;
            let first = SourceStatus { source, synced: true, newest: asked.peek()?.answered_at };
            Some(asked.fold(first, |sum, s| SourceStatus {
                source,
                synced: sum.synced && s.is_whole(now),
                newest: sum.newest.min(s.answered_at),
            }))
        };
        [of(false, "pulled metrics"), of(true, "pulled logs")].into_iter().flatten().collect()
    }

    /// Figures for each source.
    pub fn metrics(&self) -> Vec<Metric> {
        let (all, now) = (self.statuses.all(), (self.clock)());
        if all.is_empty() {
            return Vec::new();
        }
        let each = |of: &dyn Fn(&PullStatus) -> Option<f64>| {
            all.iter().filter_map(|(target, s)| Some((labels(target), of(s)?))).collect::<Vec<_>>()
        };
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        vec![
            metric(
                "whyd_pull_requests_total",
                "questions to sources that are asked",
                Kind::Counter,
                each(&|s| Some(s.asked as f64)),
            ),
            metric(
                "whyd_pull_errors_total",
                "questions that were not answered",
                Kind::Counter,
                each(&|s| Some(s.errors as f64)),
            ),
            metric(
                "whyd_pull_bytes_total",
                "bytes of answers handed over",
                Kind::Counter,
                each(&|s| Some(s.bytes as f64)),
            ),
            metric(
                "whyd_pull_crowded_total",
                "pages of log lines that could not get beyond one timestamp: lines of it may be missing",
                Kind::Counter,
                each(&|s| Some(s.crowded as f64)),
            ),
            metric(
                "whyd_pull_answered_seconds",
                "when a source last answered",
                Kind::Gauge,
                each(&|s| s.answered_at.map(|at| at.nanos() as f64 / 1e9)),
            ),
            metric(
                "whyd_pull_lag_seconds",
                "how far back the oldest is that is missing of a source",
                Kind::Gauge,
                each(&|s| s.upto.map(|upto| now.seconds_since(upto))),
            ),
            metric(
                "whyd_pull_missing_seconds",
                "how much of the window is missing of a source",
                Kind::Gauge,
                each(&|s| s.upto.map(|_| s.missing)),
            ),
            metric(
                "whyd_pull_failing",
                "1 while a source cannot be asked",
                Kind::Gauge,
                each(&|s| Some(f64::from(u8::from(s.last_error.is_some())))),
            ),
        ]
    }
}

fn labels(of: &Target) -> Vec<(&'static str, String)> {
    let tenant = of.tenant.iter().map(|tenant| ("tenant", tenant.clone()));
    std::iter::once(("source", of.source.clone())).chain(tenant).collect()
}
