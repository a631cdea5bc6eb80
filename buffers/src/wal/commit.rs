//! Appending: all of a batch is written, then synced once, and only then may it be acknowledged.

use std::collections::VecDeque;
use std::io;

use whyd_signals::{Lsn, Timestamp};

use super::disk::{Disk, DiskFile};
use super::segment::{self, Segment};
use super::{Bounds, Record, Recovery, WalError, record};

/// Memory kept for the next batch at most.
const SCRATCH: usize = 4 << 20;
/// So many bytes have to fit before a full disk counts as having room again: a batch as it mostly is.
const PROBED: usize = 1 << 20;
/// Stays behind only where the process ends while it is there.
pub(super) const PROBE: &str = "probe";

/// The log of one directory, held by this process alone.
#[derive(Debug)]
pub struct Log {
    pub(super) disk: Box<dyn Disk>,
    bounds: Bounds,
    /// The oldest first; the last is the one that is written, or was before the start.
    segments: VecDeque<Segment>,
    /// The last segment. `None` where the next batch begins another: after the start and after a sync that failed,
    /// since what the kernel says is in such a file and what the disk has may differ.
    file: Option<Box<dyn DiskFile>>,
    /// Whether all that was read back is durable. Where it is not, for want of space, no other segment begins: its place
    /// would tell of records that may yet be gone.
    durable: bool,
    next: Lsn,
    /// What was found; nothing may be appended before it was looked for.
    recovery: Option<Recovery>,
    poisoned: bool,
    dropped: Dropped,
    scratch: Vec<u8>,
}

/// Segments that were removed since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// All their records were received before the window.
    pub old: u64,
    /// The log had too many bytes.
    pub over: u64,
}

impl Log {
    pub(super) fn new(disk: Box<dyn Disk>, bounds: Bounds) -> Self {
        let (segments, scratch, dropped) = (VecDeque::new(), Vec::new(), Dropped::default());
        let (file, durable, next, recovery, poisoned) = (None, true, Lsn(1), None, false);
        Self { disk, bounds, segments, file, durable, next, recovery, poisoned, dropped, scratch }
    }

    /// Goes on after what was read back.
    pub(super) fn resume(&mut self, segments: VecDeque<Segment>, last: Lsn, recovery: Recovery, durable: bool) {
        self.file = None;
        self.durable = durable;
        self.segments = segments;
        self.next = last.next();
        self.recovery = Some(recovery);
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

    /// Segments that were removed since the start.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    /// Writes these records and syncs: when it returns they are durable. On an error none of them may be
    /// acknowledged.
    ///
    /// # Errors
    /// [`WalError::Full`] leaves the log as it was: the same places may be tried again, with these records or others.
    /// After [`WalError::Io`] it is poisoned.
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
        let written = file.write(bytes);
        let synced = if written.is_ok() { file.sync() } else { Ok(()) };
        if let Err(e) = written.and(synced) {
            // Taken back, it is as if nothing had been written. Where the space went missing only at the sync
            // (allocated late, or by a server), that is made certain: this sync is not of what was lost but of what
            // was durable before, and nothing is ever written to this file again.
            let taken_back = is_full(&e) && file.cut(segment.bytes).and_then(|()| file.sync()).is_ok();
            self.file = None;
            self.poisoned = !taken_back;
            return Err(if taken_back { WalError::Full } else { WalError::Io(e) });
        }
        segment.bytes += bytes.len() as u64;
        segment.newest = segment.newest.max(newest);
        Ok(())
    }

    fn start(&mut self, first: Lsn) -> Result<(), WalError> {
        let name = segment::name_of(first);
        self.file = None;
        match self.begin(&name) {
            Ok((file, bytes)) => {
                self.durable = true;
                if self.segments.back().is_none_or(|s| s.name != name) {
                    self.segments.push_back(Segment { name, bytes, newest: i64::MIN });
                }
                self.file = Some(file);
                Ok(())
            }
            // Nothing of a batch is in it yet. The same name is taken the next time, there or not.
            Err(e) if is_full(&e) => Err(WalError::Full),
            Err(e) => {
                self.poisoned = true;
                Err(WalError::Io(e))
            }
        }
    }

    fn begin(&self, name: &str) -> io::Result<(Box<dyn DiskFile>, u64)> {
        if let Some(last) = self.segments.back().filter(|_| !self.durable) {
            segment::renew(self.disk.as_ref(), &last.name)?;
        }
        let file = self.disk.append(name)?;
        self.disk.sync()?;
        let bytes = file.bytes()?;
        Ok((file, bytes))
    }

    /// Whether there is room again, by writing and syncing what is then removed. For when nothing comes that would
    /// show it.
    pub fn probe(&self) -> bool {
        if self.poisoned {
            return false;
        }
        let fits = self.disk.create(PROBE).and_then(|mut file| {
            file.write(&vec![0; PROBED])?;
            file.sync()
        });
        self.disk.remove(PROBE).and(fits).is_ok()
    }

    /// Removes whole segments whose newest record was received before `horizon`, and the oldest while all are over
    /// the bound; never the one that is written. [`Log::dropped`] counts them.
    ///
    /// # Errors
    /// What the disk says; the segment then stays.
    pub fn drop_before(&mut self, horizon: Timestamp) -> Result<(), WalError> {
        let mut total = self.bytes();
        while self.segments.len() > 1 {
            let Some(first) = self.segments.front() else { break };
            let aged = first.newest < horizon.0;
            if !aged && total <= self.bounds.bytes {
                break;
            }
            self.disk.remove(&first.name)?;
            total -= first.bytes;
            self.segments.pop_front();
            *(if aged { &mut self.dropped.old } else { &mut self.dropped.over }) += 1;
            // One by one: after a loss of power it is the oldest that are gone, and none from the midst.
            self.disk.sync()?;
        }
        Ok(())
    }

    /// Lets the next write go to this file, to see what a failing disk does.
    #[cfg(test)]
    pub(super) fn write_to(&mut self, file: std::fs::File) {
        self.file = Some(Box::new(file));
    }
}

/// Whether there is no room, for the disk or for whoever pays for it. Anything else is no lack that passes.
pub fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
