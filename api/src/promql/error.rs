//! What a query can fail with, as Prometheus classes it.

use thiserror::Error;

/// Each variant is an `errorType` and a status of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Error {
    /// The request cannot be understood, or asks for what is not supported: 400.
    #[error("{0}")]
    Bad(String),
    /// It is understood and cannot be answered: 422.
    #[error("{0}")]
    Execution(String),
    /// It took longer than it may: 503.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The evaluation was given up, as when nobody waits for it any more: 503.
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// There is no room for it now: 503.
    #[error("{0}")]
    Unavailable(&'static str),
}

impl Error {
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::Bad(text.into())
    }

    pub(crate) fn execution(text: impl Into<String>) -> Self {
        Self::Execution(text.into())
    }
}
