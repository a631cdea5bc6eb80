//! What to select of a Prometheus: `name{label="value", other=~"a|b"}`.

use thiserror::Error;

use crate::wire::loki::Cursor;
use crate::wire::remote_read::{Matcher, Operator};

/// The name of a metric, as a label.
const NAME: &str = "__name__";

/// Which series, as text and as what the text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    text: String,
    matchers: Vec<Matcher>,
}

/// A text that is no selector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("is no selector of series, write for instance up or {{job=\"kubelet\", __name__=~\"container_.*\"}}: {0}")]
pub struct SelectorError(String);

impl Selector {
    /// Reads one.
    ///
    /// # Errors
    /// What was expected and at which byte; that it would select every series.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let matchers = matchers(text).map_err(SelectorError)?;
        let narrow = |m: &Matcher| match m.operator {
            Operator::Equal => !m.value.is_empty(),
            Operator::Matches => !matches!(m.value.as_str(), "" | ".*"),
            Operator::NotEqual | Operator::MatchesNot => false,
        };
        if !matchers.iter().any(narrow) {
            return Err(SelectorError("it selects every series; a label has to have some value".into()));
        }
        Ok(Self { text: text.trim().to_owned(), matchers })
    }

    /// All series of a metric, whatever letters its name has.
    pub fn of_metric(name: &str) -> Self {
        let matchers = vec![Matcher { name: NAME.into(), operator: Operator::Equal, value: name.to_owned() }];
        let text = match Self::parse(name) {
            Ok(plain) if plain.matchers == matchers => name.to_owned(),
            _ => {
                let quoted = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{{{NAME}=\"{quoted}\"}}")
            }
        };
        Self { text, matchers }
    }

    /// The text, a query as it is.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }
}

fn matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let mut at = Cursor::new(text);
    let mut found = Vec::new();
    at.blank();
    if !at.rest().starts_with('{') {
        let value = at.metric().map_err(|e| e.to_string())?.to_owned();
        found.push(Matcher { name: NAME.into(), operator: Operator::Equal, value });
        at.blank();
    }
    if !at.rest().is_empty() {
        at.expect('{').map_err(|e| e.to_string())?;
        loop {
            at.blank();
            if at.eat('}') {
                break;
            }
            found.push(matcher(&mut at)?);
            at.blank();
            if !at.eat(',') {
                at.expect('}').map_err(|e| e.to_string())?;
                break;
            }
        }
        at.blank();
    }
    if at.rest().is_empty() { Ok(found) } else { Err(at.fail("the end").to_string()) }
}

fn matcher(at: &mut Cursor<'_>) -> Result<Matcher, String> {
    let name = at.name().map_err(|e| e.to_string())?.to_owned();
    at.blank();
    let operator = match (at.eat('='), at.eat('!'), at.eat('~'), at.eat('=')) {
        (true, false, false, false) => Operator::Equal,
        (true, false, true, false) => Operator::Matches,
        (false, true, false, true) => Operator::NotEqual,
        (false, true, true, false) => Operator::MatchesNot,
        _ => return Err(at.fail("=, !=, =~ or !~").to_string()),
    };
    at.blank();
    let value = at.value().map_err(|e| e.to_string())?.into_owned();
    Ok(Matcher { name, operator, value })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(text: &str) -> String {
        let shown = |m: &Matcher| format!("{}|{:?}|{}", m.name, m.operator, m.value);
        Selector::parse(text).unwrap().matchers.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_operator_and_a_name_before_the_braces() {
        assert_eq!(read("up"), "__name__|Equal|up");
        assert_eq!(read(" job:rate:5m { } "), "__name__|Equal|job:rate:5m");
        assert_eq!(
            read(r#"up{a="x", b != "y",c=~"p|q", d!~`r\d`,}"#),
            "__name__|Equal|up a|Equal|x b|NotEqual|y c|Matches|p|q d|MatchesNot|r\\d"
        );
        assert_eq!(read(r#"{__name__=~"container_.*"}"#), "__name__|Matches|container_.*");
    }

    #[test]
    fn a_metric_of_any_name_is_selected_by_it_alone() {
        for name in ["up", "job:rate:5m", "http.server.duration", "a\"b\\c", " up", "up{a=\"b\"}", "größe", "1st"] {
            let selector = Selector::of_metric(name);
            assert_eq!(selector.matchers.len(), 1);
            assert_eq!(selector.matchers[0].value, name);
            assert_eq!(Selector::parse(&selector.text).unwrap().matchers, selector.matchers, "{}", selector.text);
        }
        assert_eq!(Selector::of_metric("up").text(), "up");
    }

    #[test]
    fn what_is_none_or_selects_all_is_refused() {
        for (text, says) in [
            ("", "a metric name"),
            ("{}", "every series"),
            (r#"{a!="b"}"#, "every series"),
            (r#"{__name__=~".*"}"#, "every series"),
            (r#"up{a=="b"}"#, "=, !="),
            (r#"up{a~"b"}"#, "=, !="),
            (r#"up{a="b""#, "`}`"),
            (r#"up{a="b"} or up"#, "the end"),
            ("rate(up[5m])", "`{`"),
        ] {
            let e = Selector::parse(text).unwrap_err().to_string();
            assert!(e.contains(says), "{text}: {e}");
        }
    }
}
