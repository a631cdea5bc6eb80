//! The `alerts` table: what others raised and an Alertmanager told.

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use whyd_buffers::Scoped;
use whyd_signals::Team;
use whyd_signals::schema::{Alert, tables};

use super::rows::{texts, times};
use crate::redact::redact;

struct Row<'a> {
    alert: &'a Alert,
    team: Team,
}

pub(super) fn batch(scoped: &Scoped) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<Row<'_>> =
        scoped.each_alert().map(|alert| Row { alert, team: scoped.team_of(&alert.namespace) }).collect();
    let columns = vec![
        times(&rows, |r| Some(r.alert.starts_at)),
        times(&rows, |r| r.alert.ends_at),
        texts(&rows, |r| Some(r.team.as_str())),
        texts(&rows, |r| Some(&r.alert.namespace)),
        texts(&rows, |r| Some(&r.alert.kind)),
        texts(&rows, |r| Some(&r.alert.object)),
        texts(&rows, |r| Some(&r.alert.container)),
        texts(&rows, |r| Some(&r.alert.name)),
        texts(&rows, |r| Some(&r.alert.severity)),
        Arc::new(rows.iter().map(|r| Some(redact(&r.alert.summary))).collect::<StringArray>()),
        texts(&rows, |r| Some(&r.alert.fingerprint)),
    ];
    RecordBatch::try_new(tables::alerts(), columns)
}
