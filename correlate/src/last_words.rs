//! Which of an instance's last lines says most about its end, which of them may be told as the reason, and where in its own code
//! that was.

use std::time::Duration;

use whyd_buffers::{Level, LogLine};
use whyd_signals::Timestamp;

/// How far back from the end a line counts as a last word, in lines.
const LAST: usize = 60;

/// What only a runtime that dies prints weighs so much.
const DEATH: u32 = 9;

/// Marks by weight: what a runtime prints when it dies, then what a program prints when it gives up.
const MARKS: [(&str, u32); 17] = [
    ("panic:", 9),
    ("panicked at", 9),
    ("fatal error:", 9),
    ("terminate called", 9),
    ("assertion failed", 9),
    ("outofmemoryerror", 9),
    ("fatal", 8),
    ("uncaught", 8),
    ("unhandled", 8),
    ("segmentation fault", 8),
    ("exception in thread", 8),
    ("error:", 6),
    ("exception:", 6),
    ("invalid", 5),
    ("error", 4),
    ("exception", 4),
    ("failed", 3),
];

/// The line that says most: the heaviest mark, the later one of equals. A line that only begins a stack trace says less
/// than the exception that it leads to.
pub(crate) fn telling(lines: &[LogLine]) -> Option<&LogLine> {
    let last = &lines[lines.len().saturating_sub(LAST)..];
    let marked = last.iter().filter(|l| weight(&l.line) > 0 && !is_frame(&l.line));
    let marked = marked.max_by_key(|l| (weight(&l.line), l.ts));
    let spoken = |l: &&LogLine| !l.line.trim().is_empty() && !is_frame(&l.line);
    marked.or_else(|| last.iter().rev().find(spoken)).or(last.last())
}

/// A line that only stands last is the reason of an end that came so soon after it, or of none.
pub(crate) const NEAR: Duration = Duration::from_secs(15);

/// The line that may be told as the reason of an end at this time: of those that tell of trouble the one that says most, else
/// the last of all, shortly before the end and of a level that the line keeps to itself. What a program says in the
/// ordinary course of things, of a request that went well or as information, is no reason.
pub(crate) fn reason(lines: &[LogLine], end: Timestamp) -> Option<&LogLine> {
    let last = &lines[lines.len().saturating_sub(LAST)..];
    let of_trouble = last.iter().filter(|l| tells_of_trouble(l) && !is_frame(&l.line));
    of_trouble.max_by_key(|l| (weight(&l.line), l.ts)).or_else(|| {
        let spoken = last.iter().rev().find(|l| !l.line.trim().is_empty() && !is_frame(&l.line))?;
        let unsaid = matches!(spoken.level, Level::Unknown | Level::Warn) && !is_request(&spoken.line);
        (unsaid && spoken.ts.plus(NEAR) >= end).then_some(spoken)
    })
}

/// Whether a line says that something went wrong: by its level, else by its words. A runtime that dies is heard whatever
/// level its stream has.
pub(crate) fn tells_of_trouble(line: &LogLine) -> bool {
    match line.level {
        Level::Error | Level::Fatal => true,
        Level::Warn | Level::Unknown => weight(&line.line) > 0 && !is_request(&line.line),
        Level::Info | Level::Debug | Level::Trace => {
            // Its own words count for more than those of its stream.
            match Level::of(&line.line) {
                // `error rate 0.00%` begins as an error would.
                Level::Error | Level::Fatal => weight(&line.line) > 0 || !has_mark(&line.line),
                Level::Info | Level::Debug | Level::Trace => false,
                Level::Warn | Level::Unknown => weight(&line.line) >= DEATH || dies(&line.line),
            }
        }
    }
}

/// Whether a line begins as runtimes and shells begin the last that they say of a program, or with the name of an exception.
fn dies(line: &str) -> bool {
    let said = line.trim_start();
    let begins = |with: &str| said.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let starts = [
        "uncaught ",
        "unhandled ",
        "exception in thread ",
        "segmentation fault",
        "fatal",
        "traceback (most",
        "caused by: ",
    ];
    let class = said.split([':', ' ', '\n']).next().unwrap_or_default();
    let is_exception = (class.ends_with("Error") || class.ends_with("Exception"))
        && class.contains(|c: char| c.is_ascii_uppercase())
        && class.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$'))
        && said.get(class.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '\n']));
    // As Ruby says it: `app.rb:3:in 'run': undefined method 'x' (NoMethodError)`
    let is_last = said.lines().next().is_some_and(|first| first.trim_end().ends_with("Error)"));
    (starts.into_iter().any(|with: &str| begins(with)) || is_exception || is_last) && weight(line) > 0
}

/// A line of an access log, in the common formats.
fn is_request(line: &str) -> bool {
    ["GET /", "POST /", "PUT /", "PATCH /", "DELETE /", "HEAD /", "OPTIONS /", "HTTP/1.", "HTTP/2"]
        .iter()
        .any(|m| line.contains(m))
        && line
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|w| w.len() == 3 && w.starts_with(['1', '2', '3', '4', '5']) && w.parse::<u16>().is_ok())
}

/// Whether a line tells of trouble, and how much.
pub(crate) fn weight(line: &str) -> u32 {
    let lower = line.to_ascii_lowercase();
    let is_marked = |mark: &str| {
        let word = mark.trim_end_matches(':');
        lower.match_indices(mark).any(|(at, _)| {
            let (before, rest) = lower.split_at(at);
            !is_none(word, before, rest.get(word.len()..).unwrap_or_default())
        })
    };
    MARKS.iter().filter(|(mark, _)| is_marked(mark)).map(|(_, w)| *w).max().unwrap_or(0)
}

fn has_mark(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    MARKS.iter().any(|(mark, _)| lower.contains(mark))
}

/// Whether what stands around a mark says that there was none of it, or makes another word of it: `0 errors`, `no error`, `errors=0`,
/// `"error":null`, `0 of 12 jobs failed`, `non-fatal`, `invalidated`. A number beside one of it is no count: `KeyError: 0`,
/// `worker 0 failed to start`.
fn is_none(mark: &str, before: &str, after: &str) -> bool {
    let suffix = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
    let (suffix, rest) = after.split_at(suffix);
    if mark == "invalid" && suffix.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return true;
    }
    let is_many = suffix.ends_with('s') || suffix.contains("_count") || suffix.ends_with("_total");
    let counted = matches!(mark, "failed" | "invalid");
    none_before(before, is_many || counted && ends(rest) && !is_named(before)) || none_after(rest, is_many || counted)
}

/// Whether the number that a text ends with is part of a name, as in `worker 0`.
fn is_named(before: &str) -> bool {
    let name = before.trim_end().trim_end_matches(|c: char| c.is_ascii_digit());
    name.len() < before.trim_end().len() && name.trim_end().ends_with(|c: char| c.is_ascii_alphabetic())
}

/// Whether a text is over, or goes on with something else.
fn ends(rest: &str) -> bool {
    rest.trim_start_matches(['"', '}', ')', ']', '.']).trim_start().is_empty()
        || rest.starts_with([',', ';', ')', '}'])
        || rest.starts_with(". ")
}

/// Whether what stands before says that there was none; `counts`: a number there is one of how many.
fn none_before(before: &str, counts: bool) -> bool {
    let mut words =
        before.trim_end_matches([' ', '-']).rsplit([' ', '"', '(', ',', ';', '|']).filter(|w| !w.is_empty());
    let joined = before.ends_with([' ', '-']);
    let (last, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let expected = matches!(second, "expected" | "want" | "wanted" | "expecting");
    if !joined || expected {
        return false;
    }
    let negates = |word: &str| matches!(word, "no" | "non" | "without");
    if negates(last) || matches!(last, "any" | "unhandled" | "uncaught" | "fatal") && negates(second) {
        return true;
    }
    // `0 of 12 jobs failed`, `0/12 checks failed`
    let of_many = before.split([' ', '"', ',', ';']).collect::<Vec<_>>();
    let of_many = of_many.windows(3).any(|w| matches!(w, ["0", "of", n] if n.parse::<u64>().is_ok()))
        || of_many.iter().any(|w| w.strip_prefix("0/").is_some_and(|n| n.parse::<u64>().is_ok()));
    counts && matches!(last, "0" | "zero") || of_many
}

/// Whether what stands behind gives a value, and it is none; `counts`: a plain number behind a colon is one of how many.
fn none_after(rest: &str, counts: bool) -> bool {
    // `fatal errors: 0`, `error rate 0.00%`
    let noun = rest.strip_prefix(' ').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()));
    let noun = noun.filter(|after| after.len() + 1 < rest.len());
    let is_plural = noun.is_some_and(|after| rest.strip_suffix(after).is_some_and(|word| word.ends_with('s')));
    let rate = rest.strip_prefix(" rate").map(|rest| rest.trim_start_matches([':', '=', ' ']));
    if let Some(rate) = rate {
        return rate.starts_with("0.0") || rate.starts_with("0%") || rate.starts_with("0 ");
    }
    let (rest, counts) = if is_plural { (noun.unwrap_or(rest), true) } else { (rest, counts) };
    let of_key = rest.strip_prefix('=').or_else(|| rest.strip_prefix("\":"));
    let value = of_key.or_else(|| rest.strip_prefix(':').filter(|value| counts && value.starts_with(' ')));
    let Some(value) = value.map(|value| value.trim_start().trim_start_matches('"')) else { return false };
    let none = ["0", "none", "null", "nil", "<nil>", "false", "[]", "{}", "ok"];
    none.iter().any(|none| {
        value.strip_prefix(none).is_some_and(|rest| ends(rest) || of_key.is_some() && rest.starts_with(' '))
    })
}

/// Of a record of several lines, as of a whole trace, the one that says most; the later of equals.
pub(crate) fn telling_part(record: &str) -> &str {
    let parts = record.trim().lines().filter(|line| !line.trim().is_empty() && !is_frame(line));
    parts.max_by_key(|line| weight(line)).unwrap_or(record).trim()
}

/// Code that is not the program's own: runtimes, standard libraries, what is installed.
const FOREIGN: [&str; 22] = [
    "site-packages",
    "dist-packages",
    "/usr/lib/python",
    "/usr/local/lib/python",
    "<frozen ",
    "node_modules",
    "node:",
    "internal/",
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "kotlin.",
    "scala.",
    "org.springframework.",
    "/usr/local/go/",
    "runtime/",
    "/go/pkg/mod/",
    "/rustc/",
    "/.cargo/registry/",
    "/vendor/",
    "System.",
];

/// Whether a line is a frame of a stack trace, or its heading, in one of the common languages.
fn is_frame(line: &str) -> bool {
    // A whole trace in one record is none of its lines.
    if line.trim().contains('\n') {
        return false;
    }
    frame(line).is_some() || line.trim_start().starts_with("Traceback (most recent call last)")
}

/// The place that a frame names: `File "/app/main.py", line 12`, `at shop.Cart.add(Cart.java:31)`, `/app/main.go:42`.
fn frame(line: &str) -> Option<&str> {
    let text = line.trim();
    if text.starts_with("File \"") {
        return Some(text);
    }
    if let Some(rest) = text.strip_prefix("at ") {
        return rest.contains([':', '(']).then_some(rest);
    }
    // Go prints the place of a call indented under the call.
    let (place, _) = text.split_once(" +0x").unwrap_or((text, ""));
    let (file, number) = place.rsplit_once(':')?;
    let indented = line.starts_with(['\t', ' ']);
    (indented && file.contains('.') && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        .then_some(place)
}

/// The frame of the program's own code that is nearest to where it broke, in the trace beside the telling line. Python
/// prints the newest call last, all others first.
pub(crate) fn own_frame<'a>(lines: &'a [LogLine], telling: &LogLine) -> Option<&'a LogLine> {
    let at = lines.iter().position(|l| l.ts == telling.ts && l.line == telling.line)?;
    let own = |l: &&LogLine| frame(&l.line).is_some_and(|f| !FOREIGN.iter().any(|p| f.contains(p)));
    let newest_last = |l: &LogLine| l.line.trim_start().starts_with("File \"");
    let before = lines[..at].iter().rev().take_while(|l| is_frame(&l.line) || l.line.starts_with(' '));
    if let Some(found) = before.filter(|l| newest_last(l)).find(own) {
        return Some(found);
    }
    lines[at + 1..].iter().take(LAST).find(own)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use whyd_buffers::Level;
    use whyd_signals::{TemplateId, Timestamp};

    use super::*;

    #[test]
    fn what_goes_well_is_no_reason() {
        let of = |level: Level, text: &str| LogLine { level, ..lines(text).remove(0) };
        let end = Timestamp(0).plus(Duration::from_secs(10));
        let late = Timestamp(0).plus(Duration::from_secs(19));
        let reason = |said: &[LogLine], end| super::reason(said, end).map(|l| l.line.clone());
        let served = of(Level::Info, r#"{"dur_ms":34,"level":"info","msg":"request","path":"/pay","status":201}"#);
        assert_eq!(reason(std::slice::from_ref(&served), end), None, "an ordinary line");
        assert_eq!(
            reason(&[of(Level::Info, "level=info msg=\"0 errors\"")], end),
            None,
            "its level says that nothing is wrong"
        );
        let failed = of(Level::Error, r#"{"level":"error","msg":"no licence"}"#);
        assert_eq!(
            reason(&[failed.clone(), served.clone()], late),
            Some(failed.line.clone()),
            "whatever was served after it"
        );
        let plain = of(Level::Unknown, "decoding frame with unknown chroma layout 0x2f");
        assert_eq!(reason(std::slice::from_ref(&plain), end), Some(plain.line.clone()), "the last that it said");
        assert_eq!(reason(std::slice::from_ref(&plain), late), None, "that was long before");
        let access = of(Level::Unknown, r#"10.0.0.7 - - [30/Nov/2026:15:00:00 +0000] "GET /errors HTTP/1.1" 200 12"#);
        assert_eq!(reason(std::slice::from_ref(&access), end), None);
        for died in [
            "ERROR: cannot bind to port 80",
            "FATAL: no licence",
            "Uncaught TypeError: x is undefined",
            "Exception in thread \"main\" java.lang.IllegalStateException: no cart",
            "Segmentation fault (core dumped)",
        ] {
            let died = of(Level::Info, died);
            let told = reason(std::slice::from_ref(&died), late);
            assert_eq!(told, Some(died.line.clone()), "its own words, whatever its stream's level");
        }
        let gave_up = of(Level::Warn, "giving up after 5 attempts, shutting down");
        assert_eq!(reason(std::slice::from_ref(&gave_up), end), Some(gave_up.line.clone()));
        for well in [
            "batch done: 812 ok, 0 failed, 0 errors",
            "cache: 20 invalidated entries",
            "done, errors=0 failed: 0",
            r#"{"msg":"done","errors": 0}"#,
            "finished without error",
        ] {
            assert_eq!(weight(well), 0, "{well}");
            assert_eq!(reason(&[of(Level::Unknown, well)], late), None, "{well}");
        }
        for well in [
            "shutdown complete {\"error\":null}",
            "msg=\"server stopped\" err=<nil> error=<nil>",
            r#"{"msg":"summary","error_count":0,"failed_requests":0}"#,
            "error_count=0 failed_count=0",
            "health: failed=false",
            "error rate 0.00%",
            "0 of 12 jobs failed",
            "0/12 checks failed",
            "finished without any errors",
            "no unhandled exceptions",
            "errors: none",
            "Cache invalidation complete",
            "tests passed: 12, failed: 0",
            "validation done, invalid: 0",
            "run finished, FAILED=0 PASSED=12",
            "fatal errors: 0",
            "Fatal conditions: none",
        ] {
            assert_eq!(weight(well), 0, "{well}");
            assert!(!tells_of_trouble(&of(Level::Info, well)), "{well}");
        }
        for died in [
            "KeyError: 0",
            "worker 0 failed",
            "worker 0 failed to start",
            "java.lang.ArrayIndexOutOfBoundsException: 0",
            "Task 0 in stage 0.0 failed 4 times",
            "shard 0 failed to open",
            "connection failed: 0 of 3 brokers reachable",
            "migration failed: 0 rows updated, expected 1",
            "listen failed: 0.0.0.0:8080 already in use",
            "Divide by zero error encountered",
            "startup probe: expected 0 errors, got 12",
        ] {
            assert!(weight(died) > 0, "{died}");
        }
        for died in [
            "TypeError: Cannot read properties of undefined (reading 'x')",
            "OSError: [Errno 28] No space left on device",
            "app.rb:3:in 'run': undefined method 'x' for nil (NoMethodError)",
            "Caused by: java.net.ConnectException: Connection refused",
            "Traceback (most recent call last):\n  File \"/app/main.py\", line 3, in <module>\n    run()\nKeyError: 'DB'",
        ] {
            let said = LogLine { line: died.to_owned(), ..of(Level::Info, "x") };
            assert!(reason(std::slice::from_ref(&said), late).is_some(), "{}", said.line);
            if said.line.starts_with("Traceback") {
                assert_eq!(telling_part(&said.line), "KeyError: 'DB'");
            }
        }
        for status in [404, 500] {
            let served = format!("10.0.0.7 - - [30/Nov/2026] \"GET /fatal.html HTTP/1.1\" {status} 5");
            assert_eq!(reason(&[of(Level::Unknown, &served)], end), None, "{served}");
        }
        for ill in ["10 failed", "error: 0x80070005", "errors: 20", "exit status: failed", "invalid token", "error=042"]
        {
            assert!(weight(ill) > 0, "{ill}");
        }
        let broke = of(Level::Info, "panic: assignment to entry in nil map");
        assert_eq!(
            reason(std::slice::from_ref(&broke), late),
            Some(broke.line.clone()),
            "its stream's level is not the runtime's"
        );
    }

    fn lines(text: &str) -> Vec<LogLine> {
        let line = |(n, text): (usize, &str)| LogLine {
            ts: Timestamp(n as i64),
            line: text.to_owned(),
            level: Level::Unknown,
            template_id: TemplateId(0),
            namespace: "n".into(),
            pod: "p".into(),
            container: "c".into(),
        };
        text.lines().enumerate().map(line).collect()
    }

    #[test]
    fn a_runtime_s_death_outweighs_a_program_s_complaint() {
        assert!(weight("panic: assignment to entry in nil map") > weight("level=error msg=\"query failed\""));
        assert!(weight("TypeError: 'NoneType' object is not subscriptable") > weight("retry failed"));
        assert_eq!(weight("posted 37 ledger entries"), 0);
    }

    #[test]
    fn a_trace_is_folded_to_its_exception_and_its_first_own_frame() {
        let traces = [
            (
                "starting\nTraceback (most recent call last):\n  File \"/app/main.py\", line 40, in <module>\n    run()\n  \
                 File \"/app/shop/cart.py\", line 12, in run\n    total = int(x)\n  \
                 File \"/usr/local/lib/python3.12/json/decoder.py\", line 3, in decode\n    raise\nValueError: bad total",
                "ValueError: bad total",
                "File \"/app/shop/cart.py\", line 12, in run",
            ),
            (
                "Exception in thread \"main\" java.lang.IllegalStateException: no cart\n\tat java.util.Optional.get(Optional.java:1)\n\
                 \tat shop.Cart.total(Cart.java:31)\n\tat shop.Main.main(Main.java:8)",
                "Exception in thread \"main\" java.lang.IllegalStateException: no cart",
                "at shop.Cart.total(Cart.java:31)",
            ),
            (
                "panic: assignment to entry in nil map\n\ngoroutine 1 [running]:\nruntime.mapassign()\n\
                 \t/usr/local/go/src/runtime/map.go:9 +0x1\nmain.add(...)\n\t/src/cart/main.go:42 +0x2d",
                "panic: assignment to entry in nil map",
                "/src/cart/main.go:42 +0x2d",
            ),
            (
                "Uncaught TypeError: x is undefined\n    at Object.get (node:internal/x:1:2)\n    at total (/app/cart.js:7:3)",
                "Uncaught TypeError: x is undefined",
                "at total (/app/cart.js:7:3)",
            ),
            (
                "thread 'main' panicked at src/cart.rs:5:9:\nindex out of bounds\n   2: core::panicking::panic\n             at /rustc/1/library/core.rs:7:2\n   \
                 3: cart::total\n             at ./src/cart.rs:5:9",
                "thread 'main' panicked at src/cart.rs:5:9:",
                "at ./src/cart.rs:5:9",
            ),
        ];
        for (trace, exception, frame) in traces {
            let lines = lines(trace);
            let told = telling(&lines).unwrap();
            assert_eq!(told.line, exception);
            assert_eq!(own_frame(&lines, told).map(|l| l.line.trim()), Some(frame), "{exception}");
        }
        let plain = lines("FATAL: no licence\nbye");
        assert!(own_frame(&plain, telling(&plain).unwrap()).is_none());
    }
}
