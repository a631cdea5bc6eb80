#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::detector::synthetic::Noise;

const LEARNING: Duration = Duration::from_secs(600);

/// A line that is received as it is written, by a pod that has been there for ever.
fn say(rate: &mut LogRate, ts: Timestamp, is_error: bool) -> Option<Burst> {
    rate.observe((ts, is_error), (&Speaker::OLD, ts), LEARNING, &Holes::default())
}

/// The seconds at which bursts open, given the mean of lines and errors in each second.
fn bursts(hours: u64, seed: u64, mean: impl Fn(u64) -> (f64, f64)) -> Vec<(u64, What)> {
    let mut rate = LogRate::default();
    let mut noise = Noise::new(seed);
    let mut found = Vec::new();
    for s in 0..hours * 3600 {
        let (lines, errors) = mean(s);
        let (lines, errors) = (noise.poisson(lines), noise.poisson(errors));
        for i in 0..lines + errors {
            let ts = Timestamp((s * 1_000_000_000 + i * 1000) as i64);
            found.extend(say(&mut rate, ts, i < errors).map(|b| (s, b.what)));
        }
    }
    found
}

#[test]
fn healthy_logs_give_no_burst() {
    type Mean = fn(u64) -> (f64, f64);
    let healthy: &[(&str, Mean)] = &[
        ("steady", |_| (10.0, 0.0)),
        ("steady with errors", |_| (10.0, 0.1)),
        ("sparse", |_| (0.02, 0.002)),
        ("busy", |_| (300.0, 1.0)),
        ("a line a minute", |s| (if s % 60 == 0 { 1.0 } else { 0.0 }, 0.0)),
        ("every five minutes", |s| (if s % 300 < 10 { 20.0 } else { 0.1 }, 0.0)),
        ("hourly wave", |s| (20.0 + 10.0 * (s as f64 / 573.0).sin(), 0.05)),
    ];
    for (name, mean) in healthy {
        for seed in 1..=3 {
            let found = bursts(8, seed, mean);
            assert!(found.is_empty(), "{name}, seed {seed}: {found:?}");
        }
    }
}

#[test]
fn what_comes_every_day_at_its_hour_is_told_twice_and_what_does_not_is_told() {
    type Mean = fn(u64, u64) -> (f64, f64);
    let ramp = |s: u64, at: f64| ((s as f64 - at * 3600.0) / 600.0).clamp(0.0, 1.0);
    let office = |s: u64| 0.2 + 6.0 * (ramp(s, 8.0) - ramp(s, 18.0));
    let night = |s: u64| (7200..7500).contains(&s);
    let day: [(&str, &dyn Fn(u64) -> (f64, f64)); 3] = [
        ("office hours", &|s| (office(s), 0.0)),
        ("a nightly job", &|s| (if night(s) { 12.0 } else { 0.5 }, 0.0)),
        ("errors every night", &|s| (0.5, f64::from(u8::from(night(s))))),
    ];
    // Three times the day's work more in the afternoon, the same at another hour, and twice as much at the same.
    let odd: [Mean; 3] = [
        |day, s| (if day == 6 && (54_000..54_300).contains(&s) { 18.0 } else { 0.0 }, 0.0),
        |day, s| (if day == 6 && (50_000..50_300).contains(&s) { 12.0 } else { 0.0 }, 0.0),
        |day, s| (0.0, if day == 6 && (7200..7500).contains(&s) { 1.0 } else { 0.0 }),
    ];
    for ((name, usual), odd) in day.into_iter().zip(odd) {
        let found = bursts(24 * 8, 1, |s| {
            let ((lines, errors), (more, of_errors)) = (usual(s % 86_400), odd(s / 86_400, s % 86_400));
            (lines + more, errors + of_errors)
        });
        let mut days: Vec<u64> = found.iter().map(|(s, _)| s / 86_400).collect();
        days.dedup();
        assert_eq!(days, [0, 1, 6], "{name}: {found:?}");
    }
}

#[test]
fn bursts_are_found_within_seconds_and_once() {
    type Mean = fn(u64) -> (f64, f64);
    let faults: &[(&str, What, u64, Mean)] = &[
        ("errors from none", What::Errors, 30, |s| (5.0, if s >= 7300 { 2.0 } else { 0.0 })),
        ("errors tenfold", What::Errors, 30, |s| (5.0, if s >= 7300 { 2.0 } else { 0.2 })),
        ("lines tenfold", What::Lines, 30, |s| (if s >= 7300 { 100.0 } else { 10.0 }, 0.0)),
        ("after silence", What::Errors, 30, |s| (if s < 900 { 1.0 } else { 0.0 }, if s >= 7300 { 5.0 } else { 0.0 })),
    ];
    for (name, what, within, mean) in faults {
        for seed in 1..=3 {
            let found = bursts(2, seed, |_| (0.0, 0.0));
            assert!(found.is_empty());
            let mut found = bursts(3, seed, |s| if s < 7900 { mean(s) } else { mean(0) });
            found.retain(|(_, w)| w == what);
            assert_eq!(found.len(), 1, "{name}, seed {seed}: {found:?}");
            assert!((7300..=7300 + within).contains(&found[0].0), "{name}, seed {seed}: {found:?}");
        }
    }
}

#[test]
fn a_clock_that_is_set_back_and_on_again_is_no_burst_and_hides_none() {
    for flood in [None, Some(5300)] {
        let (mut rate, mut holes, mut found) = (LogRate::default(), Holes::default(), Vec::new());
        for s in 0..7200i64 {
            let (ts, back) = (Timestamp(s * 1_000_000_000), if (5000..5600).contains(&s) { 600 } else { 0 });
            let received = Timestamp((s - back) * 1_000_000_000 + 500_000_000);
            holes.hear(received);
            for n in 0..if flood.is_some_and(|from| (from..from + 120).contains(&s)) { 20 } else { 2 } {
                let line = (Timestamp(ts.0 + n), false);
                found.extend(rate.observe(line, (&Speaker::OLD, received), LEARNING, &holes).map(|_| s));
            }
        }
        match flood {
            None => assert!(found.is_empty(), "{found:?}"),
            Some(from) => assert!(matches!(found[..], [at] if (from..from + 60).contains(&at)), "{found:?}"),
        }
    }
}

#[test]
fn after_a_clock_that_was_ahead_the_day_is_not_held_against_the_night() {
    let ramp = |s: i64, at: f64| ((s as f64 - at * 3600.0) / 600.0).clamp(0.0, 1.0);
    let day = 86_400;
    for lead in [16 * 3600, day, 10 * day] {
        let (mut rate, mut holes, mut noise, mut found) =
            (LogRate::default(), Holes::default(), Noise::new(1), Vec::new());
        for s in 0..6 * day {
            // At six in the morning it is ahead for five minutes. In the afternoon there are four times as many lines.
            let ahead = if (5 * day + 21_600..5 * day + 21_900).contains(&s) { lead } else { 0 };
            let more = if (5 * day + 54_000..5 * day + 54_300).contains(&s) { 18.0 } else { 0.0 };
            let ts = Timestamp((s + ahead) * 1_000_000_000);
            holes.hear(ts);
            for n in 0..noise.poisson(0.2 + 6.0 * (ramp(s % day, 8.0) - ramp(s % day, 18.0)) + more) {
                let line = (Timestamp(ts.0 + n as i64), false);
                found.extend(rate.observe(line, (&Speaker::OLD, line.0), LEARNING, &holes).map(|_| s));
            }
        }
        found.retain(|s| *s >= 2 * day);
        assert!(matches!(found[..], [at] if (486_000..486_060).contains(&at)), "{lead}: {found:?}");
    }
}

#[test]
fn poisson_threshold_grows_with_the_mean() {
    let thresholds: Vec<f64> = [0.05, 1.0, 10.0, 100.0, 1e6].iter().map(|m| poisson_tail(*m)).collect();
    assert!(thresholds.is_sorted(), "{thresholds:?}");
    assert!(thresholds[0] < 10.0 && thresholds[4] < 1.01e6 && thresholds[3] > 150.0, "{thresholds:?}");
}

#[test]
fn a_time_in_which_nobody_was_heard_is_no_silence() {
    for (forgets, expected) in [(false, true), (true, false)] {
        let (mut rate, mut holes, mut found) = (LogRate::default(), Holes::default(), Vec::new());
        for s in (0..700).chain(20_000..20_300i64) {
            let received = Timestamp(s * 1_000_000_000);
            if forgets {
                holes.hear(received);
            }
            for n in 0..4 {
                let line = (Timestamp(received.0 + n), false);
                found.extend(rate.observe(line, (&Speaker::OLD, line.0), LEARNING, &holes));
            }
        }
        assert_eq!(!found.is_empty(), expected, "{found:?}");
    }
}

#[test]
fn errors_are_told_while_their_number_is_being_learnt() {
    let (mut rate, mut found) = (LogRate::default(), Vec::new());
    for s in 0..500 {
        let ts = Timestamp(1_000_000_000_000 + s * 1_000_000_000);
        found.extend(say(&mut rate, ts, s >= 45).map(|burst| (s, burst)));
    }
    let [(54, Burst { what: What::Errors, per_minute: 10.0, past: Some(past), .. })] = found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(past, Past { lasted: Duration::from_secs(45), errors: 0 });
}

#[test]
fn late_lines_are_counted_as_such() {
    let mut rate = LogRate::default();
    for (s, received) in [(1000, 1000), (990, 1000), (900, 1000), (800, 1000), (930, 1051)] {
        let (ts, received) = (Timestamp(s * 1_000_000_000), Timestamp(received * 1_000_000_000));
        rate.observe((ts, false), (&Speaker::OLD, received), LEARNING, &Holes::default());
    }
    assert_eq!((rate.late(), rate.lines.sum), (2, 3));
}

/// What is told while each second these pods say so many lines, errors of them from some second on. A pod: since when, lines
/// a second from how long after it came.
fn of_pods_told(
    seconds: i64,
    says: impl Fn(i64) -> Vec<(u32, u32, u32)>,
    ahead: impl Fn(u32, i64) -> i64,
) -> Vec<(i64, What)> {
    let (mut rate, mut found) = (LogRate::default(), Vec::new());
    for s in 1000..1000 + seconds {
        let received = Timestamp(s * 1_000_000_000 + 999_000_000);
        for (pod, ordinary, errors) in says(s - 1000) {
            let ts = Timestamp((s + ahead(pod, s - 1000)) * 1_000_000_000 + i64::from(pod));
            if ordinary + errors == 0 {
                continue;
            }
            let speaker = rate.of_pod(u64::from(pod), (ts.min(received), ts.min(received)));
            for n in 0..ordinary + errors {
                let burst = rate.observe((ts, n < errors), (&speaker, received), LEARNING, &Holes::default());
                found.extend(burst.map(|burst| (s - 1000, burst.what)));
            }
        }
    }
    found
}

#[test]
fn a_line_or_a_node_that_is_ahead_of_its_time_hides_nothing() {
    let says = |s: i64| vec![(1, u32::from(s % 10 == 0), 0), (2, 1, if s >= 5000 { 4 } else { 0 })];
    let told = |ahead: fn(u32, i64) -> i64| of_pods_told(5300, says, ahead);
    let expected = told(|_, _| 0);
    assert_eq!(expected.first(), Some(&(5002, What::Errors)));
    assert_eq!(told(|pod, s| if pod == 1 && s == 4990 { 590 } else { 0 }), expected, "one line");
    assert_eq!(told(|pod, _| if pod == 1 { 540 } else { 0 }), expected, "a node");
    assert_eq!(told(|pod, _| if pod == 1 { -100 } else { 0 }), expected, "a node that is behind");
}

#[test]
fn neither_rollouts_nor_more_pods_nor_fewer_are_bursts_and_what_each_of_them_floods_is() {
    // Three pods, one after the other replaced by others, which say 120 lines while they start.
    let rollout = |s: i64| {
        let pod = |n: i64| {
            let came = 14_400 + 20 * n;
            let old = (n as u32, u32::from(s % 12 == 0), 0);
            let start = if s < came + 30 { 4 } else { u32::from(s % 12 == 0) };
            if s < came { old } else { (n as u32 + 10, start, 0) }
        };
        (0..3).map(pod).collect()
    };
    assert_eq!(of_pods_told(20_000, rollout, |_, _| 0), []);
    // Two pods, then eight, then two again, of which each says as much as ever, or all as much as ever.
    let scaled = |s: i64| (0..if (14_400..18_000).contains(&s) { 8 } else { 2 }).map(|pod| (pod, 1, 0)).collect();
    assert_eq!(of_pods_told(20_000, scaled, |_, _| 0), []);
    let shared = |s: i64| {
        let pods = if s < 14_400 { 8 } else { 2 };
        (0..pods).map(|pod| (pod, 8 / pods, 0)).collect()
    };
    assert_eq!(of_pods_told(20_000, shared, |_, _| 0), []);
    let flood =
        |s: i64| (0..if s >= 14_400 { 8 } else { 2 }).map(|pod| (pod, if s >= 14_700 { 9 } else { 1 }, 0)).collect();
    let told = of_pods_told(15_000, flood, |_, _| 0);
    assert!(matches!(told[..], [(14_700..14_760, What::Lines)]), "{told:?}");
    // New pods that fail say so.
    let failing =
        |s: i64| (0..4).map(|pod| (pod + if s >= 14_400 { 10 } else { 0 }, 1, u32::from(s >= 14_400))).collect();
    let told = of_pods_told(15_000, failing, |_, _| 0);
    assert!(matches!(told[..], [(14_400..14_410, What::Errors)]), "{told:?}");
}
