//! `kube/`: the lists and watches of an API server as it sent them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use whyd_collector::wire::kube::slim_value;
use whyd_signals::{Resource, Timestamp};

const LIST: &str = ".list.json";
const WATCH: &str = ".watch.ndjson";
const TIMES: &str = ".watch.times";

/// One resource, or one namespace of it, as one list and the watch from there on.
#[derive(Debug)]
pub struct Recorded {
    /// What was listed and watched.
    pub resource: Resource,
    /// The file of the list, within the capture.
    pub list_file: String,
    /// The initial list; `None` when there is none or it cannot be read.
    pub list: Option<List>,
    /// The file of the watch, within the capture.
    pub watch_file: String,
    /// What the watch sent, bookmarks included, in the order of its lines.
    pub changes: Vec<Change>,
}

/// An initial list.
#[derive(Debug)]
pub struct List {
    /// Where the watch begins.
    pub resource_version: String,
    /// Its objects.
    pub items: Vec<Recording>,
}

/// One object at one time.
#[derive(Debug)]
pub struct Recording {
    /// The text as recorded.
    pub raw: Box<RawValue>,
    /// What the daemon keeps of it.
    pub slim: Bytes,
    /// Its uid; empty for a bookmark.
    pub uid: String,
}

/// One line of a watch.
#[derive(Debug)]
pub struct Change {
    /// When it was received.
    pub at: Timestamp,
    /// Its line in the file, from 1.
    pub line: usize,
    /// `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`.
    pub kind: String,
    /// The object.
    pub object: Recording,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMeta,
    /// An empty list may be written as `null`.
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMeta {
    resource_version: String,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Box<RawValue>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// Reads all files of `kube/` that hold a watched resource, in the order of [`Resource::ALL`], then by name; none when
/// there is no such folder. A file's resource is its name up to the first `-` or `.`: `events-default` are events too.
/// Lines without a time of their own take that of the line before them, the first one `from`.
///
/// # Errors
/// When the folder cannot be listed.
pub(super) fn read(root: &Path, from: Timestamp, problems: &mut Vec<String>) -> Result<Vec<Recorded>> {
    let dir = root.join("kube");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("{}", dir.display())),
    };
    let mut stems: Vec<(Resource, String)> = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("{}", dir.display()))?.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(stem) = name.strip_suffix(LIST).or_else(|| name.strip_suffix(WATCH)) else { continue };
        let plural = stem.split(['-', '.']).next().unwrap_or(stem);
        let Some(resource) = Resource::from_plural(plural) else { continue };
        stems.push((resource, stem.to_owned()));
    }
    stems.sort();
    stems.dedup();

    let mut recorded = Vec::with_capacity(stems.len());
    for (resource, stem) in stems {
        let list_file = format!("kube/{stem}{LIST}");
        let watch_file = format!("kube/{stem}{WATCH}");
        let list = read_list(root, &list_file, resource, problems);
        let times = read_times(root, &format!("kube/{stem}{TIMES}"), problems);
        let changes = read_watch(root, &watch_file, resource, from, &times, problems);
        recorded.push(Recorded { resource, list_file, list, watch_file, changes });
    }
    Ok(recorded)
}

/// The text of a file; `None` when it is absent, and when it cannot be read, which is a problem.
fn text_of(root: &Path, file: &str, problems: &mut Vec<String>) -> Option<String> {
    match fs::read_to_string(root.join(file)) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => {
            problems.push(format!("{file}: {e}"));
            None
        }
    }
}

fn recording(resource: Resource, raw: Box<RawValue>) -> Result<Recording, String> {
    let object = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
    let (slim, uid) = slim_value(resource, object).map_err(|e| e.to_string())?;
    Ok(Recording { raw, slim, uid })
}

fn read_list(root: &Path, file: &str, resource: Resource, problems: &mut Vec<String>) -> Option<List> {
    let page: Page = match serde_json::from_str(&text_of(root, file, problems)?) {
        Ok(page) => page,
        Err(e) => {
            problems.push(format!("{file}:{}: {e}", e.line()));
            return None;
        }
    };
    let mut items = Vec::new();
    for (n, raw) in page.items.into_iter().flatten().enumerate() {
        match recording(resource, raw) {
            Ok(item) => items.push(item),
            Err(problem) => problems.push(format!("{file}: item {}: {problem}", n + 1)),
        }
    }
    Some(List { resource_version: page.metadata.resource_version, items })
}

fn read_times(root: &Path, file: &str, problems: &mut Vec<String>) -> Vec<Option<Timestamp>> {
    let text = text_of(root, file, problems).unwrap_or_default();
    let mut times = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let at = Timestamp::parse(line.trim());
        if at.is_none() {
            problems.push(format!("{file}:{}: not an RFC 3339 time", n + 1));
        }
        times.push(at);
    }
    times
}

fn read_watch(
    root: &Path,
    file: &str,
    resource: Resource,
    mut at: Timestamp,
    times: &[Option<Timestamp>],
    problems: &mut Vec<String>,
) -> Vec<Change> {
    let text = text_of(root, file, problems).unwrap_or_default();
    let mut changes = Vec::new();
    for (n, text) in text.lines().enumerate() {
        at = times.get(n).copied().flatten().unwrap_or(at);
        match read_line(resource, text) {
            Ok((kind, object)) => changes.push(Change { at, line: n + 1, kind, object }),
            Err(problem) => problems.push(format!("{file}:{}: {problem}", n + 1)),
        }
    }
    let untimed = text.lines().count().saturating_sub(times.len());
    if untimed > 0 {
        problems.push(format!("{file}: {untimed} of its lines have no time beside them"));
    }
    changes
}

fn read_line(resource: Resource, text: &str) -> Result<(String, Recording), String> {
    let Line { kind, object } = serde_json::from_str(text).map_err(|e| e.to_string())?;
    match kind.as_str() {
        "ADDED" | "MODIFIED" | "DELETED" => Ok((kind, recording(resource, object)?)),
        "BOOKMARK" => Ok((kind, Recording { raw: object, slim: Bytes::new(), uid: String::new() })),
        "ERROR" => Err(ended(&object)),
        other => Err(format!("{other:?} is no type of watch event")),
    }
}

/// An `ERROR` line in words.
fn ended(object: &RawValue) -> String {
    match serde_json::from_str::<Status>(object.get()) {
        Ok(Status { code, reason, message }) => format!("the watch ended: {code} {reason}: {message}"),
        Err(_) => "the watch ended with an error that is no status".to_owned(),
    }
}
