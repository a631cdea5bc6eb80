//! Lines that are a JSON object: names are kept, values vary, but for what the line says and what tells its kind.
//!
//! The line is walked, not parsed: one that is cut off, or no JSON at all, has a skeleton too.

use super::line::field;
use super::mask::VARIABLE;
use super::words;

/// Whether this text begins as an object does.
pub(super) fn is_object(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"{") else { return false };
    matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}'))
}

/// Appends the skeleton of the object, without blanks.
pub(super) fn mask(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    let mut key: Option<&[u8]> = None;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let rest = &text[at + 1..];
                let len = words::closing_quote(rest).unwrap_or(rest.len());
                let string = &rest[..len];
                at = (at + len + 2).min(text.len());
                let colon = text[at..].iter().position(|b| !b.is_ascii_whitespace());
                if let (None, Some(colon)) = (key, colon.filter(|n| text[at + n] == b':')) {
                    out.push(b'"');
                    out.extend_from_slice(string);
                    out.extend_from_slice(b"\":");
                    key = Some(string);
                    at += colon + 1;
                } else {
                    string_of(key.take(), string, out);
                }
            }
            b'[' => {
                out.extend_from_slice(b"[<*>]");
                at += end_of_array(&text[at..]);
                key = None;
            }
            b'{' | b'}' | b',' => {
                out.push(*byte);
                key = None;
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'{' | b'}' | b'[' | b',');
                at += 1 + text[at + 1..].iter().position(ends).unwrap_or(text.len() - at - 1);
                out.extend_from_slice(VARIABLE);
                key = None;
            }
        }
    }
}

/// A string value; of a message the first row counts.
fn string_of(key: Option<&[u8]>, string: &[u8], out: &mut Vec<u8>) {
    let key = key.unwrap_or_default();
    let quoted = words::is_message_key(key) || words::is_kind_key(key);
    if !quoted {
        out.extend_from_slice(VARIABLE);
        return;
    }
    let first_row = memchr::memmem::find(string, b"\\n").map_or(string, |end| &string[..end]);
    out.push(b'"');
    field(key, first_row, out);
    out.push(b'"');
}

/// The length of the array that this text begins with, or of all where it does not end.
fn end_of_array(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += words::closing_quote(&text[at + 1..]).map_or(text.len(), |len| len + 1),
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}
