#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::detector::synthetic::Noise;

const MS: f64 = 1e6;

/// The seconds at which it is told, of calls that take so many milliseconds at each second.
fn told(seconds: i64, takes: impl Fn(i64, &mut Noise) -> Option<f64>) -> Vec<i64> {
    let (mut usual, mut noise) = (Usual::new(), Noise::new(11));
    (0..seconds)
        .filter(|s| {
            let Some(ms) = takes(*s, &mut noise) else { return false };
            let at = (1_000_000 + s) * 1_000_000_000;
            let found = usual.observe((at, (ms * MS) as i64), (7, [0, 0]), Timestamp(at));
            if found.is_some() {
                usual.blame(Of::All, Blame::On(7));
            }
            found.is_some()
        })
        .collect()
}

/// Some milliseconds, at times many.
fn skewed(noise: &mut Noise) -> f64 {
    8.0 * (0.8 * noise.normal()).exp()
}

#[test]
fn a_step_ends_where_the_next_begins() {
    for us in [0_u64, 1, 1023, 1024, 1279, 1280, 5000, 99_999, 1_000_000, 60_000_000] {
        let step = step_of(us);
        assert!(us < upper(step) && (step == 0 || us >= upper(step - 1)), "{us} in {step}");
    }
    assert_eq!((step_of(u64::MAX), step(-5), step(i64::MAX)), (STEPS - 1, 0, STEPS as u8 - 1));
}

#[test]
fn calls_that_take_a_second_are_told_once_while_they_do() {
    let often = told(1200, |s, n| Some(if s < 600 { skewed(n) } else { 1000.0 + skewed(n) }));
    assert!(matches!(often[..], [629..640]), "more than half of a minute: {often:?}");
    // Of few calls as many say it as of many.
    let seldom = |s: i64, n: &mut Noise| (s % 7 == 0).then(|| if s < 900 { skewed(n) } else { 1000.0 });
    let seldom = told(1500, seldom);
    assert!(matches!(seldom[..], [930..960]), "{seldom:?}");
    let twice = told(1800, |s, n| Some(if (600..700).contains(&s) || s >= 1200 { 1000.0 } else { skewed(n) }));
    assert!(matches!(twice[..], [629..640, 1229..1240]), "what was slow is not usual: {twice:?}");
}

#[test]
fn what_stays_slow_is_usual_after_an_hour() {
    let found = told(4 * 3600, |s, n| Some(if s < 600 { skewed(n) } else { 1000.0 + skewed(n) }));
    assert_eq!(found.len(), 1, "{found:?}");
    let more = told(4 * 3600, |s, n| {
        Some(if s < 600 {
            skewed(n)
        } else if s < 9000 {
            1000.0
        } else {
            9000.0
        })
    });
    assert_eq!(more.len(), 2, "{more:?}");
}

#[test]
fn what_is_little_or_short_or_was_there_before_is_not_told() {
    let day = 86_400;
    assert!(told(day, |_, n| Some(skewed(n))).is_empty(), "skewed");
    // A tail of seconds, and times by a busy hour of the day.
    assert!(told(day, |_, n| Some(2.0 / n.uniform().max(1e-4).powf(0.8))).is_empty(), "heavy");
    let busy = |s: i64, n: &mut Noise| Some(skewed(n) * 2.0 * (1.2 + (s as f64 / 4000.0).sin()));
    assert!(told(day, busy).is_empty(), "by the hour");
    assert!(told(day, |s, n| Some(skewed(n) + if s % 3600 < 20 { 2000.0 } else { 0.0 })).is_empty(), "pauses");
    assert!(told(day, |s, n| (s % 30 == 0).then(|| skewed(n))).is_empty(), "seldom");
    assert!(told(1200, |s, n| Some(skewed(n) * if s < 600 { 1.0 } else { 3.0 })).is_empty(), "3 times");
    assert!(told(1200, |s, _| Some(if s < 600 { 2.0 } else { 40.0 })).is_empty(), "40 ms are not much");
    assert!(told(110, |s, _| Some(if s < 40 { 2.0 } else { 1000.0 })).is_empty(), "shorter than the minute");
}

#[test]
fn few_slow_calls_need_more_past_than_many() {
    let is_enough = |slow: u32, past: u32| chance::of_so_many((slow, slow), (0, past)) < CHANCE;
    assert!(is_enough(5, 64) && !is_enough(5, 60) && is_enough(8, 26) && !is_enough(8, 22));
}

#[test]
fn what_is_slow_every_night_is_told_on_two_nights() {
    let slow = |s: i64| (7200..8400).contains(&s.rem_euclid(86_400));
    let found = told(6 * 86_400, |s, n| (s % 10 == 0).then(|| if slow(s) { 800.0 } else { skewed(n) }));
    let nights: Vec<i64> = found.iter().map(|s| s / 86_400).collect();
    assert_eq!(nights, [0, 1]);
    let worse = told(6 * 86_400, |s, n| {
        let night = if s < 5 * 86_400 { 800.0 } else { 4000.0 };
        (s % 10 == 0).then(|| if slow(s) { night } else { skewed(n) })
    });
    assert_eq!(worse.last().map(|s| s / 86_400), Some(5), "more than it ever was");
}

#[test]
fn a_clock_that_was_ahead_holds_nothing_back() {
    let mut usual = Usual::new();
    let at = |s: i64| (1_000_000 + s) * 1_000_000_000;
    let mut observe = |s: i64, ms: i64| usual.observe((at(s), ms * 1_000_000), (7, [0, 0]), Timestamp(at(s)));
    (0..300).for_each(|s| assert!(observe(s, 5).is_none()));
    observe(90_000, 5);
    assert!((300..400).any(|s| observe(s, 900).is_some()));
    // Of the hours neither: what is usual at the night's hour is not at another.
    let mut usual = Usual::new();
    let hour = |day: i64, hour: i64| ((20_000 + day) * 24 + hour) * 3600;
    let night = |s: i64| s % 86_400 < 3600;
    let mut told = 0;
    let mut observe = |s: i64, usual: &mut Usual| {
        let at = s * 1_000_000_000;
        let found = usual.observe((at, if night(s) { 900_000_000 } else { 5_000_000 }), (7, [0, 0]), Timestamp(at));
        if let Some(found) = found {
            usual.blame(found.of, Blame::On(7));
            told += 1;
        }
    };
    (hour(0, 1)..hour(4, 0)).step_by(4).for_each(|s| observe(s, &mut usual));
    observe(hour(4, 0) + 9 * 3600, &mut usual);
    (hour(4, 0)..hour(4, 1)).step_by(4).for_each(|s| observe(s, &mut usual));
    assert_eq!(told, 2, "of three nights and one after the clock was ahead");
}

#[test]
fn a_second_speaks_once_and_what_is_late_not_at_all() {
    let (mut usual, minute) = (Usual::new(), Duration::from_secs(60));
    let at = |s: i64| (1_000_000 + s) * 1_000_000_000;
    for s in (0..100).chain(0..100) {
        usual.observe((at(s), 5_000_000), (7, [0, 0]), Timestamp(at(100)));
        usual.observe((at(s) + 1, 900_000_000), (7, [0, 0]), Timestamp(at(100)));
    }
    let past: u32 = usual.past.iter().map(|n| u32::from(*n)).sum();
    assert_eq!((usual.minute.len(), past), (60, 40));
    assert!(usual.minute.iter().all(|held| held.step == step(5_000_000)));
    assert!(usual.is_heard(at(158), minute) && !usual.is_heard(at(159), minute));
    for s in 0..20_000 {
        usual.observe((at(100 + s), 5_000_000), (7, [0, 0]), Timestamp(at(100 + s)));
    }
    let past: u32 = usual.past.iter().map(|n| u32::from(*n)).sum();
    assert!((MOST / 2 - 1..=MOST).contains(&past), "{past}");
    assert!(usual.minute.capacity() * size_of::<Held>() + usual.past.capacity() * 2 <= Usual::HEAP);
}

/// What is told of calls that take so many milliseconds at these seconds, each of a caller's and a called pod, and blamed so.
fn of_pods(
    seconds: impl Iterator<Item = i64>,
    blame: Blame,
    takes: impl Fn(i64) -> (i64, [u8; 2]),
) -> (Usual, Vec<(i64, Slow)>) {
    let (mut usual, mut told) = (Usual::new(), Vec::new());
    for s in seconds {
        let ((ms, pods), at) = (takes(s), (1_000_000 + s) * 1_000_000_000);
        if let Some(found) = usual.observe((at, ms * 1_000_000), (s as u64, pods), Timestamp(at)) {
            usual.blame(found.of, blame);
            told.push((s, found));
        }
    }
    (usual, told)
}

#[test]
fn one_slow_pod_is_held_against_what_is_usual_of_all() {
    for side in [0, 1_u8] {
        let pods = |s: i64| if side == 0 { [(s % 4) as u8, 9] } else { [9, (s % 4) as u8] };
        let takes = |s: i64| (if s >= 1200 && s % 4 == 2 { 900 } else { 5 }, pods(s));
        let (usual, told) = of_pods(0..3000, Blame::On(7), takes);
        let [(at, found)] = told[..] else { panic!("{told:?}") };
        assert_eq!((found.of, found.all), (Of::Pod(side, 2), 15));
        assert!((1230..1260).contains(&at), "{at}");
        assert_eq!(usual.pods(side), Pods { slowest: Some(2), slow: 1, all: 4 });
        // It is told again when it was well meanwhile.
        let takes = |s: i64| (if s % 4 == 2 && (s % 3000 > 2000) { 900 } else { 5 }, pods(s));
        assert_eq!(of_pods(0..9000, Blame::On(7), takes).1.len(), 3);
    }
    let takes = |s: i64| (if s >= 1200 && s % 5 != 3 { 900 } else { 5 }, [0, (s % 5) as u8]);
    let (usual, told) = of_pods(0..1300, Blame::On(7), takes);
    assert_eq!((told.len(), usual.pods(1)), (1, Pods { slowest: Some(0), slow: 4, all: 5 }));
}

#[test]
fn what_is_slow_settles_by_the_time_that_it_was_heard() {
    let slow = |s: i64| (if s < 900 { 5 } else { 900 }, [0, 0]);
    let worse = |s: i64| (if s < 8000 { slow(s).0 } else { 9000 }, [0, 0]);
    // Nothing is heard for longer than that.
    let (_, told) = of_pods((0..1000).chain(8000..8200), Blame::On(7), worse);
    let [(_, first), (_, second)] = told[..] else { panic!("{told:?}") };
    assert_eq!(first.was, second.was);
    let (_, told) = of_pods((0..6000).chain(8000..8200), Blame::On(7), worse);
    let [_, (_, second)] = told[..] else { panic!("{told:?}") };
    assert!(second.was > 0.5, "{second:?}");
}

#[test]
fn while_somebody_is_waited_for_it_is_looked_at_again_and_nothing_is_learnt() {
    let takes = |s: i64| (if s < 900 { 5 } else { 900 }, [0, 0]);
    let (usual, told) = of_pods(0..1500, Blame::Waits(7), takes);
    assert!((40..60).contains(&told.len()), "{}", told.len());
    assert!(told.windows(2).all(|pair| pair[1].0 - pair[0].0 == i64::from(AGAIN) && pair[0].1.was == pair[1].1.was));
    assert!((900..930).contains(&(usual.well - 1_000_000)), "{}", usual.well);
    assert_eq!(of_pods(0..1500, Blame::Nobody, takes).1.len(), 1);
}
