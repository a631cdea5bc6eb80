#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use whyd_signals::{Team, Timestamp};

use crate::calls::tests::{WELL, World, some_alone};
use crate::detector::synthetic::Noise;

/// web calls these in turn, each second; how long the way to each takes, and its work, in milliseconds. What is told, and when.
fn web_calls(seconds: std::ops::Range<i64>, callees: impl Fn(i64) -> Vec<(&'static str, [f64; 3])>) -> World {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in seconds {
        world.request(s, &team, &callees(s));
    }
    world
}

const SLOW: [f64; 3] = [500.0, 20.0, 500.0];

#[test]
fn two_that_are_slow_are_told_each_and_the_caller_is_not() {
    let of = |begins: [i64; 5]| {
        web_calls(0..2000, |s| {
            let names = ["a", "b", "c", "d", "e"].into_iter().zip(begins);
            names.map(|(name, begins)| (name, if s >= begins { SLOW } else { WELL })).collect()
        })
    };
    for begins in [[9000, 9000, 900, 9000, 900], [9000, 900, 9000, 1500, 9000]] {
        let world = of(begins);
        let pods: Vec<&str> = world.found.iter().map(|(_, found, _)| found.pod.as_str()).collect();
        assert!(pods.len() == 2 && pods.iter().all(|pod| *pod != "web-1") && pods[0] != pods[1], "{pods:?}");
    }
    // Of two callees one after the other, where all others are slow already.
    let two = web_calls(0..2400, |s| {
        let of = |begins: i64| if s >= begins { SLOW } else { WELL };
        vec![("cart", of(900)), ("rec", of(1500))]
    });
    let pods: Vec<&str> = two.found.iter().map(|(_, found, _)| found.pod.as_str()).collect();
    assert_eq!(pods, ["cart-1", "rec-1"]);
}

#[test]
fn one_that_is_slow_to_its_caller_is_so_to_whom_it_calls() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in 0..1200 {
        world.requests += 1;
        let (request, way) = (world.requests, if s < 900 { 0.004 } else { 0.3 });
        let at = |n: f64| n * way;
        world.say(s, &team, ("db", "db-1"), &[(at(2.0) + 0.01, request), (at(2.0) + 0.02, request)]);
        world.say(s, &team, ("web", "web-1"), &[(at(1.0), request), (at(3.0) + 0.03, request)]);
        world.say(s, &team, ("gate", "gate-1"), &[(0.0, request), (at(4.0) + 0.04, request)]);
    }
    let told = world.texts();
    let [(_, "web-1", text)] = told[..] else { panic!("{told:?}") };
    assert!(text.starts_with("calls by gate ") || text.starts_with("its calls of db "), "{text}");
}

#[test]
fn who_is_scaled_down_beside_a_call_hides_nothing_of_it() {
    let scaled = web_calls(0..2400, |s| {
        let cart = ("cart", if s < 900 { WELL } else { SLOW });
        if s < 890 { vec![cart, ("rec", WELL)] } else { vec![cart] }
    });
    let told = scaled.texts();
    assert!(matches!(told[..], [(900..960, "cart-1", _)]), "{told:?}");
}

#[test]
fn who_fell_silent_long_before_hides_nothing() {
    // code is called by two of three requests until 900, and from then on by none; web waits by itself from 2000 on.
    let mut world = World::new();
    let said = |world: &mut World, s: i64, lines: [(f64, u64); 2]| {
        world.say(s, &Team::new("shop"), ("code", "code-1"), &lines);
    };
    some_alone(&mut world, 0..900, said);
    for s in 900..2600 {
        world.requests += 1;
        let (request, took) = (world.requests, if s < 2000 { 0.002 } else { 0.5 });
        world.say(s, &Team::new("shop"), ("web", "web-1"), &[(0.0, request), (took, request)]);
    }
    let told = world.texts();
    assert!(matches!(told[..], [(2000..2060, "web-1", _)]), "{told:?}");
    assert_eq!(world.calls.withheld(), 0);
}

#[test]
fn who_stays_silent_makes_nobody_slow_however_long() {
    let mut world = World::new();
    some_alone(&mut world, 0..900, |world, s, lines| {
        world.say(s, &Team::new("shop"), ("code", "code-1"), &lines);
    });
    some_alone(&mut world, 900..4 * 3600, |_, _, _| {});
    // Whoever is not heard for two hours is forgotten.
    world.calls.sweep(Timestamp(3 * 3600 * 1_000_000_000), Duration::from_secs(7200), 10_000);
    some_alone(&mut world, 4 * 3600..5 * 3600, |_, _, _| {});
    assert_eq!((world.texts(), world.calls.withheld()), (vec![], 1));
}

#[test]
fn who_may_be_between_is_not_passed_over_for_the_called() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    // cart has an access log, with a line when it is done; it waits before it calls stock.
    for s in 0..1200 {
        world.requests += 1;
        let (request, wait) = (world.requests, if s < 900 { 0.005 } else { 0.9 });
        let stock = [(wait + 0.004, request), (wait + 0.014, request)];
        world.say(s, &team, ("stock", "stock-1"), &stock);
        world.say(s, &team, ("cart", "cart-1"), &[(wait + 0.018, request)]);
        world.say(s, &team, ("web", "web-1"), &[(0.0, request), (wait + 0.022, request)]);
    }
    let told = world.texts();
    let [(at, "", text)] = told[..] else { panic!("{told:?}") };
    assert!((900..960).contains(&at) && text.starts_with("between lines of web and of stock "), "{text}");
    assert!(text.contains("x the usual: ") && world.found[0].1.container.is_empty(), "{text}");
    // All write once, when they are done: what lies between two of them may be of both.
    let mut once = World::new();
    for s in 0..1200 {
        once.requests += 1;
        let (request, back) = (once.requests, if s < 900 { 0.004 } else { 0.8 });
        once.say(s, &team, ("cart", "cart-1"), &[(0.005, request)]);
        once.say(s, &team, ("web", "web-1"), &[(0.005 + back, request)]);
    }
    let told = once.texts();
    assert!(matches!(told[..], [(_, "", text)] if text.starts_with("between lines of cart and of web ")), "{told:?}");
}

#[test]
fn of_pods_one_is_named_that_is_slow() {
    let told = |pods: i64, is_slow: &dyn Fn(i64) -> bool| {
        let (mut world, team) = (World::new(), Team::new("shop"));
        for s in 0..1500 {
            world.requests += 1;
            // In no order that repeats.
            let pod = (world.requests.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as i64 % pods;
            let (request, way) = (world.requests, if s >= 1200 && is_slow(pod) { 0.5 } else { 0.004 });
            world.say(s, &team, ("cart", &format!("cart-{pod}")), &[(way, request), (way + 0.02, request)]);
            world.say(s, &team, ("web", "web-1"), &[(0.0, request), (2.0 * way + 0.02, request)]);
        }
        let pods: Vec<(String, String)> = world.found.iter().map(|(_, a, _)| (a.pod.clone(), a.text.clone())).collect();
        let [(pod, text)] = &pods[..] else { panic!("{pods:?}") };
        (pod.clone(), text.clone())
    };
    for well in 0..5 {
        let (pod, text) = told(5, &|pod| pod != well);
        assert!(
            pod.starts_with("cart-") && pod != format!("cart-{well}") && text.ends_with(" of its 5 pods are slow"),
            "{text}"
        );
    }
    for slow in 0..3 {
        let (pod, text) = told(3, &|pod| pod == slow);
        assert_eq!(pod, format!("cart-{slow}"));
        assert!(text.ends_with(", 1 of its 3 pods are slow"), "{text}");
    }
    assert_eq!(told(1, &|_| true).0, "cart-0");
}

#[test]
fn an_own_part_is_found_however_many_others_are_called() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    let names: Vec<String> = (0..24).map(|n| format!("s{n}")).collect();
    let mut dice = Noise::new(7);
    for s in 0..1300 {
        for _ in 0..5 {
            world.requests += 1;
            let (request, wait) = (world.requests, if s < 1200 { 0.001 } else { 0.5 });
            let (mut at, mut web) = (0.0, vec![(0.0, request)]);
            for _ in 0..4 {
                let name = &names[(dice.bits() % 24) as usize];
                world.say(s, &team, (name, &format!("{name}-1")), &[(at + 0.004, request), (at + 0.012, request)]);
                web.extend([(at + 0.016, request), (at + 0.016 + wait, request)]);
                at += 0.016 + wait;
            }
            world.say(s, &team, ("web", "web-1"), &web);
        }
    }
    let told = world.texts();
    assert!(matches!(told[..], [(1200..1300, "web-1", text)] if text.starts_with("its own part")), "{told:?}");
}

#[test]
fn what_a_pod_takes_after_a_pause_is_told_when_it_stays() {
    let told = |slow: std::ops::Range<i64>| {
        let (mut world, team) = (World::new(), Team::new("shop"));
        for s in (0..2400).filter(|s| !(1200..1215).contains(s)) {
            world.requests += 1;
            let (request, work) = (world.requests, if slow.contains(&s) { 0.8 } else { 0.01 });
            world.say(s, &team, ("cart", "cart-0"), &[(0.004, request), (0.004 + work, request)]);
            world.say(s, &team, ("web", "web-0"), &[(0.0, request), (0.008 + work, request)]);
        }
        world.found.iter().map(|(s, ..)| *s).collect::<Vec<_>>()
    };
    assert!(told(1215..1310).is_empty(), "it warms up");
    assert!(matches!(told(1215..2400)[..], [1395..1420]), "{:?}", told(1215..2400));
    assert!(matches!(told(1700..2400)[..], [1700..1760]), "{:?}", told(1700..2400));
}

#[test]
fn who_sends_its_lines_seldom_is_not_late() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    let mut held: Vec<(&str, Vec<(f64, u64)>)> = ["web", "cart", "rec"].map(|name| (name, Vec::new())).into();
    for s in 0..1500 {
        world.requests += 1;
        let (request, way) = (world.requests, if s < 1200 { 0.004 } else { 0.5 });
        let of_cart = [way, way + 0.01];
        let rec = 2.0 * way + 0.014;
        let times = [vec![0.0, 2.0 * way + 0.01, rec + 0.014], of_cart.into(), vec![rec, rec + 0.01]];
        for ((_, lines), times) in held.iter_mut().zip(times) {
            lines.extend(times.iter().map(|at| (at + s as f64, request)));
        }
        // All send what they have each twenty seconds, the requests of the last second torn.
        if s % 20 == 19 {
            for (name, lines) in &mut held {
                let (now, later) = lines.drain(..).partition(|(at, _)| *at < s as f64 + 0.9);
                *lines = later;
                let now: Vec<(f64, u64)> = now;
                let now: Vec<_> = now.iter().map(|(at, request)| (at - s as f64, *request)).collect();
                world.say(s, &team, (name, &format!("{name}-1")), &now);
            }
        }
    }
    let told = world.texts();
    assert!(matches!(told[..], [(1200..1300, "cart-1", _)]), "{told:?}");
}

#[test]
fn who_is_slow_by_itself_is_so_to_those_that_are_well_with_others() {
    let (mut world, team) = (World::new(), Team::new("shop"));
    for s in 0..1300 {
        let is_slow = s >= 1200;
        let (wait, way) = if is_slow { (0.2, 0.15) } else { (0.003, 0.004) };
        // Own work of web between two lines, and some of it before and after its call of one of two, whom another calls as well.
        world.requests += 2;
        let (request, other) = (world.requests, world.requests - 1);
        let called = |begins: f64, request| [(begins, request), (begins + 0.02, request)];
        world.say(s, &team, ("cart", "cart-1"), &called(wait + way, request));
        world.say(s, &team, ("stock", "stock-1"), &called(wait + 2.0 * way + 0.03, request));
        let back = wait + 2.0 * way + 0.025;
        world.say(
            s,
            &team,
            ("web", "web-1"),
            &[(0.0, request), (wait, request), (back, request), (back + 0.04, request)],
        );
        world.say(s, &team, ("cart", "cart-1"), &called(0.004, other));
        world.say(s, &team, ("shop", "shop-1"), &[(0.0, other), (0.03, other)]);
    }
    let told = world.texts();
    assert!(!told.is_empty() && told.iter().all(|(_, pod, _)| *pod == "web-1"), "{told:?}");
}
