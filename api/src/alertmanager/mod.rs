//! Incidents as alerts: sent to every Alertmanager, shown as a gauge, and read as from an Alertmanager.

pub mod alert;
pub mod board;
pub mod outbox;
pub mod peer;
pub mod read;

pub use alert::{Alert, Identity, describe};
pub use board::{Active, Board};
pub use outbox::{Due, Outbox, Sight, Told};
pub use peer::{Answer, Peer, Transport};
