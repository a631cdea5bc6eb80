//! The line before an answer that was pulled: what was asked, of whom, and how much of it the answer is.
//!
//! With it a body says all that its decoder has to know, and the log by itself what was had of each source.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whyd_signals::Range;
use whyd_signals::sink::DecodeError;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Of whom.
    #[serde(flatten)]
    pub of: Target,
    /// For which time. Of samples beyond it a decoder makes nothing.
    pub range: Range,
    /// Whether with this body all of the time is there; else bodies of the same follow.
    pub whole: bool,
    /// Labels that every series is given that does not have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A source that is asked, by its name in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The name.
    pub source: String,
    /// The tenant of it, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tenant {
            None => f.write_str(&self.source),
            Some(tenant) => write!(f, "{}/{tenant}", self.source),
        }
    }
}

impl Asked {
    /// The line, to which the answer is appended.
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The line of a body, and the answer after it.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when it does not begin with such a line.
    pub fn split(body: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let bad = |why: &str| DecodeError::Malformed(format!("a pulled body begins with what was asked: {why}"));
        let end = body.iter().position(|b| *b == b'\n').ok_or_else(|| bad("no line"))?;
        let (line, rest) = body.split_at_checked(end).ok_or_else(|| bad("no line"))?;
        let asked = serde_json::from_slice(line).map_err(|e| bad(&e.to_string()))?;
        Ok((asked, rest.get(1..).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use whyd_signals::Timestamp;

    use super::*;

    #[test]
    fn a_line_is_read_back_to_the_nanosecond() {
        for (tenant, labels) in [
            (None, BTreeMap::new()),
            (Some("team-\n\"x".to_owned()), BTreeMap::from([("cluster".to_owned(), "a\nb".to_owned())])),
        ] {
            let of = Target { source: "loki".into(), tenant };
            let range = Range::new(Timestamp(1_700_000_000_123_456_789), Timestamp(1_700_000_001_000_000_001));
            let asked = Asked { of, range, whole: true, labels };
            let mut body = asked.line();
            body.extend_from_slice(b"rest\nof it");
            assert_eq!(Asked::split(&body).unwrap(), (asked, b"rest\nof it".as_slice()));
        }
        for body in ["", "{}", "{}\n", "x\n"] {
            Asked::split(body.as_bytes()).unwrap_err();
        }
    }
}
