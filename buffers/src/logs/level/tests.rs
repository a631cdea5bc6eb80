mod plain;

use super::*;

fn check(line: &str, expected: Level) {
    assert_eq!(Level::of(line), expected, "{line}");
}

#[test]
fn levels() {
    check("level=error msg=x", Level::Error);
    check("ts=1 caller=x level=warn msg=\"level up\"", Level::Warn);
    check(r#"{"ts":1,"level":"info","msg":"error"}"#, Level::Info);
    check(r#"{"severity": "CRITICAL"}"#, Level::Fatal);
    check("sublevel=error x", Level::Unknown);
    check("E0923 12:00:00.000000       1 main.go:1] x", Level::Error);
    check("ERROR: no", Level::Error);
    check("[warn] hm", Level::Warn);
    check("2026-11-22T10:00:00Z INFO started", Level::Info);
    check("2026-11-22 10:00:00,123 [main] ERROR a.b.C - no", Level::Error);
    check("panic: runtime error: index out of range", Level::Fatal);
    check("request failed with error 5", Level::Unknown);
    check("error-handler registered", Level::Unknown);
    check("no such thing", Level::Unknown);
    check("", Level::Unknown);
    check(&"é".repeat(600), Level::Unknown);
    check("level", Level::Unknown);
    check("level=", Level::Unknown);
    check(r#"{"time":1,"level":50,"msg":"x"}"#, Level::Error);
    check(r#"{"msg":"level","levelname": "WARNING"}"#, Level::Warn);
    check(r#"{"log.level":"debug","msg":"an ERROR"}"#, Level::Debug);
    check(r#"{"msg":"no level"}"#, Level::Unknown);
    check("ts=1 level=50", Level::Unknown);
    check("2026-11-28 10:00:00 started, log level: debug", Level::Debug);
    check("2026-11-28 10:00:00 WARN worker level=info", Level::Warn);
    check("<11>Nov 28 10:00:00 host app: no", Level::Error);
    check("<134>1 2026-11-28T10:00:00Z host app - - - x", Level::Info);
    check("<4> x", Level::Warn);
    check("<999999999999> x", Level::Unknown);
    check("ERROR:root:no such file", Level::Error);
    check("WARNING  [alembic.env] x", Level::Warn);
    check("10:00AM INF listening", Level::Info);
    check("Nov 28, 2026 10:00:00 AM a.b.C run SEVERE: no", Level::Unknown);
    check("SEVERE: no", Level::Error);
    check("[2026-11-28T10:00:00Z] [notice] x", Level::Info);
    check("2026-11-28 10:00:00.123 UTC [12] FATAL:  no role", Level::Fatal);
    check("Traceback (most recent call last):", Level::Error);
    check("java.lang.IllegalStateException: no", Level::Error);
    check("java.lang.IllegalStateException", Level::Error);
    check("ValueError: no", Level::Error);
    check("SomeException happens", Level::Unknown);
    check("fatal error: all goroutines are asleep - deadlock!", Level::Fatal);
}

/// Of what lines are made by which they tell how bad they are, and of what only looks like it.
const PIECES: &str = concat!(
    "level|lvl|Severity|levelname|loglevel|log_level|severity_text|sublevel|LEVEL",
    "|info|INFO|information|inf|error|ERROR|Error|err|emerg|emergency|warn|WARN|Warning|wrn|debug|DBG|fatal|FTL|panic|pnc",
    "|critical|crit|alert|trace|trc|notice|severe|verbose|[0-9]{1,4}|[a-z]{1,12}|[A-Z][a-z]{0,8}|10|20|30|40|50|60",
    "|E0923|I1122|F01|Traceback|ValueError|a\\.b\\.IOException|SomeException|IllegalStateException|2026-11-22T10:00:00Z",
    "|[ \\t\\n\\r\\x0b\\x0c]| | |: |=|:|\"|\"|\\[|\\]|\\(|<|>|\\||\\{|\\}|-|_|\\.|,|é|\\x00|[x]{64}",
);

fn same(line: &str) {
    assert_eq!(said::by(line.as_bytes()), plain::by(line.as_bytes()), "{line:?}");
}

/// However it is cut and wherever it lies, a line says what it says when it is read byte by byte.
#[test]
fn what_is_said_is_what_is_read_byte_by_byte() {
    let lines = [
        "2026-11-22T10:00:00Z \"a\" [x] {y} INFO Error: level=warn",
        "ts=1 caller=x level=warn msg=\"level up\" lvl=error",
        "{\"ts\":1, \"msg\":\"x\", \"severity\" : \"CRITICAL\", \"level\":50}",
        "<134>1 2026-11-22T10:00:00Z host ERROR - - x",
        "java.lang.IllegalStateException: no such thing, severity_text: \"fatal\"",
        "\t\u{b}level\u{c}=\u{b} debug",
    ];
    for line in lines {
        for before in 0..140 {
            for (space, filler) in [(" ", "x"), ("", "x"), (" ", "é"), ("", " "), ("\n", "=")] {
                let line = format!("{}{space}{line}", filler.repeat(before));
                (0..=line.len()).filter(|end| line.is_char_boundary(*end)).for_each(|end| same(&line[..end]));
            }
        }
        // About the end of what is looked at.
        for before in 200..530 {
            same(&format!("{}{line}", "x ".repeat(before)));
            same(&format!("{}{line}", " ".repeat(before)));
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(4096))]

    #[test]
    fn any_text_has_a_level(line in "\\PC{0,60}|[<0-9>level=:\"{} A-Z]{0,60}") {
        same(&line);
    }

    #[test]
    fn any_words_say_what_they_say_byte_by_byte(pieces in proptest::collection::vec(PIECES, 0..24)) {
        same(&pieces.concat());
    }

    #[test]
    fn any_two_bytes_may_stand_anywhere(a: u8, b: u8, name in "[a-zA-Z]{1,8}", before in 0usize..70) {
        let text = [&b"x ".repeat(before / 2)[..], &[a, b], name.as_bytes(), &[b, a], name.as_bytes()].concat();
        proptest::prop_assert_eq!(said::by(&text), plain::by(&text));
    }
}
