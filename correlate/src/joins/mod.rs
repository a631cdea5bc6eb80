//! The joins by time that everything else is made of.

pub mod kernel;
