//! From the dialect of Go's `regexp/syntax`, in which Prometheus reads patterns, to that of the `regex` crate.
//!
//! A pattern is read as Go's parser reads it and written anew with flags, escapes and classes spelled out, so that no
//! sign is left to mean one thing there and another here. What Go refuses is refused. Greed is left out: whether all of
//! a value matches does not depend on it. Unicode's tables are those of the crate, which may be a version ahead.

use std::fmt::Write as _;

use super::unicode;

/// How deep groups and repetitions may nest.
const MAX_DEPTH: usize = 100;
/// How often a part may be repeated, that of the parts within it multiplied.
const MAX_REPEAT: u32 = 1000;
/// Work that one class of Unicode's tables is worth, in code points.
const TABLE: usize = 16 << 10;
/// Work that finding the other case of a large class is worth.
const FOLD_ALL: usize = 1 << 20;
/// Every code point.
const ANY: &str = r"\x{0}-\x{10FFFF}";

/// The pattern in the other dialect, to be compiled for bytes. `work` is what its classes may still cost.
pub(super) fn translated(pattern: &str, work: &mut usize) -> Result<String, String> {
    let mut parser = Parser { rest: pattern, flags: Flags::default(), open: Vec::new(), group: Group::default(), work };
    while !parser.rest.is_empty() {
        parser.next()?;
    }
    if parser.open.is_empty() { Ok(parser.group.text) } else { Err("missing closing )".to_owned()) }
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    fold: bool,
    lines: bool,
    dot_all: bool,
}

/// A group as far as it was read.
#[derive(Default)]
struct Group {
    text: String,
    /// What held before it.
    outer: Flags,
    /// Where the last part begins that a repetition would apply to.
    last: Option<usize>,
    last_size: Size,
    /// Of the largest part before the last one, which may still become another.
    size: Size,
}

#[derive(Debug, Clone, Copy)]
struct Size {
    repeats: u32,
    depth: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { repeats: 1, depth: 1 }
    }
}

impl Group {
    fn begins(&mut self, size: Size) {
        self.grown(self.last_size);
        self.last = Some(self.text.len());
        self.last_size = size;
    }

    fn grown(&mut self, by: Size) {
        self.size.repeats = self.size.repeats.max(by.repeats);
        self.size.depth = self.size.depth.max(by.depth);
    }
}

struct Parser<'a> {
    rest: &'a str,
    flags: Flags,
    open: Vec<Group>,
    group: Group,
    work: &'a mut usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<(), String> {
        let Some(c) = self.rest.chars().next() else { return Ok(()) };
        match c {
            '(' => return self.opens(),
            ')' => return self.closes(),
            '[' => return self.class(),
            '\\' => return self.escaped(),
            '*' | '+' | '?' => return self.repeated(),
            '{' if repeat(self.rest).is_some() => return self.repeated(),
            '|' => {
                self.group.text.push('|');
                self.group.last = None;
            }
            '^' => self.part(if self.flags.lines { "(?m:^)" } else { r"\A" }),
            '$' => self.part(if self.flags.lines { "(?m:$)" } else { r"\z" }),
            '.' => self.part(if self.flags.dot_all { "(?s:.)" } else { r"[^\n]" }),
            c => self.literal(c),
        }
        self.rest = &self.rest[c.len_utf8()..];
        Ok(())
    }

    fn part(&mut self, text: &str) {
        self.group.begins(Size::default());
        self.group.text.push_str(text);
    }

    fn literal(&mut self, c: char) {
        self.group.begins(Size::default());
        let text = &mut self.group.text;
        let _ = match c {
            _ if !c.is_ascii_alphanumeric() && c.is_ascii() => write!(text, r"\x{{{:X}}}", u32::from(c)),
            _ if self.flags.fold => write!(text, "(?i:{c})"),
            c => write!(text, "{c}"),
        };
    }

    /// `(`, named, with flags or neither; or flags alone.
    fn opens(&mut self) -> Result<(), String> {
        let mut flags = self.flags;
        if let Some(named) = self.rest.strip_prefix("(?P<") {
            let (name, rest) = named.split_once('>').ok_or("invalid named capture")?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(format!("invalid named capture \"(?P<{name}>\""));
            }
            self.rest = rest;
        } else if let Some(perl) = self.rest.strip_prefix("(?") {
            let (mut on, mut seen) = (true, false);
            let bad = || format!("invalid or unsupported Perl syntax: {:?}", start(self.rest));
            let mut chars = perl.chars();
            let end = loop {
                match chars.next().ok_or("missing closing )")? {
                    'i' => flags.fold = on,
                    'm' => flags.lines = on,
                    's' => flags.dot_all = on,
                    'U' => {}
                    '-' if on => {
                        (on, seen) = (false, false);
                        continue;
                    }
                    end @ (':' | ')') if on || seen => break end,
                    _ => return Err(bad()),
                }
                seen = true;
            };
            self.rest = chars.as_str();
            if end == ')' {
                self.flags = flags;
                return Ok(());
            }
        } else {
            self.rest = &self.rest[1..];
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("it nests deeper than {MAX_DEPTH}"));
        }
        let inner = Group { text: "(?:".to_owned(), outer: self.flags, ..Group::default() };
        self.open.push(std::mem::replace(&mut self.group, inner));
        self.flags = flags;
        Ok(())
    }

    fn closes(&mut self) -> Result<(), String> {
        let outer = self.open.pop().ok_or("unexpected )")?;
        let mut group = std::mem::replace(&mut self.group, outer);
        group.grown(group.last_size);
        self.flags = group.outer;
        self.rest = &self.rest[1..];
        self.group.begins(deeper(group.size)?);
        self.group.text.push_str(&group.text);
        self.group.text.push(')');
        Ok(())
    }

    /// `*`, `+`, `?` or `{n,m}` after a part; two of them in a row are refused.
    fn repeated(&mut self) -> Result<(), String> {
        let before = self.rest;
        let (least, most, after) = match before.as_bytes()[0] {
            b'*' => (0, None, &before[1..]),
            b'+' => (1, None, &before[1..]),
            b'?' => (0, Some(1), &before[1..]),
            _ => repeat(before).ok_or("invalid repeat count")?,
        };
        let shown = &before[..before.len() - after.len()];
        if least > MAX_REPEAT || most.is_some_and(|most| most > MAX_REPEAT || most < least) {
            return Err(format!("invalid repeat count: {shown:?}"));
        }
        let after = after.strip_prefix('?').unwrap_or(after);
        if after.starts_with(['*', '+', '?']) || repeat(after).is_some() {
            return Err(format!("invalid nested repetition operator: {:?}", start(before)));
        }
        let Some(at) = self.group.last else {
            return Err(format!("missing argument to repetition operator: {shown:?}"));
        };
        let mut size = deeper(self.group.last_size)?;
        if shown.starts_with('{') {
            size.repeats = match most {
                // What is repeated never is not there.
                Some(0) => 1,
                most => size.repeats.saturating_mul(most.unwrap_or(least).max(1)),
            };
            if size.repeats > MAX_REPEAT {
                return Err(format!("invalid repeat count: {shown:?}"));
            }
        }
        self.group.text.insert_str(at, "(?:");
        self.group.text.push(')');
        self.group.text.push_str(shown);
        self.group.last_size = size;
        self.rest = after;
        Ok(())
    }

    fn escaped(&mut self) -> Result<(), String> {
        let second = self.rest[1..].chars().next();
        let anchor = match second {
            Some('A') => r"\A",
            Some('z') => r"\z",
            Some('b') => r"(?-u:\b)",
            Some('B') => r"(?-u:\B)",
            Some('Q') => {
                // Go wraps the pattern before it reads it: what is quoted to the end takes the wrapping's end with it.
                let (quoted, after) = self.rest[2..].split_once(r"\E").ok_or("missing closing )")?;
                quoted.chars().for_each(|c| self.literal(c));
                self.rest = after;
                return Ok(());
            }
            _ => {
                if let Some(set) = self.set()? {
                    let fold = self.flags.fold && !set.ascii;
                    self.cost(if fold { FOLD_ALL } else { 0 })?;
                    let set = if self.flags.fold { format!("(?i:[{}])", set.text) } else { format!("[{}]", set.text) };
                    self.part(&set);
                    return Ok(());
                }
                match self.escape()? {
                    Some(c) => self.literal(c),
                    None => self.part(&format!("[^{ANY}]")),
                }
                return Ok(());
            }
        };
        self.part(anchor);
        self.rest = &self.rest[2..];
        Ok(())
    }

    /// `\d`, `\pL` and their like, as the inside of brackets.
    fn set(&mut self) -> Result<Option<Set>, String> {
        let rest = self.rest;
        let Some(letter) = rest.strip_prefix('\\').and_then(|r| r.chars().next()) else { return Ok(None) };
        let inside = match letter.to_ascii_lowercase() {
            'd' => "0-9",
            's' => r"\t\n\f\r\x20",
            'w' => "0-9A-Za-z_",
            'p' => {
                let after = &rest[2..];
                let (name, after) = match after.strip_prefix('{') {
                    Some(braced) => braced.split_once('}').ok_or("invalid character class range")?,
                    None => after.split_at(after.chars().next().map_or(0, char::len_utf8)),
                };
                let (name, negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
                let negated = negated != (letter == 'P');
                let Some(inside) = unicode::class(name) else {
                    return Err(format!("invalid character class range: {:?}", &rest[..rest.len() - after.len()]));
                };
                self.cost(TABLE)?;
                self.rest = after;
                return Ok(Some(Set::new(&inside, negated, false)));
            }
            _ => return Ok(None),
        };
        self.rest = &rest[2..];
        Ok(Some(Set::new(inside, letter.is_ascii_uppercase(), true)))
    }

    /// A character after a backslash; `None` is a surrogate, which no text has.
    fn escape(&mut self) -> Result<Option<char>, String> {
        let shown = start(self.rest);
        let bad = || format!("invalid escape sequence: {shown:?}");
        let mut chars = self.rest[1..].chars();
        let code = match chars.next().ok_or("trailing backslash at end of expression")? {
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' => match chars.next().ok_or_else(bad)? {
                '{' => {
                    let (digits, after) = chars.as_str().split_once('}').ok_or_else(bad)?;
                    chars = after.chars();
                    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                        return Err(bad());
                    }
                    let digits = digits.trim_start_matches('0');
                    let code = if digits.is_empty() { Some(0) } else { u32::from_str_radix(digits, 16).ok() };
                    code.filter(|code| *code <= u32::from(char::MAX)).ok_or_else(bad)?
                }
                high => {
                    let low = chars.next().and_then(|c| c.to_digit(16)).ok_or_else(bad)?;
                    high.to_digit(16).ok_or_else(bad)? * 16 + low
                }
            },
            c @ '0'..='7' => {
                let octal = |c: &char| ('0'..='7').contains(c);
                let more = chars.as_str().chars().take(2).take_while(octal).count();
                // A digit alone that is not zero would refer back.
                if c != '0' && more == 0 {
                    return Err(bad());
                }
                let digits = &self.rest[1..2 + more];
                chars = self.rest[2 + more..].chars();
                u32::from_str_radix(digits, 8).map_err(|_| bad())?
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
            _ => return Err(bad()),
        };
        self.rest = chars.as_str();
        Ok(char::from_u32(code))
    }

    /// `[…]`.
    fn class(&mut self) -> Result<(), String> {
        let whole = self.rest;
        let missing = || format!("missing closing ]: {:?}", start(whole));
        self.rest = &whole[1..];
        let negated = self.rest.starts_with('^');
        self.rest = &self.rest[usize::from(negated)..];
        let mut text = String::new();
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.starts_with("[:")
                && let Some((name, after)) = self.rest[2..].split_once(":]")
            {
                let (name, not) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
                let inside =
                    unicode::posix(name).ok_or_else(|| format!("invalid character class range: \"[:{name}:]\""))?;
                self.rest = after;
                self.within(&mut text, &Set::new(inside, not, true))?;
                continue;
            }
            if let Some(set) = self.set()? {
                self.within(&mut text, &set)?;
                continue;
            }
            let before = self.rest;
            let low = self.class_character().ok_or_else(missing)??;
            let mut high = low;
            // Before the end it is a hyphen.
            if self.rest.starts_with('-') && !self.rest[1..].starts_with(']') && self.rest.len() > 1 {
                self.rest = &self.rest[1..];
                high = self.class_character().ok_or_else(missing)??;
                if high < low {
                    let shown = &before[..before.len() - self.rest.len()];
                    return Err(format!("invalid character class range: {shown:?}"));
                }
            }
            if self.flags.fold {
                self.cost((high - low) as usize)?;
            }
            // Surrogates are in no text.
            for (low, high) in [(low, high.min(0xd7ff)), (low.max(0xe000), high)] {
                if low <= high {
                    let _ = write!(text, r"\x{{{low:X}}}-\x{{{high:X}}}");
                }
            }
        }
        self.rest = &self.rest[1..];
        let (fold, text) = (self.flags.fold, if text.is_empty() { format!("[^{ANY}]") } else { text });
        let open = if fold { "(?i:[" } else { "[" };
        let (not, close) = (if negated { "^" } else { "" }, if fold { "])" } else { "]" });
        self.part(&format!("{open}{not}{text}{close}"));
        Ok(())
    }

    fn within(&mut self, text: &mut String, set: &Set) -> Result<(), String> {
        if self.flags.fold && (set.negated || !set.ascii) {
            self.cost(FOLD_ALL)?;
        }
        let _ = write!(text, "[{}]", set.text);
        Ok(())
    }

    /// A code point within brackets; `None` at the end of the pattern.
    fn class_character(&mut self) -> Option<Result<u32, String>> {
        let c = self.rest.chars().next()?;
        if c != '\\' {
            self.rest = &self.rest[c.len_utf8()..];
            return Some(Ok(u32::from(c)));
        }
        if self.rest.len() == 1 {
            return None;
        }
        Some(self.escape().map(|c| c.map_or(0xd800, u32::from)))
    }

    fn cost(&mut self, work: usize) -> Result<(), String> {
        let left = self.work.checked_sub(work);
        *self.work = left.ok_or("the request has too many large classes in its regular expressions")?;
        Ok(())
    }
}

/// The inside of brackets.
struct Set {
    text: String,
    negated: bool,
    ascii: bool,
}

impl Set {
    fn new(inside: &str, negated: bool, ascii: bool) -> Self {
        Self { text: format!("{}{inside}", if negated { "^" } else { "" }), negated, ascii }
    }
}

fn deeper(size: Size) -> Result<Size, String> {
    if size.depth < MAX_DEPTH {
        return Ok(Size { depth: size.depth + 1, ..size });
    }
    Err(format!("it nests deeper than {MAX_DEPTH}"))
}

/// The least and the most of `{n}`, `{n,}` or `{n,m}`, and what comes after; anything else is no repetition.
fn repeat(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let inside = text.strip_prefix('{')?;
    let (least, rest) = count(inside)?;
    let (most, rest) = match rest.strip_prefix(',') {
        None => (Some(least), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (most, rest) = count(rest)?;
            (Some(most), rest)
        }
    };
    Some((least, most, rest.strip_prefix('}')?))
}

/// A number without leading zeros; one that is too large for its type is larger than any that is allowed.
fn count(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}

/// Enough of a text to know it again.
fn start(text: &str) -> &str {
    text.char_indices().nth(8).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
