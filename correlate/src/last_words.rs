//! Which of an instance's last lines says most about its end, and where in its own code that was.

use whyd_buffers::LogLine;

/// How far back from the end a line counts as a last word, in lines.
const LAST: usize = 60;

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

/// Whether a line tells of trouble, and how much.
pub(crate) fn weight(line: &str) -> u32 {
    let lower = line.to_ascii_lowercase();
    MARKS.iter().filter(|(mark, _)| lower.contains(mark)).map(|(_, w)| *w).max().unwrap_or(0)
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
