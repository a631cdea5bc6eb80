//! The right side of an interval join: rows of samples or log lines as they lie, fetched by key and time.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use whyd_buffers::{LineColumns, LineRun, LinesWanted, Scoped, StreamMarks};
use whyd_signals::{SeriesId, Timestamp};

use super::keyed::{Keyed, Owners};
use super::values::passing;
use crate::tables::{SnapshotScan, SourceKind};

/// Rows that are fetched before they are looked at.
const ROWS: usize = 1 << 14;

/// A scan with what stands above it: a filter and a choice of columns.
pub(crate) struct RightRows {
    scan: Arc<SnapshotScan>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    /// Which column of the scan each of ours is.
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl fmt::Display for RightRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.scan.table(), self.scan.wanted())?;
        match &self.filter {
            Some(filter) => write!(f, ", filter={filter}"),
            None => Ok(()),
        }
    }
}

/// Some of the rows, with the number of their key and their time.
pub(crate) struct Fetched {
    pub(crate) keys: Vec<u32>,
    pub(crate) times: Vec<i64>,
    /// The columns that were asked for.
    pub(crate) columns: RecordBatch,
}

impl Fetched {
    fn filtered(mut self, by: &BooleanArray) -> Result<Self> {
        let kept = |n: usize| by.is_valid(n) && by.value(n);
        let mut n = 0..;
        self.keys.retain(|_| n.next().is_some_and(kept));
        let mut n = 0..;
        self.times.retain(|_| n.next().is_some_and(kept));
        self.columns = filter_record_batch(&self.columns, by)?;
        Ok(self)
    }
}

impl RightRows {
    /// The rows that a plan reads, where they are read as they lie.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        if let Some(scan) = plan.downcast_ref::<SnapshotScan>() {
            let columns = (0..scan.schema().fields().len()).collect();
            return Ok(Self { scan: Arc::new(scan.clone()), filter: None, columns, schema: scan.schema() });
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            let below = Self::of(filter.input())?;
            if below.filter.is_some() || filter.projection().is_some() {
                return internal_err!("a filter that was moved");
            }
            let predicate = moved(filter.predicate(), &below.columns)?;
            return Ok(Self { filter: Some(predicate), schema: plan.schema(), ..below });
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let below = Self::of(projection.input())?;
            let column = |e: &Arc<dyn PhysicalExpr>| {
                let at = e.downcast_ref::<Column>()?.index();
                below.columns.get(at).copied()
            };
            let columns: Option<Vec<usize>> = projection.expr().iter().map(|e| column(&e.expr)).collect();
            let columns = columns.ok_or_else(|| internal_datafusion_err!("an expression over a scan"))?;
            return Ok(Self { columns, schema: plan.schema(), ..below });
        }
        internal_err!("{} does not read rows as they lie", plan.name())
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn scan(&self) -> &SnapshotScan {
        &self.scan
    }

    pub(super) fn scoped(&self) -> &Scoped {
        self.scan.scoped()
    }

    /// The name that a column of ours has in its table.
    pub(super) fn name_of(&self, column: usize) -> Option<String> {
        let at = *self.columns.get(column)?;
        self.scan.schema().fields().get(at).map(|f| f.name().clone())
    }

    /// What is asked of them beside what the scan itself sees to.
    pub(crate) fn filter(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        self.filter.as_ref()
    }

    /// All rows of these keys from the first to the last time, both included, some at a time. `wanted` are columns of ours; a
    /// filter is asked for so many rows at a time.
    pub(crate) fn fetch<'a>(
        &'a self,
        keyed: &'a Keyed,
        range: (i64, i64),
        wanted: &[usize],
        at_a_time: usize,
    ) -> Result<impl Iterator<Item = Result<Fetched>> + Send + 'a> {
        let asked = self.scan.wanted().range;
        let range = (Timestamp(range.0.max(asked.0.0)), Timestamp(range.1.min(asked.1.0)));
        // What the filter reads is fetched too, behind what is wanted.
        let mut columns: Vec<usize> = wanted.iter().filter_map(|n| self.columns.get(*n).copied()).collect();
        let filter = match &self.filter {
            Some(filter) => Some(gathered(filter, &mut columns)?),
            None => None,
        };
        let columns = self.scan.columns_of(&columns);
        let wanted: Vec<usize> = (0..wanted.len()).collect();
        let rows: Box<dyn Iterator<Item = Fetched> + Send + 'a> = match &keyed.owners {
            Owners::Series(ids) => Box::new(self.samples(ids, range, columns)),
            Owners::Streams(marks) => Box::new(self.lines(marks, range, columns)),
        };
        Ok(rows.map(move |fetched| {
            let mut fetched = fetched;
            if let Some(filter) = &filter {
                let by = passing(filter, &fetched.columns, at_a_time)?;
                fetched = fetched.filtered(&by)?;
            }
            fetched.columns = fetched.columns.project(&wanted)?;
            Ok(fetched)
        }))
    }

    /// The lines of these keys as they lie, run by run, where these are lines and no filter is left, of one part of all; which
    /// lines of each are wanted, [`RightRows::wanted_lines`] says.
    pub(crate) fn line_runs<'a>(
        &'a self,
        keyed: &'a Keyed,
        range: (i64, i64),
        part: (usize, usize),
    ) -> Option<impl Iterator<Item = (u32, LineRun<'a>)> + 'a> {
        let Owners::Streams(marks) = &keyed.owners else { return None };
        let asked = self.scan.wanted().range;
        let range = (Timestamp(range.0).max(asked.0), Timestamp(range.1).min(asked.1));
        let runs = marks.line_runs(range, self.scan.lines().levels, part);
        self.filter.is_none().then_some(runs)
    }

    /// Which lines of a run are wanted.
    pub(crate) fn wanted_lines(&self) -> &LinesWanted {
        self.scan.lines()
    }

    /// Whether these columns are the text of lines and nothing else.
    pub(crate) fn is_text(&self, columns: &[usize]) -> bool {
        self.scan.kind() == SourceKind::Logs
            && self.filter.is_none()
            && matches!(columns, [one] if self.name_of(*one).as_deref() == Some("line"))
    }

    fn samples<'a>(
        &'a self,
        ids: &'a [u32],
        range: (Timestamp, Timestamp),
        columns: Vec<usize>,
    ) -> impl Iterator<Item = Fetched> + 'a {
        let mut next = 0;
        std::iter::from_fn(move || {
            let (mut keys, mut samples) = (Vec::new(), Vec::new());
            while samples.len() < ROWS {
                let Some(id) = ids.get(next) else { break };
                if let Some(history) = self.scoped().history(SeriesId(*id)) {
                    history.between(range.0, range.1, &mut samples);
                    keys.resize(samples.len(), next as u32);
                }
                next += 1;
            }
            if samples.is_empty() {
                return None;
            }
            let series = |n: &u32| ids.get(*n as usize).copied().unwrap_or_default();
            let columns = self.scoped().sample_columns(&keys.iter().map(series), &samples, &columns);
            Some(Fetched { keys, times: samples.iter().map(|s| s.ts.0).collect(), columns })
        })
    }

    fn lines<'a>(
        &'a self,
        marks: &'a StreamMarks,
        range: (Timestamp, Timestamp),
        columns: Vec<usize>,
    ) -> impl Iterator<Item = Fetched> + 'a {
        let wanted = self.scan.lines();
        let mut runs = marks.line_runs(range, wanted.levels, (0, 1));
        let mut rows = Vec::new();
        std::iter::from_fn(move || {
            let (mut keys, mut times) = (Vec::new(), Vec::new());
            let mut made = LineColumns::new(self.scoped(), &columns);
            for (key, run) in runs.by_ref() {
                wanted.rows(&run, &mut rows);
                let of_run = run.times();
                times.extend(rows.iter().filter_map(|n| of_run.get(*n as usize)));
                keys.resize(times.len(), key);
                made.push(&run, &rows);
                if times.len() >= ROWS || made.is_full() {
                    break;
                }
            }
            (!times.is_empty()).then(|| Fetched { keys, times, columns: made.finish() })
        })
    }
}

/// The same expression over other columns: `places` says where each is.
fn moved(expr: &Arc<dyn PhysicalExpr>, places: &[usize]) -> Result<Arc<dyn PhysicalExpr>> {
    super::columns::replaced(expr, |column| {
        let at = places.get(column.index()).ok_or_else(|| internal_datafusion_err!("no such column"))?;
        Ok(Arc::new(Column::new(column.name(), *at)))
    })
}

/// The same expression over a batch of `columns`, to which what it reads is added.
fn gathered(expr: &Arc<dyn PhysicalExpr>, columns: &mut Vec<usize>) -> Result<Arc<dyn PhysicalExpr>> {
    super::columns::replaced(expr, |column| {
        let at = columns.iter().position(|c| *c == column.index()).unwrap_or_else(|| {
            columns.push(column.index());
            columns.len() - 1
        });
        Ok(Arc::new(Column::new(column.name(), at)))
    })
}
