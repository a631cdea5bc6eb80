//! How bad a log line says it is, found without parsing it.

/// A line's level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[allow(missing_docs)]
pub enum Level {
    /// The line does not say.
    #[default]
    Unknown,
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// How much of a line is looked at.
const LOOKED_AT: usize = 512;
/// Words looked at where the line starts with a time.
const WORDS: usize = 6;

impl Level {
    /// The name in the table; `unknown` where the line does not say.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The level of this name, in any of the usual spellings.
    pub fn named(word: &str) -> Option<Self> {
        const NAMES: [(&str, Level); 15] = [
            ("info", Level::Info),
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("warning", Level::Warn),
            ("debug", Level::Debug),
            ("err", Level::Error),
            ("fatal", Level::Fatal),
            ("panic", Level::Fatal),
            ("critical", Level::Fatal),
            ("crit", Level::Fatal),
            ("emerg", Level::Fatal),
            ("alert", Level::Fatal),
            ("trace", Level::Trace),
            ("notice", Level::Info),
            ("information", Level::Info),
        ];
        NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
    }

    /// What this line says: a `level` or `severity` field of logfmt or JSON, klog's letter, or one of the first
    /// words.
    pub fn of(line: &str) -> Self {
        let mut end = line.len().min(LOOKED_AT);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let start = line.get(..end).unwrap_or_default().trim_start();
        field(start).or_else(|| klog(start)).or_else(|| leading(start)).unwrap_or_default()
    }
}

/// `level=x`, `lvl="x"`, `"severity": "x"`.
fn field(text: &str) -> Option<Level> {
    let bytes = text.as_bytes();
    for key in ["level", "lvl", "severity"] {
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|t| t.find(key)) {
            let (start, end) = (from + at, from + at + key.len());
            from = end;
            let preceded = start.checked_sub(1).and_then(|i| bytes.get(i));
            if preceded.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                continue;
            }
            let rest = text.get(end..).unwrap_or_default();
            let rest = rest.strip_prefix('"').unwrap_or(rest).trim_start();
            let Some(value) = rest.strip_prefix(['=', ':']) else { continue };
            let value = value.trim_start().trim_start_matches('"');
            if let Some(level) = Level::named(word(value)) {
                return Some(level);
            }
        }
    }
    None
}

/// `E0923 12:00:00.000000 ...`
fn klog(text: &str) -> Option<Level> {
    let (letter, rest) = text.as_bytes().split_first()?;
    if rest.len() < 5 || !rest[..4].iter().all(u8::is_ascii_digit) || rest[4] != b' ' {
        return None;
    }
    match letter {
        b'I' => Some(Level::Info),
        b'W' => Some(Level::Warn),
        b'E' => Some(Level::Error),
        b'F' => Some(Level::Fatal),
        _ => None,
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    &text[..end]
}

/// `ERROR: ...`, `[warn] ...`, `2026-11-22T10:00:00Z INFO ...`, `panic: ...`.
fn leading(text: &str) -> Option<Level> {
    for (i, token) in text.split_ascii_whitespace().take(WORDS).enumerate() {
        let bare = token.trim_start_matches(['[', '(', '<', '"', '|']);
        let name = word(bare);
        // In the middle of a sentence "error" is just a word, so there it must be set apart.
        let apart = i == 0 || bare.len() < token.len() || name.bytes().all(|b| b.is_ascii_uppercase());
        let closed = bare.get(name.len()..).is_some_and(|rest| rest.is_empty() || !rest.starts_with(['-', '_', '.']));
        if apart
            && closed
            && let Some(level) = Level::named(name)
        {
            return Some(level);
        }
    }
    None
}

#[cfg(test)]
mod tests {
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
    }
}
