//! A live cluster into a capture: what the daemon would have received, message by message, in the format that
//! [`crate::capture`] reads. Every bug report becomes a fixture.

mod hidden;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use whyd_correlate::redact::redact;
use whyd_signals::sink::{LogSink, Pair, Refusal};
use whyd_signals::{Envelope, Media, Resource, StreamId, Timestamp, Verb};

use hidden::Hidden;

/// Writes one capture.
pub struct Recording {
    dir: PathBuf,
    redacted: bool,
    hidden: Hidden,
    cluster: String,
    from: Timestamp,
    to: Timestamp,
    resources: BTreeMap<Resource, Watched>,
    metrics: Option<Bodies>,
    logs: Option<Bodies>,
    otlp_metrics: Option<Bodies>,
    otlp_logs: Option<Bodies>,
    /// Messages taken.
    pub messages: u64,
}

/// A resource: its list until that is whole, then its watch.
#[derive(Default)]
struct Watched {
    list: Vec<Box<RawValue>>,
    known: BTreeSet<String>,
    watch: Option<(BufWriter<File>, BufWriter<File>)>,
}

struct Bodies {
    bodies: BufWriter<File>,
    index: BufWriter<File>,
    offset: usize,
}

impl Recording {
    /// A recording into `dir`, which must not hold one.
    ///
    /// # Errors
    /// When there is a capture already, or the folder cannot be made.
    pub fn begin(dir: &Path, cluster: &str, redacted: bool, now: Timestamp) -> Result<Self> {
        ensure!(!dir.join("capture.json").exists(), "{} holds a capture already; name another folder", dir.display());
        fs::create_dir_all(dir.join("kube")).with_context(|| format!("{}", dir.display()))?;
        Ok(Self {
            dir: dir.to_owned(),
            redacted,
            hidden: Hidden::default(),
            cluster: cluster.to_owned(),
            from: now,
            to: now,
            resources: BTreeMap::new(),
            metrics: None,
            logs: None,
            otlp_metrics: None,
            otlp_logs: None,
            messages: 0,
        })
    }

    /// Takes one message.
    ///
    /// # Errors
    /// When it cannot be written, and a [`whyd_signals::sink::DecodeError`] when it cannot be read: then nothing of it is in
    /// the recording.
    pub fn take(&mut self, message: &Envelope) -> Result<()> {
        self.messages += 1;
        self.to = self.to.max(message.received);
        match message.media {
            Media::Kube(resource, verb) => self.object(resource, verb, message),
            Media::RemoteWrite1(_) | Media::RemoteWrite2(_) => {
                let bodies = open(&mut self.metrics, &self.dir, "remote_write")?;
                bodies.append(message, "/api/v1/write", message.media, &message.body)
            }
            Media::OtlpMetricsProto | Media::OtlpMetricsJson => {
                let bodies = open(&mut self.otlp_metrics, &self.dir, "otlp_metrics")?;
                bodies.append(message, "/otlp/v1/metrics", message.media, &message.body)
            }
            Media::LokiProto | Media::LokiJson | Media::OtlpLogsProto | Media::OtlpLogsJson if self.redacted => {
                let body = redacted(message)?;
                let bodies = open(&mut self.logs, &self.dir, "loki_push")?;
                bodies.append(message, "/loki/api/v1/push", Media::LokiJson, &body)
            }
            Media::LokiProto | Media::LokiJson => {
                redacted(message)?;
                let bodies = open(&mut self.logs, &self.dir, "loki_push")?;
                bodies.append(message, "/loki/api/v1/push", message.media, &message.body)
            }
            // Of no verdict's making, and it names people and places.
            Media::AlertmanagerWebhook => Ok(()),
            Media::OtlpLogsProto | Media::OtlpLogsJson => {
                redacted(message)?;
                let bodies = open(&mut self.otlp_logs, &self.dir, "otlp_logs")?;
                bodies.append(message, "/otlp/v1/logs", message.media, &message.body)
            }
            // A recording asks nobody, and listens all the time.
            Media::Pulled(_) | Media::Hearing(_) => Ok(()),
        }
    }

    fn object(&mut self, resource: Resource, verb: Verb, message: &Envelope) -> Result<()> {
        let watched = self.resources.entry(resource).or_default();
        if verb == Verb::Listed {
            if watched.watch.is_none() {
                let file = |end: &str| self.dir.join(format!("kube/{}.{end}", resource.plural()));
                let list = json!({
                    "kind": format!("{}List", resource.kind()), "metadata": {}, "items": watched.list,
                });
                fs::write(file("list.json"), serde_json::to_vec(&list)?)?;
                let create = |end: &str| File::create(file(end)).map(BufWriter::new);
                watched.watch = Some((create("watch.ndjson")?, create("watch.times")?));
                watched.list = Vec::new();
            }
            return Ok(());
        }
        let object: Value = if self.redacted {
            self.hidden.object(resource, verb, &message.body)?
        } else {
            serde_json::from_slice(&message.body)?
        };
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let fresh = watched.known.insert(uid);
        let Some((lines, times)) = &mut watched.watch else {
            watched.list.push(RawValue::from_string(object.to_string())?);
            return Ok(());
        };
        let kind = match verb {
            Verb::Delete => "DELETED",
            _ if fresh => "ADDED",
            _ => "MODIFIED",
        };
        writeln!(lines, "{}", json!({"type": kind, "object": object}))?;
        writeln!(times, "{}", message.received)?;
        Ok(())
    }

    /// Ends the recording; without this there is no `capture.json`, and no capture.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn finish(mut self) -> Result<()> {
        for (lines, times) in self.resources.values_mut().filter_map(|w| w.watch.as_mut()) {
            lines.flush()?;
            times.flush()?;
        }
        let all = [&mut self.metrics, &mut self.logs, &mut self.otlp_metrics, &mut self.otlp_logs];
        for bodies in all.into_iter().flatten() {
            bodies.bodies.flush()?;
            bodies.index.flush()?;
        }
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let about = json!({
            "version": 1, "name": name, "cluster": self.cluster,
            "from": self.from.to_string(), "to": self.to.to_string(),
        });
        fs::write(self.dir.join("capture.json"), serde_json::to_vec_pretty(&about)?)?;
        Ok(())
    }
}

fn open<'a>(slot: &'a mut Option<Bodies>, dir: &Path, folder: &str) -> Result<&'a mut Bodies> {
    if slot.is_none() {
        let dir = dir.join(folder);
        fs::create_dir_all(&dir)?;
        let create = |name: &str| File::create(dir.join(name)).map(BufWriter::new);
        *slot = Some(Bodies { bodies: create("bodies.bin")?, index: create("index.ndjson")?, offset: 0 });
    }
    slot.as_mut().context("opened above")
}

impl Bodies {
    fn append(&mut self, message: &Envelope, path: &str, media: Media, body: &[u8]) -> Result<()> {
        self.bodies.write_all(body)?;
        let (content_type, encoding) = media.content();
        let mut headers = json!({"content-type": content_type});
        if let Some(encoding) = encoding {
            headers["content-encoding"] = json!(encoding);
        }
        let entry = json!({
            "received_ns": message.received.nanos(), "path": path, "headers": headers,
            "file": "bodies.bin", "offset": self.offset, "bytes": body.len(),
        });
        writeln!(self.index, "{entry}")?;
        self.offset += body.len();
        Ok(())
    }
}

/// A push with its lines redacted, as Loki's JSON whatever it was.
fn redacted(message: &Envelope) -> Result<Vec<u8>> {
    let mut lines = Lines::default();
    let decoded = match message.media {
        Media::LokiProto => whyd_collector::wire::loki::decode_proto(&message.body, &mut Vec::new(), &mut lines),
        Media::OtlpLogsProto => whyd_collector::wire::otlp::decode_logs_proto(&message.body, &mut lines),
        Media::OtlpLogsJson => whyd_collector::wire::otlp::decode_logs_json(&message.body, &mut lines),
        _ => whyd_collector::wire::loki::decode_json(&message.body, &mut lines),
    };
    decoded?;
    Ok(serde_json::to_vec(&json!({"streams": lines.0.into_iter().map(Stream::json).collect::<Vec<_>>()}))?)
}

#[derive(Default)]
struct Lines(Vec<Stream>);

struct Stream {
    labels: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    values: Vec<(Timestamp, String)>,
}

impl Stream {
    fn json(self) -> Value {
        let metadata = &self.metadata;
        let value = |(ts, line): (Timestamp, String)| json!([ts.nanos().to_string(), line, metadata]);
        json!({"stream": self.labels, "values": self.values.into_iter().map(value).collect::<Vec<_>>()})
    }
}

impl LogSink for Lines {
    fn stream(&mut self, labels: &[Pair<'_>], metadata: &[Pair<'_>]) -> Result<StreamId, Refusal> {
        let owned = |pairs: &[Pair<'_>]| pairs.iter().map(|(k, v)| (k.to_string(), redact(v).into_owned())).collect();
        self.0.push(Stream { labels: owned(labels), metadata: owned(metadata), values: Vec::new() });
        Ok(StreamId(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)))
    }

    fn line(&mut self, stream: StreamId, ts: Timestamp, line: &str) -> Result<(), Refusal> {
        if let Some(stream) = self.0.get_mut(stream.0 as usize) {
            stream.values.push((ts, redact(line).into_owned()));
        }
        Ok(())
    }

    fn refused(&mut self, _: u64, _: Refusal) {}
}
