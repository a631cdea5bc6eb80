#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::detector::synthetic::Noise;

const STEP_S: i64 = 60;
const DAY: i64 = 86_400 / STEP_S;

fn at(i: i64) -> Timestamp {
    Timestamp(1_790_000_000_000_000_000 + i * STEP_S * 1_000_000_000)
}

fn run(values: impl IntoIterator<Item = f64>) -> Vec<Scored> {
    let mut scorer = Scorer::default();
    (0..).zip(values).filter_map(|(i, v)| scorer.observe(at(i), v, &Least::default())).collect()
}

/// How many values learn before the first is judged.
const FIRST: usize = LEAST as usize;

fn daily(i: i64, noise: &mut Noise) -> f64 {
    50.0 + 20.0 * (std::f64::consts::TAU * (i % DAY) as f64 / DAY as f64).sin() + noise.normal()
}

#[test]
fn noise_passes_one_about_once_in_several_thousand() {
    type Draw = fn(&mut Noise) -> f64;
    let draws: [(&str, Draw); 4] = [
        ("normal", |n| n.normal()),
        ("skewed", |n| n.normal().exp()),
        ("even", |n| n.uniform()),
        ("counts", |n| n.poisson(3.0) as f64),
    ];
    for (name, draw) in draws {
        let mut passed = 0;
        for seed in 1..=5 {
            let mut noise = Noise::new(seed);
            passed += run((0..20_000).map(|_| draw(&mut noise))).iter().filter(|s| s.anomaly_score > 1.0).count();
        }
        assert!(passed <= 60, "{name}: {passed} of 100000");
    }
}

#[test]
fn a_spike_is_told_at_once_and_once() {
    for seed in 1..=10 {
        let mut noise = Noise::new(seed);
        let scored = run((0..3000).map(|i| noise.normal() + if i == 2500 { 15.0 } else { 0.0 }));
        let told: Vec<usize> =
            (0..).zip(&scored).filter(|(_, s)| s.anomaly_score > 1.0).map(|(i, _)| i + FIRST).collect();
        assert!(told.contains(&2500), "seed {seed}: {told:?}");
        assert!(!told.iter().any(|i| (2501..2600).contains(i)), "seed {seed}: {told:?}");
        let spike = &scored[2500 - FIRST];
        assert!(spike.expected.abs() < 0.5, "{spike:?}");
        // What was is in view for hours, then gone.
        let after = scored[2540 - FIRST].anomaly_score;
        assert!((0.1875..0.5).contains(&after), "seed {seed}: {after}");
    }
}

#[test]
fn a_shift_of_level_is_told_soon_and_dated() {
    for seed in 1..=10 {
        let mut noise = Noise::new(seed);
        let scored = run((0..4000).map(|i| noise.normal() + if i >= 3000 { 6.0 } else { 0.0 }));
        let found = (0..).zip(&scored[3000 - FIRST..]).find(|(_, s)| s.anomaly_score > 1.0);
        let (after, told) = found.unwrap_or_else(|| panic!("seed {seed}: not told"));
        assert!(after < 15, "seed {seed}: after {after}");
        assert!((told.since.seconds_since(at(3000)) / STEP_S as f64).abs() <= 2.0, "seed {seed}: {told:?}");
    }
}

#[test]
fn a_drift_of_single_usual_values_is_told_by_its_mean() {
    let mut noise = Noise::new(4);
    let scored = run((0..4000).map(|i| noise.normal() + if i >= 3000 { 2.0 } else { 0.0 }));
    let told = scored[3000 - FIRST..3100 - FIRST].iter().find(|s| s.anomaly_score > 1.0).expect("told");
    assert_eq!(told.part, Part::Drift, "{told:?}");
}

#[test]
fn a_missing_hump_is_seen_by_the_season_alone() {
    let mut noise = Noise::new(5);
    let broken = 6 * DAY..6 * DAY + DAY / 2;
    let scored = run((0..8 * DAY).map(|i| {
        let usual = daily(i, &mut noise);
        if broken.contains(&i) { 50.0 + noise.normal() } else { usual }
    }));
    let usual = &scored[3 * DAY as usize..broken.start as usize - FIRST];
    let passed = usual.iter().filter(|s| s.anomaly_score > 1.0).count();
    assert!(passed <= 3, "{passed} of {}", usual.len());
    let within = &scored[broken.start as usize - FIRST..broken.end as usize - FIRST];
    let told = within.iter().find(|s| s.anomaly_score > 1.0).expect("told");
    assert!(told.expected > 51.5, "{told:?}");
    assert!(matches!(told.part, Part::Season | Part::Drift), "{told:?}");
    assert!(told.parts[Part::Level as usize] < 0.8, "{told:?}");
}

#[test]
fn a_constant_that_moves_by_a_digit_is_no_alarm() {
    let scored = run((0..3000).map(|i| if i == 2000 { 101.0 } else { 100.0 }));
    assert!(scored.iter().all(|s| s.anomaly_score <= 1.0), "{:?}", scored[2000 - FIRST]);
    assert!(scored[..2000 - FIRST].iter().all(|s| s.anomaly_score == 0.0 && s.expected == 100.0));
    let mut scorer = Scorer::default();
    let least = Least { absolute: 1.0, relative: 0.05 };
    for i in 0..4000 {
        let value = if i % 700 == 699 { 101.0 } else { 100.0 };
        let scored = scorer.observe(at(i), value, &least);
        assert!(scored.is_none_or(|s| s.anomaly_score <= 1.0), "{i}: {scored:?}");
    }
}

#[test]
fn a_constant_that_leaves_for_good_is_told() {
    let mut scorer = Scorer::default();
    let least = Least { absolute: 1.0, relative: 0.0 };
    let told: Vec<i64> = (0..3000)
        .filter(|i| {
            let scored = scorer.observe(at(*i), if *i >= 2000 { 40.0 } else { 0.0 }, &least);
            scored.is_some_and(|s| s.anomaly_score > 1.0)
        })
        .collect();
    assert_eq!(told, [2000]);
    // Without a unit it is as rare as once in all of its past.
    let scored = run((0..6000).map(|i| if i >= 5000 { 40.0 } else { 0.0 }));
    assert!(scored[5000 - FIRST].anomaly_score > 1.0, "{:?}", scored[5000 - FIRST]);
}

#[test]
fn gaps_stale_markers_and_nonsense_are_passed_over() {
    let mut scorer = Scorer::default();
    let mut noise = Noise::new(7);
    let stale = f64::from_bits(whyd_signals::sample::STALE_BITS);
    let mut passed = 0;
    for i in 0..6000i64 {
        let i = if i >= 3000 { i + 5000 } else { i };
        if i % 500 == 7 {
            assert_eq!(scorer.observe(at(i), stale, &Least::default()), None);
            assert_eq!(scorer.observe(at(i), f64::NAN, &Least::default()), None);
            assert_eq!(scorer.observe(at(i), f64::INFINITY, &Least::default()), None);
            continue;
        }
        // Time stands still or goes back at times.
        let ts = if i % 900 == 3 { at(i - 1) } else { at(i) };
        passed += usize::from(
            scorer.observe(ts, daily(i, &mut noise), &Least::default()).is_some_and(|s| s.anomaly_score > 1.0),
        );
    }
    assert!(passed <= 8, "{passed}");
}

#[test]
fn what_was_written_goes_on_as_it_was() {
    let mut noise = Noise::new(8);
    let mut scorer = Scorer::default();
    for i in 0..3 * DAY {
        scorer.observe(at(i), daily(i, &mut noise), &Least::default());
    }
    let mut copy = scorer.clone();
    for i in 3 * DAY..4 * DAY {
        let value = daily(i, &mut noise);
        assert_eq!(scorer.observe(at(i), value, &Least::default()), copy.observe(at(i), value, &Least::default()));
    }
    const { assert!(Scorer::BYTES < 2600) };
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn neither_scale_nor_offset_matters(seed in 1u64..1000, scale in -3i32..4, offset in -100.0f64..100.0, negate: bool) {
        let factor = if negate { -1.0 } else { 1.0 } * 10f64.powi(scale);
        let mut noise = Noise::new(seed);
        let values: Vec<f64> = (0..2000)
            .map(|i| daily(i, &mut noise) + if i % 800 == 799 { 30.0 } else { 0.0 })
            .collect();
        let moved = run(values.iter().map(|v| factor * (v + offset)));
        for (a, b) in run(values.iter().copied()).iter().zip(&moved) {
            let (a, b) = (a.anomaly_score, b.anomaly_score);
            proptest::prop_assert!((a - b).abs() < 0.01 * (1.0 + a.abs()), "{a} {b}");
        }
    }

    #[test]
    fn any_numbers_give_finite_scores(samples in proptest::collection::vec((0i64..100_000, proptest::num::f64::ANY), 1..200)) {
        let mut scorer = Scorer::default();
        for (s, value) in samples {
            if let Some(scored) = scorer.observe(Timestamp(s * 100_000_000), value, &Least::default()) {
                proptest::prop_assert!(scored.anomaly_score >= 0.0 && scored.anomaly_score.is_finite(), "{scored:?}");
                proptest::prop_assert!(scored.since <= Timestamp(s * 100_000_000) || scored.since.0 > 0, "{scored:?}");
            }
        }
    }
}
