//! `{"streams":[{"stream":{"app":"web"},"values":[["<ns>","line",{"pod":"web-1"}]]}]}`, and what a query answers:
//! `{"data":{"resultType":"streams","result":[...]}}` of the same streams, where the third of an entry is
//! `{"structuredMetadata":{"pod":"web-1"},"parsed":{}}` since it was asked for by `categorize-labels`.
//!
//! Strings borrow from the body where they hold no escape, and lines with one share a buffer. The values of a stream
//! are read after its labels, whichever of the two fields comes first.

use std::borrow::Cow;
use std::fmt;
use std::num::IntErrorKind;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use whyd_signals::Timestamp;
use whyd_signals::sink::{Counts, DecodeError, LogSink, Pair, Refusal, tells_streams_apart};

use super::{Resolved, sort};

/// Decodes an inflated body. [`Counts::rows`] are the lines handed over, refused ones included.
///
/// # Errors
/// [`DecodeError::Malformed`], one line that names the field at fault; lines handed over before it are the caller's
/// to roll back.
pub fn decode_json(body: &[u8], sink: &mut impl LogSink) -> Result<Counts, DecodeError> {
    let mut counts = Counts::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    Push { sink, lines: &mut counts.rows }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|e| DecodeError::Malformed(e.to_string().replace('\n', " ")))?;
    Ok(counts)
}

/// Decodes the answer to a query for lines. [`Counts::rows`] are the lines handed over, refused ones included.
///
/// # Errors
/// As of [`decode_json`]; that the result is no streams.
pub fn decode_query(body: &[u8], sink: &mut impl LogSink) -> Result<Counts, DecodeError> {
    let malformed = |e: serde_json::Error| DecodeError::Malformed(e.to_string().replace('\n', " "));
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(malformed)?;
    if answer.data.result_type.0 != "streams" {
        return Err(DecodeError::Malformed(format!(
            "the result is a {}, not streams",
            answer.data.result_type.brief()
        )));
    }
    let mut counts = Counts::default();
    let streams = Streams { sink, lines: &mut counts.rows, layout: Layout::Query };
    streams.deserialize(&mut serde_json::Deserializer::from_str(answer.data.result.get())).map_err(malformed)?;
    Ok(counts)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    result_type: Text<'a>,
    #[serde(borrow)]
    result: &'a RawValue,
}

/// The whole body.
struct Push<'s, S> {
    sink: &'s mut S,
    lines: &'s mut u64,
}

impl<'de, S: LogSink> DeserializeSeed<'de> for Push<'_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de, S: LogSink> Visitor<'de> for Push<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the field `streams`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.0 == "streams" {
                seen = true;
                map.next_value_seed(Streams { sink: self.sink, lines: self.lines, layout: Layout::Push })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if seen { Ok(()) } else { Err(A::Error::missing_field("streams")) }
    }
}

/// How the third of an entry is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// The structured metadata itself.
    Push,
    /// The structured metadata under its name, beside what a query parsed.
    Query,
}

struct Streams<'s, S> {
    sink: &'s mut S,
    lines: &'s mut u64,
    layout: Layout,
}

impl<'de, S: LogSink> DeserializeSeed<'de> for Streams<'_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de, S: LogSink> Visitor<'de> for Streams<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of streams")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        while seq
            .next_element_seed(Stream { sink: self.sink, lines: self.lines, layout: self.layout, index })?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }
}

/// One stream with its lines.
struct Stream<'s, S> {
    sink: &'s mut S,
    lines: &'s mut u64,
    layout: Layout,
    index: usize,
}

impl<'de, S: LogSink> DeserializeSeed<'de> for Stream<'_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de, S: LogSink> Visitor<'de> for Stream<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the fields `stream` and `values`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { sink, lines, layout, index } = self;
        let (mut labels, mut seen) = (None, false);
        // Values that stand before the labels are passed over, and read once the labels are known.
        let mut early: Option<&'de RawValue> = None;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match (&*key.0, &labels) {
                ("stream", None) => {
                    let mut pairs = map.next_value::<Pairs<'de>>()?.0;
                    sort(&mut pairs);
                    labels = Some(pairs);
                }
                ("stream", Some(_)) => return Err(A::Error::duplicate_field("stream")),
                ("values", _) if seen => return Err(A::Error::duplicate_field("values")),
                ("values", Some(labels)) => {
                    seen = true;
                    map.next_value_seed(Entries { sink, lines, labels, layout }).map_err(|e| of_stream(index, &e))?;
                }
                ("values", None) => {
                    seen = true;
                    early = Some(map.next_value()?);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let labels = labels.ok_or_else(|| A::Error::missing_field("stream"))?;
        if !seen {
            return Err(A::Error::missing_field("values"));
        }
        if let Some(values) = early {
            let mut json = serde_json::Deserializer::from_str(values.get());
            let entries = Entries { sink, lines, labels: &labels, layout };
            entries.deserialize(&mut json).map_err(|e| of_stream(index, &e))?;
        }
        Ok(())
    }
}

fn of_stream<E: de::Error>(index: usize, e: &impl fmt::Display) -> E {
    E::custom(format!("streams[{index}].values: {e}"))
}

/// The lines of one stream.
struct Entries<'s, 'l, S> {
    sink: &'s mut S,
    lines: &'s mut u64,
    labels: &'l [Pair<'l>],
    layout: Layout,
}

impl<'de, S: LogSink> DeserializeSeed<'de> for Entries<'_, '_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de, S: LogSink> Visitor<'de> for Entries<'_, '_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let (mut metadata, mut before, mut unescaped) = (Vec::new(), Vec::new(), String::new());
        let mut last: Option<Resolved> = None;
        loop {
            metadata.clear();
            let entry = Entry { layout: self.layout, metadata: &mut metadata, unescaped: &mut unescaped };
            let Some((ts, line)) = seq.next_element_seed(entry)? else { return Ok(()) };
            *self.lines += 1;
            let Some(ts) = ts else {
                self.sink.refused(1, Refusal::OutOfRange);
                continue;
            };
            sort(&mut metadata);
            let resolved = match last {
                Some(resolved) if before == metadata => resolved,
                _ => {
                    let resolved = self.sink.stream(self.labels, &metadata);
                    std::mem::swap(&mut before, &mut metadata);
                    *last.insert(resolved)
                }
            };
            match resolved {
                // a refusal is counted by the sink that makes it
                Ok(id) => drop(self.sink.line(id, ts, line.unwrap_or(&unescaped))),
                Err(why) => self.sink.refused(1, why),
            }
        }
    }
}

/// `["<ns>", "line"]` or `["<ns>", "line", {metadata}]`. Gives the time, where it can be held, and
/// the line, `None` where it is in `unescaped`; of the metadata what tells streams apart goes into `metadata`.
struct Entry<'e, 'a> {
    layout: Layout,
    metadata: &'e mut Vec<Pair<'a>>,
    unescaped: &'e mut String,
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for Entry<'_, 'a> {
    type Value = (Option<Timestamp>, Option<&'a str>);
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Entry<'_, 'a> {
    type Value = (Option<Timestamp>, Option<&'a str>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry of timestamp, line and optional metadata")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let ts: Text<'de> = seq.next_element()?.ok_or_else(|| A::Error::custom("entry without a timestamp"))?;
        let at = match ts.0.parse() {
            Ok(ns) => Some(Timestamp(ns)),
            Err(e) if matches!(e.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => None,
            Err(_) => {
                let brief = ts.brief();
                return Err(A::Error::custom(format!("timestamp {brief:?} is not a number of nanoseconds")));
            }
        };
        let line = seq
            .next_element_seed(Unescaped(self.unescaped))?
            .ok_or_else(|| A::Error::custom("entry without a line"))?;
        let third = match self.layout {
            Layout::Push => seq.next_element_seed(Metadata(self.metadata))?,
            Layout::Query => seq.next_element_seed(Categories(self.metadata))?,
        };
        if third.is_some() && seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("entry with more than timestamp, line and metadata"));
        }
        Ok((at, line))
    }
}

/// A string as it lies in the body, or, where it holds an escape, in this buffer.
struct Unescaped<'e>(&'e mut String);

impl<'de> DeserializeSeed<'de> for Unescaped<'_> {
    type Value = Option<&'de str>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Unescaped<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, s: &'de str) -> Result<Self::Value, E> {
        Ok(Some(s))
    }

    fn visit_str<E: de::Error>(self, s: &str) -> Result<Self::Value, E> {
        self.0.clear();
        self.0.push_str(s);
        Ok(None)
    }
}

/// The third of an entry that a query answers: of it the structured metadata.
struct Categories<'e, 'a>(&'e mut Vec<Pair<'a>>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Categories<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Categories<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of categories of labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.0 == "structuredMetadata" {
                map.next_value_seed(Metadata(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// An object of strings, of which those that tell streams apart are kept.
struct Metadata<'e, 'a>(&'e mut Vec<Pair<'a>>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Metadata<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Metadata<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            if tells_streams_apart(&name.0) {
                self.0.push((name.0, value.0));
            }
        }
        Ok(())
    }
}

/// An object of strings, in the order of the body.
struct Pairs<'a>(Vec<Pair<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
                    pairs.push((name.0, value.0));
                }
                Ok(Pairs(pairs))
            }
        }
        d.deserialize_map(V)
    }
}

/// A string that borrows where it can.
struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    /// Its start, for an error text.
    fn brief(&self) -> String {
        self.0.chars().take(40).collect()
    }
}

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
        }
        d.deserialize_str(V)
    }
}
