//! The labels of a series as a query handles them.

use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub(crate) const NAME: &str = "__name__";

/// Pairs sorted by name, each name once, no value empty. Ordered as Prometheus orders series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Labels(Vec<(Arc<str>, Arc<str>)>);

impl Labels {
    /// From pairs in any order; an empty value is no label.
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let mut pairs: Vec<(Arc<str>, Arc<str>)> = pairs.map(|(n, v)| (n.into(), v.into())).collect();
        pairs.sort();
        pairs.dedup_by(|a, b| a.0 == b.0);
        Self(pairs)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of one, empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| **n == *name).map_or("", |(_, value)| value)
    }

    /// Just these.
    #[must_use]
    pub(super) fn only(&self, names: &[String]) -> Self {
        Self(self.0.iter().filter(|(n, _)| names.iter().any(|name| **n == **name)).cloned().collect())
    }

    /// All but these and the name.
    #[must_use]
    pub(super) fn without(&self, names: &[String]) -> Self {
        Self(self.0.iter().filter(|(n, _)| **n != *NAME && names.iter().all(|name| **n != **name)).cloned().collect())
    }

    /// All but these, the name only where it is one of them.
    #[must_use]
    pub(super) fn minus(&self, names: &[String]) -> Self {
        Self(self.0.iter().filter(|(n, _)| names.iter().all(|name| **n != **name)).cloned().collect())
    }

    /// All but the name.
    #[must_use]
    pub(super) fn nameless(&self) -> Self {
        self.without(&[])
    }

    /// With this label as `other` has it, which may be not at all.
    #[must_use]
    pub(super) fn taking(&self, name: &str, other: &Self) -> Self {
        let mut pairs = self.0.clone();
        pairs.retain(|(n, _)| **n != *name);
        pairs.extend(other.0.iter().find(|(n, _)| **n == *name).cloned());
        pairs.sort();
        Self(pairs)
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}
