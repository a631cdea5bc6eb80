//! Rows as Arrow columns, only those columns that are asked for, rows of other teams left out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Schema, SchemaRef};
use whyd_signals::schema::tables;
use whyd_signals::{Sample, SeriesId, StreamId, Team, TemplateId, Timestamp, request};

use crate::hash::FixedState;
use crate::logs::{Level, Levels, LineRun};
use crate::scoped::Scoped;

/// Rows after which a batch is ended, at the end of a series or of the lines of a stream.
const ROWS: usize = 1 << 13;
/// Bytes of lines after which one is ended: a scan holds a batch, whatever it is that is written.
const BYTES: usize = 1 << 20;

fn times(ts: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(ts).with_timezone("UTC"))
}

/// Empty is null.
fn text(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

/// These columns of a schema, in their order; what is not there is left out.
fn project(schema: &Schema, columns: &[usize]) -> SchemaRef {
    Arc::new(schema.project(columns).unwrap_or_else(|_| Schema::empty()))
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    // The columns are made to the schema just above each call; a batch without rows is what is left of a slip.
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(schema)))
}

impl Scoped {
    /// These samples, each with its series, as columns: `columns` are places in the schema of `samples`.
    pub fn sample_columns(
        &self,
        series: &(impl Iterator<Item = u32> + Clone),
        samples: &[Sample],
        columns: &[usize],
    ) -> RecordBatch {
        let column = |n: &usize| -> ArrayRef {
            match n {
                0 => Arc::new(UInt32Array::from_iter_values(series.clone())),
                1 => times(samples.iter().map(|s| s.ts.0).collect()),
                _ => Arc::new(Float64Array::from_iter_values(samples.iter().map(|s| s.value))),
            }
        };
        let made = columns.iter().map(column).collect();
        batch(&project(&tables::samples(), columns), made, samples.len())
    }

    /// The samples of these series from the first to the second time, both included: series by series as they are given,
    /// those of each in order of time. `columns` are places in the schema of `samples`.
    pub fn sample_batches(
        &self,
        series: Vec<SeriesId>,
        (from, to): (Timestamp, Timestamp),
        columns: Arc<[usize]>,
    ) -> impl Iterator<Item = RecordBatch> + Send + use<> {
        let scoped = self.clone();
        let mut series = series.into_iter();
        std::iter::from_fn(move || {
            let (mut ids, mut samples) = (Vec::new(), Vec::new());
            while samples.len() < ROWS {
                let Some(id) = series.next() else { break };
                if let Some(history) = scoped.history(id) {
                    history.between(from, to, &mut samples);
                    ids.resize(samples.len(), id.0);
                }
            }
            (!samples.is_empty()).then(|| scoped.sample_columns(&ids.iter().copied(), &samples, &columns))
        })
    }

    /// What is known of these series. `columns` are places in the schema of `series`.
    pub fn series_batch(&self, series: &[SeriesId], columns: &[usize]) -> RecordBatch {
        let known: Vec<_> = series.iter().filter_map(|id| Some((*id, self.meta(*id)?))).collect();
        let texts = |of: &dyn Fn(&crate::SeriesMeta) -> Option<String>| -> ArrayRef {
            Arc::new(known.iter().map(|(_, meta)| of(meta)).collect::<StringArray>())
        };
        // A pod has hundreds of series; it is looked for once.
        let of_pods = |of: &dyn Fn(&crate::SeriesMeta) -> Option<String>| -> ArrayRef {
            let mut pods: HashMap<(u32, &str), Option<String>, FixedState> = HashMap::default();
            let mut made = StringBuilder::new();
            for (_, meta) in &known {
                let pod = pods.entry((meta.namespace_id, &*meta.pod)).or_insert_with(|| of(meta));
                made.append_option(pod.as_deref());
            }
            Arc::new(made.finish())
        };
        let shared = |of: fn(&crate::SeriesMeta) -> &str| -> ArrayRef {
            Arc::new(known.iter().map(|(_, meta)| text(of(meta))).collect::<StringArray>())
        };
        let column = |n: &usize| -> ArrayRef {
            match n {
                0 => Arc::new(UInt32Array::from_iter_values(known.iter().map(|(id, _)| id.0))),
                1 => shared(|m| &m.name),
                2 => texts(&|m| Some(m.labels.to_json())),
                3 => of_pods(&|m| Some(self.team_of(&m.namespace).as_str().to_owned())),
                4 => shared(|m| &m.namespace),
                5 => shared(|m| &m.pod),
                6 => of_pods(&|m| self.pod_of(m).map(|(_, pod)| pod.metadata.uid.clone())),
                7 => shared(|m| &m.container),
                8 => shared(|m| &m.node),
                _ => of_pods(&|m| self.pod_of(m).map(|(space, pod)| space.workload_of(pod))),
            }
        };
        let made = columns.iter().map(column).collect();
        batch(&project(&tables::series(), columns), made, known.len())
    }

    fn pod_of(&self, meta: &crate::SeriesMeta) -> Option<(&crate::state::NamespaceState, &whyd_signals::objects::Pod)> {
        let space = self.cluster().namespace(&meta.namespace).filter(|_| !meta.pod.is_empty())?;
        Some((space, &space.pod_named(&meta.pod)?.object))
    }
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinesWanted {
    /// Those of these streams, in id order; of all where there is none.
    pub streams: Option<Arc<[StreamId]>>,
    /// Those of these levels; of all where there is none.
    pub levels: Option<Levels>,
}

impl LinesWanted {
    /// Which lines of a run are wanted, in order.
    pub fn rows(&self, run: &LineRun<'_>, rows: &mut Vec<u32>) {
        rows.clear();
        if self.streams.as_ref().is_some_and(|some| some.binary_search(&run.stream()).is_err()) {
            return;
        }
        let all = 0..run.len() as u32;
        match &self.levels {
            None => rows.extend(all),
            Some(levels) => rows.extend(all.zip(run.levels()).filter(|(_, l)| levels.has(**l)).map(|(i, _)| i)),
        }
    }
}

impl Scoped {
    /// The lines from the first to the second time, both included, as they lie. `columns` are places in the schema of
    /// `logs`; of so many parts of all this is the one of that number.
    pub fn log_batches(
        &self,
        (from, to): (Timestamp, Timestamp),
        columns: Arc<[usize]>,
        wanted: LinesWanted,
        (part, parts): (usize, usize),
    ) -> impl Iterator<Item = RecordBatch> + Send + use<> {
        let of_part = self.snapshot.batches.iter().skip(part).step_by(parts.max(1));
        let some: Vec<_> = of_part.filter(|b| b.min_ts <= to.0 && b.max_ts >= from.0).cloned().collect();
        let scoped = self.clone();
        let (mut at, mut first, mut done) = (0, 0, 0);
        std::iter::from_fn(move || {
            let (mut made, mut rows) = (LineColumns::new(&scoped, &columns), Vec::new());
            while !made.is_full() {
                let Some(batch) = some.get(at) else { break };
                let mut runs = batch.runs_between(first, (from.0, to.0), wanted.levels);
                for (n, run) in runs.by_ref() {
                    wanted.rows(&run, &mut rows);
                    let left = rows.get(done..).unwrap_or_default();
                    let taken = made.push_some(&run, left);
                    // What does not fit begins the next.
                    (first, done) = if taken < left.len() { (n, done + taken) } else { (n + 1, 0) };
                    if made.is_full() {
                        break;
                    }
                }
                if !made.is_full() {
                    (at, first) = (at + 1, 0);
                }
            }
            (made.rows() > 0).then(|| made.finish())
        })
    }
}

/// Columns of `logs` in the making.
pub struct LineColumns<'a> {
    scoped: &'a Scoped,
    schema: SchemaRef,
    columns: Vec<LineColumn>,
    rows: usize,
    /// Of the lines, where they are among the columns.
    bytes: usize,
    teams: HashMap<u32, Team, FixedState>,
    templates: HashMap<(u32, TemplateId), TemplateId, FixedState>,
}

enum LineColumn {
    Times(Vec<i64>),
    Team(StringBuilder),
    Namespace(StringBuilder),
    Pod(StringBuilder),
    Container(StringBuilder),
    Level(StringBuilder),
    Template(Vec<u64>),
    Line(StringBuilder),
    /// The id of the trace that the line names.
    Trace(StringBuilder),
}

impl LineColumn {
    fn new(n: usize) -> Self {
        match n {
            0 => Self::Times(Vec::new()),
            1 => Self::Team(StringBuilder::new()),
            2 => Self::Namespace(StringBuilder::new()),
            3 => Self::Pod(StringBuilder::new()),
            4 => Self::Container(StringBuilder::new()),
            5 => Self::Level(StringBuilder::new()),
            6 => Self::Template(Vec::new()),
            7 => Self::Line(StringBuilder::new()),
            _ => Self::Trace(StringBuilder::new()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Times(ts) => times(std::mem::take(ts)),
            Self::Template(ids) => Arc::new(UInt64Array::from(std::mem::take(ids))),
            Self::Team(texts)
            | Self::Namespace(texts)
            | Self::Pod(texts)
            | Self::Container(texts)
            | Self::Level(texts)
            | Self::Line(texts)
            | Self::Trace(texts) => Arc::new(texts.finish()),
        }
    }
}

impl<'a> LineColumns<'a> {
    /// `columns` are places in the schema of `logs`.
    pub fn new(scoped: &'a Scoped, columns: &[usize]) -> Self {
        let schema = project(&tables::logs(), columns);
        let columns = columns.iter().map(|n| LineColumn::new(*n)).collect();
        Self { scoped, schema, columns, rows: 0, bytes: 0, teams: HashMap::default(), templates: HashMap::default() }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether it holds as many rows or bytes as a batch should.
    pub fn is_full(&self) -> bool {
        self.rows >= ROWS || self.bytes >= BYTES
    }

    /// Adds the first of these lines of a run, until it is full; how many.
    fn push_some(&mut self, run: &LineRun<'_>, rows: &[u32]) -> usize {
        let mut taken = rows.len();
        // What is not seen takes no room: a batch without a row would be the end of the scan.
        if self.scoped.stream(run.stream()).is_none() {
            return taken;
        }
        if self.columns.iter().any(|column| matches!(column, LineColumn::Line(_))) {
            for (n, row) in rows.iter().enumerate() {
                self.bytes += run.text(*row as usize).len();
                if self.bytes >= BYTES {
                    taken = n + 1;
                    break;
                }
            }
        }
        self.push(run, rows.get(..taken).unwrap_or(rows));
        taken
    }

    /// Adds these lines of a run.
    pub fn push(&mut self, run: &LineRun<'_>, rows: &[u32]) {
        let Some(meta) = self.scoped.stream(run.stream()) else { return };
        let rows_of = || rows.iter().map(|i| *i as usize);
        let (templates, teams, namespace) = (&mut self.templates, &mut self.teams, meta.namespace_id);
        let team = teams.entry(namespace).or_insert_with(|| self.scoped.team_of(&meta.namespace));
        let repeat = |texts: &mut StringBuilder, value: Option<&str>| {
            rows.iter().for_each(|_| texts.append_option(value));
        };
        for column in &mut self.columns {
            match column {
                LineColumn::Times(ts) => ts.extend(rows_of().filter_map(|i| run.times().get(i))),
                LineColumn::Team(texts) => repeat(texts, Some(team.as_str())),
                LineColumn::Namespace(texts) => repeat(texts, text(&meta.namespace)),
                LineColumn::Pod(texts) => repeat(texts, text(&meta.pod)),
                LineColumn::Container(texts) => repeat(texts, text(&meta.container)),
                LineColumn::Level(texts) => rows_of().for_each(|i| {
                    let level = run.levels().get(i).copied().unwrap_or_default();
                    texts.append_option((level != Level::Unknown).then(|| level.as_str()));
                }),
                LineColumn::Template(ids) => ids.extend(rows_of().map(|i| {
                    let id = run.templates().get(i).copied().unwrap_or_default();
                    let resolve = || self.scoped.snapshot.templates.resolve(team, id).map_or(id, |t| t.id);
                    templates.entry((namespace, id)).or_insert_with(resolve).0
                })),
                LineColumn::Line(texts) => rows_of().for_each(|i| texts.append_value(run.text(i))),
                LineColumn::Trace(texts) => {
                    rows_of().for_each(|i| texts.append_option(request::id_of(run.text(i))));
                }
            }
        }
        self.rows += rows.len();
    }

    /// What was added; nothing is left.
    pub fn finish(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let made = self.columns.iter_mut().map(LineColumn::finish).collect();
        batch(&self.schema, made, rows)
    }
}
