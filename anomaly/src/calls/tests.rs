#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::Team;

use super::*;
use crate::detector::synthetic::Noise;
use crate::hash64;

/// Requests as web, auth and code (or cart and stock) write of them, through all that is kept of calls.
pub(super) struct World {
    pub(super) calls: Calls,
    noise: Noise,
    pub(super) requests: u64,
    /// Each with a request that shows it.
    pub(super) found: Vec<(i64, Anomaly, u64)>,
    lasts: Vec<(i64, u64, Timestamp)>,
}

fn key(workload: &str) -> u64 {
    hash64(workload.as_bytes()).max(1)
}

impl World {
    pub(super) fn new() -> Self {
        Self { calls: Calls::new(4 << 20), noise: Noise::new(3), requests: 0, found: Vec::new(), lasts: Vec::new() }
    }

    pub(super) fn say(&mut self, second: i64, team: &Team, (workload, pod): (&str, &str), lines: &[(f64, u64)]) {
        let speaker = Speaker {
            workload_key: key(workload),
            team,
            namespace: "shop",
            workload,
            pod,
            container: "app",
            started: None,
        };
        let received = Timestamp((1_000_000 + second + 8) * 1_000_000_000);
        let heard = Timestamp(second * 1_000_000_000);
        let at = |s: f64| Timestamp(((1_000_000 + second) as f64 * 1e9 + s * 1e9) as i64);
        let lines = lines.iter().map(|(s, request)| (at(*s), *request));
        let found = &mut self.found;
        let lasts = &mut self.lasts;
        self.calls.observe(&speaker, (received, heard), lines, |told| match told {
            Told::Opens(anomaly, request) => found.push((second, *anomaly, request)),
            Told::GoesOn(episode, at) => lasts.push((second, episode, at)),
        });
    }

    /// A request of web that calls these one after the other, each with how long the way to it, its own work and the way back
    /// take, in milliseconds; the lines of the callees come first.
    pub(super) fn request(&mut self, second: i64, team: &Team, callees: &[(&str, [f64; 3])]) {
        self.requests += 1;
        let request = self.requests;
        let mut noise = || (0.4 * self.noise.normal()).exp() / 1000.0;
        let mut at = 0.0;
        let mut own = vec![(at, request)];
        let mut said = Vec::new();
        for (workload, [there, work, back]) in callees {
            let begins = at + there * noise();
            let ends = begins + work * noise();
            at = ends + back * noise();
            said.push((*workload, [(begins, request), (ends, request)]));
            own.push((at, request));
        }
        for (workload, lines) in said {
            self.say(second, team, (workload, &format!("{workload}-1")), &lines);
        }
        self.say(second, team, ("web", "web-1"), &own);
    }

    pub(super) fn texts(&self) -> Vec<(i64, &str, &str)> {
        self.found.iter().map(|(s, a, _)| (*s, a.pod.as_str(), a.text.as_str())).collect()
    }
}

pub(super) const WELL: [f64; 3] = [4.0, 20.0, 3.0];

#[test]
fn what_is_slow_goes_on_until_it_is_not_and_a_slow_request_shows_it() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in 0..1800 {
        let stock = if (600..1200).contains(&s) { [500.0, 20.0, 500.0] } else { WELL };
        world.request(s, &team, &[("cart", WELL), ("stock", stock)]);
    }
    let [(_, told, request)] = &world.found[..] else { panic!("{:?}", world.found) };
    assert_eq!((told.workload.as_str(), told.until), ("stock", told.ts));
    // Requests are numbered from 1 on.
    assert!((602..=1201).contains(request), "{request}");
    let second = |at: Timestamp| at.0 / 1_000_000_000 - 1_000_000;
    assert!(world.lasts.iter().all(|(_, episode, _)| *episode == told.episode));
    let at: Vec<i64> = world.lasts.iter().map(|(.., at)| second(*at)).collect();
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] <= 15), "as long as it goes on");
    assert!((1200..1275).contains(at.last().unwrap()), "{:?}", at.last());
}

#[test]
fn calls_of_one_that_is_slow_are_told_of_it_once_and_nothing_of_those_that_are_well() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in 0..1200 {
        let stock = if s < 600 { WELL } else { [500.0, 20.0, 500.0] };
        world.request(s, &team, &[("cart", WELL), ("stock", stock)]);
    }
    let told = world.texts();
    let [(at, "stock-1", text)] = told[..] else { panic!("{told:?}") };
    assert!((630..660).contains(&at), "{at}");
    assert!(
        text.starts_with("calls by web ")
            && text.contains("x their usual: ")
            && text.contains(" ms between their lines, usually 7")
            && text.contains(" in the last minute"),
        "{text}"
    );
    let anomaly = &world.found[0].1;
    assert!(anomaly.score > 1.0 && (0.5..1.3).contains(&anomaly.value) && anomaly.expected < 0.01, "{anomaly:?}");
    assert_eq!((anomaly.metric.as_str(), anomaly.namespace.as_str(), &anomaly.team), ("calls", "shop", &team));
}

#[test]
fn one_whose_calls_are_all_slow_is_to_blame_and_not_those_it_calls() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in 0..1200 {
        let of = if s < 600 { WELL } else { [4.0, 20.0, 400.0] };
        world.request(s, &team, &[("cart", of), ("stock", of), ("code", of)]);
    }
    let told = world.texts();
    let [(_, "web-1", text)] = told[..] else { panic!("{told:?}") };
    assert!(text.starts_with("its calls of "), "{text}");
}

#[test]
fn a_program_that_waits_is_told_by_its_own_part() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in 0..1200 {
        let cart = if s < 600 { WELL } else { [4.0, 900.0, 3.0] };
        world.request(s, &team, &[("cart", cart), ("stock", WELL)]);
    }
    let told = world.texts();
    let [(_, "cart-1", text)] = told[..] else { panic!("{told:?}") };
    assert!(text.starts_with("its own part of requests ") && text.contains("x its usual: "), "{text}");
}

#[test]
fn where_one_of_them_falls_silent_or_comes_late_nothing_is_told() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    let slow = [4.0, 400.0, 3.0];
    for s in 0..2400 {
        // Of the lines of stock none are sent for a while.
        world.request(s, &team, &[("cart", WELL), ("stock", slow)][..if s < 1200 { 2 } else { 1 }]);
    }
    assert_eq!(world.texts(), []);
    // The same request as web sees it, with nothing between its lines but time.
    for s in 2400..3600 {
        world.requests += 1;
        let request = world.requests;
        world.say(s, &team, ("web", "web-1"), &[(0.0, request), (0.43, request), (0.44, request)]);
    }
    assert_eq!(world.texts(), [], "it is its own part with others beside it");
}

#[test]
fn requests_of_teams_are_their_own() {
    let (mut world, [shop, bank]) = (World::new(), ["shop", "bank"].map(Team::new));
    for s in 0..1200i64 {
        let request = s as u64;
        // One request through workloads of two teams; the way between them grows slow.
        let way = if s < 600 { 0.005 } else { 2.0 };
        world.say(s, &shop, ("web", "web-1"), &[(0.0, request)]);
        world.say(s, &bank, ("ledger", "ledger-1"), &[(way, request)]);
    }
    assert_eq!((world.texts(), world.calls.len()), (vec![], 0));
}

#[test]
fn what_another_team_takes_is_no_part_of_who_calls_it() {
    let (mut world, [shop, bank]) = (World::new(), ["shop", "bank"].map(Team::new));
    for s in 0..1200i64 {
        let (request, work) = (s as u64, if s < 600 { 0.01 } else { 0.9 });
        world.say(s, &bank, ("ledger", "ledger-1"), &[(0.002, request), (0.002 + work, request)]);
        world.say(s, &shop, ("web", "web-1"), &[(0.0, request), (0.004 + work, request), (0.005 + work, request)]);
    }
    let told: Vec<&str> = world.found.iter().map(|(_, told, _)| told.team.as_str()).collect();
    assert_eq!(told, ["bank"], "{:?}", world.texts());
}

#[test]
fn what_a_pod_takes_when_it_has_just_come_is_none_of_it() {
    let told = |pod: &dyn Fn(i64) -> &'static str, slow: std::ops::Range<i64>| {
        let (mut world, team) = (World::new(), Team::new("shop"));
        for s in 0..1800 {
            world.requests += 1;
            let (request, way) = (world.requests, if slow.contains(&s) { 0.8 } else { 0.004 });
            world.say(s, &team, ("cart", pod(s)), &[(way, request), (way + 0.02, request)]);
            world.say(s, &team, ("web", "web-1"), &[(0.0, request), (way + 0.03, request)]);
        }
        world.found.len()
    };
    let rolled = |s: i64| if s < 900 { "cart-1" } else { "cart-2" };
    assert_eq!(told(&rolled, 900..1010), 0, "it warms up");
    assert_eq!(told(&rolled, 900..1300), 1, "it stays slow");
    assert_eq!(told(&|_| "cart-1", 900..1010), 1, "no other pod");
}

#[test]
fn what_is_held_is_bounded_and_goes_on_after_it_was_written() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in 0..700 {
        let stock = if s < 600 { WELL } else { [500.0, 20.0, 500.0] };
        if s == 615 {
            let bytes = rmp_serde::to_vec(&world.calls).unwrap();
            let mut resumed = Calls::new(4 << 20);
            resumed.resume(rmp_serde::from_slice(&bytes).unwrap());
            assert_eq!(rmp_serde::to_vec(&resumed).unwrap(), bytes);
            world.calls = resumed;
        }
        world.request(s, &team, &[("cart", WELL), ("stock", stock)]);
    }
    assert_eq!(world.texts().len(), 1);
    // A thousand workloads, each with a request through ten others.
    for n in 0..20_000u64 {
        let name = format!("app-{}", n % 1000);
        world.say(
            700 + n as i64 / 100,
            &team,
            (&name, &name),
            &[(0.0, (1 << 32) | (n / 10)), (0.1, (1 << 32) | (n / 10))],
        );
    }
    let refused = world.calls.refused();
    assert!(world.calls.bytes() <= 4 << 20 && refused.workloads > 0, "{refused:?}");
}

/// Two of three requests go through code, whose lines may be missing or come late, and one is answered by web alone.
pub(super) fn some_alone(
    world: &mut World,
    seconds: std::ops::Range<i64>,
    mut code: impl FnMut(&mut World, i64, [(f64, u64); 2]),
) {
    let team = Team::new("shop");
    for s in seconds {
        world.requests += 1;
        let request = world.requests;
        let took = if request.is_multiple_of(3) { 0.002 } else { 0.33 };
        if !request.is_multiple_of(3) {
            code(world, s, [(0.005, request), (0.32, request)]);
        }
        world.say(s, &team, ("web", "web-1"), &[(0.0, request), (took, request)]);
    }
}

#[test]
fn a_caller_is_not_blamed_where_lines_of_whom_it_calls_do_not_come_or_come_late() {
    let team = Team::new("shop");
    let said = |world: &mut World, s: i64, lines: [(f64, u64); 2]| {
        world.say(s, &Team::new("shop"), ("code", "code-1"), &lines);
    };
    let mut silent = World::new();
    some_alone(&mut silent, 0..900, said);
    some_alone(&mut silent, 900..1500, |_, _, _| {});
    assert_eq!(silent.texts(), [], "silent");
    // Sent 40 seconds after they were written.
    let mut late = World::new();
    some_alone(&mut late, 0..900, said);
    let mut held = std::collections::VecDeque::new();
    some_alone(&mut late, 900..1500, |world, s, lines| {
        held.push_back((s, lines));
        if held.len() > 27 {
            let (then, lines) = held.pop_front().unwrap();
            let lines = lines.map(|(at, request)| (at - (s - then) as f64, request));
            world.say(s, &team, ("code", "code-1"), &lines);
        }
    });
    assert_eq!(late.texts(), [], "late");
    // Its own part that is slow is told while the other speaks.
    let mut slow = World::new();
    some_alone(&mut slow, 0..900, said);
    for s in 900..1500 {
        slow.requests += 1;
        let request = slow.requests;
        if request.is_multiple_of(3) {
            slow.say(s, &team, ("code", "code-1"), &[(0.005, request), (0.32, request)]);
        }
        slow.say(s, &team, ("web", "web-1"), &[(0.0, request), (0.8, request)]);
    }
    assert!(slow.texts().iter().any(|(_, pod, _)| *pod == "web-1"), "{:?}", slow.texts());
}

#[test]
fn who_finds_no_room_is_no_part_of_its_caller() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    world.calls = Calls::new(256 << 10);
    world.request(0, &team, &[]);
    // Others take all places, and are heard again and again.
    let others = |world: &mut World, s: i64| {
        for n in 0..200 {
            let name = format!("other-{n}");
            world.say(s, &team, (&name, &name), &[(0.0, (1 << 40) | n | ((s as u64) << 16))]);
        }
    };
    for s in 0..1500 {
        if s % 300 == 0 {
            others(&mut world, s);
        }
        world.request(s, &team, &[("cart", if s < 900 { WELL } else { [4.0, 500.0, 3.0] })]);
    }
    assert!(world.calls.parties.refused > 0);
    assert_eq!(world.texts(), []);
}

#[test]
fn what_was_blamed_and_is_not_heard_any_more_hides_no_other() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in 0..3600 {
        if s < 700 {
            world.request(s, &team, &[("code", if s < 600 { WELL } else { [500.0, 20.0, 500.0] })]);
        }
        world.requests += 1;
        let (request, way) = (world.requests, if s < 3000 { 0.004 } else { 0.5 });
        world.say(s, &team, ("code", "code-1"), &[(way, request), (way + 0.02, request)]);
        world.say(s, &team, ("shop", "shop-1"), &[(0.0, request), (2.0 * way + 0.02, request)]);
    }
    let times: Vec<i64> = world.found.iter().map(|(s, ..)| *s).collect();
    assert!(matches!(times[..], [600..700, 3000..3100]), "{:?}", world.texts());
}

#[test]
fn of_a_workload_of_many_pods_it_is_told_as_of_few() {
    let told = |pods: i64| {
        let (mut world, team) = (World::new(), Team::new("shop"));
        for s in 0..1200 {
            world.requests += 1;
            let (request, way) = (world.requests, if s < 900 { 0.004 } else { 0.5 });
            let pod = format!("cart-{}", s % pods);
            world.say(s, &team, ("cart", &pod), &[(way, request), (way + 0.02, request)]);
            world.say(s, &team, ("web", "web-1"), &[(0.0, request), (2.0 * way + 0.02, request)]);
        }
        world.found.len()
    };
    assert_eq!((told(3), told(40)), (1, 1));
}

#[test]
fn there_is_room_for_as_many_as_the_documents_say() {
    let bytes = (128 << 20) / 32 / 2;
    let (calls, lines) = (bytes / Calls::BYTES, bytes / Requests::BYTES);
    assert_eq!((calls / 100, calls / CALLS_OF_PARTY / 10, lines / 1000), (12, 30, 63));
}

#[test]
fn of_each_that_takes_part_it_is_told_how_many_kinds_of_calls_are_known() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    let known = |world: &World| {
        let all = world.calls.known().into_iter();
        let of = all.map(|c| (c.workload, (c.kinds, c.learning, c.usual)));
        of.collect::<std::collections::BTreeMap<_, _>>()
    };
    (0..60).for_each(|s| world.request(s, &team, &[("cart", WELL)]));
    // The call between them, and cart's own part; web says nothing but before and after. Nothing is past yet.
    let early = known(&world);
    assert_eq!(early["web"], (1, 1, None));
    assert_eq!(early["cart"], (2, 2, None));
    (60..600).for_each(|s| world.request(s, &team, &[("cart", WELL)]));
    let late = known(&world);
    assert_eq!((late["web"].1, late["cart"].1), (0, 0));
    assert!(late["cart"].2.is_some_and(|usual| (0.005..0.05).contains(&usual)), "{late:?}");
}
