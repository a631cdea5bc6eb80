//! `kube/`: the lists and watches of an API server as it sent them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
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
#[derive(Debug, Deserialize)]
pub struct List {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ListMeta,
    /// Its objects, text as recorded.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub items: Vec<Box<RawValue>>,
}

/// The metadata of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta {
    /// Where the watch begins.
    #[serde(default)]
    pub resource_version: String,
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
    /// The object, text as recorded.
    pub object: Box<RawValue>,
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

#[derive(Deserialize)]
struct Identified {
    metadata: Identity,
}

#[derive(Deserialize)]
struct Identity {
    uid: String,
}

/// An empty list may be written as `null`.
fn null_is_empty<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Box<RawValue>>, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// The uid of an object.
///
/// # Errors
/// When it has none.
pub fn uid(object: &RawValue) -> serde_json::Result<String> {
    serde_json::from_str::<Identified>(object.get()).map(|o| o.metadata.uid)
}

/// Reads all files of `kube/` that hold a watched resource, in the order of [`Resource::ALL`], then by name; none when
/// there is no such folder. A file's resource is its name up to the first `-` or `.`: `events-default` are events too.
/// Lines without a time of their own take that of the line before them, the first one `from`.
///
/// # Errors
/// When the folder cannot be listed.
pub(super) fn read(root: &Path, from: Timestamp, problems: &mut Vec<String>) -> anyhow::Result<Vec<Recorded>> {
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
        let list = read_list(root, &list_file, problems);
        let times = read_times(root, &format!("kube/{stem}{TIMES}"), problems);
        let changes = read_watch(root, &watch_file, &times, from, problems);
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

fn read_list(root: &Path, file: &str, problems: &mut Vec<String>) -> Option<List> {
    let mut list: List = match serde_json::from_str(&text_of(root, file, problems)?) {
        Ok(list) => list,
        Err(e) => {
            problems.push(format!("{file}:{}: {e}", e.line()));
            return None;
        }
    };
    let mut n = 0;
    list.items.retain(|item| {
        n += 1;
        uid(item).map_err(|e| problems.push(format!("{file}: item {n}: {e}"))).is_ok()
    });
    Some(list)
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
    times: &[Option<Timestamp>],
    from: Timestamp,
    problems: &mut Vec<String>,
) -> Vec<Change> {
    let text = text_of(root, file, problems).unwrap_or_default();
    let mut changes = Vec::new();
    let (mut at, mut untimed) = (from, 0);
    for (n, text) in text.lines().enumerate() {
        let line = n + 1;
        match times.get(n) {
            Some(time) => at = time.unwrap_or(at),
            None => untimed += 1,
        }
        let Line { kind, object } = match serde_json::from_str(text) {
            Ok(parsed) => parsed,
            Err(e) => {
                problems.push(format!("{file}:{line}: {e}"));
                continue;
            }
        };
        let problem = match kind.as_str() {
            "BOOKMARK" => None,
            "ADDED" | "MODIFIED" | "DELETED" => uid(&object).err().map(|e| e.to_string()),
            "ERROR" => Some(ended(&object)),
            other => Some(format!("{other:?} is no type of watch event")),
        };
        match problem {
            Some(problem) => problems.push(format!("{file}:{line}: {problem}")),
            None => changes.push(Change { at, line, kind, object }),
        }
    }
    if untimed > 0 {
        problems.push(format!("{file}: {untimed} of its lines have no time beside them"));
    }
    changes
}

/// An `ERROR` line in words.
fn ended(object: &RawValue) -> String {
    match serde_json::from_str::<Status>(object.get()) {
        Ok(Status { code, reason, message }) => format!("the watch ended: {code} {reason}: {message}"),
        Err(_) => "the watch ended with an error that is no status".to_owned(),
    }
}
