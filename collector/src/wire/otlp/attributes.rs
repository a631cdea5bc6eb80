//! Attributes and their values as text: a string as it is, anything else as JSON has it.

use std::borrow::Cow;
use std::fmt::Write as _;

use whyd_signals::sink::{DecodeError, Pair};

use crate::wire::protobuf::{Reader, Value};

/// More of them on one resource, point or record than this, or more buckets, and the body is refused.
pub(super) const MOST: usize = 1024;
/// How deep values may lie in one another.
pub(super) const DEPTH: usize = 32;

const KEY: u32 = 1;
const VALUE: u32 = 2;
const STRING: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: u32 = 5;
const KVLIST: u32 = 6;
const BYTES: u32 = 7;
const VALUES: u32 = 1;

/// Adds one to a list of [`MOST`] at most.
pub(super) fn push<T>(list: &mut Vec<T>, item: T, what: &str) -> Result<(), DecodeError> {
    if list.len() >= MOST {
        return Err(DecodeError::Malformed(format!("more than {MOST} {what} in one place")));
    }
    list.push(item);
    Ok(())
}

/// Reads one `KeyValue` of a list.
pub(super) fn pair<'a>(message: &'a [u8], pairs: &mut Vec<Pair<'a>>) -> Result<(), DecodeError> {
    let (key, value) = key_value(message)?;
    push(pairs, (Cow::Borrowed(key), text(value)?), "attributes")
}

/// An `AnyValue` as text; nothing is the empty text.
pub(super) fn text(value: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    match any(value)? {
        None => Ok(Cow::Borrowed("")),
        Some((STRING, value)) => utf8(value.bytes("string_value")?, "string_value").map(Cow::Borrowed),
        Some((BYTES, value)) => Ok(Cow::Owned(base64(value.bytes("bytes_value")?))),
        Some((number, value)) => {
            let mut out = String::new();
            write(number, value, DEPTH, &mut out)?;
            Ok(Cow::Owned(out))
        }
    }
}

/// The last field of an `AnyValue` that is one of its kinds.
fn any(message: &[u8]) -> Result<Option<(u32, Value<'_>)>, DecodeError> {
    let mut found = None;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        if (STRING..=BYTES).contains(&number) {
            found = Some((number, value));
        }
    }
    Ok(found)
}

fn key_value(message: &[u8]) -> Result<(&str, &[u8]), DecodeError> {
    let (mut key, mut value) = ("", &[][..]);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            KEY => key = utf8(field.bytes("key")?, "key")?,
            VALUE => value = field.bytes("value")?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Writes a value as JSON.
fn write(number: u32, value: Value<'_>, depth: usize, out: &mut String) -> Result<(), DecodeError> {
    let inner = depth.checked_sub(1).ok_or_else(too_deep)?;
    match number {
        STRING => quote(out, utf8(value.bytes("string_value")?, "string_value")?),
        BOOL => out.push_str(if value.int("bool_value")? == 0 { "false" } else { "true" }),
        // writing to a string cannot fail
        INT => drop(write!(out, "{}", value.int("int_value")?)),
        DOUBLE => number_text(out, value.double("double_value")?),
        BYTES => quote(out, &base64(value.bytes("bytes_value")?)),
        ARRAY => {
            let mut list = List::open(out, "[");
            let mut reader = Reader::new(value.bytes("array_value")?);
            while let Some((number, value)) = reader.field()? {
                if number == VALUES {
                    list.next();
                    nested(value.bytes("values")?, inner, list.out)?;
                }
            }
            list.out.push(']');
        }
        KVLIST => {
            let mut list = List::open(out, "{");
            let mut reader = Reader::new(value.bytes("kvlist_value")?);
            while let Some((number, value)) = reader.field()? {
                if number == VALUES {
                    let (key, value) = key_value(value.bytes("values")?)?;
                    list.next();
                    quote(list.out, key);
                    list.out.push(':');
                    nested(value, inner, list.out)?;
                }
            }
            list.out.push('}');
        }
        _ => out.push_str("null"),
    }
    Ok(())
}

fn nested(message: &[u8], depth: usize, out: &mut String) -> Result<(), DecodeError> {
    match any(message)? {
        Some((number, value)) => write(number, value, depth, out),
        None => {
            out.push_str("null");
            Ok(())
        }
    }
}

/// Puts commas between the items of a list.
pub(super) struct List<'o> {
    pub(super) out: &'o mut String,
    first: bool,
}

impl<'o> List<'o> {
    pub(super) fn open(out: &'o mut String, bracket: &str) -> Self {
        out.push_str(bracket);
        Self { out, first: true }
    }

    pub(super) fn next(&mut self) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
    }
}

/// A number as JSON has it; what JSON has no number for is a string, as in protobuf's own JSON.
pub(super) fn number_text(out: &mut String, value: f64) {
    match serde_json::Number::from_f64(value) {
        Some(number) => drop(write!(out, "{number}")),
        None if value.is_nan() => out.push_str("\"NaN\""),
        None if value > 0.0 => out.push_str("\"Infinity\""),
        None => out.push_str("\"-Infinity\""),
    }
}

/// A JSON string.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Base64 with padding, which is how bytes are written as text.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let six = (bits >> (18 - 6 * digit)) & 63;
            let known = digit <= three.len();
            out.push(if known { DIGITS.get(six as usize).map_or('=', |d| char::from(*d)) } else { '=' });
        }
    }
    out
}

/// Ids are hexadecimal wherever they are text.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // writing to a string cannot fail
        let _ = write!(out, "{byte:02x}");
    }
    out
}

pub(super) fn utf8<'a>(bytes: &'a [u8], field: &str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Malformed(format!("{field}: not UTF-8")))
}

pub(super) fn too_deep() -> DecodeError {
    DecodeError::Malformed(format!("values lie more than {DEPTH} deep in one another"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_text() {
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
        assert_eq!(hex(&[0, 0xab, 0x10]), "00ab10");
    }
}
