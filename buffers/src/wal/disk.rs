//! Where the log's files are: a directory, or in a test a model of one that forgets, tears and fails.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// One directory of files. What it says is done may still be lost with the power, until it is synced.
pub trait Disk: fmt::Debug + Send {
    /// Makes the directory if need be and takes it for as long as this value lives; false when another has it.
    fn take(&mut self) -> io::Result<bool>;
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// All that is in a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Opens a file to be appended to; one that is not there is made.
    fn append(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a file, empty whatever was there.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, in place of what has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name, or where that cannot be, puts a copy there.
    fn keep_as(&self, name: &str, second: &str) -> io::Result<()>;
    /// Removes a file; one that is not there is none.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable: what was made, renamed and removed.
    fn sync(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: fmt::Debug + Send {
    /// Bytes in it.
    fn bytes(&self) -> io::Result<u64>;
    /// Appends. On an error some of it may be there.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
    /// Makes content and length durable. After an error it cannot be known which part is.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    lock: Option<File>,
}

impl Directory {
    /// The one at this path, which need not be there.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Disk for Directory {
    fn take(&mut self) -> io::Result<bool> {
        make_dir(&self.path)?;
        let lock = File::create(self.at("lock"))?;
        match lock.try_lock() {
            Ok(()) => {
                self.lock = Some(lock);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.at(name))
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        // Log lines and objects as they came: nobody else's to read.
        Ok(Box::new(OpenOptions::new().create(true).append(true).mode(0o600).open(self.at(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(self.at(name))?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn keep_as(&self, name: &str, second: &str) -> io::Result<()> {
        let (from, to) = (self.at(name), self.at(second));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(|_| ()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.at(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl DiskFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes a directory and what is missing above it, each name durable before the next is used.
fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_dir(above)?;
    let mut private = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
    match private.create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => File::open(above)?.sync_all(),
    }
}
