//! The thin loops: each receives or asks, stamps the time and hands over, and answers what the core answered.

mod backoff;
mod gate;
pub mod grpc;
pub mod http;
pub mod kube;
mod otlp;
pub mod pull;

pub use gate::{Gate, TurnedAway};
