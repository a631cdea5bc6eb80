#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::Team;
use whyd_signals::schema::Root;

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
        seen: at(100 + n),
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
fn quiet_that_nobody_could_hear_is_none() {
    let (key, member) = crash(0);
    let mut incidents = Incidents::new("lab", Rules::default());
    let mut readiness = Readiness::default();
    incidents.put("id", Some((key.clone(), Member { until: Some(at(150)), ..member.clone() })));
    let quiet = Rules::default().quiet;
    let status = |incidents: &mut Incidents, readiness: &Readiness, now: Timestamp| {
        incidents.derive((now, LATENESS), readiness, &population());
        let all = incidents.all();
        assert_eq!(all.len(), 1, "{all:?}");
        (all[0].status, all[0].resolved_at)
    };
    assert_eq!(status(&mut incidents, &readiness, at(200)).0, IncidentStatus::Open);
    // Half of it was heard when the server was lost, and it is lost for long.
    let (lost, found) = (at(150).plus(quiet / 2), at(150).plus(quiet * 4));
    let hear = |readiness: &mut Readiness, from: Timestamp, to: Timestamp| {
        let minutes = (0..).map(|n| from.plus(Duration::from_secs(60 * n))).take_while(|at| *at < to);
        minutes.chain([to]).for_each(|at| readiness.heard(at));
    };
    hear(&mut readiness, at(150), lost);
    readiness.lost();
    assert!(!incidents.is_due(lost));
    assert_eq!(status(&mut incidents, &readiness, at(150).plus(quiet * 3)).0, IncidentStatus::Open);
    readiness.heard(found);
    incidents.heard();
    assert!(incidents.is_due(found));
    assert_eq!(status(&mut incidents, &readiness, found).0, IncidentStatus::Open);
    // What befalls the same root then is the same trouble, as long as it is open.
    let again = found.plus(Duration::from_secs(1));
    let late = Member { at: again, seen: again, until: Some(again), ..member };
    incidents.put("later", Some((key, late)));
    assert_eq!(status(&mut incidents, &readiness, again).0, IncidentStatus::Open);
    incidents.put("later", None);
    assert_eq!(status(&mut incidents, &readiness, again).0, IncidentStatus::Open);
    let resolves = found.plus(quiet / 2);
    assert_eq!(status(&mut incidents, &readiness, resolves).0, IncidentStatus::Open, "so far it was not heard");
    hear(&mut readiness, found, resolves);
    incidents.heard();
    assert_eq!(status(&mut incidents, &readiness, resolves), (IncidentStatus::Resolved, Some(resolves)));
    // What resolved before the next loss stays so.
    readiness.lost();
    incidents.heard();
    incidents.put("other", None);
    assert_eq!(status(&mut incidents, &readiness, resolves.plus(quiet)).0, IncidentStatus::Resolved);
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

/// The n-th end of one container, each a minute after the one before.
fn end(n: u64) -> (String, Member) {
    let (key, member) = crash(1);
    let ended = at(60 * n);
    (key, Member { at: ended, until: Some(ended), summary: format!("end {n}"), own: n != 0, ..member })
}

fn put_ends(incidents: &mut Incidents, numbers: std::ops::Range<u64>) {
    let last = numbers.end;
    for n in numbers {
        incidents.put(&format!("end-{n:05}"), Some(end(n)));
    }
    incidents.derive((at(60 * last), LATENESS), &Readiness::default(), &population());
}

/// What does not change while trouble goes on, and how many ends it has.
fn lasting(incidents: &Incidents) -> Vec<(String, Timestamp, String, Vec<String>, u64)> {
    let of = |i: &Arc<Incident>| (i.id.clone(), i.opened_at, i.summary.clone(), i.members.clone(), i.restarts);
    incidents.all().iter().map(of).collect()
}

#[test]
fn an_incident_that_lasts_keeps_its_id_and_its_number_of_ends_whatever_goes() {
    let mut incidents = Incidents::new("lab", Rules::default());
    let many = MEMBERS as u64;
    put_ends(&mut incidents, 0..many);
    let [(id, opened, said, members, ends)] = &lasting(&incidents)[..] else { panic!("one incident") };
    assert_eq!((*opened, *ends, said.as_str()), (at(0), many, "end 1"));
    for n in many..many + 20 {
        put_ends(&mut incidents, n..n + 1);
        let wanted = (id.clone(), *opened, said.clone(), members.clone(), n + 1);
        assert_eq!(lasting(&incidents), [wanted]);
        assert!(incidents.all().iter().all(|i| i.formerly.is_empty() && i.status == IncidentStatus::Open));
    }
    assert!(incidents.groups.values().map(|g| g.members.len()).sum::<usize>() <= 2 * HELD);
    assert!(incidents.places.len() <= 2 * HELD);
    // What went is told of already, by whatever it is revised to.
    incidents.put("end-00003", Some(end(3)));
    put_ends(&mut incidents, 0..0);
    assert_eq!(lasting(&incidents).first().map(|told| told.4), Some(many + 20));
    // An hour later it is well, and what comes then is another.
    put_ends(&mut incidents, many + 80..many + 81);
    let told = lasting(&incidents);
    assert_eq!(
        told.iter().map(|told| (told.1, told.4)).collect::<Vec<_>>(),
        [(at(0), many + 20), (at(60 * (many + 80)), 1)]
    );
    assert_eq!(told.first().map(|told| &told.0), Some(id));
}

#[test]
fn rows_that_go_take_nothing_from_what_is_open_and_what_is_resolved_goes_with_its_last() {
    let mut incidents = Incidents::new("lab", Rules::default());
    put_ends(&mut incidents, 0..10);
    let told = lasting(&incidents);
    let ids = |numbers: std::ops::Range<u64>| numbers.map(|n| format!("end-{n:05}")).collect::<Vec<_>>();
    let let_go = |incidents: &mut Incidents, numbers, now| {
        let ids = ids(numbers);
        incidents.let_go(ids.iter().map(String::as_str), &Readiness::default());
        incidents.derive((now, LATENESS), &Readiness::default(), &population());
    };
    for n in 0..10 {
        let_go(&mut incidents, n..n + 1, at(600));
        assert_eq!((lasting(&incidents), incidents.places.len() as u64), (told.clone(), 9 - n));
    }
    // It goes on with what comes, and is resolved when that is over.
    put_ends(&mut incidents, 10..11);
    assert_eq!(lasting(&incidents), [(told[0].0.clone(), told[0].1, told[0].2.clone(), told[0].3.clone(), 11)]);
    let quiet = incidents.rules.quiet;
    let resolved = at(600).plus(quiet);
    let_go(&mut incidents, 10..11, resolved);
    assert_eq!(incidents.all().iter().map(|i| i.status).collect::<Vec<_>>(), [IncidentStatus::Resolved]);
    assert!(!incidents.is_due(resolved) && incidents.is_due(resolved.plus(quiet)));
    incidents.derive((resolved.plus(quiet), LATENESS), &Readiness::default(), &population());
    assert!(incidents.all().is_empty() && incidents.groups.is_empty() && incidents.due.is_empty());
}

#[test]
fn pods_that_were_not_well_when_their_members_went_keep_it_open_until_they_are() {
    let mut readiness = Readiness::default();
    let mut turn = |second: u32, ready: bool| {
        let pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "a", "uid": "u"},
            "status": {"phase": "Running", "conditions": [{
                "type": "Ready", "status": if ready { "True" } else { "False" },
                "lastTransitionTime": format!("1970-01-01T{:02}:{:02}:00Z", second / 60, second % 60),
            }]},
        }));
        readiness.observe(&pod.unwrap(), whyd_signals::Verb::Apply, at(0));
        readiness.clone()
    };
    let unwell = turn(0, false);
    let well = turn(100, true);
    let mut incidents = Incidents::new("lab", Rules::default());
    for n in 1..4 {
        let (key, member) = end(n);
        incidents.put(&format!("end-{n:05}"), Some((key, Member { pod_uid: "u".into(), ..member })));
    }
    incidents.derive((at(600), LATENESS), &unwell, &population());
    incidents.let_go(["end-00001", "end-00002", "end-00003"].into_iter(), &unwell);
    incidents.derive((at(5_000), LATENESS), &unwell, &population());
    assert_eq!(incidents.all().iter().map(|i| (i.status, i.restarts)).collect::<Vec<_>>(), [(IncidentStatus::Open, 3)]);
    incidents.pod_changed("u");
    incidents.derive((at(7_000), LATENESS), &well, &population());
    let resolved = at(6_000).plus(incidents.rules.quiet);
    let told: Vec<_> = incidents.all().iter().map(|i| (i.status, i.resolved_at)).collect();
    assert_eq!(told, [(IncidentStatus::Resolved, Some(resolved))]);
}

#[test]
fn what_is_told_of_what_went_is_what_all_members_would_tell() {
    let mut seed = 9_u64;
    let mut below = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let (rules, readiness, now) = (Rules::default(), Readiness::default(), at(1_000_000));
    let mut went = 0;
    let (key, _) = crash(1);
    let told = |group: &Group| episodes("lab", &rules, (&key, group), now, &readiness).made;
    for _ in 0..60 {
        let (mut plain, mut held) = (Group::default(), Group::default());
        let mut minute = 1;
        for n in 0..200 {
            // Now and then it is well for longer than the quiet time.
            minute += if below(40) == 0 { 20 + below(40) } else { below(5) };
            let (_, member) = crash(below(3));
            let member = Member {
                at: at(60 * minute),
                until: Some(at(60 * minute)),
                summary: format!("end {n}"),
                own: below(3) == 0,
                cause: ["app-error", "oom-limit", crate::cause::INSUFFICIENT][below(3) as usize].into(),
                pod_uid: format!("pod {}", below(4)),
                shares: vec![image(&format!("i-{}", below(2)))],
                never_started: below(30) == 0,
                ended: below(5) > 0,
                ..member
            };
            let place = (member.at, format!("{n:03}"));
            plain.members.insert(place.clone(), member.clone());
            held.members.insert(place, member);
            if below(8) == 0 {
                let (kept, before) = (20 + below(60) as usize, at(60 * minute - below(60)));
                if below(2) == 0 {
                    held.keep(&key, kept, rules.quiet, &readiness);
                } else {
                    let before_it = told(&held).len();
                    held.condense(&key, (kept, before), rules.quiet, &readiness);
                    assert_eq!(told(&held).len(), before_it);
                }
                held.forget(at(60 * minute), rules.quiet, &readiness);
            }
            let (mut all, left) = (told(&plain), told(&held));
            all.drain(..all.len() - left.len());
            for ((mut wanted, of_all), (told, of_left)) in all.into_iter().zip(left) {
                wanted.follows.clone_from(&told.follows);
                assert_eq!(told, wanted);
                assert_eq!((&of_left.class, of_left.opened), (&of_all.class, of_all.opened));
                assert_eq!(of_left.pods, of_all.pods);
            }
        }
        went += plain.members.len() - held.members.len();
        assert!(held.heads.len() < 30);
    }
    assert!(went > 3_000, "{went}");
}

#[test]
fn who_has_most_gives_and_takes_no_room_of_others() {
    let mut incidents = Incidents::new("lab", Rules::default());
    for n in 0..30 {
        let (_, member) = crash(n);
        // The other team's are older, and none of either is over but for the first ten of each.
        let (team, second) = if n < 12 { ("b", n) } else { ("a", 1_000 + n) };
        let is_over = n < 10 || (12..22).contains(&n);
        let (at, until) = (at(second), is_over.then(|| at(second)));
        let member = Member { team: Team::new(team), namespace: team.into(), at, until, ..member };
        incidents.put(&format!("id-{n:02}"), Some((format!("{team}/{n}"), member)));
    }
    incidents.derive((at(5_000), LATENESS), &Readiness::default(), &Population::default());
    let left = |incidents: &Incidents| {
        let of = |team: &str, status| {
            incidents.all().iter().filter(|i| i.team.as_str() == team && i.status == status).count()
        };
        ["b", "a"].map(|team| (of(team, IncidentStatus::Resolved), of(team, IncidentStatus::Open)))
    };
    assert_eq!(left(&incidents), [(10, 2), (10, 8)]);
    incidents.keep(25);
    assert_eq!((left(&incidents), incidents.dropped), ([(10, 2), (5, 8)], 5));
    incidents.keep(14);
    assert_eq!((left(&incidents), incidents.dropped), ([(5, 2), (0, 7)], 16));
}
