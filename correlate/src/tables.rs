//! The tables that SQL sees, each a view of one scoped snapshot: nothing is copied until a scan asks for it.
//!
//! Samples and log lines leave the buffers chunk by chunk; the other tables are small and made when scanned.

mod alerts_rows;
mod changes_rows;
mod range;
mod rows;
mod scan;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::schema::{Change, tables as schemas};

use crate::engine::Tables;
use scan::SnapshotScan;

/// All tables over this snapshot. `changes` is what the follower of the cluster found; rows of teams that the
/// snapshot's access does not allow are left out.
pub fn tables(scoped: &Scoped, changes: Vec<Change>) -> Tables {
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
        Source::Anomalies,
        Source::Incidents,
        Source::Alerts,
    ];
    sources.into_iter().fold(Tables::new(), |tables, source| {
        tables.with(source.name(), Arc::new(SnapshotTable { scoped: scoped.clone(), source }))
    })
}

/// From the first to the last time, both included.
type Range = (Timestamp, Timestamp);
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

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
    Anomalies,
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
            Self::Anomalies => "anomalies",
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
            Self::Anomalies => schemas::anomalies(),
            Self::Incidents => schemas::incidents(),
            Self::Alerts => schemas::alerts(),
        }
    }

    /// Whether a scan can leave out rows by their `ts`.
    fn is_by_time(&self) -> bool {
        matches!(self, Self::Samples | Self::Logs)
    }

    /// Roughly how many rows there are. It only steers which side of a join is held in memory, so that a join
    /// with the samples never holds those.
    fn magnitude(&self) -> usize {
        match self {
            Self::Samples => 1 << 24,
            Self::Logs => 1 << 20,
            Self::Series => 1 << 14,
            _ => 1 << 10,
        }
    }

    /// The rows, made as the iterator is drawn from. Rows outside `range` may be among those of small tables.
    fn batches(&self, scoped: &Scoped, range: Range) -> Batches {
        let made = match self {
            Self::Samples => return Box::new(scoped.sample_batches(range).map(Ok)),
            Self::Logs => return Box::new(scoped.log_batches(range).map(Ok)),
            Self::Series => Ok(scoped.series_batch()),
            Self::LogTemplates => rows::log_templates(&scoped.templates()),
            Self::Events => rows::events(scoped),
            Self::Pods => rows::pods(scoped),
            Self::Changes(changes) => changes_rows::batch(changes),
            Self::Restarts => rows::restarts(&scoped.restarts()),
            Self::Anomalies => rows::anomalies(&scoped.anomalies()),
            Self::Incidents => rows::incidents(&scoped.incidents()),
            Self::Alerts => alerts_rows::batch(scoped),
        };
        Box::new(std::iter::once(made))
    }
}

/// One table.
#[derive(Debug)]
struct SnapshotTable {
    scoped: Scoped,
    source: Source,
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
        let by_time = self.source.is_by_time();
        let judge = |f: &&Expr| match range::of(f) {
            // Inexact: whole chunks are left out, and the filter stays above the scan.
            Some(_) if by_time => TableProviderFilterPushDown::Inexact,
            _ => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(judge).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let range = if self.source.is_by_time() { range::of_all(filters) } else { range::ALL };
        let scan = SnapshotScan::new(self.scoped.clone(), self.source.clone(), range, projection.cloned(), limit)?;
        Ok(Arc::new(scan))
    }
}
