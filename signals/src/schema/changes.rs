//! What somebody, or a controller, changed in the cluster.

use serde::{Deserialize, Serialize};

use crate::{Team, Timestamp};

/// One change, as the objects' own history tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Change {
    pub ts: Timestamp,
    pub team: Team,
    /// Empty for what has none, such as a node.
    pub namespace: String,
    pub kind: String,
    pub name: String,
    /// The sort of change: `image`, `template`, `replicas`, `restart`, `config`, `created`, `deleted`, `cordon`,
    /// `uncordon`, `ready`, `not-ready`, `boot`.
    pub what: String,
    /// The same in words.
    pub detail: String,
    /// Who wrote it, as the object's managed fields or its annotation say; empty where they do not.
    pub by: String,
}
