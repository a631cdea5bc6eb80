//! Reading a log back: every record in order, and what is broken is cut or set aside.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use bytes::Bytes;
use whyd_signals::{Lsn, Timestamp};

use super::commit::{Log, PROBE, is_full};
use super::disk::{Directory, Disk, DiskFile};
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
    /// Places that neither the log has nor what was known otherwise: let go for the bytes before it begins, or lost from
    /// its midst.
    pub missing: u64,
}

/// Makes a file durable as it was found; false where there is no space for that. Then what was never acknowledged may go
/// yet, as it might have before; all that was is durable, and nothing is appended to this file.
fn synced(file: &mut dyn DiskFile) -> io::Result<bool> {
    match file.sync() {
        Err(e) if is_full(&e) => Ok(false),
        done => done.map(|()| true),
    }
}

impl Log {
    /// Takes the log in `dir`, which is made if need be. It has to be replayed before it can be appended to.
    ///
    /// # Errors
    /// [`WalError::Locked`] when another process has it, else what the disk says.
    pub fn open(dir: &Path, bounds: Bounds) -> Result<Self, WalError> {
        Self::on(Box::new(Directory::new(dir)), bounds)
    }

    /// [`Log::open`] on any disk.
    ///
    /// # Errors
    /// Those of [`Log::open`].
    pub fn on(mut disk: Box<dyn Disk>, bounds: Bounds) -> Result<Self, WalError> {
        if !disk.take()? {
            return Err(WalError::Locked);
        }
        Ok(Self::new(disk, bounds))
    }

    /// The first place that the log has a segment for.
    ///
    /// # Errors
    /// What the disk says.
    pub fn begins(&self) -> Result<Option<Lsn>, WalError> {
        Ok(segment::list(self.disk.as_ref())?.first().map(|(first, _)| *first))
    }

    /// Hands every record back in order, mends what is broken and readies the log to be appended to. Returns how
    /// many records there were; [`Log::recovery`] tells the rest.
    ///
    /// # Errors
    /// What the disk says.
    pub fn replay(&mut self, each: impl FnMut(Record)) -> Result<u64, WalError> {
        self.replay_after(None, each)
    }

    /// [`Log::replay`] of the records after one, which was received at some time or before; what is older is known
    /// otherwise, and segments of which all is older are not read.
    ///
    /// # Errors
    /// Those of [`Log::replay`].
    pub fn replay_after(
        &mut self,
        known: Option<(Lsn, Timestamp)>,
        mut each: impl FnMut(Record),
    ) -> Result<u64, WalError> {
        let disk = self.disk.as_ref();
        let found = segment::list(disk)?;
        let after = known.map_or(Lsn(0), |(lsn, _)| lsn);
        let (mut recovery, mut segments, mut last) = (Recovery::default(), VecDeque::new(), Lsn(0));
        // Whether the segment before was read, so that its end is known.
        let mut follows = false;
        let mut durable = true;
        if let Some(((first, _), _)) = found.first().zip(known) {
            recovery.missing = first.0.saturating_sub(after.next().0);
        }
        for (i, (first, name)) in found.iter().enumerate() {
            let newest_segment = i + 1 == found.len();
            if let Some((_, received)) = known
                && found.get(i + 1).is_some_and(|(next, _)| *next <= after.next())
            {
                let bytes = disk.append(name)?.bytes()?;
                segments.push_back(Segment { name: name.clone(), bytes, newest: received.0 });
                follows = false;
                continue;
            }
            let bytes = Bytes::from(disk.read(name)?);
            // A batch lies in one segment, so another begins only behind what was acknowledged. Within one a place may be
            // free that never was.
            if follows {
                recovery.missing += first.0.saturating_sub(last.max(after).next().0);
            }
            follows = true;
            last = last.max(Lsn(first.0.saturating_sub(1)));
            let (scan, end) = segment::scan(&bytes, last, |record| {
                if record.lsn > after {
                    recovery.records += 1;
                    each(record);
                }
            });
            last = end;
            let torn = !scan.damaged && scan.sound < bytes.len();
            let mut length = bytes.len() as u64;
            if scan.damaged || (torn && !newest_segment) {
                recovery.corrupt += 1;
                tracing::warn!(segment = name, "segment is damaged and was set aside");
                match segment::set_aside(disk, name, &bytes, &scan) {
                    Ok(0) => continue,
                    Ok(kept) => length = kept,
                    // It stays as it is: nothing is appended to it, and what can be read of it was.
                    Err(e) if is_full(&e) => tracing::warn!(segment = name, "no space to set it aside"),
                    Err(e) => return Err(e.into()),
                }
            } else if torn {
                let mut file = disk.append(name)?;
                file.cut(scan.sound as u64)?;
                durable &= synced(file.as_mut())?;
                recovery.cut_bytes += length - scan.sound as u64;
                length = scan.sound as u64;
            }
            segments.push_back(Segment { name: name.clone(), bytes: length, newest: scan.newest });
        }
        // Records may have been written and never synced: they are about to be shown, so they have to stay.
        if let Some(newest) = segments.back() {
            durable &= synced(disk.append(&newest.name)?.as_mut())?;
        }
        let _ = disk.remove(PROBE);
        disk.sync()?;
        self.resume(segments, last.max(after), recovery, durable);
        Ok(recovery.records)
    }
}
