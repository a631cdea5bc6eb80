//! Which workload is the likeliest root at a time.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::Timestamp;

use super::Problem;

/// One place of the root-cause ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Ranked {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Higher is likelier.
    pub score: f64,
    /// In words: how it ended itself and what of it was unlike its past, as it was told then; and after that all that is otherwise than
    /// before, the strongest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// Who is suspected of what was wrong at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Suspects {
    /// The ten minutes before this were looked at, of an incident the time around its beginning, and nothing after.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When the trouble of the first began; null where nobody is suspected.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub onset: Option<Timestamp>,
    /// The likeliest root first.
    pub ranking: Vec<Ranked>,
    /// What keeps the answer from being whole, and what was too much to be looked at.
    pub problems: Vec<Problem>,
}
