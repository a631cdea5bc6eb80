#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::borrow::Cow;
use std::time::Duration;

use arrow::array::AsArray;
use whyd_signals::objects::{Event, Meta, ObjectRef, Pod};
use whyd_signals::sink::{AlertSink, LogSink, RawLabels, SampleSink};
use whyd_signals::templates::{Resolver, Template, TemplateStats, TreeId};
use whyd_signals::{Access, Sample, SeriesId, StreamId, TemplateId};

use super::*;
use crate::ReplicaRule;
use crate::labels::tests::raw;
use crate::scan::LinesWanted;
use crate::scoped::Scoped;

/// A series' pod, seconds, value.
type Row<'a> = (&'a str, i64, f64);

const SECOND: i64 = 1_000_000_000;
/// When the tests begin.
const NOW: i64 = 1_795_341_600 * SECOND;

/// Gives each line its length for an id.
pub(crate) struct Lengths;

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

    fn all(&self, _: &Team) -> Vec<Template> {
        Vec::new()
    }
}

fn writer(limits: Limits) -> Writer {
    let teams: TeamOf = Arc::new(|name, labels| {
        let by_name = name.strip_prefix("team-").map_or_else(Team::platform, Team::new);
        labels.get("team").map_or(by_name, |t| Team::new(t))
    });
    Writer::new(limits, Box::new(Lengths)).with_teams(teams)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW + seconds * SECOND)
}

fn labels(metric: &str, namespace: &str, pod: &str) -> Vec<u8> {
    raw(&[("__name__", metric), ("container", "c"), ("namespace", namespace), ("pod", pod)])
}

/// Stages rows of series of namespace `team-a`, received at this second.
fn put(w: &mut Writer, received: i64, rows: &[Row<'_>], obey: Option<&Bitmap>) -> Staged {
    w.begin(at(received), obey);
    for (pod, ts, value) in rows {
        let raw = labels("m", "team-a", pod);
        match w.series(RawLabels(&raw)) {
            Ok(id) => {
                let _ = w.sample(id, at(*ts), *value);
            }
            Err(why) => SampleSink::refused(w, 1, why),
        }
    }
    w.stage()
}

fn write(w: &mut Writer, received: i64, rows: &[Row<'_>]) -> Staged {
    let staged = put(w, received, rows, None);
    w.publish(staged.mark);
    staged
}

fn line(w: &mut Writer, namespace: &str, pod: &str, ts: i64, text: &str) {
    let pair = |n: &'static str, v: &str| (Cow::Borrowed(n), Cow::Owned(v.to_owned()));
    let labels = [pair("namespace", namespace), pair("container", "c")];
    let id = w.stream(&labels, &[pair("pod", pod)]).unwrap();
    let _ = LogSink::line(w, id, at(ts), text);
}

fn all(w: &Writer) -> Scoped {
    w.snapshot().scoped(&Access::All)
}

fn only(s: &Scoped, pod: &str) -> SeriesId {
    let ids = s.series_of("m", "team-a", pod, Some("c"));
    assert_eq!(ids.len(), 1, "{pod}");
    ids[0]
}

fn sample(ts: i64, value: f64) -> Sample {
    Sample { ts: at(ts), value }
}

fn values(s: &Scoped, pod: &str) -> Vec<(i64, f64)> {
    let samples = s.slice(only(s, pod), Timestamp::MIN, Timestamp::MAX);
    samples.iter().map(|s| ((s.ts.0 - NOW) / SECOND, s.value)).collect()
}

#[test]
fn nothing_is_seen_before_it_is_published() {
    let mut w = writer(Limits::default());
    let first = put(&mut w, 0, &[("p", 0, 1.0)], None);
    let second = put(&mut w, 0, &[("q", 0, 2.0)], None);
    assert!(all(&w).series_of("m", "team-a", "p", None).is_empty());
    let published = w.publish(first.mark);
    assert_eq!(published.samples().map(|(_, s)| s).collect::<Vec<_>>(), [sample(0, 1.0)]);
    let s = all(&w);
    assert_eq!(s.asof(only(&s, "p"), at(9)), Some(sample(0, 1.0)));
    assert!(s.series_of("m", "team-a", "q", None).is_empty());
    w.publish(second.mark);
    assert!(s.series_of("m", "team-a", "q", None).is_empty(), "a snapshot does not change");
    assert_eq!(values(&all(&w), "q"), [(0, 2.0)]);
}

#[test]
fn a_body_taken_back_leaves_no_trace() {
    let mut w = writer(Limits::default());
    write(&mut w, 0, &[("p", 0, 1.0)]);
    let before = w.stats();
    w.begin(at(5), None);
    for (pod, value) in [("p", 2.0), ("new", 3.0)] {
        let id = w.series(RawLabels(&labels("m", "team-a", pod))).unwrap();
        w.sample(id, at(5), value).unwrap();
    }
    line(&mut w, "team-a", "p", 5, "x");
    w.rollback();
    let after = w.stats();
    assert_eq!((after.series, after.streams, after.lines_held), (before.series, 0, 0));
    assert_eq!(write(&mut w, 5, &[("p", 5, 9.0)]).stored, 1, "the same time may come again");
    assert_eq!(values(&all(&w), "p"), [(0, 1.0), (5, 9.0)]);
}

#[test]
fn what_the_log_could_not_take_may_come_again() {
    let mut w = writer(Limits::default());
    let rows = [("p", 0, 1.0), ("q", 0, 1.0)];
    put(&mut w, 0, &rows, None);
    put(&mut w, 0, &[("p", 1, 1.0)], None);
    w.discard();
    let again = write(&mut w, 2, &rows);
    assert_eq!((again.stored, again.repeated), (2, 0));
    assert_eq!(values(&all(&w), "p"), [(0, 1.0)]);
    assert_eq!(w.stats().samples, 2);
}

#[test]
fn what_is_taken_back_over_and_over_takes_no_space() {
    let mut w = writer(Limits { bytes: 8 << 20, ..Limits::default() });
    write(&mut w, 0, &[("p", 0, 1.0)]);
    for round in 0..400 {
        let rows: Vec<Row<'_>> = (1..=500).map(|n| ("p", n, 2.0)).collect();
        put(&mut w, 0, &rows, None);
        if round % 2 == 0 {
            w.rollback();
        }
        w.discard();
    }
    let stats = w.stats();
    assert!(stats.bytes["tail"] < 3 << 20, "{:?}", stats.bytes);
    assert_eq!(stats.samples_held, 1);
    assert_eq!(values(&all(&w), "p"), [(0, 1.0)]);
}

#[test]
fn order_and_duplicates() {
    let mut w = writer(Limits::default());
    write(&mut w, 0, &[("p", 0, 1.0), ("p", -30, 2.0), ("p", -60, 3.0)]);
    let again = write(&mut w, 1, &[("p", 0, 1.0), ("p", -30, 2.0)]);
    assert_eq!((again.stored, again.repeated, again.bitmap.is_empty()), (0, 2, true));
    let other = write(&mut w, 2, &[("p", 1, 1.0), ("p", 0, 0.5), ("p", -30, 7.0), ("p", -30, 5.0), ("p", -30, 7.0)]);
    assert_eq!((other.stored, other.repeated, other.refused[&Refusal::Duplicate]), (1, 1, 3));
    assert_eq!((0..5).map(|r| other.bitmap.get(r)).collect::<Vec<_>>(), [false, true, false, true, false]);
    let expected = [(-60, 3.0), (-30, 7.0), (0, 1.0), (1, 1.0)];
    assert_eq!(values(&all(&w), "p"), expected);
    let late = write(&mut w, 700, &[("p", 700, 1.0), ("p", 2, 1.0), ("p", 101, 1.0), ("p", -60, 3.0)]);
    assert_eq!((late.stored, late.repeated, late.refused[&Refusal::TooOld]), (2, 1, 1));
    let ahead = write(&mut w, 700, &[("p", 1301, 1.0), ("p", 701, 1.0), ("new", -9000, 1.0)]);
    assert_eq!((ahead.stored, ahead.refused[&Refusal::TooNew]), (2, 1));
    assert_eq!(w.stats().refused[&Refusal::Duplicate], 3);
}

#[test]
fn a_sender_that_is_behind_as_a_whole_is_taken() {
    let mut w = writer(Limits::default());
    let rows: Vec<Row<'_>> = (0..100).map(|n| ("p", n * 15 - 90_000, n as f64)).collect();
    assert_eq!(write(&mut w, 0, &rows).stored, 100);
    w.seal(at(3600));
    assert_eq!(values(&all(&w), "p").len(), 100, "kept by when it was received");
    w.seal(at(7 * 3600));
    assert!(all(&w).slice(SeriesId(0), Timestamp::MIN, Timestamp::MAX).is_empty());
    assert_eq!(w.stats().dropped["window"], 100);
}

#[test]
fn replay_obeys_and_gives_the_same_rows() {
    let limits = Limits { series: 2, ..Limits::default() };
    let bodies: Vec<(i64, Vec<Row<'_>>)> = vec![
        (0, vec![("p", 0, 1.0), ("q", 0, 1.0), ("r", 0, 1.0)]),
        (1, vec![("p", 0, 2.0), ("q", 0, 0.5), ("p", 0, 1.5), ("p", -5, 1.0)]),
        (2000, vec![("p", 2000, 1.0), ("p", 10, 1.0), ("q", 4000, 1.0), ("p", 2000, 1.0)]),
    ];
    let mut live = writer(limits.clone());
    let kept: Vec<Bitmap> = bodies.iter().map(|(received, rows)| write(&mut live, *received, rows).bitmap).collect();
    // A replay that starts later knows fewer series and judges by another clock.
    let mut replayed = writer(Limits { series: 1, lateness: Duration::ZERO, ..limits });
    for ((received, rows), bitmap) in bodies.iter().zip(&kept) {
        let staged = put(&mut replayed, received + 50_000, rows, Some(bitmap));
        replayed.publish(staged.mark);
        assert_eq!(
            staged.bitmap.count() + staged.refused.values().sum::<u64>(),
            bitmap.count() + u64::from(*received == 1)
        );
    }
    for pod in ["p", "q"] {
        assert_eq!(values(&all(&replayed), pod), values(&all(&live), pod), "{pod}");
    }
    assert!(all(&replayed).series_of("m", "team-a", "r", None).is_empty());
}

#[test]
fn sealing_changes_nothing_that_is_read() {
    let mut w = writer(Limits::default());
    let mut expected: BTreeMap<&str, BTreeMap<i64, f64>> = BTreeMap::new();
    for round in 0..200i64 {
        let mut rows = Vec::new();
        for (i, pod) in ["p", "q", "r"].into_iter().enumerate() {
            let value = if i == 0 { round as f64 } else { round as f64 / 7.0 };
            // Every seventh round comes late.
            let ts = if round % 7 == 3 { round * 15 - 40 } else { round * 15 };
            rows.push((pod, ts, value));
            expected.entry(pod).or_default().insert(ts, value);
        }
        if round % 50 == 49 {
            rows.push(("p", round * 15, 1e6));
            expected.get_mut("p").unwrap().insert(round * 15, 1e6);
        }
        write(&mut w, round * 15, &rows);
        if round % 20 == 0 {
            w.seal_tail(true);
        }
        if round == 120 {
            write(&mut w, round * 15, &[("q", round * 15 - 150, 1e7)]);
            expected.get_mut("q").unwrap().insert(round * 15 - 150, 1e7);
        }
    }
    for sealed in [false, true] {
        let s = all(&w);
        for (pod, rows) in &expected {
            assert_eq!(values(&s, pod), rows.iter().map(|(t, v)| (*t, *v)).collect::<Vec<_>>(), "{pod} {sealed}");
            for second in (-50..3100).step_by(13) {
                let expected = rows.range(..=second).next_back().map(|(t, v)| sample(*t, *v));
                assert_eq!(s.asof(only(&s, pod), at(second)), expected, "{pod} at {second} {sealed}");
            }
        }
        let scanned = scanned(&s);
        assert_eq!(scanned, expected.values().map(BTreeMap::len).sum::<usize>());
        w.seal(at(200 * 15 + 3600));
    }
    assert_eq!(w.stats().bytes["tail"], 0);
}

fn scanned(s: &Scoped) -> usize {
    let ids: Vec<SeriesId> = (0..10).map(SeriesId).collect();
    let batches = s.sample_batches(ids, (Timestamp::MIN, Timestamp::MAX), [2].into());
    batches.map(|b| b.num_rows()).sum()
}

fn scanned_lines(s: &Scoped, range: (Timestamp, Timestamp)) -> usize {
    let parts = (0..2).flat_map(|n| s.log_batches(range, [0, 7].into(), LinesWanted::default(), (n, 2)));
    parts.map(|b| b.num_rows()).sum()
}

#[test]
fn a_line_shows_the_trace_that_it_names() {
    let mut w = writer(Limits::default());
    w.begin(at(0), None);
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    line(&mut w, "team-a", "p", 0, &format!("INFO asked trace_id={id} of somebody"));
    line(&mut w, "team-a", "p", 1, "names none");
    let staged = w.stage();
    w.publish(staged.mark);
    let s = all(&w);
    let range = (Timestamp::MIN, Timestamp::MAX);
    let batches: Vec<_> = s.log_batches(range, [8].into(), LinesWanted::default(), (0, 1)).collect();
    let ids: Vec<Option<&str>> = batches.iter().flat_map(|b| b.column(0).as_string::<i32>().iter()).collect();
    assert_eq!(ids, [Some(id), None]);
}

#[test]
fn teams_see_their_own_and_a_namespace_takes_its_rows_along() {
    let mut w = writer(Limits::default());
    w.begin(at(0), None);
    for namespace in ["team-a", "team-b", ""] {
        let id = w.series(RawLabels(&labels("m", namespace, "p"))).unwrap();
        w.sample(id, at(0), 1.0).unwrap();
        line(&mut w, namespace, "p", 0, &format!("canary {namespace}"));
    }
    let staged = w.stage();
    w.publish(staged.mark);
    for sealed in [false, true] {
        for (team, namespace) in [("a", "team-a"), ("b", "team-b"), (Team::PLATFORM, "")] {
            let s = w.snapshot().scoped(&Access::team(team));
            for other in ["team-a", "team-b", ""] {
                let own = usize::from(other == namespace);
                assert_eq!(s.series_of("m", other, "p", None).len(), own);
                assert_eq!(s.lines_of(other, "p", "c", Timestamp::MIN, Timestamp::MAX).len(), own);
                assert_eq!((s.has_metrics(other), s.has_logs(other)), (own == 1, own == 1));
            }
            assert_eq!(s.series_named("m").len(), 1);
            assert_eq!((0..3).filter(|id| s.meta(SeriesId(*id)).is_some()).count(), 1);
            assert_eq!((0..3).filter(|id| s.asof(SeriesId(*id), at(9)).is_some()).count(), 1);
            let ids: Vec<SeriesId> = (0..3).map(SeriesId).collect();
            assert_eq!(s.series_batch(&ids, &[1, 3]).num_rows(), 1);
            assert_eq!(scanned(&s), 1);
            assert_eq!(scanned_lines(&s, (Timestamp::MIN, Timestamp::MAX)), 1);
            // Whoever marks streams of others has marked none.
            let (marks, all) = (s.mark_streams((0..3).map(|id| (StreamId(id), id))), (Timestamp::MIN, Timestamp::MAX));
            let runs: Vec<(u32, StreamId)> =
                marks.line_runs(all, None, (0, 1)).map(|(mark, run)| (mark, run.stream())).collect();
            let own = s.all_streams().map(|(id, _)| (id.0, id)).collect::<Vec<_>>();
            assert_eq!((runs, 1), (own.clone(), own.len()));
            assert_eq!(marks.only(|_| false).line_runs(all, None, (0, 1)).count(), 0);
        }
        assert!(w.snapshot().scoped(&Access::team("c")).series_named("m").is_empty(), "{sealed}");
        w.seal_tail(true);
    }
    let namespace: whyd_signals::objects::Namespace = whyd_signals::objects::Namespace {
        metadata: whyd_signals::objects::Meta {
            name: "team-a".into(),
            uid: "u".into(),
            labels: BTreeMap::from([("team".into(), "c".into())]),
            ..Default::default()
        },
    };
    let told = Anomaly {
        ts: at(0),
        team: Team::new("a"),
        namespace: "team-a".into(),
        pod: "p".into(),
        container: String::new(),
        metric: "m".into(),
        score: 2.0,
        value: 2.0,
        expected: 1.0,
        text: String::new(),
        workload: String::new(),
        trace: String::new(),
        until: at(0),
        episode: 0,
    };
    w.put_anomalies(Arc::new(vec![Arc::new(told)]));
    assert_eq!(w.snapshot().scoped(&Access::team("a")).anomalies().len(), 1);
    w.begin(at(1), None);
    w.stage_object(
        Resource::Namespaces,
        Verb::Apply,
        Some(Object::Namespace(Arc::new(namespace))),
        Vec::new(),
        (at(1), 100),
    );
    let staged = w.stage();
    assert_eq!(w.publish(staged.mark).objects.len(), 1);
    assert_eq!(w.snapshot().scoped(&Access::team("c")).series_named("m").len(), 1);
    assert!(w.snapshot().scoped(&Access::team("a")).series_named("m").is_empty());
    let anomalies = |team: &str| w.snapshot().scoped(&Access::team(team)).anomalies().len();
    assert_eq!([anomalies("a"), anomalies("c")], [0, 1]);
    let shown = w.snapshot().scoped(&Access::team("c")).anomalies();
    assert_eq!(shown[0].team.as_str(), "c", "whose it was is nobody's affair");
}

#[test]
fn readers_in_another_thread_see_whole_snapshots() {
    let (send, receive) = std::sync::mpsc::sync_channel::<(i64, Arc<Snapshot>)>(4);
    let reader = std::thread::spawn(move || {
        let mut seen = 0;
        for (round, snapshot) in receive {
            let s = snapshot.scoped(&Access::All);
            for pod in ["p", "q"] {
                let id = only(&s, pod);
                assert_eq!(s.asof(id, Timestamp::MAX), Some(sample(round, round as f64)));
                assert_eq!(s.slice(id, at(0), at(round)).len() as i64, round + 1);
            }
            seen += 1;
        }
        seen
    });
    let mut w = writer(Limits::default());
    for round in 0..2000 {
        let value = round as f64;
        write(&mut w, round, &[("p", round, value), ("q", round, value)]);
        // Rows that are taken back while the reader walks.
        w.begin(at(round), None);
        for pod in ["q", "p", "x"] {
            let id = w.series(RawLabels(&labels("m", "team-a", pod))).unwrap();
            w.sample(id, at(round + 1), -1.0).unwrap();
        }
        if round % 3 == 0 {
            w.stage();
            w.discard();
        } else {
            w.rollback();
        }
        if round % 97 == 0 {
            w.seal_tail(true);
        }
        send.send((round, w.snapshot())).unwrap();
    }
    drop(send);
    assert_eq!(reader.join().unwrap(), 2000);
}

#[test]
fn what_the_sender_says_of_a_lines_level_holds_and_what_a_store_guessed_only_where_the_line_is_silent() {
    use crate::Level::{Error, Info, Unknown, Warn};
    let mut w = writer(Limits::default());
    w.begin(at(0), None);
    let cases: &[(&[(&str, &str)], &str, crate::Level)] = &[
        (&[("level", "info")], "ERROR: nothing to worry about", Info),
        (&[("level", "WARNING")], "hello", Warn),
        (&[("level", "who knows")], "level=error x", Error),
        (&[("level", "unknown"), ("detected_level", "warn")], "hello", Warn),
        (&[("detected_level", "info")], "level=error x", Error),
        (&[("level", "error"), ("detected_level", "info")], "hello", Error),
        (&[], "hello", Unknown),
    ];
    for (n, (labels, text, _)) in cases.iter().enumerate() {
        let own = [("namespace", "team-a"), ("container", "c")];
        let labels: Vec<_> = own.iter().chain(*labels).map(|(n, v)| (Cow::Borrowed(*n), Cow::Borrowed(*v))).collect();
        let id = w.stream(&labels, &[(Cow::Borrowed("pod"), Cow::Owned(format!("p{n}")))]).unwrap();
        LogSink::line(&mut w, id, at(0), text).unwrap();
    }
    let staged = w.stage();
    w.publish(staged.mark);
    for (n, (labels, text, level)) in cases.iter().enumerate() {
        let lines = all(&w).lines_of("team-a", &format!("p{n}"), "c", at(0), at(1));
        assert_eq!(lines.iter().map(|l| l.level).collect::<Vec<_>>(), [*level], "{labels:?} {text}");
    }
}

#[test]
fn a_scan_of_one_team_goes_on_behind_megabytes_of_another() {
    let mut w = writer(Limits::default());
    let long = "x".repeat(9_000);
    for second in 0..3 {
        w.begin(at(second), None);
        (0..125).for_each(|n| line(&mut w, "team-a", "p", second, &format!("{n} {long}")));
        (0..10).for_each(|n| line(&mut w, "team-b", "q", second, &format!("{n}")));
        let staged = w.stage();
        w.publish(staged.mark);
    }
    let lines = whyd_signals::schema::tables::logs().index_of("line").unwrap();
    for (team, rows) in [("a", 375), ("b", 30), ("c", 0)] {
        let scoped = w.snapshot().scoped(&Access::team(team));
        let all = scoped.log_batches((at(0), at(9)), [lines].into(), LinesWanted::default(), (0, 1));
        let batches: Vec<usize> = all.map(|batch| batch.num_rows()).collect();
        assert_eq!((batches.iter().sum::<usize>(), batches.contains(&0)), (rows, false), "{team}");
    }
}

#[test]
fn lines_are_read_in_order_with_level_and_template() {
    let mut w = writer(Limits::default());
    for second in 0..20 {
        w.begin(at(second), None);
        line(&mut w, "team-a", "p", second, "level=error b");
        line(&mut w, "team-a", "p", second, "a");
        line(&mut w, "team-a", "q", second, "c");
        let staged = w.stage();
        let published = w.publish(staged.mark);
        let lines: Vec<usize> = published.lines().map(|l| l.iter().count()).collect();
        assert_eq!(lines, [2, 1]);
    }
    let s = all(&w);
    let lines = s.lines_of("team-a", "p", "c", at(5), at(7));
    assert_eq!(lines.len(), 6);
    assert_eq!((lines[0].line.as_str(), lines[1].line.as_str(), lines[2].ts), ("level=error b", "a", at(6)));
    assert_eq!((lines[0].level, lines[0].template_id), (crate::Level::Error, TemplateId(13)));
    assert_eq!(s.lines_of("team-a", "p", "", at(5), at(7)), lines);
    assert!(s.lines_of("team-a", "p", "other", at(5), at(7)).is_empty());
    let mut seen = 0;
    s.visit_last_lines(("team-a", "q", "c"), at(0), at(3), 9, |l| seen += usize::from(l.line == "c"));
    assert_eq!(seen, 4);
    assert_eq!(scanned_lines(&s, (at(5), at(7))), 9);
}

#[test]
fn bytes_are_bounded_and_idle_series_forgotten() {
    let mut w = writer(Limits { bytes: 1 << 20, ..Limits::default() });
    for round in 0..3000i64 {
        let pods: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
        let noise = |n: usize| (round as f64 + n as f64).sin();
        let rows: Vec<_> = pods.iter().enumerate().map(|(n, p)| (p.as_str(), round, noise(n))).collect();
        write(&mut w, round, &rows);
        w.begin(at(round), None);
        line(&mut w, "team-a", "p", round, &"x".repeat(500));
        let staged = w.stage();
        w.publish(staged.mark);
        w.seal(at(round));
        assert!(w.stats().total_bytes() <= (1 << 20) + (1 << 17), "{:?}", w.stats());
    }
    let stats = w.stats();
    assert!(stats.dropped["bytes"] > 0);
    assert_eq!(stats.samples, 120_000);
    assert!(stats.samples_held > 0 && stats.lines_held > 0 && stats.samples_held + stats.lines_held < 123_000);
    for hour in 1..30 {
        w.seal(at(3000 + hour * 3600));
    }
    let stats = w.stats();
    assert_eq!((stats.series, stats.streams, stats.samples_held, stats.lines_held), (0, 0, 0, 0));
    assert!(stats.total_bytes() < 4096, "{stats:?}");
}

#[test]
fn namespaces_that_are_gone_make_room_for_others_and_hide_nothing() {
    let mut w = writer(Limits { series: 1 << 20, series_of_team: 1 << 20, ..Limits::default() });
    let put = |w: &mut Writer, second: i64, namespaces: &mut dyn Iterator<Item = String>| {
        w.begin(at(second), None);
        for namespace in namespaces {
            let labels = raw(&[("__name__", "m"), ("namespace", &namespace), ("pod", "p")]);
            match w.series(RawLabels(&labels)) {
                Ok(id) => drop(w.sample(id, at(second), 1.0)),
                Err(why) => SampleSink::refused(w, 1, why),
            }
        }
        let staged = w.stage();
        w.publish(staged.mark);
        w.seal(at(second));
        staged.stored
    };
    assert_eq!(put(&mut w, 0, &mut (0..70_000).map(|n| format!("old-{n}"))), 65_536);
    let before = w.snapshot();
    let mut kept = 0;
    for hour in 1..30 {
        kept += put(&mut w, hour * 3600, &mut [format!("new-{hour}"), "old-3".to_owned()].into_iter());
    }
    let stats = w.stats();
    assert_eq!((stats.namespaces, kept > 30), (stats.series, true), "{kept}");
    // One that takes up what this one holds has as much room, at once.
    let mut again = writer(Limits { series: 1 << 20, series_of_team: 1 << 20, ..Limits::default() });
    again.resume(w.cut().unwrap().held(), HeldRows::default());
    assert_eq!(again.stats().namespaces, stats.namespaces);
    assert_eq!(put(&mut again, 30 * 3600, &mut (0..60_000).map(|n| format!("newer-{n}"))), 60_000);
    assert!(put(&mut w, 30 * 3600, &mut (0..60_000).map(|n| format!("newer-{n}"))) == 60_000);
    // Who reads what was there before sees it under its own names, and nobody sees another's.
    for (snapshot, count) in [(before, 65_536), (w.snapshot(), w.stats().series)] {
        let scoped = Scoped::new(snapshot, &Access::All);
        let all: Vec<_> = scoped.all_series().collect();
        assert_eq!(all.len(), count);
        for (id, meta) in all {
            assert_eq!(scoped.snapshot.namespaces[meta.namespace_id as usize], meta.namespace);
            assert!(!scoped.slice(id, Timestamp::MIN, Timestamp::MAX).is_empty(), "{:?}", meta.labels);
        }
    }
}

#[test]
fn rows_that_were_kept_are_kept_again_whatever_numbers_there_are_now() {
    let put = |w: &mut Writer, obey: Option<&Bitmap>| {
        w.begin(at(0), obey);
        for n in 0..5 {
            let namespace = format!("ns-{n}");
            let labels = raw(&[("__name__", "m"), ("namespace", &namespace), ("pod", "p")]);
            match w.series(RawLabels(&labels)) {
                Ok(id) => drop(w.sample(id, at(0), 1.0)),
                Err(why) => SampleSink::refused(w, 1, why),
            }
            let labels = [(Cow::Borrowed("namespace"), Cow::Owned(format!("logs-{n}")))];
            match w.stream(&labels, &[]) {
                Ok(id) => drop(w.line(id, at(0), "x")),
                Err(why) => LogSink::refused(w, 1, why),
            }
        }
        let staged = w.stage();
        w.publish(staged.mark);
        staged
    };
    let live = put(&mut writer(Limits::default()), None);
    assert_eq!(live.stored, 10);
    let few = || writer(Limits { namespaces: 3, ..Limits::default() });
    let now = put(&mut few(), None);
    assert_eq!((now.stored, now.refused.values().sum::<u64>()), (3, 7));
    let again = put(&mut few(), Some(&live.bitmap));
    assert_eq!((again.stored, again.refused.len()), (10, 0));
    assert_eq!(put(&mut few(), Some(&now.bitmap)).stored, 3);
}

#[test]
fn a_line_in_another_unit_is_refused_once_and_kept_again_where_it_was_kept() {
    let put = |w: &mut Writer, obey: Option<&Bitmap>| {
        w.begin(at(0), obey);
        let id = w.stream(&[(Cow::Borrowed("namespace"), Cow::Borrowed("a"))], &[]).unwrap();
        let seconds = NOW / SECOND;
        let times = [NOW, seconds, seconds * 1_000, seconds * 1_000_000, 5 * SECOND];
        let judged = times.map(|ts| w.line(id, Timestamp(ts), "x").err());
        let staged = w.stage();
        w.publish(staged.mark);
        (judged, staged)
    };
    let wrong = Some(Refusal::WrongUnit);
    let (judged, live) = put(&mut writer(Limits::default()), None);
    assert_eq!(judged[..4], [None, wrong, wrong, wrong]);
    // True nanoseconds of a node without a clock.
    assert_eq!((judged[4], live.stored), (None, 2));
    let (again, replayed) = put(&mut writer(Limits::default()), Some(&live.bitmap));
    assert_eq!((again.iter().filter(|why| why.is_none()).count(), replayed.stored), (2, 2));
    // A version that did not judge so has acknowledged all of them.
    assert_eq!(put(&mut writer(Limits::default()), Some(&Bitmap::default())).1.stored, 5);
}

#[test]
fn what_no_row_was_kept_of_does_not_come_to_be_at_a_replay() {
    let crowded = || Limits { series: 1, streams: 1, ..Limits::default() };
    let put = |w: &mut Writer, obey: Option<&Bitmap>| {
        w.begin(at(0), obey);
        for n in ["a", "b"] {
            match w.series(RawLabels(&labels("m", "team-a", n))) {
                Ok(id) => drop((w.sample(id, at(-1), 1.0), w.sample(id, at(0), 1.0))),
                Err(why) => SampleSink::refused(w, 2, why),
            }
            match w.stream(&[(Cow::Borrowed("namespace"), Cow::Borrowed(n))], &[]) {
                Ok(id) => drop(w.line(id, at(0), "x")),
                Err(why) => LogSink::refused(w, 1, why),
            }
        }
        let staged = w.stage();
        w.publish(staged.mark);
        (staged, w.stats())
    };
    let (live, stats) = put(&mut writer(crowded()), None);
    assert_eq!((live.stored, stats.series, stats.streams), (3, 1, 1));
    let (again, stats) = put(&mut writer(Limits::default()), Some(&live.bitmap));
    assert_eq!((again.stored, stats.series, stats.streams), (3, 1, 1), "there is room now, and nothing to put there");
    // Of the second series the first row was refused and the second kept.
    let mut late = Bitmap::default();
    late.set(3);
    let (again, stats) = put(&mut writer(Limits::default()), Some(&late));
    assert_eq!((again.stored, stats.series, stats.streams), (5, 2, 2));
}

#[test]
fn a_stream_of_many_labels_that_was_kept_is_itself_again() {
    let names: Vec<String> = (0..130).map(|n| format!("l{n}")).collect();
    let many: Vec<_> = names.iter().map(|n| (Cow::Borrowed(n.as_str()), Cow::Borrowed("v"))).collect();
    let mut w = writer(Limits::default());
    w.begin(at(0), Some(&Bitmap::default()));
    let id = w.stream(&many, &[]).unwrap();
    w.line(id, at(0), "x").unwrap();
    let staged = w.stage();
    w.publish(staged.mark);
    assert_eq!(w.snapshot().scoped(&Access::All).stream(id).unwrap().labels.iter().count(), 130);
    // One that was refused is not looked at again, whatever comes beside it.
    let mut refused = Bitmap::default();
    refused.set(0);
    let mut w = writer(Limits::default());
    w.begin(at(1), Some(&refused));
    assert_eq!(w.stream(&many, &[]), Err(Refusal::LabelLimit));
    LogSink::refused(&mut w, 1, Refusal::LabelLimit);
    let id = w.stream(&[(Cow::Borrowed("namespace"), Cow::Borrowed("a"))], &[]).unwrap();
    w.line(id, at(1), "x").unwrap();
    let staged = w.stage();
    assert_eq!((staged.stored, staged.refused[&Refusal::LabelLimit]), (1, 1));
}

/// Stages one sample of a replica of a pair, received at this second.
fn put_replica(w: &mut Writer, (second, replica, value): (i64, &str, f64), obey: Option<&Bitmap>) -> Staged {
    w.begin(at(second), obey);
    let labels =
        raw(&[("__name__", "m"), ("__replica__", replica), ("cluster", "c"), ("namespace", "team-a"), ("pod", "p")]);
    match w.series(RawLabels(&labels)) {
        Ok(id) => {
            let _ = w.sample(id, at(second), value);
        }
        Err(why) => SampleSink::refused(w, 1, why),
    }
    w.stage()
}

#[test]
fn of_a_pair_each_sample_is_kept_once() {
    let bodies: Vec<(i64, &str, f64)> = vec![
        (0, "a", 0.0),
        (1, "b", 0.5),
        (15, "a", 15.0),
        (16, "b", 15.5),
        (46, "b", 45.5),
        (47, "a", 45.0),
        (61, "b", 60.5),
    ];
    let mut live = writer(Limits::default());
    let mut kept = Vec::new();
    for body in &bodies {
        let staged = put_replica(&mut live, *body, None);
        live.publish(staged.mark);
        assert_eq!(staged.stored + staged.deduplicated, 1);
        assert!(staged.refused.is_empty());
        kept.push(staged.bitmap);
    }
    let expected = [(0, 0.0), (15, 15.0), (46, 45.5), (61, 60.5)];
    let of = |w: &Writer| {
        let s = all(w);
        let ids = s.series_of("m", "team-a", "p", None);
        assert_eq!(ids.len(), 1);
        assert_eq!(s.meta(ids[0]).unwrap().label("__replica__"), None);
        let samples = s.slice(ids[0], Timestamp::MIN, Timestamp::MAX);
        samples.iter().map(|s| ((s.ts.0 - NOW) / SECOND, s.value)).collect::<Vec<_>>()
    };
    assert_eq!(of(&live), expected);
    assert_eq!((live.stats().deduplicated, live.stats().failovers, live.stats().series), (3, 1, 1));

    // The log may begin when the election is over, and be read back under another rule: its rows say who won.
    for (skipped, rule) in [
        (0, ReplicaRule::default()),
        (1, ReplicaRule::default()),
        (3, ReplicaRule::default()),
        (0, ReplicaRule { failover: Duration::from_secs(3600), ..ReplicaRule::default() }),
        (0, ReplicaRule { clusters: 0, ..ReplicaRule::default() }),
    ] {
        let mut replayed = writer(Limits::default()).with_replicas(rule.clone());
        for (body, bitmap) in bodies.iter().zip(&kept).skip(skipped) {
            let staged = put_replica(&mut replayed, *body, Some(bitmap));
            replayed.publish(staged.mark);
        }
        let expected: Vec<(i64, f64)> = expected.into_iter().filter(|(t, _)| *t >= bodies[skipped].0).collect();
        assert_eq!(of(&replayed), expected, "{skipped} {rule:?}");
        if rule.clusters > 0 {
            assert_eq!(put_replica(&mut replayed, (62, "a", 1.0), None).deduplicated, 1, "{skipped} {rule:?}");
            assert_eq!(put_replica(&mut replayed, (63, "b", 1.0), None).stored, 1, "{skipped} {rule:?}");
        }
    }
}

#[test]
fn what_was_asked_for_is_taken_within_the_window_whatever_is_there_already() {
    let limits = Limits { window: Duration::from_secs(3600), lateness: Duration::from_secs(60), ..Limits::default() };
    let rows: &[Row<'_>] =
        &[("p", -3000, 1.0), ("p", -2000, 2.0), ("p", -3700, 3.0), ("q", -9000, 4.0), ("q", -9100, 5.0)];
    let newest = |w: &mut Writer| {
        w.begin(at(0), None);
        line(w, "team-a", "p", 0, "b");
        let staged = w.stage();
        w.publish(staged.mark);
    };
    let mut w = writer(limits.clone());
    write(&mut w, 0, &[("p", 0, 9.0)]);
    newest(&mut w);
    let pushed = write(&mut w, 0, rows);
    // The first of a series may be as old as it likes, as ever.
    assert_eq!(pushed.refused, BTreeMap::from([(Refusal::TooOld, 4)]));

    let asked = |w: &mut Writer, obey: Option<&Bitmap>| {
        w.begin(at(0), obey);
        w.reach(Reach::Window);
        for (pod, ts, value) in rows {
            let id = w.series(RawLabels(&labels("m", "team-a", pod))).unwrap();
            let _ = w.sample(id, at(*ts), *value);
        }
        let lines = [(-3000, "a"), (0, "b"), (-2000, "c"), (-3700, "d")];
        lines.iter().for_each(|(ts, text)| line(w, "team-a", "p", *ts, text));
        let staged = w.stage();
        w.publish(staged.mark);
        staged
    };
    let staged = asked(&mut w, None);
    assert_eq!(staged.refused, BTreeMap::from([(Refusal::TooOld, 3)]), "beyond window and lateness");
    assert_eq!(values(&all(&w), "p"), [(-3000, 1.0), (-2000, 2.0), (0, 9.0)]);
    let lines = |w: &Writer| -> Vec<String> {
        let all = all(w).lines_of("team-a", "p", "c", Timestamp::MIN, Timestamp::MAX);
        all.into_iter().map(|l| l.line).collect()
    };
    assert_eq!(lines(&w), ["a", "c", "b"]);
    assert_eq!(asked(&mut w, None).stored, 0, "a second time nothing is new");

    // Replay takes what was taken, however narrow the window is by then.
    let mut narrow = writer(Limits { window: Duration::from_secs(1), lateness: Duration::from_secs(1), ..limits });
    write(&mut narrow, 0, &[("p", 0, 9.0), ("q", -9000, 4.0)]);
    newest(&mut narrow);
    asked(&mut narrow, Some(&staged.bitmap));
    assert_eq!(values(&all(&narrow), "p"), [(-3000, 1.0), (-2000, 2.0), (0, 9.0)]);
    assert_eq!(lines(&narrow), ["a", "c", "b"]);
}

fn alert(namespace: &str, fingerprint: &str, ends_at: Option<i64>) -> Alert {
    Alert {
        fingerprint: fingerprint.into(),
        starts_at: at(0),
        ends_at: ends_at.map(at),
        name: "A".into(),
        severity: String::new(),
        namespace: namespace.into(),
        kind: "Pod".into(),
        object: "p".into(),
        container: String::new(),
        summary: String::new(),
        link: String::new(),
    }
}

#[test]
fn alerts_are_staged_published_and_seen_by_their_team() {
    let mut w = writer(Limits::default());
    w.begin(at(0), None);
    for (namespace, fingerprint) in [("team-a", "1"), ("team-b", "2"), ("", "3")] {
        w.alert(alert(namespace, fingerprint, None)).unwrap();
    }
    AlertSink::refused(&mut w, 1, Refusal::OwnAlert);
    let staged = w.stage();
    assert_eq!((staged.stored, staged.refused[&Refusal::OwnAlert], staged.bitmap.count()), (3, 1, 1));
    assert_eq!(all(&w).each_alert().count(), 0, "not before it is published");
    w.publish(staged.mark);
    assert_eq!(w.stats().samples, 0, "alerts are no samples");
    let seen = |w: &Writer, access: &Access| -> Vec<String> {
        w.snapshot().scoped(access).each_alert().map(|a| a.fingerprint.clone()).collect()
    };
    assert_eq!(seen(&w, &Access::All), ["1", "2", "3"]);
    assert_eq!(seen(&w, &Access::team("a")), ["1"]);
    assert_eq!(seen(&w, &Access::team(Team::PLATFORM)), ["3"]);

    // Told again it is there; its end is news; what is taken back leaves no trace.
    w.begin(at(1), None);
    w.alert(alert("team-a", "1", None)).unwrap();
    w.alert(alert("team-b", "2", Some(1))).unwrap();
    let again = w.stage();
    assert_eq!((again.stored, again.repeated), (1, 1));
    w.publish(again.mark);
    w.begin(at(2), None);
    w.alert(alert("team-a", "4", None)).unwrap();
    w.rollback();
    let ended: Vec<Option<Timestamp>> = all(&w).each_alert().map(|a| a.ends_at).collect();
    assert_eq!(ended, [None, Some(at(1)), None]);
    // The window is counted from when it was last told.
    w.seal(at(6 * 3600 + 1));
    assert_eq!(seen(&w, &Access::All), ["1", "2"]);
}

#[test]
fn nothing_to_keep_is_told_apart_from_something() {
    let mut w = writer(Limits { series: 1, ..Limits::default() });
    write(&mut w, 0, &[("p", 0, 1.0)]);
    let mut judged = |rows: &[Row<'_>]| {
        w.begin(at(0), None);
        for (pod, ts, value) in rows {
            match w.series(RawLabels(&labels("m", "team-a", pod))) {
                Ok(id) => drop(w.sample(id, at(*ts), *value)),
                Err(why) => SampleSink::refused(&mut w, 1, why),
            }
        }
        let refused = w.all_refused();
        w.rollback();
        refused.map(|refused| refused.into_keys().collect::<Vec<_>>())
    };
    assert_eq!(judged(&[]), None);
    assert_eq!(judged(&[("q", 0, 1.0)]), Some(vec![Refusal::SeriesLimit]));
    assert_eq!(judged(&[("q", 0, 1.0), ("p", 9000, 1.0)]), Some(vec![Refusal::SeriesLimit, Refusal::TooNew]));
    assert_eq!(judged(&[("q", 0, 1.0), ("p", 1, 1.0)]), None, "one is new");
    assert_eq!(judged(&[("q", 0, 1.0), ("p", 0, 1.0)]), None, "one was there");
    assert_eq!(judged(&[("p", 0, 0.5)]), Some(vec![Refusal::Duplicate]), "a smaller value for the same time");
    assert_eq!(judged(&[("p", 0, 1.5)]), None, "a larger one is kept");
}

#[test]
fn a_namespace_that_changes_its_team_takes_its_share_along() {
    let mut w = writer(Limits { series_of_team: 1, ..Limits::default() });
    write(&mut w, 0, &[("p", 0, 1.0)]);
    assert_eq!(write(&mut w, 0, &[("q", 0, 1.0)]).refused[&Refusal::TeamLimit], 1);
    let metadata = Meta {
        name: "team-a".into(),
        uid: "u".into(),
        labels: BTreeMap::from([("team".into(), "c".into())]),
        ..Meta::default()
    };
    let namespace = Object::Namespace(Arc::new(whyd_signals::objects::Namespace { metadata }));
    w.begin(at(1), None);
    w.stage_object(Resource::Namespaces, Verb::Apply, Some(namespace), Vec::new(), (at(1), 100));
    let staged = w.stage();
    w.publish(staged.mark);
    assert_eq!(write(&mut w, 1, &[("q", 1, 1.0)]).refused[&Refusal::TeamLimit], 1, "it is all of the share of c");
    w.begin(at(1), None);
    w.series(RawLabels(&labels("m", "team-a-2", "p"))).expect("of another team");
}

/// Publishes an object that came as so many bytes.
fn object(w: &mut Writer, verb: Verb, object: Object, bytes: usize) -> usize {
    let resource = match &object {
        Object::Pod(_) => Resource::Pods,
        _ => Resource::Events,
    };
    w.begin(at(0), None);
    w.stage_object(resource, verb, Some(object), Vec::new(), (at(0), bytes));
    let staged = w.stage();
    w.publish(staged.mark).objects.len()
}

fn pod(namespace: &str, n: usize) -> Object {
    let (name, uid) = (format!("p{n}"), format!("u-{namespace}-{n}"));
    let metadata = Meta { name, uid, namespace: namespace.into(), resource_version: "1".into(), ..Meta::default() };
    Object::Pod(Arc::new(Pod { metadata, ..Pod::default() }))
}

fn event(namespace: &str, n: usize) -> Object {
    let uid = format!("e{n}");
    let metadata = Meta { uid, namespace: namespace.into(), resource_version: n.to_string(), ..Meta::default() };
    let involved_object = ObjectRef { namespace: namespace.into(), ..ObjectRef::default() };
    Object::Event(Arc::new(Event { metadata, involved_object, ..Event::default() }))
}

#[test]
fn the_cluster_stays_within_its_bytes() {
    let limits = Limits { bytes: 4 << 20, ..Limits::default() };
    let most = limits.cluster_bytes();
    let mut w = writer(limits);
    let bytes = |w: &Writer| w.stats().bytes["cluster"];
    for n in 0..10 {
        object(&mut w, Verb::Apply, pod("team-a", n), 1_000);
    }
    // Events of one namespace push out their own, the oldest first.
    object(&mut w, Verb::Apply, event("team-a", 0), 1_000);
    for n in 1..5_000 {
        object(&mut w, Verb::Apply, event("team-loud", n), 1_000);
        assert!(bytes(&w) <= most + 2_000, "{} of {most}", bytes(&w));
    }
    let events = |w: &Writer, namespace: &str| {
        let scoped = all(w);
        let space = scoped.cluster().namespace(namespace).unwrap();
        (space.events.len(), space.events.last().map(|e| e.event.metadata.uid.clone()))
    };
    assert_eq!(events(&w, "team-a").0, 1);
    assert_eq!(events(&w, "team-loud").1, Some("e4999".into()));
    let dropped = w.stats().dropped["cluster"];
    assert!(dropped > 1_000, "{dropped}");
    // So do pods that come and go.
    for n in 0..5_000 {
        object(&mut w, Verb::Apply, pod("team-churn", n), 1_000);
        object(&mut w, Verb::Delete, pod("team-churn", n), 1_000);
        assert!(bytes(&w) <= most + 4_000, "{} of {most}", bytes(&w));
    }
    assert_eq!(all(&w).cluster().namespace("team-a").unwrap().pods.len(), 10, "what is there stays");

    // What is there now goes for nobody: new objects are not taken, and known ones are followed.
    let mut taken = 0;
    for n in 0..5_000 {
        taken += object(&mut w, Verb::Apply, pod("team-large", n), 1_000);
        assert!(bytes(&w) <= most + 4_000, "{} of {most}", bytes(&w));
    }
    assert!((100..1_000).contains(&taken), "{taken}");
    assert_eq!(all(&w).cluster().namespace("team-large").unwrap().pods.len(), taken);
    assert_eq!(object(&mut w, Verb::Apply, pod("team-a", 0), 1_000), 1);
    assert_eq!(object(&mut w, Verb::Apply, pod("team-b", 0), 1_000), 0);
    // Once something has gone there is room again.
    for n in 0..200 {
        object(&mut w, Verb::Delete, pod("team-large", n), 1_000);
    }
    assert_eq!(object(&mut w, Verb::Apply, pod("team-b", 0), 1_000), 1);
}

#[test]
fn a_body_that_is_taken_back_leaves_no_name_and_no_namespace() {
    let mut w = writer(Limits::default());
    write(&mut w, 0, &[("p", 0, 1.0)]);
    let held = |w: &Writer| (w.names.bytes(), w.namespaces.names().len());
    let before = held(&w);
    w.begin(at(1), None);
    for n in 0..100 {
        let raw = labels("m", &format!("team-{n}"), &format!("pod-{n}"));
        w.series(RawLabels(&raw)).unwrap();
        line(&mut w, &format!("space-{n}"), &format!("other-{n}"), 1, "x");
    }
    assert_eq!(held(&w).1, before.1 + 200);
    w.rollback();
    assert_eq!(held(&w), before);
    let staged = put(&mut w, 2, &[("p", 2, 1.0), ("q", 2, 1.0)], None);
    w.publish(staged.mark);
    assert_eq!((all(&w).slice(only(&all(&w), "q"), at(0), at(9)).len(), held(&w).1), (1, before.1));
}
