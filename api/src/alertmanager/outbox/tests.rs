#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use whyd_signals::Team;
use whyd_signals::alert::is_ours;
use whyd_signals::schema::{Link, Severity};

use super::*;

const INTERVAL: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_parts(1_790_000_000 + second, 0).unwrap()
}

fn settings() -> Settings {
    let external_url = "https://whyd.example".into();
    Settings { cluster: "lab".into(), interval: INTERVAL, external_url, settles: Duration::ZERO }
}

fn incident(id: &str) -> Incident {
    Incident {
        id: id.into(),
        group: String::new(),
        team: Team::new("shop"),
        namespace: "team-shop".into(),
        severity: Severity::Warning,
        status: IncidentStatus::Open,
        opened_at: at(-30),
        resolved_at: None,
        cause: "oom-limit".into(),
        root: None,
        members: (0..12).map(|n| format!("team-shop/cart-{n}/cart")).collect(),
        restarts: 12,
        follows: None,
        formerly: Vec::new(),
        suppressed_by: None,
        part_of: None,
        parts: Vec::new(),
        speaks_of: Vec::new(),
        evidence: Vec::new(),
        summary: "cart is out of memory".into(),
    }
}

fn resolved(id: &str, second: i64) -> Incident {
    Incident { status: IncidentStatus::Resolved, resolved_at: Some(at(second)), ..incident(id) }
}

fn look(outbox: &mut Outbox, second: i64, sight: Sight, incidents: Vec<Incident>) -> (bool, Vec<Value>) {
    let incidents: Vec<Arc<Incident>> = incidents.into_iter().map(Arc::new).collect();
    let due = outbox.due(at(second), sight, &incidents, &|_, i| i.into());
    let alerts = due.batches.iter().flat_map(|b| {
        let alerts: Vec<Value> = serde_json::from_slice(&b.body).unwrap();
        assert!(b.alerts == alerts.len() && alerts.len() <= BATCH);
        alerts
    });
    (due.keep, alerts.collect())
}

/// What a look sends, as `id severity end`, the end in seconds.
fn check(outbox: &mut Outbox, second: i64, sight: Sight, incidents: Vec<Incident>, keep: bool, wanted: &[&str]) {
    let (kept, alerts) = look(outbox, second, sight, incidents);
    let sent: Vec<String> = alerts
        .iter()
        .map(|a| {
            let labels = &a["labels"];
            let ends = Timestamp::parse(a["endsAt"].as_str().unwrap()).unwrap().seconds_since(at(0));
            format!("{} {} {ends}", labels["incident_id"].as_str().unwrap(), labels["severity"].as_str().unwrap())
        })
        .collect();
    assert_eq!((kept, sent), (keep, wanted.iter().map(|w| (*w).to_owned()).collect()), "at {second}");
}

/// What is on the disk, taken up by the next process.
fn restarted(outbox: &Outbox) -> Outbox {
    let text = serde_json::to_vec(&outbox.told().collect::<Vec<_>>()).unwrap();
    Outbox::new(settings(), serde_json::from_slice(&text).unwrap())
}

#[test]
fn an_open_incident_is_sent_each_interval_and_ends_four_ahead() {
    use Sight::Whole;
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![incident("i")], true, &["i warning 240"]);
    check(&mut outbox, 1, Whole, vec![incident("i")], false, &[]);
    check(&mut outbox, 59, Whole, vec![incident("i")], false, &[]);
    check(&mut outbox, 60, Whole, vec![incident("i")], false, &["i warning 300"]);
    // A clock that is set back an hour silences nothing.
    check(&mut outbox, -3600, Whole, vec![incident("i")], false, &["i warning -3360"]);
}

#[test]
fn what_turns_out_to_be_another_s_within_moments_is_never_told() {
    use Sight::Whole;
    let mut outbox = Outbox::new(Settings { settles: Duration::from_secs(5), ..settings() }, Vec::new());
    check(&mut outbox, 0, Whole, vec![incident("i"), incident("j")], false, &[]);
    check(&mut outbox, 4, Whole, vec![incident("i"), incident("j")], false, &[]);
    assert_eq!(outbox.untold, 0);
    // Its lines came: it is the first one's.
    check(&mut outbox, 5, Whole, vec![incident("i")], true, &["i warning 245"]);
    // There again, it waits anew; where the clock was set back it does not wait until it is that time again.
    check(&mut outbox, 20, Whole, vec![incident("i"), incident("j")], false, &[]);
    check(&mut outbox, 10, Whole, vec![incident("i"), incident("j")], false, &[]);
    check(&mut outbox, 15, Whole, vec![incident("i"), incident("j")], true, &["j warning 255"]);
    // What is made of others takes the place of alerts that end with it.
    let link = |id: &str| Link { id: id.into(), team: Team::new("shop"), teams: vec![Team::new("shop")] };
    let whole = Incident { parts: vec![link("i"), link("j")], ..incident("w") };
    let part = |id: &str| Incident { part_of: Some(link("w")), ..incident(id) };
    let (_, alerts) = look(&mut outbox, 16, Whole, vec![part("i"), part("j"), whole]);
    assert!(alerts.iter().any(|a| a["labels"]["incident_id"] == "w"));
}

#[test]
fn one_that_is_over_is_ended_at_once_and_for_a_quarter_of_an_hour() {
    use Sight::Whole;
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![incident("i")], true, &["i warning 240"]);
    check(&mut outbox, 10, Whole, vec![resolved("i", 8)], true, &["i warning 8"]);
    check(&mut outbox, 70, Whole, vec![resolved("i", 8)], false, &["i warning 8"]);
    check(&mut outbox, 900, Whole, vec![resolved("i", 8)], false, &["i warning 8"]);
    check(&mut outbox, 910, Whole, vec![resolved("i", 8)], true, &[]);
    check(&mut outbox, 911, Whole, vec![resolved("i", 8)], false, &[]);
    // What was over before it was ever told is no alert.
    check(&mut outbox, 911, Whole, vec![resolved("j", 8)], false, &[]);
}

#[test]
fn an_incident_that_came_back_or_is_gone() {
    use Sight::Whole;
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![incident("i")], true, &["i warning 240"]);
    check(&mut outbox, 5, Whole, vec![], true, &["i warning 5"]);
    check(&mut outbox, 9, Whole, vec![incident("i")], true, &["i warning 249"]);
}

#[test]
fn a_suppressed_incident_is_not_sent_and_ends_where_it_was() {
    use Sight::Whole;
    let hidden = || Incident { suppressed_by: Some("known".into()), ..incident("i") };
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![hidden()], false, &[]);
    check(&mut outbox, 1, Whole, vec![incident("i")], true, &["i warning 241"]);
    check(&mut outbox, 2, Whole, vec![hidden()], true, &["i warning 2"]);
}

#[test]
fn what_is_told_with_others_is_one_alert_and_its_parts_end() {
    use Sight::Whole;
    let link = |id: &str, team: &str| Link { id: id.into(), team: Team::new(team), teams: vec![Team::new(team)] };
    let part = |id: &str, team: &str| Incident { part_of: Some(link("whole", team)), ..incident(id) };
    let whole = || Incident { parts: ["i", "j"].map(|id| link(id, "shop")).into(), ..incident("whole") };
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![incident("i")], true, &["i warning 240"]);
    // The second shows that both are one: the first ends as the whole begins, and the second is never told.
    let (kept, sent) = look(&mut outbox, 5, Whole, vec![part("i", "shop"), part("j", "shop"), whole()]);
    assert!(kept);
    let said: Vec<(&str, &str)> = sent
        .iter()
        .map(|a| (a["labels"]["incident_id"].as_str().unwrap(), a["annotations"]["summary"].as_str().unwrap()))
        .collect();
    let ended = "told with others of the same root as incident whole, not over: cart is out of memory";
    assert_eq!(said, [("i", ended), ("whole", "cart is out of memory")]);
    assert_eq!(sent[0]["endsAt"], at(5).to_string());
    let mut outbox = restarted(&outbox);
    let all = || vec![part("i", "shop"), part("j", "shop"), whole()];
    check(&mut outbox, 70, Whole, all(), false, &["i warning 5", "whole warning 310"]);
    check(&mut outbox, 910, Whole, all(), true, &["whole warning 1150"]);
    // What another team alone is told of silences nothing.
    let wide = vec![part("i", "platform"), part("j", "platform")];
    check(&mut outbox, 911, Whole, wide, true, &["i warning 1151", "j warning 1151", "whole warning 911"]);
}

/// One that is made of these.
fn whole(id: &str, team: &str, parts: &[&str]) -> Incident {
    Incident {
        team: Team::new(team),
        parts: parts.iter().map(|id| Link { id: (*id).into(), team: Team::new(team), teams: Vec::new() }).collect(),
        summary: format!("{id} of {}", parts.len()),
        ..incident(id)
    }
}

#[test]
fn one_that_splits_gives_the_alert_back_to_the_one_that_it_was_told_as() {
    use Sight::Whole;
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![whole("w", "shop", &["i", "j"])], true, &["w warning 240"]);
    check(&mut outbox, 5, Whole, vec![whole("v", "shop", &["h", "i", "j"])], true, &[]);
    // Of v come two at one look: the first by its id has a part of it, too, and is another.
    let rest = || whole("w", "shop", &["i", "j", "k"]);
    let other = || whole("a", "shop", &["h", "g"]);
    check(&mut outbox, 6, Whole, vec![other(), rest()], true, &["a warning 246"]);
    let over = Incident { parts: other().parts, ..resolved("a", 7) };
    check(&mut outbox, 7, Whole, vec![over, rest()], true, &["a warning 7"]);
    check(&mut outbox, 60, Whole, vec![rest()], false, &["w warning 300"]);
}

#[test]
fn what_it_is_made_of_is_kept_whenever_it_changes() {
    use Sight::Whole;
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![whole("w", "shop", &["i", "j"])], true, &["w warning 240"]);
    check(&mut outbox, 1, Whole, vec![whole("w", "shop", &["i", "j"])], false, &[]);
    check(&mut outbox, 2, Whole, vec![whole("w", "shop", &["j", "k"])], true, &[]);
    // An earlier version did not say what it was made of.
    let mut text = serde_json::to_value(outbox.told().collect::<Vec<_>>()).unwrap();
    text[0].as_object_mut().unwrap().remove("parts").unwrap();
    let mut outbox = Outbox::new(settings(), serde_json::from_value(text).unwrap());
    check(&mut outbox, 3, Whole, vec![whole("w", "shop", &["j", "k"])], true, &["w warning 243"]);
    // So it goes on by another id, whatever ended in between.
    let mut outbox = restarted(&outbox);
    check(&mut outbox, 4, Whole, vec![whole("v", "shop", &["h", "k"])], true, &["w warning 244"]);
}

#[test]
fn what_is_made_of_others_is_told_once_whatever_id_it_comes_to_have() {
    use Sight::Whole;
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![whole("w", "shop", &["i", "j"])], true, &["w warning 240"]);
    // A part becomes known that began before the others, and that in another period: the id is another.
    let wider = || whole("v", "shop", &["h", "i", "j"]);
    check(&mut outbox, 5, Whole, vec![wider()], true, &[]);
    let mut outbox = restarted(&outbox);
    let (kept, sent) = look(&mut outbox, 60, Whole, vec![wider()]);
    assert!(!kept && sent.len() == 1);
    assert_eq!(
        (&sent[0]["labels"]["incident_id"], &sent[0]["annotations"]["summary"]),
        (&"w".into(), &"v of 3".into())
    );
    assert_eq!(sent[0]["generatorURL"], "https://whyd.example/?pod=v");
    // What it turned out to be worse as is one alert more, and so is another trouble, and that of another team.
    let worse = || Incident { severity: Severity::Critical, ..wider() };
    check(&mut outbox, 61, Whole, vec![worse()], true, &["w warning 61", "w critical 301"]);
    let others = || vec![worse(), whole("x", "shop", &["k", "l"]), whole("y", "bank", &["h", "i"])];
    check(&mut outbox, 62, Whole, others(), true, &["x warning 302", "y warning 302"]);
    // The first id is back, and is over at last.
    let again = Incident { severity: Severity::Critical, ..whole("w", "shop", &["i", "j"]) };
    check(&mut outbox, 63, Whole, [vec![again], others()[1..].to_vec()].concat(), true, &[]);
    let over = Incident { parts: worse().parts, ..resolved("w", 64) };
    check(&mut outbox, 64, Whole, [vec![over], others()[1..].to_vec()].concat(), true, &["w critical 64"]);
    // Should both be there, each has its own.
    check(&mut outbox, 65, Whole, vec![wider()], true, &["w critical 305", "x warning 65", "y warning 65"]);
    let both = vec![whole("v", "shop", &["h", "g"]), whole("w", "shop", &["i", "j"])];
    check(&mut outbox, 66, Whole, both, true, &["v warning 306"]);
}

#[test]
fn labels_never_change_and_annotations_tell_what_did() {
    let mut outbox = Outbox::new(settings(), Vec::new());
    let (_, first) = look(&mut outbox, 0, Sight::Whole, vec![incident("i")]);
    let other = Incident {
        cause: "oom-node".into(),
        team: Team::new("pay"),
        namespace: "team-pay".into(),
        opened_at: at(-50),
        restarts: 20,
        summary: "the node is out of memory".into(),
        ..incident("i")
    };
    let mut outbox = restarted(&outbox);
    let (keep, later) = look(&mut outbox, 7, Sight::Whole, vec![other]);
    assert!(!keep);
    for key in ["labels", "startsAt", "generatorURL"] {
        assert_eq!(first[0][key], later[0][key], "{key}");
    }
    let labels = serde_json::json!({"alertname": "WhydIncident", "incident_id": "i", "cluster": "lab",
        "namespace": "team-shop", "team": "shop", "severity": "warning", "source": "whyd"});
    assert_eq!(first[0]["labels"], labels);
    assert!(is_ours(labels.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap()))));
    let said = &later[0]["annotations"];
    assert_eq!((said["cause"].as_str(), said["restarts"].as_str()), (Some("oom-node"), Some("20")));
    assert_eq!(said["link"], "https://whyd.example/?pod=i");
    assert!(said["members"].as_str().unwrap().ends_with("team-shop/cart-9/cart and 2 more"), "{said}");
}

#[test]
fn one_that_becomes_critical_is_told_anew_and_never_falls_back() {
    use Sight::{Partial, Whole};
    let critical = || Incident { severity: Severity::Critical, namespace: "team-pay".into(), ..incident("i") };
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![incident("i")], true, &["i warning 240"]);
    let (kept, sent) = look(&mut outbox, 5, Whole, vec![critical()]);
    assert!(kept);
    let said = |alert: &Value| alert["annotations"]["summary"].as_str().unwrap().to_owned();
    assert_eq!(said(&sent[0]), "critical by now and told as such, not over: cart is out of memory");
    assert_eq!(said(&sent[1]), "cart is out of memory");
    for key in ["namespace", "team", "incident_id"] {
        assert_eq!(sent[0]["labels"][key], sent[1]["labels"][key], "{key}");
    }
    assert_eq!(sent[0]["startsAt"], sent[1]["startsAt"]);
    check(&mut outbox, 65, Whole, vec![critical()], false, &["i warning 5", "i critical 305"]);
    // Better again: it stays what it was told as, over a restart too.
    let mut outbox = restarted(&outbox);
    check(&mut outbox, 70, Partial, vec![incident("i")], false, &["i warning 5", "i critical 310"]);
    check(&mut outbox, 71, Whole, vec![incident("i")], false, &[]);
    check(&mut outbox, 130, Whole, vec![resolved("i", 100)], true, &["i warning 5", "i critical 100"]);
    // The first is forgotten before the second.
    check(&mut outbox, 906, Whole, vec![resolved("i", 100)], true, &["i critical 100"]);
    check(&mut outbox, 1030, Whole, vec![resolved("i", 100)], true, &[]);
}

#[test]
fn what_is_over_is_sent_each_minute_however_long_the_interval() {
    let hourly = Settings { interval: Duration::from_secs(3600), ..settings() };
    let mut outbox = Outbox::new(hourly, Vec::new());
    check(&mut outbox, 0, Sight::Whole, vec![incident("i")], true, &["i warning 14400"]);
    check(&mut outbox, 60, Sight::Whole, vec![incident("i")], false, &[]);
    check(&mut outbox, 70, Sight::Whole, vec![resolved("i", 65)], true, &["i warning 65"]);
    check(&mut outbox, 130, Sight::Whole, vec![resolved("i", 65)], false, &["i warning 65"]);
}

#[test]
fn after_a_restart_nothing_is_believed_until_the_cluster_was_listed() {
    use Sight::{Partial, Whole};
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![incident("i")], true, &["i warning 240"]);
    let mut outbox = restarted(&outbox);
    // It looks as if it were over and another had begun: the pods are not known again yet.
    check(&mut outbox, 20, Partial, vec![resolved("i", 15), incident("j")], false, &["i warning 260"]);
    assert_eq!(outbox.untold, 1);
    check(&mut outbox, 21, Partial, vec![], false, &[]);
    check(&mut outbox, 80, Partial, vec![], false, &["i warning 320"]);
    check(&mut outbox, 81, Whole, vec![incident("i")], false, &[]);
    // What was over while nobody looked is ended once somebody does.
    let mut outbox = restarted(&outbox);
    check(&mut outbox, 200, Whole, vec![resolved("i", 150)], true, &["i warning 150"]);
    let mut outbox = restarted(&outbox);
    check(&mut outbox, 300, Partial, vec![], false, &["i warning 150"]);
}

#[test]
fn a_cluster_that_is_never_listed_silences_nothing() {
    use Sight::{Clouded, Whole};
    let mut outbox = Outbox::new(settings(), Vec::new());
    check(&mut outbox, 0, Whole, vec![incident("i")], true, &["i warning 240"]);
    let mut outbox = restarted(&outbox);
    check(&mut outbox, 5, Clouded, vec![incident("j")], true, &["i warning 245", "j warning 245"]);
    check(&mut outbox, 6, Clouded, vec![resolved("j", 6)], true, &["j warning 6"]);
}

#[test]
fn batches_and_alerts_are_bounded() {
    let mut outbox = Outbox::new(settings(), Vec::new());
    let many: Vec<Incident> = (0..TOLD + 5).map(|n| incident(&format!("{n:06}"))).collect();
    let (_, sent) = look(&mut outbox, 0, Sight::Whole, many.clone());
    assert_eq!((sent.len(), outbox.untold), (TOLD, 5));
    // There is room again when others are forgotten.
    let (_, ended) = look(&mut outbox, 1, Sight::Whole, many[TOLD..].to_vec());
    assert_eq!(ended.len(), TOLD);
    let (_, sent) = look(&mut outbox, 1000, Sight::Whole, many[TOLD..].to_vec());
    assert_eq!((sent.len(), outbox.untold), (5, 0));
}
