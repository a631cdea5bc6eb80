//! Filling a real writer as the decoders do.

use std::borrow::Cow;
use std::sync::Arc;

use whyd_buffers::state::TeamOf;
use whyd_buffers::{Limits, Scoped, Staged, Writer};
use whyd_signals::sink::{LogSink, RawLabels, Refusal, SampleSink};
use whyd_signals::templates::{Resolver, Template, TemplateStats, Templates, TreeId};
use whyd_signals::{Access, SeriesId, Team, TemplateId, Timestamp};

/// When the tests begin.
pub(crate) const START: &str = "2026-11-22T13:00:00Z";

/// This many milliseconds after [`START`].
pub(crate) fn ms(ms: i64) -> Timestamp {
    Timestamp(Timestamp::parse(START).unwrap().0 + ms * 1_000_000)
}

/// A template is the length of its line.
struct Lengths;

impl Templates for Lengths {
    fn tree(&mut self, _: &Team) -> TreeId {
        TreeId(0)
    }

    fn template_of(&mut self, _: TreeId, line: &str) -> TemplateId {
        TemplateId(line.len() as u64)
    }

    fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::new(Self)
    }

    fn stats(&self) -> TemplateStats {
        TemplateStats::default()
    }
}

/// Lines of ten lengths are of one kind.
impl Resolver for Lengths {
    fn resolve(&self, _: &Team, id: TemplateId) -> Option<Template> {
        let id = TemplateId(id.0 / 10 * 10);
        Some(Template { id, text: format!("{} bytes", id.0).into() })
    }

    fn all(&self, team: &Team) -> Vec<Template> {
        vec![Template { id: TemplateId(team.as_str().len() as u64), text: format!("<*> of {team}").into() }]
    }
}

/// Namespaces `team-<id>` are that team's, all others the platform's.
pub(crate) fn writer() -> Writer {
    let teams: TeamOf = Arc::new(|name, _| name.strip_prefix("team-").map_or_else(Team::platform, Team::new));
    Writer::new(Limits::default(), Box::new(Lengths)).with_teams(teams)
}

pub(crate) fn scoped(writer: &Writer, access: &Access) -> Scoped {
    writer.snapshot().scoped(access)
}

/// Labels as remote write sends them; they have to be sorted.
fn wire(labels: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in labels {
        out.extend([0x0a, (4 + name.len() + value.len()) as u8, 0x0a, name.len() as u8]);
        out.extend(name.bytes());
        out.extend([0x12, value.len() as u8]);
        out.extend(value.bytes());
    }
    out
}

/// Writes and publishes samples of series, given as (labels, milliseconds, value), in this order.
pub(crate) fn write_samples(w: &mut Writer, received: Timestamp, rows: &[(&[(&str, &str)], i64, f64)]) -> Staged {
    w.begin(received, None);
    for (labels, at, value) in rows {
        let id = w.series(RawLabels(&wire(labels))).unwrap();
        let _: Result<(), Refusal> = w.sample(id, ms(*at), *value);
    }
    let staged = w.stage();
    w.publish(staged.mark);
    staged
}

/// The ids of these series, in their order.
pub(crate) fn series_ids(w: &mut Writer, labels: &[&[(&str, &str)]]) -> Vec<SeriesId> {
    w.begin(ms(0), None);
    let ids = labels.iter().map(|l| w.series(RawLabels(&wire(l))).unwrap()).collect();
    let staged = w.stage();
    w.publish(staged.mark);
    ids
}

/// Writes and publishes log lines, given as (stream labels, milliseconds, line), in this order.
pub(crate) fn write_lines(w: &mut Writer, received: Timestamp, rows: &[(&[(&str, &str)], i64, &str)]) -> Staged {
    w.begin(received, None);
    for (labels, at, line) in rows {
        let labels: Vec<_> = labels.iter().map(|(n, v)| (Cow::Borrowed(*n), Cow::Borrowed(*v))).collect();
        let stream = w.stream(&labels, &[]).unwrap();
        let _: Result<(), Refusal> = w.line(stream, ms(*at), line);
    }
    let staged = w.stage();
    w.publish(staged.mark);
    staged
}
