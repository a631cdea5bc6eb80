//! What workloads in trouble have in common.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whyd_signals::Timestamp;

use super::Problem;

/// What workloads in trouble have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cohorts {
    /// The time looked at.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Workloads there are.
    pub workloads: u64,
    /// Those with trouble in that time.
    pub troubled: u64,
    /// What they share, the least likely by chance first.
    pub cohorts: Vec<Cohort>,
    /// What keeps the answer from being whole.
    pub problems: Vec<Problem>,
}

impl Default for Cohorts {
    fn default() -> Self {
        let (since, until) = (Timestamp::MIN, Timestamp::MIN);
        Self { since, until, workloads: 0, troubled: 0, cohorts: Vec::new(), problems: Vec::new() }
    }
}

/// Workloads in trouble that share something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cohort {
    /// What they share: `dependency`, `image`, `config`, `node` or `zone`. Who depends on something is known of those alone
    /// that said it did not answer.
    pub shares: String,
    /// Which one.
    pub value: String,
    /// Of a ConfigMap the resource version; else empty.
    pub version: String,
    /// How many in trouble share it.
    pub troubled_sharing: u64,
    /// How many share it, in trouble or not.
    pub sharing: u64,
    /// How likely so many or more are by chance, times the number of things looked at.
    pub chance: f64,
    /// Some of those in trouble, `namespace/Kind/name`.
    pub members: Vec<String>,
    /// The same in words.
    pub text: String,
}
