#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;
use whyd_api::dto::{Heard, HeardLine, Incidents, MemorySample, MemoryUse, Restarts, Standing, StandingState};
use whyd_signals::Sample;

use super::*;

fn restart(more: serde_json::Value) -> Restart {
    let mut row = json!({
        "team": "shop", "namespace": "team-shop", "workload": "Deployment/basket", "pod": "basket-6f6ff55c87-p825w",
        "pod_uid": "u", "node": "node-1", "container": "basket", "restart_count": 0,
        "started_at": "2026-01-31T13:37:17Z", "finished_at": "2026-01-31T13:37:58Z", "exit_code": 137, "signal": 9,
        "reason": "OOMKilled", "mechanism": "oom-limit", "cause": "oom-limit", "cause_detail": null,
        "confidence": 0.92, "root": {"kind": "Pod", "namespace": "team-shop", "name": "basket-6f6ff55c87-p825w"},
        "summary": "basket met its memory limit of 128Mi and the kernel killed it", "evidence": [
            {"source": "kube", "at": "2026-01-31T13:37:58Z", "object": "Pod/basket-6f6ff55c87-p825w",
             "field": "status.lastState.terminated.reason", "value": "OOMKilled", "text": "the kernel's OOM killer ended it"},
            {"source": "metrics", "at": "2026-01-31T13:37:47Z", "object": "Pod/basket-6f6ff55c87-p825w",
             "field": "container_memory_working_set_bytes", "value": 122683392.0, "text": "117 MiB, 91 % of the limit of 128Mi"}
        ],
        "ruled_out": [{"cause": "app-error", "because": "ended as OOMKilled with exit 137",
                       "field": "status.lastState.terminated.reason", "value": "OOMKilled"}],
        "missing": []
    });
    let serde_json::Value::Object(more) = more else { panic!("not an object") };
    row.as_object_mut().unwrap().extend(more);
    serde_json::from_value(row).unwrap()
}

fn incident(more: serde_json::Value) -> Incident {
    let mut row = json!({
        "id": "1a2b", "team": "shop", "severity": "critical", "status": "open", "opened_at": "2026-01-31T13:37:58Z",
        "resolved_at": null, "cause": "oom-limit", "root": {"kind": "Pod", "namespace": "team-shop", "name": "basket"},
        "members": ["team-shop/basket-6f6ff55c87-p825w/basket"], "summary": "s"
    });
    let serde_json::Value::Object(more) = more else { panic!("not an object") };
    row.as_object_mut().unwrap().extend(more);
    serde_json::from_value(row).unwrap()
}

fn curve() -> Memory {
    let sample = |n: i64, mib: f64| Sample { ts: Timestamp(n * 1_000_000_000), value: mib * 1048576.0 };
    let samples = (0..20).map(|n| sample(n * 10, f64::from((n % 10) as i32) * 12.5)).collect();
    Memory { samples, limit: 128.0 * 1048576.0, ends: vec![Timestamp(95_000_000_000), Timestamp(195_000_000_000)] }
}

#[test]
fn a_verdict_tells_all_in_order() {
    let row = restart(json!({}));
    let text = verdicts(&[row], &[incident(json!({}))], &|_| None, Style::PLAIN);
    insta::assert_snapshot!(text, @r#"
    basket met its memory limit of 128Mi and the kernel killed it
      cause      oom-limit, 92 % sure
      when       2026-01-31 13:37:58 UTC, 41 s after its start
      where      container basket, pod basket-6f6ff55c87-p825w of Deployment/basket, namespace team-shop, team
                 shop, node node-1
      ended      exit code 137 (SIGKILL), OOMKilled
      at fault   Pod/basket-6f6ff55c87-p825w in team-shop
      incident   critical, open since 2026-01-31 13:37:58, id 1a2b
      evidence
        13:37:47  metrics   117 MiB, 91 % of the limit of 128Mi  [container_memory_working_set_bytes]
        13:37:58  kube      the kernel's OOM killer ended it: OOMKilled  [status.lastState.terminated.reason]
      ruled out
        app-error            ended as OOMKilled with exit 137  [status.lastState.terminated.reason]
      look next
        kubectl -n team-shop top pod basket-6f6ff55c87-p825w --containers
        raise the limit if the use is legitimate, find what grows if it is not
    "#);
}

#[test]
fn repeats_are_one_verdict_and_the_rest_stays_apart() {
    let later =
        json!({"started_at": "2026-01-31T13:38:00Z", "finished_at": "2026-01-31T13:40:42.5Z", "restart_count": 1});
    let other = json!({"container": "sidecar", "cause": "app-error", "mechanism": "app-error", "exit_code": 1,
        "signal": null, "reason": "Error", "summary": "sidecar gave up", "evidence": [], "ruled_out": [],
        "missing": ["logs"], "root": null, "pod": null});
    let quiet = json!({"id": "3c", "cause": "readiness-failed", "severity": "warning", "status": "resolved",
        "resolved_at": "2026-01-31T13:39:00Z", "members": ["team-shop/gate-0/gate"], "summary": "gate is not ready",
        "root": {"kind": "Pod", "namespace": "team-shop", "name": "gate-0"}});
    let text =
        verdicts(&[restart(json!({})), restart(other), restart(later)], &[incident(quiet)], &|_| None, Style::PLAIN);
    let heads: Vec<&str> = text.lines().filter(|l| !l.starts_with(' ') && !l.is_empty()).collect();
    assert_eq!(
        heads,
        ["basket met its memory limit of 128Mi and the kernel killed it", "sidecar gave up", "gate is not ready"]
    );
    assert!(text.contains("2026-01-31 13:40:42 UTC, 2 min 43 s after its start; 2 times since 13:37:58"), "{text}");
    assert!(text.contains("missing    logs"), "{text}");
    assert_eq!(text.matches("restarts   1 before this one, as Kubernetes counts them").count(), 1, "{text}");
    assert!(!text.contains("restarts   0"), "{text}");
    assert!(text.contains("warning, from 2026-01-31 13:37:58 to 2026-01-31 13:39:00, id 3c"), "{text}");
}

#[test]
fn an_answer_lists_what_was_before_and_what_is_missing() {
    let earlier = restart(json!({"finished_at": "2026-01-31T12:00:00Z"}));
    let answer = Why {
        matched: whyd_api::dto::Match::Pod,
        restarts: vec![restart(json!({})), earlier],
        incidents: vec![incident(json!({"cause": "readiness-failed"}))],
        now: Some(Standing {
            at: Timestamp::parse("2026-01-31T13:49:58Z").unwrap(),
            state: StandingState::Waiting,
            ready: false,
            since: Timestamp::parse("2026-01-31T13:48:58Z"),
            text: "waiting: CrashLoopBackOff".to_owned(),
        }),
        memory: Some(MemoryUse {
            limit_bytes: Some(134_217_728.0),
            samples: curve().samples.iter().map(|s| MemorySample { at: s.ts, bytes: s.value }).collect(),
            ends: Vec::new(),
        }),
        learning: Some(Learning {
            since: Timestamp::parse("2026-01-31T13:30:00Z").unwrap(),
            until: Timestamp::parse("2026-01-31T13:40:00Z").unwrap(),
        }),
        heard: Vec::new(),
        look_next: Vec::new(),
        problems: vec![Problem { source: Some("logs".to_owned()), detail: "nothing came".to_owned() }],
    };
    let text = why(&answer, Style::PLAIN);
    assert!(text.starts_with("basket met its memory limit"), "{text}");
    assert!(text.contains("  now        waiting: CrashLoopBackOff, for 1 min 0 s by now\n"), "{text}");
    assert!(text.contains("2026-01-31 13:37:58 UTC, 12 min 0 s ago, 41 s after its start"), "{text}");
    assert!(text.contains("128 MiB ┄┄┄"), "memory is drawn: {text}");
    assert!(text.contains("incident   readiness-failed of "), "an incident of another cause says so: {text}");
    assert!(
        text.contains("learning   its metrics, seen since 13:30:00, were still being learnt: nothing unusual"),
        "{text}"
    );
    let whole = json!({"root": {"kind": "Image", "namespace": "", "name": "shop/runtime:2"}, "parts": ["1", "2", "3"],
        "summary": "5 of the 5 workloads with the image shop/runtime:2 are in trouble"});
    let text = why(&Why { incidents: vec![incident(whole)], ..answer }, Style::PLAIN);
    assert!(text.contains(" of Image/shop/runtime:2, critical"), "one that is made of others names its root: {text}");
    assert!(text.contains("shared     5 of the 5 workloads with the image"), "and what they share: {text}");
    assert!(text.contains("before that\n    2026-01-31 12:00:00  oom-limit of basket-6f6ff55c87-p825w"), "{text}");
    assert!(text.ends_with("this answer is not whole\n    logs                 nothing came"), "{text}");
}

#[test]
fn of_what_nobody_could_see_nothing_is_said_to_be_well() {
    let mut calm = answer(Match::Pod, Vec::new(), Vec::new());
    let at = Timestamp::parse("2026-01-31T13:49:58Z").unwrap();
    let text = "running and ready".to_owned();
    calm.now = Some(Standing { at, state: StandingState::Running, ready: true, since: Some(at), text });
    assert!(why(&calm, Style::PLAIN).ends_with("\n  now        running and ready, for 0 s"));
    assert!(why(&calm, Style::PLAIN).contains("nothing is wrong with it as far as is known"));
    let detail = "the API server has not been heard since 2026-01-31T13:40:00Z (the watch of pods fails)".to_owned();
    let text =
        why(&Why { problems: vec![Problem { source: Some("kubernetes".to_owned()), detail }], ..calm }, Style::PLAIN);
    assert!(
        text.starts_with("no restart of it is known, but the API server has not been heard since 2026-01-31T13:40:00Z"),
        "{text}"
    );
    assert!(!text.contains("nothing is wrong"), "{text}");
}

fn answer(matched: Match, restarts: Vec<Restart>, incidents: Vec<Incident>) -> Why {
    let (memory, learning, heard, problems) = (None, None, Vec::new(), Vec::new());
    Why { matched, restarts, incidents, now: None, memory, learning, heard, look_next: Vec::new(), problems }
}

#[test]
fn an_incident_is_its_root_and_who_else_is_in_it() {
    let own = |second: u32| restart(json!({"finished_at": format!("2026-01-31T13:37:{second}Z")}));
    let taken_down = |pod: &str, workload: &str, minute: u32| {
        restart(
            json!({"workload": format!("Deployment/{workload}"), "container": workload, "pod": pod, "cause": "dependency-down",
            "finished_at": format!("2026-01-31T13:{minute}:00Z"), "summary": format!("{workload} gave up")}),
        )
    };
    let mut rows = vec![own(58), own(40)];
    rows.extend([taken_down("cart-1", "cart", 40), taken_down("cart-2", "cart", 39), taken_down("cart-1", "cart", 38)]);
    rows.push(taken_down("web-1", "web", 41));
    let held =
        json!({"members": ["team-shop/basket-6f6ff55c87-p825w/basket", "team-shop/cart-1/cart", "team-shop/calm-1"]});
    let text = why(&answer(Match::Incident, rows.clone(), vec![incident(held.clone())]), Style::PLAIN);
    assert!(text.starts_with("basket met its memory limit"), "{text}");
    assert!(text.contains("41 s after its start; 2 times since 13:37:40"), "its own are told together: {text}");
    let others = "  also in it
    2026-01-31 13:38:00  cart of Deployment/cart in team-shop, dependency-down, 3 times in 2 pods until 13:40:00: cart gave up
    2026-01-31 13:41:00  web of Deployment/web in team-shop, dependency-down: web gave up
  touches    team-shop/calm-1, of which no restart is here
  evidence";
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(&text).contains(&flat(others)), "{text}");
    assert!(!text.contains("before that"), "{text}");
    // Of very many there are so many lines.
    rows.extend((0..40).map(|n| taken_down("x", &format!("app-{n}"), 45)));
    let many: Vec<String> = (0..40).map(|n| format!("team-shop/still-{n}/c")).collect();
    let text = why(&answer(Match::Incident, rows, vec![incident(json!({"members": many}))]), Style::PLAIN);
    assert_eq!(text.matches(" gave up").count(), 10, "{text}");
    assert!(text.contains("32 restarts of 32 others; the JSON has them"), "{text}");
    assert!(flat(&text).contains("team-shop/still-9/c and 30 more, of which"), "{text}");
    let text = why(&answer(Match::Incident, Vec::new(), vec![incident(json!({"members": many}))]), Style::PLAIN);
    assert!(flat(&text).contains("team-shop/still-9/c and 30 more"), "{text}");
}

#[test]
fn what_is_known_of_a_pod_that_kubernetes_says_nothing_of_is_said() {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let heard = |source: &str, text: &str, lines: Vec<HeardLine>| Heard {
        namespace: "team-shop".into(),
        pod: "cart-1".into(),
        source: source.into(),
        since: at("2026-01-31T13:00:00Z"),
        last: at("2026-01-31T13:30:00Z"),
        text: text.into(),
        lines,
    };
    let line =
        HeardLine { at: at("2026-01-31T13:30:00Z"), container: "cart".into(), line: "cache is\u{1b}[2J full".into() };
    let all = vec![heard("logs", "log lines", vec![line]), heard("metrics", "2 series: cart_items, up", Vec::new())];
    let text = why(&Why { heard: all, ..answer(Match::Pod, Vec::new(), Vec::new()) }, Style::PLAIN);
    insta::assert_snapshot!(text, @r"
    no restart of cart-1 in team-shop was seen: no object of the cluster says that it is there
      logs       since 2026-01-31 13:00:00, the last 13:30:00: log lines
        13:30:00  cart      cache is full
      metrics    since 2026-01-31 13:00:00, the last 13:30:00: 2 series: cart_items, up
    ");
}

#[test]
fn silence_is_said() {
    assert_eq!(verdicts(&[], &[], &|_| None, Style::PLAIN), "nothing restarted and nothing is wrong");
}

#[test]
fn memory_is_drawn_against_its_limit() {
    insta::assert_snapshot!(memory(&curve(), Style::PLAIN), @r#"
    128 MiB ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ limit
                                         ▂▂▂                              ▂▂
                                  ▁▁▁▁▆▆▆███                       ▁▁▁▁▆▆▆██
                               ▄▄▄██████████                    ▄▄▄█████████
                         ▃▃▃▇▇▇█████████████             ▃▃▃▃▇▇▇████████████
                  ▁▁▁▆▆▆▆███████████████████       ▁▁▁▆▆▆███████████████████
               ▅▅▅██████████████████████████    ▅▅▅█████████████████████████
      0 MiB ───────────────────────────────╳───────────────────────────────╳
            00:00:00                                                00:03:15
            peak 112 MiB, 88 % of the limit, as far as it was measured; ╳ the container ended, 2 times
    "#);
    assert_eq!(memory(&Memory { samples: Vec::new(), ..curve() }, Style::PLAIN), "");
}

#[test]
fn memory_without_a_limit_has_no_line() {
    let text = memory(&Memory { limit: 0.0, ends: Vec::new(), ..curve() }, Style { width: 60, ..Style::PLAIN });
    assert!(!text.contains("limit") && text.lines().all(|l| l.chars().count() <= 60), "{text}");
}

#[test]
fn only_a_coloured_page_has_escapes() {
    let rows = [restart(json!({}))];
    let draw = |_: &Restart| Some(curve());
    let coloured = verdicts(&rows, &[], &draw, Style { colour: true, ..Style::PLAIN });
    let plain = verdicts(&rows, &[], &draw, Style::PLAIN);
    assert!(coloured.contains("\u{1b}[1mbasket met") && !plain.contains('\u{1b}'));
    assert_eq!(clean(&coloured.replace('\n', "|")), clean(&plain.replace('\n', "|")));
}

#[test]
fn hostile_text_is_disarmed() {
    let cases = [
        ("\u{1b}[31mred\u{1b}[0m", "red"),
        ("\u{1b}]0;title\u{7}x\u{1b}]8;;http://e\u{1b}\\y", "xy"),
        ("\u{9b}2Jx\u{8}\u{7f}", "x"),
        ("a\nb\r\nc\td", "a b  c d"),
        ("user\u{202e}txt.exe\u{2066}\u{200b}", "usertxt.exe"),
        ("ta\u{e0041}g\u{feff}", "tag"),
        ("\u{1b}", ""),
        ("\u{1b}[", ""),
        ("\u{1b}(Bplain", "plain"),
        ("déjà vu 你好", "déjà vu 你好"),
    ];
    for (hostile, safe) in cases {
        assert_eq!(clean(hostile), safe, "{hostile:?}");
    }
    let line = "boom\n\u{1b}[2J\u{202e}kcatta";
    let row = restart(json!({"summary": line, "pod": "x; rm -rf /", "evidence": [
        {"source": "logs", "at": null, "object": line, "field": line, "value": line, "text": ""}]}));
    let text = verdicts(&[row], &[], &|_| None, Style::PLAIN);
    assert!(!text.contains(['\u{1b}', '\u{202e}']) && !text.contains("kubectl -n team-shop logs"), "{text}");
    assert!(!text.lines().any(|l| l.trim_start().starts_with("kubectl") && l.contains("rm -rf")), "{text}");
}

#[test]
fn long_lines_are_broken_at_the_width() {
    let long = "word ".repeat(100) + &"x".repeat(500);
    let row = restart(json!({"summary": long, "evidence": [
        {"source": "logs", "at": "2026-01-31T13:37:58Z", "object": "Pod/p", "field": "stdout", "value": long, "text": "last words"}]}));
    let text = verdicts(&[row], &[], &|_| None, Style { width: 80, ..Style::PLAIN });
    assert!(text.lines().all(|l| l.chars().count() <= 81), "{text}");
    assert!(text.contains("last words: word"), "{text}");
}

#[test]
fn the_logs_before_are_asked_for_only_where_others_follow() {
    let logs = |more: serde_json::Value| {
        let mut row = json!({"cause": "app-error", "mechanism": "app-error"});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        next::steps(&restart(row), None).join("\n")
    };
    let command = "kubectl -n team-shop logs basket-6f6ff55c87-p825w -c basket";
    assert_eq!(logs(json!({"again": true})), format!("{command} --previous"));
    assert_eq!(logs(json!({"again": false})), command);
    assert_eq!(logs(json!({"again": false, "finished_at": null})), "", "what never ran wrote nothing");
}

#[test]
fn the_daemon_that_answered_is_the_one_to_ask_on() {
    let row = restart(json!({"cause": "dependency-down"}));
    assert!(next::steps(&row, None)[0].ends_with(" -n team-shop"));
    assert!(next::steps(&row, Some("http://h:1"))[0].ends_with(" -n team-shop --server http://h:1"));
}

#[test]
fn an_incident_without_restarts_tells_what_it_rests_on() {
    let quiet = incident(json!({"cause": "readiness-failed", "members": ["team-shop/gate-0", "team-shop/gate-1"],
        "evidence": [
            {"source": "events", "at": "2026-01-31T13:39:00Z", "object": "Pod/gate-1", "field": "Unhealthy",
             "value": "Readiness probe failed: no", "text": "event Unhealthy (24x)"},
            {"source": "kube", "at": "2026-01-31T13:37:58Z", "object": "Pod/gate-1",
             "field": "status.conditions[Ready].status", "value": "False", "text": "not ready since then"}]}));
    let text = verdicts(&[], &[quiet], &|_| None, Style::PLAIN);
    let (since, event) =
        (text.find("13:37:58  kube      not ready since then: False").unwrap(), text.find("(24x)").unwrap());
    assert!(since < event, "{text}");
    assert!(text.contains("kubectl -n team-shop describe pod gate-1\n    kubectl -n team-shop logs gate-1"), "{text}");
}

#[test]
fn ids_under_which_an_incident_was_told_before_stand_beside_its_id() {
    let standing = |formerly: &[&str]| super::standing(&incident(json!({ "formerly": formerly })), None);
    assert!(standing(&[]).ends_with(", id 1a2b"), "{}", standing(&[]));
    assert!(standing(&["3c"]).ends_with(", id 1a2b, formerly 3c"), "{}", standing(&["3c"]));
    assert!(standing(&["3", "4", "5", "6", "7"]).ends_with("id 1a2b, formerly 3, 4, 5 and 2 more"));
}

#[test]
fn without_a_name_what_is_wrong_is_listed_a_line_each() {
    let rows = vec![
        restart(json!({"finished_at": "2026-01-31T13:40:00Z", "summary": "it met its limit ".repeat(20)})),
        restart(json!({"finished_at": "2026-01-31T13:38:00Z"})),
        restart(json!({"cause": "app-error", "pod": "api-1"})),
    ];
    let open = incident(json!({"id": "93f86e8d420f48ea35a7c7571c3ee765"}));
    let of = |incidents: Vec<Incident>, restarts: Vec<Restart>| {
        let incidents = Incidents { incidents, hidden: Vec::new(), next: None, problems: Vec::new() };
        list(&incidents, &Restarts { restarts, next: None, problems: Vec::new() }, Style::PLAIN)
    };
    let text = of(vec![open], rows);
    assert!(text.starts_with("1 incident is open\n    2026-01-31 "), "{text}");
    assert!(text.contains("  93f86e8d  critical  "), "{text}");
    assert!(
        text.contains("    2026-01-31 13:40:00  ")
            && text.contains("/basket-6f6ff55c87-p825w  oom-limit, 2 times in 2 min 0 s: "),
        "{text}"
    );
    assert!(text.contains("/api-1  app-error: "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("    2026")).count(), 3, "a line each: {text}");
    assert_eq!(of(Vec::new(), Vec::new()), "no incident is open\n\nno restart is known");
}
