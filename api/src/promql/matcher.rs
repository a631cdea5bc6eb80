//! Label matchers. Regular expressions are anchored and read as RE2 reads them; they are compiled within a budget.

use std::collections::HashSet;

use regex::bytes::{Regex, RegexBuilder};

use super::error::Error;
use super::re2::translated;

/// How many regular expressions a request may have.
const MAX_REGEXES: usize = 32;
/// Bytes that all of them may take when compiled; the caches to run them may take as much.
const MAX_REGEX_BYTES: usize = 8 << 20;
/// What one is given at first; one that needs more is compiled again with twice as much.
const FIRST_BYTES: usize = 128 << 10;
/// What their classes may cost to make, in code points.
const MAX_CLASSES: usize = 4 << 20;

/// What the regular expressions of one request may still take, all of its selectors together.
#[derive(Debug)]
pub(crate) struct Budget {
    regexes: usize,
    bytes: usize,
    classes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { regexes: MAX_REGEXES, bytes: MAX_REGEX_BYTES, classes: MAX_CLASSES }
    }
}

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
    pub(super) fn new(text: &str, budget: &mut Budget) -> Result<Self, Error> {
        let left = budget.regexes.checked_sub(1);
        budget.regexes =
            left.ok_or_else(|| Error::bad(format!("the request has more than {MAX_REGEXES} regular expressions")))?;
        if !text.contains(|c: char| r"\.+*?()[]{}^$".contains(c)) {
            return Ok(Self::OneOf(text.split('|').map(str::to_owned).collect()));
        }
        let bad = |why: &str| Error::bad(format!("error parsing regexp {text:?}: {why}"));
        let anchored = format!(r"\A(?:{})\z", translated(text, &mut budget.classes).map_err(|why| bad(&why))?);
        let mut granted = FIRST_BYTES.min(budget.bytes);
        loop {
            match RegexBuilder::new(&anchored).size_limit(granted).dfa_size_limit(granted / 2).build() {
                Ok(regex) => {
                    budget.bytes -= granted;
                    return Ok(Self::Regex(regex));
                }
                Err(regex::Error::CompiledTooBig(_)) if granted < budget.bytes => {
                    granted = (2 * granted).min(budget.bytes);
                }
                Err(regex::Error::CompiledTooBig(_)) => {
                    return Err(bad(&format!(
                        "the regular expressions of the request take more than {MAX_REGEX_BYTES} bytes compiled"
                    )));
                }
                Err(why) => {
                    let why = why.to_string();
                    return Err(bad(why.lines().last().unwrap_or_default().trim_start_matches("error: ")));
                }
            }
        }
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.contains(value),
            Self::Regex(regex) => regex.is_match(value.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_read_as_re2_reads_them() {
        let cases: [(&str, &[&str], &[&str]); 30] = [
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
            (r"\<a\>", &["<a>"], &["a"]),
            (r"a\b.*", &["a b", "aé"], &["ab"]),
            (r"é\B.", &["éé"], &["éa"]),
            ("p{,2}0", &["p{,2}0"], &["pp0"]),
            ("p{0", &["p{0"], &["0"]),
            ("p{01}", &["p{01}"], &["p"]),
            ("a{2}", &["aa"], &["a"]),
            ("(?:ab){1,}c", &["ababc"], &["c"]),
            ("a(?i)*", &["", "aa"], &["A"]),
            ("(?i)a(?-i:b)", &["Ab"], &["AB"]),
            ("a(?i)|b|c(?-i)d", &["B", "Cd"], &["A", "CD"]),
            ("[a&&b]+", &["a&b"], &["a~"]),
            ("[+--]", &["+", ",", "-"], &["."]),
            (r"[^\x{D800}]", &["a", "\n"], &[""]),
            (r"\x{D800}", &[], &["a", ""]),
            (r"(?i)[\W]\S\p{^Lu}", &["-a1"], &["\u{212A}a1", "-aa"]),
            ("a$b|(?m)a$\n^b", &["a\nb"], &["ab"]),
        ];
        for (pattern, yes, no) in cases {
            let compiled = Pattern::new(pattern, &mut Budget::default()).unwrap();
            yes.iter().for_each(|v| assert!(compiled.matches(v), "{pattern} {v:?}"));
            no.iter().for_each(|v| assert!(!compiled.matches(v), "{pattern} {v:?}"));
        }
    }

    #[test]
    fn one_budget_holds_for_all_regular_expressions_of_a_request() {
        let mut budget = Budget::default();
        let compiled = (0..40).map(|_| Pattern::new("web-.*", &mut budget)).take_while(Result::is_ok).count();
        assert_eq!(compiled, MAX_REGEXES);
        // Each of these takes some 3 MB.
        let mut budget = Budget::default();
        let compiled = (0..32).map(|_| Pattern::new(r"N\pL{50}x", &mut budget)).take_while(Result::is_ok).count();
        assert!((1..=3).contains(&compiled), "{compiled}");
        let began = std::time::Instant::now();
        let bombs = [
            r"(?i)[\x{0}-\x{10FFFF}]".repeat(2000),
            r"\pL".repeat(20_000),
            r"(?i)\PL".repeat(20_000),
            r"(?i)[\W]".repeat(10_000),
            "(".repeat(60_000),
            format!("a{}", "(?i)*".repeat(10_000)),
            "(?:x{10}){100}".repeat(4000),
            r"\w{1000}".repeat(1000),
            "[^a]".repeat(16_000),
        ];
        for bomb in bombs {
            let why = Pattern::new(&bomb, &mut Budget::default()).map(|_| ()).unwrap_err();
            assert!(matches!(why, Error::Bad(_)), "{}", &bomb[..20]);
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    }
}
