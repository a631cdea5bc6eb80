//! Detectors of one series each, one a file. Every window is in time, never in samples.

pub mod chance;
pub mod climb;
pub mod early;
pub mod early_errors;
pub mod history;
pub mod holes;
pub mod log_kinds;
pub mod log_rate;
pub mod novelty;
pub mod onset;
pub mod probes;
pub mod rate;
pub mod robust;
pub mod score;
pub mod speakers;
pub mod vanished;

#[cfg(test)]
pub(crate) mod synthetic;
