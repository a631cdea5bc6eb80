//! From what was seen to why it happened: joins in DataFusion, the restart ledger, the causes, the incidents.
//!
//! Everything is read through a [`whyd_buffers::Scoped`]; nothing here does IO or reads a clock.

pub mod case;
pub mod cause;
pub mod engine;
pub mod finding;
mod incidents;
pub mod joins;
mod last_words;
pub mod ledger;
mod probe;
mod redact;
mod replacement;
pub mod tables;
mod verdict;
