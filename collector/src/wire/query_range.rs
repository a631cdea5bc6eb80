//! `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1.5,"2"]]}]}}`: what
//! Prometheus, and those that speak as it does, answer to a query over a range.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use whyd_signals::sink::{Counts, DecodeError, RawLabels, Refusal, SampleSink};
use whyd_signals::{Range, SeriesId, Timestamp};

use super::write::label;

/// The NaN that Prometheus makes of no number; its JSON writes every NaN alike.
const NAN: u64 = 0x7ff8_0000_0000_0001;

/// Decodes an answer. [`Counts::rows`] are the samples handed over, refused ones included; what lies outside of `range` is
/// passed over. A series that lacks one of `labels` is given it.
///
/// # Errors
/// [`DecodeError::Malformed`], one line that names what is wrong: JSON, another result than a matrix, a time or value that
/// is none.
pub fn decode(
    body: &[u8],
    range: Range,
    labels: &BTreeMap<String, String>,
    sink: &mut impl SampleSink,
) -> Result<Counts, DecodeError> {
    let malformed = |e: serde_json::Error| DecodeError::Malformed(e.to_string().replace('\n', " "));
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(malformed)?;
    if answer.data.result_type != "matrix" {
        let kind: String = answer.data.result_type.chars().take(40).collect();
        return Err(DecodeError::Malformed(format!("the result is a {kind}, not a matrix")));
    }
    let mut matrix = Matrix { range, labels, sink, raw: Vec::new(), counts: Counts::default() };
    let mut json = serde_json::Deserializer::from_str(answer.data.result.get());
    (&mut matrix).deserialize(&mut json).map_err(malformed)?;
    Ok(matrix.counts)
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
    result_type: Cow<'a, str>,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    metric: BTreeMap<Text<'a>, Text<'a>>,
    #[serde(borrow, default)]
    values: Option<&'a RawValue>,
    #[serde(default)]
    histograms: Vec<IgnoredAny>,
}

/// A string that borrows where it can.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Matrix<'l, 's, S> {
    range: Range,
    labels: &'l BTreeMap<String, String>,
    sink: &'s mut S,
    raw: Vec<u8>,
    counts: Counts,
}

impl<S: SampleSink> Matrix<'_, '_, S> {
    fn series(&mut self, series: &Series<'_>) -> Result<(), serde_json::Error> {
        self.counts.histograms += series.histograms.len() as u64;
        let Some(values) = series.values else { return Ok(()) };
        let given = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut all: BTreeMap<&str, &str> = given.collect();
        all.extend(series.metric.iter().map(|(name, value)| (&*name.0, &*value.0)));
        self.raw.clear();
        all.into_iter().for_each(|pair| label(pair, &mut self.raw));
        let Self { range, sink, raw, counts, .. } = self;
        let samples = Samples { range: *range, sink: *sink, raw, counts };
        samples.deserialize(&mut serde_json::Deserializer::from_str(values.get()))
    }
}

impl<'de, S: SampleSink> DeserializeSeed<'de> for &mut Matrix<'_, '_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de, S: SampleSink> Visitor<'de> for &mut Matrix<'_, '_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(series) = seq.next_element::<Series<'de>>()? {
            self.series(&series).map_err(|e| A::Error::custom(format!("result[{index}].values: {e}")))?;
            index += 1;
        }
        Ok(())
    }
}

/// The samples of one series.
struct Samples<'s, S> {
    range: Range,
    sink: &'s mut S,
    raw: &'s [u8],
    counts: &'s mut Counts,
}

impl<'de, S: SampleSink> DeserializeSeed<'de> for Samples<'_, S> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de, S: SampleSink> Visitor<'de> for Samples<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of times and values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut resolved: Option<Result<SeriesId, Refusal>> = None;
        let mut refused = 0;
        while let Some((seconds, text)) = seq.next_element::<(f64, Text<'de>)>()? {
            let ts = time(seconds).ok_or_else(|| A::Error::custom(format!("{seconds} s is out of range")))?;
            let value = number(&text.0).ok_or_else(|| {
                A::Error::custom(format!("{:?} is not a number", text.0.chars().take(40).collect::<String>()))
            })?;
            if !self.range.contains(ts) {
                continue;
            }
            self.counts.rows += 1;
            match *resolved.get_or_insert_with(|| self.sink.series(RawLabels(self.raw))) {
                // a refusal is counted by the sink that makes it
                Ok(id) => drop(self.sink.sample(id, ts, value)),
                Err(_) => refused += 1,
            }
        }
        if let Some(Err(why)) = resolved {
            self.sink.refused(refused, why);
        }
        Ok(())
    }
}

/// Seconds with three digits of fraction, which a double holds exactly enough.
fn time(seconds: f64) -> Option<Timestamp> {
    let ms = (seconds * 1e3).round();
    (ms.abs() < 9e15).then(|| Timestamp::from_millis(ms as i64)).flatten()
}

/// A value as Go writes it.
fn number(text: &str) -> Option<f64> {
    if text == "NaN" { Some(f64::from_bits(NAN)) } else { text.parse().ok() }
}

#[cfg(test)]
mod tests;
