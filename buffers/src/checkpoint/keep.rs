//! Which checkpoints and which files are kept, and what a start finds of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use whyd_signals::{Lsn, Timestamp};

use super::file::{self, DataFile, Hours, Signal};
use super::manifest::{self, Manifest};
use super::{Checkpoint, CheckpointError, Picture, Store, lines, samples};
use crate::writer::HeldRows;

/// Manifests that are kept: the newest, and one to fall back to.
const MANIFESTS: usize = 2;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepLimits {
    /// What a restart has to find: rows received so long before a checkpoint.
    pub window: Duration,
    /// Bytes that the rows of the window may take in memory: what is older than fits is not taken up.
    pub memory: usize,
    /// How long rows are kept for others to read; the window at least.
    pub retention: Duration,
    /// Bytes of all files. The oldest go first; what the window needs never does, then there is no checkpoint.
    pub bytes: u64,
}

/// What is on disk and what became of the rest, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeepStats {
    /// Checkpoints written.
    pub written: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Checkpoints that were found damaged.
    pub damaged: u64,
    /// Checkpoints that were of another version or configuration.
    pub strange: u64,
    /// Bytes of the newest checkpoint and all files that it names.
    pub bytes: u64,
    /// Files of rows that the newest checkpoint names.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Files that went because they were old.
    pub old: u64,
    /// Files that went because there were too many bytes.
    pub over: u64,
    /// When the newest checkpoint was made.
    pub newest: Option<Timestamp>,
}

struct KeptManifest {
    lsn: Lsn,
    bytes: u64,
    files: Vec<DataFile>,
}

/// The checkpoints in a store, which is nobody else's.
pub struct Checkpoints {
    store: Box<dyn Store>,
    limits: KeepLimits,
    /// The oldest first.
    kept: VecDeque<KeptManifest>,
    /// Files of before the oldest: kept for others to read.
    history: Vec<DataFile>,
    /// Whether the store could not be read in part: until the next checkpoint nothing is removed.
    unread: bool,
    stats: KeepStats,
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoints").field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl Checkpoints {
    /// Those in this store.
    pub fn new(store: Box<dyn Store>, limits: KeepLimits) -> Self {
        let (kept, history, stats) = (VecDeque::new(), Vec::new(), KeepStats::default());
        Self { store, limits, kept, history, unread: false, stats }
    }

    /// What is there and what became of the rest.
    pub fn stats(&self) -> KeepStats {
        self.stats
    }

    /// The newest checkpoint that is whole and was made by this configuration, and removes what no checkpoint needs.
    /// `rest` reads what went with the buffers; where it cannot, the checkpoint is of another build. `log_from` is the
    /// first record that the log still has: what is older and in no checkpoint stays as history.
    ///
    /// # Errors
    /// When the store cannot say what it has.
    pub fn open<T>(
        &mut self,
        by: &str,
        log_from: Option<Lsn>,
        rest: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<(Checkpoint, T)>, CheckpointError> {
        let names = self.list()?;
        let mut lsns: Vec<Lsn> = names.iter().filter_map(|n| manifest::lsn_of(n)).collect();
        lsns.sort_unstable();
        let mut found = None;
        let mut strange: Vec<DataFile> = Vec::new();
        for lsn in lsns.into_iter().rev() {
            let name = manifest::name_of(lsn);
            match self.read(&name) {
                Ok(Some((bytes, manifest))) => {
                    let own = if manifest.point().by == by { rest(&manifest.rest) } else { None };
                    let (lsn, files) = (manifest.point().lsn, manifest.files.clone());
                    let Some(own) = own else {
                        self.stats.strange += 1;
                        strange = if strange.is_empty() { files } else { strange };
                        continue;
                    };
                    if found.is_none() {
                        match self.whole(manifest) {
                            Ok(checkpoint) => found = Some((checkpoint, own)),
                            Err(e) => {
                                self.set_aside(&name, &e);
                                continue;
                            }
                        }
                    }
                    self.kept.push_front(KeptManifest { lsn, bytes, files });
                }
                Ok(None) => self.stats.strange += 1,
                Err(e) => self.set_aside(&name, &e),
            }
        }
        if found.is_none() && strange.is_empty() {
            strange = self.unnamed(&names, log_from);
        }
        if found.is_none() {
            // Rows that the log has yet are written anew with the next checkpoint.
            strange.retain(|f| log_from.is_none_or(|from| f.to < from));
            self.history = strange;
        }
        self.count();
        self.sweep();
        Ok(found)
    }

    /// The files of which no manifest tells any more, as far as the log does not have their rows.
    fn unnamed(&self, names: &[String], log_from: Option<Lsn>) -> Vec<DataFile> {
        let older = |name: &&String| {
            let last = file::last_of(name);
            last.is_some_and(|last| log_from.is_some_and(|from| last < from))
        };
        let read = |name: &String| DataFile::found(name, &self.store.read(name).ok()?);
        names.iter().filter(older).filter_map(read).collect()
    }

    fn list(&self) -> Result<Vec<String>, CheckpointError> {
        self.store.list().map_err(|source| CheckpointError::Store { name: "checkpoints".into(), source })
    }

    fn read(&self, name: &str) -> Result<Option<(u64, Manifest)>, CheckpointError> {
        let bytes = self.store.read(name).map_err(|source| CheckpointError::Store { name: name.into(), source })?;
        Ok(Manifest::read(name, &bytes)?.map(|manifest| (bytes.len() as u64, manifest)))
    }

    fn set_aside(&mut self, name: &str, why: &CheckpointError) {
        self.unread |= matches!(why, CheckpointError::Store { .. });
        self.stats.damaged += 1;
        tracing::error!(error = %why, checkpoint = name, "a checkpoint is not whole; an older one or the log is taken");
    }

    /// The checkpoint with all rows that its window needs.
    fn whole(&self, manifest: Manifest) -> Result<Checkpoint, CheckpointError> {
        let point = manifest.point();
        let horizon = point.at.minus(self.limits.window).0;
        let mut hours: BTreeMap<i64, Vec<&DataFile>> = BTreeMap::new();
        for file in manifest.files.iter().filter(|f| f.received.1 >= horizon) {
            hours.entry(file.hour).or_default().push(file);
        }
        let (namespace_of, store) = (manifest.held.namespace_of(), self.store.as_ref());
        // The newest first: of what memory cannot hold it had dropped the oldest.
        let (mut parts, mut bytes) = (Vec::new(), 0);
        for files in hours.into_values().rev() {
            if bytes >= self.limits.memory {
                break;
            }
            let mut part = HeldRows::default();
            for file in files.iter().filter(|f| f.signal == Signal::Samples) {
                samples::read(file, store, &namespace_of, &mut part.chunks)?;
            }
            let of_logs: Vec<&DataFile> = files.into_iter().filter(|f| f.signal == Signal::Logs).collect();
            if !of_logs.is_empty() {
                lines::read(&of_logs, store, &mut part.batches)?;
            }
            bytes += part.bytes();
            parts.push(part);
        }
        let mut rows = HeldRows::default();
        for part in parts.into_iter().rev() {
            rows.chunks.extend(part.chunks);
            rows.batches.extend(part.batches);
        }
        Ok(Checkpoint { point, held: manifest.held, rows })
    }

    /// Writes a checkpoint; when it returns it is durable. One at the place of the newest is that one.
    ///
    /// # Errors
    /// What the store says, and where there is no room for what the window needs; the older ones stay.
    pub fn write(&mut self, picture: &Picture) -> Result<(), CheckpointError> {
        if self.kept.back().is_some_and(|newest| newest.lsn == picture.point.lsn) {
            return Ok(());
        }
        let written = self.try_write(picture);
        match &written {
            Ok(()) => {
                self.stats.written += 1;
                self.unread = false;
            }
            Err(_) => self.stats.failed += 1,
        }
        self.count();
        self.sweep();
        written
    }

    fn try_write(&mut self, picture: &Picture) -> Result<(), CheckpointError> {
        let (point, store) = (&picture.point, self.store.as_ref());
        let from = self.kept.back().map_or(Lsn(0), |newest| newest.lsn).next();
        let (lsns, hours) = ((from, point.lsn), Hours::from(point.at.minus(self.limits.window)));
        let mut files = samples::write(&picture.cut, lsns, hours, store)?;
        files.extend(lines::write(&picture.cut, lsns, hours, store)?);
        let before = self.kept.back().map_or(&self.history, |newest| &newest.files);
        files.extend(before.iter().cloned());
        let gone = self.bound(&mut files, point.at)?;
        let manifest = Manifest::new(point, files, picture.cut.held());
        let (name, bytes) = (manifest::name_of(point.lsn), manifest.write(&picture.rest)?);
        let size = bytes.len() as u64;
        self.store.create(&name, bytes).map_err(|source| CheckpointError::Store { name, source })?;
        self.stats.newest = Some(point.at);
        self.stats.old += gone.0;
        self.stats.over += gone.1;
        self.kept.push_back(KeptManifest { lsn: point.lsn, bytes: size, files: manifest.files });
        // From here on the manifests say which of them are kept.
        self.history.clear();
        while self.kept.len() > MANIFESTS {
            self.kept.pop_front();
        }
        Ok(())
    }

    /// Lets go of what is too old, then of the oldest while there are too many bytes; gives how many of either.
    fn bound(&self, files: &mut Vec<DataFile>, at: Timestamp) -> Result<(u64, u64), CheckpointError> {
        let Self { limits, .. } = self;
        let horizon = at.minus(limits.retention.max(limits.window)).0;
        let needed = at.minus(limits.window).0;
        let before = files.len();
        files.retain(|f| f.received.1 >= horizon);
        let old = before - files.len();
        files.sort_by(|a, b| (b.received.1, &b.name).cmp(&(a.received.1, &a.name)));
        let mut total: u64 = files.iter().map(|f| f.bytes).sum();
        let mut over = 0;
        while total > limits.bytes {
            let Some(oldest) = files.last() else { break };
            if oldest.received.1 >= needed {
                let why = format!("the window needs {total} bytes, and {} is the limit", limits.bytes);
                return Err(CheckpointError::form("checkpoint", why));
            }
            total -= oldest.bytes;
            files.pop();
            over += 1;
        }
        Ok((old as u64, over))
    }

    fn count(&mut self) {
        let none = Vec::new();
        let (files, manifest) = self.kept.back().map_or((&none, 0), |newest| (&newest.files, newest.bytes));
        self.stats.files = files.len() as u64;
        self.stats.rows = files.iter().filter(|f| f.signal != Signal::Series).map(|f| f.rows).sum();
        self.stats.bytes = manifest + files.iter().map(|f| f.bytes).sum::<u64>();
    }

    /// Removes what no kept manifest names. What cannot be removed is tried again the next time.
    fn sweep(&self) {
        if self.unread {
            return;
        }
        let Ok(names) = self.list() else { return };
        let manifests: BTreeSet<String> = self.kept.iter().map(|k| manifest::name_of(k.lsn)).collect();
        let gone = names.iter().filter(|n| manifest::lsn_of(n).is_some() && !manifests.contains(*n));
        // No manifest may be left without its files.
        if gone.map(|name| self.remove(name)).filter(|removed| !removed).count() > 0 {
            return;
        }
        let named = self.kept.iter().flat_map(|k| &k.files).chain(&self.history);
        let files: BTreeSet<&str> = named.map(|f| f.name.as_str()).collect();
        for name in names.iter().filter(|n| file::last_of(n).is_some() && !files.contains(n.as_str())) {
            self.remove(name);
        }
    }

    fn remove(&self, name: &str) -> bool {
        let removed = self.store.remove(name);
        if let Err(e) = &removed {
            tracing::warn!(error = %e, name, "what no checkpoint needs could not be removed");
        }
        removed.is_ok()
    }
}
