//! From tokens to a tree, by precedence climbing.
//!
//! Our own rather than the crate `promql-parser`, for the reasons in `docs/adr/0004-own-promql-parser.md`. What PromQL
//! has and this does not is refused by name.

use super::ast::{Aggregate, Aggregation, At, Binary, Expr, Many, Matching, Op, Selector, Type};
use super::error::Error;
use super::functions::Function;
use super::labels::NAME;
use super::lex::{Placed, Token, parse_error, tokens};
use super::matcher::{Budget, Matcher, Pattern, Test};

/// How deep expressions may nest, and how high the tree may become.
const MAX_DEPTH: usize = 128;
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

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
    budget: &'a mut Budget,
}

/// A tree and its height.
type Tall = (Expr, usize);

impl<'a> Parser<'a> {
    fn new(text: &'a str, budget: &'a mut Budget) -> Result<Self, Error> {
        Ok(Self { text, tokens: tokens(text)?, next: 0, depth: 0, budget })
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(s) if *s == sign)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.next += usize::from(found);
        found
    }

    fn needs(&mut self, sign: &str, within: &str) -> Result<(), Error> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(within, &format!("expected {sign:?}"))) }
    }

    /// The next token as a keyword; keywords know no case.
    fn keyword(&self) -> Option<String> {
        match self.peek() {
            Token::Ident(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn takes_keyword(&mut self, word: &str) -> bool {
        let found = self.keyword().is_some_and(|k| k == word);
        self.next += usize::from(found);
        found
    }

    fn error(&self, why: &str) -> Error {
        let at = self.tokens.get(self.next).map_or(self.text.len(), |(_, at)| *at);
        parse_error(self.text, at, why)
    }

    fn unexpected(&self, within: &str, expected: &str) -> Error {
        let found = match self.peek() {
            Token::End => "end of input".to_owned(),
            Token::Ident(name) => format!("identifier {name:?}"),
            Token::Number(n) => format!("number \"{n}\""),
            Token::Duration(ms) => format!("duration of {ms} ms"),
            Token::Text(text) => format!("string {text:?}"),
            Token::Sign(sign) => format!("{sign:?}"),
        };
        self.error(&format!("unexpected {found} in {within}, {expected}"))
    }

    fn unsupported(&self, what: &str) -> Error {
        self.error(&format!("{what} is not supported by whyd"))
    }

    fn end(&self) -> Result<(), Error> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.unexpected("the query", "expected its end")) }
    }

    fn taller(&self, height: usize) -> Result<usize, Error> {
        if height < MAX_DEPTH {
            Ok(height + 1)
        } else {
            Err(self.error(&format!("the query is nested deeper than {MAX_DEPTH}")))
        }
    }

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

    /// A primary expression with its range, offset and `@`.
    fn postfix(&mut self) -> Result<Tall, Error> {
        // Brackets make it no selector any more.
        let bare = !self.is("(");
        let (mut expr, height) = self.primary()?;
        loop {
            let place = self.next;
            if self.takes("[") {
                let Token::Duration(range) = self.take() else {
                    self.next -= 1;
                    return Err(self.unexpected("subscript", "expected a duration such as 5m"));
                };
                if self.is(":") {
                    return Err(self.unsupported("a subquery"));
                }
                self.needs("]", "subscript")?;
                if range == 0 {
                    return Err(self.error("duration must be greater than 0"));
                }
                expr = match expr {
                    _ if !bare => return Err(self.error("ranges only allowed for vector selectors")),
                    Expr::Selector(s) if s.offset == 0 && s.at.is_none() => Expr::Range(s, range),
                    Expr::Selector(_) => return Err(self.error("no offset or @ modifiers allowed before range")),
                    _ => return Err(self.error("ranges only allowed for vector selectors")),
                };
                continue;
            }
            let offset = self.takes_keyword("offset");
            if !offset && !self.takes("@") {
                return Ok((expr, height));
            }
            let value = if offset { Ok(self.offset()?) } else { Err(self.at()?) };
            let (Expr::Selector(selector) | Expr::Range(selector, _), true) = (&mut expr, bare) else {
                self.next = place;
                return Err(self.error("offset and @ modifiers must be preceded by a selector"));
            };
            match value {
                Ok(_) if selector.offset != 0 => return Err(self.error("offset may not be set multiple times")),
                Err(_) if selector.at.is_some() => return Err(self.error("@ may not be set multiple times")),
                Ok(offset) => selector.offset = offset,
                Err(at) => selector.at = Some(at),
            }
        }
    }

    fn offset(&mut self) -> Result<i64, Error> {
        let minus = self.takes("-");
        match self.take() {
            Token::Duration(0) => {
                self.next -= 1;
                Err(self.error("duration must be greater than 0"))
            }
            Token::Duration(ms) => Ok(if minus { -ms } else { ms }),
            _ => {
                self.next -= 1;
                Err(self.unexpected("offset", "expected a duration such as 5m"))
            }
        }
    }

    fn at(&mut self) -> Result<At, Error> {
        let minus = self.takes("-");
        let signed = minus || self.takes("+");
        match self.take() {
            Token::Number(seconds) if seconds.abs() < super::MAX_SECONDS => {
                let ms = (seconds * 1000.0).round() as i64;
                Ok(At::Millis(if minus { -ms } else { ms }))
            }
            Token::Number(_) => Err(self.error("timestamp out of bounds for @ modifier")),
            Token::Ident(name) if !signed && ["start", "end"].iter().any(|word| name.eq_ignore_ascii_case(word)) => {
                self.needs("(", "@")?;
                self.needs(")", "@")?;
                Ok(if name.eq_ignore_ascii_case("start") { At::Start } else { At::End })
            }
            _ => {
                self.next -= 1;
                Err(self.unexpected("@", "expected a timestamp, start() or end()"))
            }
        }
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

    fn vector(&mut self, name: Option<String>) -> Result<Expr, Error> {
        let place = self.next;
        let named = name.is_some();
        let mut matchers: Vec<Matcher> =
            name.into_iter().map(|name| Matcher { label: NAME.into(), test: Test::Equal(name) }).collect();
        if self.takes("{") {
            while !self.takes("}") {
                let matcher = self.matcher()?;
                if named && matcher.label == NAME {
                    return Err(self.error("metric name must not be set twice"));
                }
                matchers.push(matcher);
                if !self.is("}") {
                    self.needs(",", "label matching")?;
                }
            }
        }
        if matchers.iter().all(|m| m.passes("")) {
            self.next = place;
            return Err(self.error("vector selector must contain at least one non-empty matcher"));
        }
        Ok(Expr::Selector(Selector { matchers, offset: 0, at: None }))
    }

    fn matcher(&mut self) -> Result<Matcher, Error> {
        let label = match self.take() {
            Token::Ident(label) if !label.contains(':') => label,
            _ => {
                self.next -= 1;
                return Err(self.unexpected("label matching", "expected a label's name"));
            }
        };
        let Token::Sign(op @ ("=" | "!=" | "=~" | "!~")) = self.take() else {
            self.next -= 1;
            return Err(self.unexpected("label matching", "expected one of \"=\", \"!=\", \"=~\" or \"!~\""));
        };
        let Token::Text(value) = self.take() else {
            self.next -= 1;
            return Err(self.unexpected("label matching", "expected a string"));
        };
        let test = match op {
            "=" => Test::Equal(value),
            "!=" => Test::NotEqual(value),
            _ => {
                let pattern = Pattern::new(&value, self.budget).map_err(|e| self.error(&e.to_string()))?;
                if op == "=~" { Test::Matches(pattern) } else { Test::NotMatches(pattern) }
            }
        };
        Ok(Matcher { label, test })
    }
}

#[cfg(test)]
mod tests;
