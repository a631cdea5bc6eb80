//! The rows of a query.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Problem;

/// The rows of a query.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SqlAnswer {
    /// What the values of each row are.
    pub columns: Vec<SqlColumn>,
    /// Values in the order of the columns: numbers, truth values, text and null, lists as arrays and structs as objects; times are
    /// text as RFC 3339 has it, and so are numbers that JSON cannot hold exactly.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// What keeps the answer from being whole.
    pub problems: Vec<Problem>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// Its type: `text`, `bigint`, `double`, `boolean`, `timestamp`, or as Arrow calls it.
    #[serde(rename = "type")]
    pub kind: String,
}
