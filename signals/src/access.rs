//! Who may see what. Decided once at the door, carried by every read.

use std::collections::BTreeSet;

use crate::Team;

/// The teams a caller may see.
///
/// A [`Scoped`](../../whyd_buffers/struct.Scoped.html) snapshot can only be had by naming one of these,
/// so a table, a route or an error text never holds rows of another team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// The platform's admins and the daemon itself.
    All,
    /// Just these teams.
    Teams(BTreeSet<Team>),
}

impl Access {
    /// Access to one team.
    pub fn team(name: &str) -> Self {
        Self::Teams(BTreeSet::from([Team::new(name)]))
    }

    /// Whether rows of `team` may be seen.
    pub fn allows(&self, team: &Team) -> bool {
        match self {
            Self::All => true,
            Self::Teams(teams) => teams.contains(team),
        }
    }
}
