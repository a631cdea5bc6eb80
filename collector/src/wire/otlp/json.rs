//! What the JSON forms of metrics and logs share: the protobuf mapping with OTLP's own exceptions.
//!
//! A message is read level by level: the levels below are skipped over as text and read in their turn, whatever the
//! order of the keys. Nothing recurses but [`value`], under its own bound.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use whyd_signals::sink::{DecodeError, Pair};

use super::attributes::{DEPTH, List, number_text, push, quote, too_deep};
use super::resource::Resource;

/// A message, or a list of them, that is read later.
pub(super) type Later<'a> = Option<&'a RawValue>;

fn malformed(error: &serde_json::Error) -> DecodeError {
    DecodeError::Malformed(error.to_string().replace('\n', " "))
}

/// A message is an object. Derived code would take a list of its fields' values as well.
struct Message<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Message<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = Message<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message, which is an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Message<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Message)
            }
        }
        d.deserialize_map(V(PhantomData))
    }
}

/// Reads a whole body.
pub(super) fn body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(body).map(|Message(read)| read).map_err(|e| malformed(&e))
}

/// Reads one message; none is an empty one.
pub(super) fn read<'a, T: Deserialize<'a> + Default>(raw: Later<'a>) -> Result<T, DecodeError> {
    let Some(raw) = raw else { return Ok(T::default()) };
    serde_json::from_str(raw.get()).map(|Message(read)| read).map_err(|e| malformed(&e))
}

/// Reads a list of messages, one at a time; no list is an empty one.
pub(super) fn messages<'a, T: Deserialize<'a>>(
    raw: Later<'a>,
    mut then: impl FnMut(T) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    each(raw, |Message(read)| then(read))
}

/// Reads a list of anything, one at a time; no list is an empty one.
pub(super) fn each<'a, T: Deserialize<'a>>(
    raw: Later<'a>,
    then: impl FnMut(T) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    struct Items<'o, T, F> {
        then: F,
        failed: &'o mut Option<DecodeError>,
        item: PhantomData<T>,
    }
    impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), DecodeError>> Visitor<'de> for Items<'_, T, F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
            while let Some(item) = seq.next_element::<T>()? {
                if let Err(error) = (self.then)(item) {
                    *self.failed = Some(error);
                    return Err(de::Error::custom("an item is malformed"));
                }
            }
            Ok(())
        }
    }
    let Some(raw) = raw else { return Ok(()) };
    let mut failed = None;
    let items = Items { then, failed: &mut failed, item: PhantomData };
    let mut json = serde_json::Deserializer::from_str(raw.get());
    let read = json.deserialize_seq(items);
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, read) => read.map_err(|e| malformed(&e)),
    }
}

/// A string that borrows where it can; null is the empty one.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, s: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(s)))
            }

            fn visit_str<E: de::Error>(self, s: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(s.to_owned())))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
        }
        d.deserialize_any(V)
    }
}

/// An integer of 64 bits, as a number or in a string; null is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Int(pub(super) i128);

impl Int {
    /// Where nothing negative has a meaning.
    pub(super) fn unsigned(self, field: &str) -> Result<u64, DecodeError> {
        u64::try_from(self.0).map_err(|_| out_of_range(field, self.0))
    }

    pub(super) fn signed(self, field: &str) -> Result<i64, DecodeError> {
        i64::try_from(self.0).map_err(|_| out_of_range(field, self.0))
    }
}

fn out_of_range(field: &str, number: i128) -> DecodeError {
    DecodeError::Malformed(format!("{field}: {number} is out of range"))
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Int;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer or a string that holds one")
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Int, E> {
                Ok(Int(n.into()))
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Int, E> {
                Ok(Int(n.into()))
            }

            fn visit_str<E: de::Error>(self, s: &str) -> Result<Int, E> {
                let number = s.parse::<i64>().map(i128::from).or_else(|_| s.parse::<u64>().map(i128::from));
                number.map(Int).map_err(|_| E::invalid_value(Unexpected::Str(s.get(..40).unwrap_or(s)), &self))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Int, E> {
                Ok(Int(0))
            }
        }
        d.deserialize_any(V)
    }
}

/// A number, or in a string a number, `NaN`, `Infinity` or `-Infinity`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Double(pub(super) f64);

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Double;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a string that holds one")
            }

            fn visit_f64<E: de::Error>(self, x: f64) -> Result<Double, E> {
                Ok(Double(x))
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Double, E> {
                Ok(Double(n as f64))
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Double, E> {
                Ok(Double(n as f64))
            }

            fn visit_str<E: de::Error>(self, s: &str) -> Result<Double, E> {
                s.parse().map(Double).map_err(|_| E::invalid_value(Unexpected::Str(s.get(..40).unwrap_or(s)), &self))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Double, E> {
                Ok(Double(0.0))
            }
        }
        d.deserialize_any(V)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResourceJson<'a> {
    #[serde(borrow)]
    attributes: Later<'a>,
}

/// Reads a resource.
pub(super) fn resource(raw: Later<'_>) -> Result<Resource<'_>, DecodeError> {
    let resource: ResourceJson<'_> = read(raw)?;
    let mut pairs = Vec::new();
    attributes(resource.attributes, &mut pairs)?;
    Ok(Resource::of(pairs))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct KeyValue<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    value: Later<'a>,
}

/// Reads a list of attributes.
pub(super) fn attributes<'a>(raw: Later<'a>, pairs: &mut Vec<Pair<'a>>) -> Result<(), DecodeError> {
    messages(raw, |pair: KeyValue<'a>| push(pairs, (pair.key.0, text(pair.value)?), "attributes"))
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    bool_value: Option<bool>,
    int_value: Option<Int>,
    double_value: Option<Double>,
    #[serde(borrow)]
    array_value: Later<'a>,
    #[serde(borrow)]
    kvlist_value: Later<'a>,
    #[serde(borrow)]
    bytes_value: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Values<'a> {
    #[serde(borrow)]
    values: Later<'a>,
}

/// An `AnyValue` as text; nothing is the empty text.
pub(super) fn text(raw: Later<'_>) -> Result<Cow<'_, str>, DecodeError> {
    let mut any: AnyValue<'_> = read(raw)?;
    if let Some(text) = any.string_value.take().or_else(|| any.bytes_value.take()) {
        return Ok(text.0);
    }
    let mut out = String::new();
    value(&any, DEPTH, &mut out)?;
    Ok(if out == "null" { Cow::Borrowed("") } else { Cow::Owned(out) })
}

/// Writes a value as plain JSON.
fn value(any: &AnyValue<'_>, depth: usize, out: &mut String) -> Result<(), DecodeError> {
    let inner = depth.checked_sub(1).ok_or_else(too_deep)?;
    if let Some(text) = any.string_value.as_ref().or(any.bytes_value.as_ref()) {
        quote(out, &text.0);
    } else if let Some(yes) = any.bool_value {
        out.push_str(if yes { "true" } else { "false" });
    } else if let Some(int) = any.int_value {
        out.push_str(&int.signed("intValue")?.to_string());
    } else if let Some(double) = any.double_value {
        number_text(out, double.0);
    } else if any.array_value.is_some() {
        let mut list = List::open(out, "[");
        messages(read::<Values<'_>>(any.array_value)?.values, |item: AnyValue<'_>| {
            list.next();
            value(&item, inner, list.out)
        })?;
        out.push(']');
    } else if any.kvlist_value.is_some() {
        let mut list = List::open(out, "{");
        messages(read::<Values<'_>>(any.kvlist_value)?.values, |pair: KeyValue<'_>| {
            list.next();
            quote(list.out, &pair.key.0);
            list.out.push(':');
            value(&read(pair.value)?, inner, list.out)
        })?;
        out.push('}');
    } else {
        out.push_str("null");
    }
    Ok(())
}
