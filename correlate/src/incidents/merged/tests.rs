#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::schema::Root;

use super::*;
use crate::incidents::facts::Had;
use crate::population::tests::{image, of};

const LATENESS: Duration = Duration::from_secs(600);

fn at(second: u64) -> Timestamp {
    Timestamp(0).plus(Duration::from_secs(second))
}

fn facts(team: &str, workload: &str, second: u64, images: &[&str]) -> Facts {
    let had = Had {
        workload: format!("{team}/Deployment/{workload}"),
        pod: format!("pod of {workload}"),
        shares: images.iter().map(|i| image(i)).collect(),
    };
    Facts {
        opened: at(second),
        team: Team::new(team),
        group: String::new(),
        root: None,
        class: Some("app-error".into()),
        pods: [had].into(),
    }
}

/// Twenty workloads of team a and as many of b, of which the first five of each have one image.
fn population() -> Population {
    let pods = ["a", "b"].into_iter().flat_map(|team| {
        (0..20).map(move |n| {
            let own = if n < 5 { "shared".to_owned() } else { format!("{team}-{n}") };
            (team, format!("{team}/Deployment/w-{n}"), vec![image(&own)])
        })
    });
    of(&pods.collect::<Vec<_>>())
}

/// What is made of others: whose it is, and its parts.
fn told(merged: &Merged) -> Vec<(String, Vec<String>)> {
    let whole = |w: &Whole| (w.team().to_string(), w.parts.iter().cloned().collect());
    let mut all: Vec<_> = merged.wholes.values().map(whole).collect();
    all.sort();
    all
}

fn weighed(puts: &[(&str, Facts)]) -> Merged {
    let mut merged = Merged::default();
    for (id, facts) in puts {
        merged.put(id, Some(facts.clone()));
    }
    merged.weigh("lab", (at(10_000), LATENESS), &population());
    merged
}

#[test]
fn three_that_share_an_image_are_one_and_two_are_not() {
    let crash = |n: u64| facts("a", &format!("w-{n}"), 100 + n, &["shared"]);
    assert_eq!(told(&weighed(&[("0", crash(0)), ("1", crash(1))])), []);
    let all = weighed(&[("0", crash(0)), ("1", crash(1)), ("2", crash(2))]);
    assert_eq!(told(&all), [("a".to_owned(), ["0", "1", "2"].map(str::to_owned).to_vec())]);
    assert_eq!(all.part_of("1", &Team::new("a")).unwrap().teams, [Team::new("a")]);
    // A fourth that has it and died of another cause, or much later, or a third of other images.
    let other = Facts { class: Some("oom-limit".into()), ..crash(2) };
    assert_eq!(told(&weighed(&[("0", crash(0)), ("1", crash(1)), ("2", other)])), []);
    assert_eq!(told(&weighed(&[("0", crash(0)), ("1", crash(1)), ("2", facts("a", "w-2", 900, &["shared"]))])), []);
    assert_eq!(told(&weighed(&[("0", crash(0)), ("1", crash(1)), ("2", facts("a", "w-9", 101, &["a-9"]))])), []);
}

#[test]
fn what_was_weighed_before_the_pods_were_listed_is_weighed_again() {
    let mut merged = Merged::default();
    for n in 0..3 {
        merged.put(&n.to_string(), Some(facts("a", &format!("w-{n}"), 100 + n, &["shared"])));
    }
    // Long after, by what a restart took up.
    let late = (at(100_000), LATENESS);
    merged.weigh("lab", late, &Population::default());
    assert_eq!((told(&merged), merged.is_due(late.0)), (vec![], false));
    let weighed = merged.weigh("lab", late, &population());
    assert_eq!((weighed.wholes.len(), weighed.parts.len(), merged.wholes.len()), (1, 3, 1));
    assert!(merged.blind.is_empty());
}

#[test]
fn what_teams_share_is_told_to_each_and_to_the_platform() {
    let crash = |team: &str, n: u64| facts(team, &format!("w-{n}"), 100 + n, &["shared"]);
    let puts: Vec<(String, Facts)> = ["a", "b"]
        .into_iter()
        .flat_map(|team| (0..if team == "a" { 3 } else { 2 }).map(move |n| (format!("{team}{n}"), crash(team, n))))
        .collect();
    let puts: Vec<(&str, Facts)> = puts.iter().map(|(id, f)| (id.as_str(), f.clone())).collect();
    let merged = weighed(&puts);
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let wanted =
        [("a".to_owned(), ids(&["a0", "a1", "a2"])), ("platform".into(), ids(&["a0", "a1", "a2", "b0", "b1"]))];
    assert_eq!(told(&merged), wanted);
    // Of a its own is told; b has but two, and nobody tells it of the other team's.
    assert_eq!(merged.part_of("a0", &Team::new("a")).unwrap().team, Team::new("a"));
    let of_b = merged.part_of("b0", &Team::new("b")).unwrap();
    assert_eq!((of_b.team, of_b.teams.len()), (Team::platform(), 3));
    let own = merged.wholes.values().find(|w| w.team() == Team::new("a")).unwrap();
    assert_eq!(merged.part_of_whole(own).unwrap().team, Team::platform());
}

#[test]
fn whatever_came_and_went_before_it_is_as_if_all_came_at_once() {
    let mut seed = 11_u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    for _ in 0..60 {
        let (mut grown, mut last) = (Merged::default(), BTreeMap::new());
        for _ in 0..80 {
            let id = format!("{:02}", below(30));
            let team = ["a", "b"][below(2) as usize];
            let n = below(8);
            let own = format!("{team}-{n}");
            let mut new = facts(team, &format!("w-{n}"), below(6_000), &[if n < 5 { "shared" } else { &own }]);
            let name = format!("db-{}", below(3));
            new.root = (below(3) == 0).then(|| Root {
                kind: "Node".into(),
                namespace: String::new(),
                name,
                uid: String::new(),
            });
            let new = (below(4) > 0).then_some(new);
            grown.put(&id, new.clone());
            match new {
                Some(new) => last.insert(id, new),
                None => last.remove(&id),
            };
            if below(3) == 0 {
                grown.weigh("lab", (at(3_000), LATENESS), &population());
            }
        }
        grown.weigh("lab", (at(10_000), LATENESS), &population());
        let puts: Vec<(&str, Facts)> = last.iter().map(|(id, facts)| (id.as_str(), facts.clone())).collect();
        let fresh = weighed(&puts);
        assert_eq!(grown.wholes, fresh.wholes);
        assert_eq!((&grown.of, &grown.pools), (&fresh.of, &fresh.pools));
        assert!(grown.due.is_empty() && grown.dirty.is_empty());
        assert!(fresh.wholes.len() < 30);
    }
}
