//! The `changes` table: rollouts, configuration, scaling, cordons.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use whyd_signals::schema::tables;
use whyd_signals::{Team, Timestamp};

use super::rows::{texts, times};

/// One change of the cluster, as its follower found it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ChangeRow {
    pub ts: Timestamp,
    pub team: Team,
    /// Empty for what has none, such as a node.
    pub namespace: String,
    pub kind: String,
    pub name: String,
    /// The sort of change: `image`, `replicas`, `cordon`...
    pub what: String,
    /// The same in words.
    pub detail: String,
}

pub(super) fn batch(rows: &[ChangeRow]) -> Result<RecordBatch, ArrowError> {
    let columns = vec![
        times(rows, |c| Some(c.ts)),
        texts(rows, |c| Some(c.team.as_str())),
        texts(rows, |c| Some(&c.namespace)),
        texts(rows, |c| Some(&c.kind)),
        texts(rows, |c| Some(&c.name)),
        texts(rows, |c| Some(&c.what)),
        texts(rows, |c| Some(&c.detail)),
    ];
    RecordBatch::try_new(tables::changes(), columns)
}
