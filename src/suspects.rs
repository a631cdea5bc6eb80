//! Who is suspected, and by what: the workloads of a snapshot, with their metrics and lines, as the ranking wants them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use whyd_api::dto;
use whyd_buffers::{LineRun, Scoped, SeriesMeta};
use whyd_correlate::ranking::{self, Bad, Ended, Facts, Line, Ranked, Reason, Series};
use whyd_signals::schema::{Restart, Root};
use whyd_signals::{SeriesId, TemplateId, Timestamp, is_stale};

/// Before a moment, how far back what was wrong then may have begun.
const LOOKED_AT: Duration = Duration::from_secs(600);
/// How far back it is learnt what is usual.
const PAST: Duration = Duration::from_secs(6 * 3600);
/// Places of a ranking that are told.
const PLACES: usize = 20;

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspect {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its kind; `Pod` where it is not known what the pod belongs to.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// How much is looked at, at most: it is all in memory at once, at some 40 bytes a sample and 250 a line while it is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Series, those that were met last.
    pub series: usize,
    /// Samples, of each series as many, the newest.
    pub samples: usize,
    /// Lines, the newest.
    pub lines: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self { series: 20_000, samples: 1_000_000, lines: 200_000 }
    }
}

/// What was more than is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Series of which nothing is looked at.
    pub series: usize,
    /// The oldest samples of the others.
    pub samples: usize,
    /// The oldest lines.
    pub lines: usize,
}

impl LeftOut {
    /// In words, for people; `None` where it is nothing.
    pub fn told(&self) -> Option<String> {
        let all = [(self.series, "series"), (self.samples, "samples"), (self.lines, "lines")];
        let told: Vec<String> = all.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (!told.is_empty()).then(|| format!("{} are more than is ranked and were left out", told.join(", ")))
    }
}

/// All there is to be looked at, and what the numbers in it stand for.
#[derive(Debug, Default)]
pub struct Suspects {
    /// In the order of their places among the candidates.
    pub who: Vec<Suspect>,
    /// What is ranked.
    pub facts: Facts,
    /// What is missing in it.
    pub left_out: LeftOut,
    metrics: Vec<Arc<str>>,
    causes: Vec<String>,
    templates: BTreeMap<u64, Arc<str>>,
}

impl Suspects {
    /// What the snapshot holds of the time from `from` to `to`, both included, and of `namespace`, or of all.
    pub fn of(scoped: &Scoped, (from, to): (Timestamp, Timestamp), namespace: Option<&str>, most: Most) -> Self {
        let is_asked_for = |of: &str, pod: &str| !pod.is_empty() && namespace.is_none_or(|namespace| namespace == of);
        let mut owners = Owners::default();
        let mut left_out = LeftOut::default();
        let of_series = scoped.all_series().filter(|(_, m)| is_asked_for(&m.namespace, &m.pod));
        let mut of_series: Vec<_> = of_series.filter(|(_, meta)| !meta.name.ends_with("_bucket")).collect();
        // Those that were met last are the likeliest to be there now.
        left_out.series = of_series.len().saturating_sub(most.series);
        of_series.drain(..left_out.series);
        let place = |(id, meta): (SeriesId, &SeriesMeta)| {
            (id, owners.place(scoped, &meta.namespace, &meta.pod), Arc::clone(&meta.name))
        };
        let of_series: Vec<_> = of_series.into_iter().map(place).collect();
        let of_streams: BTreeMap<_, _> = scoped
            .all_streams()
            .filter(|(_, meta)| is_asked_for(&meta.namespace, &meta.pod))
            .map(|(id, meta)| (id, (owners.place(scoped, &meta.namespace, &meta.pod), Arc::clone(&meta.namespace))))
            .collect();
        let ended = owners.ended(scoped, (from, to), namespace);
        // Candidates in the order of their names, so that no order of arrival decides between equals.
        let places: BTreeMap<&Suspect, u32> = owners.who.keys().zip(0..).collect();
        let mut place_of = vec![0; owners.who.len()];
        for (suspect, number) in &owners.who {
            if let (Some(place), Some(number)) = (places.get(suspect), place_of.get_mut(*number as usize)) {
                *number = *place;
            }
        }
        let place = |number: u32| place_of.get(number as usize).copied().unwrap_or(u32::MAX);

        let mut suspects = Self { who: owners.who.keys().cloned().collect(), ..Self::default() };
        let mut causes: Vec<&str> = ended.iter().map(|e| e.row.cause.as_str()).collect();
        causes.sort_unstable();
        causes.dedup();
        for Blamed { row, at, to, of } in &ended {
            let cause = causes.binary_search(&row.cause.as_str()).map_or(u32::MAX, |at| at as u32);
            let seen_at = (to != of).then(|| place(*of));
            suspects.facts.ended.push(Ended { at: at.0, candidate: place(*to), seen_at, cause });
        }
        suspects.causes = causes.into_iter().map(str::to_owned).collect();
        let mut names: Vec<Arc<str>> = of_series.iter().map(|s| Arc::clone(&s.2)).collect();
        names.sort_unstable();
        names.dedup();
        let each = most.samples / of_series.len().max(1);
        for (id, number, name) in of_series {
            let samples = scoped.slice(id, from, to);
            let older = samples.len().saturating_sub(each);
            left_out.samples += older;
            let mut rows = samples.iter().skip(older).filter(|s| !is_stale(s.value)).map(|s| (s.ts.0, s.value));
            let (times, values) = if is_counter(&name) { rates(rows) } else { rows.by_ref().unzip() };
            let metric = names.binary_search(&name).map_or(u32::MAX, |at| at as u32);
            let candidate = place(number);
            suspects.facts.series.push(Series { candidate, metric, times, values, bad: Bad::Both });
        }
        suspects.metrics = names;

        let streams = of_streams.keys().next_back().map_or(0, |id| id.0 as usize + 1);
        let mut wanted = vec![u32::MAX; streams];
        for id in of_streams.keys() {
            if let Some(mark) = wanted.get_mut(id.0 as usize) {
                *mark = 0;
            }
        }
        let newest = Newest::of(scoped.line_runs(from, to, &wanted, None), (from, to), most.lines);
        left_out.lines = newest.older;
        let mut resolved: BTreeMap<(Arc<str>, TemplateId), u64> = BTreeMap::new();
        for run in scoped.line_runs(newest.from, to, &wanted, None) {
            let Some((number, namespace)) = of_streams.get(&run.stream()) else { continue };
            let candidate = place(*number);
            for (i, (at, id)) in run.times().iter().zip(run.templates()).enumerate() {
                if suspects.facts.lines.len() >= most.lines {
                    left_out.lines += 1;
                    continue;
                }
                let template = *resolved.entry((Arc::clone(namespace), *id)).or_insert_with(|| {
                    let Some(template) = scoped.template(namespace, *id) else { return id.0 };
                    suspects.templates.insert(template.id.0, template.text);
                    template.id.0
                });
                let request = trace_of(run.text(i)).map_or(0, hash);
                suspects.facts.lines.push(Line { request, at: *at, candidate, template });
            }
        }
        suspects.left_out = left_out;
        suspects.facts.candidates = u32::try_from(suspects.who.len()).unwrap_or(u32::MAX);
        suspects
    }

    /// A place of the ranking, in words.
    pub fn told(&self, ranked: &Ranked) -> Vec<String> {
        ranked.because.iter().map(|reason| self.reason(reason)).collect()
    }

    fn reason(&self, reason: &Reason) -> String {
        let name = |of: u32| self.who.get(of as usize).map_or("?", |s| s.name.as_str());
        let text = |id: u64| self.templates.get(&id).map_or("a line", |t| t.as_ref());
        match reason {
            Reason::Metric { metric, was, is } => {
                let metric = self.metrics.get(*metric as usize).map_or("a metric", |m| m.as_ref());
                format!("{metric} went from {was:.4} to {is:.4}")
            }
            Reason::Course { after, next, now, before, seen_at } => {
                let next = next.map_or("nothing more".to_owned(), |t| format!("\"{}\"", text(t)));
                let after = after.map_or("at the start".to_owned(), |t| format!("after \"{}\"", text(t)));
                let at = seen_at.map_or(String::new(), |c| format!("at {}, later in the same requests, ", name(c)));
                let (now, before) = (format!("{} of {}", now.0, now.1), format!("{} of {}", before.0, before.1));
                format!("{at}{after} came {next} in {now} cases, in {before} before")
            }
            Reason::Ended { cause, times, seen_at } => {
                let cause = self.causes.get(*cause as usize).map_or("?", |c| c.as_str());
                let of = seen_at.map_or(String::new(), |c| format!(" of {} that it is to blame for", name(c)));
                format!("{times} ends or failed starts{of}: {cause}")
            }
            Reason::Slow { with, was, is } => {
                format!("steps with {} took {:.1} ms, {:.1} ms before", name(*with), is * 1e3, was * 1e3)
            }
        }
    }
}

/// The workloads by how likely each is the root of what was wrong in the ten minutes before `until`, best first. What is
/// usual is learnt from the hours before; `namespace` narrows both the candidates and what is looked at.
pub fn ranking(scoped: &Scoped, until: Timestamp, namespace: Option<&str>, most: Most) -> dto::Suspects {
    let suspects = Suspects::of(scoped, (until.minus(PAST), until), namespace, most);
    let (onset, ranked) = ranking::find(&suspects.facts, until.minus(LOOKED_AT).0, until.0.saturating_add(1));
    let place = |r: &Ranked| {
        let Suspect { namespace, kind, name } = suspects.who.get(r.candidate as usize)?;
        let because = suspects.told(r);
        let (namespace, kind, name) = (namespace.to_string(), kind.clone(), name.clone());
        Some(dto::Ranked { kind, namespace, name, score: r.score, because })
    };
    let ranking: Vec<_> = ranked.iter().filter(|r| r.score > 0.0).filter_map(place).take(PLACES).collect();
    let onset = (!ranking.is_empty()).then_some(Timestamp(onset));
    let told = suspects.left_out.told().map(|detail| dto::Problem { source: None, detail });
    dto::Suspects { at: until, onset, ranking, problems: told.into_iter().collect() }
}

/// From when on there are not too many lines, by whole minutes of the time that is looked at.
struct Newest {
    from: Timestamp,
    /// Lines before.
    older: usize,
}

impl Newest {
    const SLOT: i64 = 60_000_000_000;

    fn of<'a>(runs: impl Iterator<Item = LineRun<'a>>, (from, to): (Timestamp, Timestamp), most: usize) -> Self {
        let slot = |at: i64| usize::try_from(to.0.saturating_sub(at) / Self::SLOT).unwrap_or(usize::MAX);
        let slots = slot(from.0).min(PAST.as_secs() as usize);
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

/// Kinds of roots that are workloads of their own.
const WORKLOADS: [&str; 5] = ["CronJob", "DaemonSet", "Deployment", "Job", "StatefulSet"];

/// A row of the ledger, when it was, and the numbers of who is to blame for it and of whose it is.
struct Blamed<'a> {
    row: &'a Restart,
    at: Timestamp,
    to: u32,
    of: u32,
}

/// Which workload each pod is of, numbered as they are met.
#[derive(Default)]
struct Owners {
    pods: BTreeMap<(Arc<str>, Arc<str>), u32>,
    who: BTreeMap<Suspect, u32>,
}

impl Owners {
    fn place(&mut self, scoped: &Scoped, namespace: &Arc<str>, pod: &Arc<str>) -> u32 {
        let key = (Arc::clone(namespace), Arc::clone(pod));
        if let Some(place) = self.pods.get(&key) {
            return *place;
        }
        let workload = scoped.cluster().namespace(namespace).and_then(|space| {
            let pod = space.pods_called(pod).last().or_else(|| space.pod_named(pod))?;
            Some(space.workload_of(&pod.object))
        });
        let place = self.workload(namespace, &workload.unwrap_or_else(|| format!("Pod/{pod}")));
        self.pods.insert(key, place);
        place
    }

    /// The number of a workload, `Kind/name`.
    fn workload(&mut self, namespace: &Arc<str>, workload: &str) -> u32 {
        let (kind, name) = workload.split_once('/').unwrap_or(("", workload));
        let suspect = Suspect { namespace: Arc::clone(namespace), kind: kind.to_owned(), name: name.to_owned() };
        let next = u32::try_from(self.who.len()).unwrap_or(u32::MAX);
        *self.who.entry(suspect).or_insert(next)
    }

    /// The rows of the ledger in a time, with who is to blame: the workload that the row names as its root, if the caller may
    /// see it, else its own.
    fn ended<'a>(
        &mut self,
        scoped: &'a Scoped,
        (from, to): (Timestamp, Timestamp),
        namespace: Option<&str>,
    ) -> Vec<Blamed<'a>> {
        let at = |row: &Restart| row.finished_at.unwrap_or(row.seen_at);
        let is_asked_for = |of: &str| namespace.is_none_or(|namespace| namespace == of);
        let rows = scoped.each_restart().filter(|row| (from..=to).contains(&at(row)) && is_asked_for(&row.namespace));
        let mut ended = Vec::new();
        for row in rows {
            let of = self.workload(&Arc::from(row.namespace.as_str()), &row.workload);
            let seen = |root: &&Root| {
                let team = scoped.team_of(&root.namespace);
                !root.namespace.is_empty() && is_asked_for(&root.namespace) && scoped.access().allows(&team)
            };
            let to = match row.root.as_ref().filter(seen) {
                Some(root) if root.kind == "Pod" => {
                    self.place(scoped, &Arc::from(root.namespace.as_str()), &Arc::from(root.name.as_str()))
                }
                Some(root) if WORKLOADS.contains(&root.kind.as_str()) => {
                    self.workload(&Arc::from(root.namespace.as_str()), &format!("{}/{}", root.kind, root.name))
                }
                _ => of,
            };
            ended.push(Blamed { row, at: at(row), to, of });
        }
        ended
    }
}

/// By the convention of Prometheus.
fn is_counter(name: &str) -> bool {
    ["_total", "_count", "_sum"].iter().any(|suffix| name.ends_with(suffix))
}

/// The increase of a counter per second; after a reset it began at 0.
fn rates(mut rows: impl Iterator<Item = (i64, f64)>) -> (Vec<i64>, Vec<f64>) {
    let Some(mut last) = rows.next() else { return (Vec::new(), Vec::new()) };
    let rate = |(ts, value): (i64, f64)| {
        let increase = if value < last.1 { value } else { value - last.1 };
        let rate = increase / ((ts - last.0).max(1) as f64 / 1e9);
        last = (ts, value);
        (ts, rate)
    };
    rows.map(rate).unzip()
}

/// The id of the trace that a line names, in hexadecimal digits: `TraceID: 4bf9...`, `trace_id=4bf9...`, `"traceId":"4bf9..."`.
fn trace_of(line: &str) -> Option<&str> {
    let mut from = 0;
    loop {
        let rest = line.get(from..)?;
        from += rest.find("race").or_else(|| rest.find("RACE"))? + 4;
        let rest = line.as_bytes().get(from..)?;
        let key =
            rest.iter().take(3).take_while(|c| matches!(c, b'_' | b'-' | b'.' | b'i' | b'I' | b'd' | b'D')).count();
        let after = rest.get(key..)?;
        let gap = after.iter().take(4).take_while(|c| matches!(c, b':' | b'=' | b' ' | b'"' | b'\'')).count();
        let digits = after.get(gap..)?.iter().take_while(|c| c.is_ascii_hexdigit()).count();
        if key >= 2 && gap > 0 && (16..=32).contains(&digits) {
            return line.get(from + key + gap..from + key + gap + digits);
        }
    }
}

/// FNV-1a, and never 0.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::path::Path;

    use whyd_signals::Access;

    use super::*;
    use crate::capture::Capture;
    use crate::config::ConfigFile;
    use crate::{replay, wiring};

    #[test]
    fn a_trace_is_named_in_many_ways() {
        let id = "88ebfbcebbbc0884eabd9178e1808940";
        for line in [
            format!("INFO TraceID: {id} SpanID: 1 [x]"),
            format!("trace_id={id} done"),
            format!("{{\"traceId\":\"{id}\"}}"),
            format!("tracing on, trace-id {id}"),
        ] {
            assert_eq!(trace_of(&line), Some(id), "{line}");
        }
        assert_eq!(trace_of("stack trace: abc"), None);
        assert_eq!(trace_of("é trace"), None);
    }

    #[test]
    fn a_counter_is_its_increase_and_may_begin_anew() {
        let second = 1_000_000_000;
        let (times, values) = rates([(0, 10.0), (second, 14.0), (3 * second, 2.0)].into_iter());
        assert_eq!((times, values), (vec![second, 3 * second], vec![4.0, 1.0]));
    }

    fn of_capture(name: &str, namespace: Option<&str>, most: Most) -> Suspects {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures").join(name);
        let capture = Capture::open(&path).unwrap();
        let config = ConfigFile::default().validate().unwrap();
        let outcome = replay::run(wiring::core(&config), capture.messages().unwrap(), config.lateness);
        let scoped = outcome.snapshot.scoped(&Access::All);
        Suspects::of(&scoped, (outcome.at.minus(PAST), outcome.at), namespace, most)
    }

    #[test]
    fn what_is_too_much_is_left_out_counted_and_said() {
        let whole = of_capture("dependency-down", None, Most::default());
        assert_eq!(whole.left_out, LeftOut::default());
        assert_eq!(whole.left_out.told(), None);
        let (series, lines) = (whole.facts.series.len(), whole.facts.lines.len());
        let most = Most { series: series - 2, samples: series, lines: lines - 3 };
        let cut = of_capture("dependency-down", None, most);
        assert_eq!((cut.facts.series.len(), cut.left_out.series), (series - 2, 2));
        assert!(cut.facts.series.iter().all(|s| s.times.len() <= 1), "of each series as many");
        assert!(cut.left_out.samples > 0);
        assert!(cut.facts.lines.len() <= lines - 3 && !cut.facts.lines.is_empty());
        assert_eq!(cut.facts.lines.len() + cut.left_out.lines, lines);
        let newest = |suspects: &Suspects| suspects.facts.lines.iter().map(|l| l.at).max();
        assert_eq!(newest(&cut), newest(&whole), "the oldest are left out");
        let told = cut.left_out.told().unwrap();
        assert!(told.starts_with("2 series, ") && told.ends_with("left out"), "{told}");
    }

    #[test]
    fn what_ended_is_blamed_on_its_root() {
        let suspects = of_capture("dependency-down", None, Most::default());
        let at = |name: &str| suspects.who.iter().position(|s| s.name == name).unwrap() as u32;
        let (database, api) = (at("paydb"), at("payments-api"));
        assert!(suspects.facts.ended.iter().all(|e| e.candidate == database), "{:?}", suspects.facts.ended);
        assert!(suspects.facts.ended.iter().any(|e| e.seen_at == Some(api)));
        let until = suspects.facts.ended.iter().map(|e| e.at).max().unwrap() + 1;
        let (_, ranked) = ranking::find(&suspects.facts, until - 600_000_000_000, until);
        assert_eq!(ranked[0].candidate, database);
        let told = suspects.told(&ranked[0]).remove(0);
        assert!(told.contains("payments-api") && told.contains("dependency-down"), "{told}");
    }

    #[test]
    fn a_namespace_has_its_own_suspects_only() {
        let none = of_capture("dependency-down", Some("nowhere"), Most::default());
        assert!(none.who.is_empty() && none.facts.lines.is_empty() && none.facts.series.is_empty());
        let own = of_capture("dependency-down", Some("team-pay"), Most::default());
        assert!(!own.who.is_empty() && own.who.iter().all(|s| &*s.namespace == "team-pay"), "{:?}", own.who);
    }
}
