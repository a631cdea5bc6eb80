#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use super::*;

const OF: (&str, &str) = ("shop", "Deployment/web");

fn at(second: u64) -> Timestamp {
    Timestamp(0).plus(Duration::from_secs(second))
}

/// A pod of a controller that ended then and is not well since.
fn crash(owner: &str, second: u64) -> Failure {
    Failure {
        namespace: OF.0.into(),
        workload: OF.1.into(),
        owner: owner.into(),
        onset: at(second),
        finished: at(second),
        recovered: None,
        root: None,
        incident_key: Some("shop/web/app-error".into()),
        evidence: None,
        own_fault: true,
        wanted: false,
    }
}

#[test]
fn each_question_is_answered_as_by_a_look_at_all() {
    let mut seed = 4_u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let (mut failures, mut all) = (Failures::default(), BTreeMap::<String, Failure>::new());
    let mut found = [0; 4];
    for round in 0..4_000 {
        let id = format!("{}/app/{}", below(5), below(8));
        let second = 100 + below(500);
        let new = Failure {
            onset: at(second - below(100)),
            recovered: (below(3) > 0).then(|| at(second - 5 + below(200))),
            own_fault: below(3) > 0,
            wanted: below(4) == 0,
            ..crash(["a", "b"][below(2) as usize], second)
        };
        let new = (below(8) > 0).then_some(new);
        failures.put(&id, all.get(&id), new.clone());
        match new {
            Some(new) => all.insert(id, new),
            None => all.remove(&id),
        };
        if round % 50 == 0 {
            let horizon = at(below(600));
            failures.expire(horizon.plus(KEPT));
            all.retain(|id, f| failures.holds(id, f));
        }
        let mut plain: Vec<(&String, &Failure)> = all.iter().collect();
        plain.sort_by_key(|(id, f)| (f.finished, *id));
        let plain: Vec<&Failure> = plain.into_iter().map(|(_, f)| f).collect();
        assert!(failures.of(OF.0, OF.1).eq(plain.iter().copied()));
        let (then, since) = (at(below(700)), at(below(700)));
        for owner in [None, Some("a"), Some("b")] {
            let of = |f: &&&Failure| owner.is_none_or(|owner| owner == f.owner);
            let ails = |f: &&Failure| f.own_fault && !f.wanted && f.finished < then && f.over() >= since;
            let wanted = plain.iter().filter(of).any(ails);
            assert_eq!(failures.ailed(OF, owner, then, since), wanted);
            found[0] += usize::from(wanted);
        }
        let first = plain.iter().filter(|f| f.owner == "a").map(|f| f.finished).min();
        assert_eq!(failures.first_of(OF, "a"), first);
        let mut lasting: Vec<&Failure> = plain.iter().copied().filter(|f| f.lasts(then)).collect();
        lasting.reverse();
        lasting.sort_by_key(|f| std::cmp::Reverse(f.onset));
        assert!(failures.lasting(OF.0, OF.1, then).eq(lasting.iter().copied()));
        for to in [None, Some(since)] {
            let within = |f: &&&Failure| f.finished >= then && to.is_none_or(|to| f.finished <= to);
            let wanted: Vec<&Failure> = plain.iter().filter(within).copied().collect();
            assert!(failures.between(OF, then, to).eq(wanted.iter().copied()));
            found[1] += wanted.len();
        }
        found[2] += usize::from(first.is_some());
        found[3] += lasting.len();
    }
    assert!(found.iter().all(|n| *n > 1_000), "{found:?}");
}

#[test]
fn what_never_gets_well_is_held_by_its_first_and_its_last() {
    let mut failures = Failures::default();
    let pods = 40;
    let ask = |failures: &Failures, now: u64| {
        let newest = failures.of(OF.0, OF.1).next_back().map(|f| f.finished);
        let lasting = failures.lasting(OF.0, OF.1, at(now)).next().map(|f| f.onset);
        (newest, lasting, failures.first_of(OF, "rs"), failures.ailed(OF, Some("rs"), at(600), at(now)))
    };
    // A day in which each ends every five minutes.
    for step in 1..288 {
        for pod in 0..pods {
            failures.put(&format!("pod-{pod}/app/{step}"), None, Some(crash("rs", step * 300 + pod)));
        }
        let now = step * 300 + 299;
        let before = ask(&failures, now);
        failures.expire(at(now));
        assert_eq!(ask(&failures, now), before);
        assert_eq!((before.2, before.3), (Some(at(300)), true));
    }
    // Of the last hour twelve of each pod, of before its first and its last.
    let held = failures.of(OF.0, OF.1).count() as u64;
    assert!(held <= pods * (13 + 2), "{held}");
    // When they are well, all of it goes.
    let all: Vec<((Timestamp, String), Failure)> =
        failures.of.values().flat_map(|of| &of.all).map(|(p, f)| (p.clone(), f.clone())).collect();
    for ((_, id), old) in all {
        let new = Failure { recovered: Some(at(90_000)), ..old.clone() };
        failures.put(&id, Some(&old), Some(new));
    }
    failures.expire(at(100_000));
    assert!(failures.of.is_empty());
}

#[test]
fn a_question_costs_no_more_where_more_failed() {
    let of = |ends: u64| {
        let mut failures = Failures::default();
        for n in 0..ends {
            // Clients of another, whose own fault it is not, and who were well soon after.
            let failure = Failure { own_fault: n % 2 == 0, recovered: Some(at(n + 1)), ..crash("rs", n) };
            failures.put(&format!("pod-{}/app/{n}", n % 50), None, Some(failure));
        }
        failures
    };
    let (few, many) = (of(1_000), of(32_000));
    let ask = |failures: &Failures, now: u64| {
        let begun = Instant::now();
        for second in 0..500 {
            let then = at(now + 120 + second);
            assert!(!failures.ailed(OF, Some("rs"), then, then.minus(AFTERMATH)));
            assert!(!failures.ailed(OF, None, then, then.minus(AFTERMATH)));
            assert_eq!(failures.first_of(OF, "rs"), Some(at(0)));
            assert_eq!(failures.lasting(OF.0, OF.1, then).count() + failures.between(OF, then, None).count(), 0);
        }
        begun.elapsed()
    };
    let best = |failures: &Failures, now| (0..5).map(|_| ask(failures, now)).min().unwrap();
    let (few, many) = (best(&few, 1_000), best(&many, 32_000));
    assert!(many < few * 8, "{few:?} for 1,000 failures, {many:?} for 32,000");
}
