#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use whyd_signals::Team;
use whyd_signals::sink::{AHEAD, RawLabels};

use super::*;
use crate::budget::Limits;
use crate::labels::tests::raw;
use crate::names::{Names, Namespaces};
use crate::state::Cluster;

struct Fixture {
    index: SeriesIndex,
    limits: Limits,
    names: Names,
    namespaces: Namespaces,
    cluster: Cluster,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Limits { series: 4, ..Limits::default() })
    }

    /// Namespaces before the first dash belong to the team of that name.
    fn with(limits: Limits) -> Self {
        let team_of = |name: &str, _: &_| Team::new(name.split('-').next().unwrap_or_default());
        let cluster = Cluster::new(Arc::new(team_of));
        let (names, namespaces) = (Names::default(), Namespaces::default());
        Self { index: SeriesIndex::default(), limits, names, namespaces, cluster }
    }

    fn resolve(&mut self, labels: &[(&str, &str)]) -> Result<u32, Refusal> {
        let raw = raw(labels);
        let Self { index, limits, names, namespaces, cluster } = self;
        let around = &mut Around { limits, names, namespaces, cluster };
        index.resolve(&raw, &mut Replicas::default(), around).map(|id| id.0)
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

#[test]
fn a_team_has_its_share_and_others_go_on() {
    let mut f = Fixture::with(Limits { series: 10, series_of_team: 3, ..Limits::default() });
    let of = |namespace: &'static str, pod: &'static str| [("__name__", "up"), ("namespace", namespace), ("pod", pod)];
    for (namespace, pod) in [("a-1", "x"), ("a-2", "x"), ("a-1", "y")] {
        f.resolve(&of(namespace, pod)).unwrap();
    }
    assert_eq!(f.resolve(&of("a-2", "z")), Err(Refusal::TeamLimit));
    assert_eq!(f.resolve(&of("a-3", "z")), Err(Refusal::TeamLimit), "a namespace that is new");
    assert_eq!(f.namespaces.known("a-3"), None, "what is refused leaves no name behind");
    assert_eq!(f.resolve(&of("a-1", "y")), Ok(2), "known ones go on");
    assert_eq!(f.resolve(&of("b-1", "x")), Ok(3));
    // What is taken back is free again.
    f.index.rollback();
    for pod in ["x", "y", "z"] {
        f.resolve(&of("a-1", pod)).unwrap();
    }
    assert_eq!(f.resolve(&of("a-1", "zz")), Err(Refusal::TeamLimit));
    // The platform's own have no share, only the whole.
    for (n, pod) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        assert_eq!(f.resolve(&[("__name__", "node"), ("pod", pod)]), Ok(3 + n as u32));
    }
    assert_eq!(f.resolve(&[("__name__", "node"), ("pod", "h")]), Err(Refusal::SeriesLimit));
}

#[test]
fn a_share_is_free_again_once_its_series_are_forgotten() {
    let mut f = Fixture::with(Limits { series_of_team: 1, ..Limits::default() });
    f.resolve(&labels("up", "a")).unwrap();
    f.index.commit();
    assert_eq!(f.resolve(&labels("up", "b")), Err(Refusal::TeamLimit));
    f.index.sweep(1);
    assert_eq!(f.resolve(&labels("up", "b")), Ok(1));
}

proptest::proptest! {
    #[test]
    fn what_is_found_ahead_is_what_would_be_found(turns in proptest::collection::vec(proptest::collection::vec(0usize..40, 0..=AHEAD), 1..20)) {
        let (mut f, mut twin) = (Fixture::with(Limits::default()), Fixture::with(Limits::default()));
        let series: Vec<Vec<u8>> = (0..40).map(|n| raw(&labels("up", &n.to_string()))).collect();
        for asked in turns {
            let next: Vec<RawLabels<'_>> = asked.iter().map(|n| RawLabels(&series[*n])).collect();
            let mut found = [None; AHEAD];
            f.index.registry.find_ahead(&next, &mut found);
            for (n, found) in asked.iter().zip(found) {
                let known = f.index.registry.find(&series[*n]);
                let id = twin.resolve(&labels("up", &n.to_string())).unwrap();
                match found {
                    Some(SeriesId(found)) => {
                        proptest::prop_assert_eq!(found, id);
                        f.index.take_found(SeriesId(found));
                    }
                    None => proptest::prop_assert_eq!(f.resolve(&labels("up", &n.to_string())).unwrap(), id),
                }
                // What came in the same call for the first time could not be found.
                proptest::prop_assert!(found.is_some() || known.is_none() || asked.iter().filter(|m| *m == n).count() > 1);
                proptest::prop_assert_eq!(f.index.expected(), twin.index.expected());
            }
            f.index.commit();
            twin.index.commit();
        }
    }
}
