//! A disk that is a model: it forgets what was not synced, in blocks and out of order, tears a write at any byte, fails
//! and runs out of space, all by a seed. What it may do is what POSIX and Linux allow, not what one file system does.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use whyd_buffers::wal::{Disk, DiskFile};

use super::random::Random;

/// What making a file takes of the space.
const INODE: usize = 64;

/// The disk; its clones are the same one.
#[derive(Clone)]
pub(crate) struct ModelDisk(Arc<Mutex<State>>);

struct State {
    random: Random,
    files: Vec<Content>,
    /// As processes see them, and as they are after a loss of power.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    taken: bool,
    /// Bytes there is room for.
    space: usize,
    faults: Faults,
    /// Operations until the process dies in the middle of one.
    dies_in: Option<u64>,
    dead: bool,
    counts: Counts,
}

/// What is to go wrong from here on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// One in so many writes fails; 0 for none.
    pub(crate) write: usize,
    /// One in so many syncs fails.
    pub(crate) sync: usize,
    /// Whether a lack of space shows at the sync only, as where blocks are allocated late.
    pub(crate) late: bool,
}

/// What was asked of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) syncs: u64,
    /// Syncs that failed, but for want of space.
    pub(crate) failed: u64,
    /// Syncs since the first that failed.
    pub(crate) after_failure: u64,
    pub(crate) full: u64,
}

#[derive(Default, Clone)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

#[derive(Clone)]
enum NameChange {
    Put(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Put(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
        }
    }
}

fn apply(change: &Change, to: &mut Vec<u8>) {
    match change {
        Change::Write { at, bytes } => {
            let end = at + bytes.len();
            if to.len() < end {
                to.resize(end, 0);
            }
            to[*at..end].copy_from_slice(bytes);
        }
        Change::Cut(len) => to.resize(*len, 0),
    }
}

impl Content {
    /// Some of what was not synced reaches the disk, in blocks of any size, each by itself.
    fn leak(&mut self, random: &mut Random) {
        // Now nothing, now nearly all, now anything between.
        let odds = [0, 20, 50, 80, 97, 100][random.below(6)];
        let block = 1 + random.below(160);
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Cut(_) if random.below(100) < odds => apply(&change, &mut self.durable),
                Change::Cut(_) => {}
                Change::Write { at, bytes } => {
                    // The length may come to be before what is in it.
                    if random.below(8) == 0 && self.durable.len() < at + bytes.len() {
                        self.durable.resize(at + bytes.len(), 0);
                    }
                    for (n, piece) in bytes.chunks(block).enumerate() {
                        if random.below(100) < odds {
                            let cut = if random.below(10) == 0 { random.below(piece.len() + 1) } else { piece.len() };
                            let write = Change::Write { at: at + n * block, bytes: piece[..cut].to_vec() };
                            apply(&write, &mut self.durable);
                        }
                    }
                }
            }
        }
    }
}

impl ModelDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Random::new(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            taken: false,
            space: usize::MAX,
            faults: Faults::default(),
            dies_in: None,
            dead: false,
            counts: Counts::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// So much more fits than there is.
    pub(crate) fn leave_space(&self, bytes: usize) {
        let mut state = self.state();
        state.space = state.used().saturating_add(bytes);
    }

    /// The process is to die within that many operations from here.
    pub(crate) fn die_in(&self, operations: u64) {
        self.state().dies_in = Some(operations);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The process is gone; what it wrote is there for the next.
    pub(crate) fn killed(&self) {
        let mut state = self.state();
        (state.taken, state.dead, state.dies_in) = (false, false, None);
    }

    /// The power went: of what was not synced anything may be left.
    pub(crate) fn power_lost(&self) {
        self.killed();
        let mut guard = self.state();
        let state = &mut *guard;
        for change in std::mem::take(&mut state.unsynced_names) {
            if state.random.below(2) == 0 {
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            file.leak(&mut state.random);
            file.cached = file.durable.clone();
        }
        // What has no name any more takes no space.
        let named: std::collections::BTreeSet<usize> = state.names.values().copied().collect();
        for (n, file) in state.files.iter_mut().enumerate() {
            if !named.contains(&n) {
                *file = Content::default();
            }
        }
    }

    /// Names and contents, to be changed by a test.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        state.names.iter().map(|(name, n)| (name.clone(), state.files[*n].cached.clone())).collect()
    }

    /// A disk with these files, all durable.
    pub(crate) fn holding(seed: u64, contents: &BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::new(seed);
        {
            let mut state = disk.state();
            for (n, (name, bytes)) in contents.iter().enumerate() {
                let (cached, durable) = (bytes.clone(), bytes.clone());
                state.files.push(Content { cached, durable, unsynced: Vec::new() });
                state.names.insert(name.clone(), n);
                state.durable_names.insert(name.clone(), n);
            }
        }
        disk
    }
}

impl State {
    fn used(&self) -> usize {
        self.names.values().map(|n| INODE + self.files[*n].cached.len()).sum()
    }

    /// Counts down to the death of the process; true when this operation is its last, which may be done in part.
    fn dies(&mut self) -> io::Result<bool> {
        if self.dead {
            return Err(io::Error::other("the process is dead"));
        }
        match &mut self.dies_in {
            Some(0) => {
                self.dead = true;
                Ok(true)
            }
            Some(n) => {
                *n -= 1;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    fn alive(&mut self) -> io::Result<()> {
        if self.dies()? { Err(io::Error::other("killed")) } else { Ok(()) }
    }

    fn fails(&mut self, one_in: usize) -> bool {
        one_in > 0 && self.random.below(one_in) == 0
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn named(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn make(&mut self, name: &str) -> io::Result<usize> {
        if self.used() + INODE > self.space {
            self.counts.full += 1;
            return Err(ErrorKind::StorageFull.into());
        }
        self.files.push(Content::default());
        let file = self.files.len() - 1;
        self.named(NameChange::Put(name.to_owned(), file));
        Ok(file)
    }
}

impl fmt::Debug for ModelDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: BTreeMap<_, _> = self.contents().into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
        f.debug_tuple("ModelDisk").field(&lengths).finish()
    }
}

impl Disk for ModelDisk {
    fn take(&mut self) -> io::Result<bool> {
        Ok(!std::mem::replace(&mut self.state().taken, true))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.state().alive()?;
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        state.alive()?;
        let file = state.find(name)?;
        Ok(state.files[file].cached.clone())
    }

    fn append(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let last = state.dies()?;
        let file = match state.find(name) {
            Ok(file) => file,
            Err(_) => state.make(name)?,
        };
        drop(state);
        if last { Err(io::Error::other("killed")) } else { Ok(Box::new(ModelFile { disk: self.clone(), file })) }
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut opened = self.append(name)?;
        opened.cut(0)?;
        Ok(opened)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let last = state.dies()?;
        let file = state.find(from)?;
        state.named(NameChange::Rename(from.to_owned(), to.to_owned(), file));
        if last { Err(io::Error::other("killed")) } else { Ok(()) }
    }

    fn keep_as(&self, name: &str, second: &str) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        let file = state.find(name)?;
        state.named(NameChange::Put(second.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let last = state.dies()?;
        if state.find(name).is_ok() {
            state.named(NameChange::Remove(name.to_owned()));
        }
        if last { Err(io::Error::other("killed")) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        state.counts.syncs += 1;
        state.counts.after_failure += u64::from(state.counts.failed > 0);
        let one_in = state.faults.sync;
        if state.fails(one_in) {
            state.counts.failed += 1;
            return Err(io::Error::from_raw_os_error(5));
        }
        state.unsynced_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct ModelFile {
    disk: ModelDisk,
    file: usize,
}

impl ModelFile {
    fn change(&self, state: &mut State, change: Change) {
        let content = &mut state.files[self.file];
        apply(&change, &mut content.cached);
        content.unsynced.push(change);
    }
}

impl DiskFile for ModelFile {
    fn bytes(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.alive()?;
        Ok(state.files[self.file].cached.len() as u64)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let at = state.files[self.file].cached.len();
        let last = state.dies()?;
        let one_in = state.faults.write;
        let failed = state.fails(one_in);
        let room = if state.faults.late { usize::MAX } else { state.space.saturating_sub(state.used()) };
        let taken = match bytes.len() {
            n if last || failed => state.random.below(n + 1),
            n => n.min(room),
        };
        self.change(&mut state, Change::Write { at, bytes: bytes[..taken].to_vec() });
        match () {
            () if last => Err(io::Error::other("killed")),
            () if failed => Err(io::Error::from_raw_os_error(5)),
            () if taken < bytes.len() => {
                state.counts.full += 1;
                Err(ErrorKind::StorageFull.into())
            }
            () => Ok(()),
        }
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let last = state.dies()?;
        self.change(&mut state, Change::Cut(bytes as usize));
        if last { Err(io::Error::other("killed")) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        let last = state.dies()?;
        state.counts.syncs += 1;
        state.counts.after_failure += u64::from(state.counts.failed > 0);
        let failed = state.fails(state.faults.sync);
        let written = state.files[self.file].unsynced.iter().any(|c| matches!(c, Change::Write { .. }));
        let full = written && state.used() > state.space;
        if last || failed || full {
            let unsynced = state.files[self.file].unsynced.clone();
            state.files[self.file].leak(&mut state.random);
            if last {
                state.files[self.file].unsynced = unsynced;
            }
            // Else it is clean for the kernel from here on, whatever reached the disk.
        }
        match () {
            () if last => Err(io::Error::other("killed")),
            () if failed => {
                state.counts.failed += 1;
                Err(io::Error::from_raw_os_error(5))
            }
            () if full => {
                state.counts.full += 1;
                Err(ErrorKind::StorageFull.into())
            }
            () => {
                let content = &mut state.files[self.file];
                content.durable = content.cached.clone();
                content.unsynced.clear();
                Ok(())
            }
        }
    }
}
