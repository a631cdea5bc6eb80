//! The one integration binary: a line for each module.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod captures;
mod daemon;
mod dependencies;
mod variants;
