//! JSON that stands in a text, as in `labels`, `members` and `evidence`: read where it lies, and no tree is made of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

/// What an object has under a name, of several the last; nothing where the text is no object or has none.
pub(super) fn under<'a>(text: &'a str, name: &str) -> Option<&'a RawValue> {
    let mut json = Deserializer::from_str(text);
    let found = json.deserialize_map(Under(name)).ok()?;
    json.end().ok()?;
    found
}

/// What a list has at a place, counted from nought, and from its end where that is negative.
pub(super) fn at(text: &str, place: i64) -> Option<&RawValue> {
    let place = match usize::try_from(place) {
        Ok(place) => place,
        Err(_) => {
            let mut all = 0_usize;
            each(text, |_| {
                all += 1;
                Ok::<(), ()>(())
            })?
            .ok()?;
            all.checked_sub(usize::try_from(place.unsigned_abs()).ok()?)?
        }
    };
    let (mut found, mut n) = (None, 0_usize);
    each(text, |item| {
        found = if n == place { Some(item) } else { found };
        n += 1;
        Ok::<(), ()>(())
    })?
    .ok()?;
    found
}

/// Hands over each item of a list, one after another, until one is refused; nothing where the text is no list, of which some may have
/// been handed over by then.
pub(super) fn each<'a, E>(text: &'a str, of: impl FnMut(&'a RawValue) -> Result<(), E>) -> Option<Result<(), E>> {
    let mut refused = None;
    let mut json = Deserializer::from_str(text);
    let read = json.deserialize_seq(Each { of, refused: &mut refused }).and_then(|()| json.end());
    match (refused, read) {
        (Some(why), _) => Some(Err(why)),
        (None, Ok(())) => Some(Ok(())),
        (None, Err(_)) => None,
    }
}

/// As PostgreSQL's `->>` has it: a text without its quotes, anything else as it is written, and nothing for `null`.
pub(super) fn plain(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok().map(Cow::Owned),
        other => Some(Cow::Borrowed(other)),
    }
}

struct Under<'n>(&'n str);

impl<'de> Visitor<'de> for Under<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Is(self.0))? {
            if is_it {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a name is this one.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

struct Each<'r, F, E> {
    of: F,
    refused: &'r mut Option<E>,
}

impl<'de, E, F: FnMut(&'de RawValue) -> Result<(), E>> Visitor<'de> for Each<'_, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element::<&RawValue>()? {
            if let Err(why) = (self.of)(item) {
                *self.refused = Some(why);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_where_it_lies() {
        let of = |found: Option<&RawValue>| found.and_then(plain).map(Cow::into_owned);
        for (text, name, is) in [
            (r#"{"a": "x", "b\u0022": [1, {"c": null}], "a": "y\n"}"#, "a", Some("y\n")),
            (r#"{"b\u0022": [1, {"c": null}]}"#, "b\"", Some(r#"[1, {"c": null}]"#)),
            (r#"{"a": null}"#, "a", None),
            (r#"{"a": 1.50}"#, "a", Some("1.50")),
            (r#"{"a": 1} more"#, "a", None),
            (r#"{"a": 1"#, "a", None),
            (r#"["a"]"#, "a", None),
            ("", "a", None),
        ] {
            assert_eq!(of(under(text, name)).as_deref(), is, "{text}");
        }
        let list = r#" ["x", null, {"a": [1]}, 4] "#;
        for (place, is) in [
            (0, Some("x")),
            (1, None),
            (2, Some(r#"{"a": [1]}"#)),
            (3, Some("4")),
            (4, None),
            (-1, Some("4")),
            (-4, Some("x")),
            (-5, None),
            (i64::MIN, None),
            (i64::MAX, None),
        ] {
            assert_eq!(of(at(list, place)).as_deref(), is, "{place}");
        }
        assert_eq!((of(at("[1, 2", 0)), of(at("[1] 2", 0)), of(at(r#"{"0": 1}"#, 0))), (None, None, None));
        // Nested as deep as somebody likes.
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(of(at(&deep, 0)).map(|inner| inner.len()), Some(199_998));
    }
}
