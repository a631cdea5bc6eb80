//! From what was seen to why it happened: joins in DataFusion, the restart ledger, the causes, the incidents.
//!
//! Everything is read through a [`whyd_buffers::Scoped`]; nothing here does IO or reads a clock.

pub mod case;
pub mod cause;
pub mod changes;
pub mod cohorts;
mod complaint;
mod disruption;
pub mod engine;
mod eviction;
mod exact;
pub mod failures;
pub mod finding;
mod incidents;
pub mod joins;
mod kubelet;
mod last_words;
pub mod ledger;
mod population;
mod probe;
pub mod quantity;
pub mod ranking;
mod readiness;

pub mod redact;
mod refused;
mod rejection;
mod replacement;
mod room;
pub mod rules;
mod shares;
mod signal;
mod start_error;
pub mod tables;
mod taint;
pub mod unreached;
mod unstartable;
mod verdict;

pub use readiness::SILENCE;
