//! How what is asked about stands now.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::Timestamp;

/// What a container or a pod does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StandingState {
    /// It runs, ready or not.
    Running,
    /// It waits, as for its next start or for its image.
    Waiting,
    /// It ended and is not started again.
    Ended,
    /// The pod was deleted.
    Gone,
}

/// How the container that the first verdict is about stands at the time of the answer, or a pod that did not restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// When it was asked.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it does.
    pub state: StandingState,
    /// Whether it is ready to serve; of a pod that is gone, whether all that its workload has instead are.
    pub ready: bool,
    /// Since when it runs, or when it ended or was deleted; null where that is not known.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub since: Option<Timestamp>,
    /// In words, without the time.
    pub text: String,
}
