//! The thin loops: each receives, stamps the time and hands over, and answers what the core answered.

mod gate;
pub mod grpc;
pub mod http;
pub mod kube;
mod otlp;

pub use gate::{Gate, TurnedAway};
