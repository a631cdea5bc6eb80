//! What the instance said: its last lines, and which of them tell of its end.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use whyd_buffers::{Level, LogLine};
use whyd_signals::schema::{Evidence, EvidenceSource};
use whyd_signals::{TemplateId, Timestamp};

use super::{BEFORE_END, Case, SECOND};
use crate::redact::redact;

/// How long before its last line a program says why it ends.
const NEAR_END: Duration = Duration::from_secs(15);
const USUAL: Duration = Duration::from_secs(600);
/// So many lines of each batch are enough to know how a container talks.
const HEARD: usize = 2_000;
/// A container that wrote fewer lines before has no words of its own yet.
const TALKED: usize = 20;
/// A container is not started again within less.
const START: Duration = Duration::from_millis(50);
/// How many lines count as last words, and how far back they are looked for before the whole life is searched.
const LAST_WORDS: usize = 64;
const RECENT: Duration = Duration::from_secs(300);

impl Case<'_> {
    /// The last lines that the instance wrote, without the secrets in them; read once, whoever asks.
    pub fn lines(&self) -> &[LogLine] {
        self.said.get_or_init(|| self.last_words())
    }

    /// Those of its last lines that were written so shortly before the last that they belong to the end.
    pub fn last_lines(&self) -> &[LogLine] {
        let lines = self.lines();
        let Some(last) = lines.last() else { return lines };
        let from = lines.partition_point(|l| l.ts < last.ts.minus(NEAR_END));
        &lines[from..]
    }

    fn last_words(&self) -> Vec<LogLine> {
        let (Some(container), Some(_)) = (self.container, self.terminated()) else { return Vec::new() };
        let to = self.finished().plus(SECOND);
        let of = (self.space.name.as_str(), self.pod_name(), container);
        let recent = self.started().max(to.minus(RECENT));
        let mut lines = self.scoped.last_lines_of(of, recent, to, LAST_WORDS);
        if lines.is_empty() && recent > self.started() {
            lines = self.scoped.last_lines_of(of, self.started(), to, LAST_WORDS);
        }
        self.without_neighbours(&mut lines);
        if lines.is_empty() {
            lines = self.message_lines();
        }
        for line in &mut lines {
            if let Cow::Owned(clean) = redact(&line.line) {
                line.line = clean;
            }
        }
        lines
    }

    /// What the program left as its termination message, or the kubelet took from the end of its log.
    fn message_lines(&self) -> Vec<LogLine> {
        let Some(t) = self.terminated().filter(|t| t.reason != "StartError") else { return Vec::new() };
        let (namespace, pod) = (self.space.name.as_str().into(), self.pod_name().into());
        let blank = LogLine {
            ts: self.finished(),
            line: String::new(),
            level: Level::Unknown,
            template_id: TemplateId(0),
            namespace,
            pod,
            container: self.container.unwrap_or_default().into(),
        };
        let lines = t.message.lines().filter(|l| !l.trim().is_empty());
        lines.map(|line| LogLine { line: line.to_owned(), ..blank.clone() }).collect()
    }

    /// Within the second in which one instance ended and the next began, the silence between them parts their lines.
    fn without_neighbours(&self, lines: &mut Vec<LogLine>) {
        let (before, after) = self.neighbours;
        if before.is_some_and(|b| b >= self.started())
            && let Some(cut) = silence(lines, self.started())
        {
            lines.drain(..cut);
        }
        if after.is_some_and(|a| a <= self.finished())
            && let Some(cut) = silence(lines, self.finished())
        {
            lines.truncate(cut);
        }
    }

    /// The line that may be told as the reason of the end.
    pub fn reason(&self) -> Option<&LogLine> {
        crate::last_words::reason(self.lines(), self.finished())
    }

    /// The same, to be put behind what happened; empty where no line tells why.
    pub fn because(&self) -> String {
        self.reason().map_or(String::new(), |l| format!(": {}", crate::last_words::telling_part(&l.line)))
    }

    /// The line that says most of the end, with the place in the program's own code where that was.
    pub fn words(&self) -> Vec<Evidence> {
        let said = self.lines();
        let telling = self.reason().or_else(|| crate::last_words::telling(said));
        let Some(telling) = telling else { return Vec::new() };
        let place = crate::last_words::own_frame(said, telling);
        let novel = self.novel().filter(|l| l.line != telling.line);
        let first = self.line(telling, "its last words");
        let place = place.map(|l| self.line(l, "where that was in its own code"));
        let novel = novel.map(|l| self.line(l, "it had said nothing of this kind in the ten minutes before"));
        std::iter::once(first).chain(place).chain(novel).collect()
    }

    /// The first of its last lines that tells of trouble in words that it had not used before: by its template, held
    /// against what the container said in the ten minutes before, earlier instances included.
    fn novel(&self) -> Option<&LogLine> {
        let container = self.container?;
        let until = self.finished().minus(BEFORE_END);
        let mut heard: BTreeSet<TemplateId> = BTreeSet::new();
        let mut lines = 0_usize;
        let of = (self.space.name.as_str(), self.pod_name(), container);
        self.scoped.visit_last_lines(of, until.minus(USUAL), until, HEARD, |l| {
            lines += 1;
            heard.insert(l.template_id);
        });
        // What ids stand for: two lines that differ in a name are of one kind.
        let kind = |id: TemplateId| self.scoped.template(&self.space.name, id).map_or(id, |t| t.id);
        let known: BTreeSet<TemplateId> = heard.into_iter().map(kind).collect();
        let last = self.lines().iter().filter(|l| l.ts > until && crate::last_words::weight(&l.line) > 0);
        // Of one that has hardly said anything everything is new.
        last.filter(|_| lines >= TALKED).find(|l| !known.contains(&kind(l.template_id)))
    }

    /// A line as evidence.
    pub fn line(&self, line: &LogLine, text: &str) -> Evidence {
        // The line is without its secrets.
        let message = self.terminated().map_or(Cow::Borrowed(""), |t| redact(&t.message));
        let from_status =
            line.ts == self.finished() && line.template_id == TemplateId(0) && message.contains(line.line.as_str());
        if from_status && !line.line.is_empty() {
            return self.of_pod(Some(line.ts), &self.field("message"), line.line.clone(), text);
        }
        Evidence {
            source: EvidenceSource::Logs,
            at: Some(line.ts),
            object: format!("Pod/{}", self.pod_name()),
            field: format!("{}/{}", self.pod_name(), self.container.unwrap_or_default()),
            value: line.line.to_string().into(),
            text: text.to_owned(),
        }
    }
}

/// Where the longest silence of that second ends, as a position; a silence that no start would need parts nothing.
fn silence(lines: &[LogLine], second: Timestamp) -> Option<usize> {
    let end = second.plus(SECOND);
    let within = |l: &LogLine| second <= l.ts && l.ts < end;
    let pauses = lines.windows(2).enumerate().filter_map(|(n, pair)| match pair {
        [a, b] if within(a) && within(b) => Some((b.ts.nanos() - a.ts.nanos(), n + 1)),
        _ => None,
    });
    pauses.filter(|(pause, _)| *pause >= START.as_nanos() as i64).max_by_key(|(pause, _)| *pause).map(|(_, n)| n)
}
