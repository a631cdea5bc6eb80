//! Which labels were too many or too long: looked for in the body once more, after the core has refused some of it.
//!
//! What a sender wrote is repeated to it in short, without what a terminal would act on.

use bytes::Bytes;
use whyd_signals::sink::{Counts, DecodeError, LogSink, Pair, RawLabels, Refusal, SampleSink};
use whyd_signals::{Compression, Media, SeriesId, StreamId, Timestamp};

use crate::wire::inflate::{Inflater, decoded_len};
use crate::wire::protobuf::Reader;
use crate::wire::{loki, remote_write1, remote_write2};

/// Bytes of a body that is looked through again, as it came and inflated: so few take a moment.
pub(super) const MOST: usize = 1 << 20;
/// Bytes of a name that are repeated.
const NAME: usize = 64;
/// The name of the metric, and fields of a label in remote write.
const METRIC: &str = "__name__";
const LABEL_NAME: u32 = 1;
const LABEL_VALUE: u32 = 2;

/// How many labels one series or stream may have, and how many bytes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelLimits {
    /// How many.
    pub labels: usize,
    /// How many bytes together.
    pub bytes: usize,
}

impl Default for LabelLimits {
    fn default() -> Self {
        Self { labels: 128, bytes: 16 << 10 }
    }
}

/// What is over a limit in this body first, in words; the limits alone where it is not found.
pub(super) fn words(body: Option<&Bytes>, media: Media, limits: LabelLimits) -> String {
    let mut found = Over { limits, of: "series", words: None };
    if let Some(body) = body {
        // The core has decoded it already; what is wrong with it further on does not matter here.
        let _ = look(body, media, &mut found);
    }
    found.words.unwrap_or_else(|| {
        format!("a series or stream may have {} labels, of {} bytes together", limits.labels, limits.bytes)
    })
}

fn look(body: &Bytes, media: Media, found: &mut Over) -> Result<Counts, DecodeError> {
    let mut inflater = Inflater::default();
    match media {
        Media::RemoteWrite1(compression) => {
            decoded_len(body, compression, MOST)?;
            remote_write1::decode(body, compression, &mut inflater, found)
        }
        Media::RemoteWrite2(compression) => {
            decoded_len(body, compression, MOST)?;
            remote_write2::decode(body, compression, &mut inflater, &mut remote_write2::Scratch::new(0), found)
        }
        Media::LokiProto => {
            decoded_len(body, Compression::Snappy, MOST)?;
            loki::decode_proto(body, inflater.buffer(), found)
        }
        Media::LokiJson if body.len() <= MOST => loki::decode_json(body, found),
        _ => Ok(Counts::default()),
    }
}

struct Over {
    limits: LabelLimits,
    of: &'static str,
    words: Option<String>,
}

impl Over {
    fn judge<'a>(&mut self, bytes: usize, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        if self.words.is_some() {
            return;
        }
        let many = labels.clone().count();
        let metric = labels.clone().find(|(name, _)| *name == METRIC).map(|(_, value)| value);
        let whose = metric.map_or(String::new(), |metric| format!(" of {}", plain(metric)));
        if many > self.limits.labels {
            self.words = Some(format!("{many} labels{whose}; a {} may have {}", self.of, self.limits.labels));
        } else if bytes > self.limits.bytes
            && let Some((name, value)) = labels.max_by_key(|(name, value)| name.len() + value.len())
        {
            let long = name.len() + value.len();
            self.words = Some(format!(
                "label {}{whose} has {long} of {bytes} bytes; the labels of a {} may have {}",
                plain(name),
                self.of,
                self.limits.bytes
            ));
        }
    }
}

/// A name as it can be shown anywhere: cut, and without what controls or turns what is read.
fn plain(name: &str) -> String {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::new();
    for c in name.chars().filter(|c| !unseen(*c)) {
        if shown.len() + c.len_utf8() > NAME {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    format!("\"{shown}\"")
}

/// Name and value of a label as remote write has it; what is no text is none.
fn label(field: &[u8]) -> Option<(&str, &str)> {
    let (mut name, mut value) = ("", "");
    let mut reader = Reader::new(field);
    while let Ok(Some((number, found))) = reader.field() {
        match number {
            LABEL_NAME => name = std::str::from_utf8(found.bytes("name").ok()?).ok()?,
            LABEL_VALUE => value = std::str::from_utf8(found.bytes("value").ok()?).ok()?,
            _ => {}
        }
    }
    Some((name, value))
}

impl SampleSink for Over {
    fn series(&mut self, labels: RawLabels<'_>) -> Result<SeriesId, Refusal> {
        if self.words.is_none() {
            let mut pairs = Vec::new();
            let mut reader = Reader::new(labels.0);
            while let Ok(Some((_, field))) = reader.field() {
                pairs.extend(field.bytes("labels").ok().and_then(label));
            }
            self.judge(labels.0.len(), pairs.into_iter());
        }
        Ok(SeriesId(0))
    }
    fn sample(&mut self, _: SeriesId, _: Timestamp, _: f64) -> Result<(), Refusal> {
        Ok(())
    }
    fn refused(&mut self, _: u64, _: Refusal) {}
}

impl LogSink for Over {
    fn stream(&mut self, labels: &[Pair<'_>], metadata: &[Pair<'_>]) -> Result<StreamId, Refusal> {
        self.of = "stream";
        let own = |name: &str| labels.iter().any(|(n, _)| n == name);
        let more = metadata.iter().filter(|(n, _)| whyd_signals::sink::tells_streams_apart(n) && !own(n));
        let all = labels.iter().chain(more).map(|(n, v)| (n.as_ref(), v.as_ref()));
        // What stands beside each in the key.
        let bytes = all.clone().map(|(n, v): (&str, &str)| n.len() + v.len()).sum();
        self.judge(bytes, all);
        Ok(StreamId(0))
    }
    fn line(&mut self, _: StreamId, _: Timestamp, _: &str) -> Result<(), Refusal> {
        Ok(())
    }
    fn refused(&mut self, _: u64, _: Refusal) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(labels: &str) -> Bytes {
        Bytes::from(format!("{{\"streams\":[{{\"stream\":{{{labels}}},\"values\":[[\"1\",\"a\"]]}}]}}"))
    }

    #[test]
    fn the_first_that_is_over_is_named_and_what_it_wrote_is_tamed() {
        let limits = LabelLimits { labels: 3, bytes: 100 };
        let said = |body: &Bytes| words(Some(body), Media::LokiJson, limits);
        let long = "x".repeat(101);
        assert_eq!(
            said(&pushed(&format!("\"app\":\"a\",\"path\":\"{long}\""))),
            "label \"path\" has 105 of 109 bytes; the labels of a stream may have 100"
        );
        assert_eq!(said(&pushed("\"a\":\"1\",\"b\":\"1\",\"c\":\"1\",\"d\":\"1\"")), "4 labels; a stream may have 3");
        let sound = said(&pushed("\"app\":\"a\""));
        assert_eq!(sound, "a series or stream may have 3 labels, of 100 bytes together");
        assert_eq!(said(&Bytes::from_static(b"no json")), sound);
        // A name that would turn a terminal's colours, be read backwards, and fill a log.
        let hostile = format!("\"\\u001b[31m\\u202e\\r\\n{}\":\"{long}\"", "ä".repeat(5_000));
        let said = said(&pushed(&hostile));
        assert!(said.len() < 200 && said.starts_with("label \"[31mää") && said.contains("…\" has "), "{said}");
        assert!(!said.chars().any(char::is_control) && !said.contains('\u{202e}'), "{said:?}");
    }

    #[test]
    fn series_are_named_with_their_metric() {
        let pair = |name: &str, value: &str| {
            let mut label = vec![0x0a, u8::try_from(name.len()).unwrap()];
            label.extend(name.bytes());
            label.extend([0x12, u8::try_from(value.len()).unwrap()]);
            label.extend(value.bytes());
            let mut field = vec![0x0a, u8::try_from(label.len()).unwrap()];
            field.extend(label);
            field
        };
        let raw = [pair("__name__", "up"), pair("path", &"x".repeat(60))].concat();
        let limits = LabelLimits { labels: 3, bytes: 70 };
        let mut over = Over { limits, of: "series", words: None };
        SampleSink::series(&mut over, RawLabels(&raw)).unwrap();
        let said = over.words.unwrap();
        assert_eq!(
            said,
            format!("label \"path\" of \"up\" has 64 of {} bytes; the labels of a series may have 70", raw.len())
        );
        let mut over = Over { limits: LabelLimits { labels: 1, bytes: 70 }, of: "series", words: None };
        SampleSink::series(&mut over, RawLabels(&raw)).unwrap();
        assert_eq!(over.words.unwrap(), "2 labels of \"up\"; a series may have 1");
    }
}
