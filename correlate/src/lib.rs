//! correlate

pub mod engine;
pub mod case;
pub mod cause;
pub mod finding;
mod incidents;
mod last_words;
pub mod ledger;
mod probe;
mod replacement;
mod verdict;
pub mod joins;
pub mod tables;
