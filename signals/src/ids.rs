//! Ids that are only meaningful within the process, and the team.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Position of a record in the ordered log; dense and rising, the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A metric series within this process, in order of first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u32);

/// A log stream (label set and pod) within this process, in order of first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A log template within one team's tree; 0 where none was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TemplateId(pub u64);

/// The team that owns a namespace, the unit of access.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Team(pub Arc<str>);

impl Team {
    /// The team of everything that belongs to no team: the platform's own namespaces and the nodes.
    pub const PLATFORM: &'static str = "platform";

    /// The team of this name.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The owner of what belongs to no team.
    pub fn platform() -> Self {
        Self::new(Self::PLATFORM)
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Team {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(|name| Self::new(&name))
    }
}

impl Serialize for Team {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
