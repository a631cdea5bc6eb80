//! One file of records, named by the first.

use std::io;

use bytes::Bytes;
use whyd_signals::Lsn;

use super::Record;
use super::disk::Disk;
use super::record::{self, Found};

/// What is known of a segment without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When its newest record was received.
    pub(super) newest: i64,
}

/// `<first lsn, 20 digits>.log`
pub(super) fn name_of(first: Lsn) -> String {
    format!("{:020}.log", first.0)
}

/// Where the segment of this name starts, even when every record of it is gone.
pub(super) fn first_of(name: &str) -> Option<Lsn> {
    let digits = name.strip_suffix(".log")?;
    let all = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| digits.parse().ok().map(Lsn)).flatten()
}

/// The segments in order: their names, and where they start.
pub(super) fn list(disk: &dyn Disk) -> io::Result<Vec<(Lsn, String)>> {
    let mut found: Vec<_> = disk.list()?.into_iter().filter_map(|n| first_of(&n).map(|first| (first, n))).collect();
    found.sort_unstable();
    Ok(found)
}

/// What was found in a segment.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where whole records end that stand without a gap from the start.
    pub(super) sound: usize,
    /// Whether something unreadable stands before a later record.
    pub(super) damaged: bool,
    /// The newest receive time.
    pub(super) newest: i64,
    /// Where each readable record stands.
    pub(super) records: Vec<std::ops::Range<usize>>,
}

/// Reads a segment; `each` gets every record. A damaged record is passed over by its length.
pub(super) fn scan(bytes: &Bytes, mut after: Lsn, mut each: impl FnMut(Record)) -> (Scan, Lsn) {
    let mut scan = Scan { newest: i64::MIN, ..Scan::default() };
    let (mut at, mut gap) = (0, false);
    while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
        match record::read(rest) {
            // The order only rises: anything else is an older file's.
            Found::Record(head) if head.lsn > after => {
                scan.damaged |= gap;
                after = head.lsn;
                scan.newest = scan.newest.max(head.received.0);
                let len = head.len;
                scan.records.push(at..at + len);
                each(head.record(&bytes.slice(at..at + len)));
                at += len;
                if !gap {
                    scan.sound = at;
                }
            }
            _ => {
                gap = true;
                let Some(skipped) = record::skip(rest) else {
                    scan.damaged |= record::any_within(rest.get(1..).unwrap_or_default(), after);
                    break;
                };
                at += skipped;
            }
        }
    }
    (scan, after)
}

/// Keeps the damaged file as `.corrupt` and puts one with the readable records in its place; gives its length.
pub(super) fn set_aside(disk: &dyn Disk, name: &str, bytes: &[u8], scan: &Scan) -> io::Result<u64> {
    let aside = format!("{}.corrupt", stem(name));
    disk.remove(&aside)?;
    if scan.records.is_empty() {
        disk.rename(name, &aside)?;
        disk.sync()?;
        return Ok(0);
    }
    let records = scan.records.iter().map(|range| bytes.get(range.clone()).unwrap_or_default());
    replace(disk, name, records, || {
        // The old file gets its second name before the new one takes its first: a crash in between loses neither.
        disk.keep_as(name, &aside)?;
        disk.sync()
    })
}

/// Puts a durable copy in the place of a file of which a sync failed: another sync would only say that nothing is left to
/// write, whatever became of it.
pub(super) fn renew(disk: &dyn Disk, name: &str) -> io::Result<()> {
    let bytes = disk.read(name)?;
    replace(disk, name, std::iter::once(bytes.as_slice()), || Ok(())).map(drop)
}

fn stem(name: &str) -> &str {
    name.strip_suffix(".log").unwrap_or(name)
}

/// Puts a durable file of these bytes in the place of one; gives its length. What was begun is removed on an error.
fn replace<'a>(
    disk: &dyn Disk,
    name: &str,
    parts: impl Iterator<Item = &'a [u8]>,
    before_it_is_gone: impl FnOnce() -> io::Result<()>,
) -> io::Result<u64> {
    let whole = format!("{}.tmp", stem(name));
    let write = || {
        let mut file = disk.create(&whole)?;
        let mut written = 0;
        for part in parts {
            file.write(part)?;
            written += part.len() as u64;
        }
        file.sync()?;
        before_it_is_gone()?;
        Ok(written)
    };
    let written = match write() {
        Ok(written) => written,
        Err(e) => {
            let _ = disk.remove(&whole);
            return Err(e);
        }
    };
    disk.rename(&whole, name)?;
    disk.sync()?;
    Ok(written)
}
