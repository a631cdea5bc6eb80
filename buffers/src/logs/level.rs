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

/// Some levels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Levels(u8);

impl Levels {
    /// Whether this is one of them.
    pub fn has(self, level: Level) -> bool {
        self.meets(level.into())
    }

    /// Whether any is in both.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those of both.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Level> for Levels {
    fn from(level: Level) -> Self {
        Self(1 << level as u8)
    }
}

impl FromIterator<Level> for Levels {
    fn from_iter<I: IntoIterator<Item = Level>>(levels: I) -> Self {
        levels.into_iter().fold(Self::default(), |all, level| all.or(level.into()))
    }
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
        named(word.as_bytes())
    }

    /// What this line says: a `level` or `severity` field of JSON or logfmt, klog's letter, syslog's priority, or one of
    /// the first words. Found without parsing, in one look at the start of the line.
    pub fn of(line: &str) -> Self {
        let bytes = line.as_bytes();
        let start = bytes.get(..LOOKED_AT).unwrap_or(bytes).trim_ascii_start();
        let found = match start.first() {
            None => None,
            Some(b'{') => field(start, true),
            Some(b'<') if start.get(1).is_some_and(u8::is_ascii_digit) => syslog(start).or_else(|| leading(start)),
            Some(_) if starts_with_field(start) => field(start, false).or_else(|| leading(start)),
            Some(_) => klog(start).or_else(|| leading(start)).or_else(|| field(start, false)),
        };
        found.unwrap_or_default()
    }
}

fn named(word: &[u8]) -> Option<Level> {
    let is = |names: &[&str]| names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word));
    let of = |level: Level, names: &[&str]| is(names).then_some(level);
    match word.first()?.to_ascii_lowercase() {
        b'i' => of(Level::Info, &["info", "information", "inf"]),
        b'e' => of(Level::Error, &["error", "err"]).or_else(|| of(Level::Fatal, &["emerg", "emergency"])),
        b'w' => of(Level::Warn, &["warn", "warning", "wrn"]),
        b'd' => of(Level::Debug, &["debug", "dbg"]),
        b'f' => of(Level::Fatal, &["fatal", "ftl"]),
        b'p' => of(Level::Fatal, &["panic", "pnc"]),
        b'c' => of(Level::Fatal, &["critical", "crit"]),
        b'a' => of(Level::Fatal, &["alert"]),
        b't' => of(Level::Trace, &["trace", "trc"]),
        b'n' => of(Level::Info, &["notice"]),
        b's' => of(Level::Error, &["severe"]),
        b'v' => of(Level::Trace, &["verbose"]),
        _ => None,
    }
}

/// The numbers of bunyan and pino.
fn numbered(digits: &[u8]) -> Option<Level> {
    match digits {
        b"10" => Some(Level::Trace),
        b"20" => Some(Level::Debug),
        b"30" => Some(Level::Info),
        b"40" => Some(Level::Warn),
        b"50" => Some(Level::Error),
        b"60" => Some(Level::Fatal),
        _ => None,
    }
}

/// `ts=...`: the line begins with a field of logfmt.
fn starts_with_field(text: &[u8]) -> bool {
    let name = text.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
    name > 0 && text.get(name) == Some(&b'=')
}

/// `level=x`, `lvl="x"`, `"severity": "x"`, `"level":30`.
fn field(text: &[u8], json: bool) -> Option<Level> {
    const KEYS: [&str; 7] = ["level", "lvl", "severity", "levelname", "loglevel", "log_level", "severity_text"];
    memchr::memchr2_iter(b':', b'=', text).find_map(|at| {
        let before = text.get(..at)?.trim_ascii_end();
        let before = before.strip_suffix(b"\"").unwrap_or(before);
        // The last letters of all keys, so that most other fields cost one comparison.
        if !matches!(before.last()?.to_ascii_lowercase(), b'l' | b'y' | b'e' | b't') {
            return None;
        }
        let len = before.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let key = before.get(before.len() - len..)?;
        if !KEYS.iter().any(|k| k.as_bytes().eq_ignore_ascii_case(key)) {
            return None;
        }
        let value = text.get(at + 1..)?.trim_ascii_start();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 {
            return numbered(value.get(..digits)?).filter(|_| json);
        }
        named(word(value))
    })
}

/// `E0923 12:00:00.000000 ...`
fn klog(text: &[u8]) -> Option<Level> {
    let (letter, rest) = text.split_first()?;
    let date = rest.get(..5)?;
    if !date.iter().take(4).all(u8::is_ascii_digit) || date.last() != Some(&b' ') {
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

/// `<134>1 2026-...`: the priority is eight times the facility and the severity.
fn syslog(text: &[u8]) -> Option<Level> {
    let digits = text.get(1..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = text.get(1..=digits).filter(|_| digits <= 3 && text.get(digits + 1) == Some(&b'>'))?;
    let priority = number.iter().fold(0u32, |n, digit| n * 10 + u32::from(digit - b'0'));
    Some(match priority % 8 {
        0..=2 => Level::Fatal,
        3 => Level::Error,
        4 => Level::Warn,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    })
}

fn word(text: &[u8]) -> &[u8] {
    let end = text.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    text.get(..end).unwrap_or_default()
}

/// `ERROR: ...`, `[warn] ...`, `2026-11-22T10:00:00Z INFO ...`, `panic: ...`, `ValueError: ...`, `Traceback ...`.
fn leading(text: &[u8]) -> Option<Level> {
    let tokens = text.split(u8::is_ascii_whitespace).filter(|t| !t.is_empty());
    for (i, token) in tokens.take(WORDS).enumerate() {
        // Most tokens are words in the middle of a sentence, or numbers.
        if i > 0 && token.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            continue;
        }
        let opening = token.iter().take_while(|b| matches!(b, b'[' | b'(' | b'<' | b'"' | b'|')).count();
        let bare = token.get(opening..).unwrap_or_default();
        let name = word(bare);
        let after = bare.get(name.len());
        // In the middle of a sentence "error" is just a word, so there it must be set apart.
        let apart = i == 0 || opening > 0 || name.iter().all(u8::is_ascii_uppercase);
        if apart
            && !after.is_some_and(|b| matches!(b, b'-' | b'_' | b'.'))
            && let Some(level) = named(name)
        {
            return Some(level);
        }
        if i == 0 && is_exception(bare) {
            return Some(Level::Error);
        }
    }
    None
}

/// How an uncaught exception is told: by its class, or as a trace.
fn is_exception(token: &[u8]) -> bool {
    let name = token.strip_suffix(b":").unwrap_or(token);
    let class = name.len() > 9 && (name.ends_with(b"Exception") || name.ends_with(b"Error"));
    token == b"Traceback" || class && (name.len() < token.len() || name.contains(&b'.'))
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

    proptest::proptest! {
        #[test]
        fn any_text_has_a_level(line in "\\PC{0,60}|[<0-9>level=:\"{} A-Z]{0,60}") {
            let _ = Level::of(&line);
        }
    }
}
