//! From text to tokens, with a bound on both: what comes after never sees a query that is too long.

use super::error::Error;

/// The most bytes that a query may have.
pub(crate) const MAX_BYTES: usize = 64 << 10;
/// The most tokens that a query may have.
pub(super) const MAX_TOKENS: usize = 8192;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword.
    Ident(String),
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    Text(String),
    Sign(&'static str),
    End,
}

/// A token and the byte that it starts at.
pub(super) type Placed = (Token, usize);

/// Longer ones first.
const SIGNS: [&str; 24] = [
    "=~", "!~", "==", "!=", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", "=", "+", "-", "*", "/", "%", "^", "<", ">",
    "@", ":",
];

/// The tokens of a query, [`Token::End`] last.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::bad(format!("the query has {} bytes, more than {MAX_BYTES}", text.len())));
    }
    let mut out = Vec::new();
    let mut at = 0;
    let mut in_brackets = false;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else {
            out.push((Token::End, at));
            return Ok(out);
        };
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (token, length) = one(rest, first, in_brackets).map_err(|why| parse_error(text, at, &why))?;
        match token {
            Token::Sign("[") => in_brackets = true,
            Token::Sign("]") => in_brackets = false,
            _ => {}
        }
        if out.len() == MAX_TOKENS {
            return Err(Error::bad(format!("the query has more than {MAX_TOKENS} tokens")));
        }
        out.push((token, at));
        at += length;
    }
}

/// An error at a byte of the query, as Prometheus places it.
pub(super) fn parse_error(text: &str, at: usize, why: &str) -> Error {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |n| n + 1) + 1;
    Error::bad(format!("{line}:{column}: parse error: {why}"))
}

/// The token that `rest` begins with and its length. Within brackets a colon is no part of a name.
fn one(rest: &str, first: char, in_brackets: bool) -> Result<(Token, usize), String> {
    if first.is_ascii_digit() || first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return number(rest);
    }
    if matches!(first, '"' | '\'' | '`') {
        let (text, length) = quoted(rest, first)?;
        return Ok((Token::Text(text), length));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' && !in_brackets;
    if is_name(first) {
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        return Ok((Token::Ident(rest[..length].to_owned()), length));
    }
    match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err(format!("unexpected character: {first:?}")),
    }
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    if let Some(ms) = duration(&rest[..length]) {
        return Ok((Token::Duration(ms?), length));
    }
    let run = |from: usize, is: fn(&char) -> bool| from + rest[from..].chars().take_while(is).count();
    let hex = rest.starts_with("0x") || rest.starts_with("0X");
    let is: fn(&char) -> bool = if hex { char::is_ascii_hexdigit } else { char::is_ascii_digit };
    let mut end = run(if hex { 2 } else { 0 }, is);
    if rest[end..].starts_with('.') {
        end = run(end + 1, is);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        end = run(end + 1 + sign, char::is_ascii_digit);
    }
    if rest[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        let shown = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len()).max(end);
        return Err(format!("bad number or duration syntax: {:?}", &rest[..shown]));
    }
    let text = &rest[..end];
    let value = value(text).ok_or_else(|| format!("error parsing number: {text:?}"))?;
    Ok((Token::Number(value), end))
}

/// As Go reads it: a whole number in its base if it can be, where a leading zero means octal, else a decimal fraction.
fn value(text: &str) -> Option<f64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().map(|whole| whole as f64);
    }
    if let Some(octal) = text.strip_prefix('0')
        && let Ok(whole) = i64::from_str_radix(octal, 8)
        && octal.bytes().all(|b| b.is_ascii_digit())
    {
        return Some(whole as f64);
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A duration such as `1h30m` in milliseconds, its units in falling order as Prometheus wants them; `None` when it is
/// none, an error when it is too long.
pub(super) fn duration(text: &str) -> Option<Result<i64, String>> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let (mut rest, mut unit, mut total) = (text, 0, Some(0_i64));
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0)?;
        let name = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        let found = unit + UNITS.get(unit..)?.iter().position(|(n, _)| *n == &rest[digits..name])?;
        let part = rest[..digits].parse::<i64>().ok().and_then(|n| n.checked_mul(UNITS[found].1));
        total = total.zip(part).and_then(|(a, b)| a.checked_add(b));
        unit = found + 1;
        rest = &rest[name..];
    }
    // What Go's durations hold: 292 years.
    (!text.is_empty()).then(|| total.filter(|ms| *ms < i64::MAX / 1_000_000).ok_or("duration out of range".to_owned()))
}

/// A string literal by Go's rules and its length with the quotes.
fn quoted(rest: &str, quote: char) -> Result<(String, usize), String> {
    let open = || "unterminated quoted string".to_owned();
    if quote == '`' {
        let end = rest[1..].find('`').ok_or_else(open)?;
        return Ok((rest[1..=end].to_owned(), end + 2));
    }
    let mut bytes = Vec::new();
    let mut at = 1;
    loop {
        let c = rest[at..].chars().next().filter(|c| *c != '\n').ok_or_else(open)?;
        at += c.len_utf8();
        if c == quote {
            break;
        }
        if c == '\\' {
            at += escape(&rest[at..], quote, &mut bytes)?;
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| "the string is not UTF-8".to_owned())?;
    Ok((text, at))
}

/// What stands after a backslash; its length.
fn escape(rest: &str, quote: char, out: &mut Vec<u8>) -> Result<usize, String> {
    let c = rest.chars().next().ok_or("escape sequence not terminated")?;
    let plain = match c {
        'a' => Some(7),
        'b' => Some(8),
        'f' => Some(12),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(11),
        '\\' => Some(b'\\'),
        c if c == quote => Some(c as u8),
        _ => None,
    };
    if let Some(byte) = plain {
        out.push(byte);
        return Ok(1);
    }
    let (skip, digits, radix) = match c {
        '0'..='7' => (0, 3, 8),
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        c => return Err(format!("unknown escape sequence {c:?}")),
    };
    let bad = || "escape sequence is not valid".to_owned();
    let code = rest.get(skip..skip + digits).filter(|d| d.bytes().all(|b| b.is_ascii_alphanumeric()));
    let code = code.and_then(|d| u32::from_str_radix(d, radix).ok()).ok_or_else(bad)?;
    if digits > 3 {
        let c = char::from_u32(code).ok_or_else(bad)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.push(u8::try_from(code).map_err(|_| bad())?);
    }
    Ok(skip + digits)
}
