//! Names for columns that would have one and the same, as `count(*), count(*)` or `ts::date, ts::text`, and for labels: their own.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Ident, Select, SelectItem, Subscript, Value, ValueWithSpan, VisitorMut,
};

/// Names each that is like one before it by that and its number, in every `SELECT`, and each label that is called like a column.
pub(super) struct Names<'t> {
    /// What a `*` may stand for.
    pub(super) columns: &'t HashSet<String>,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let unnamed = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) if key(expr).is_none() => Some(name(expr)),
            _ => None,
        });
        let mut taken: HashSet<String> = unnamed.chain(select.projection.iter().filter_map(alias)).collect();
        let columns = select.projection.iter().filter_map(column);
        let mut others: HashSet<String> = columns.chain(taken.iter().cloned()).collect();
        let is_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        if select.projection.iter().any(is_all) {
            others.extend(self.columns.iter().cloned());
        }
        let mut seen: HashMap<String, usize> = HashMap::new();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let name = name(expr);
            let own = if key(expr).is_some() {
                let own = free(&name, 1, &others);
                others.insert(own.clone());
                taken.insert(own.clone());
                own
            } else {
                let times = seen.entry(name.clone()).or_default();
                *times += 1;
                if *times == 1 {
                    continue;
                }
                let own = free(&name, *times, &taken);
                taken.insert(own.clone());
                own
            };
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', own) };
        }
        ControlFlow::Continue(())
    }
}

/// The first of `name`, `name_2`, `name_3`, ... from the `n`th on that none has.
fn free(name: &str, n: usize, taken: &HashSet<String>) -> String {
    let mut names = (n..).map(|n| if n == 1 { name.to_owned() } else { format!("{name}_{n}") });
    names.find(|name| !taken.contains(name)).unwrap_or_else(|| name.to_owned())
}

/// The name of a column that is asked for with that of its table, as it is read.
fn column(item: &SelectItem) -> Option<String> {
    let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) = item else { return None };
    parts.last().map(read)
}

fn read(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// The name that it was given, as it is read.
fn alias(item: &SelectItem) -> Option<String> {
    let SelectItem::ExprWithAlias { alias, .. } = item else { return None };
    Some(read(alias))
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
