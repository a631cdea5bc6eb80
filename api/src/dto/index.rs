//! Where to go from here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Index {
    /// The first places to look at.
    pub links: Vec<IndexLink>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexLink {
    /// Its path.
    pub path: String,
    /// What it answers.
    pub what: String,
}
