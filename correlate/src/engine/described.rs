//! `SHOW TABLES`, `SHOW COLUMNS FROM t` and `DESCRIBE t`: answered from the tables that were handed in, and no query.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{ObjectName, ShowStatementOptions, Statement as Sql};

use super::{QueryError, Tables};

/// What is asked about the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Description {
    /// Which there are.
    Tables,
    /// The columns of one.
    Columns(String),
}

/// What says how it is asked for.
const HOW: &str = "SHOW TABLES and DESCRIBE TABLE_NAME are there, without a filter";

/// What is said where a table is not there.
pub(super) const HINT: &str = ": SHOW TABLES names those there are";

/// What a statement asks about the tables, or `None` where it is another one.
///
/// # Errors
/// Where it asks for something else about them, in words that say what there is.
pub(super) fn asked(statement: &Sql) -> Result<Option<Description>, QueryError> {
    let refused = |what: &str| Err(QueryError::Refused(format!("{what} is not supported: {HOW}")));
    match statement {
        Sql::ShowTables { show_options, .. } if is_plain(show_options) && show_options.show_in.is_none() => {
            Ok(Some(Description::Tables))
        }
        Sql::ShowTables { .. } => refused("a filter of SHOW TABLES"),
        Sql::ShowColumns { show_options, .. } if is_plain(show_options) => {
            let of = show_options.show_in.as_ref().and_then(|within| within.parent_name.as_ref());
            match of {
                Some(table) => Ok(Some(Description::Columns(name(table)))),
                None => refused("SHOW COLUMNS of no table"),
            }
        }
        Sql::ShowColumns { .. } => refused("a filter of SHOW COLUMNS"),
        Sql::ExplainTable { table_name, .. } => Ok(Some(Description::Columns(name(table_name)))),
        Sql::Explain { .. } => Err(QueryError::Refused(
            "DESCRIBE takes the name of a table; the plan of a query is shown by EXPLAIN SELECT ...".to_owned(),
        )),
        Sql::ShowVariable { variable } => {
            let what = variable.iter().map(|word| word.value.to_uppercase()).collect::<Vec<_>>().join(" ");
            let what: String = what.chars().take(40).collect();
            refused(&format!("SHOW {what}"))
        }
        Sql::ShowFunctions { .. }
        | Sql::ShowStatus { .. }
        | Sql::ShowVariables { .. }
        | Sql::ShowCreate { .. }
        | Sql::ShowCatalogs { .. }
        | Sql::ShowDatabases { .. }
        | Sql::ShowProcessList { .. }
        | Sql::ShowSchemas { .. }
        | Sql::ShowCharset(_)
        | Sql::ShowObjects(_)
        | Sql::ShowViews { .. }
        | Sql::ShowCollation { .. } => {
            let words: Vec<String> = statement.to_string().split_whitespace().take(2).map(str::to_uppercase).collect();
            refused(&words.join(" "))
        }
        _ => Ok(None),
    }
}

fn is_plain(options: &ShowStatementOptions) -> bool {
    options.filter_position.is_none() && options.starts_with.is_none() && options.limit.is_none()
}

/// As the planner reads it: what is not quoted is in small letters, and the schema may stand before it.
fn name(of: &ObjectName) -> String {
    let parts = of.0.iter().filter_map(|part| part.as_ident());
    let parts = parts.map(|i| if i.quote_style.is_some() { i.value.clone() } else { i.value.to_lowercase() });
    let whole = parts.collect::<Vec<_>>().join(".");
    let table = whole.strip_prefix("whyd.public.").or_else(|| whole.strip_prefix("public."));
    table.unwrap_or(&whole).to_owned()
}

impl Description {
    /// The answer over these tables.
    ///
    /// # Errors
    /// When there is no table of that name.
    pub(super) fn rows(&self, tables: &Tables) -> Result<RecordBatch, QueryError> {
        let texts = |all: Vec<String>| Arc::new(StringArray::from(all)) as ArrayRef;
        let columns = match self {
            Self::Tables => vec![("table_name", texts(tables.iter().map(|(name, _)| name.to_owned()).collect()))],
            Self::Columns(of) => {
                let found = tables.iter().find(|(name, _)| name == of);
                let Some((_, table)) = found else {
                    let of: String = of.chars().take(80).collect();
                    return Err(QueryError::Invalid(format!(
                        "table '{of}' not found: SHOW TABLES names those there are"
                    )));
                };
                let schema = table.schema();
                let fields = schema.fields().iter();
                let is_nullable = |is: bool| if is { "YES" } else { "NO" }.to_owned();
                vec![
                    ("column_name", texts(fields.clone().map(|f| f.name().clone()).collect())),
                    ("data_type", texts(fields.clone().map(|f| sql_type(f.data_type())).collect())),
                    ("is_nullable", texts(fields.map(|f| is_nullable(f.is_nullable())).collect())),
                ]
            }
        };
        RecordBatch::try_from_iter(columns).map_err(|why| QueryError::Failed(why.to_string()))
    }
}

/// A type as SQL calls it.
pub fn sql_type(of: &DataType) -> String {
    match of {
        DataType::Utf8 => "text".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        of if of.is_integer() => "bigint".to_owned(),
        DataType::List(item) => format!("{}[]", sql_type(item.data_type())),
        of => of.to_string().to_ascii_lowercase(),
    }
}
