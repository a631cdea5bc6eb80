//! Log lines as Parquet, and back into batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use whyd_signals::{Lsn, Team, TemplateId};

use super::file::{self, DataFile, Hours, Open, Partition, Signal};
use super::{CheckpointError, Store};
use crate::logs::{Batch, Level, Line, StreamMeta};
use crate::writer::Cut;

/// Bytes of text of a batch that is made of what was read.
const LARGE: usize = 8 << 20;
/// How often such a batch would have been merged.
const TIER: u8 = 4;

fn schema() -> SchemaRef {
    let text = |name: &str, empty| Field::new(name, DataType::Utf8, empty);
    let times = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("ts", times, false),
        text("namespace", true),
        text("pod", true),
        text("container", true),
        text("level", true),
        Field::new("template_id", DataType::UInt64, false),
        text("line", false),
        Field::new("stream_id", DataType::UInt32, false),
        // Orders lines of one time.
        Field::new("arrival", DataType::UInt64, false),
    ]))
}

fn batch_of(meta: &StreamMeta, lines: &[Line<'_>]) -> Result<RecordBatch, CheckpointError> {
    let mut texts: [StringBuilder; 5] = std::array::from_fn(|_| StringBuilder::new());
    for line in lines {
        let text = |value| Some(value).filter(|v: &&str| !v.is_empty());
        let level = Some(line.level).filter(|level| *level != Level::Unknown).map(Level::as_str);
        let row = [text(&meta.namespace), text(&meta.pod), text(&meta.container), level, Some(line.text)];
        for (column, value) in texts.iter_mut().zip(row) {
            column.append_option(value);
        }
    }
    let [namespace, pod, container, level, line] = texts.map(|mut c| Arc::new(c.finish()) as ArrayRef);
    let ts = TimestampNanosecondArray::from_iter_values(lines.iter().map(|l| l.ts)).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ts),
        namespace,
        pod,
        container,
        level,
        Arc::new(UInt64Array::from_iter_values(lines.iter().map(|l| l.template.0))),
        line,
        Arc::new(UInt32Array::from_iter_values(lines.iter().map(|l| l.stream))),
        Arc::new(UInt64Array::from_iter_values(lines.iter().map(|l| l.arrival))),
    ];
    RecordBatch::try_new(schema(), columns).map_err(|e| CheckpointError::form("lines", e))
}

/// Writes the lines that no durable checkpoint has, by team and hour.
pub(super) fn write(
    cut: &Cut,
    lsns: (Lsn, Lsn),
    hours: Hours,
    store: &dyn Store,
) -> Result<Vec<DataFile>, CheckpointError> {
    let snapshot = &cut.snapshot;
    let is_fresh = |of: u32| !cut.kept.holds(of) && of <= cut.generation;
    let mut teams: BTreeMap<Team, Vec<(&Batch, u32)>> = BTreeMap::new();
    for batch in snapshot.batches.iter().filter(|b| is_fresh(b.generation)) {
        for stream in batch.streams() {
            let Some(meta) = snapshot.streams.get(stream) else { continue };
            let known = !meta.namespace.is_empty();
            let team = if known { snapshot.cluster.team_of(&meta.namespace) } else { Team::platform() };
            teams.entry(team).or_default().push((batch.as_ref(), stream));
        }
    }
    let mut files = Vec::new();
    for (team, streams) in teams {
        let repeated = ["namespace", "pod", "container", "level", "stream_id", "template_id"];
        let mut open = Open::new(schema(), &repeated, "ts")?;
        for (batch, stream) in streams {
            let Some(meta) = snapshot.streams.get(stream) else { continue };
            let lines: Vec<Line<'_>> = batch.between(stream, i64::MIN, i64::MAX).collect();
            for of_hour in lines.chunk_by(|a, b| hours.of(a.ts) == hours.of(b.ts)) {
                let Some(first) = of_hour.first() else { continue };
                let partition = Partition { team: team.clone(), signal: Signal::Logs, hour: hours.of(first.ts) };
                open.write(&partition, &batch_of(meta, of_hour)?, batch.received)?;
            }
        }
        files.extend(open.finish(lsns, store)?);
    }
    Ok(files)
}

/// Reads files of one hour into batches.
pub(super) fn read(files: &[&DataFile], store: &dyn Store, out: &mut Vec<Arc<Batch>>) -> Result<(), CheckpointError> {
    let received = files.iter().fold((i64::MAX, i64::MIN), |(a, b), f| (a.min(f.received.0), b.max(f.received.1)));
    let (mut gathered, mut bytes) = (Vec::new(), 0);
    for file in files {
        let columns = ["ts", "level", "template_id", "line", "stream_id", "arrival"];
        for rows in file::rows(file.read(store)?, &columns)? {
            let rows = rows?;
            bytes += file::column::<StringArray>(&rows, "line")?.value_data().len();
            gathered.push(rows);
            if bytes >= LARGE {
                out.push(laid_out(&gathered, received)?);
                (gathered, bytes) = (Vec::new(), 0);
            }
        }
    }
    if !gathered.is_empty() {
        out.push(laid_out(&gathered, received)?);
    }
    Ok(())
}

fn laid_out(gathered: &[RecordBatch], received: (i64, i64)) -> Result<Arc<Batch>, CheckpointError> {
    let mut lines = Vec::new();
    for rows in gathered {
        let ts: &TimestampNanosecondArray = file::column(rows, "ts")?;
        let levels: &StringArray = file::column(rows, "level")?;
        let templates: &UInt64Array = file::column(rows, "template_id")?;
        let texts: &StringArray = file::column(rows, "line")?;
        let streams: &UInt32Array = file::column(rows, "stream_id")?;
        let arrivals: &UInt64Array = file::column(rows, "arrival")?;
        lines.reserve(rows.num_rows());
        for at in 0..rows.num_rows() {
            let level =
                if levels.is_null(at) { Level::Unknown } else { Level::named(levels.value(at)).unwrap_or_default() };
            lines.push(Line {
                stream: streams.value(at),
                ts: ts.value(at),
                arrival: arrivals.value(at),
                level,
                template: TemplateId(templates.value(at)),
                text: texts.value(at),
            });
        }
    }
    Ok(Arc::new(Batch::of_lines(lines, received, TIER)))
}
