//! From a line to its skeleton, by how it is written: JSON, logfmt, a frame of a stack trace, or text behind the usual
//! headers. What is not recognised is text.

use super::mask::{self, VARIABLE};
use super::words::{self, blanks, is_blank, is_of_word};
use super::{header, json, trace};

/// A line is read up to here; what differs later is not told apart.
const MAX_LINE: usize = 4096;

/// Writes the skeleton of `line` over `out`. It is text, since only whole words are left out.
pub(super) fn skeleton(line: &str, out: &mut Vec<u8>) {
    out.clear();
    let mut end = line.len().min(MAX_LINE);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let text = &line.as_bytes()[..end];
    let indent = blanks(text);
    let rest = &text[indent..];
    if let Some(frame) = trace::frame(rest, indent > 0) {
        out.extend_from_slice(frame);
        return;
    }
    if json::is_object(rest) {
        json::mask(rest, out);
        return;
    }
    let rest = header::mask(rest, out);
    if is_logfmt(rest) { logfmt(rest, out) } else { mask::mask(rest, out) }
}

/// Where the value of the pair begins that this text begins with.
fn pair(text: &[u8]) -> Option<usize> {
    let name = text.iter().take_while(|b| words::is_of_name(**b)).count();
    (name > 0 && !text[0].is_ascii_digit() && text.get(name) == Some(&b'=')).then_some(name + 1)
}

/// The end of the value at the start of this text, quoted or not.
fn value(text: &[u8]) -> usize {
    let bare = || text.iter().position(|b| is_blank(*b)).unwrap_or(text.len());
    let quoted = text.strip_prefix(b"\"").and_then(words::closing_quote).map(|end| end + 2);
    quoted.unwrap_or_else(bare)
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    at + text.get(at..).map_or(0, blanks)
}

/// Two pairs of name and value, one after the other, at the start.
fn is_logfmt(text: &[u8]) -> bool {
    let Some(first) = pair(text) else { return false };
    let end = first + value(&text[first..]);
    let next = skip_blanks(text, end);
    next > end && pair(&text[next..]).is_some()
}

/// Names are kept and values vary, but for what the line says and what tells its kind.
fn logfmt(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    loop {
        if at > 0 && at < text.len() {
            out.push(b' ');
        }
        let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) else { return };
        let Some(start) = pair(rest) else {
            let word = value(rest).max(1);
            mask::mask(&rest[..word], out);
            at = skip_blanks(text, at + word);
            continue;
        };
        let end = start + value(&rest[start..]);
        out.extend_from_slice(&rest[..start]);
        field(&rest[..start - 1], &rest[start..end], out);
        let next = skip_blanks(text, at + end);
        if text[at + end..next].contains(&b'\n') {
            return;
        }
        at = next;
    }
}

/// The value of a field: words where it is a message, itself where it tells the kind of line, else a variable.
pub(super) fn field(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if words::is_message_key(key) {
        mask::mask(value, out);
    } else if words::is_kind_key(key) && !value.iter().any(u8::is_ascii_digit) {
        out.extend_from_slice(value);
    } else if !value.is_empty() {
        out.extend_from_slice(VARIABLE);
    }
}

/// The words of a skeleton in whose place others may stand, as ranges: constant, no name of a field, no level, no method,
/// no path, and not the first. With how many constant words there are in all.
pub(super) fn places(skeleton: &[u8]) -> (Vec<std::ops::Range<usize>>, usize) {
    let (mut found, mut constants, mut at) = (Vec::new(), 0, 0);
    while at < skeleton.len() {
        if skeleton[at..].starts_with(VARIABLE) {
            at += VARIABLE.len();
            continue;
        }
        if !is_of_word(skeleton[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < skeleton.len() && is_of_word(skeleton[at]) && !skeleton[at..].starts_with(VARIABLE) {
            at += 1;
        }
        let word = &skeleton[start..at];
        if !word.iter().any(|b| b.is_ascii_alphabetic() || *b >= 128) {
            continue;
        }
        constants += 1;
        let next = skeleton.get(at..).unwrap_or_default();
        let names = next.starts_with(b"=") || next.starts_with(b"\":") || next.starts_with(b"://");
        let joined = start > 0 && skeleton[..start].ends_with(VARIABLE) || next.starts_with(VARIABLE);
        let fixed = names || joined || words::is_level(word) || words::is_method(word) || word[0] == b'/';
        if constants > 1 && !fixed {
            found.push(start..at);
        }
    }
    (found, constants)
}
