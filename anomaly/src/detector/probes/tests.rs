#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

/// The scrapes at which it is told to fail, given both counts at each; a count that is not there yet is negative.
fn told(step_s: i64, scrapes: &[(f64, f64)]) -> Vec<(usize, u32, u64)> {
    told_of(step_s, scrapes, Consequence::SendsNone, &|_| Probed::default())
}

fn at(scrape: i64, step_s: i64) -> Timestamp {
    Timestamp(1_000_000_000_000 + scrape * step_s * 1_000_000_000)
}

fn again_at(at: Timestamp, after_failure: bool) -> Restarted {
    Restarted { at, after_failure }
}

/// The same of a container that is known so at each scrape.
fn told_of(
    step_s: i64,
    scrapes: &[(f64, f64)],
    consequence: Consequence,
    probed: &dyn Fn(i64) -> Probed,
) -> Vec<(usize, u32, u64)> {
    let in_order = |failed_first: bool| {
        let mut probe = Probe::default();
        let mut found = Vec::new();
        for (n, (successful, failed)) in scrapes.iter().enumerate() {
            let ts = at(n as i64, step_s);
            let mut counts = [(Outcome::Failed, *failed), (Outcome::Successful, *successful)];
            if !failed_first {
                counts.reverse();
            }
            for (outcome, total) in counts {
                let count = (outcome, ts, total);
                let failing = (total >= 0.0).then(|| probe.observe(count, consequence, || probed(n as i64))).flatten();
                found.extend(failing.map(|f| (n, f.failed, f.succeeded)));
            }
        }
        found
    };
    let found = in_order(true);
    assert_eq!(in_order(false), found, "the other way round");
    found
}

/// Scrapes at which it succeeds, then some at which it fails.
fn then_fails(succeeds: usize, before: f64) -> Vec<(f64, f64)> {
    let well = (0..succeeds).map(|n| (n as f64 + 1.0, before));
    let fails = (0..4).map(|n| (succeeds as f64, before.max(0.0) + f64::from(n) + 1.0));
    well.chain(fails).collect()
}

#[test]
fn the_first_failure_after_a_start_is_told_at_once_and_once() {
    for before in [-1.0, 0.0, 4.0] {
        assert_eq!(told(5, &then_fails(8, before)), [(8, 1, 8)], "{before} failures while it started");
    }
    let again: Vec<_> = then_fails(8, -1.0).into_iter().chain([(9.0, 4.0), (9.0, 5.0)]).collect();
    assert_eq!(told(5, &again), [(8, 1, 8)], "one episode");
}

#[test]
fn two_failures_and_a_success_between_two_scrapes_are_a_failure() {
    let mixed = [(9.0, -1.0), (11.0, -1.0), (13.0, -1.0), (14.0, 2.0), (14.0, 3.0)];
    assert_eq!(told(5, &mixed), [(3, 2, 13)]);
    assert_eq!(told(5, &[(9.0, -1.0), (11.0, -1.0), (13.0, 1.0), (15.0, 1.0)]), [], "one of three is none");
}

#[test]
fn a_start_is_none_however_long_it_takes() {
    let slow = (0..100).map(|n| (-1.0, f64::from(n)));
    assert_eq!(told(5, &slow.clone().collect::<Vec<_>>()), []);
    let comes_up: Vec<_> = slow.chain((1..100).map(|n| (f64::from(n), 99.0))).collect();
    assert_eq!(told(5, &comes_up), []);
    assert_eq!(told(5, &then_fails(3, -1.0)), [], "three successes are no past");
}

#[test]
fn what_fails_now_and_then_is_told_when_the_kubelet_acts() {
    let mut scrapes = then_fails(20, -1.0);
    scrapes.truncate(21);
    let mut passes: Vec<_> = (1..=60).map(|n| (20.0 + f64::from(n), 1.0)).collect();
    scrapes.append(&mut passes);
    scrapes.extend((1..=4).map(|n| (80.0, 1.0 + f64::from(n))));
    assert_eq!(told(5, &scrapes), [(20, 1, 20), (83, 3, 80)]);
}

#[test]
fn what_it_did_before_it_was_watched_is_known() {
    let then = |before: f64| [(500.0, before), (503.0, before), (503.0, before + 1.0), (503.0, before + 3.0)];
    assert_eq!(told(15, &then(2.0)), [(2, 1, 503)]);
    assert_eq!(told(15, &then(100.0)), [(3, 3, 503)], "it fails now and then");
}

#[test]
fn restarts_of_the_kubelet_gaps_and_what_is_no_number_are_no_failure() {
    let reset = [(20.0, 9.0), (21.0, 9.0), (1.0, 2.0), (2.0, 2.0), (3.0, 3.0)];
    assert_eq!(told(5, &reset), []);
    assert_eq!(told(600, &then_fails(8, 0.0)), [], "what happened in ten minutes is not known");
    let mut probe = Probe::default();
    for value in [f64::NAN, f64::INFINITY, -1.0, f64::MAX, 3.0] {
        let count = (Outcome::Failed, Timestamp(1), value);
        assert_eq!(probe.observe(count, Consequence::Kills, Probed::default), None);
    }
}

/// Both totals at each scrape, given how many went well and failed since the one before. The count of failures is not there
/// before the first.
fn totals(rises: impl IntoIterator<Item = (u32, u32)>) -> Vec<(f64, f64)> {
    let (mut successful, mut failed) = (0.0, -1.0f64);
    let add = |(succeeds, fails)| {
        successful += f64::from(succeeds);
        if fails > 0 {
            failed = failed.max(0.0) + f64::from(fails);
        }
        (successful, failed)
    };
    rises.into_iter().map(add).collect()
}

#[test]
fn as_many_failures_as_make_the_kubelet_act_count_whatever_succeeds_beside_them() {
    // A container that is killed every two minutes, probed each 10 s; one that is each minute, probed each second.
    for (step_s, often, each, seldom) in [(60, (6, 0), (3, 3), 2), (15, (15, 0), (12, 3), 4)] {
        let rises = (0..400).map(|n| if n >= 40 && n % seldom == 0 { each } else { often });
        let found = told_of(step_s, &totals(rises), Consequence::Kills, &|_| Probed::default());
        let before = 40 * u64::from(often.0);
        assert_eq!(found.first(), Some(&(40, 3, before)), "every {step_s} s: {found:?}");
    }
    let probed = |threshold| move |_| Probed { threshold, ..Probed::default() };
    let two_of_six = totals((0..60).map(|n| if n == 40 { (4, 2) } else { (6, 0) }));
    for (threshold, expected) in [(None, vec![]), (Some(2), vec![(40, 2, 240)]), (Some(3), vec![])] {
        assert_eq!(told_of(60, &two_of_six, Consequence::Kills, &probed(threshold)), expected, "{threshold:?}");
    }
    // Three of fifteen are usual where that is how it goes.
    let flaky = totals((0..400).map(|n| if n % 2 == 0 { (12, 3) } else { (15, 0) }));
    assert!(told(15, &flaky).len() <= 1, "{:?}", told(15, &flaky));
}

#[test]
fn what_failed_of_how_many_is_counted() {
    let mut probe = Probe::default();
    let mut found = Vec::new();
    for (n, (successful, failed)) in totals((0..50).map(|n| if n == 40 { (12, 3) } else { (15, 0) })).iter().enumerate()
    {
        for (outcome, total) in [(Outcome::Successful, *successful), (Outcome::Failed, *failed)] {
            found.extend(probe.observe((outcome, at(n as i64, 15), total), Consequence::Kills, Probed::default));
        }
    }
    assert_eq!(found.iter().map(|f| (f.failed, f.beside, f.succeeded)).collect::<Vec<_>>(), [(3, 12, 600)]);
}

#[test]
fn counts_that_come_apart_are_paired_by_their_scrape() {
    let scrapes = totals((0..60).map(|n| if (40..43).contains(&n) { (0, 1) } else { (1, 0) }));
    let samples = |outcome: Outcome| {
        let of = move |&(successful, failed): &(f64, f64)| if outcome == Outcome::Failed { failed } else { successful };
        let all: Vec<_> =
            scrapes.iter().map(of).enumerate().map(|(n, total)| (outcome, at(n as i64, 15), total)).collect();
        all.into_iter().filter(|(.., total)| *total >= 0.0)
    };
    let check = |name: &str, order: Vec<(Outcome, Timestamp, f64)>| {
        let mut probe = Probe::default();
        let found = order.into_iter().filter_map(|count| {
            let failing = probe.observe(count, Consequence::SendsNone, Probed::default)?;
            Some((count.1, failing.failed, failing.succeeded))
        });
        assert_eq!(found.collect::<Vec<_>>(), [(at(40, 15), 1, 40)], "{name}");
    };
    let in_parts = |size: usize, first: Outcome, last: Outcome, late: i64| {
        let mut all: Vec<_> = samples(first).chain(samples(last)).collect();
        let place = |&(outcome, ts, _): &(Outcome, Timestamp, f64)| {
            let n = (ts.0 - 1_000_000_000_000) / 15_000_000_000 + if outcome == last { late } else { 0 };
            (n / size as i64, outcome == last)
        };
        all.sort_by_key(place);
        all
    };
    use Outcome::{Failed, Successful};
    for (first, last) in [(Successful, Failed), (Failed, Successful)] {
        check("scrape by scrape", in_parts(1, first, last, 0));
        check("one a scrape behind", in_parts(1, first, last, 1));
        check("one five scrapes behind", in_parts(1, first, last, 5));
        check("four scrapes a body, count by count", in_parts(4, first, last, 0));
    }
}

#[test]
fn a_count_that_was_not_heard_for_long_is_no_failure() {
    let well = |n: i64| n as f64 + 1.0;
    let mut probe = Probe::default();
    let mut see = |outcome, n: i64, total| {
        probe.observe((outcome, at(n, 15), total), Consequence::SendsNone, Probed::default).map(|f| f.failed)
    };
    for n in 0..110 {
        assert_eq!(see(Outcome::Successful, n, well(n)), None);
        if n >= 100 {
            assert_eq!(see(Outcome::Failed, n, 57.0), None);
        }
    }
    // What it does from then on is known.
    let told = (110..115).filter_map(|n| {
        see(Outcome::Successful, n, well(109));
        see(Outcome::Failed, n, 57.0 + (n - 109) as f64)
    });
    assert_eq!(told.collect::<Vec<_>>(), [5], "more than a third failed: three more are no wonder");
}

#[test]
fn a_second_start_is_a_start() {
    // It takes a minute to start, and is started again at the 40th scrape.
    let again = |n: i64| Probed {
        restarted: (n >= 40).then(|| again_at(at(40, 15).minus(Duration::from_secs(5)), false)),
        ..Probed::default()
    };
    let start = |n: i64| (40..44).contains(&n);
    let restarts = totals((0..80).map(|n| if n < 4 || start(n) { (0, 1) } else { (1, 0) }));
    assert_eq!(told_of(15, &restarts, Consequence::SendsNone, &again), []);
    assert_eq!(told(15, &restarts).len(), 1, "nobody knew of the start");
    // What fails after the start is told, however few scrapes are remembered.
    for (from, before) in [(50, 42), (75, 67)] {
        let hangs = totals((0..80).map(|n| if n < 4 || start(n) || n >= from { (0, 1) } else { (1, 0) }));
        let found = told_of(15, &hangs, Consequence::SendsNone, &again);
        assert_eq!(found, [(from as usize, 1, before)]);
    }
    // So it is where the start was not watched, the other part of the counts being older.
    let old: Vec<_> = (0..6).map(|n| (500.0 + f64::from(n).min(3.0), 20.0 + f64::from((n - 3i32).max(0)))).collect();
    let long_ago = |_| Probed { restarted: Some(again_at(Timestamp(1), false)), ..Probed::default() };
    assert_eq!(told_of(15, &old, Consequence::SendsNone, &long_ago), [], "20 of 500: now and then, two do not count");
    let well: Vec<_> = old.iter().map(|(successful, failed)| (*successful, failed - 20.0)).collect();
    assert_eq!(told_of(15, &well, Consequence::SendsNone, &long_ago), [(4, 1, 503)]);
}

#[test]
fn a_kill_is_told_though_its_container_starts_again_at_once() {
    let kill = totals((0..80).map(|n| if n == 40 { (3, 3) } else { (6, 0) }));
    let again = |n: i64| Probed {
        restarted: (n >= 40).then(|| again_at(at(40, 60).minus(Duration::from_secs(25)), false)),
        ..Probed::default()
    };
    assert_eq!(told_of(60, &kill, Consequence::Kills, &again), [(40, 3, 240)]);
    assert_eq!(told_of(60, &kill, Consequence::SendsNone, &again), [], "that may be how it starts");
}

#[test]
fn a_startup_probe_waits_and_what_goes_may_fail() {
    let starts = totals((0..400).map(|n| if n % 40 < 4 { (0, 3) } else { (u32::from(n % 40 == 4), 0) }));
    assert_eq!(told_of(30, &starts, Consequence::of("Startup"), &|_| Probed::default()), []);
    let gone = |_| Probed { goes: true, ..Probed::default() };
    assert_eq!(told_of(5, &then_fails(8, 0.0), Consequence::Kills, &gone), []);
}

#[test]
fn a_long_past_counts_in_parts_and_is_told_in_full() {
    let past = [(250_000.0, 15.0), (250_002.0, 15.0), (250_002.0, 16.0), (250_002.0, 17.0)];
    assert_eq!(told(15, &past), [(2, 1, 250_002)], "one of many thousand is rare");
    let watched = totals((0..5001).map(|n| if n == 5000 { (0, 1) } else { (1, 0) }));
    assert_eq!(told(15, &watched), [(5000, 1, 5000)]);
}

#[test]
fn a_container_that_failed_is_told_where_it_does_not_answer_again_at_once() {
    // It is killed before scrapes 40, 44 and 48, and answers twice in between.
    let kills = |n: i64| (40..52).contains(&n).then(|| at(n / 4 * 4, 5).minus(Duration::from_secs(4)));
    let rises = totals((0..100).map(|n| if (40..52).contains(&n) && n % 4 < 2 { (0, 1) } else { (1, 0) }));
    let probed = |after_failure| {
        move |n: i64| Probed { restarted: kills(n).map(|at| again_at(at, after_failure)), ..Probed::default() }
    };
    assert_eq!(told_of(5, &rises, Consequence::SendsNone, &probed(true)), [(40, 1, 40)]);
    assert_eq!(told_of(5, &rises, Consequence::SendsNone, &probed(false)), []);
    // Never well for long it is told no more, however late.
    let loops = totals((0..1000).map(|n| if n < 40 || n % 100 == 50 { (1, 0) } else { (0, u32::from(n % 100 < 50)) }));
    let started = |n: i64| (n >= 40).then(|| again_at(at(n / 100 * 100 - 1, 5), true));
    let found = told_of(5, &loops, Consequence::SendsNone, &|n| Probed { restarted: started(n), ..Probed::default() });
    assert_eq!(found.len(), 1, "{found:?}");
    let mut probe = Probe::default();
    let probed =
        || Probed { restarted: Some(again_at(at(40, 5).minus(Duration::from_secs(2)), true)), ..Probed::default() };
    let of = |n: i64, (successful, failed): (f64, f64)| {
        [(Outcome::Successful, at(n, 5), successful), (Outcome::Failed, at(n, 5), failed)]
    };
    let counts: Vec<_> = rises.iter().take(41).enumerate().flat_map(|(n, totals)| of(n as i64, *totals)).collect();
    let failing = counts.into_iter().find_map(|count| probe.observe(count, Consequence::SendsNone, probed)).unwrap();
    assert_eq!((failing.starts_again, failing.score), (true, 1.5), "its end says more");
}
