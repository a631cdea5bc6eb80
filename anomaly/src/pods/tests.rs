#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::detector::synthetic::Noise;

const DAY: i64 = 1440;

/// What a pod does in a minute: memory fraction, cores, lines, errors.
type Doing = (f64, f64, f64, f64);

/// Work from 08:00 to 18:00, with ramps of five minutes, and noise.
fn office(minute: i64, noise: &mut Noise) -> Doing {
    let hour = (minute % DAY) as f64 / 60.0;
    let load = ((hour - 8.0) * 12.0).clamp(0.0, 1.0) * ((18.0 - hour) * 12.0).clamp(0.0, 1.0);
    (
        0.4 + 0.1 * load + 0.01 * noise.normal(),
        (0.05 + 0.7 * load) * (1.0 + 0.1 * noise.normal()),
        (5.0 + 55.0 * load) * (1.0 + 0.2 * noise.normal()),
        0.0,
    )
}

struct Workload {
    pods: Pods,
    cpu: Vec<f64>,
    noise: Noise,
    told: Vec<(usize, i64, String)>,
    step: i64,
}

impl Workload {
    fn of(pods: usize) -> Self {
        Self { pods: Pods::new(100), cpu: vec![0.0; pods], noise: Noise::new(11), told: Vec::new(), step: 15 }
    }

    /// These minutes, in which pod `n` does as `doing` says.
    fn go(&mut self, minutes: std::ops::Range<i64>, doing: impl Fn(usize, i64, Doing) -> Doing) -> &mut Self {
        let team = Team::new("a");
        for minute in minutes {
            for n in 0..self.cpu.len() {
                let name = format!("p{n}");
                let of = Owner {
                    pod_key: n as u64 + 10,
                    workload_key: 1,
                    team: &team,
                    namespace: "n",
                    pod: &name,
                    container: "c",
                };
                let (memory, cores, lines, errors) = doing(n, minute, office(minute, &mut self.noise));
                // Each pod is scraped at its own second.
                let at = |second: i64| Timestamp((minute * 60 + second) * 1_000_000_000 + n as i64 * 37_000_000);
                for second in (0..60).step_by(self.step as usize) {
                    self.cpu[n] += cores.max(0.0) * self.step as f64;
                    let told = [Measure::MemoryFraction(memory), Measure::CpuSeconds(self.cpu[n])];
                    for measure in told {
                        let found = self.pods.observe(&of, at(second), measure);
                        self.told.extend(found.map(|found| (n, minute, found.text)));
                    }
                }
                let each = (0..lines.max(0.0) as i64).map(|i| (at(30), (i as f64) < errors));
                let told = &mut self.told;
                self.pods.observe_lines(&of, each, |found| told.push((n, minute, found.text)));
            }
            (0..60).for_each(|_| self.pods.tick());
        }
        self
    }

    fn told(&self) -> Vec<(usize, i64)> {
        self.told.iter().map(|(n, minute, _)| (*n, *minute)).collect()
    }
}

fn healthy(_: usize, _: i64, doing: Doing) -> Doing {
    doing
}

#[test]
fn the_first_work_of_the_day_is_not_told() {
    for (pods, days) in [(1, 9), (3, 7), (10, 6), (50, 5)] {
        let mut workload = Workload::of(pods);
        workload.go(0..days * DAY, healthy);
        assert_eq!(workload.told, [], "{pods} pods");
        assert!(workload.pods.trained >= 3 && workload.pods.untrained == 0, "{:?}", workload.pods.trained);
    }
    // From a night on, scraped once a minute, with a weekend.
    let mut workload = Workload { step: 60, ..Workload::of(1) };
    let weekend = |_, minute: i64, (memory, cores, lines, errors): Doing| match minute / DAY % 7 {
        5 | 6 => (0.4, 0.05, 5.0, errors),
        _ => (memory, cores, lines, errors),
    };
    assert_eq!(workload.go(0..23 * DAY, weekend).told, []);
}

#[test]
fn a_pod_unlike_its_past_is_told_once() {
    let noon = 5 * DAY + 700;
    // It hangs: no work, no memory left, and errors.
    let broken = |n: usize, minute: i64, doing| if n == 0 && minute >= noon { (0.97, 0.0, 120.0, 90.0) } else { doing };
    for pods in [1, 2, 3, 10] {
        let mut workload = Workload::of(pods);
        workload.go(0..noon + 60, broken);
        let told = workload.told();
        assert!(
            told.len() == 1 && told[0].0 == 0 && (noon..noon + 5).contains(&told[0].1),
            "{pods}: {:?}",
            workload.told
        );
    }
}

#[test]
fn a_pod_unlike_its_siblings_is_told_though_all_have_more_to_do() {
    let (noon, other) = (5 * DAY + 700, 4);
    // Three times the work for all; one of them gets none of it done.
    let flood = |n: usize, minute: i64, (memory, cores, lines, errors): Doing| match minute >= noon {
        true if n == other => (memory, 3.5, 0.0, 30.0),
        true => (memory + 0.2, 3.0 * cores, 3.0 * lines, errors),
        false => (memory, cores, lines, errors),
    };
    let mut workload = Workload::of(6);
    let told = workload.go(0..noon + 60, flood).told();
    assert!(!told.is_empty() && told.iter().all(|(n, _)| *n == other), "{:?}", workload.told);
    assert!(workload.told[0].2.contains("siblings in the same minute"), "{:?}", workload.told);
}

#[test]
fn after_a_clock_that_was_ahead_pods_are_followed_at_once_and_siblings_that_went_are_not_waited_for() {
    for (pods, ahead) in [(1, DAY), (2, 12 * 60), (3, 30 * DAY)] {
        let (leap, noon) = (5 * DAY + 360, 5 * DAY + 700);
        let mut workload = Workload::of(pods);
        workload.go(0..leap, healthy);
        // In the night it is ahead for five minutes, and whoever spoke last then speaks no more.
        workload.go(leap + ahead..leap + ahead + 5, |_, _, _| (0.4, 0.05, 5.0, 0.0));
        workload.pods.hear(began(leap + 5));
        let (rows, trained) = (workload.told.len(), workload.pods.trained);
        workload.cpu.truncate(pods.max(2) - 1);
        let broken =
            |n: usize, minute: i64, doing| if n == 0 && minute >= noon { (0.97, 0.0, 120.0, 90.0) } else { doing };
        workload.go(leap + 5..noon + 60, broken);
        let told = &workload.told()[rows..];
        assert!(told.len() == 1 && (noon..noon + 5).contains(&told[0].1), "{pods} {ahead}: {:?}", workload.told);
        workload.go(noon + 60..6 * DAY, healthy);
        assert!(workload.pods.trained >= trained + 2, "{pods} {ahead}: {} after {trained}", workload.pods.trained);
    }
}

#[test]
fn bursts_at_any_hour_are_not_told() {
    for pods in [1, 3] {
        let mut dice = Noise::new(5);
        let bursts: Vec<f64> = (0..10 * DAY * pods as i64).map(|_| dice.uniform()).collect();
        let bursty = |n: usize, minute: i64, (memory, cores, lines, errors): Doing| {
            let factor = if bursts[minute as usize * pods + n] < 0.02 { 8.0 } else { 1.0 };
            (memory, cores, factor * lines, errors)
        };
        assert_eq!(Workload::of(pods).go(0..10 * DAY, bursty).told, []);
    }
}

#[test]
fn what_a_pod_that_is_alone_does_every_night_is_not_told() {
    // A backup: much CPU, no lines.
    let backup = |_, minute: i64, (memory, cores, lines, errors): Doing| match minute % DAY {
        120..126 => (memory + 0.3, 6.0, 0.0, errors),
        _ => (memory, cores, lines, errors),
    };
    let mut workload = Workload::of(1);
    assert_eq!(workload.go(0..12 * DAY, backup).told, []);
    // The same at noon.
    let noon = 12 * DAY + 700;
    let told =
        workload.go(12 * DAY..13 * DAY, |n, minute, doing| backup(n, if minute >= noon { 120 } else { minute }, doing));
    assert!(matches!(told.told()[..], [(0, minute)] if (noon..noon + 5).contains(&minute)), "{:?}", workload.told);
}

#[test]
fn followers_are_held_against_followers() {
    let noon = 5 * DAY + 700;
    // Three lead, and two follow. From noon on the followers read snapshots; those that lead show nothing of it.
    let doing = |all: bool| {
        move |n: usize, minute: i64, (memory, cores, lines, errors): Doing| match n {
            0..3 => (0.3 + memory, 2.0 + cores, 40.0 + lines, errors),
            _ if minute >= noon && (all || n == 3) => (memory, 12.0, lines, errors),
            _ => (memory, cores, lines, errors),
        }
    };
    assert_eq!(Workload::of(5).go(0..noon + 60, doing(true)).told, []);
    let told = Workload::of(5).go(0..noon + 60, doing(false)).told();
    assert!(matches!(told[..], [(3, minute)] if (noon..noon + 5).contains(&minute)), "{told:?}");
}

#[test]
fn a_start_is_no_past_and_not_told() {
    let (again, last) = (5 * DAY + 100, 5 * DAY + 400);
    let starts = |_: usize, minute: i64, doing| match minute {
        minute if (again..again + 5).contains(&minute) => (0.1, 3.0, 900.0, 20.0),
        _ => doing,
    };
    let mut workload = Workload::of(3);
    workload.go(0..again, healthy);
    // The counter begins anew, as those of a pod that came instead.
    workload.cpu[1] = 0.0;
    workload.go(again..last, |n, minute, doing| if n == 1 { starts(n, minute, doing) } else { doing });
    assert_eq!(workload.told, []);
}

#[test]
fn what_there_is_no_room_for_is_counted_and_bytes_are_bounded() {
    let team = Team::new("a");
    let mut pods = Pods::new(10);
    for minute in 0..3 * DAY {
        for n in 0..80u64 {
            let of = Owner { pod_key: n, workload_key: n / 4, team: &team, namespace: "n", pod: "p", container: "c" };
            let ts = Timestamp(minute * MINUTE_NS);
            pods.observe(&of, ts, Measure::MemoryFraction(0.5 + 0.01 * (n as f64)));
        }
        pods.tick();
    }
    assert_eq!(pods.refused() as i64, 3 * DAY * 40, "half of the pods");
    assert!(pods.bytes() <= 10 * Pods::BYTES && pods.models() == 10, "{} {}", pods.bytes(), pods.models());
    const { assert!(Pods::BYTES < 8192) };
    // Idle pods make room; an old past stays for the next ones.
    let of = Owner { pod_key: 99, workload_key: 0, team: &team, namespace: "n", pod: "p", container: "c" };
    pods.observe(&Owner { pod_key: 0, ..of }, Timestamp((4 * DAY) * MINUTE_NS), Measure::MemoryFraction(0.5));
    pods.tick();
    assert!(pods.pods.len() == 1 && pods.models() == 10);
}

#[test]
fn no_team_takes_the_room_of_all_and_pods_without_a_past_make_room_for_those_with_one() {
    let (a, b) = (Team::new("a"), Team::new("b"));
    let mut pods = Pods::new(20);
    let mut go = |minutes: std::ops::Range<i64>, team: &Team, keys: &[(u64, u64)]| {
        for minute in minutes {
            for (pod_key, workload_key) in keys.iter().copied() {
                let of = Owner { pod_key, workload_key, team, namespace: "n", pod: "p", container: "c" };
                pods.observe(&of, Timestamp(minute * MINUTE_NS), Measure::MemoryFraction(0.5));
            }
            pods.tick();
        }
        let pasts = |keys: &[(u64, u64)]| keys.iter().filter(|(_, of)| pods.workloads.pasts.get(*of).is_some()).count();
        (pasts(keys), keys.iter().filter(|(pod, _)| pods.pods.get(*pod).is_some()).count())
    };
    // As many workloads as there are places for pods: most of them have no past, and their pods take nobody's place.
    let mut many: Vec<(u64, u64)> = (0..80).map(|n| (n, n)).collect();
    assert_eq!(go(0..60, &a, &many).0, 20);
    many.extend((0..20).map(|n| (1000 + n, n)));
    let (pasts, followed) = go(60..120, &a, &many);
    assert!(pasts == 40 && followed >= 40, "{pasts} {followed}");
    assert!((0..20).all(|n| go(120..120, &a, &[(1000 + n, n), (n, n)]) == (2, 2)), "both pods of each");
    let others: Vec<(u64, u64)> = (0..40).map(|n| (2000 + n, 2000 + n)).collect();
    assert_eq!(go(120..180, &b, &others).0, 10, "its share");
}

#[test]
fn samples_that_come_after_the_next_minute_s_lines_count() {
    let team = Team::new("a");
    let of = Owner { pod_key: 1, workload_key: 1, team: &team, namespace: "n", pod: "p", container: "c" };
    let vectors = |scraped: i64| {
        let (mut pods, mut total) = (Pods::new(10), 0.0);
        let at = |minute: i64, second: i64| Timestamp(minute * MINUTE_NS + second * 1_000_000_000);
        for minute in 0..3 * DAY {
            let lines = |second: i64| std::iter::once((at(minute, second), false));
            // What was scraped in the minute before comes eight seconds later, lines come at once.
            let (came, of_minute) = ((scraped + 8) % 60, if scraped + 8 < 60 { minute } else { minute - 1 });
            for second in 0..60 {
                if second % 5 == 0 {
                    pods.observe_lines(&of, lines(second), |_| ());
                }
                if second == came {
                    total += 30.0;
                    pods.observe(&of, at(of_minute, scraped), Measure::CpuSeconds(total));
                    pods.observe(&of, at(of_minute, scraped), Measure::MemoryFraction(0.5));
                }
            }
            pods.tick();
        }
        (pods.trained, pods.models())
    };
    assert_eq!(vectors(30), (10, 1));
    assert_eq!(vectors(55), vectors(30));
}

#[test]
fn a_gap_that_is_filled_is_no_start_and_no_work_of_now() {
    let noon = 6 * DAY + 700;
    let mut workload = Workload::of(1);
    workload.go(0..noon, healthy);
    let (before, cpu) = (workload.pods.pods.get(10).unwrap().since, workload.cpu[0]);
    // Hours of an earlier day once more.
    workload.cpu[0] = 0.0;
    workload.go(5 * DAY + 600..5 * DAY + 700, healthy);
    workload.cpu[0] = cpu;
    workload.go(noon..noon + 30, healthy);
    assert_eq!((workload.told, workload.pods.pods.get(10).unwrap().since), (Vec::new(), before));
}

#[test]
fn a_training_that_fails_leaves_the_earlier_model_and_is_counted() {
    let mut workload = Workload::of(1);
    workload.go(0..2 * DAY, healthy);
    workload.pods.workloads.pasts.get_mut(1).unwrap().forget_rows();
    let (models, trained) = (workload.pods.models(), workload.pods.trained);
    workload.pods.workloads.due.push_back(1);
    let untrained = workload.pods.untrained;
    workload.pods.tick();
    assert_eq!((workload.pods.models(), workload.pods.trained), (models, trained));
    assert_eq!((models, workload.pods.untrained), (1, untrained + 1));
}

#[test]
fn what_was_written_goes_on_as_it_was() {
    let noon = 4 * DAY + 700;
    let broken = |n: usize, minute: i64, doing| if n == 1 && minute >= noon { (0.97, 0.0, 120.0, 90.0) } else { doing };
    let mut workload = Workload::of(3);
    workload.go(0..3 * DAY + 600, broken);
    let mut again = Pods::new(100);
    again.resume(rmp_serde::from_slice(&rmp_serde::to_vec(&workload.pods).unwrap()).unwrap());
    let mut copy =
        Workload { pods: again, cpu: workload.cpu.clone(), noise: Noise::new(11), told: Vec::new(), step: 15 };
    workload.noise = Noise::new(11);
    workload.go(3 * DAY + 600..noon + 30, broken);
    copy.go(3 * DAY + 600..noon + 30, broken);
    assert_eq!(workload.told, copy.told);
    assert!(!copy.told.is_empty());
    assert_eq!(rmp_serde::to_vec(&workload.pods).unwrap(), rmp_serde::to_vec(&copy.pods).unwrap());
}
