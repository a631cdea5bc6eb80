//! What a replay prints.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Incident, IncidentChange, Problem, Ranked, Restart};

/// What `whyd replay --json` prints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Replay {
    /// In order of their end.
    pub restarts: Vec<Restart>,
    /// In order of their start.
    pub incidents: Vec<Incident>,
    /// Best first.
    pub ranking: Vec<Ranked>,
    /// What the capture lacks.
    pub problems: Vec<Problem>,
    /// With `--config`: how its rules change the incidents that there would be without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incident_changes: Vec<IncidentChange>,
}
