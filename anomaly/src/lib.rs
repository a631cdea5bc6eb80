//! What is unlike its own past: metric series, log rates, how long calls take, a pod's metrics together, and the templates of
//! log lines.
//!
//! Pure and synchronous: no IO, no clock, no task. Time is an argument, the only randomness is seeded, hashing is
//! fixed, so the same input gives the same anomalies. Nothing here knows of wire formats, buffers or causes.

pub mod calls;
pub mod detector;
mod episodes;
mod hash;
pub mod place;
pub mod pod_vector;
pub mod pods;
mod slots;
pub mod templates;
pub mod told;
pub mod watch;
pub mod watched;
mod wording;

pub use hash::hash64;
pub use watch::{
    Background, Basis, Config, Detectors, Learnt, Line, LineKey, ProbeKey, Readiness, SeriesKey, Standing, Stats,
};
pub use watched::{Kind, WatchList, Watched};
pub use wording::number;
