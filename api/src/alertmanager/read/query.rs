//! The query of a request: which alerts or silences are asked for. What is not known is ignored, as clients expect.

use axum::extract::{FromRequestParts, Query as Pairs};
use axum::http::request::Parts;
use regex::Regex;

use super::RECEIVER;
use super::answer::{Alert, Silence};
use super::matcher::{Matcher, whole};
use crate::problem::{ErrorKind, Failure};

/// Filters of one request.
const FILTERS: usize = 64;

/// Everything is asked for unless it says otherwise.
#[derive(Debug)]
pub(super) struct Query {
    active: bool,
    silenced: bool,
    receiver: Option<Regex>,
    filters: Vec<Matcher>,
}

impl Query {
    fn parse(pairs: &[(String, String)]) -> Result<Self, Vec<String>> {
        let mut query = Self { active: true, silenced: true, receiver: None, filters: Vec::new() };
        let mut wrong = Vec::new();
        for (name, value) in pairs {
            match name.as_str() {
                "active" => query.active = flag(name, value, &mut wrong),
                "silenced" => query.silenced = flag(name, value, &mut wrong),
                // Nothing here is inhibited, muted or waits to be processed.
                "inhibited" | "unprocessed" | "muted" => drop(flag(name, value, &mut wrong)),
                "receiver" if !value.is_empty() => match whole(value) {
                    Ok(expression) => query.receiver = Some(expression),
                    Err(why) => wrong.push(format!("receiver: {why}")),
                },
                "filter" if query.filters.len() >= FILTERS => wrong.push(format!("more than {FILTERS} filters")),
                "filter" => match Matcher::parse(value) {
                    Ok(matcher) => query.filters.push(matcher),
                    Err(why) => wrong.push(why),
                },
                _ => {}
            }
        }
        if wrong.is_empty() { Ok(query) } else { Err(wrong) }
    }

    pub(super) fn fits_alert(&self, alert: &Alert) -> bool {
        let wanted = if alert.status.silenced_by.is_empty() { self.active } else { self.silenced };
        let label = |name: &str| alert.labels.get(name).map(String::as_str);
        wanted
            && self.receiver.as_ref().is_none_or(|r| r.is_match(RECEIVER))
            && self.filters.iter().all(|f| f.fits(label))
    }

    pub(super) fn fits_silence(&self, silence: &Silence) -> bool {
        let label = |name: &str| silence.matchers.iter().find(|m| m.name == name).map(|m| m.value.as_str());
        self.filters.iter().all(|f| f.fits(label))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let pairs = Pairs::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Pairs(pairs) = pairs.map_err(|e| Failure::new(ErrorKind::InvalidQuery, e.body_text()))?;
        Self::parse(&pairs).map_err(|wrong| Failure::new(ErrorKind::InvalidQuery, wrong.join("; ")))
    }
}

fn flag(name: &str, value: &str, wrong: &mut Vec<String>) -> bool {
    match value {
        "true" | "1" => true,
        "false" | "0" => false,
        _ => {
            wrong.push(format!("{name} must be true or false, not {value:?}"));
            true
        }
    }
}
