//! Labels as bytes: parsing what came, and the one canonical form in which a label set is kept.

use std::fmt;
use std::sync::Arc;

use whyd_signals::sink::Refusal;

/// The label that holds the metric's name.
pub(crate) const NAME: &str = "__name__";

/// The sorted labels of one series or stream.
///
/// Held as the protobuf `Label` fields they are sent as, in one allocation that the index compares with: a million
/// series do not afford a string a label.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels(Arc<[u8]>);

impl Labels {
    /// From canonical bytes, as [`canonicalise`] or [`encode`] made them.
    pub(crate) fn from_canonical(bytes: Arc<[u8]>) -> Self {
        Self(bytes)
    }

    /// The canonical bytes.
    pub(crate) fn canonical(&self) -> &Arc<[u8]> {
        &self.0
    }

    /// Name and value pairs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        Fields(&self.0).map_while(Result::ok)
    }

    /// The value of one label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// As a JSON object.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(self.0.len() * 2);
        for (i, (name, value)) in self.iter().enumerate() {
            out.push(if i == 0 { '{' } else { ',' });
            quote(&mut out, name);
            out.push(':');
            quote(&mut out, value);
        }
        if out.is_empty() {
            out.push('{');
        }
        out.push('}');
        out
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Walks the `Label` fields of a time series: `0x0a len { 0x0a len name, 0x12 len value }`, repeated.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(&'a str, &'a str), Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let label = label(&mut self.0);
        if label.is_none() {
            self.0 = &[];
        }
        Some(label.ok_or(Refusal::InvalidLabels))
    }
}

fn label<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, &'a str)> {
    let (0x0a, mut body) = field(rest)? else { return None };
    let (mut name, mut value) = ("", "");
    while !body.is_empty() {
        let (tag, bytes) = field(&mut body)?;
        let text = std::str::from_utf8(bytes).ok()?;
        match tag {
            0x0a => name = text,
            0x12 => value = text,
            _ => return None,
        }
    }
    Some((name, value))
}

/// One length-delimited field: its tag and its bytes.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, after) = rest.split_first()?;
    let (mut len, mut shift, mut bytes) = (0usize, 0, after);
    loop {
        let (byte, more) = bytes.split_first()?;
        bytes = more;
        len |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
        if shift > 28 {
            return None;
        }
    }
    let (body, after) = bytes.split_at_checked(len)?;
    *rest = after;
    Some((*tag, body))
}

fn varint(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn varint_len(n: usize) -> usize {
    (usize::BITS - (n | 1).leading_zeros()).div_ceil(7) as usize
}

/// Writes sorted pairs in the canonical form.
pub(crate) fn encode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    for (name, value) in pairs {
        let body = 2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len();
        out.push(0x0a);
        varint(out, body);
        for (tag, text) in [(0x0a, name), (0x12, value)] {
            out.push(tag);
            varint(out, text.len());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// The values of `keep` and `drop` where both are said once; then `out` is the labels without `drop`, else it is of no use.
pub(crate) fn take_out<'a>(raw: &'a [u8], keep: &str, drop: &str, out: &mut Vec<u8>) -> Option<(&'a str, &'a str)> {
    out.clear();
    let (mut kept, mut dropped) = (None, None);
    let mut rest = raw;
    while !rest.is_empty() {
        let before = rest;
        let (name, value) = label(&mut rest)?;
        let place = if name == drop {
            &mut dropped
        } else {
            out.extend_from_slice(before.get(..before.len() - rest.len()).unwrap_or_default());
            if name != keep {
                continue;
            }
            &mut kept
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    kept.zip(dropped).filter(|(kept, dropped)| !kept.is_empty() && !dropped.is_empty())
}

/// Sorts the labels of a metric series into `out`; an empty value is no label.
///
/// # Errors
/// [`Refusal::InvalidLabels`] when the bytes are no labels, a name is empty or twice there, or none is `__name__`.
pub(crate) fn canonicalise(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut pairs = Fields(raw).collect::<Result<Vec<_>, _>>()?;
    pairs.sort_unstable();
    let repeated = pairs.windows(2).any(|w| w[0].0 == w[1].0);
    if repeated || pairs.iter().any(|(n, _)| n.is_empty()) || !pairs.iter().any(|(n, v)| *n == NAME && !v.is_empty()) {
        return Err(Refusal::InvalidLabels);
    }
    out.clear();
    encode(pairs.into_iter().filter(|(_, v)| !v.is_empty()), out);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    /// The bytes of these labels, in this order.
    pub(crate) fn raw(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(pairs.iter().copied(), &mut out);
        out
    }

    fn check(pairs: &[(&str, &str)], expected: Result<&str, Refusal>) {
        let mut out = Vec::new();
        let got = canonicalise(&raw(pairs), &mut out);
        let got = got.map(|()| Labels::from_canonical(out.as_slice().into()).to_json());
        assert_eq!(got.as_deref().map_err(|e| *e), expected, "{pairs:?}");
    }

    #[test]
    fn canonical_form() {
        check(&[("__name__", "up"), ("a", "1")], Ok(r#"{"__name__":"up","a":"1"}"#));
        check(&[("a", "1"), ("__name__", "up")], Ok(r#"{"__name__":"up","a":"1"}"#));
        check(&[("__name__", "up"), ("a", "")], Ok(r#"{"__name__":"up"}"#));
        check(&[("__name__", "up"), ("a", "\"\\\n")], Ok(r#"{"__name__":"up","a":"\"\\\u000a"}"#));
        check(&[("a", "1")], Err(Refusal::InvalidLabels));
        check(&[("__name__", "")], Err(Refusal::InvalidLabels));
        check(&[("__name__", "up"), ("a", "1"), ("a", "2")], Err(Refusal::InvalidLabels));
        check(&[("__name__", "up"), ("", "1")], Err(Refusal::InvalidLabels));
        check(&[], Err(Refusal::InvalidLabels));
    }

    #[test]
    fn long_values_have_long_lengths() {
        let long = "x".repeat(70_000);
        let mut out = Vec::new();
        canonicalise(&raw(&[("__name__", "up"), ("a", &long)]), &mut out).unwrap();
        assert_eq!(Labels::from_canonical(out.as_slice().into()).get("a"), Some(long.as_str()));
    }

    proptest! {
        #[test]
        fn any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            if canonicalise(&bytes, &mut out).is_ok() {
                let once = out.clone();
                canonicalise(&once, &mut out).unwrap();
                prop_assert_eq!(once, out);
            }
        }
    }
}
