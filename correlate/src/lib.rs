//! correlate

pub mod case;
pub mod cause;
pub mod engine;
pub mod finding;
mod incidents;
pub mod joins;
mod last_words;
pub mod ledger;
mod probe;
mod replacement;
pub mod tables;
mod verdict;
