//! whyd: why did this pod restart?
//!
//! This crate is the wiring: the synchronous [`whyd_core::Core`], its two drivers [`live`] and [`replay`], and the commands.

pub mod alert_file;
pub mod alerting;
pub mod capture;
pub mod chart_values;
pub mod checkpointing;
pub mod cli;
mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod detect_quality;
pub mod detection;
pub mod doors;
pub mod evaluation;
pub mod fixture_api;
pub mod ingest;
pub mod join_bench;
pub mod ledger_file;
pub mod live;
pub mod log_health;
pub mod objects;
pub mod onset_quality;
mod process;
pub mod pull_health;
mod pulling;
pub mod rca_cases;
pub mod rca_quality;
pub mod recording;
pub mod render;
pub mod replay;
pub mod report;
pub mod sql;
pub mod stopwatch;
pub mod suspects;
pub mod template_quality;
pub mod view;
pub mod watches;
pub mod wiring;
