//! Whether the daemon can be asked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::Timestamp;

/// Whether the daemon can be asked, and how fresh its view is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// True once the log has been read back, while it can be written.
    pub ready: bool,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What is amiss though it is ready: a watch that fails, or what the last start could not use of what is on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Every source; one that is not synced does not make the daemon unready.
    pub sources: Vec<Freshness>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freshness {
    /// Its name.
    pub source: String,
    /// Whether what it does not hold is known not to be: false while its watch fails.
    pub synced: bool,
    /// When it was heard last: of what is watched a bookmark counts, of all else its newest item.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub newest: Option<Timestamp>,
}
