//! The alerts that were told, on disk: after a crash the same labels are sent, and what was over meanwhile is ended.
//!
//! One JSON array, written anew as a whole when something is told, ended or forgotten, and in place when it is synced.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use whyd_api::alertmanager::Told;

/// The file.
#[derive(Debug, Clone)]
pub struct AlertFile {
    path: PathBuf,
}

impl AlertFile {
    /// The file in `dir`, which is there, and the alerts in it.
    ///
    /// One that cannot be read is set aside: alerts are then told anew, with the labels that they would have today.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(dir: &Path) -> io::Result<(Self, Vec<Told>)> {
        let path = dir.join("alerts.json");
        let told = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).or_else(|e| {
                tracing::warn!(error = %e, "the alerts that were told cannot be read and are set aside");
                fs::rename(&path, path.with_extension("unreadable")).map(|()| Vec::new())
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e),
        };
        Ok((Self { path }, told))
    }

    /// Puts these in the place of what was there.
    ///
    /// # Errors
    /// What the disk says; then the file is as it was.
    pub fn keep(&self, told: &[Told]) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
        // One that a crash, or an earlier version, left behind has the mode that it was made with.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(&serde_json::to_vec(told)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_what_is_broken_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (file, told) = AlertFile::open(dir.path()).unwrap();
        assert!(told.is_empty());
        let text = r#"[{"identity":{"incident_id":"i","cluster":"c","namespace":"n","team":"t","severity":"warning",
            "starts_at":"2026-01-01T00:00:00Z"},"ended":null}]"#;
        let told: Vec<Told> = serde_json::from_str(text).unwrap();
        file.keep(&told).unwrap();
        assert_eq!(AlertFile::open(dir.path()).unwrap().1, told);
        let mode = fs::metadata(dir.path().join("alerts.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it says what teams have");
        fs::write(dir.path().join("alerts.json"), &text[..40]).unwrap();
        assert!(AlertFile::open(dir.path()).unwrap().1.is_empty());
        assert!(dir.path().join("alerts.unreadable").is_file());
        file.keep(&told).unwrap();
        assert_eq!(AlertFile::open(dir.path()).unwrap().1, told);
    }
}
