//! Where the parser stands among the tokens, how deep, and what it says of what it finds there.

use super::super::error::Error;
use super::super::lex::{Placed, Token, parse_error, tokens};
use super::super::matcher::Budget;

/// How deep expressions may nest, and how high the tree may become.
const MAX_DEPTH: usize = 128;

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Placed>,
    pub(super) next: usize,
    pub(super) depth: usize,
    pub(super) budget: &'a mut Budget,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, budget: &'a mut Budget) -> Result<Self, Error> {
        Ok(Self { text, tokens: tokens(text)?, next: 0, depth: 0, budget })
    }

    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(s) if *s == sign)
    }

    pub(super) fn takes(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.next += usize::from(found);
        found
    }

    pub(super) fn needs(&mut self, sign: &str, within: &str) -> Result<(), Error> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(within, &format!("expected {sign:?}"))) }
    }

    /// The next token as a keyword; keywords know no case.
    pub(super) fn keyword(&self) -> Option<String> {
        match self.peek() {
            Token::Ident(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        }
    }

    pub(super) fn takes_keyword(&mut self, word: &str) -> bool {
        let found = self.keyword().is_some_and(|k| k == word);
        self.next += usize::from(found);
        found
    }

    pub(super) fn error(&self, why: &str) -> Error {
        let at = self.tokens.get(self.next).map_or(self.text.len(), |(_, at)| *at);
        parse_error(self.text, at, why)
    }

    pub(super) fn unexpected(&self, within: &str, expected: &str) -> Error {
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

    pub(super) fn unsupported(&self, what: &str) -> Error {
        self.error(&format!("{what} is not supported by whyd"))
    }

    pub(super) fn end(&self) -> Result<(), Error> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.unexpected("the query", "expected its end")) }
    }

    pub(super) fn taller(&self, height: usize) -> Result<usize, Error> {
        if height < MAX_DEPTH {
            Ok(height + 1)
        } else {
            Err(self.error(&format!("the query is nested deeper than {MAX_DEPTH}")))
        }
    }
}
