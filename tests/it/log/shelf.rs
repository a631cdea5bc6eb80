//! The store of checkpoints on the model disk, so that it loses power, fails and is full with the log.

use std::io;

use bytes::Bytes;
use whyd_buffers::checkpoint::Store;
use whyd_buffers::wal::Disk;

use super::model::ModelDisk;

/// What is torn never has a name of its own.
const UNFINISHED: &str = ".unfinished";

#[derive(Debug)]
pub(super) struct Shelf(pub(super) ModelDisk);

impl Store for Shelf {
    fn create(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        if self.0.list()?.iter().any(|n| n == name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let unfinished = format!("{name}{UNFINISHED}");
        let mut file = self.0.create(&unfinished)?;
        file.write(&bytes)?;
        file.sync()?;
        self.0.rename(&unfinished, name)?;
        self.0.sync()
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        self.0.read(name).map(Bytes::from)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.list()?.into_iter().filter(|n| !n.ends_with(UNFINISHED)).collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)?;
        self.0.sync()
    }
}
