//! How bad a log line says it is.

mod marks;
mod said;

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

    /// None where nothing is known.
    pub(crate) fn known(self) -> Option<Self> {
        (self != Self::Unknown).then_some(self)
    }

    /// What this line says: a `level` or `severity` field of JSON or logfmt, klog's letter, syslog's priority, or one of
    /// the first words. Found without parsing, in one look at the start of the line.
    pub fn of(line: &str) -> Self {
        said::by(line.as_bytes()).unwrap_or_default()
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

#[cfg(test)]
mod tests;
