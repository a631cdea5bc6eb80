//! What a text stands for once it is unfolded: the length of a text does not bound it.
//!
//! Each `WITH` that names the one before it twice doubles the plan, and each that uses a column twice doubles an
//! expression that the optimiser inlines; planning such a text takes all memory before any limit of a query holds.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Select, SelectItem, Visit, Visitor, visit_expressions};

/// Tables and queries, each counted as often as it is named.
const MAX_RELATIONS: u64 = 128;
/// How often a column of a table may come to stand in one expression.
const MAX_GROWTH: u64 = 256;
/// Columns of all of them together: a `*` is one letter, and planning looks each up among all others of its query.
const MAX_COLUMNS: u64 = 5_000;
/// Columns that a table is taken to have.
const OF_TABLE: u64 = 16;

/// What is over its bound, in words; `None` when nothing is.
pub(super) fn over(query: &Query) -> Option<String> {
    match query.visit(&mut Unfolded::default()) {
        ControlFlow::Break(why) => Some(why),
        ControlFlow::Continue(()) => None,
    }
}

#[derive(Debug, Clone, Copy)]
struct Extent {
    relations: u64,
    growth: u64,
    /// How many columns it gives, and how many it and all that it reads have.
    width: u64,
    columns: u64,
}

/// One query while its parts are visited.
struct Frame {
    /// Queries of its `WITH` by address, each with its name.
    withs: Vec<(usize, String)>,
    known: HashMap<String, Extent>,
    relations: u64,
    /// The most columns in one of its own expressions.
    columns: u64,
    /// The largest growth of what it reads.
    growth: u64,
    /// Columns of what each `SELECT` that is being visited reads.
    selects: Vec<u64>,
    /// Columns of its widest `SELECT`.
    width: u64,
    /// Columns of all that it reads and makes.
    all: u64,
}

#[derive(Default)]
struct Unfolded {
    frames: Vec<Frame>,
    queries: u64,
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query) as usize
}

impl Unfolded {
    fn add(&mut self, part: Extent) {
        if let Some(frame) = self.frames.last_mut() {
            frame.relations = frame.relations.saturating_add(part.relations);
            frame.growth = frame.growth.max(part.growth);
            frame.all = frame.all.saturating_add(part.columns);
            if let Some(read) = frame.selects.last_mut() {
                *read = read.saturating_add(part.width);
            }
        }
    }
}

impl Visitor for Unfolded {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let withs = query.with.iter().flat_map(|w| &w.cte_tables);
        let withs = withs.map(|c| (address(&c.query), c.alias.name.value.to_lowercase())).collect();
        let (known, selects) = (HashMap::new(), Vec::new());
        self.frames.push(Frame { withs, known, relations: 1, columns: 1, growth: 1, selects, width: 0, all: 0 });
        self.queries += 1;
        if self.queries > MAX_RELATIONS {
            return ControlFlow::Break(format!("more than {MAX_RELATIONS} queries in one"));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let Some(frame) = self.frames.pop() else { return ControlFlow::Continue(()) };
        let growth = frame.columns.saturating_mul(frame.growth);
        let extent = Extent { relations: frame.relations, growth, width: frame.width, columns: frame.all };
        if extent.columns > MAX_COLUMNS {
            return ControlFlow::Break(format!(
                "more than {MAX_COLUMNS} columns of tables and queries, unfolded: name those that are needed instead of *"
            ));
        }
        if extent.relations > MAX_RELATIONS {
            return ControlFlow::Break(format!("more than {MAX_RELATIONS} tables and queries, unfolded"));
        }
        if extent.growth > MAX_GROWTH {
            return ControlFlow::Break(format!("an expression that unfolds to more than {MAX_GROWTH} columns"));
        }
        let named = self.frames.last().and_then(|f| f.withs.iter().find(|(a, _)| *a == address(query)));
        match (named.map(|(_, name)| name.clone()), self.frames.last_mut()) {
            (Some(name), Some(parent)) => {
                parent.known.insert(name, extent);
            }
            _ => self.add(extent),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let mut most = 1;
        for item in &select.projection {
            most = most.max(columns_in(item));
        }
        // A filter is inlined condition by condition, but one with a subquery or an OR as a whole.
        most = most.max(select.selection.as_ref().map_or(0, widest_condition));
        if let Some(frame) = self.frames.last_mut() {
            frame.columns = frame.columns.max(most);
            frame.selects.push(0);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let Some(frame) = self.frames.last_mut() else { return ControlFlow::Continue(()) };
        let read = frame.selects.pop().unwrap_or(0);
        let one = |item: &SelectItem| match item {
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => read,
            _ => 1,
        };
        let width = select.projection.iter().map(one).fold(0, u64::saturating_add);
        frame.width = frame.width.max(width);
        frame.all = frame.all.saturating_add(width);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<String> {
        let name = name.to_string().replace('"', "").to_lowercase();
        let known = self.frames.iter().rev().find_map(|f| f.known.get(&name).copied());
        let table = Extent { relations: 1, growth: 1, width: OF_TABLE, columns: OF_TABLE };
        self.add(known.unwrap_or(table));
        ControlFlow::Continue(())
    }
}

fn columns_in(part: &impl Visit) -> u64 {
    let mut columns = 0;
    let _: ControlFlow<()> = visit_expressions(part, |e| {
        if matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            columns += 1;
        }
        ControlFlow::Continue(())
    });
    columns
}

fn widest_condition(filter: &Expr) -> u64 {
    use datafusion::sql::sqlparser::ast::BinaryOperator;
    match filter {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => widest_condition(left).max(widest_condition(right)),
        Expr::Nested(inner) => widest_condition(inner),
        other => columns_in(other),
    }
}
