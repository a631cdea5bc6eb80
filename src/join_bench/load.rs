//! The data as messages, merged by time, through the core.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use whyd_buffers::Snapshot;
use whyd_collector::inlet::Reply;
use whyd_core::{Core, Effect, Message};
use whyd_signals::{Compression, Envelope, Media, Resource, Timestamp, Verb};

use super::wire;
use crate::config::Config;
use crate::wiring;

/// Rows of one body.
const ROWS: usize = 2_000;
const SECOND: i64 = 1_000_000_000;

/// What is seen once all of it is taken in.
pub(super) fn load(dir: &Path, config: &Config, told: &impl Fn(&str)) -> Result<Arc<Snapshot>> {
    let mut loading = Loading { core: wiring::core(config), ticked: None, token: 0 };
    let mut events = rows(dir, "events")?;
    let mut next_event = events.next().transpose()?.map(|b| (b, 0));
    for namespace in namespaces(dir)? {
        loading.send(i64::MIN, Media::Kube(Resource::Namespaces, Verb::Apply), namespace.into())?;
    }
    let mut sources: [Bodies; 2] = [metrics(dir)?, lines(dir)?];
    let mut waiting: [Option<Body>; 2] = [None, None];
    let mut sent = 0_u64;
    loop {
        for (source, body) in sources.iter_mut().zip(&mut waiting) {
            if body.is_none() {
                *body = source.next().transpose()?;
            }
        }
        let first = waiting.iter_mut().filter(|b| b.is_some()).min_by_key(|b| b.as_ref().map(|b| b.ms));
        let until = first.as_ref().and_then(|b| b.as_ref()).map_or(i64::MAX, |b| b.ms);
        while let Some((batch, row)) = &mut next_event {
            let ms = numbers(batch, "ts")?.value(*row);
            if ms > until {
                break;
            }
            loading.send(ms, Media::Kube(Resource::Events, Verb::Apply), event(batch, *row, ms)?.into())?;
            *row += 1;
            if *row == batch.num_rows() {
                next_event = events.next().transpose()?.map(|b| (b, 0));
            }
        }
        let Some(Body { ms, media, bytes, rows }) = first.and_then(Option::take) else { break };
        loading.send(ms, media, bytes)?;
        if sent / 1_000_000 != (sent + rows) / 1_000_000 {
            told(&format!("loading, {} M rows", (sent + rows) / 1_000_000));
        }
        sent += rows;
    }
    let dropped: u64 = loading.core.stats().dropped.values().sum();
    ensure!(dropped == 0, "{dropped} rows found no room: give it more by --memory");
    Ok(loading.core.snapshot())
}

struct Loading {
    core: Core,
    ticked: Option<Timestamp>,
    token: u64,
}

impl Loading {
    /// One message in, durable at once, ticking once a second of its time.
    fn send(&mut self, ms: i64, media: Media, body: Bytes) -> Result<()> {
        // What is known before anything else is known when that begins.
        let received = Timestamp(if ms == i64::MIN { 1_795_341_600 * SECOND } else { ms * 1_000_000 });
        let ticked = self.ticked.get_or_insert(received);
        while received.0 >= ticked.0 + SECOND {
            *ticked = Timestamp(ticked.0 + SECOND);
            self.core.step(*ticked, Message::Tick);
        }
        self.token += 1;
        let envelope = Envelope { received, media, tenant: None, body };
        let mut effects = self.core.step(received, Message::Input { token: self.token, envelope });
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::Append(record) => effects.extend(self.core.step(received, Message::Durable(record.lsn))),
                Effect::Reply { reply: Reply::Stored(_), .. } | Effect::Changed | Effect::Settled(_) => {}
                Effect::Reply { reply, .. } => bail!("{media:?} was not taken in whole: {reply:?}"),
            }
        }
        Ok(())
    }
}

/// Rows that are sent together.
struct Body {
    ms: i64,
    media: Media,
    bytes: Bytes,
    rows: u64,
}

type Bodies = Box<dyn Iterator<Item = Result<Body>>>;

/// The rows of one file, in its order.
pub(super) fn rows(dir: &Path, name: &str) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
    let path = dir.join(format!("{name}.parquet"));
    let file = File::open(&path).with_context(|| format!("{}: gen_join.py makes it", path.display()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(1 << 16).build()?;
    Ok(reader.map(move |batch| batch.with_context(|| format!("{}", path.display()))))
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).with_context(|| format!("no column {name}"))
}

pub(super) fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a arrow::array::Int64Array> {
    column(batch, name)?.as_primitive_opt::<Int64Type>().with_context(|| format!("{name} is no number"))
}

/// A column of text with the number of each row's among its values.
pub(super) struct Texts {
    of: DictionaryArray<Int32Type>,
}

impl Texts {
    pub(super) fn of(batch: &RecordBatch, name: &str) -> Result<Self> {
        let column = column(batch, name)?;
        let of = column.as_dictionary_opt::<Int32Type>().with_context(|| format!("{name} is no dictionary"))?.clone();
        ensure!(of.null_count() == 0 && of.values().as_string_opt::<i32>().is_some(), "{name} has other than text");
        Ok(Self { of })
    }

    pub(super) fn key(&self, row: usize) -> i32 {
        self.of.keys().value(row)
    }

    pub(super) fn get(&self, row: usize) -> &str {
        self.of.values().as_string::<i32>().value(self.key(row) as usize)
    }
}

/// The namespaces, with their teams as a label.
fn namespaces(dir: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for batch in rows(dir, "teams")? {
        let batch = batch?;
        let texts = |name: &str| -> Result<Vec<String>> {
            let column = arrow::compute::cast(column(&batch, name)?, &arrow::datatypes::DataType::Utf8)?;
            Ok(column.as_string::<i32>().iter().map(|t| t.unwrap_or_default().to_owned()).collect())
        };
        for (namespace, team) in texts("namespace")?.into_iter().zip(texts("team")?) {
            let metadata =
                json!({"name": namespace, "uid": namespace, "resourceVersion": "1", "labels": {"whyd.io/team": team}});
            all.push(json!({"metadata": metadata}).to_string());
        }
    }
    Ok(all)
}

fn event(batch: &RecordBatch, row: usize, ms: i64) -> Result<String> {
    let texts = |name: &str| -> Result<String> { Ok(Texts::of(batch, name)?.get(row).to_owned()) };
    let (namespace, pod) = (texts("namespace")?, texts("pod")?);
    let uid = format!("event-{}", numbers(batch, "event_id")?.value(row));
    let at = Timestamp(ms * 1_000_000).to_string();
    Ok(json!({
        "metadata": {"namespace": namespace, "name": uid, "uid": uid, "resourceVersion": "1", "creationTimestamp": at},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": pod},
        "reason": texts("reason")?, "type": "Normal", "eventTime": at,
    })
    .to_string())
}

fn compressed(body: &[u8]) -> Result<Bytes> {
    Ok(snap::raw::Encoder::new().compress_vec(body)?.into())
}

/// Cuts batches into pieces of as many rows as a body has.
fn pieces(batches: impl Iterator<Item = Result<RecordBatch>>) -> impl Iterator<Item = Result<RecordBatch>> {
    batches.flat_map(|batch| match batch {
        Ok(batch) => {
            let starts = (0..batch.num_rows()).step_by(ROWS);
            starts.map(|from| Ok(batch.slice(from, ROWS.min(batch.num_rows() - from)))).collect::<Vec<_>>()
        }
        Err(e) => vec![Err(e)],
    })
}

fn last(ms: &arrow::array::Int64Array) -> i64 {
    ms.values().iter().copied().max().unwrap_or_default()
}

/// Remote write 1.0.
fn metrics(dir: &Path) -> Result<Bodies> {
    let mut known: HashMap<(String, String), Vec<u8>> = HashMap::new();
    let body = move |batch: Result<RecordBatch>| -> Result<Body> {
        let batch = batch?;
        let (ms, values) = (numbers(&batch, "ts")?, column(&batch, "value")?.as_primitive::<Float64Type>());
        let (namespace, pod, metric) =
            (Texts::of(&batch, "namespace")?, Texts::of(&batch, "pod")?, Texts::of(&batch, "metric")?);
        let mut out = Vec::new();
        for row in 0..batch.num_rows() {
            let labels = known.entry((pod.get(row).to_owned(), metric.get(row).to_owned())).or_insert_with(|| {
                wire::labels(&[("__name__", metric.get(row)), ("namespace", namespace.get(row)), ("pod", pod.get(row))])
            });
            wire::sample(labels, ms.value(row), values.value(row), &mut out);
        }
        let media = Media::RemoteWrite1(Compression::Snappy);
        Ok(Body { ms: last(ms), media, bytes: compressed(&out)?, rows: batch.num_rows() as u64 })
    };
    Ok(Box::new(pieces(rows(dir, "metrics")?).map(body)))
}

/// Loki pushes: a stream for each pod and level.
fn lines(dir: &Path) -> Result<Bodies> {
    let body = |batch: Result<RecordBatch>| -> Result<Body> {
        let batch = batch?;
        let ms = numbers(&batch, "ts")?;
        let (namespace, pod) = (Texts::of(&batch, "namespace")?, Texts::of(&batch, "pod")?);
        let (level, template) = (Texts::of(&batch, "level")?, Texts::of(&batch, "template")?);
        let mut streams: BTreeMap<(i32, i32), (usize, Vec<u8>)> = BTreeMap::new();
        for row in 0..batch.num_rows() {
            let (_, entries) = streams.entry((pod.key(row), level.key(row))).or_insert_with(|| (row, Vec::new()));
            wire::line(ms.value(row), template.get(row), entries);
        }
        let mut out = Vec::new();
        for (row, entries) in streams.into_values() {
            let (namespace, pod, level) = (namespace.get(row), pod.get(row), level.get(row));
            let labels = format!("{{namespace=\"{namespace}\", pod=\"{pod}\", level=\"{level}\"}}");
            wire::stream(&labels, &entries, &mut out);
        }
        Ok(Body { ms: last(ms), media: Media::LokiProto, bytes: compressed(&out)?, rows: batch.num_rows() as u64 })
    };
    Ok(Box::new(pieces(rows(dir, "logs")?).map(body)))
}
