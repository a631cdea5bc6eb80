//! Appending: all of a batch is written, then synced once, and only then may it be acknowledged.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use whyd_signals::{Lsn, Timestamp};

use super::segment::{self, Segment};
use super::{Bounds, Record, Recovery, WalError, record};

/// Memory kept for the next batch at most.
const SCRATCH: usize = 4 << 20;

/// The log of one directory, held by this process alone.
#[derive(Debug)]
pub struct Log {
    pub(super) dir: PathBuf,
    bounds: Bounds,
    /// Held for as long as the log is.
    _lock: File,
    /// The oldest first; the last is the one that is written.
    segments: VecDeque<Segment>,
    file: Option<File>,
    next: Lsn,
    /// What was found; nothing may be appended before it was looked for.
    recovery: Option<Recovery>,
    poisoned: bool,
    scratch: Vec<u8>,
}

impl Log {
    pub(super) fn new(dir: &Path, bounds: Bounds, lock: File) -> Self {
        let (dir, segments, scratch) = (dir.to_owned(), VecDeque::new(), Vec::new());
        let (file, next, recovery, poisoned) = (None, Lsn(1), None, false);
        Self { dir, bounds, _lock: lock, segments, file, next, recovery, poisoned, scratch }
    }

    /// Goes on after what was read back.
    pub(super) fn resume(
        &mut self,
        segments: VecDeque<Segment>,
        last: Lsn,
        recovery: Recovery,
    ) -> Result<(), WalError> {
        self.file = segments.back().map(|s| segment::open(&s.path)).transpose()?;
        self.segments = segments;
        self.next = last.next();
        self.recovery = Some(recovery);
        Ok(())
    }

    /// What the replay found; `None` before it.
    pub fn recovery(&self) -> Option<Recovery> {
        self.recovery
    }

    /// The place of the next record.
    pub fn next_lsn(&self) -> Lsn {
        self.next
    }

    /// Whether a failure left open what is on disk; nothing is taken any more.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    /// Writes these records and syncs: when it returns they are durable. On an error none of them may be
    /// acknowledged.
    ///
    /// # Errors
    /// [`WalError::Full`] leaves the log as it was. After [`WalError::Io`] from a sync it is poisoned.
    pub fn append_batch(&mut self, records: &[Record]) -> Result<(), WalError> {
        if self.poisoned {
            return Err(WalError::Poisoned);
        }
        let Some(first) = records.first() else { return Ok(()) };
        if self.recovery.is_none() {
            return Err(WalError::Order(first.lsn));
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let mut expected = self.next;
        for r in records {
            if r.lsn != expected || record::write(r, &mut bytes).is_none() {
                return Err(WalError::Order(r.lsn));
            }
            expected = expected.next();
        }
        let newest = records.iter().map(|r| r.envelope.received.0).max().unwrap_or(i64::MIN);
        let written = self.write(first.lsn, &bytes, newest);
        if bytes.capacity() <= SCRATCH {
            self.scratch = bytes;
        }
        written?;
        self.next = expected;
        Ok(())
    }

    fn write(&mut self, first: Lsn, bytes: &[u8], newest: i64) -> Result<(), WalError> {
        if self.segments.back().is_none_or(|s| s.bytes >= self.bounds.segment_bytes) || self.file.is_none() {
            self.start(first)?;
        }
        let (Some(file), Some(segment)) = (self.file.as_mut(), self.segments.back_mut()) else {
            return Err(WalError::Poisoned);
        };
        if let Err(e) = file.write_all(bytes) {
            // Part of it may be there. Taken back, it is as if nothing had been written.
            if file.set_len(segment.bytes).is_err() {
                self.poisoned = true;
                return Err(WalError::Io(e));
            }
            return Err(full_or(e));
        }
        if let Err(e) = file.sync_data() {
            self.poisoned = true;
            return Err(WalError::Io(e));
        }
        segment.bytes += bytes.len() as u64;
        segment.newest = segment.newest.max(newest);
        Ok(())
    }

    fn start(&mut self, first: Lsn) -> Result<(), WalError> {
        let path = segment::path_of(&self.dir, first);
        let file = segment::open(&path).map_err(full_or)?;
        if let Err(e) = segment::sync_dir(&self.dir) {
            self.poisoned = true;
            return Err(WalError::Io(e));
        }
        let bytes = file.metadata()?.len();
        if self.segments.back().is_none_or(|s| s.path != path) {
            self.segments.push_back(Segment { path, bytes, newest: i64::MIN });
        }
        self.file = Some(file);
        Ok(())
    }

    /// Removes whole segments whose newest record was received before `horizon`, and the oldest while all are over
    /// the bound; never the one that is written. Returns how many for each reason: too old, too many bytes.
    ///
    /// # Errors
    /// What the disk says; the segment then stays.
    pub fn drop_before(&mut self, horizon: Timestamp) -> Result<(u64, u64), WalError> {
        let (mut old, mut over) = (0, 0);
        let mut total = self.bytes();
        while self.segments.len() > 1 {
            let Some(first) = self.segments.front() else { break };
            let aged = first.newest < horizon.0;
            if !aged && total <= self.bounds.bytes {
                break;
            }
            match fs::remove_file(&first.path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
            total -= first.bytes;
            self.segments.pop_front();
            *(if aged { &mut old } else { &mut over }) += 1;
        }
        if old + over > 0 {
            segment::sync_dir(&self.dir)?;
        }
        Ok((old, over))
    }

    /// Lets the next write go to this file, to see what a failing disk does.
    #[cfg(test)]
    pub(super) fn write_to(&mut self, file: File) {
        self.file = Some(file);
    }
}

fn full_or(e: io::Error) -> WalError {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WalError::Full,
        _ => WalError::Io(e),
    }
}
