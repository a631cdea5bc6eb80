//! What a line says of its level. One look at its first bytes marks where words begin and where keys end; only there it is
//! looked at again.

use super::marks::{BLOCK, Marks};
use super::{Level, named};

/// How much of a line is looked at.
const LOOKED_AT: usize = 512;
/// Words looked at where the line starts with a time.
const WORDS: usize = 6;

#[inline]
pub(super) fn by(bytes: &[u8]) -> Option<Level> {
    let text = bytes.get(..LOOKED_AT).unwrap_or(bytes).trim_ascii_start();
    let first = text.first()?;
    if matches!(first, b'I' | b'W' | b'E' | b'F')
        && let Some(level) = klog(text)
    {
        return Some(level);
    }
    let marks = Marks::of(text);
    if *first == b'{' {
        field(text, marks, true)
    } else if *first == b'<' && text.get(1).is_some_and(u8::is_ascii_digit) {
        syslog(text).or_else(|| leading(text, marks))
    } else if starts_with_field(text, marks) {
        field(text, marks, false).or_else(|| leading(text, marks))
    } else {
        leading(text, marks).or_else(|| field(text, marks, false))
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
fn starts_with_field(text: &[u8], first: Marks) -> bool {
    if first.spaces.trailing_zeros() < first.keys.trailing_zeros() {
        return false;
    }
    let name = text.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
    name > 0 && text.get(name) == Some(&b'=')
}

/// `level=x`, `lvl="x"`, `"severity": "x"`, `"level":30`.
#[inline]
fn field(text: &[u8], first: Marks, json: bool) -> Option<Level> {
    let mut keys = first.keys;
    while keys != 0 {
        let at = keys.trailing_zeros() as usize;
        if may_end_a_key(text, at)
            && let Some(level) = field_at(text, at, json)
        {
            return Some(level);
        }
        keys &= keys - 1;
    }
    let rest = text.get(BLOCK..).filter(|rest| !rest.is_empty())?;
    let mut keys = memchr::memchr2_iter(b':', b'=', rest).map(|at| BLOCK + at);
    keys.find_map(|at| if may_end_a_key(text, at) { field_at(text, at, json) } else { None })
}

/// Whether what is before this place may be the key of a level: most fields are told by one byte.
#[inline]
fn may_end_a_key(text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    before.is_some_and(|b| is_last_letter(*b) || *b == b'"' || b.is_ascii_whitespace())
}

/// Whether a key of a level ends in this.
#[inline]
fn is_last_letter(b: u8) -> bool {
    matches!(b.to_ascii_lowercase(), b'l' | b'y' | b'e' | b't')
}

/// What the field says whose key ends here.
fn field_at(text: &[u8], at: usize, json: bool) -> Option<Level> {
    const KEYS: [&str; 7] = ["level", "lvl", "severity", "levelname", "loglevel", "log_level", "severity_text"];
    let before = text.get(..at)?;
    let before = before.trim_ascii_end();
    let before = before.strip_suffix(b"\"").unwrap_or(before);
    if !before.last().is_some_and(|b| is_last_letter(*b)) {
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
#[inline]
fn leading(text: &[u8], first: Marks) -> Option<Level> {
    if may_say(text)
        && let Some(level) = token_says(text, true)
    {
        return Some(level);
    }
    let end = match first.spaces.trailing_zeros() as usize {
        BLOCK => text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len()),
        end => end,
    };
    let token = text.get(..end)?;
    // How all end that tell of an exception.
    if token.last().is_some_and(|b| matches!(b, b':' | b'n' | b'r' | b'k')) && is_exception(bare(token)) {
        return Some(Level::Error);
    }
    let (mut left, mut after_space) = (WORDS, 1);
    let (mut block, mut spaces, mut from) = (text, first.spaces, 0);
    loop {
        let filled = if block.len() < BLOCK { (1 << block.len()) - 1 } else { u64::MAX };
        let mut begun = !spaces & (spaces << 1 | after_space) & filled;
        while begun != 0 {
            let token = text.get(from + begun.trailing_zeros() as usize..)?;
            // The first was looked at already; most others are words in the middle of a sentence, or numbers.
            if left < WORDS
                && !token.first().is_some_and(u8::is_ascii_lowercase)
                && may_say(token)
                && let Some(level) = token_says(token, false)
            {
                return Some(level);
            }
            begun &= begun - 1;
            left -= 1;
            if left == 0 {
                return None;
            }
        }
        after_space = spaces >> (BLOCK - 1);
        from += BLOCK;
        block = text.get(from..).filter(|block| !block.is_empty())?;
        spaces = Marks::of(block).spaces;
    }
}

/// What may stand before a word that is set apart.
#[inline]
fn is_opening(b: u8) -> bool {
    matches!(b, b'[' | b'(' | b'<' | b'"' | b'|')
}

/// A token without what opens it.
fn bare(token: &[u8]) -> &[u8] {
    let opening = token.iter().take_while(|b| is_opening(**b)).count();
    token.get(opening..).unwrap_or_default()
}

/// Whether a token may be the name of a level: most are told by two letters.
#[inline]
fn may_say(token: &[u8]) -> bool {
    let [a, b, ..] = token else { return false };
    may_begin(*a, *b) || is_opening(*a) && (is_opening(*b) || b.is_ascii_alphabetic())
}

/// What a token says by itself; what comes after it may follow.
fn token_says(token: &[u8], is_first: bool) -> Option<Level> {
    let bare = bare(token);
    let [a, b, ..] = bare else { return None };
    if !may_begin(*a, *b) {
        return None;
    }
    let name = word(bare);
    // In the middle of a sentence "error" is just a word, so there it must be set apart.
    let apart = is_first || bare.len() < token.len() || name.iter().all(u8::is_ascii_uppercase);
    let joined = bare.get(name.len()).is_some_and(|b| matches!(b, b'-' | b'_' | b'.'));
    if apart && !joined { named(name) } else { None }
}

/// The first two letters of all names of levels.
const BEGINNINGS: [&[u8; 2]; 17] = [
    b"in", b"er", b"em", b"wa", b"wr", b"de", b"db", b"fa", b"ft", b"pa", b"pn", b"cr", b"al", b"tr", b"no", b"se",
    b"ve",
];

/// Of each first letter a bit for each second.
const SECONDS: [u32; 26] = {
    let mut seconds = [0; 26];
    let mut n = 0;
    while n < BEGINNINGS.len() {
        seconds[(BEGINNINGS[n][0] - b'a') as usize] |= 1 << (BEGINNINGS[n][1] - b'a');
        n += 1;
    }
    seconds
};

/// Whether some name of a level begins with these two letters.
#[inline]
fn may_begin(a: u8, b: u8) -> bool {
    let letter = |b: u8| b.to_ascii_lowercase().wrapping_sub(b'a');
    let seconds = SECONDS.get(usize::from(letter(a))).copied().unwrap_or(0);
    letter(b) < 26 && seconds >> letter(b) & 1 == 1
}

/// How an uncaught exception is told: by its class, or as a trace.
fn is_exception(token: &[u8]) -> bool {
    let name = token.strip_suffix(b":").unwrap_or(token);
    let class = name.len() > 9 && (name.ends_with(b"Exception") || name.ends_with(b"Error"));
    token == b"Traceback" || class && (name.len() < token.len() || name.contains(&b'.'))
}
