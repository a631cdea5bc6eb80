//! Reading a log back: every record in order, and what is broken is cut or set aside.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::path::Path;

use whyd_signals::Lsn;

use super::commit::Log;
use super::segment::{self, Segment};
use super::{Bounds, Record, WalError};

/// What was found when the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Records handed back.
    pub records: u64,
    /// Bytes of a torn tail that were cut: they were never acknowledged.
    pub cut_bytes: u64,
    /// Segments that were damaged and set aside; what could be read of them was.
    pub corrupt: u64,
}

impl Log {
    /// Takes the log in `dir`, which is made if need be. It has to be replayed before it can be appended to.
    ///
    /// # Errors
    /// [`WalError::Locked`] when another process has it, else what the disk says.
    pub fn open(dir: &Path, bounds: Bounds) -> Result<Self, WalError> {
        segment::make_dir(dir)?;
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => WalError::Locked,
            TryLockError::Error(e) => WalError::Io(e),
        })?;
        Ok(Self::new(dir, bounds, lock))
    }

    /// Hands every record back in order, mends what is broken and readies the log to be appended to. Returns how
    /// many records there were; [`Log::recovery`] tells the rest.
    ///
    /// # Errors
    /// What the disk says.
    pub fn replay(&mut self, mut each: impl FnMut(Record)) -> Result<u64, WalError> {
        let dir = self.dir.clone();
        let dir = dir.as_path();
        let paths = segment::list(dir)?;
        let (mut recovery, mut segments, mut last) = (Recovery::default(), VecDeque::new(), Lsn(0));
        for (i, path) in paths.iter().enumerate() {
            let newest_segment = i + 1 == paths.len();
            let bytes = segment::bytes(path)?;
            // The name says where it starts, even when every record of it is gone.
            let named = path.file_stem().and_then(|n| n.to_str()).and_then(|n| n.parse::<u64>().ok());
            last = last.max(Lsn(named.unwrap_or(1).saturating_sub(1)));
            let (scan, after) = segment::scan(&bytes, last, |record| {
                recovery.records += 1;
                each(record);
            });
            last = after;
            let torn = !scan.damaged && scan.sound < bytes.len();
            let mut length = bytes.len() as u64;
            if scan.damaged || (torn && !newest_segment) {
                recovery.corrupt += 1;
                tracing::warn!(segment = %path.display(), "segment is damaged and was set aside");
                length = segment::set_aside(dir, path, &bytes, &scan)?;
                if length == 0 {
                    continue;
                }
            } else if torn {
                let file = segment::open(path)?;
                file.set_len(scan.sound as u64)?;
                file.sync_all()?;
                recovery.cut_bytes += length - scan.sound as u64;
                length = scan.sound as u64;
            }
            segments.push_back(Segment { path: path.clone(), bytes: length, newest: scan.newest });
        }
        // Records may have been written and never synced: they are about to be shown, so they have to stay.
        if let Some(newest) = segments.back() {
            segment::open(&newest.path)?.sync_all()?;
        }
        segment::sync_dir(dir)?;
        self.resume(segments, last, recovery)?;
        Ok(recovery.records)
    }
}
