#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Kept {
    alerts: Vec<Alert>,
    refused: Vec<Refusal>,
}

impl AlertSink for Kept {
    fn alert(&mut self, alert: Alert) -> Result<(), Refusal> {
        self.alerts.push(alert);
        Ok(())
    }

    fn refused(&mut self, alerts: u64, why: Refusal) {
        self.refused.extend((0..alerts).map(|_| why));
    }
}

fn body(alerts: &str) -> String {
    format!(
        r#"{{"receiver":"whyd","status":"firing","alerts":[{alerts}],"groupLabels":{{}},"commonLabels":{{"a":"b"}},
        "commonAnnotations":{{}},"externalURL":"http://am","version":"4","groupKey":"{{}}:{{}}","truncatedAlerts":2}}"#
    )
}

fn alert(labels: &str, more: &str) -> String {
    format!(
        r#"{{"status":"firing","labels":{{"alertname":"A"{labels}}},"startsAt":"2026-11-22T14:02:00.5Z","endsAt":"0001-01-01T00:00:00Z",
        "fingerprint":"f00"{more}}}"#
    )
}

fn decoded(body: &str) -> Result<(Counts, Kept), DecodeError> {
    let mut kept = Kept::default();
    decode(body.as_bytes(), &mut kept).map(|counts| (counts, kept))
}

fn one(alert: &str) -> Alert {
    decoded(&body(alert)).unwrap().1.alerts.remove(0)
}

#[test]
fn an_alert_is_about_what_its_labels_name() {
    let pod = r#","namespace":"shop","pod":"cart-1","container":"web","severity":"critical""#;
    let more =
        r#","annotations":{"description":"long","summary":"it \u00e9crases"},"generatorURL":"https://prom/graph""#;
    let got = one(&alert(pod, more));
    let expected = Alert {
        fingerprint: "f00".into(),
        starts_at: Timestamp::parse("2026-11-22T14:02:00.5Z").unwrap(),
        ends_at: None,
        name: "A".into(),
        severity: "critical".into(),
        namespace: "shop".into(),
        kind: "Pod".into(),
        object: "cart-1".into(),
        container: "web".into(),
        summary: "it \u{e9}crases".into(),
        link: "https://prom/graph".into(),
    };
    assert_eq!(got, expected);
    for (labels, kind, object) in [
        (r#","deployment":"cart","pod":"kube-state-metrics-1","namespace":"shop""#, "Deployment", "cart"),
        (r#","namespace":"shop","job_name":"nightly","job":"kube-state-metrics""#, "Job", "nightly"),
        (r#","node":"n1""#, "Node", "n1"),
        (r#","namespace":"shop""#, "Namespace", "shop"),
        ("", "", ""),
    ] {
        let got = one(&alert(labels, ""));
        assert_eq!((got.kind.as_ref(), got.object.as_str()), (kind, object), "{labels}");
    }
    assert_eq!(one(&alert("", r#","generatorURL":"javascript:alert(1)""#)).link, "");
    assert_eq!(one(&alert("", r#","annotations":{"message":"m"}"#)).summary, "m");
}

#[test]
fn an_end_is_read_of_a_resolved_one_only() {
    let ended = alert("", "").replace("firing", "resolved").replace("0001-01-01T00", "2026-11-22T15");
    assert_eq!(one(&ended).ends_at, Timestamp::parse("2026-11-22T15:00:00Z"));
    let (counts, kept) = decoded(&body(&ended.replace("2026-11-22T15", "0001-01-01T00"))).unwrap();
    assert_eq!((counts.rows, counts.truncated_alerts, kept.refused), (1, 2, vec![Refusal::Incomplete]));
}

#[test]
fn our_own_and_nameless_ones_are_refused_and_the_rest_kept() {
    let ours = alert(r#","source":"whyd""#, "");
    let other = alert(r#","source":"whyd2""#, "");
    let nameless = alert("", "").replace("f00", "");
    let (counts, kept) = decoded(&body(&format!("{ours},{nameless},{other}"))).unwrap();
    assert_eq!(counts.rows, 3);
    assert_eq!(kept.refused, [Refusal::OwnAlert, Refusal::Incomplete]);
    assert_eq!(kept.alerts.len(), 1);
}

#[test]
fn what_is_no_notification_is_refused_in_one_line() {
    for (text, why) in [
        ("", "EOF"),
        ("[]", "expected a notification"),
        ("{}", "version"),
        (r#"{"version":"4"}"#, "alerts"),
        (r#"{"version":"3","alerts":[]}"#, "version \"3\" is not read"),
        (r#"{"version":4,"alerts":[]}"#, "string"),
        (r#"{"version":"4","alerts":{}}"#, "an array of alerts"),
        (r#"{"version":"4","alerts":[{"status":"odd"}]}"#, "odd"),
        (r#"{"version":"4","alerts":[{"status":"firing","labels":{"a":1}}]}"#, "string"),
        (r#"{"version":"4","alerts":[]} x"#, "trailing"),
        (r#"{"version":"4","truncatedAlerts":-1,"alerts":[]}"#, "-1"),
    ] {
        let Err(DecodeError::Malformed(said)) = decoded(text) else { panic!("taken: {text}") };
        assert!(said.contains(why) && !said.contains('\n'), "{text}: {said}");
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let long = "\u{e9}".repeat(4_000);
    let got = one(&alert("", &format!(r#","annotations":{{"summary":"{long}"}}"#)));
    assert_eq!(got.summary.len(), SUMMARY);
    let link = format!(r#","generatorURL":"http://{}""#, "x".repeat(LINK));
    assert_eq!(one(&alert("", &link)).link, "");
}

#[test]
fn a_value_of_great_depth_does_no_harm() {
    let deep = "[".repeat(1 << 20);
    for text in
        [format!(r#"{{"x":{deep}"#), body(&format!(r#"{{"x":{deep}"#)), body(&alert("", &format!(r#","x":{deep}"#)))]
    {
        assert!(decoded(&text).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, &mut Kept::default());
    }

    #[test]
    fn any_damage_to_a_notification_does_not_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = body(&alert(r#","namespace":"shop","pod":"cart-1""#, "")).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes, &mut Kept::default());
    }
}
