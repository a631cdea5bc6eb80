//! Bounds and times of the detectors.

use std::time::Duration;

use crate::watched::Watched;

/// Bounds and times.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Bytes of all detectors' state.
    pub bytes: usize,
    /// Series watched at once; more are refused and counted.
    pub series: usize,
    /// Groups of log lines watched at once, as far as [`Config::bytes`] has room; more are refused and counted. What they say
    /// is known of those that there is room for, how many lines there are of all.
    pub streams: usize,
    /// Nothing is judged before so much past.
    pub learning: Duration,
    /// Groups of lines that were not heard for so long go.
    pub idle: Duration,
    /// And series and probes. That they are silent does not say that they ended: one of several sources may be away for hours.
    /// Where there is need of their places they go sooner.
    pub silent: Duration,
    /// Metrics that are asked for, beside [`crate::watched::WATCHED`].
    pub asked: Vec<Watched>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes: 128 << 20,
            series: 100_000,
            streams: 10_000,
            learning: Duration::from_secs(600),
            idle: Duration::from_secs(2 * 3600),
            silent: Duration::from_secs(86_400),
            asked: Vec::new(),
        }
    }
}
