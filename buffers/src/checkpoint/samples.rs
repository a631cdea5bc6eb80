//! Samples as Parquet, and back into chunks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Float64Array, RecordBatch, StringBuilder, TimestampNanosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use whyd_signals::{Lsn, Team};

use super::file::{self, DataFile, Hours, Open, Partition, Signal};
use super::{CheckpointError, Store};
use crate::chunk::{Builder, Chunk};
use crate::encoding::Pair;
use crate::hash::lasting;
use crate::seal::{self, Durable};
use crate::snapshot::Snapshot;
use crate::writer::Cut;

/// Rows of a file that are gathered before they are encoded.
const GATHERED: usize = 1 << 16;
/// How often a chunk of an hour would have been merged.
const LEVEL: u8 = 3;

fn schema() -> SchemaRef {
    let times = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("series", DataType::FixedSizeBinary(16), false),
        Field::new("series_id", DataType::UInt32, false),
        Field::new("ts", times, false),
        Field::new("value", DataType::Float64, false),
    ]))
}

fn series_schema() -> SchemaRef {
    let text = |name: &str, empty| Field::new(name, DataType::Utf8, empty);
    Arc::new(Schema::new(vec![
        Field::new("series", DataType::FixedSizeBinary(16), false),
        Field::new("series_id", DataType::UInt32, false),
        text("name", false),
        text("labels", false),
        text("namespace", true),
        text("pod", true),
        text("container", true),
        text("node", true),
    ]))
}

/// Rows of one partition until they are encoded.
#[derive(Default)]
struct Gathered {
    series: Vec<([u8; 16], u32)>,
    ts: Vec<i64>,
    values: Vec<f64>,
}

impl Gathered {
    fn batch(&mut self) -> Result<RecordBatch, CheckpointError> {
        let Self { series, ts, values } = std::mem::take(self);
        let mut hashes = FixedSizeBinaryBuilder::with_capacity(series.len(), 16);
        for (hash, _) in &series {
            hashes.append_value(hash).map_err(|e| CheckpointError::form("samples", e))?;
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(hashes.finish()),
            Arc::new(UInt32Array::from_iter_values(series.iter().map(|(_, id)| *id))),
            Arc::new(TimestampNanosecondArray::from(ts).with_timezone("UTC")),
            Arc::new(Float64Array::from(values)),
        ];
        RecordBatch::try_new(schema(), columns).map_err(|e| CheckpointError::form("samples", e))
    }
}

/// The chunks of a cut that no durable checkpoint has, its tail among them, by the number of their namespace.
fn fresh_chunks(cut: &Cut) -> BTreeMap<u32, Vec<Arc<Chunk>>> {
    let Cut { snapshot, generation, kept, .. } = cut;
    let is_fresh = |of: u32| !kept.holds(of) && of <= *generation;
    let mut fresh: BTreeMap<u32, Vec<Arc<Chunk>>> = BTreeMap::new();
    for (namespace, chunk) in snapshot.chunks.iter().filter(|(_, c)| is_fresh(c.generation)) {
        fresh.entry(namespace).or_default().push(Arc::clone(chunk));
    }
    let namespace_of = |id| snapshot.series.get(id).map(|meta| meta.namespace_id);
    for block in snapshot.tail.iter().filter(|b| is_fresh(b.generation)) {
        let mut corrections = (*snapshot.corrections).clone();
        for (namespace, chunk) in
            seal::chunks_of(std::slice::from_ref(block), Durable::default(), namespace_of, &mut corrections)
        {
            fresh.entry(namespace).or_default().push(chunk);
        }
    }
    fresh
}

/// Writes the samples that no durable checkpoint has, by team and hour, and the labels of their series.
pub(super) fn write(
    cut: &Cut,
    lsns: (Lsn, Lsn),
    hours: Hours,
    store: &dyn Store,
) -> Result<Vec<DataFile>, CheckpointError> {
    let snapshot = &cut.snapshot;
    let mut teams: BTreeMap<Team, Vec<Vec<Arc<Chunk>>>> = BTreeMap::new();
    for (namespace, chunks) in fresh_chunks(cut) {
        let name = snapshot.namespaces.get(namespace as usize).map_or("", AsRef::as_ref);
        let team = if name.is_empty() { Team::platform() } else { snapshot.cluster.team_of(name) };
        teams.entry(team).or_default().push(chunks);
    }
    let mut files = Vec::new();
    for (team, namespaces) in teams {
        let mut written = BTreeMap::new();
        let of_team = write_team(snapshot, &team, &namespaces, hours, &mut written)?.finish(lsns, store)?;
        let series = write_series(snapshot, &team, &written, &of_team)?;
        files.extend(of_team);
        files.extend(series.finish(lsns, store)?);
    }
    Ok(files)
}

/// The samples of one team, namespace by namespace; notes which series have some in which hour.
fn write_team(
    snapshot: &Snapshot,
    team: &Team,
    namespaces: &[Vec<Arc<Chunk>>],
    hours: Hours,
    written: &mut BTreeMap<i64, BTreeSet<u32>>,
) -> Result<Open, CheckpointError> {
    let mut open = Open::new(schema(), &["series", "series_id"], "ts")?;
    let mut corrections = (*snapshot.corrections).clone();
    let partition = |hour| Partition { team: team.clone(), signal: Signal::Samples, hour };
    for chunks in namespaces {
        let received = chunks.iter().fold((i64::MAX, i64::MIN), |(a, b), c| (a.min(c.received.0), b.max(c.received.1)));
        let mut gathered: BTreeMap<i64, Gathered> = BTreeMap::new();
        let mut failed = None;
        seal::each_series(chunks, |id, samples| {
            let Some(meta) = snapshot.series.get(id) else { return };
            seal::settle(id, samples, &mut corrections, false);
            let hash = lasting(meta.labels.canonical());
            for of_hour in samples.chunk_by(|a, b| hours.of(a.0) == hours.of(b.0)) {
                let Some((first, _)) = of_hour.first() else { continue };
                let hour = hours.of(*first);
                written.entry(hour).or_default().insert(id);
                let rows = gathered.entry(hour).or_default();
                rows.series.extend(std::iter::repeat_n((hash, id), of_hour.len()));
                rows.ts.extend(of_hour.iter().map(|(ts, _)| *ts));
                rows.values.extend(of_hour.iter().map(|(_, bits)| f64::from_bits(*bits)));
                if rows.ts.len() >= GATHERED && failed.is_none() {
                    failed = rows.batch().and_then(|batch| open.write(&partition(hour), &batch, received)).err();
                }
            }
        });
        if let Some(e) = failed {
            return Err(e);
        }
        for (hour, rows) in &mut gathered {
            if !rows.ts.is_empty() {
                open.write(&partition(*hour), &rows.batch()?, received)?;
            }
        }
    }
    Ok(open)
}

/// The labels of the series that have samples in `of`, hour by hour.
fn write_series(
    snapshot: &Snapshot,
    team: &Team,
    written: &BTreeMap<i64, BTreeSet<u32>>,
    of: &[DataFile],
) -> Result<Open, CheckpointError> {
    let wrong = |e| CheckpointError::form("series", e);
    let received = of.iter().fold((i64::MAX, i64::MIN), |(a, b), f| (a.min(f.received.0), b.max(f.received.1)));
    let mut open = Open::new(series_schema(), &["name", "namespace", "pod", "container", "node"], "series_id")?;
    for (hour, ids) in written {
        let mut hashes = FixedSizeBinaryBuilder::with_capacity(ids.len(), 16);
        let mut texts: [StringBuilder; 6] = std::array::from_fn(|_| StringBuilder::new());
        let mut known = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(meta) = snapshot.series.get(*id) else { continue };
            known.push(*id);
            hashes.append_value(lasting(meta.labels.canonical())).map_err(wrong)?;
            let labels = meta.labels.to_json();
            let text = |value| Some(value).filter(|v: &&str| !v.is_empty());
            let row = [
                Some(meta.name.as_ref()),
                Some(labels.as_str()),
                text(meta.namespace.as_ref()),
                text(meta.pod.as_ref()),
                text(meta.container.as_ref()),
                text(meta.node.as_ref()),
            ];
            for (column, value) in texts.iter_mut().zip(row) {
                column.append_option(value);
            }
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(hashes.finish()), Arc::new(UInt32Array::from(known))];
        columns.extend(texts.iter_mut().map(|c| Arc::new(c.finish()) as ArrayRef));
        let batch = RecordBatch::try_new(series_schema(), columns).map_err(wrong)?;
        open.write(&Partition { team: team.clone(), signal: Signal::Series, hour: *hour }, &batch, received)?;
    }
    Ok(open)
}

/// The chunks of one file, made as its rows come: no more than a series is held as it is in the file.
struct Chunked<'a, F> {
    file: &'a DataFile,
    namespace_of: &'a F,
    builders: BTreeMap<u32, (u32, Builder)>,
    out: &'a mut Vec<(u32, Arc<Chunk>)>,
}

impl<F: Fn(u32) -> Option<u32>> Chunked<'_, F> {
    fn series(&mut self, id: u32, samples: &mut Vec<Pair>) {
        // A series that nobody knows any more was not written for longer than the window.
        let Some(namespace) = (self.namespace_of)(id).filter(|_| !samples.is_empty()) else { return };
        seal::settle(id, samples, &mut seal::Corrections::new(), false);
        // Written namespace by namespace, series by series; whatever is not begins another chunk.
        if self.builders.get(&namespace).is_some_and(|(last, _)| *last >= id) {
            self.finish(namespace);
        }
        let (last, builder) = self.builders.entry(namespace).or_default();
        *last = id;
        builder.push(id, samples);
    }

    fn finish(&mut self, namespace: u32) {
        let Some((_, builder)) = self.builders.remove(&namespace) else { return };
        // Whatever is in a durable checkpoint is of no generation.
        let chunk = builder.finish(self.file.received, LEVEL, 0);
        self.out.extend(chunk.map(|chunk| (namespace, chunk)));
    }
}

/// Reads a file into a chunk for each namespace.
pub(super) fn read(
    file: &DataFile,
    store: &dyn Store,
    namespace_of: &impl Fn(u32) -> Option<u32>,
    out: &mut Vec<(u32, Arc<Chunk>)>,
) -> Result<(), CheckpointError> {
    let mut chunked = Chunked { file, namespace_of, builders: BTreeMap::new(), out };
    let (mut current, mut samples) = (0, Vec::new());
    for batch in file::rows(file.read(store)?, &["series_id", "ts", "value"])? {
        let batch = batch?;
        let ids: &UInt32Array = file::column(&batch, "series_id")?;
        let ts: &TimestampNanosecondArray = file::column(&batch, "ts")?;
        let values: &Float64Array = file::column(&batch, "value")?;
        for ((id, ts), value) in ids.values().iter().zip(ts.values()).zip(values.values()) {
            if *id != current {
                chunked.series(current, &mut samples);
                samples.clear();
                current = *id;
            }
            samples.push((*ts, value.to_bits()));
        }
    }
    chunked.series(current, &mut samples);
    let all: Vec<u32> = chunked.builders.keys().copied().collect();
    all.into_iter().for_each(|namespace| chunked.finish(namespace));
    Ok(())
}
