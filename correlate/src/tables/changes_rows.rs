//! The `changes` table: rollouts, configuration, scaling, nodes.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use whyd_signals::schema::{Change, tables};

use super::rows::{texts, times, workload};

pub(super) fn batch(rows: &[Change]) -> Result<RecordBatch, ArrowError> {
    let workloads: Vec<Option<String>> = rows.iter().map(|c| workload(&c.kind, &c.name)).collect();
    let columns = vec![
        times(rows, |c| Some(c.ts)),
        texts(rows, |c| Some(c.team.as_str())),
        texts(rows, |c| Some(&c.namespace)),
        texts(rows, |c| Some(&c.kind)),
        texts(rows, |c| Some(&c.name)),
        texts(rows, |c| Some(&c.what)),
        texts(rows, |c| Some(&c.detail)),
        texts(rows, |c| Some(&c.by)),
        texts(&workloads, |workload| workload.as_deref()),
    ];
    RecordBatch::try_new(tables::changes(), columns)
}
