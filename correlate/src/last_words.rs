//! Which of an instance's last lines says most about its end.

use whyd_buffers::LogLine;

/// How far back from the end a line counts as a last word, in lines.
const LAST: usize = 60;

/// Marks by weight: what a runtime prints when it dies, then what a program prints when it gives up.
const MARKS: [(&str, u32); 12] = [
    ("panic:", 9),
    ("fatal error:", 9),
    ("fatal", 8),
    ("uncaught", 8),
    ("unhandled", 8),
    ("segmentation fault", 8),
    ("exception in thread", 8),
    ("error:", 6),
    ("exception:", 6),
    ("invalid", 5),
    ("error", 4),
    ("failed", 3),
];

/// The line that says most: the heaviest mark, the later one of equals.
pub(crate) fn telling(lines: &[LogLine]) -> Option<&LogLine> {
    let last = &lines[lines.len().saturating_sub(LAST)..];
    let marked = last.iter().filter(|l| weight(&l.line) > 0).max_by_key(|l| (weight(&l.line), l.ts));
    marked.or_else(|| last.iter().rev().find(|l| !l.line.trim().is_empty()))
}

/// Whether a line tells of trouble, and how much.
pub(crate) fn weight(line: &str) -> u32 {
    let lower = line.to_ascii_lowercase();
    MARKS.iter().filter(|(mark, _)| lower.contains(mark)).map(|(_, w)| *w).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn a_runtime_s_death_outweighs_a_program_s_complaint() {
        assert!(weight("panic: assignment to entry in nil map") > weight("level=error msg=\"query failed\""));
        assert!(weight("TypeError: 'NoneType' object is not subscriptable") > weight("retry failed"));
        assert_eq!(weight("posted 37 ledger entries"), 0);
    }
}
