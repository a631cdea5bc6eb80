//! The tables that SQL sees, each a view of one scoped snapshot: nothing is copied until a scan asks for it.
//!
//! Samples and log lines leave the buffers piece by piece, and only what the filters leave and the columns that are asked
//! for; the other tables are small and made when scanned.

mod alerts_rows;
mod changes_rows;
mod hidden;
mod rows;
mod scan;
mod template_of;
mod wanted;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::schema::{Change, tables as schemas};

use crate::engine::Tables;
pub(crate) use scan::{SnapshotScan, SourceKind};
pub(crate) use wanted::Wanted;

/// All tables over this snapshot, as of the last time that anything of it was unlike its past.
pub fn tables(scoped: &Scoped, changes: Vec<Change>) -> Tables {
    let newest = scoped.each_anomaly().map(|anomaly| anomaly.until).max();
    tables_at(scoped, changes, newest.unwrap_or_default())
}

/// All tables over this snapshot, as of `now`. `changes` is what the follower of the cluster found; rows of teams that the
/// snapshot's access does not allow are left out.
pub fn tables_at(scoped: &Scoped, changes: Vec<Change>, now: Timestamp) -> Tables {
    let changes: Vec<Change> = changes.into_iter().filter(|c| scoped.access().allows(&c.team)).collect();
    let sources = [
        Source::Samples,
        Source::Series,
        Source::Logs,
        Source::LogTemplates,
        Source::Events,
        Source::Pods,
        Source::Changes(Arc::new(changes)),
        Source::Restarts,
        Source::Anomalies(now),
        Source::Incidents,
        Source::Alerts,
    ];
    let functions = Tables::new().with_function(template_of::function(scoped));
    sources.into_iter().fold(functions, |tables, source| {
        tables.with(source.name(), Arc::new(SnapshotTable { scoped: scoped.clone(), source }))
    })
}

/// From the first to the last time, both included.
type Range = (Timestamp, Timestamp);

/// Which rows of a snapshot a table is made of.
#[derive(Debug, Clone)]
enum Source {
    Samples,
    Series,
    Logs,
    LogTemplates,
    Events,
    Pods,
    Changes(Arc<Vec<Change>>),
    Restarts,
    /// As of this time.
    Anomalies(Timestamp),
    Incidents,
    Alerts,
}

impl Source {
    fn name(&self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Series => "series",
            Self::Logs => "logs",
            Self::LogTemplates => "log_templates",
            Self::Events => "events",
            Self::Pods => "pods",
            Self::Changes(_) => "changes",
            Self::Restarts => "restarts",
            Self::Anomalies(_) => "anomalies",
            Self::Incidents => "incidents",
            Self::Alerts => "alerts",
        }
    }

    fn schema(&self) -> SchemaRef {
        match self {
            Self::Samples => schemas::samples(),
            Self::Series => schemas::series(),
            Self::Logs => schemas::logs(),
            Self::LogTemplates => schemas::log_templates(),
            Self::Events => schemas::events(),
            Self::Pods => schemas::pods(),
            Self::Changes(_) => schemas::changes(),
            Self::Restarts => schemas::restarts(),
            Self::Anomalies(_) => schemas::anomalies(),
            Self::Incidents => schemas::incidents(),
            Self::Alerts => schemas::alerts(),
        }
    }

    /// Whether a scan can leave out rows by their `ts`.
    fn is_by_time(&self) -> bool {
        matches!(self, Self::Samples | Self::Logs)
    }

    /// Whether it has a column `series_id`.
    fn has_series(&self) -> bool {
        matches!(self, Self::Samples | Self::Series)
    }

    /// The columns of text by which a scan can leave out rows.
    fn judged(&self) -> &'static [&'static str] {
        match self {
            Self::Series => &["name", "team", "namespace", "pod", "container", "node"],
            Self::Logs => &["team", "namespace", "pod", "container", "level"],
            _ => &[],
        }
    }
}

/// One table.
#[derive(Debug)]
pub(crate) struct SnapshotTable {
    scoped: Scoped,
    source: Source,
}

impl SnapshotTable {
    /// The table that a provider is, where it is one of these.
    pub(crate) fn of(provider: &dyn TableProvider) -> Option<&Self> {
        provider.downcast_ref()
    }

    /// Of samples and log lines, the columns that are the same in all rows of one series or stream.
    pub(crate) fn keys(&self) -> Option<&'static [&'static str]> {
        match self.source {
            Source::Samples => Some(&["series_id"]),
            Source::Logs => Some(&["team", "namespace", "pod", "container"]),
            _ => None,
        }
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        self.source.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let judge = |f: &&Expr| match Wanted::of(&self.source, f) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(judge).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = Wanted::of_all(&self.source, filters);
        let most = session.config().target_partitions();
        let scan = SnapshotScan::new(self.scoped.clone(), self.source.clone(), wanted, projection, limit, most)?;
        Ok(Arc::new(scan))
    }
}
