//! Log records to lines of streams.

use std::borrow::Cow;

use whyd_signals::sink::{Counts, LogSink, Pair, Refusal};

use super::points::{Budget, time, weight};
use super::resource::{Resource, labels, place};

/// Lines of a stack trace that are kept, from its beginning.
const TRACE: usize = 256;

/// One log record.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) time: u64,
    pub(super) observed: u64,
    pub(super) severity: i64,
    pub(super) severity_text: Cow<'a, str>,
    pub(super) body: Cow<'a, str>,
    pub(super) attributes: Vec<Pair<'a>>,
    pub(super) trace_id: Cow<'a, str>,
    pub(super) span_id: Cow<'a, str>,
    pub(super) event_name: Cow<'a, str>,
}

impl<'a> Record<'a> {
    /// What a program that logs to its standard error prints below the line: the trace of the exception, or the exception
    /// where that has none. Last words are looked for in lines, and nowhere else.
    fn trace(&self) -> Vec<String> {
        let value = |key: &str| self.attributes.iter().find(|(k, _)| k == key).map_or("", |(_, value)| &**value);
        let lines = |text: &str| text.lines().filter(|l| !l.trim().is_empty()).take(TRACE).map(str::to_owned).collect();
        match (value("exception.stacktrace"), value("exception.type"), value("exception.message")) {
            ("", "", "") => Vec::new(),
            ("", "", message) => lines(message),
            ("", kind, message) => lines(&format!("{kind}: {message}")),
            (trace, ..) => lines(trace),
        }
    }

    /// What is known of the line besides its stream, sorted by name; each name once, and what the protocol itself says
    /// before an attribute of the same name.
    fn metadata(&mut self) -> Vec<Pair<'a>> {
        let attributes = std::mem::take(&mut self.attributes);
        let placed = |(key, value): Pair<'a>| match place(&key) {
            Some(label) => (Cow::Borrowed(label), value),
            None => (key, value),
        };
        let mut pairs = labels(attributes.into_iter().map(placed).collect());
        let level = level(self.severity).map_or_else(|| std::mem::take(&mut self.severity_text), Cow::Borrowed);
        let trace_id = std::mem::take(&mut self.trace_id);
        let span_id = std::mem::take(&mut self.span_id);
        for (name, value) in [("level", level), ("span_id", span_id), ("trace_id", trace_id)] {
            if !value.is_empty() {
                super::resource::set(&mut pairs, name, value);
            }
        }
        pairs
    }
}

/// What a severity number is called.
fn level(number: i64) -> Option<&'static str> {
    Some(match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => return None,
    })
}

/// The labels of the streams of a resource, sorted by name.
pub(super) fn stream<'a>(resource: &'a Resource<'_>) -> Vec<Pair<'a>> {
    let place = resource.place.iter().map(|(name, value)| (*name, value));
    let service = [("service_name", &resource.service)];
    let all = place.chain(service).filter(|(_, value)| !value.is_empty());
    let mut labels: Vec<Pair<'a>> = all.map(|(n, v)| (Cow::Borrowed(n), Cow::Borrowed(&**v))).collect();
    labels.sort();
    labels
}

/// Takes the records of one stream after another.
pub(super) struct Records<'s, S> {
    sink: &'s mut S,
    rows: u64,
    rejected: u64,
    budget: Budget,
}

impl<'s, S: LogSink> Records<'s, S> {
    pub(super) fn new(sink: &'s mut S) -> Self {
        Self { sink, rows: 0, rejected: 0, budget: Budget::default() }
    }

    /// What was handed over.
    pub(super) fn counts(self) -> Counts {
        Counts { rows: self.rows, rejected: Some(self.rejected), ..Counts::default() }
    }

    /// One record; when it was observed stands in for when it was written.
    pub(super) fn record(&mut self, stream: &[Pair<'_>], mut record: Record<'_>) {
        let at = match time(record.time) {
            Ok(None) => time(record.observed),
            at => at,
        };
        let trace = record.trace();
        let lines = 1 + trace.len() as u64;
        self.rows += lines;
        let stream = match at {
            Err(why) => Err(why),
            Ok(None) => Err(Refusal::Incomplete),
            Ok(Some(at)) => {
                let metadata = record.metadata();
                let room = self.budget.take(weight(stream) + weight(&metadata));
                room.and_then(|()| self.sink.stream(stream, &metadata)).map(|id| (id, at))
            }
        };
        let kept = match stream {
            Ok((id, at)) => {
                let first = if record.body.is_empty() { &*record.event_name } else { &*record.body };
                let all = std::iter::once(first).chain(trace.iter().map(String::as_str));
                // a refusal is counted by the sink that makes it
                all.filter(|line| self.sink.line(id, at, line).is_err()).count() == 0
            }
            Err(why) => {
                self.sink.refused(lines, why);
                false
            }
        };
        self.rejected += u64::from(!kept);
    }
}
