//! The store of checkpoints on object_store: a directory today, whose files are synced before they count as written.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path as FilePath, PathBuf};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::runtime::Handle;
use whyd_buffers::checkpoint::Store;

/// A directory as a store.
#[derive(Debug)]
pub struct Objects {
    store: LocalFileSystem,
    root: PathBuf,
    runtime: Handle,
}

/// What object_store writes under such a name first stays behind where the process ends meanwhile.
const UNFINISHED: char = '#';

impl Objects {
    /// On this directory, which is made if need be: log lines are in it, so nobody else's to read. Its calls block, so
    /// not on a thread of the runtime.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(dir: &FilePath, runtime: Handle) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        remove_unfinished(dir)?;
        let root = fs::canonicalize(dir)?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(told)?.with_automatic_cleanup(true);
        Ok(Self { store, root, runtime })
    }

    /// Makes a file and the names above it durable, and nobody else's to read: object_store leaves both to others.
    fn sync(&self, path: &Path) -> io::Result<()> {
        let file = File::open(self.store.path_to_filesystem(path).map_err(told)?)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.sync_all()?;
        for folder in self.folders(path)? {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// The folders that an object is in, the innermost first.
    fn folders(&self, path: &Path) -> io::Result<impl Iterator<Item = PathBuf> + use<'_>> {
        let path = self.store.path_to_filesystem(path).map_err(told)?;
        let folders: Vec<PathBuf> = path.ancestors().skip(1).map(FilePath::to_owned).collect();
        Ok(folders.into_iter().take_while(|folder| folder.starts_with(&self.root)))
    }
}

fn remove_unfinished(dir: &FilePath) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_unfinished(&entry.path())?;
        } else if entry.file_name().to_string_lossy().contains(UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn at(name: &str) -> io::Result<Path> {
    Path::parse(name).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
}

/// The kinds that are asked for; of any other only the words matter.
fn told(e: Error) -> io::Error {
    let kind = match &e {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, e)
}

impl Store for Objects {
    fn create(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        let path = at(name)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.runtime.block_on(self.store.put_opts(&path, bytes.into(), options)).map_err(told)?;
        self.sync(&path)
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        let path = at(name)?;
        self.runtime.block_on(async { self.store.get(&path).await?.bytes().await }).map_err(told)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let all = self.store.list(None).map_ok(|object| object.location.to_string()).try_collect();
        self.runtime.block_on(all).map_err(told)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = at(name)?;
        match self.runtime.block_on(self.store.delete(&path)) {
            Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(told(e)),
            // Its folder may have gone with it.
            Ok(()) => match self.folders(&path)?.find_map(|dir| File::open(dir).ok()) {
                Some(folder) => folder.sync_all(),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn objects_are_written_once_and_what_was_left_unfinished_goes() {
        let (dir, runtime) = (tempfile::tempdir().unwrap(), tokio::runtime::Runtime::new().unwrap());
        let root = dir.path().join("history");
        let store = Objects::open(&root, runtime.handle().clone()).unwrap();
        store.create("team=a/hour=01/1-2.parquet", Bytes::from_static(b"rows")).unwrap();
        let mode = fs::metadata(root.join("team=a/hour=01/1-2.parquet")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "log lines are in it");
        let again = store.create("team=a/hour=01/1-2.parquet", Bytes::new()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        fs::write(root.join("team=a/hour=01/3-4.parquet#1"), b"ro").unwrap();
        let store = Objects::open(&root, runtime.handle().clone()).unwrap();
        assert_eq!(store.list().unwrap(), ["team=a/hour=01/1-2.parquet"]);
        assert!(!root.join("team=a/hour=01/3-4.parquet#1").exists());
        assert_eq!(store.read("team=a/hour=01/1-2.parquet").unwrap(), "rows");
        assert_eq!(store.read("nothing").unwrap_err().kind(), io::ErrorKind::NotFound);
        store.remove("team=a/hour=01/1-2.parquet").unwrap();
        store.remove("team=a/hour=01/1-2.parquet").unwrap();
        assert!(store.list().unwrap().is_empty() && !root.join("team=a").exists(), "empty folders go too");
    }
}
