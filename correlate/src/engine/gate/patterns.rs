//! Regular expressions, and the patterns of `LIKE`, which are run as such: what each compiles to.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Visitor,
};
use regex::RegexBuilder;

use super::super::QueryError;
use super::super::functions::MOST_COMPILED;

/// The smallest pattern is counted as so many bytes.
const LEAST: usize = 1 << 10;
/// Bytes that all patterns of a query may compile to: they are compiled anew for each piece of rows.
const ALL_COMPILED: usize = 1 << 20;

/// Finds a regular expression that is made of rows: each of them would be compiled, and kept for as long as a piece of rows.
#[derive(Default)]
pub(super) struct Patterns {
    /// Bytes that all of them compile to, within a factor of four.
    pub(super) compiled: usize,
}

impl Visitor for Patterns {
    type Break = QueryError;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<QueryError> {
        use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
        if let Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } = expr {
            let folded = matches!(expr, Expr::ILike { .. });
            // One that is made of rows is bounded where it is made.
            return match written(pattern).filter(|text| folded || has_inner(text)) {
                Some(text) => self.compiles(&of_like(&text), folded, "a pattern of LIKE"),
                None => ControlFlow::Continue(()),
            };
        }
        let folded = matches!(expr, Expr::BinaryOp { op: PGRegexIMatch | PGRegexNotIMatch, .. });
        let pattern = match expr {
            Expr::BinaryOp { op: PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch, right, .. } => {
                Some(right.as_ref())
            }
            Expr::SimilarTo { pattern, .. } | Expr::RLike { pattern, .. } => Some(pattern.as_ref()),
            Expr::Function(function) => pattern_of(function),
            _ => None,
        };
        let Some(pattern) = pattern else { return ControlFlow::Continue(()) };
        let Some(text) = written(pattern) else {
            return ControlFlow::Break(QueryError::Refused(
                "the pattern of a regular expression must be written out, as '...': each is compiled".to_owned(),
            ));
        };
        self.compiles(&text, folded, "a regular expression")
    }
}

impl Patterns {
    /// What is wrong in other ways is said where it is compiled to be used.
    fn compiles(&mut self, text: &str, folded: bool, what: &str) -> ControlFlow<QueryError> {
        let built = |size| RegexBuilder::new(text).case_insensitive(folded).size_limit(size).build();
        match built(MOST_COMPILED) {
            Err(regex::Error::CompiledTooBig(_)) => {
                return ControlFlow::Break(QueryError::Refused(format!(
                    "{what} compiles to more than {} KiB, its size limit: make it shorter, or what it repeats",
                    MOST_COMPILED >> 10
                )));
            }
            Err(_) => return ControlFlow::Continue(()),
            Ok(_) => {}
        }
        let mut size = LEAST;
        while size < MOST_COMPILED && built(size).is_err() {
            size *= 4;
        }
        self.compiled += size;
        if self.compiled > ALL_COMPILED {
            return ControlFlow::Break(QueryError::Refused(format!(
                "the patterns of a query compile to more than {} KiB together: make them shorter, or fewer",
                ALL_COMPILED >> 10
            )));
        }
        ControlFlow::Continue(())
    }
}

/// Whether a pattern of `LIKE` has more than a `%` at its ends, which is looked for without being compiled.
fn has_inner(pattern: &str) -> bool {
    let inner = pattern.strip_prefix('%').unwrap_or(pattern);
    inner.strip_suffix('%').unwrap_or(inner).contains(['%', '_', '\\'])
}

/// The regular expression that a pattern of `LIKE` is run as.
fn of_like(pattern: &str) -> String {
    let mut text = String::with_capacity(2 * pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let mut one = [0; 4];
        match letter {
            '%' => text.push_str("(?s:.*)"),
            '_' => text.push_str("(?s:.)"),
            '\\' => text.push_str(&regex::escape(letters.next().unwrap_or('\\').encode_utf8(&mut one))),
            other => text.push_str(&regex::escape(other.encode_utf8(&mut one))),
        }
    }
    text
}

/// The second argument of a function of regular expressions.
fn pattern_of(function: &Function) -> Option<&Expr> {
    let name = function.name.0.last()?.as_ident()?;
    let FunctionArguments::List(list) = &function.args else { return None };
    if !name.value.to_ascii_lowercase().starts_with("regexp_") {
        return None;
    }
    match list.args.get(1)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern)) => Some(pattern),
        _ => None,
    }
}

/// The text of a pattern that is written out; nothing for NULL and numbers, which are refused elsewhere.
pub(in crate::engine) fn written(pattern: &Expr) -> Option<String> {
    match pattern {
        Expr::Value(value) => Some(value.value.clone().into_string().unwrap_or_default()),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => written(inner),
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => Some(written(left)? + &written(right)?),
        _ => None,
    }
}
