//! One file of records, named by the first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use whyd_signals::Lsn;

use super::Record;
use super::record::{self, Found};

/// What is known of a segment without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// When its newest record was received.
    pub(super) newest: i64,
}

/// `<first lsn, 20 digits>.log`
pub(super) fn path_of(dir: &Path, first: Lsn) -> PathBuf {
    dir.join(format!("{:020}.log", first.0))
}

/// The segments of a directory in order.
pub(super) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let digits = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".log"));
        if digits.is_some_and(|d| d.len() == 20 && d.bytes().all(|b| b.is_ascii_digit())) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a directory and what is missing above it, each name durable before the next is used.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_dir(above)?;
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => sync_dir(above),
    }
}

/// Opens a segment to be appended to.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // Log lines and objects as they came: nobody else's to read.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
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
pub(super) fn scan(bytes: &[u8], mut after: Lsn, mut each: impl FnMut(Record)) -> (Scan, Lsn) {
    let mut scan = Scan { newest: i64::MIN, ..Scan::default() };
    let (mut at, mut gap) = (0, false);
    while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
        match record::read(rest) {
            // The order only rises: anything else is an older file's.
            Found::Record(record, len) if record.lsn > after => {
                scan.damaged |= gap;
                after = record.lsn;
                scan.newest = scan.newest.max(record.envelope.received.0);
                scan.records.push(at..at + len);
                each(*record);
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

/// Reads a whole file.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    File::open(path)?.read_to_end(&mut out)?;
    Ok(out)
}

/// Keeps the damaged file as `.corrupt` and puts one with the readable records in its place.
pub(super) fn set_aside(dir: &Path, path: &Path, bytes: &[u8], scan: &Scan) -> io::Result<u64> {
    let aside = path.with_extension("corrupt");
    match fs::remove_file(&aside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    if scan.records.is_empty() {
        fs::rename(path, &aside)?;
        sync_dir(dir)?;
        return Ok(0);
    }
    let whole = path.with_extension("tmp");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&whole)?;
    let mut written = 0;
    for range in &scan.records {
        let record = bytes.get(range.clone()).unwrap_or_default();
        file.write_all(record)?;
        written += record.len() as u64;
    }
    file.sync_all()?;
    // The old file gets its second name before the new one takes its first: a crash in between loses neither.
    fs::hard_link(path, &aside).or_else(|_| fs::copy(path, &aside).map(|_| ()))?;
    sync_dir(dir)?;
    fs::rename(&whole, path)?;
    sync_dir(dir)?;
    Ok(written)
}
