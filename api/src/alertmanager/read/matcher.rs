//! `name op value`, as Alertmanager's clients write it in `filter`: `=`, `!=`, `=~`, `!~`, the value quoted or not.

use regex::{Regex, RegexBuilder};

/// Bytes of a compiled expression: it comes from whoever asks.
const COMPILED: usize = 1 << 18;

/// One matcher.
#[derive(Debug)]
pub(super) struct Matcher {
    name: String,
    wanted: bool,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Equal(String),
    Like(Regex),
}

impl Matcher {
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("filter {text:?}: {why}");
        let name_end = text.find(['=', '!']).ok_or_else(|| bad("no =, !=, =~ or !~ in it"))?;
        let (name, rest) = text.split_at(name_end);
        let name = name.trim().trim_matches('"');
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '"' || c == '{') {
            return Err(bad("it must begin with the name of a label"));
        }
        let operators = [("=~", true, true), ("!~", false, true), ("!=", false, false), ("=", true, false)];
        let found = operators.into_iter().find_map(|(op, wanted, like)| {
            let value = rest.strip_prefix(op)?;
            Some((wanted, like, value.trim()))
        });
        let (wanted, like, value) = found.ok_or_else(|| bad("no =, !=, =~ or !~ in it"))?;
        let value = unquoted(value).ok_or_else(|| bad("its value is not quoted well"))?;
        let test = if like { Test::Like(whole(&value).map_err(|why| bad(&why))?) } else { Test::Equal(value) };
        Ok(Self { name: name.to_owned(), wanted, test })
    }

    /// Whether labels match, of which a missing one is empty.
    pub(super) fn fits<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let value = label(&self.name).unwrap_or_default();
        let same = match &self.test {
            Test::Equal(wanted) => wanted == value,
            Test::Like(wanted) => wanted.is_match(value),
        };
        same == self.wanted
    }
}

/// An expression that has to match the whole text.
///
/// # Errors
/// What the compiler says.
pub(super) fn whole(expression: &str) -> Result<Regex, String> {
    let anchored = format!("^(?:{expression})$");
    RegexBuilder::new(&anchored).size_limit(COMPILED).build().map_err(|_| format!("{expression:?} is no expression"))
}

/// The value without its quotes and escapes; `None` where they do not close.
fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let inner = inner.strip_suffix('"')?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                escaped @ ('"' | '\\') => out.push(escaped),
                other => out.extend(['\\', other]),
            },
            '"' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_as_clients_write_them() {
        let labels = |name: &str| match name {
            "team" => Some("shop"),
            "summary" => Some("said \"no\""),
            _ => None,
        };
        let cases = [
            ("team=shop", true),
            ("team=\"shop\"", true),
            ("team = \"shop\"", true),
            ("\"team\"=\"shop\"", true),
            ("team!=shop", false),
            ("team=~\"sh.*\"", true),
            ("team=~ho", false),
            ("team!~\"pay|shop\"", false),
            ("none=\"\"", true),
            ("none!=\"\"", false),
            ("none=~\".+\"", false),
            (r#"summary="said \"no\"""#, true),
            ("team=", false),
        ];
        for (text, wanted) in cases {
            assert_eq!(Matcher::parse(text).unwrap().fits(labels), wanted, "{text}");
        }
        for bad in ["team", "=shop", "team=~(", "team=\"shop", "te am=x", "team~shop", "team=\"a\"b\"", "{team=\"a\"}"]
        {
            assert!(Matcher::parse(bad).is_err(), "{bad}");
        }
        assert!(Matcher::parse("a=~\"(x{1000}){1000}\"").is_err(), "a bomb");
    }
}
