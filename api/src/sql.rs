//! What answers SQL. The root crate implements it over the engine; nothing here knows of one.

use std::pin::Pin;

use whyd_signals::Access;

use crate::dto::SqlColumn;

/// Answers one query over the tables that a caller may see.
pub trait Sql: Send + Sync + 'static {
    /// The answer when it is there. Dropping what is returned stops the query; `held` is kept until it has stopped.
    fn answer(&self, access: &Access, query: String, held: SqlHeld) -> SqlAnswering;
}

/// What is let go of when a query has ended.
pub type SqlHeld = Box<dyn Send>;

/// An answer that is being made.
pub type SqlAnswering = Pin<Box<dyn Future<Output = Result<SqlRows, SqlRefusal>> + Send>>;

/// The rows of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlRows {
    /// Name and type of each column.
    pub columns: Vec<SqlColumn>,
    /// A JSON array of rows, each an array of values.
    pub rows: String,
}

/// Why there is no answer. The texts name only what the caller wrote or may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlRefusal {
    /// It cannot be read or planned, or is not allowed.
    Invalid(String),
    /// It is over a limit of time, rows, bytes or memory.
    Limit(String),
    /// It failed while it ran.
    Failed(String),
}
