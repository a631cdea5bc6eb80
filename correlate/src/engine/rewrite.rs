//! What is done to a statement between its reading and its planning.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Statement as Sql, VisitMut};

use super::Tables;
use super::arrows::Arrows;
use super::likes::Likes;
use super::names::Names;
use crate::joins::asof_sql::Brackets;

/// Rewrites it.
pub(super) fn rewrite(statement: &mut Statement, tables: &Tables) {
    match statement {
        Statement::Statement(sql) => {
            let Sql::Query(query) = sql.as_mut() else { return };
            let columns = tables.iter().flat_map(|(_, table)| {
                let schema = table.schema();
                schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
            });
            let columns: HashSet<String> = columns.collect();
            let _: ControlFlow<()> = query.visit(&mut Arrows);
            let _: ControlFlow<()> = query.visit(&mut Names { columns: &columns });
            let _: ControlFlow<()> = query.visit(&mut Likes);
            let _: ControlFlow<()> = query.visit(&mut Brackets);
        }
        Statement::Explain(explain) => rewrite(&mut explain.statement, tables),
        _ => {}
    }
}
