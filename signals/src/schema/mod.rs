//! The rows of the tables that whyd itself writes, and the Arrow schemas of all tables.

mod anomalies;
mod incidents;
mod restarts;
pub mod tables;

pub use anomalies::Anomaly;
pub use incidents::{Incident, IncidentStatus, Severity};
pub use restarts::{Evidence, EvidenceSource, Restart, Root, RuledOut};
