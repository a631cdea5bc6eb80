//! Scans for SQL: chunks, blocks and batches as Arrow, one at a time, rows of other teams left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::SchemaRef;
use whyd_signals::schema::tables;
use whyd_signals::{SeriesId, TemplateId, Timestamp};

use crate::encoding::Pair;
use crate::logs::Level;
use crate::scoped::Scoped;

/// Rows after which a batch is ended.
const ROWS: usize = 1 << 16;

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    // The columns are made to the schema just above each call; a batch without rows is what is left of a slip.
    RecordBatch::try_new(Arc::clone(&schema), columns).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}

fn times(ts: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(ts).with_timezone("UTC"))
}

/// Uid and workload of a pod, where it is known.
type PodColumns<'a> = (Option<&'a str>, Option<String>);

/// Empty is null.
fn text(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}

#[derive(Default)]
struct Samples {
    series: Vec<u32>,
    ts: Vec<i64>,
    values: Vec<f64>,
}

impl Samples {
    fn push(&mut self, scoped: &Scoped, series: u32, pair: Pair) {
        self.series.push(series);
        self.ts.push(pair.0);
        self.values.push(scoped.sample(series, pair).value);
    }

    fn finish(self) -> Option<RecordBatch> {
        if self.ts.is_empty() {
            return None;
        }
        let columns: Vec<ArrayRef> =
            vec![Arc::new(UInt32Array::from(self.series)), times(self.ts), Arc::new(Float64Array::from(self.values))];
        Some(batch(tables::samples(), columns))
    }
}

impl Scoped {
    /// The samples from the first to the second time, both included, chunk by chunk; those of a chunk are in the
    /// order of (series, time), those not yet sealed in order of arrival.
    pub fn sample_batches(&self, range: (Timestamp, Timestamp)) -> impl Iterator<Item = RecordBatch> + Send + use<> {
        let (from, to) = (range.0.0, range.1.0);
        let sealed = self.snapshot.chunks.iter().filter(|(n, c)| self.sees(*n) && c.min_ts <= to && c.max_ts >= from);
        let sealed: Vec<_> = sealed.map(|(_, c)| Arc::clone(c)).collect();
        let open: Vec<_> = self.snapshot.tail.iter().filter(|b| b.min_ts <= to && b.max_ts >= from).cloned().collect();
        let (scoped, other) = (self.clone(), self.clone());
        let sealed = sealed.into_iter().flat_map(move |chunk| {
            let (mut out, mut samples) = (Vec::new(), Samples::default());
            for (series, run) in chunk.runs() {
                if scoped.meta(SeriesId(series)).is_none() {
                    continue;
                }
                run.between(from, to).for_each(|pair| samples.push(&scoped, series, pair));
                if samples.ts.len() >= ROWS {
                    out.extend(std::mem::take(&mut samples).finish());
                }
            }
            out.extend(samples.finish());
            out
        });
        let open = open.into_iter().flat_map(move |block| {
            let (mut out, mut samples) = (Vec::new(), Samples::default());
            for (series, ts, bits) in block.scan() {
                if (from..=to).contains(&ts) && other.meta(SeriesId(series)).is_some() {
                    samples.push(&other, series, (ts, bits));
                }
                if samples.ts.len() >= ROWS {
                    out.extend(std::mem::take(&mut samples).finish());
                }
            }
            out.extend(samples.finish());
            out
        });
        sealed.chain(open)
    }

    /// All series.
    pub fn series_batch(&self) -> RecordBatch {
        let mut ids = Vec::new();
        let mut columns: [StringBuilder; 9] = std::array::from_fn(|_| StringBuilder::new());
        // A pod has hundreds of series; it is looked for once.
        let mut pods: BTreeMap<(u32, &str), PodColumns<'_>> = BTreeMap::new();
        for (id, meta) in self.all_series() {
            ids.push(id.0);
            let labels = meta.labels.to_json();
            let team = self.team_of(&meta.namespace);
            let (uid, workload) = pods.entry((meta.namespace_id, &meta.pod)).or_insert_with(|| {
                let space = self.cluster().namespace(&meta.namespace).filter(|_| !meta.pod.is_empty());
                let pod = space.and_then(|space| space.pod_named(&meta.pod)).map(|record| &record.object);
                let workload = space.zip(pod).map(|(space, pod)| space.workload_of(pod));
                (pod.map(|p| p.metadata.uid.as_str()), workload)
            });
            let row = [
                text(&meta.name),
                Some(labels.as_str()),
                Some(team.as_str()),
                text(&meta.namespace),
                text(&meta.pod),
                *uid,
                text(&meta.container),
                text(&meta.node),
                workload.as_deref(),
            ];
            for (column, value) in columns.iter_mut().zip(row) {
                column.append_option(value);
            }
        }
        let mut all: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(ids))];
        all.extend(columns.iter_mut().map(|c| Arc::new(c.finish()) as ArrayRef));
        batch(tables::series(), all)
    }

    /// The log lines from the first to the second time, both included, batch by batch, stream by stream.
    pub fn log_batches(&self, range: (Timestamp, Timestamp)) -> impl Iterator<Item = RecordBatch> + Send + use<> {
        let (from, to) = (range.0.0, range.1.0);
        let some = self.snapshot.batches.iter().filter(|b| b.min_ts <= to && b.max_ts >= from);
        let some: Vec<_> = some.cloned().collect();
        let scoped = self.clone();
        some.into_iter().filter_map(move |b| {
            let (mut ts, mut templates) = (Vec::new(), Vec::new());
            let mut resolved: BTreeMap<(u32, TemplateId), TemplateId> = BTreeMap::new();
            let mut columns: [StringBuilder; 6] = std::array::from_fn(|_| StringBuilder::new());
            for stream in b.streams() {
                let Some(meta) = scoped.snapshot.streams.get(stream).filter(|m| scoped.sees(m.namespace_id)) else {
                    continue;
                };
                let team = scoped.team_of(&meta.namespace);
                for line in b.between(stream, from, to) {
                    ts.push(line.ts);
                    let template = resolved.entry((meta.namespace_id, line.template)).or_insert_with(|| {
                        scoped.snapshot.templates.resolve(&team, line.template).map_or(line.template, |t| t.id)
                    });
                    templates.push(template.0);
                    let level = (line.level != Level::Unknown).then(|| line.level.as_str());
                    let place = [Some(team.as_str()), text(&meta.namespace), text(&meta.pod), text(&meta.container)];
                    for (column, value) in columns.iter_mut().zip(place.into_iter().chain([level, Some(line.text)])) {
                        column.append_option(value);
                    }
                }
            }
            if ts.is_empty() {
                return None;
            }
            let traces = StringArray::new_null(ts.len());
            let mut all = vec![times(ts)];
            all.extend(columns.iter_mut().map(|c| Arc::new(c.finish()) as ArrayRef));
            all.insert(6, Arc::new(UInt64Array::from(templates)));
            all.push(Arc::new(traces));
            Some(batch(tables::logs(), all))
        })
    }
}
