//! `remote_write/`, `loki_push/`, `otlp_metrics/` and `otlp_logs/`: request bodies and the index that tells when and how each came.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;
use serde::Deserialize;
use whyd_collector::wire::gzip;
use whyd_signals::{Compression, Envelope, Media, Timestamp};

/// More than any receiver takes; a recorded body that inflates to more is left as it is and refused as malformed.
const INFLATED: usize = 64 << 20;

/// What the bodies of a folder are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    RemoteWrite,
    Loki,
    OtlpMetrics,
    OtlpLogs,
}

/// Where one body lies and what it is.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) received: Timestamp,
    media: Media,
    gzip: bool,
    file: PathBuf,
    /// Its place in the file; the whole of it when `None`.
    range: Option<(usize, usize)>,
}

/// One line of an index.
#[derive(Deserialize)]
struct Entry {
    received_ns: i64,
    file: String,
    offset: Option<usize>,
    bytes: Option<usize>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::RemoteWrite => "remote_write",
            Self::Loki => "loki_push",
            Self::OtlpMetrics => "otlp_metrics",
            Self::OtlpLogs => "otlp_logs",
        }
    }
}

impl Entry {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }

    fn media(&self, kind: Kind) -> Result<Media, String> {
        let content = self.header("content-type").to_ascii_lowercase();
        match kind {
            Kind::RemoteWrite => {
                let compression = match self.header("content-encoding").to_ascii_lowercase().as_str() {
                    "" | "snappy" => Compression::Snappy,
                    "zstd" => Compression::Zstd,
                    other => return Err(format!("content encoding {other} is not known")),
                };
                Ok(if content.contains("write.v2") {
                    Media::RemoteWrite2(compression)
                } else {
                    Media::RemoteWrite1(compression)
                })
            }
            Kind::Loki if content.contains("json") || self.file.contains(".json") => Ok(Media::LokiJson),
            Kind::Loki => Ok(Media::LokiProto),
            Kind::OtlpMetrics if content.contains("json") => Ok(Media::OtlpMetricsJson),
            Kind::OtlpMetrics => Ok(Media::OtlpMetricsProto),
            Kind::OtlpLogs if content.contains("json") => Ok(Media::OtlpLogsJson),
            Kind::OtlpLogs => Ok(Media::OtlpLogsProto),
        }
    }

    /// Where it lies in a file of `length` bytes.
    fn range(&self, length: usize) -> Result<Option<(usize, usize)>, String> {
        let Some(offset) = self.offset else { return Ok(None) };
        let bytes = self.bytes.ok_or("an offset without bytes")?;
        match offset.checked_add(bytes) {
            Some(end) if end <= length => Ok(Some((offset, end))),
            _ => Err(format!("{bytes} bytes at {offset} are beyond the {length} of {}", self.file)),
        }
    }
}

/// Reads the index of that folder of the capture; none when there is none. Entries that point nowhere become problems.
///
/// # Errors
/// When the index is there and cannot be read.
pub(super) fn index(root: &Path, kind: Kind, problems: &mut Vec<String>) -> Result<Vec<Body>> {
    let dir = root.join(kind.folder());
    let place = format!("{}/index.ndjson", kind.folder());
    let text = match fs::read_to_string(root.join(&place)) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).context(place),
    };
    let mut lengths: BTreeMap<PathBuf, io::Result<usize>> = BTreeMap::new();
    let mut bodies = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match entry(line, &dir, kind, &mut lengths) {
            Ok(body) => bodies.push(body),
            Err(problem) => problems.push(format!("{place}:{}: {problem}", n + 1)),
        }
    }
    Ok(bodies)
}

fn entry(
    line: &str,
    dir: &Path,
    kind: Kind,
    lengths: &mut BTreeMap<PathBuf, io::Result<usize>>,
) -> Result<Body, String> {
    let entry: Entry = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let media = entry.media(kind)?;
    // a capture may be a stranger's bug report: it names files of its own folder and no other
    if entry.file.contains(['/', '\\']) || entry.file.starts_with('.') {
        return Err(format!("{:?} is not the name of a file beside it", entry.file));
    }
    let file = dir.join(&entry.file);
    let length = lengths
        .entry(file.clone())
        .or_insert_with(|| fs::metadata(&file).map(|m| usize::try_from(m.len()).unwrap_or(usize::MAX)));
    let length = length.as_ref().map_err(|e| format!("{}: {e}", entry.file))?;
    let range = entry.range(*length)?;
    let gzip = entry.header("content-encoding").eq_ignore_ascii_case("gzip") || entry.file.ends_with(".gz");
    let own = matches!(media, Media::RemoteWrite1(_) | Media::RemoteWrite2(_) | Media::LokiProto);
    Ok(Body { received: Timestamp(entry.received_ns), media, gzip: gzip && !own, file, range })
}

/// The bodies as messages, in the order given; each file is read once.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn load(bodies: &[Body]) -> Result<Vec<Envelope>> {
    let mut shared: BTreeMap<&Path, Bytes> = BTreeMap::new();
    let mut messages = Vec::with_capacity(bodies.len());
    for body in bodies {
        let whole = match shared.get(body.file.as_path()) {
            Some(whole) => whole.clone(),
            None => {
                let read = fs::read(&body.file).with_context(|| format!("{}", body.file.display()))?;
                let read = Bytes::from(read);
                if body.range.is_some() {
                    shared.insert(&body.file, read.clone());
                }
                read
            }
        };
        let part = match body.range {
            Some((start, end)) if end <= whole.len() => whole.slice(start..end),
            Some((_, end)) => anyhow::bail!("{}: ends before byte {end}", body.file.display()),
            None => whole,
        };
        let part = if body.gzip { inflated(part) } else { part };
        messages.push(Envelope { received: body.received, media: body.media, tenant: None, body: part });
    }
    Ok(messages)
}

/// What was compressed; a body that is not gzip stays as it is, for the decoder to refuse with its own words.
fn inflated(body: Bytes) -> Bytes {
    gzip::inflate(body.clone(), INFLATED).unwrap_or(body)
}
