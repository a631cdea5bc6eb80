#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn skeleton(line: &str) -> String {
    let mut out = Vec::new();
    line::skeleton(line, &mut out);
    String::from_utf8(out).expect("text")
}

/// Feeds lines and says what each stands for in the end.
fn mined(miner: &mut Miner, lines: &[&str]) -> Vec<Option<String>> {
    let team = Team::new("a");
    let tree = miner.tree(&team);
    let ids: Vec<_> = lines.iter().map(|line| miner.template_of(tree, line)).collect();
    let resolver = miner.resolver();
    ids.into_iter().map(|id| resolver.resolve(&team, id).map(|t| t.text.to_string())).collect()
}

#[test]
fn skeletons_of_each_form() {
    for (line, expected) in [
        // JSON
        (
            r#"{"level":"error","ts":1.5,"user":"bob","msg":"no order 17","tags":["a","b"],"n":{"x":null,"ok":true}}"#,
            r#"{"level":"error","ts":<*>,"user":<*>,"msg":"no order <*>","tags":[<*>],"n":{"x":<*>,"ok":<*>}}"#,
        ),
        (r#"  {"msg": "a\nb", "k" : "v\"}"}"#, r#"{"msg":"a","k":<*>}"#),
        (r#"{"msg":"cut of"#, r#"{"msg":"cut of""#),
        (r#"{"a":[1,[2,"]"],{"b":1}],"c":"d"}"#, r#"{"a":[<*>],"c":<*>}"#),
        ("{}", "{}"),
        ("{no json 5}", "{no json <*>}"),
        // logfmt
        (
            r#"ts=2026-11-28T10:00:00Z level=warn caller=main.go:12 msg="slow query 12" user=bob took=1.5s"#,
            r#"ts=<*> level=warn caller=<*> msg="slow query <*>" user=<*> took=<*>"#,
        ),
        ("a=b free text c=d", "a=b free text c=d"),
        ("a=b c=d free text e= f=\"g h\"", "a=<*> c=<*> free text e= f=<*>"),
        ("a=1", "a=<*>"),
        // headers
        (
            "E0923 12:00:00.000000       1 main.go:17] \"Sync failed\" pod=\"a/b\"",
            "E main.go:<*>] \"Sync failed\" pod=<*>",
        ),
        ("2026-11-28 10:00:00,123 [main] ERROR a.b.C - no 5", "<*> [main] ERROR a.b.C - no <*>"),
        ("2026-11-28T10:00:00.123456+01:00 INFO up", "<*> INFO up"),
        ("[2026/11/28 10:00:00] [ warn] hm", "<*> [ warn] hm"),
        ("Nov 28 10:00:00 node-1 kubelet[12]: x", "<*> kubelet[<*>]: x"),
        ("10:00:00 up 3", "<*> up <*>"),
        ("2026-11-28", "<*>"),
        ("28 things", "<*> things"),
        // frames
        ("\tat com.shop.Cart.add(Cart.java:12)", "at <*>"),
        ("    at async f (file:///srv/x.js:10:5)", "at <*>"),
        ("at last (we are done)", "at last (we are done)"),
        ("  File \"/srv/x.py\", line 12, in run", "File <*>, line <*>, in <*>"),
        ("main.(*Server).run(0xc000123400, 0x1)", "<*>(...)"),
        ("net/http.HandlerFunc.ServeHTTP(...)", "<*>(...)"),
        ("\t/usr/local/go/src/net/http/server.go:2109 +0x2f", "<*>:<*>"),
        ("#0  0x00007f in f () at x.c:12", "#<*>"),
        ("goroutine 17 [running]:", "goroutine <*> [running]:"),
        ("java.lang.IllegalStateException: no 5", "java.lang.IllegalStateException: no <*>"),
        ("", ""),
    ] {
        assert_eq!(skeleton(line), expected, "{line}");
    }
}

#[test]
fn lines_that_differ_in_one_word_come_together_once_they_are_four() {
    let mut miner = Miner::default();
    let names = ["ann", "bob", "carl", "dora"];
    let lines: Vec<String> = names.iter().map(|n| format!("session opened for user {n} by (uid=0)")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let of_three = mined(&mut miner, &lines[..3]);
    assert_eq!(of_three[0].as_deref(), Some("session opened for user ann by (uid=<*>)"));
    let of_four = mined(&mut miner, &lines);
    assert!(of_four.iter().all(|t| t.as_deref() == Some("session opened for user <*> by (uid=<*>)")), "{of_four:?}");
    // Levels, methods and names of fields are never variables, nor is the first word.
    for lines in [
        ["INFO", "WARN", "ERROR", "DEBUG", "FATAL"].map(|level| format!("main {level} cannot reach the store")),
        ["GET", "PUT", "POST", "DELETE", "HEAD"].map(|method| format!("took long {method} of the cart")),
        ["a", "b", "c", "d", "e"].map(|key| format!("cart has {key}=5 in it")),
        ["Starting", "Stopping", "Killing", "Pulling", "Pulled"].map(|verb| format!("{verb} one more container")),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let told = mined(&mut Miner::default(), &lines);
        assert_eq!(told.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{told:?}");
    }
}

#[test]
fn two_words_that_vary_both_come_together() {
    let mut miner = Miner::default();
    let lines: Vec<String> = (b'a'..b'e')
        .flat_map(|x| (b'a'..b'e').map(move |y| format!("user {0}x wrote to {1}y again", x as char, y as char)))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let told = mined(&mut miner, &lines);
    assert!(told.iter().all(|t| t.as_deref() == Some("user <*> wrote to <*> again")), "{told:?}");
}

#[test]
fn a_team_sees_its_own_words_only() {
    let mut miner = Miner::default();
    let (a, b) = (Team::new("a"), Team::new("b"));
    let (of_a, of_b) = (miner.tree(&a), miner.tree(&b));
    let id = miner.template_of(of_a, "secret word");
    let resolver = miner.resolver();
    assert!(resolver.resolve(&a, id).is_some() && resolver.resolve(&b, id).is_none());
    assert_eq!(miner.template_of(of_b, "secret word"), id);
    assert!(resolver.resolve(&b, id).is_some());
    assert_eq!((resolver.all(&a).len(), miner.stats().trees), (1, 2));
}

/// Letters only, so that nothing is masked.
fn word(mut n: usize) -> String {
    let mut word = String::from("w");
    for _ in 0..6 {
        word.push((b'a' + (n % 26) as u8) as char);
        n /= 26;
    }
    word
}

#[test]
fn a_flood_of_shapes_is_bounded_and_takes_only_its_own_room() {
    let mut miner = Miner::new(Limits { bytes: 16 * (64 << 10), trees: 2 });
    let (quiet, loud) = (Team::new("quiet"), Team::new("loud"));
    let (of_quiet, of_loud) = (miner.tree(&quiet), miner.tree(&loud));
    let kept = miner.template_of(of_quiet, "connection refused by peer");
    let usual = miner.template_of(of_loud, "cart saved for customer");
    let resolver = miner.resolver();
    for n in 0..20_000 {
        let line = format!("{} {} {} {}", word(n), word(n * 7 + 1), word(n * 11 + 2), word(n * 13 + 3));
        miner.template_of(of_loud, &line);
        assert_eq!(miner.template_of(of_loud, "cart saved for customer"), usual);
        assert!(miner.stats().bytes <= 2 * (64 << 10), "{:?}", miner.stats());
    }
    let stats = miner.stats();
    assert!(stats.forgotten > 1000 && stats.refused > 1000, "{stats:?}");
    assert!(resolver.resolve(&quiet, kept).is_some(), "another team's room was taken");
    assert!(resolver.resolve(&loud, usual).is_some(), "what comes all the time was forgotten");
    // Of more teams the lines have ids, and that is counted.
    let more = miner.tree(&Team::new("more"));
    assert_eq!(miner.template_of(more, "connection refused by peer"), kept);
    assert_eq!(miner.stats().refused, stats.refused + 1);
}

#[test]
fn shapes_that_all_come_again_are_kept_and_new_ones_turned_away() {
    let mut miner = Miner::new(Limits { bytes: 16 * (16 << 10), trees: 1 });
    let team = Team::new("a");
    let tree = miner.tree(&team);
    for _ in 0..20 {
        for n in 0..400 {
            miner.template_of(tree, &format!("{} {}", word(n), word(n + 1000)));
        }
    }
    let stats = miner.stats();
    assert!(stats.bytes <= 20 << 10 && stats.shapes > 50 && stats.refused > 1000, "{stats:?}");
}

fn shape() -> impl Strategy<Value = String> {
    proptest::collection::vec(0usize..5, 4).prop_map(|w| {
        let of = |n: usize, at: usize| {
            format!("{}{}", ["red", "green", "blue", "black", "white"][n], ["", "ish", "er", "est"][at])
        };
        format!("the {} paint of {} on {} became {}", of(w[0], 0), of(w[1], 1), of(w[2], 2), of(w[3], 3))
    })
}

proptest! {
    #[test]
    fn what_lines_stand_for_does_not_depend_on_their_order(
        (lines, shuffled) in proptest::collection::vec(shape(), 1..120)
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle()))
    ) {
        let told = |lines: &[String]| {
            let mut miner = Miner::default();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let told = mined(&mut miner, &lines);
            lines.into_iter().map(str::to_owned).zip(told).collect::<BTreeMap<_, _>>()
        };
        prop_assert_eq!(told(&lines), told(&shuffled));
    }

    #[test]
    fn any_text_has_one_skeleton_and_its_text_is_found(line in "\\PC{0,80}|[ -~\\t\\n]{0,200}|[{\"\\[:, a\\\\=]{0,40}") {
        let mut miner = Miner::default();
        let told = mined(&mut miner, &[&line, &line]);
        prop_assert_eq!(told, vec![Some(skeleton(&line)), Some(skeleton(&line))]);
    }
}

#[test]
fn a_line_of_any_length_is_bounded_where_it_is_kept() {
    let mut miner = Miner::default();
    let told = mined(&mut miner, &[&"é x".repeat(1 << 20), &"\u{1F4A9}".repeat(5000)]);
    assert!(told.iter().flatten().all(|text| text.len() <= 4096), "{:?}", told.iter().flatten().map(String::len));
}
