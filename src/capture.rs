//! A recorded cluster, read back: a folder of wire messages as they came (`fixtures/captures/README.md` has the format).
//!
//! Whatever part is absent was not recorded, which is not the same as empty: it gives no message at all, and no
//! [`Verb::Listed`]. Whatever part is damaged becomes a problem that names file and line; the rest is still read.

mod bodies;
pub mod kube;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use whyd_collector::wire::kube::{envelope, listed};
use whyd_signals::{Envelope, Resource, Timestamp, Verb};

use bodies::{Body, Kind};
use kube::Recorded;

/// What `capture.json` says.
#[derive(Debug, Clone, Deserialize)]
pub struct About {
    /// Of the format; 1 is the only one.
    pub version: u32,
    /// What it was recorded as.
    #[serde(default)]
    pub name: String,
    /// The cluster it was recorded in.
    #[serde(default)]
    pub cluster: String,
    /// When the recording of the cluster's objects began.
    pub from: Timestamp,
    /// When it ended. Metrics and logs may reach beyond both.
    pub to: Timestamp,
}

/// One capture: its objects in memory, its metrics and logs as places in files.
#[derive(Debug)]
pub struct Capture {
    /// What it says of itself.
    pub about: About,
    recorded: Vec<Recorded>,
    bodies: Vec<Body>,
    problems: Vec<String>,
}

impl Capture {
    /// Reads the folder at `path`.
    ///
    /// # Errors
    /// When `capture.json` is missing or unreadable, or a folder cannot be listed. All else that is wrong is told by
    /// [`Capture::problems`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = path.join("capture.json");
        let text = fs::read(&file).with_context(|| format!("{}: not a capture", file.display()))?;
        let about: About = serde_json::from_slice(&text).with_context(|| format!("{}", file.display()))?;
        ensure!(about.version == 1, "{}: version {} is not known, only 1 is", file.display(), about.version);

        let mut problems = Vec::new();
        let recorded = kube::read(path, about.from, &mut problems)?;
        let mut bodies = bodies::index(path, Kind::RemoteWrite, &mut problems)?;
        for kind in [Kind::Loki, Kind::OtlpMetrics, Kind::OtlpLogs] {
            bodies.extend(bodies::index(path, kind, &mut problems)?);
        }
        Ok(Self { about, recorded, bodies, problems })
    }

    /// What could not be read, each with its file and line.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The recorded lists and watches, in the order of [`Resource::ALL`], then by file name.
    pub fn recorded(&self) -> &[Recorded] {
        &self.recorded
    }

    /// The instant of the first message; the lists are received then, before all else.
    pub fn start(&self) -> Timestamp {
        let watched = self.recorded.iter().flat_map(|r| r.changes.iter().map(|c| c.at));
        watched.chain(self.bodies.iter().map(|b| b.received)).fold(self.about.from, Timestamp::min)
    }

    /// Every message in the order of its receive time, then source, then file and line.
    ///
    /// # Errors
    /// When a file of bodies that was there on opening cannot be read.
    pub fn messages(&self) -> Result<Vec<Envelope>> {
        let mut messages = self.lists()?;
        for recorded in &self.recorded {
            for change in &recorded.changes {
                let verb = match change.kind.as_str() {
                    "ADDED" | "MODIFIED" => Verb::Apply,
                    "DELETED" => Verb::Delete,
                    _ => continue,
                };
                messages.push(envelope(recorded.resource, verb, change.at, change.object.slim.clone()));
            }
        }
        messages.extend(bodies::load(&self.bodies)?);
        messages.sort_by_key(|m| (m.received, m.media.source())); // stable: file and line decide the rest
        Ok(messages)
    }

    /// The lists as messages of the first instant: each object, then what the list was made of. A resource that
    /// several files share (events of two namespaces) is listed once, with the uids of all of them.
    fn lists(&self) -> Result<Vec<Envelope>> {
        let start = self.start();
        let mut messages = Vec::new();
        for resource in Resource::ALL {
            let files: Vec<_> = self.recorded.iter().filter(|r| r.resource == resource && r.list.is_some()).collect();
            let mut uids = Vec::new();
            for recorded in &files {
                for item in recorded.list.iter().flat_map(|l| &l.items) {
                    uids.push(item.uid.clone());
                    messages.push(envelope(resource, Verb::Apply, start, item.slim.clone()));
                }
            }
            if !files.is_empty() {
                messages.push(listed(resource, start, &uids)?);
            }
        }
        Ok(messages)
    }
}

#[cfg(test)]
mod tests;
