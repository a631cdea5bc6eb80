//! What a line says of its level, byte by byte: what the fast way is held against.

use super::super::{Level, named};

/// How much of a line is looked at.
const LOOKED_AT: usize = 512;
/// Words looked at where the line starts with a time.
const WORDS: usize = 6;

pub(super) fn by(bytes: &[u8]) -> Option<Level> {
    let start = bytes.get(..LOOKED_AT).unwrap_or(bytes).trim_ascii_start();
    match start.first() {
        None => None,
        Some(b'{') => field(start, true),
        Some(b'<') if start.get(1).is_some_and(u8::is_ascii_digit) => syslog(start).or_else(|| leading(start)),
        Some(_) if starts_with_field(start) => field(start, false).or_else(|| leading(start)),
        Some(_) => klog(start).or_else(|| leading(start)).or_else(|| field(start, false)),
    }
}

/// The numbers of bunyan and pino.
fn numbered(digits: &[u8]) -> Option<Level> {
    match digits {
        b"10" => Some(Level::Trace),
        b"20" => Some(Level::Debug),
        b"30" => Some(Level::Info),
        b"40" => Some(Level::Warn),
        b"50" => Some(Level::Error),
        b"60" => Some(Level::Fatal),
        _ => None,
    }
}

/// `ts=...`: the line begins with a field of logfmt.
fn starts_with_field(text: &[u8]) -> bool {
    let name = text.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
    name > 0 && text.get(name) == Some(&b'=')
}

/// `level=x`, `lvl="x"`, `"severity": "x"`, `"level":30`.
fn field(text: &[u8], json: bool) -> Option<Level> {
    const KEYS: [&str; 7] = ["level", "lvl", "severity", "levelname", "loglevel", "log_level", "severity_text"];
    memchr::memchr2_iter(b':', b'=', text).find_map(|at| {
        let before = text.get(..at)?.trim_ascii_end();
        let before = before.strip_suffix(b"\"").unwrap_or(before);
        // The last letters of all keys, so that most other fields cost one comparison.
        if !matches!(before.last()?.to_ascii_lowercase(), b'l' | b'y' | b'e' | b't') {
            return None;
        }
        let len = before.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let key = before.get(before.len() - len..)?;
        if !KEYS.iter().any(|k| k.as_bytes().eq_ignore_ascii_case(key)) {
            return None;
        }
        let value = text.get(at + 1..)?.trim_ascii_start();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 {
            return numbered(value.get(..digits)?).filter(|_| json);
        }
        named(word(value))
    })
}

/// `E0923 12:00:00.000000 ...`
fn klog(text: &[u8]) -> Option<Level> {
    let (letter, rest) = text.split_first()?;
    let date = rest.get(..5)?;
    if !date.iter().take(4).all(u8::is_ascii_digit) || date.last() != Some(&b' ') {
        return None;
    }
    match letter {
        b'I' => Some(Level::Info),
        b'W' => Some(Level::Warn),
        b'E' => Some(Level::Error),
        b'F' => Some(Level::Fatal),
        _ => None,
    }
}

/// `<134>1 2026-...`: the priority is eight times the facility and the severity.
fn syslog(text: &[u8]) -> Option<Level> {
    let digits = text.get(1..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = text.get(1..=digits).filter(|_| digits <= 3 && text.get(digits + 1) == Some(&b'>'))?;
    let priority = number.iter().fold(0u32, |n, digit| n * 10 + u32::from(digit - b'0'));
    Some(match priority % 8 {
        0..=2 => Level::Fatal,
        3 => Level::Error,
        4 => Level::Warn,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    })
}

fn word(text: &[u8]) -> &[u8] {
    let end = text.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    text.get(..end).unwrap_or_default()
}

/// `ERROR: ...`, `[warn] ...`, `2026-11-22T10:00:00Z INFO ...`, `panic: ...`, `ValueError: ...`, `Traceback ...`.
fn leading(text: &[u8]) -> Option<Level> {
    let tokens = text.split(u8::is_ascii_whitespace).filter(|t| !t.is_empty());
    for (i, token) in tokens.take(WORDS).enumerate() {
        // Most tokens are words in the middle of a sentence, or numbers.
        if i > 0 && token.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            continue;
        }
        let opening = token.iter().take_while(|b| matches!(b, b'[' | b'(' | b'<' | b'"' | b'|')).count();
        let bare = token.get(opening..).unwrap_or_default();
        let name = word(bare);
        let after = bare.get(name.len());
        // In the middle of a sentence "error" is just a word, so there it must be set apart.
        let apart = i == 0 || opening > 0 || name.iter().all(u8::is_ascii_uppercase);
        if apart
            && !after.is_some_and(|b| matches!(b, b'-' | b'_' | b'.'))
            && let Some(level) = named(name)
        {
            return Some(level);
        }
        if i == 0 && is_exception(bare) {
            return Some(Level::Error);
        }
    }
    None
}

/// How an uncaught exception is told: by its class, or as a trace.
fn is_exception(token: &[u8]) -> bool {
    let name = token.strip_suffix(b":").unwrap_or(token);
    let class = name.len() > 9 && (name.ends_with(b"Exception") || name.ends_with(b"Error"));
    token == b"Traceback" || class && (name.len() < token.len() || name.contains(&b'.'))
}
