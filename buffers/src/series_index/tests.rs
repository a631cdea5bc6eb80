#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::labels::tests::raw;

struct Fixture {
    index: SeriesIndex,
    limits: Limits,
    names: Names,
    namespaces: Namespaces,
}

impl Fixture {
    fn new() -> Self {
        let limits = Limits { series: 4, ..Limits::default() };
        Self { index: SeriesIndex::default(), limits, names: Names::default(), namespaces: Namespaces::default() }
    }

    fn resolve(&mut self, labels: &[(&str, &str)]) -> Result<u32, Refusal> {
        let raw = raw(labels);
        self.index
            .resolve(&raw, &self.limits, &mut Replicas::default(), &mut self.names, &mut self.namespaces)
            .map(|id| id.0)
    }
}

fn labels<'a>(name: &'a str, pod: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("__name__", name), ("namespace", "shop"), ("pod", pod)]
}

#[test]
fn two_spellings_are_one_series() {
    let mut f = Fixture::new();
    assert_eq!(f.resolve(&[("__name__", "up"), ("a", "1"), ("b", "2")]), Ok(0));
    assert_eq!(f.resolve(&[("b", "2"), ("__name__", "up"), ("a", "1")]), Ok(0));
    assert_eq!(f.resolve(&[("__name__", "up"), ("a", "1"), ("b", "2"), ("c", "")]), Ok(0));
    assert_eq!(f.resolve(&[("__name__", "up"), ("a", "1")]), Ok(1));
    assert_eq!(f.resolve(&[("a", "1")]), Err(Refusal::InvalidLabels));
}

#[test]
fn the_cap_refuses_new_series_only() {
    let mut f = Fixture::new();
    for (i, pod) in ["a", "b", "c", "d"].into_iter().enumerate() {
        assert_eq!(f.resolve(&labels("up", pod)), Ok(i as u32));
    }
    assert_eq!(f.resolve(&labels("up", "e")), Err(Refusal::SeriesLimit));
    for (i, pod) in ["a", "b", "c", "d"].into_iter().enumerate() {
        assert_eq!(f.resolve(&labels("up", pod)), Ok(i as u32));
    }
}

#[test]
fn a_repeated_order_is_predicted() {
    let mut f = Fixture::new();
    for round in 0..3 {
        for pod in ["a", "b", "c"] {
            let previous = f.index.previous;
            let id = f.resolve(&labels("up", pod)).unwrap();
            if round == 2 {
                assert_eq!(f.index.registry.slot(previous).unwrap().next, id);
            }
        }
    }
}

#[test]
fn rollback_leaves_no_trace_and_commit_makes_findable() {
    let mut f = Fixture::new();
    f.resolve(&labels("up", "a")).unwrap();
    f.index.commit();
    f.resolve(&labels("up", "b")).unwrap();
    f.resolve(&labels("up", "c")).unwrap();
    f.index.rollback();
    assert_eq!(f.index.registry.live(), 1);
    assert_eq!(f.resolve(&labels("up", "d")), Ok(1));
    f.index.commit();
    let lookup = f.index.lookup().read().unwrap();
    assert_eq!(lookup.of_pod("up", "shop", "d"), [1]);
    assert_eq!(lookup.of_pod("up", "shop", "b"), [0; 0]);
    assert_eq!(lookup.named("up"), [0, 1]);
    assert!(lookup.has_namespace("shop") && !lookup.has_namespace("other"));
}

#[test]
fn what_is_not_written_is_forgotten_and_its_place_given_to_another() {
    let mut f = Fixture::new();
    for pod in ["a", "b", "c", "d"] {
        f.resolve(&labels("up", pod)).unwrap();
    }
    f.index.commit();
    f.index.sweep(0);
    f.index.slot_mut(SeriesId(2)).unwrap().epoch = f.index.registry.epoch;
    f.index.sweep(1);
    assert_eq!(f.index.registry.live(), 1);
    assert_eq!(f.index.lookup().read().unwrap().named("up"), [2]);
    assert_eq!(f.resolve(&labels("up", "c")), Ok(2));
    assert_eq!(f.resolve(&labels("up", "a")), Ok(4));
}
