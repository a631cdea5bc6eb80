//! A metric sample and Prometheus' stale marker.

use crate::Timestamp;

/// One value of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When it was measured.
    pub ts: Timestamp,
    /// What was measured.
    pub value: f64,
}

/// The bits of the NaN by which Prometheus says that a series ended.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether this value is the stale marker; other NaNs are ordinary values.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}
