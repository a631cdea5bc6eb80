#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::borrow::Cow;

use whyd_signals::Team;

use super::*;
use crate::budget::Limits;
use crate::names::{Around, Names, Namespaces};
use crate::state::Cluster;

const WIDE: i64 = i64::MAX;

struct Fixture {
    store: LogStore,
    limits: Limits,
    names: Names,
    namespaces: Namespaces,
    cluster: Cluster,
    staged: u64,
}

impl Fixture {
    fn new() -> Self {
        let limits = Limits { streams: 3, ..Limits::default() };
        let (names, namespaces) = (Names::default(), Namespaces::default());
        let cluster = Cluster::new(Arc::new(|name, _| Team::new(name)));
        Self { store: LogStore::default(), limits, names, namespaces, cluster, staged: 0 }
    }

    fn stream(&mut self, labels: &[(&str, &str)], metadata: &[(&str, &str)]) -> Result<u32, Refusal> {
        let owned = |p: &[(&str, &str)]| -> Vec<(Cow<'static, str>, Cow<'static, str>)> {
            p.iter().map(|(n, v)| (Cow::Owned((*n).to_owned()), Cow::Owned((*v).to_owned()))).collect()
        };
        let (labels, metadata) = (owned(labels), owned(metadata));
        let Self { limits, names, namespaces, cluster, .. } = self;
        let around = &mut Around { limits, names, namespaces, cluster };
        self.store.streams.resolve(&labels, &metadata, around).map(|id| id.0)
    }

    /// Pushes lines received at 1000 with a lateness of 100; returns how many were new.
    fn push(&mut self, lines: &[(u32, i64, &str)]) -> u64 {
        let bounds = Bounds { oldest: 900, newest: 1100, lateness: 100, obey: false };
        for (stream, ts, text) in lines {
            let _ = self.store.line(*stream, *ts, text, &bounds);
        }
        self.staged += 1;
        let stored = self.store.stage(self.staged, 1000);
        self.store.publish(self.staged, WIDE, Durable::default(), |_, _, text| TemplateId(text.len() as u64));
        stored
    }

    fn texts(&self, stream: u32) -> Vec<String> {
        let all = self.store.batches().iter().flat_map(|b| b.between(stream, i64::MIN, i64::MAX));
        all.map(|l| l.text.to_owned()).collect()
    }
}

#[test]
fn the_pod_may_be_in_the_metadata_and_a_trace_id_makes_no_stream() {
    let mut f = Fixture::new();
    let a = f.stream(&[("namespace", "shop"), ("container", "c")], &[("pod", "p-1"), ("trace_id", "1")]).unwrap();
    let b = f.stream(&[("container", "c"), ("namespace", "shop")], &[("trace_id", "2"), ("pod", "p-1")]).unwrap();
    assert_eq!(a, b);
    assert_eq!(&*f.store.streams.registry.meta(a).unwrap().pod, "p-1");
    assert_eq!(f.stream(&[("namespace", "shop"), ("namespace", "x")], &[]), Err(Refusal::InvalidLabels));
    f.stream(&[("a", "1")], &[]).unwrap();
    f.stream(&[("a", "2")], &[]).unwrap();
    assert_eq!(f.stream(&[("a", "3")], &[]), Err(Refusal::StreamLimit));
    assert_eq!(f.stream(&[("a", "2")], &[]), Ok(2));
}

#[test]
fn a_push_sent_again_adds_nothing_and_equal_lines_in_one_push_stay() {
    let mut f = Fixture::new();
    let s = f.stream(&[("a", "1")], &[]).unwrap();
    let push = [(s, 950, "x"), (s, 950, "x"), (s, 960, "y")];
    assert_eq!(f.push(&push), 3);
    assert_eq!(f.push(&push), 0);
    assert_eq!(f.push(&[(s, 950, "x"), (s, 950, "x"), (s, 950, "x"), (s, 955, "late")]), 2);
    assert_eq!(f.push(&[(s, 960, "y"), (s, 970, "y")]), 1);
    assert_eq!(f.store.lines(), 6);
    assert_eq!(f.texts(s).len(), 6);
}

#[test]
fn a_redelivery_is_seen_while_the_first_waits_to_be_published() {
    let mut f = Fixture::new();
    let s = f.stream(&[("a", "1")], &[]).unwrap();
    let bounds = Bounds { oldest: 900, newest: 1100, lateness: 100, obey: false };
    for number in [1, 2] {
        f.store.line(s, 950, "x", &bounds).unwrap();
        assert_eq!(f.store.stage(number, 1000), 2 - number);
    }
    f.store.discard();
    f.store.line(s, 950, "x", &bounds).unwrap();
    assert_eq!(f.store.stage(3, 1000), 1, "what was discarded may come again");
}

#[test]
fn too_old_and_too_new() {
    let mut f = Fixture::new();
    let s = f.stream(&[("a", "1")], &[]).unwrap();
    let bounds = Bounds { oldest: 900, newest: 1100, lateness: 100, obey: false };
    let mut line = |ts| f.store.line(s, ts, "x", &bounds).err();
    assert_eq!(line(1101), Some(Refusal::TooNew));
    assert_eq!(line(100), None, "a stream that is behind as a whole");
    f.push(&[(s, 1000, "now")]);
    let mut line = |ts| f.store.line(s, ts, "z", &bounds).err();
    assert_eq!(line(899), Some(Refusal::TooOld));
    assert_eq!(line(900), None);
}

#[test]
fn small_batches_are_merged_and_keep_their_order() {
    let mut f = Fixture::new();
    let (s, t) = (f.stream(&[("a", "1")], &[]).unwrap(), f.stream(&[("a", "2")], &[]).unwrap());
    for n in 0..100 {
        f.push(&[(s, 950, &format!("line {n}")), (t, 950 + n, "level=error x")]);
    }
    assert!(f.store.batches().len() < 20, "{}", f.store.batches().len());
    assert_eq!(f.texts(s), (0..100).map(|n| format!("line {n}")).collect::<Vec<_>>());
    assert_eq!(f.store.lines(), 200);
    let bytes: usize = f.store.batches().iter().map(|b| b.bytes()).sum();
    assert_eq!(f.store.bytes(), bytes);
    let all: Vec<_> = f.store.batches().iter().flat_map(|b| b.between(t, 960, 969)).collect();
    assert_eq!(all.len(), 10);
    assert!(all.iter().all(|l| l.level == Level::Error && l.template == TemplateId(13)));
    assert_eq!(f.store.drop_before(1001), 200);
    assert_eq!((f.store.lines(), f.store.bytes()), (0, 0));
}

#[test]
fn batches_that_were_kept_go_on_in_order_of_arrival_whatever_order_they_come_back_in() {
    let mut f = Fixture::new();
    let stream = f.stream(&[("a", "1")], &[]).unwrap();
    let text = |n: usize| format!("line {n}");
    let texts: Vec<String> = (0..MERGE).map(text).collect();
    let line = |n: usize| Line {
        stream,
        ts: 950,
        arrival: n as u64,
        level: Level::Unknown,
        template: TemplateId(0),
        text: &texts[n],
    };
    let kept = (0..MERGE - 1).rev().map(|n| Arc::new(Batch::of_lines(vec![line(n)], (1000, 1000), 0)));
    f.store.resume(kept.collect(), MERGE as u64 - 1);
    f.push(&[(stream, 950, &texts[MERGE - 1])]);
    // With one more they were merged, and of lines of one time the first that came is the first.
    assert_eq!(f.store.batches().len(), 1);
    assert_eq!(f.texts(stream), texts);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// However lines come, they lie stream by stream in the order of time, ties in the order of arrival, over any merges.
    #[test]
    fn batches_hold_what_was_pushed(
        pushes in proptest::collection::vec(
            proptest::collection::vec((0usize..3, 900i64..1100, 0u8..4), 0..12), 1..40)
    ) {
        let mut f = Fixture::new();
        let names = ["1", "2", "3"];
        let streams: Vec<u32> = names.iter().map(|n| f.stream(&[("a", n)], &[]).unwrap()).collect();
        let mut model: Vec<Vec<(i64, usize, String)>> = vec![Vec::new(); 3];
        let mut arrived = 0;
        for push in &pushes {
            let mut lines = Vec::new();
            let mut now: Vec<(usize, i64, String)> = Vec::new();
            for (stream, ts, n) in push {
                let text = format!("é {n}{}", "x".repeat(usize::from(*n)));
                lines.push((streams[*stream], *ts, text.clone()));
                now.push((*stream, *ts, text));
            }
            let before = model.clone();
            for (n, (stream, ts, text)) in now.iter().enumerate() {
                // The n-th of equal lines of a push is the n-th of those that were there.
                let nth = now[..n].iter().filter(|l| l == &&now[n]).count();
                let stored = before[*stream].iter().filter(|(t, _, s)| t == ts && s == text).count();
                if nth >= stored {
                    model[*stream].push((*ts, arrived, text.clone()));
                    arrived += 1;
                }
            }
            let lines: Vec<(u32, i64, &str)> = lines.iter().map(|(s, ts, text)| (*s, *ts, text.as_str())).collect();
            f.push(&lines);
        }
        for (stream, mut expected) in streams.into_iter().zip(model) {
            expected.sort();
            let batches = f.store.batches();
            let mut found: Vec<_> = batches.iter().flat_map(|b| b.between(stream, i64::MIN, i64::MAX)).collect();
            for of_batch in batches.iter().map(|b| b.between(stream, i64::MIN, i64::MAX).collect::<Vec<_>>()) {
                proptest::prop_assert!(of_batch.is_sorted_by_key(|l| (l.ts, l.arrival)));
            }
            found.sort_by_key(|l| (l.ts, l.arrival));
            proptest::prop_assert!(found.iter().all(|l| l.template == TemplateId(l.text.len() as u64)));
            let found: Vec<_> = found.iter().map(|l| (l.ts, l.arrival as usize, l.text.to_owned())).collect();
            proptest::prop_assert_eq!(found, expected);
        }
        let bytes: usize = f.store.batches().iter().map(|b| b.bytes()).sum();
        proptest::prop_assert_eq!(f.store.bytes(), bytes);
    }
}

#[test]
fn many_lines_of_one_time_are_told_apart_however_often_they_come() {
    let mut f = Fixture::new();
    let s = f.stream(&[("a", "1")], &[]).unwrap();
    let texts: Vec<String> = (0..500).map(|n| format!("line {}", n % 400)).collect();
    let lines: Vec<_> = texts.iter().map(|text| (s, 1000, text.as_str())).collect();
    assert_eq!((f.push(&lines), f.push(&lines)), (500, 0));
    // Two more of a line that stands twice, and one that is new.
    let more = [&lines[..], &[(s, 1000, "line 0"), (s, 1000, "line 0"), (s, 1000, "other")]].concat();
    assert_eq!((f.push(&more), f.push(&more)), (3, 0));
}
