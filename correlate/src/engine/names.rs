//! Names for columns that would have one and the same, as `count(*), count(*)` or `ts::date, ts::text`, and for labels: their own.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Ident, Select, SelectItem, Statement as Sql, Subscript, Value, ValueWithSpan,
    VisitMut, VisitorMut,
};

/// Names each that is like one before it by that and its number, in every `SELECT` of the statement.
pub(super) fn distinguish(statement: &mut Statement) {
    match statement {
        Statement::Statement(sql) => {
            if let Sql::Query(query) = sql.as_mut() {
                let _: ControlFlow<()> = query.visit(&mut Names);
            }
        }
        Statement::Explain(explain) => distinguish(&mut explain.statement),
        _ => {}
    }
}

struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let aliases: HashSet<String> = select.projection.iter().filter_map(alias).collect();
        let unnamed = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) => Some(name(expr)),
            _ => None,
        });
        let mut taken: HashSet<String> = unnamed.chain(aliases.iter().cloned()).collect();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let name = name(expr);
            let is_label = key(expr).is_some();
            let times = seen.entry(name.clone()).or_insert(usize::from(is_label && aliases.contains(&name)));
            *times += 1;
            if *times > 1 || is_label {
                let mut own = name.clone();
                while *times > 1 {
                    own = format!("{name}_{times}");
                    if taken.insert(own.clone()) {
                        break;
                    }
                    *times += 1;
                }
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', own) };
            }
        }
        ControlFlow::Continue(())
    }
}

/// The name that it was given, as it is read.
fn alias(item: &SelectItem) -> Option<String> {
    let SelectItem::ExprWithAlias { alias, .. } = item else { return None };
    Some(if alias.quote_style.is_some() { alias.value.clone() } else { alias.value.to_lowercase() })
}

/// The name that it would get: a cast has that of what is cast.
fn name(expr: &Expr) -> String {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => name(expr),
        other => key(other).map_or_else(|| other.to_string().to_lowercase(), str::to_owned),
    }
}

/// The name of the label that is asked for.
fn key(expr: &Expr) -> Option<&str> {
    let key = match expr {
        Expr::BinaryOp { op: BinaryOperator::Arrow | BinaryOperator::LongArrow, right, .. } => right.as_ref(),
        Expr::CompoundFieldAccess { access_chain, .. } => match &access_chain[..] {
            [AccessExpr::Subscript(Subscript::Index { index })] => index,
            _ => return None,
        },
        _ => return None,
    };
    match key {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(key), .. }) => Some(key),
        _ => None,
    }
}
