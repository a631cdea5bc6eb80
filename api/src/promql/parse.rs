//! From tokens to a tree, by precedence climbing.
//!
//! Our own rather than the crate `promql-parser`, for the reasons in `docs/adr/0004-own-promql-parser.md`. What PromQL
//! has and this does not is refused by name.

mod cursor;
mod selector;

use super::ast::{Aggregate, Aggregation, Binary, Expr, Many, Matching, Op, Selector, Type};
use super::error::Error;
use super::functions::Function;
use super::lex::{Token, parse_error};
use super::matcher::{Budget, Matcher};
use cursor::Parser;

/// Keywords that Prometheus takes for no metric's name; the others may be one.
const NO_METRICS: [&str; 6] = ["atan2", "bool", "on", "ignoring", "group_left", "group_right"];
/// Keywords that it takes for no label's name in a grouping.
const NO_LABELS: [&str; 3] = ["without", "inf", "nan"];

/// A query; its types are sound and its height is bounded.
pub(crate) fn query(text: &str) -> Result<Expr, Error> {
    let mut budget = Budget::default();
    let mut parser = Parser::new(text, &mut budget)?;
    let (expr, _) = parser.binary(0)?;
    parser.end()?;
    Ok(expr)
}

/// A vector selector alone, as `match[]` takes it. Those of one request share a budget.
pub(crate) fn selector(text: &str, budget: &mut Budget) -> Result<Vec<Matcher>, Error> {
    let mut parser = Parser::new(text, budget)?;
    let bare = !parser.is("(");
    let (expr, _) = parser.binary(0)?;
    parser.end()?;
    match expr {
        Expr::Selector(Selector { matchers, offset: 0, at: None }) if bare => Ok(matchers),
        _ => Err(parse_error(text, 0, "expected a vector selector such as up{job=\"x\"}")),
    }
}

/// A tree and its height.
type Tall = (Expr, usize);

impl Parser<'_> {
    fn binary(&mut self, weakest: u8) -> Result<Tall, Error> {
        self.depth = self.taller(self.depth)?;
        let (mut left, mut height) = self.unary()?;
        loop {
            let op = match self.peek() {
                Token::Sign(sign) => Op::from_text(sign),
                Token::Ident(_) => self.keyword().and_then(|k| Op::from_text(&k)),
                _ => None,
            };
            let Some(op) = op.filter(|op| op.precedence() >= weakest) else { break };
            let place = self.next;
            self.next += 1;
            let bool = self.takes_keyword("bool");
            let matching = self.matching()?;
            // What binds as strongly goes to the left, but for `^`.
            let (right, other) = self.binary(op.precedence() + u8::from(op != Op::Pow))?;
            height = self.taller(height.max(other))?;
            let end = std::mem::replace(&mut self.next, place);
            left = self.checked(op, bool, matching, left, right)?;
            self.next = end;
        }
        self.depth -= 1;
        Ok((left, height))
    }

    fn matching(&mut self) -> Result<Option<Matching>, Error> {
        let on = self.takes_keyword("on");
        if !on && !self.takes_keyword("ignoring") {
            return Ok(None);
        }
        let mut matching = Matching { on, labels: self.names()?, ..Matching::default() };
        let many = if self.takes_keyword("group_left") {
            Some(Many::Left)
        } else {
            self.takes_keyword("group_right").then_some(Many::Right)
        };
        if many.is_some() {
            matching.many = many;
            if self.is("(") {
                matching.include = self.names()?;
            }
            if let Some(twice) = matching.include.iter().find(|name| on && matching.labels.contains(name)) {
                return Err(self.error(&format!("label {twice:?} must not occur in ON and GROUP clause at once")));
            }
        }
        Ok(Some(matching))
    }

    fn checked(&self, op: Op, bool: bool, matching: Option<Matching>, left: Expr, right: Expr) -> Result<Expr, Error> {
        let types = [left.kind(), right.kind()];
        let scalars = types.iter().filter(|t| **t == Type::Scalar).count();
        let why = if bool && !op.is_comparison() {
            "bool modifier can only be used on comparison operators"
        } else if types.contains(&Type::Matrix) {
            "binary expression must contain only scalar and instant vector types"
        } else if op.is_comparison() && scalars == 2 && !bool {
            "comparisons between scalars must use BOOL modifier"
        } else if op.is_set() && scalars > 0 {
            "set operator not allowed in binary scalar expression"
        } else if matching.is_some() && scalars > 0 {
            "vector matching only allowed between instant vectors"
        } else if op.is_set() && matching.as_ref().is_some_and(|m| m.many.is_some()) {
            "no grouping allowed for set operations"
        } else {
            let matching = matching.unwrap_or_default();
            return Ok(Expr::Binary(Box::new(Binary { op, bool, matching, left, right })));
        };
        Err(self.error(why))
    }

    fn unary(&mut self) -> Result<Tall, Error> {
        let minus = self.is("-");
        if !minus && !self.is("+") {
            return self.postfix();
        }
        let place = self.next;
        self.next += 1;
        // `-1 ^ 2` is `-(1 ^ 2)`, `-1 * 2` is `(-1) * 2`.
        let (of, height) = self.binary(Op::Pow.precedence())?;
        if of.kind() == Type::Matrix {
            self.next = place;
            return Err(self.error(
                "unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\"",
            ));
        }
        Ok(match of {
            of if !minus => (of, height),
            Expr::Number(n) => (Expr::Number(-n), height),
            of => (Expr::Negated(Box::new(of)), self.taller(height)?),
        })
    }

    fn primary(&mut self) -> Result<Tall, Error> {
        match self.peek().clone() {
            Token::Number(n) => {
                self.next += 1;
                Ok((Expr::Number(n), 1))
            }
            Token::Sign("(") => {
                self.next += 1;
                let (inner, height) = self.binary(0)?;
                self.needs(")", "paren expression")?;
                Ok((inner, height))
            }
            Token::Sign("{") => Ok((self.vector(None)?, 1)),
            Token::Ident(name) => {
                self.next += 1;
                self.named(name)
            }
            Token::Text(_) => Err(self.unsupported("a string as an expression")),
            _ => Err(self.unexpected("the query", "expected an expression")),
        }
    }

    /// What begins with a name: a number, an aggregation, a call or a metric.
    fn named(&mut self, name: String) -> Result<Tall, Error> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "inf" => return Ok((Expr::Number(f64::INFINITY), 1)),
            "nan" => return Ok((Expr::Number(f64::NAN), 1)),
            word if NO_METRICS.contains(&word) => {
                self.next -= 1;
                return Err(self.error(&format!("unexpected <{name}> in the query, expected an expression")));
            }
            _ => {}
        }
        let grouped = self.is("(") || self.keyword().is_some_and(|k| k == "by" || k == "without");
        if grouped && let Some(kind) = Aggregation::from_text(&lower) {
            return self.aggregate(kind);
        }
        if grouped
            && ["group", "stddev", "stdvar", "quantile", "count_values", "limitk", "limit_ratio"].contains(&&*lower)
        {
            self.next -= 1;
            return Err(self.unsupported(&format!("the aggregation {lower:?}")));
        }
        if self.is("(") {
            return self.call(&name);
        }
        Ok((self.vector(Some(name))?, 1))
    }

    fn aggregate(&mut self, kind: Aggregation) -> Result<Tall, Error> {
        let before = self.grouping()?;
        let place = self.next;
        let mut arguments = self.arguments()?;
        let grouping = match before {
            Some(grouping) => Some(grouping),
            None => self.grouping()?,
        };
        let end = std::mem::replace(&mut self.next, place);
        let wanted = 1 + usize::from(kind.has_parameter());
        if arguments.0.len() != wanted {
            let got = arguments.0.len();
            return Err(self.error(&format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"
            )));
        }
        let of = arguments.0.pop().unwrap_or(Expr::Number(0.0));
        self.expects(&of, Type::Vector, "aggregation expression")?;
        let parameter = arguments.0.pop();
        if let Some(parameter) = &parameter {
            self.expects(parameter, Type::Scalar, "aggregation parameter")?;
        }
        self.next = end;
        let (without, labels) = grouping.unwrap_or_default();
        Ok((Expr::Aggregate(Box::new(Aggregate { kind, parameter, of, labels, without })), self.taller(arguments.1)?))
    }

    /// `by (…)` or `without (…)`: whether it is the latter, and the labels.
    fn grouping(&mut self) -> Result<Option<(bool, Vec<String>)>, Error> {
        let without = self.takes_keyword("without");
        if without || self.takes_keyword("by") {
            return Ok(Some((without, self.names()?)));
        }
        Ok(None)
    }

    fn names(&mut self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        self.needs("(", "grouping opts")?;
        while !self.takes(")") {
            match self.take() {
                Token::Ident(name)
                    if !name.contains(':') && !NO_LABELS.contains(&name.to_ascii_lowercase().as_str()) =>
                {
                    names.push(name);
                }
                _ => {
                    self.next -= 1;
                    return Err(self.unexpected("grouping opts", "expected label"));
                }
            }
            if !self.is(")") {
                self.needs(",", "grouping opts")?;
            }
        }
        Ok(names)
    }

    fn arguments(&mut self) -> Result<(Vec<Expr>, usize), Error> {
        self.needs("(", "arguments")?;
        let (mut arguments, mut tallest) = (Vec::new(), 0);
        if self.takes(")") {
            return Ok((arguments, tallest));
        }
        loop {
            let (argument, height) = self.binary(0)?;
            arguments.push(argument);
            tallest = tallest.max(height);
            if self.takes(")") {
                return Ok((arguments, tallest));
            }
            self.needs(",", "arguments")?;
        }
    }

    fn expects(&self, expr: &Expr, wanted: Type, within: &str) -> Result<(), Error> {
        let got = expr.kind();
        if got == wanted {
            return Ok(());
        }
        Err(self.error(&format!("expected type {} in {within}, got {}", wanted.name(), got.name())))
    }

    fn call(&mut self, name: &str) -> Result<Tall, Error> {
        let place = self.next - 1;
        let Some(function) = Function::from_text(name) else {
            self.next = place;
            return Err(self.unsupported(&format!("the function {name:?}")));
        };
        let (arguments, height) = self.arguments()?;
        let end = std::mem::replace(&mut self.next, place);
        let (wanted, optional) = function.takes();
        if arguments.len() > wanted.len() || arguments.len() + optional < wanted.len() {
            let (most, got) = (wanted.len(), arguments.len());
            let at_least = if optional > 0 { "at most " } else { "" };
            return Err(self.error(&format!("expected {at_least}{most} argument(s) in call to {name:?}, got {got}")));
        }
        for (argument, wanted) in arguments.iter().zip(wanted) {
            self.expects(argument, *wanted, &format!("call to function {name:?}"))?;
        }
        self.next = end;
        Ok((Expr::Call(function, arguments), self.taller(height)?))
    }
}

#[cfg(test)]
mod tests;
