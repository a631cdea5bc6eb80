//! Where checkpoints are: objects by name, written once.

use std::fmt;
use std::io;

use bytes::Bytes;

/// Objects by name; a name may have `/` in it.
pub trait Store: fmt::Debug + Send {
    /// Writes an object that is not there yet. When it returns it is durable; on an error it may or may not be there,
    /// but never in part.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], or what the store says.
    fn create(&self, name: &str, bytes: Bytes) -> io::Result<()>;
    /// All that is in an object.
    ///
    /// # Errors
    /// What the store says.
    fn read(&self, name: &str) -> io::Result<Bytes>;
    /// The names of all objects.
    ///
    /// # Errors
    /// What the store says.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Removes an object; one that is not there is none.
    ///
    /// # Errors
    /// What the store says.
    fn remove(&self, name: &str) -> io::Result<()>;
}
