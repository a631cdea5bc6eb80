//! Label matchers. Regular expressions are anchored and read as RE2 reads them.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};

use super::error::Error;

/// Bytes that one compiled expression may take.
const REGEX_BYTES: usize = 4 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) test: Test,
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Equal(String),
    NotEqual(String),
    Matches(Pattern),
    NotMatches(Pattern),
}

/// Most patterns that dashboards send are plain alternatives, which need no automaton.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    OneOf(HashSet<String>),
    Regex(Regex),
}

impl Matcher {
    /// Whether a label of this value, empty where there is none, passes.
    pub(crate) fn passes(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::NotEqual(other) => value != other,
            Test::Matches(pattern) => pattern.matches(value),
            Test::NotMatches(pattern) => !pattern.matches(value),
        }
    }

    /// The one value that passes, where an equality asks for it.
    pub(crate) fn exactly(&self) -> Option<&str> {
        match &self.test {
            Test::Equal(wanted) => Some(wanted),
            _ => None,
        }
    }
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, Error> {
        if !text.contains(|c: char| r"\.+*?()[]{}^$".contains(c)) {
            return Ok(Self::OneOf(text.split('|').map(str::to_owned).collect()));
        }
        let anchored = format!("^(?:{})$", from_re2(text));
        let built =
            RegexBuilder::new(&anchored).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).nest_limit(64).build();
        built.map(Self::Regex).map_err(|why| {
            let why = why.to_string();
            let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Error::bad(format!("error parsing regexp {text:?}: {last}"))
        })
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.contains(value),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// The same expression in the dialect of the `regex` crate: RE2's classes are ASCII, `\Q` quotes, and within brackets
/// an opening bracket and doubled signs stand for themselves.
fn from_re2(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str(r"[\t\n\f\r ]"),
                Some('S') => out.push_str(r"[^\t\n\f\r ]"),
                Some('b') if !in_class => out.push_str(r"(?-u:\b)"),
                Some('Q') if !in_class => {
                    let rest: String = chars.by_ref().collect();
                    let (quoted, after) = rest.split_once(r"\E").unwrap_or((&rest, ""));
                    out.push_str(&regex::escape(quoted));
                    out.push_str(&from_re2(after));
                }
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                out.extend(chars.next_if_eq(&'^'));
                if chars.next_if_eq(&']').is_some() {
                    out.push_str(r"\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '[' if chars.peek() == Some(&':') => {
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            '[' => out.push_str(r"\["),
            '&' | '~' if in_class => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_read_as_re2_reads_them() {
        let cases: [(&str, &[&str], &[&str]); 13] = [
            ("a|b", &["a", "b"], &["ab", "", "xa"]),
            ("", &[""], &["a"]),
            ("|a", &["", "a"], &["b"]),
            (".*", &["", "x"], &["\n"]),
            (".+", &["x"], &[""]),
            ("a.c", &["abc"], &["xabc", "abcx", "a\nc"]),
            (r"\d+", &["12"], &["٣", ""]),
            (r"\w", &["_"], &["é"]),
            (r"[\d_-]+", &["1_2-"], &["a"]),
            (r"[[:alpha:][]+", &["a["], &["1"]),
            (r"[]a]+", &["]a"], &["b"]),
            (r"\Qa.b\E+", &["a.b", "a.bb"], &["axb"]),
            ("(?i)abc", &["ABC"], &["abd"]),
        ];
        for (pattern, yes, no) in cases {
            let compiled = Pattern::new(pattern).unwrap();
            yes.iter().for_each(|v| assert!(compiled.matches(v), "{pattern} {v:?}"));
            no.iter().for_each(|v| assert!(!compiled.matches(v), "{pattern} {v:?}"));
        }
        for bad in ["(", "a{2,1}", r"\w{1000}{1000}", "(?P<", &"(".repeat(100_000)] {
            assert!(matches!(Pattern::new(bad), Err(Error::Bad(_))), "{}", &bad[..bad.len().min(20)]);
        }
    }
}
