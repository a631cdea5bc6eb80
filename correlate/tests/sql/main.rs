//! SQL over real buffers: the `.slt` files, and the joins' kernels against their twins in SQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod buffers;
mod cluster;
mod documented;
mod hidden;
mod hostile;
mod joins;
mod scan;
mod slt;
mod twins;
