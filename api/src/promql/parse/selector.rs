//! Vector selectors, with their range, offset and `@`.

use super::super::ast::{At, Expr, Selector};
use super::super::error::Error;
use super::super::labels::NAME;
use super::super::lex::Token;
use super::super::matcher::{Matcher, Pattern, Test};
use super::Tall;
use super::cursor::Parser;

impl Parser<'_> {
    /// A primary expression with its range, offset and `@`.
    pub(super) fn postfix(&mut self) -> Result<Tall, Error> {
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

    pub(super) fn offset(&mut self) -> Result<i64, Error> {
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

    pub(super) fn at(&mut self) -> Result<At, Error> {
        let minus = self.takes("-");
        let signed = minus || self.takes("+");
        match self.take() {
            Token::Number(seconds) if seconds.abs() < super::super::MAX_SECONDS => {
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

    pub(super) fn vector(&mut self, name: Option<String>) -> Result<Expr, Error> {
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

    pub(super) fn matcher(&mut self) -> Result<Matcher, Error> {
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
