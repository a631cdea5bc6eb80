//! How the samples of one series lie in a chunk: packed, yet any one can be read by itself.

pub(crate) mod bits;
pub(crate) mod timestamps;
pub(crate) mod values;

/// One sample: nanoseconds and the bits of the value.
pub(crate) type Pair = (i64, u64);
