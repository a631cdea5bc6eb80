#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::population::tests::{image, of};
use crate::rules::{Matches, Suppression};

const LATENESS: Duration = Duration::from_secs(600);

fn at(second: u64) -> Timestamp {
    Timestamp(0).plus(Duration::from_secs(second))
}

/// Twenty workloads, of which the first five have one image.
fn population() -> Population {
    let pods = (0..20).map(|n| {
        let own = if n < 5 { "shared".to_owned() } else { format!("own-{n}") };
        ("a", format!("a/Deployment/w-{n}"), vec![image(&own)])
    });
    of(&pods.collect::<Vec<_>>())
}

/// Workload n crashes.
fn crash(n: u64) -> (String, Member) {
    let workload = format!("Deployment/w-{n}");
    let member = Member {
        team: Team::new("a"),
        namespace: "a".into(),
        name: format!("a/w-{n}/app"),
        pod_uid: String::new(),
        at: at(100 + n),
        until: None,
        cause: "app-error".into(),
        mechanism: "app-error".into(),
        shares: vec![image("shared")],
        root: Some(Root {
            kind: "Deployment".into(),
            namespace: "a".into(),
            name: format!("w-{n}"),
            uid: String::new(),
        }),
        summary: format!("w-{n} crashed"),
        speaks_of: Vec::new(),
        evidence: Vec::new(),
        own: true,
        ended: true,
        never_started: false,
        workload: workload.clone(),
    };
    (format!("a/{workload}/app-error"), member)
}

fn suppressing(workloads: &[&str]) -> Incidents {
    let suppression = |workload: &&str| Suppression {
        name: format!("known {workload}"),
        matches: Matches { workload: Some((*workload).to_owned()), ..Matches::default() },
        until: at(1_000_000),
        reason: String::new(),
    };
    let suppressions = workloads.iter().map(suppression).collect();
    Incidents::new("lab", Rules { suppressions, ..Rules::default() })
}

fn put(incidents: &mut Incidents, numbers: std::ops::Range<u64>) {
    for n in numbers {
        incidents.put(&format!("id-{n}"), Some(crash(n)));
    }
    incidents.derive((at(200), LATENESS), &Readiness::default(), &population());
}

/// Each incident: what it says, by what it is suppressed, and whether it is told with others.
fn told(incidents: &Incidents) -> Vec<(String, Option<String>, bool)> {
    let of = |i: &Arc<Incident>| (i.summary.clone(), i.suppressed_by.clone(), i.part_of.is_some());
    incidents.all().iter().filter(|i| i.parts.is_empty()).map(of).collect()
}

fn whole(incidents: &Incidents) -> Arc<Incident> {
    incidents.all().iter().find(|i| !i.parts.is_empty()).cloned().expect("one is made of others")
}

#[test]
fn the_one_that_is_not_suppressed_is_told_by_itself() {
    let mut incidents = suppressing(&["w-0", "w-1"]);
    put(&mut incidents, 0..3);
    let known = |n: u64| Some(format!("known w-{n}"));
    let said = |n: u64| format!("w-{n} crashed");
    let of_known = [(said(0), known(0), true), (said(1), known(1), true)];
    assert_eq!(told(&incidents), [of_known.to_vec(), vec![(said(2), None, false)]].concat());
    assert_eq!(whole(&incidents).suppressed_by, known(0));
    // With a second that is to be told both are one trouble, of which neither is told by itself.
    put(&mut incidents, 3..4);
    assert_eq!(told(&incidents), [of_known.to_vec(), vec![(said(2), None, true), (said(3), None, true)]].concat());
    let both = whole(&incidents);
    assert!(both.suppressed_by.is_none() && both.parts.len() == 4 && both.summary.contains("w-2 crashed"));
    // And when that one turns out to be none, the first is told by itself again.
    incidents.put("id-3", None);
    put(&mut incidents, 0..0);
    assert_eq!(told(&incidents), [of_known.to_vec(), vec![(said(2), None, false)]].concat());
    assert_eq!(whole(&incidents).suppressed_by, known(0));
}

#[test]
fn nothing_changes_where_nothing_is_suppressed_or_all_is() {
    let mut incidents = suppressing(&[]);
    put(&mut incidents, 0..3);
    assert!(told(&incidents).iter().all(|(_, by, with_others)| by.is_none() && *with_others));
    assert_eq!(whole(&incidents).suppressed_by, None);
    assert!(!incidents.derive((at(201), LATENESS), &Readiness::default(), &population()));
    let mut incidents = suppressing(&["w-0", "w-1", "w-2"]);
    put(&mut incidents, 0..3);
    assert!(told(&incidents).iter().all(|(_, by, with_others)| by.is_some() && *with_others));
    assert_eq!(whole(&incidents).suppressed_by.as_deref(), Some("known w-0"));
}

#[test]
fn what_a_dropped_one_was_made_of_is_told_by_itself_until_it_is_told_anew() {
    let mut incidents = suppressing(&[]);
    put(&mut incidents, 0..3);
    // The two oldest go: the whole, and the first of what it is made of.
    incidents.keep(2);
    let said = |n: u64, words: &str, with_others: bool| (format!("w-{n} {words}"), None, with_others);
    assert_eq!(told(&incidents), [said(1, "crashed", false), said(2, "crashed", false)]);
    assert!(incidents.all().iter().all(|i| i.parts.is_empty()));
    // One of it changes, and the whole is what it was.
    let (key, member) = crash(2);
    incidents.put("id-2", Some((key, Member { summary: "w-2 ran out of disk".into(), ..member })));
    put(&mut incidents, 0..0);
    assert_eq!(told(&incidents), [said(1, "crashed", false), said(2, "ran out of disk", false)]);
    // With another part it is a whole again, of all that it is made of.
    put(&mut incidents, 3..4);
    assert_eq!(whole(&incidents).parts.len(), 4);
    let (first, last) = ([said(0, "crashed", true), said(1, "crashed", true)], said(3, "crashed", true));
    assert_eq!(told(&incidents), [first.to_vec(), vec![said(2, "ran out of disk", true), last]].concat());
}

#[test]
fn an_incident_is_known_under_the_ids_by_which_what_it_holds_was_told() {
    let mut incidents = Incidents::new("lab", Rules::default());
    let derive = |incidents: &mut Incidents| {
        incidents.derive((at(200), LATENESS), &Readiness::default(), &population());
        incidents.all().iter().map(|i| (i.id.clone(), i.formerly.clone())).collect::<Vec<_>>()
    };
    let of_root = |n: u64, root: u64| {
        let (key, _) = crash(root);
        Some((key, crash(n).1))
    };
    incidents.put("late", of_root(5, 5));
    incidents.put("client", of_root(7, 7));
    let told = derive(&mut incidents);
    assert!(told.len() == 2 && told.iter().all(|(_, formerly)| formerly.is_empty()));
    let [of_late, of_client] = [told[0].0.clone(), told[1].0.clone()];
    // It began earlier than it seemed.
    incidents.put("first", of_root(3, 5));
    let told = derive(&mut incidents);
    let of_first = told[0].0.clone();
    assert_eq!(told, [(of_first.clone(), vec![of_late.clone()]), (of_client.clone(), vec![])]);
    // What was its own trouble turns out to be that of the other.
    incidents.put("client", of_root(7, 5));
    assert_eq!(derive(&mut incidents), [(of_first.clone(), vec![of_client.clone(), of_late.clone()])]);
    // What is no trouble at all any more gives no name.
    incidents.put("late", None);
    assert_eq!(derive(&mut incidents), [(of_first, vec![of_client.clone()])]);
    // And what turns out to be its own after all has its own id, and no other has it.
    incidents.put("first", None);
    assert_eq!(derive(&mut incidents), [(of_client, vec![])]);
}
