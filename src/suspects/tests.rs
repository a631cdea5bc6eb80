#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::path::Path;

use whyd_signals::Access;

use super::*;
use crate::capture::Capture;
use crate::config::ConfigFile;
use crate::{replay, wiring};

#[test]
fn a_counter_is_its_increase_and_may_begin_anew() {
    let second = 1_000_000_000;
    let (times, values) = rates([(0, 10.0), (second, 14.0), (3 * second, 2.0)].into_iter());
    assert_eq!((times, values), (vec![second, 3 * second], vec![4.0, 1.0]));
}

fn of_capture(name: &str, namespace: Option<&str>, most: Most) -> Suspects {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures").join(name);
    let capture = Capture::open(&path).unwrap();
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), capture.messages().unwrap(), config.lateness);
    let scoped = outcome.snapshot.scoped(&Access::All);
    Suspects::of(&scoped, (outcome.at.minus(PAST), outcome.at), namespace, most)
}

#[test]
fn what_is_too_much_is_left_out_counted_and_said() {
    let whole = of_capture("dependency-down", None, Most::default());
    assert_eq!(whole.left_out, LeftOut::default());
    assert_eq!(whole.left_out.told(), None);
    let of_lines = |suspects: &Suspects| suspects.facts.lines.len() + suspects.facts.complaints.len();
    let (series, lines) = (whole.facts.series.len(), of_lines(&whole));
    let most = Most { series: series - 2, samples: series, lines: lines - 3 };
    let cut = of_capture("dependency-down", None, most);
    assert_eq!((cut.facts.series.len(), cut.left_out.series), (series - 2, 2));
    assert!(cut.facts.series.iter().all(|s| s.times.len() <= 1), "of each series as many");
    assert!(cut.left_out.samples > 0);
    assert!(of_lines(&cut) <= lines - 3 && !cut.facts.lines.is_empty());
    assert_eq!(of_lines(&cut) + cut.left_out.lines, lines);
    let newest = |suspects: &Suspects| suspects.facts.lines.iter().map(|l| l.at).max();
    assert_eq!(newest(&cut), newest(&whole), "the oldest are left out");
    let told = cut.left_out.told().unwrap();
    assert!(told.starts_with("2 series, ") && told.ends_with("left out"), "{told}");
}

#[test]
fn what_ended_is_blamed_on_its_root() {
    let suspects = of_capture("dependency-down", None, Most::default());
    let at = |name: &str| suspects.who.iter().position(|s| s.name == name).unwrap() as u32;
    let (database, api) = (at("paydb"), at("payments-api"));
    assert!(suspects.facts.ended.iter().all(|e| e.candidate == database), "{:?}", suspects.facts.ended);
    assert!(suspects.facts.ended.iter().any(|e| e.seen_at == Some(api)));
    let until = suspects.facts.ended.iter().map(|e| e.at).max().unwrap() + 1;
    let (_, ranked) = ranking::find(&suspects.facts, until - 600_000_000_000, until);
    assert_eq!(ranked[0].candidate, database);
    let told = suspects.told(&ranked[0]).remove(0);
    assert!(told.contains("payments-api") && told.contains("dependency-down"), "{told}");
}

#[test]
fn a_namespace_has_its_own_suspects_only() {
    let none = of_capture("dependency-down", Some("nowhere"), Most::default());
    assert!(none.who.is_empty() && none.facts.lines.is_empty() && none.facts.series.is_empty());
    let own = of_capture("dependency-down", Some("team-pay"), Most::default());
    assert!(!own.who.is_empty() && own.who.iter().all(|s| &*s.namespace == "team-pay"), "{:?}", own.who);
}

#[test]
fn warnings_are_told_by_their_reason_and_how_often() {
    let suspects = of_capture("liveness-fail", None, Most::default());
    let unhealthy = suspects.events.iter().position(|kind| kind == "Unhealthy").unwrap() as u32;
    let of: Vec<&Event> = suspects.facts.events.iter().filter(|e| e.kind == unhealthy).collect();
    let at = of.iter().map(|e| e.at).min().unwrap();
    assert!(of.iter().all(|e| e.candidate == of[0].candidate && e.seen_at.is_none()), "{of:?}");
    let facts =
        Facts { candidates: suspects.facts.candidates, events: suspects.facts.events.clone(), ..Facts::default() };
    let ranked = ranking::Prepared::of(&facts, i64::MAX).at(at - 1);
    let first = ranked.iter().find(|r| r.candidate == of[0].candidate).unwrap();
    let told = suspects.told(first).join("; ");
    assert!(told.starts_with("event ") && told.ends_with(", never before"), "{told}");
}

#[test]
fn who_did_not_answer_is_named_by_whom_it_did_not_answer() {
    let suspects = of_capture("dependency-down", None, Most::default());
    let at = |name: &str| suspects.who.iter().position(|s| s.name == name).unwrap() as u32;
    let (database, api) = (at("paydb"), at("payments-api"));
    assert!(suspects.facts.calls.contains(&(api, database)), "{:?}", suspects.facts.calls);
    let of_api = suspects.facts.complaints.iter().filter(|c| c.caller == api);
    assert!(of_api.clone().count() > 0 && of_api.clone().all(|c| c.callee == database));
    let facts = &suspects.facts;
    let complaints = facts.complaints.clone();
    let onset = complaints.iter().map(|c| c.at).min().unwrap();
    let facts = Facts { candidates: facts.candidates, complaints, ..Facts::default() };
    let ranked = ranking::Prepared::of(&facts, i64::MAX).at(onset);
    assert_eq!(ranked[0].candidate, database);
    let told = suspects.told(&ranked[0]).remove(0);
    assert!(told.starts_with("payments-api could not reach it: ") && told.ends_with("never before"), "{told}");
}

#[test]
fn what_went_as_somebody_wanted_makes_nobody_suspect() {
    for (name, failed) in
        [("rolling-restart", false), ("benign-changes", false), ("manual-delete", false), ("oom-limit", true)]
    {
        let suspects = of_capture(name, None, Most::default());
        assert_eq!(
            !suspects.facts.ended.is_empty(),
            failed,
            "{name}: {:?} for {:?}",
            suspects.facts.ended,
            suspects.causes
        );
    }
}

#[test]
fn a_line_of_no_request_is_told_by_its_share_and_numbers_by_the_digits_that_count() {
    let suspects = Suspects { templates: BTreeMap::from([(7, "disk <*> full".into())]), ..Suspects::default() };
    let told = |reason| suspects.told(&Ranked { candidate: 0, score: 1.0, because: vec![reason] }).remove(0);
    let share = ranking::Reason::Share { kind: 7, now: (12, 20), before: (0, 400) };
    assert_eq!(told(share), "\"disk <*> full\" is 12 of 20 lines, 0 of 400 before");
    let small = ranking::Reason::Metric { metric: 0, was: 0.000_012_3, is: 0.0456 };
    assert_eq!(told(small), "a metric went from 1.23e-5 to 0.0456");
}
