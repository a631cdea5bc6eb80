#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

const SECOND: i64 = 1_000_000_000;
const ONSET: i64 = 3_000 * SECOND;

/// Candidate 0 calls 1, which calls 2: a request every ten seconds, until five minutes after the onset.
fn requests(mut change: impl FnMut(i64, &mut Vec<Line>)) -> Facts {
    let mut facts = Facts { candidates: 4, ..Facts::default() };
    for n in 0..330_i64 {
        let at = n * 10 * SECOND;
        let line = |ms: i64, candidate: u32, template: u64| Line {
            request: n as u64 + 1,
            at: at + (ms + n * 7 % 5) * 1_000_000,
            candidate,
            template,
        };
        let mut lines =
            vec![line(0, 0, 1), line(20, 1, 2), line(40, 2, 3), line(60, 2, 4), line(80, 1, 5), line(100, 0, 6)];
        change(at, &mut lines);
        facts.lines.extend(lines);
    }
    facts
}

fn rank(facts: &Facts, onset: i64, until: i64) -> Vec<Ranked> {
    Prepared::of(facts, until).at(onset)
}

fn first(facts: &Facts) -> Ranked {
    rank(facts, ONSET, ONSET + 300 * SECOND).remove(0)
}

fn series(candidate: u32, metric: u32, value: impl Fn(i64) -> f64) -> Series {
    let times: Vec<i64> = (0..110).map(|n| n * 30 * SECOND).collect();
    let values = times.iter().map(|t| value(t / SECOND)).collect();
    Series { candidate, metric, times, values, bad: Bad::Both }
}

#[test]
fn nothing_is_known_of_nothing_and_the_order_stays() {
    assert!(rank(&Facts::default(), 0, 1).is_empty());
    let quiet = Facts { candidates: 3, ..Facts::default() };
    let ranked = rank(&quiet, ONSET, ONSET + SECOND);
    assert_eq!(ranked.iter().map(|r| (r.candidate, r.score)).collect::<Vec<_>>(), [(0, 0.0), (1, 0.0), (2, 0.0)]);
}

#[test]
fn equals_stay_in_the_order_of_the_candidates_whatever_order_their_rows_came_in() {
    let jump = |t: i64| if t * SECOND < ONSET { (t % 7) as f64 } else { 900.0 };
    let mut facts = Facts { candidates: 3, series: vec![series(2, 0, jump), series(1, 0, jump)], ..Facts::default() };
    let ranked = rank(&facts, ONSET, ONSET + 300 * SECOND);
    assert_eq!(ranked[0].score, ranked[1].score);
    assert_eq!((ranked[0].candidate, ranked[1].candidate), (1, 2));
    facts.series.reverse();
    assert_eq!(rank(&facts, ONSET, ONSET + 300 * SECOND), ranked);
}

#[test]
fn the_metric_that_leaves_its_past_counts_in_any_unit_and_a_restless_one_does_not() {
    for unit in [1e-6, 1.0, 1e9] {
        let calm = |t: i64| unit * (100.0 + (t % 7) as f64 + if t * SECOND < ONSET { 0.0 } else { 80.0 });
        let restless = |t: i64| unit * if t % 900 < 60 || t * SECOND >= ONSET { 2000.0 } else { 1.0 };
        let facts =
            Facts { candidates: 2, series: vec![series(0, 0, restless), series(1, 1, calm)], ..Facts::default() };
        let first = first(&facts);
        assert_eq!(first.candidate, 1, "{unit}");
        assert!(matches!(first.because[0], Reason::Metric { metric: 1, .. }), "{first:?}");
    }
}

#[test]
fn a_constant_metric_may_move_by_a_digit() {
    let constant = |t: i64| if t * SECOND < ONSET { 1000.0 } else { 1001.0 };
    let moved = |t: i64| if t * SECOND < ONSET { 1000.0 } else { 1500.0 };
    let facts = Facts { candidates: 2, series: vec![series(0, 0, constant), series(1, 0, moved)], ..Facts::default() };
    assert_eq!(first(&facts).candidate, 1);
}

#[test]
fn which_way_is_bad_may_be_told() {
    let up = |t: i64| (t % 7) as f64 + if t * SECOND < ONSET { 0.0 } else { 50.0 };
    let down = |t: i64| (t % 7) as f64 - if t * SECOND < ONSET { 0.0 } else { 20.0 };
    let less = |s: Series| Series { bad: Bad::Less, ..s };
    let facts =
        Facts { candidates: 2, series: vec![less(series(0, 0, up)), less(series(1, 0, down))], ..Facts::default() };
    assert_eq!(first(&facts).candidate, 1);
}

#[test]
fn a_caller_s_evidence_counts_for_what_it_calls() {
    let by = |much: f64| move |t: i64| (t % 7) as f64 + if t * SECOND < ONSET { 0.0 } else { much };
    let mut facts = Facts { candidates: 3, ..Facts::default() };
    facts.series = vec![series(0, 0, by(60.0)), series(1, 0, by(0.0)), series(2, 0, by(50.0))];
    assert_eq!(first(&facts).candidate, 0);
    facts.calls = vec![(0, 1), (0, 2)];
    assert_eq!(first(&facts).candidate, 2);
}

#[test]
fn an_exception_is_of_the_first_that_a_request_went_wrong_at() {
    let facts = requests(|at, lines| {
        if at >= ONSET {
            lines[3].template = 40; // the callee fails
            lines[5].template = 60; // and so does, later, who called
        }
    });
    let first = first(&facts);
    assert_eq!(first.candidate, 2);
    assert!(matches!(first.because[0], Reason::Course { after: Some(3), .. }), "{first:?}");
}

#[test]
fn a_line_that_no_longer_comes_is_seen() {
    let facts = requests(|at, lines| {
        if at >= ONSET {
            lines.remove(3);
        }
    });
    assert_eq!(first(&facts).candidate, 2);
}

#[test]
fn a_delay_is_of_the_one_whose_steps_are_all_slow() {
    let facts = requests(|at, lines| {
        if at >= ONSET {
            // Whatever leaves or reaches candidate 1 takes half a second more.
            for (n, more) in [(1, 500), (2, 1000), (3, 1000), (4, 1500), (5, 2000)] {
                lines[n].at += more * 1_000_000;
            }
        }
    });
    let first = first(&facts);
    assert_eq!(first.candidate, 1);
    assert!(matches!(first.because[0], Reason::Slow { .. }), "{first:?}");
}

#[test]
fn more_traffic_is_no_evidence() {
    let mut facts = requests(|_, _| {});
    let more: Vec<Line> = facts.lines.iter().filter(|l| l.at >= ONSET).copied().collect();
    for n in 1..4 {
        facts.lines.extend(more.iter().map(|l| Line { request: l.request + 10_000 * n, at: l.at + n as i64, ..*l }));
    }
    assert!(first(&facts).score < 0.5, "{:?}", first(&facts));
}

#[test]
fn what_is_of_no_request_counts_by_its_share() {
    let mut facts = Facts { candidates: 2, ..Facts::default() };
    for n in 0..330_i64 {
        let at = n * 10 * SECOND;
        let line = |candidate, template| Line { request: 0, at, candidate, template };
        facts.lines.extend([line(0, 1), line(1, if at >= ONSET { 9 } else { 1 })]);
    }
    let first = first(&facts);
    assert_eq!(first.candidate, 1);
    assert!(matches!(first.because[0], Reason::Share { kind: 9, before: (0, _), .. }), "{first:?}");
}

#[test]
fn nothing_after_the_end_is_looked_at() {
    let until = ONSET + 60 * SECOND;
    let early = |facts: &Facts| rank(facts, ONSET, until);
    let mut facts = requests(|at, lines| {
        if at >= ONSET {
            lines[3].template = 40;
        }
    });
    let ranked = early(&facts);
    facts.lines.retain(|l| l.at < until);
    assert_eq!(early(&facts), ranked);
}

#[test]
fn the_onset_is_found() {
    let facts = requests(|at, lines| {
        if at >= ONSET {
            lines[3].template = 40;
        }
    });
    let (onset, ranked) = find(&facts, ONSET - 600 * SECOND, ONSET + 300 * SECOND);
    assert_eq!(ranked[0].candidate, 2);
    assert!((onset - ONSET).abs() <= 60 * SECOND, "{}", (onset - ONSET) / SECOND);
}

#[test]
fn what_is_seen_at_most_onsets_is_before_what_one_shows_and_the_past() {
    // A minute of a line of one, long before; and what lasts, a little less conspicuous, of another.
    let facts = requests(|at, lines| {
        if (ONSET - 400 * SECOND..ONSET - 340 * SECOND).contains(&at) {
            lines[1].template = 50;
        }
        if at >= ONSET && at / SECOND % 20 == 0 {
            lines[3].template = 40;
        }
    });
    let (_, ranked) = find(&facts, ONSET - 600 * SECOND, ONSET + 300 * SECOND);
    assert_eq!(ranked[0].candidate, 2, "{ranked:?}");
}

#[test]
fn an_unusual_step_takes_the_blame_for_a_later_one_only_as_far_as_it_is_as_unusual() {
    let facts = requests(|at, lines| {
        // Now and then candidate 1 goes another way, a little more often when candidate 2 fails.
        if at / SECOND % 100 == 50 || at >= ONSET && at / SECOND % 30 == 0 {
            lines[1].template = 20;
        }
        if at >= ONSET {
            lines[3].template = 40;
        }
    });
    let first = first(&facts);
    assert_eq!(first.candidate, 2);
    assert!(matches!(first.because[0], Reason::Course { seen_at: None, .. }), "{first:?}");
}

#[test]
fn no_time_to_look_at_is_no_evidence() {
    let facts = requests(|_, _| {});
    let (onset, ranked) = find(&facts, ONSET, ONSET);
    assert_eq!(onset, ONSET);
    assert!(ranked.iter().all(|r| r.score == 0.0 && r.because.is_empty()));
}

#[test]
fn what_ends_is_suspected_and_who_is_to_blame_for_it_more() {
    let mut facts = requests(|_, _| {});
    let end =
        |seconds: i64, candidate, seen_at, cause| Ended { at: ONSET + seconds * SECOND, candidate, seen_at, cause };
    facts.ended = vec![end(70, 1, None, 0), end(20, 2, None, 1), end(30, 2, Some(0), 2), end(60, 2, Some(0), 2)];
    let ranked = rank(&facts, ONSET, ONSET + 300 * SECOND);
    assert_eq!((ranked[0].candidate, ranked[1].candidate), (2, 1), "{ranked:?}");
    assert_eq!(ranked[0].because[0], Reason::Ended { cause: 2, times: 2, before: 0, seen_at: Some(0) });
    // What has ended all the time, in each window, says little where it does so again.
    facts.ended.extend((1..20).flat_map(|n| {
        [end(-150 * n + 40, 2, None, 1), end(-150 * n + 50, 2, None, 1), end(-150 * n + 60, 2, None, 1)]
    }));
    assert_eq!(first(&facts).candidate, 1);
    // And nothing after the end is looked at.
    let early = rank(&facts, ONSET, ONSET + 15 * SECOND);
    assert!(early.iter().all(|r| r.because.iter().all(|b| !matches!(b, Reason::Ended { .. }))), "{early:?}");
}

#[test]
fn quantiles_of_the_normal_distribution() {
    for (p, x) in [(0.5, 0.0), (0.975, 1.959_964), (0.025, -1.959_964), (0.999, 3.090_232), (0.01, -2.326_348)] {
        assert!((normal::quantile(p) - x).abs() < 1e-5, "{p}");
    }
}

/// Candidate 2 ends and says nothing for a while; candidate 1, which calls it, goes another way, and so does whoever calls that.
fn gone(second: i64) -> Facts {
    let mut facts = requests(|at, lines| {
        if (ONSET..ONSET + 150 * SECOND).contains(&at) {
            lines[4].template = 50;
            lines[5].template = 60;
            lines.drain(2..4);
        }
    });
    facts.ended = vec![Ended { at: ONSET + second * SECOND, candidate: 2, seen_at: None, cause: 0 }];
    // The callers give up, too, and more often.
    let ends = [(40, 1), (90, 1), (60, 0), (120, 0)];
    facts.ended.extend(ends.map(|(s, candidate)| Ended { at: ONSET + s * SECOND, candidate, seen_at: None, cause: 1 }));
    facts
}

#[test]
fn who_ended_when_its_callers_went_wrong_is_suspected_of_what_they_showed() {
    let (_, ranked) = find_around(&gone(-1), ONSET - SECOND, ONSET + 300 * SECOND);
    assert_eq!(ranked[0].candidate, 2, "{ranked:?}");
    assert!(matches!(ranked[0].because[..], [Reason::Explains { caller: 1 }, ..]), "{:?}", ranked[0]);
    assert!(ranked[0].because.iter().any(|b| matches!(b, Reason::Ended { times: 1, before: 0, .. })));
    // And so it is for who was told of its caller's end only.
    let (_, ranked) = find_around(&gone(-1), ONSET + 40 * SECOND, ONSET + 300 * SECOND);
    assert_eq!(ranked[0].candidate, 2, "{ranked:?}");
    // One that hung before it ended was gone sooner than its end says.
    let (_, ranked) = find_around(&gone(8), ONSET, ONSET + 300 * SECOND);
    assert_eq!(ranked[0].candidate, 2, "{ranked:?}");
    // One that ended after its caller had gone wrong explains nothing.
    let (_, ranked) = find_around(&gone(30), ONSET, ONSET + 300 * SECOND);
    assert_eq!(ranked[0].candidate, 1, "{ranked:?}");
    assert!(
        ranked.iter().all(|r| r.because.iter().all(|b| !matches!(b, Reason::Explains { caller: 1 }))),
        "{ranked:?}"
    );
}

#[test]
fn who_does_what_it_always_did_has_no_reason_and_no_score() {
    let mut facts = requests(|at, lines| {
        if at >= ONSET {
            lines[3].template = 40;
        }
    });
    // Candidate 3 says one thing only, in and out of requests, and a metric of it is noise.
    let tick = |n: i64| Line { request: 0, at: n * 10 * SECOND, candidate: 3, template: 9 };
    facts.lines.extend((0..330).map(tick));
    facts.series = vec![series(3, 0, |t| 100.0 + (t * 7919 % 13) as f64)];
    let (onset, ranked) = find(&facts, ONSET - 300 * SECOND, ONSET + 300 * SECOND);
    assert_eq!(ranked[0].candidate, 2);
    let (first, steady) = (&ranked[0], ranked.iter().find(|r| r.candidate == 3).unwrap());
    assert!(steady.because.is_empty() && steady.score < first.score / 10.0, "{steady:?}");
    assert!((onset - ONSET).abs() <= 60 * SECOND, "{}", (onset - ONSET) / SECOND);
    for reason in ranked.iter().flat_map(|r| &r.because) {
        let is_change = match reason {
            Reason::Course { now, before, .. } | Reason::Share { now, before, .. } => {
                now.0 * before.1 > before.0 * now.1
            }
            Reason::Slow { was, is, .. } => is > was,
            _ => true,
        };
        assert!(is_change, "{reason:?}");
    }
    let quiet = Facts { lines: (0..330).map(tick).collect(), ..facts };
    let (onset, ranked) = find(&quiet, ONSET - 300 * SECOND, ONSET + 300 * SECOND);
    assert_eq!(onset, ONSET + 300 * SECOND, "none began");
    assert!(ranked.iter().all(|r| r.because.is_empty()), "{ranked:?}");
}

#[test]
fn time_that_others_take_is_not_of_who_called_them() {
    // Candidate 2 is another team's, and takes half a second more.
    let slow = |seen: bool| {
        requests(|at, lines| {
            if at >= ONSET {
                lines[3..].iter_mut().for_each(|l| l.at += 500_000_000);
            }
            lines.retain(|l| seen || l.candidate != 2);
            lines.iter_mut().filter(|l| l.candidate == 2).for_each(|l| (l.candidate, l.template) = (NOBODY, 0));
        })
    };
    let blamed = |facts: &Facts| first(facts).because.iter().any(|b| matches!(b, Reason::Slow { .. }));
    assert!(blamed(&slow(false)), "whom nobody knows of");
    assert!(!blamed(&slow(true)));
    assert!(rank(&slow(true), ONSET, ONSET + 300 * SECOND).iter().all(|r| r.because.is_empty()));
}
