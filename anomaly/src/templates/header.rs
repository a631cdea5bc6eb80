//! What stands before the message of a line: when it was written, and klog's header.

use super::mask::VARIABLE;
use super::words::is_of_date;

/// Appends the skeleton of a header, and gives what follows it: a date and a time are one variable.
pub(super) fn mask<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    if let Some((level, rest)) = klog(text) {
        out.push(level);
        out.push(b' ');
        return rest;
    }
    let bracket = usize::from(text.first() == Some(&b'['));
    let inner = &text[bracket..];
    let Some(end) = stamp(inner) else { return text };
    let rest = &inner[end..];
    let rest = if bracket == 1 {
        let Some(rest) = rest.strip_prefix(b"]") else { return text };
        rest
    } else {
        rest
    };
    if !rest.first().is_none_or(u8::is_ascii_whitespace) {
        return text;
    }
    out.extend_from_slice(VARIABLE);
    let rest = rest.trim_ascii_start();
    if !rest.is_empty() {
        out.push(b' ');
    }
    rest
}

/// `E0923 12:00:00.000000       1 main.go:1] x`: the letter, and what follows the thread's number.
fn klog(text: &[u8]) -> Option<(u8, &[u8])> {
    let (letter, rest) = text.split_first()?;
    if !matches!(letter, b'I' | b'W' | b'E' | b'F') || !digits(rest, 4) || rest.get(4) != Some(&b' ') {
        return None;
    }
    let rest = &rest[5..];
    let rest = rest[clock(rest)?..].trim_ascii_start();
    let number = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = rest[number..].strip_prefix(b" ")?;
    (number > 0).then_some((*letter, rest))
}

/// The length of the date, the time or both at the start.
fn stamp(text: &[u8]) -> Option<usize> {
    let date = date(text).or_else(|| month(text));
    let Some(date) = date else { return clock(text) };
    let separator = match text.get(date) {
        Some(b'T' | b'-' | b'_' | b' ') => 1,
        // nginx and the access logs
        Some(b':') => 1,
        _ => return Some(date),
    };
    Some(clock(&text[date + separator..]).map_or(date, |time| date + separator + time))
}

/// `2026-11-28`, `2026/11/28`, `2026.11.28`, `28/Nov/2026`.
fn date(text: &[u8]) -> Option<usize> {
    let joins = |at: usize| matches!(text.get(at), Some(b'-' | b'/' | b'.'));
    let year_first = digits(text, 4) && joins(4) && digits(text.get(5..)?, 2) && joins(7) && digits(text.get(8..)?, 2);
    if year_first {
        return Some(10);
    }
    let named =
        digits(text, 2) && text.get(2) == Some(&b'/') && is_of_date(text.get(3..6)?) && digits(text.get(7..)?, 4);
    named.then_some(11)
}

/// `Nov 28`, `Nov  8`, as syslog has it.
fn month(text: &[u8]) -> Option<usize> {
    let day = text.get(4..6)?;
    let fits = is_of_date(&text[..3]) && text[3] == b' ' && (day[0] == b' ' || day[0].is_ascii_digit());
    (fits && day[1].is_ascii_digit()).then_some(6)
}

/// `12:00:00`, with a fraction and a zone where there is one.
fn clock(text: &[u8]) -> Option<usize> {
    let colon = |at: usize| text.get(at) == Some(&b':');
    if !(digits(text, 2) && colon(2) && digits(text.get(3..)?, 2) && colon(5) && digits(text.get(6..)?, 2)) {
        return None;
    }
    let mut at = 8;
    if matches!(text.get(at), Some(b'.' | b',')) {
        let fraction = text[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        at += if fraction > 0 { fraction + 1 } else { 0 };
    }
    let zone = &text[at..];
    if zone.first() == Some(&b'Z') {
        return Some(at + 1);
    }
    let blank = usize::from(zone.first() == Some(&b' '));
    if matches!(zone.get(blank), Some(b'+' | b'-')) && digits(zone.get(blank + 1..)?, 2) {
        let minutes = zone.get(blank + 3..).unwrap_or_default();
        let colon = usize::from(minutes.first() == Some(&b':'));
        at += blank + 3 + if digits(&minutes[colon..], 2) { colon + 2 } else { 0 };
    }
    Some(at)
}

/// Whether the text begins with so many digits, and no more.
fn digits(text: &[u8], n: usize) -> bool {
    text.get(..n).is_some_and(|d| d.iter().all(u8::is_ascii_digit)) && !text.get(n).is_some_and(u8::is_ascii_digit)
}
