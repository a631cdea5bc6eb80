#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::schema::{Root, Shared, Sharing};

use super::*;
use crate::incidents::facts::Had;
use crate::population::tests::{image, of, tell};

const LATENESS: Duration = Duration::from_secs(600);
const QUIET: Duration = Duration::from_secs(900);

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

fn part_of(merged: &Merged, id: &str, team: &str) -> Option<Link> {
    merged.link_to(merged.told_with(id, &Team::new(team), &BTreeSet::new())?)
}

fn weighed(puts: &[(&str, Facts)]) -> Merged {
    let mut merged = Merged::default();
    for (id, facts) in puts {
        merged.put(id, Some(facts.clone()));
    }
    merged.weigh("lab", (at(10_000), LATENESS), QUIET, &population());
    merged
}

#[test]
fn three_that_share_an_image_are_one_and_two_are_not() {
    let crash = |n: u64| facts("a", &format!("w-{n}"), 100 + n, &["shared"]);
    assert_eq!(told(&weighed(&[("0", crash(0)), ("1", crash(1))])), []);
    let all = weighed(&[("0", crash(0)), ("1", crash(1)), ("2", crash(2))]);
    assert_eq!(told(&all), [("a".to_owned(), ["0", "1", "2"].map(str::to_owned).to_vec())]);
    assert_eq!(part_of(&all, "1", "a").unwrap().teams, [Team::new("a")]);
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
    merged.weigh("lab", late, QUIET, &Population::default());
    assert_eq!((told(&merged), merged.is_due(late.0)), (vec![], false));
    let weighed = merged.weigh("lab", late, QUIET, &population());
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
    assert_eq!(part_of(&merged, "a0", "a").unwrap().team, Team::new("a"));
    let of_b = part_of(&merged, "b0", "b").unwrap();
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
                grown.weigh("lab", (at(3_000), LATENESS), QUIET, &population());
            }
        }
        grown.weigh("lab", (at(10_000), LATENESS), QUIET, &population());
        let puts: Vec<(&str, Facts)> = last.iter().map(|(id, facts)| (id.as_str(), facts.clone())).collect();
        let fresh = weighed(&puts);
        assert_eq!(grown.wholes, fresh.wholes);
        assert_eq!((&grown.of, &grown.pools), (&fresh.of, &fresh.pools));
        assert!(grown.due.is_empty() && grown.dirty.is_empty());
        assert!(fresh.wholes.len() < 30);
    }
}

#[test]
fn a_run_of_days_is_told_in_pieces_as_if_all_came_at_once() {
    let mut seed = 3_u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let late = (at(1_000_000), LATENESS);
    // Every 150 seconds one incident, and now and then none for a while: runs of hours to days.
    let mut all: BTreeMap<String, Facts> = BTreeMap::new();
    for n in 0..1_000 {
        let (team, w) = (["a", "b"][below(2) as usize], below(8));
        let own = format!("{team}-{w}");
        let new = facts(team, &format!("w-{w}"), n * 150, &[if w < 5 { "shared" } else { &own }]);
        all.insert(format!("{n:03}"), new);
    }
    let is_pause = |id: &str| id.parse::<u64>().unwrap() % 170 < 5;
    let pauses: Vec<String> = all.keys().filter(|id| is_pause(id)).cloned().collect();
    let (mut grown, mut there) = (Merged::default(), all.clone());
    there.retain(|id, _| !is_pause(id));
    for (id, facts) in &there {
        grown.put(id, Some(facts.clone()));
    }
    grown.weigh("lab", late, QUIET, &population());
    for _ in 0..300 {
        let id = match below(2) {
            0 => pauses[below(pauses.len() as u64) as usize].clone(),
            _ => format!("{:03}", below(1_000)),
        };
        let new = if there.remove(&id).is_none() { all.get(&id).cloned() } else { None };
        grown.put(&id, new.clone());
        there.extend(new.map(|new| (id, new)));
        // Mostly several at once, far apart.
        if below(10) > 0 {
            continue;
        }
        grown.weigh("lab", late, QUIET, &population());
        let mut fresh = Merged::default();
        for (id, facts) in &there {
            fresh.put(id, Some(facts.clone()));
        }
        fresh.weigh("lab", late, QUIET, &population());
        assert_eq!(grown.wholes, fresh.wholes);
        assert_eq!((&grown.of, &grown.pools), (&fresh.of, &fresh.pools));
        // What goes on for days is more than one, none of them too long.
        assert!(fresh.wholes.len() > 3 && fresh.wholes.values().all(|whole| whole.parts.len() < 290));
    }
}

fn crash(n: u64, second: u64) -> (String, Facts) {
    let own = format!("a-{n}");
    (format!("{n:02}"), facts("a", &format!("w-{n}"), second, &[if n < 5 { "shared" } else { &own }]))
}

fn of_all(all: &[(String, Facts)]) -> Merged {
    weighed(&all.iter().map(|(id, facts)| (id.as_str(), facts.clone())).collect::<Vec<_>>())
}

#[test]
fn who_comes_later_and_has_nothing_in_common_undoes_nothing() {
    let mut all = [crash(0, 100), crash(1, 101), crash(2, 102)].to_vec();
    let first = of_all(&all).wholes;
    assert_eq!(first.len(), 1);
    for stranger in 5..12 {
        all.push(crash(stranger, 200 + stranger));
        assert_eq!(of_all(&all).wholes, first, "{stranger}");
    }
    // It still takes in what has the image, by the same id.
    all.push(crash(3, 300));
    let grown = of_all(&all).wholes;
    assert!(grown.keys().eq(first.keys()) && grown.values().all(|whole| whole.parts.len() == 4));
    // Of as many strangers before it nothing was to be learnt.
    let before: Vec<_> = (5..12).map(|n| crash(n, 50)).chain((0..3).map(|n| crash(n, 100 + n))).collect();
    assert!(of_all(&before).wholes.is_empty());
}

#[test]
fn what_is_far_apart_is_not_one_by_a_chain_of_others() {
    // Each 9 minutes one of the same few others fails, and three of one image hours apart.
    let mut all: Vec<_> = (0..160).map(|n| (format!("other {n}"), crash(6 + n % 3, n * 540).1)).collect();
    all.extend([crash(0, 0), crash(1, 40_000), crash(2, 80_000)]);
    assert!(of_all(&all).wholes.is_empty());
}

#[test]
fn the_id_stays_when_the_first_turns_out_to_be_of_something_else() {
    let all: Vec<_> = (0..4).map(|n| crash(n, 100 + n)).collect();
    let (whole, rest) = (of_all(&all).wholes, of_all(&all[1..]).wholes);
    assert_eq!((whole.len(), rest.values().next().unwrap().parts.len()), (1, 3));
    assert!(whole.keys().eq(rest.keys()));
}

#[test]
fn the_id_is_another_when_one_is_found_that_began_in_the_period_before_in_whatever_order() {
    let later: Vec<_> = (1..4).map(|n| crash(n, 605 + n)).collect();
    let first = crash(0, 595);
    let before = of_all(&later).wholes;
    let mut grown = Merged::default();
    for (id, facts) in &later {
        grown.put(id, Some(facts.clone()));
    }
    grown.weigh("lab", (at(10_000), LATENESS), QUIET, &population());
    assert_eq!(grown.wholes, before);
    grown.put(&first.0, Some(first.1.clone()));
    let weighed = grown.weigh("lab", (at(10_000), LATENESS), QUIET, &population());
    let all: Vec<_> = std::iter::once(first).chain(later).collect();
    assert_eq!((&grown.wholes, weighed.wholes.len()), (&of_all(&all).wholes, 1));
    assert!(before.keys().ne(grown.wholes.keys()));
    // By the id that it had it is known again, and by its parts.
    assert!(before.keys().eq(grown.wholes.values().flat_map(|whole| &whole.formerly)));
    let parts = before.values().next().unwrap().parts.clone();
    assert!(grown.wholes.values().all(|whole| whole.parts.is_superset(&parts)));
}

#[test]
fn what_is_resolved_takes_in_nothing() {
    let mut merged = Merged::default();
    for (n, second) in [0, 200, 290, 1_000].into_iter().enumerate() {
        let (id, facts) = crash(n as u64, second);
        merged.put(&id, Some(facts));
    }
    let parts = |merged: &Merged| told(merged).into_iter().map(|(_, parts)| parts.len()).collect::<Vec<_>>();
    // Begun 710 seconds after the last, or with a quiet of five minutes.
    merged.weigh("lab", (at(10_000), LATENESS), QUIET, &population());
    assert_eq!(parts(&merged), [3]);
    merged.put("03", Some(crash(3, 690).1));
    merged.weigh("lab", (at(10_000), LATENESS), QUIET, &population());
    assert_eq!(parts(&merged), [4]);
    merged.weigh("lab", (at(10_000), LATENESS), Duration::from_secs(300), &population());
    assert_eq!(parts(&merged), [3]);
}

fn on_node(team: &str, workloads: std::ops::Range<u64>) -> Facts {
    let node = Shared { what: Sharing::Node, value: "n1".into(), version: String::new() };
    let had = workloads.map(|n| Had {
        workload: format!("{team}/Deployment/w-{n}"),
        pod: format!("pod of {n}"),
        shares: vec![node.clone()],
    });
    let root = Root { kind: "Node".into(), namespace: String::new(), name: "n1".into(), uid: String::new() };
    Facts { pods: had.collect(), root: Some(root), class: Some("evicted-memory".into()), ..facts(team, "", 100, &[]) }
}

#[test]
fn one_incident_is_not_told_with_others_and_a_node_of_teams_once() {
    let one = weighed(&[("0", on_node("a", 0..6))]);
    assert_eq!(told(&one), []);
    let two = weighed(&[("0", on_node("a", 0..6)), ("1", on_node("b", 0..6))]);
    assert_eq!(told(&two), [("platform".to_owned(), ["0", "1"].map(str::to_owned).to_vec())]);
}

/// Workload n of so many is on a node with two others, and all have one image.
fn of_cluster(all: u64) -> Population {
    let pods = (0..all).map(|n| ("a", format!("a/Deployment/w-{n}"), of_node(n)));
    of(&pods.collect::<Vec<_>>())
}

fn of_node(n: u64) -> Vec<Shared> {
    let node = Shared { what: Sharing::Node, value: format!("n-{}", n / 3), version: String::new() };
    vec![node, image("shared")]
}

/// Node after node dies, each ten seconds a workload, and each is looked at as it comes; how many were gone through.
fn node_after_node(incidents: u64) -> (Merged, u64) {
    let population = of_cluster(3 * incidents);
    let mut merged = Merged::default();
    for n in 0..incidents {
        let had = Had { workload: format!("a/Deployment/w-{n}"), pod: format!("pod of {n}"), shares: of_node(n) };
        let new = Facts { class: Some("segfault".into()), pods: [had].into(), ..facts("a", "", 10 * n, &[]) };
        merged.put(&format!("{n:05}"), Some(new));
        merged.weigh("lab", (at(10 * n), LATENESS), QUIET, &population);
    }
    let steps = merged.stages.steps;
    (merged, steps)
}

#[test]
fn what_one_more_costs_does_not_depend_on_how_many_began_before() {
    let (few, steps_of_few) = node_after_node(300);
    let (many, steps_of_many) = node_after_node(1_200);
    // Each node is one trouble, and told so with its third.
    assert_eq!((few.wholes.len(), many.wholes.len()), (100, 400));
    let (of_few, of_many) = (steps_of_few / 300, steps_of_many / 1_200);
    assert!(of_few > 0 && of_many < of_few * 2, "{of_few} of 300 for each, {of_many} of 1,200");
}

#[test]
fn from_a_stage_on_all_is_as_if_it_was_gone_through_from_the_first() {
    let mut seed = 17_u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let (mut population, mut merged) = (of_cluster(240), Merged::default());
    let mut all: BTreeMap<String, Facts> = BTreeMap::new();
    let (mut steps, mut found) = (0, 0);
    for n in 0..600 {
        let second = 20 * n;
        // Node after node is bad for a while, and now and then another workload is in trouble.
        let w = if below(20) > 0 { 3 * (n / 12) + below(3) } else { below(240) };
        let had = Had { workload: format!("a/Deployment/w-{w}"), pod: format!("pod of {w}"), shares: of_node(w) };
        let new = Facts { class: Some("segfault".into()), pods: [had].into(), ..facts("a", "", second, &[]) };
        all.insert(format!("{n:03}"), new);
        // Verdicts of the last minutes are revised, seldom older ones.
        let back = if below(20) == 0 { below(300) } else { below(20) };
        let revised = format!("{:03}", n.saturating_sub(back));
        if below(6) == 0 && all.len() > 40 {
            all.remove(&revised);
            merged.put(&revised, None);
        }
        merged.put(&format!("{n:03}"), all.get(&format!("{n:03}")).cloned());
        // Pods come and go, and are forgotten when they are gone for long.
        let (uid, w) = (format!("other {}", n - n % 7), below(240));
        match n % 7 {
            0 => tell(&mut population, &uid, Some((format!("a/Deployment/w-{w}"), of_node(w), at(second), None))),
            5 => {
                let gone = Some((format!("a/Deployment/x-{w}"), of_node(w), at(second - 100), Some(at(second))));
                tell(&mut population, &uid, gone);
            }
            6 if n > 200 && below(12) == 0 => tell(&mut population, &format!("other {}", n - n % 7 - 175), None),
            _ => {}
        }
        merged.weigh("lab", (at(second), LATENESS), QUIET, &population);
        let mut fresh = Merged::default();
        for (id, facts) in &all {
            fresh.put(id, Some(facts.clone()));
        }
        fresh.weigh("lab", (at(second), LATENESS), QUIET, &population);
        steps += fresh.stages.steps;
        let is_lately_weighed = merged.wholes == fresh.wholes;
        assert!(is_lately_weighed, "{n}: {:?}", (told(&merged), told(&fresh)));
        found += fresh.wholes.len();
    }
    assert!(found > 300, "{found}");
    assert!(merged.stages.steps * 2 < steps, "{} of {steps}", merged.stages.steps);
}
