//! PromQL, the part of it that dashboards about restarts need, evaluated as Prometheus 2.42 evaluates it.
//!
//! Text becomes tokens ([`lex`]), a tree ([`parse`]) and columns of numbers ([`eval`]). What is not supported is
//! refused by name when the query is parsed. Sizes are bounded everywhere: text, depth, expressions, series, samples.

mod aggregate;
mod ast;
mod binary;
mod error;
mod eval;
mod functions;
mod labels;
mod lex;
mod matcher;
mod own;
mod parse;
mod re2;
mod source;
mod unicode;
mod value;

pub(crate) use ast::{Expr, Type};
pub(crate) use error::Error;
pub(crate) use eval::Evaluation;
pub(crate) use labels::Labels;
pub(crate) use lex::MAX_BYTES;
pub(crate) use matcher::{Budget, Matcher};
pub(crate) use own::OWN;
pub(crate) use parse::{query, selector};
pub(crate) use source::{Source, Stop};
pub(crate) use value::{Series, Steps, Value};

/// Times must be nearer to the epoch than this, about 292 years.
pub(crate) const MAX_SECONDS: f64 = 9.2e9;

/// A duration such as `1h30m` in milliseconds.
pub(crate) fn duration(text: &str) -> Option<i64> {
    lex::duration(text)?.ok()
}

/// What an instant query gives.
#[derive(Debug)]
pub(crate) enum Instant {
    Scalar(f64),
    Vector(Vec<Series>),
    /// Samples with their own times in milliseconds.
    Matrix(Vec<(Labels, Vec<(i64, f64)>)>),
}

/// A query at one instant. The order is that of `topk` and `sort`, otherwise that of the labels.
pub(crate) fn instant(source: &Source<'_>, expr: &Expr, at: i64) -> Result<Instant, Error> {
    let evaluation = Evaluation::new(source, Steps::instant(at));
    if let Expr::Range(selector, range) = expr {
        return evaluation.matrix(selector, *range).map(Instant::Matrix);
    }
    Ok(match evaluation.value(expr)? {
        Value::Scalar(values) => Instant::Scalar(values.first().copied().unwrap_or(f64::NAN)),
        Value::Vector(series) => Instant::Vector(series),
    })
}

/// A query at each step, in order of the labels.
pub(crate) fn range(source: &Source<'_>, expr: &Expr, steps: Steps) -> Result<Vec<Series>, Error> {
    if expr.kind() == Type::Matrix {
        let why = "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector";
        return Err(Error::bad(why));
    }
    let mut series = match Evaluation::new(source, steps).value(expr)? {
        Value::Vector(series) => series,
        Value::Scalar(values) => vec![Series::of_scalar(&values)],
    };
    series.retain(|s| !s.points.is_empty());
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(series)
}

#[cfg(test)]
mod tests;
