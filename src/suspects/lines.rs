//! The lines that are ranked, and those of them that say that another did not answer.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use whyd_buffers::{Level, LineRun, Scoped};
use whyd_correlate::ranking::{Complained, Line, NOBODY};
use whyd_correlate::redact::redacted;
use whyd_correlate::unreached::{Unanswered, Unreached};
use whyd_signals::{StreamId, TemplateId, Timestamp, request};

use super::owners::Owners;

/// Lines, with the numbers of the workloads as they were met.
#[derive(Default)]
pub(super) struct Lines {
    /// Those that are no complaints outside of any request.
    pub(super) lines: Vec<Line>,
    pub(super) complaints: Vec<Complained>,
    /// Who complained of whom, each pair once.
    pub(super) calls: BTreeSet<(u32, u32)>,
    pub(super) templates: BTreeMap<u64, Arc<str>>,
    /// The oldest, where there were too many.
    pub(super) left_out: usize,
    /// Those that were not read for whom they name.
    pub(super) unread: usize,
}

/// What is known of a template.
#[derive(Clone, Copy)]
struct Known {
    id: u64,
    /// Whether all its lines say that something did not answer.
    complains: bool,
}

impl Lines {
    /// The newest `most` lines of these streams; a callee is looked for in `namespace`, or in all that may be seen.
    pub(super) fn of(
        scoped: &Scoped,
        (from, to): (Timestamp, Timestamp),
        of_streams: &BTreeMap<StreamId, (u32, Arc<str>)>,
        owners: &mut Owners,
        namespace: Option<&str>,
        most: usize,
    ) -> Self {
        let wanted = scoped.mark_streams(of_streams.keys().map(|id| (*id, 0)));
        let runs = |from| wanted.line_runs((from, to), None, (0, 1)).map(|(_, run)| run);
        let newest = Newest::of(runs(from), (from, to), most);
        let mut all = Self { left_out: newest.older, ..Self::default() };
        let names: BTreeMap<u32, String> =
            owners.who.iter().map(|(s, number)| (*number, format!("{}/{}", s.kind, s.name))).collect();
        let mut unreached = Unreached::of(scoped);
        let mut resolved: BTreeMap<(Arc<str>, TemplateId), Known> = BTreeMap::new();
        for run in runs(newest.from) {
            let Some((candidate, of)) = of_streams.get(&run.stream()) else { continue };
            let own = names.get(candidate).map_or("", String::as_str);
            let rows = run.times().iter().zip(run.templates()).zip(run.levels());
            for (i, ((at, id), level)) in rows.enumerate() {
                if all.lines.len() + all.complaints.len() >= most {
                    all.left_out += 1;
                    continue;
                }
                let template = *resolved.entry((Arc::clone(of), *id)).or_insert_with(|| {
                    let Some(template) = scoped.template(of, *id) else { return Known { id: id.0, complains: false } };
                    let complains = Unanswered::of(&template.text).is_some();
                    // It may be told.
                    all.templates.insert(template.id.0, redacted(&template.text));
                    Known { id: template.id.0, complains }
                });
                let text = run.text(i);
                let request = request::of(text).unwrap_or(0);
                // What a line says of another is hidden in a template's variables at times: then those that warn are read.
                if template.complains || *level >= Level::Warn {
                    let caller = (*candidate, of.as_ref(), own);
                    let callee = unreached.named_in(caller, *id, Timestamp(*at), text);
                    if let Some(callee) = callee.filter(|c| namespace.is_none_or(|namespace| namespace == c.namespace))
                    {
                        let number = owners.workload(&Arc::from(callee.namespace.as_str()), &callee.workload);
                        let what = callee.how as u32;
                        all.complaints.push(Complained { at: *at, caller: *candidate, callee: number, what });
                        all.calls.insert((*candidate, number));
                        // Outside of a request it says nothing of who wrote it.
                        if request == 0 {
                            continue;
                        }
                    }
                }
                all.lines.push(Line { request, at: *at, candidate: *candidate, template: template.id });
            }
        }
        all.unread = unreached.unread;
        all
    }

    /// Adds when those that are no candidates wrote lines of the same requests, whoever they are.
    pub(super) fn add_others(
        &mut self,
        everybody: &Scoped,
        range: (Timestamp, Timestamp),
        of_streams: &BTreeMap<StreamId, (u32, Arc<str>)>,
        most: usize,
    ) {
        let own: HashSet<u64> = self.lines.iter().map(|line| line.request).filter(|request| *request != 0).collect();
        if own.is_empty() {
            return;
        }
        let others = everybody.all_streams().map(|(id, _)| id).filter(|id| !of_streams.contains_key(id));
        let others = everybody.mark_streams(others.map(|id| (id, 0)));
        let runs = |range| others.line_runs(range, None, (0, 1)).map(|(_, run)| run);
        // The newest, as of the candidates' own: what is looked at is at the end.
        let newest = Newest::of(runs(range), range, most);
        let runs = runs((newest.from, range.1));
        let lines = runs.flat_map(|run| (0..run.times().len()).map(move |i| (run.times().get(i), run.text(i))));
        for (at, text) in lines.take(most) {
            let Some(at) = at.copied() else { break };
            if let Some(request) = request::of(text).filter(|request| own.contains(request)) {
                self.lines.push(Line { request, at, candidate: NOBODY, template: 0 });
            }
        }
    }
}

/// From when on there are not too many lines, by whole minutes of the time that is looked at.
pub(super) struct Newest {
    pub(super) from: Timestamp,
    /// Lines before.
    pub(super) older: usize,
}

impl Newest {
    const SLOT: i64 = 60_000_000_000;
    /// More are counted as one.
    const SLOTS: usize = 21_600;

    pub(super) fn of<'a>(
        runs: impl Iterator<Item = LineRun<'a>>,
        (from, to): (Timestamp, Timestamp),
        most: usize,
    ) -> Self {
        let slot = |at: i64| usize::try_from(to.0.saturating_sub(at) / Self::SLOT).unwrap_or(usize::MAX);
        let slots = slot(from.0).min(Self::SLOTS);
        let mut counts = vec![0_usize; slots + 1];
        for at in runs.flat_map(|run| run.times().iter()) {
            if let Some(count) = counts.get_mut(slot(*at).min(slots)) {
                *count += 1;
            }
        }
        let (mut kept, mut taken) = (0, 0);
        // The newest minute is looked at whatever it has.
        for (n, count) in counts.iter().enumerate() {
            if n > 0 && kept + count > most {
                break;
            }
            (kept, taken) = (kept + count, n + 1);
        }
        let older = counts.iter().skip(taken).sum();
        let begin = to.0.saturating_sub(Self::SLOT.saturating_mul(i64::try_from(taken).unwrap_or(i64::MAX)));
        let from = if older == 0 { from } else { Timestamp(begin.saturating_add(1).max(from.0)) };
        Self { from, older }
    }
}
