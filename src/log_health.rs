//! How the log fares: what the driver hears of it, and what `/readyz`, `/livez` and `/metrics` say of that.

use whyd_api::{Kind, Metric, Trouble};
use whyd_buffers::wal::{Dropped, Log, Recovery, WalError};

/// What has happened to the log since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LogHealth {
    records: u64,
    /// Batches refused for want of space.
    full: u64,
    /// Failures after which nothing is taken any more.
    failed: u64,
    trouble: Option<Trouble>,
}

impl LogHealth {
    /// What became of a batch.
    pub(crate) fn heard(&mut self, records: u64, appended: &Result<(), WalError>) {
        match appended {
            Ok(()) => {
                self.records += records;
                self.recovered();
            }
            Err(WalError::Full) => {
                self.full += 1;
                if self.trouble.is_none() {
                    tracing::error!("no space for the log; what is sent is refused until there is");
                }
                self.trouble.get_or_insert(Trouble::LogFull);
            }
            Err(e) => {
                self.failed += 1;
                self.trouble = Some(Trouble::LogFailed);
                tracing::error!(error = %e, "the log cannot be written; nothing is taken in until a restart");
            }
        }
    }

    /// A full log is looked at again, since those who were refused may not come back before it says that it is well.
    /// Whether it changed.
    pub(crate) fn probe(&mut self, log: &Log) -> bool {
        let found = self.trouble == Some(Trouble::LogFull) && log.probe();
        if found {
            self.recovered();
        }
        found
    }

    /// Whether the log takes what comes.
    pub(crate) fn is_well(&self) -> bool {
        self.trouble.is_none()
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("the log has space again");
        }
    }

    pub(crate) fn shown(&self, log: &Log) -> LogShown {
        let (bytes, dropped) = (log.bytes(), log.dropped());
        LogShown { health: *self, bytes, dropped, recovery: log.recovery().unwrap_or_default() }
    }
}

/// The log as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogShown {
    health: LogHealth,
    bytes: u64,
    dropped: Dropped,
    recovery: Recovery,
}

impl LogShown {
    /// Why nothing can be taken in.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.health.trouble
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let Self { health, bytes, dropped, recovery } = self;
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        let one = |v: u64| vec![(Vec::new(), v as f64)];
        let by = |reasons: [(&str, u64); 2]| {
            reasons.map(|(reason, n)| (vec![("reason", reason.to_owned())], n as f64)).to_vec()
        };
        let (errors, gone) =
            ([("full", health.full), ("failed", health.failed)], [("window", dropped.old), ("bytes", dropped.over)]);
        vec![
            metric("whyd_log_bytes", "bytes of the ordered log on disk", Kind::Gauge, one(*bytes)),
            metric("whyd_log_records_total", "records appended to the log", Kind::Counter, one(health.records)),
            metric("whyd_log_errors_total", "batches that the log did not take, by reason", Kind::Counter, by(errors)),
            metric(
                "whyd_log_writable",
                "whether the log takes records; 0 while it is full or has failed",
                Kind::Gauge,
                one(u64::from(health.trouble.is_none())),
            ),
            metric(
                "whyd_log_dropped_segments_total",
                "segments of the log that were removed, by reason",
                Kind::Counter,
                by(gone),
            ),
            metric("whyd_log_replayed_records", "records read back at the start", Kind::Gauge, one(recovery.records)),
            metric(
                "whyd_log_cut_bytes",
                "bytes of a torn tail, never acknowledged, cut at the start",
                Kind::Gauge,
                one(recovery.cut_bytes),
            ),
            metric(
                "whyd_log_corrupt_segments",
                "damaged segments set aside at the start",
                Kind::Gauge,
                one(recovery.corrupt),
            ),
        ]
    }
}
