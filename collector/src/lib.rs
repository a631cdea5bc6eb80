//! What enters the daemon.
//!
//! [`wire`] decodes bodies into sinks and knows neither IO nor clock. [`source`] holds the thin loops that receive
//! them: HTTP receivers and Kubernetes watches. Both hand [`whyd_signals::Envelope`]s to the one [`inlet`].
//! [`identity`] says which team owns a namespace. Nothing here stores a row.

pub mod identity;
pub mod inlet;
pub mod source;
pub mod wire;

pub use inlet::{Delivery, Inlet, Reply, Responder, Written};
pub use whyd_signals::Clock;
