//! The rows of the tables that whyd itself writes, and the Arrow schemas of all tables.

mod alerts;
mod anomalies;
mod changes;
mod incidents;
mod restarts;
pub mod tables;

pub use alerts::Alert;
pub use anomalies::Anomaly;
pub use changes::Change;
pub use incidents::{Incident, IncidentStatus, IncidentsOfRows, Link, Severity};
pub use restarts::{ChangeBefore, Evidence, EvidenceSource, Restart, Root, RuledOut, Shared, Sharing};
