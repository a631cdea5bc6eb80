//! The rows that stand, on disk: the ledger outlives pods, events, the log's window and the daemon.
//!
//! One JSON object a line, appended when a verdict stands and synced before the next batch; a later line of the same
//! instance wins. A line that was cut off by a crash is passed over: its verdict is reached anew from the log. The file
//! is written anew when it holds twice as many lines as the ledger may have rows, and after a failure that leaves open
//! what of it is on the disk. A full disk is none: what was written is taken back and waits.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use whyd_buffers::wal::is_full;
use whyd_signals::schema::Restart;

/// Lines over which the file is written anew.
const LINES: usize = 200_000;
/// Rows that wait for a disk that cannot be written; what comes on top is lost when the log is.
const PENDING: usize = 10_000;

/// The open file.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    file: File,
    lines: usize,
    /// How long the file is as far as it is whole.
    whole: u64,
    /// Rows that could not be written yet.
    pending: Vec<Arc<Restart>>,
    /// Whether what is in the file may not be on the disk.
    doubtful: bool,
}

/// What tells rows apart.
fn key(row: &Restart) -> (String, Option<String>, Option<String>, String) {
    (row.namespace.clone(), row.pod_uid.clone(), row.container.clone(), row.container_id.clone())
}

impl LedgerFile {
    /// Opens the file in `dir`, which is there, and gives its rows.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(dir: &Path) -> io::Result<(Self, Vec<Restart>)> {
        let path = dir.join("ledger.ndjson");
        let mut rows = BTreeMap::new();
        let (mut lines, mut unreadable) = (0, 0);
        let mut cut = false;
        match File::open(&path) {
            Ok(file) => {
                let mut reader = BufReader::new(file);
                let mut line = Vec::new();
                while reader.read_until(b'\n', &mut line)? > 0 {
                    lines += 1;
                    cut = line.last() != Some(&b'\n');
                    match serde_json::from_slice::<Restart>(&line) {
                        Ok(row) => drop(rows.insert(key(&row), row)),
                        Err(_) => unreadable += 1,
                    }
                    line.clear();
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        if unreadable > 0 {
            tracing::warn!(unreadable, "lines of the ledger could not be read and are passed over");
        }
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        if cut {
            // What is appended next must not go on the line that was cut off.
            file.write_all(b"\n")?;
        }
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        let whole = file.metadata()?.len();
        let (pending, doubtful) = (Vec::new(), false);
        Ok((Self { path, file, lines, whole, pending, doubtful }, rows.into_values().collect()))
    }

    /// Whether rows wait for the disk.
    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Appends rows that stand from here on. `all` is what the ledger holds, for when the file has grown too long.
    ///
    /// # Errors
    /// What the disk says; then nothing of them is in the file, and they are tried again with the next.
    pub fn append(&mut self, rows: &[Arc<Restart>], all: &[Arc<Restart>]) -> io::Result<()> {
        let room = PENDING.saturating_sub(self.pending.len());
        self.pending.extend(rows.iter().take(room).cloned());
        if self.doubtful || self.lines + self.pending.len() > LINES {
            self.rewrite(all)?;
        } else {
            let mut text = Vec::new();
            for row in &self.pending {
                serde_json::to_writer(&mut text, row.as_ref())?;
                text.push(b'\n');
            }
            if let Err(e) = self.file.write_all(&text).and_then(|()| self.file.sync_data()) {
                // Half a line would take the next one with it.
                let cut = self.file.set_len(self.whole).is_ok();
                self.doubtful = !(cut && is_full(&e));
                return Err(e);
            }
            self.lines += self.pending.len();
            self.whole += text.len() as u64;
        }
        self.pending.clear();
        Ok(())
    }

    fn rewrite(&mut self, all: &[Arc<Restart>]) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut out =
            BufWriter::new(OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?);
        for row in all {
            serde_json::to_writer(&mut out, row.as_ref())?;
            out.write_all(b"\n")?;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.doubtful = false;
        self.lines = all.len();
        self.whole = self.file.metadata()?.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn row(pod: &str, cause: &str) -> Arc<Restart> {
        let text = format!(
            r#"{{"team":"a","namespace":"n","workload":"Deployment/w","pod":"{pod}","pod_uid":"u-{pod}","node":null,
            "container":"c","container_id":"1","restart_count":0,"started_at":null,"finished_at":null,"exit_code":1,
            "signal":null,"reason":null,"mechanism":"m","cause":"{cause}","cause_detail":null,"confidence":0.9,
            "root":null,"summary":"","evidence":[],"ruled_out":[],"changes":[],"missing":[],"speaks_of":[],
            "incident_key":null,"seen_at":"2026-01-01T00:00:00Z"}}"#
        );
        Arc::new(serde_json::from_str(&text).unwrap())
    }

    fn causes(dir: &Path) -> Vec<String> {
        LedgerFile::open(dir).unwrap().1.into_iter().map(|r| r.cause).collect()
    }

    #[test]
    fn rows_come_back_and_a_cut_line_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, rows) = LedgerFile::open(dir.path()).unwrap();
        assert!(rows.is_empty());
        file.append(&[row("p", "app-error"), row("q", "abort")], &[]).unwrap();
        file.append(&[row("p", "job-failed")], &[]).unwrap();
        drop(file);
        assert_eq!(causes(dir.path()), ["job-failed", "abort"], "a later line of one instance wins");
        let path = dir.path().join("ledger.ndjson");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 9]).unwrap();
        assert_eq!(causes(dir.path()), ["app-error", "abort"]);
        let (mut file, _) = LedgerFile::open(dir.path()).unwrap();
        file.append(&[row("r", "segfault")], &[]).unwrap();
        assert_eq!(causes(dir.path()), ["app-error", "abort", "segfault"]);
    }

    #[test]
    fn a_full_disk_makes_rows_wait_and_another_failure_makes_the_file_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = LedgerFile::open(dir.path()).unwrap();
        file.append(&[row("p", "app-error")], &[]).unwrap();
        let real = std::mem::replace(&mut file.file, OpenOptions::new().append(true).open("/dev/full").unwrap());
        assert!(file.append(&[row("q", "abort")], &[]).is_err());
        assert!(file.is_waiting() && file.doubtful, "it cannot be cut there");
        file.append(&[], &[row("p", "app-error"), row("q", "abort")]).unwrap();
        assert!(!file.is_waiting() && !file.doubtful);
        assert_eq!(causes(dir.path()), ["app-error", "abort"]);
        drop(real);
    }

    #[test]
    fn a_file_that_grew_too_long_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = LedgerFile::open(dir.path()).unwrap();
        file.append(&[row("p", "app-error")], &[]).unwrap();
        file.lines = LINES;
        file.append(&[row("q", "abort")], &[row("q", "abort")]).unwrap();
        assert_eq!(causes(dir.path()), ["abort"]);
        assert_eq!(file.lines, 1);
    }
}
