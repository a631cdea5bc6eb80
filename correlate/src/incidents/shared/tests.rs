#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::schema::Root;

use super::super::facts::{Facts, Had};
use super::*;
use crate::population::tests::of;

const REACH: Duration = Duration::from_secs(600);

fn at(second: u64) -> Timestamp {
    Timestamp(0).plus(Duration::from_secs(second))
}

fn shared(what: Sharing, value: u64) -> Shared {
    Shared { what, value: value.to_string(), version: String::new() }
}

#[test]
fn what_is_found_is_what_a_look_at_all_finds() {
    let mut seed = 21_u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let (mut found_ones, mut grown, mut of_places) = (0, 0, 0);
    for _ in 0..400 {
        let teams = 1 + below(2);
        // Each workload has a few pods, each of them a node and its zone; and an image and a ConfigMap.
        let mut workloads: Vec<(String, String, Vec<Vec<Shared>>)> = Vec::new();
        let (nodes, images, most) = (6 + below(16), 6 + below(16), 1 + below(3));
        for n in 0..20 + below(60) {
            let team = ["a", "b"][(n % teams) as usize].to_owned();
            let of_all = [shared(Sharing::Image, below(images)), shared(Sharing::Config, below(images))];
            let pods = (0..1 + below(most)).map(|_| {
                let node = below(nodes);
                let of_pod = [shared(Sharing::Node, node), shared(Sharing::Zone, node % 3)];
                of_pod.into_iter().chain(of_all.iter().cloned()).collect()
            });
            let pods: Vec<Vec<Shared>> = pods.collect();
            workloads.push((format!("{team}/Deployment/w-{n}"), team, pods));
        }
        let pods = workloads
            .iter()
            .flat_map(|(name, team, pods)| pods.iter().map(|shares| (team.as_str(), name.clone(), shares.clone())));
        let population = of(&pods.collect::<Vec<_>>());
        let pod_of = |w: usize, pod: usize| {
            format!("pod-{}", workloads[..w].iter().map(|(.., pods)| pods.len()).sum::<usize>() + pod)
        };
        let (bad_node, bad_image) = (shared(Sharing::Node, below(nodes)), shared(Sharing::Image, below(images)));
        let mut members: Vec<(String, Facts)> = Vec::new();
        let (mut second, mut is_node) = (0, below(2) == 0);
        for n in 0..3 + below(40) {
            second += if below(3) == 0 { 0 } else { below(300) };
            is_node ^= below(15) == 0;
            // Mostly what has one of two things is in trouble, and now and then it is the other.
            let all: Vec<(usize, usize)> = workloads
                .iter()
                .enumerate()
                .flat_map(|(w, (_, _, pods))| (0..pods.len()).map(move |pod| (w, pod)))
                .filter(|(w, pod)| {
                    let has = |thing| workloads[*w].2[*pod].contains(thing);
                    if is_node { has(&bad_node) } else { has(&bad_image) }
                })
                .collect();
            let any = below(workloads.len() as u64) as usize;
            let (w, pod) =
                if all.is_empty() || below(6) == 0 { (any, 0) } else { all[below(all.len() as u64) as usize] };
            let (name, team, pods) = &workloads[w];
            let had = Had { workload: name.clone(), pod: pod_of(w, pod), shares: pods[pod].clone() };
            let root = (below(6) == 0).then(|| Root {
                kind: "Node".into(),
                namespace: String::new(),
                name: below(nodes).to_string(),
                uid: String::new(),
            });
            let facts = Facts {
                opened: at(second),
                team: Team::new(team),
                group: String::new(),
                root,
                class: Some("app-error".into()),
                pods: [had].into(),
            };
            members.push((format!("{n:02}"), facts));
        }
        for team in [Some(Team::new("a")), None] {
            let own: Vec<(&str, &Facts)> = members
                .iter()
                .filter(|(_, facts)| team.as_ref().is_none_or(|team| *team == facts.team))
                .map(|(id, facts)| (id.as_str(), facts))
                .collect();
            let scope = plain::Scope { team: team.as_ref(), class: "app-error", reach: REACH, population: &population };
            let wanted = plain::among(&own, scope);
            let run: Vec<Arc<Known>> =
                own.iter().map(|(id, facts)| Arc::new(Known::new(id, (*facts).clone()))).collect();
            let mut course = Course::new(Scope { team: team.clone(), reach: REACH }, &population);
            let mut against = Against::new(&population);
            for at_once in run.chunk_by(|a, b| a.facts.opened == b.facts.opened) {
                course.go_on(at_once, &mut against);
            }
            let told = course.found(&mut against);
            let told: Vec<(&Shared, Figures, Vec<&str>)> =
                told.iter().map(|f| (&f.shared, f.figures, f.parts.iter().map(String::as_str).collect())).collect();
            let wanted: Vec<(&Shared, Figures, Vec<&str>)> =
                wanted.iter().map(|f| (&f.shared, f.figures, f.parts.iter().copied().collect())).collect();
            assert_eq!(told, wanted);
            found_ones += told.len();
            grown += told.iter().filter(|(_, figures, _)| figures.both > 3).count();
            of_places += told.iter().filter(|(shared, ..)| VARIES.contains(&shared.what)).count();
        }
    }
    assert!(found_ones > 60 && grown > 20 && of_places > 0, "{found_ones} {grown} {of_places}");
}
