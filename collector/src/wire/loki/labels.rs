//! The label string of a pushed stream: `{app="web", path="a\"b"}`, as the Prometheus grammar has it.

use std::borrow::Cow;

use whyd_signals::sink::{DecodeError, Pair};

/// Parses a label string; values borrow from it where they hold no escape.
///
/// Values are quoted as in Go: double quotes with escapes, or backquotes without. Repeated names are passed on.
///
/// # Errors
/// [`DecodeError::Malformed`] saying what was expected and at which byte.
pub fn parse_labels(text: &str) -> Result<Vec<Pair<'_>>, DecodeError> {
    let mut at = Cursor::new(text);
    let mut pairs = Vec::new();
    at.expect('{')?;
    loop {
        at.blank();
        if at.eat('}') {
            break;
        }
        let name = at.name()?;
        at.blank();
        at.expect('=')?;
        at.blank();
        let value = at.value()?;
        pairs.push((Cow::Borrowed(name), value));
        at.blank();
        if !at.eat(',') {
            at.expect('}')?;
            break;
        }
    }
    at.blank();
    if at.rest().is_empty() { Ok(pairs) } else { Err(at.fail("the end")) }
}

/// A place in the text of a selector.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn fail(&self, expected: &str) -> DecodeError {
        DecodeError::Malformed(format!("labels: expected {expected} at byte {}", self.at))
    }

    pub(crate) fn blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    pub(crate) fn eat(&mut self, c: char) -> bool {
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    pub(crate) fn expect(&mut self, c: char) -> Result<(), DecodeError> {
        self.blank();
        if self.eat(c) { Ok(()) } else { Err(self.fail(&format!("`{c}`"))) }
    }

    pub(crate) fn name(&mut self) -> Result<&'a str, DecodeError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.fail("a label name"));
        }
        self.at += end;
        Ok(name)
    }

    /// The name of a metric, which may hold colons.
    pub(crate) fn metric(&mut self) -> Result<&'a str, DecodeError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.fail("a metric name"));
        }
        self.at += end;
        Ok(name)
    }

    pub(crate) fn value(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        if self.eat('`') {
            let rest = self.rest();
            let end = rest.find('`').ok_or_else(|| self.fail("a closing backquote"))?;
            self.at += end + 1;
            return Ok(Cow::Borrowed(rest.get(..end).unwrap_or_default()));
        }
        if !self.eat('"') {
            return Err(self.fail("a quoted value"));
        }
        let rest = self.rest();
        let end = rest.find(['"', '\\', '\n']).ok_or_else(|| self.fail("a closing quote"))?;
        if rest.as_bytes().get(end) == Some(&b'"') {
            self.at += end + 1;
            return Ok(Cow::Borrowed(rest.get(..end).unwrap_or_default()));
        }
        self.escaped().map(Cow::Owned)
    }

    /// A double-quoted value with escapes, from behind its opening quote.
    fn escaped(&mut self) -> Result<String, DecodeError> {
        let mut bytes = Vec::new();
        loop {
            let rest = self.rest();
            let end = rest.find(['"', '\\', '\n']).ok_or_else(|| self.fail("a closing quote"))?;
            bytes.extend_from_slice(rest.as_bytes().get(..end).unwrap_or_default());
            self.at += end;
            if self.eat('"') {
                return String::from_utf8(bytes).map_err(|_| self.fail("UTF-8 in the value"));
            }
            if !self.eat('\\') {
                return Err(self.fail("a closing quote"));
            }
            self.escape(&mut bytes)?;
        }
    }

    /// One escape of Go's interpreted strings, from behind its backslash.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), DecodeError> {
        let c = self.rest().chars().next().ok_or_else(|| self.fail("an escape"))?;
        let simple = match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' => b'"',
            'x' => return self.byte(1, 2, 16, bytes),
            '0'..='7' => return self.byte(0, 3, 8, bytes),
            'u' => return self.scalar(4, bytes),
            'U' => return self.scalar(8, bytes),
            _ => return Err(self.fail("a known escape")),
        };
        self.at += 1;
        bytes.push(simple);
        Ok(())
    }

    fn byte(&mut self, skip: usize, digits: usize, radix: u32, bytes: &mut Vec<u8>) -> Result<(), DecodeError> {
        let number = self.number(skip, digits, radix)?;
        bytes.push(u8::try_from(number).map_err(|_| self.fail("an escaped byte"))?);
        self.at += skip + digits;
        Ok(())
    }

    fn scalar(&mut self, digits: usize, bytes: &mut Vec<u8>) -> Result<(), DecodeError> {
        let c = char::from_u32(self.number(1, digits, 16)?).ok_or_else(|| self.fail("a Unicode character"))?;
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += 1 + digits;
        Ok(())
    }

    fn number(&self, skip: usize, digits: usize, radix: u32) -> Result<u32, DecodeError> {
        self.rest()
            .get(skip..skip + digits)
            .filter(|d| d.chars().all(|c| c.is_digit(radix)))
            .and_then(|d| u32::from_str_radix(d, radix).ok())
            .ok_or_else(|| self.fail(&format!("{digits} digits of base {radix}")))
    }
}
