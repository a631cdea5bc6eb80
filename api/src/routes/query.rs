//! Reading a query: every error of it at once, and a parameter that is not known is an error, not ignored.

use std::time::Duration;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::de::DeserializeOwned;
use whyd_signals::Timestamp;
use whyd_signals::causes::IDS;

use crate::cursor;
use crate::problem::{ErrorKind, Failure};
use crate::promql::duration;

/// What axum makes of a query.
pub(super) type Raw<Q> = Result<Query<Q>, QueryRejection>;

/// The query, if its parameters are known ones, each at most once.
pub(super) fn known<Q>(raw: Raw<Q>) -> Result<Q, Failure> {
    match raw {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(Failure::new(ErrorKind::InvalidQuery, said(&rejection.body_text()))),
    }
}

/// What is wrong with it, in the words of who asks: `unknown parameter`, and what there is.
fn said(why: &str) -> String {
    let why = why.strip_prefix("Failed to deserialize query string: ").unwrap_or(why);
    why.split_once("unknown field ").map_or_else(|| why.to_owned(), |(_, rest)| format!("unknown parameter {rest}"))
}

/// Parses values and collects what is wrong with them.
pub(super) struct Checks {
    errors: Vec<String>,
    now: Timestamp,
}

impl Checks {
    /// `now` is what lengths of time are counted back from.
    pub(super) fn at(now: Timestamp) -> Self {
        Self { errors: Vec::new(), now }
    }

    pub(super) fn limit(&mut self, text: Option<&str>) -> usize {
        let Some(text) = text else { return cursor::DEFAULT_LIMIT };
        match text.parse() {
            Ok(n @ 1..=cursor::MAX_LIMIT) => n,
            _ => {
                self.errors.push(format!("limit must be a number from 1 to {}, not {text:?}", cursor::MAX_LIMIT));
                cursor::DEFAULT_LIMIT
            }
        }
    }

    /// A time, or how long ago that was.
    pub(super) fn time(&mut self, name: &str, text: Option<&str>) -> Option<Timestamp> {
        let text = text?;
        let ago = || duration(text).map(|ms| self.now.minus(Duration::from_millis(ms.unsigned_abs())));
        let at = Timestamp::parse(text).or_else(ago);
        if at.is_none() {
            // A + in a query is a space, the usual reason for an offset to go wrong.
            self.errors.push(format!(
                "{name} must be an RFC 3339 time such as 2026-01-31T12:00:00Z, or how long ago that was, such as 90m, not {text:?}"
            ));
        }
        at
    }

    /// The first and the last time that are asked for.
    pub(super) fn range(&mut self, since: Option<&str>, until: Option<&str>) -> (Option<Timestamp>, Option<Timestamp>) {
        let (since, until) = (self.time("since", since), self.time("until", until));
        if since.zip(until).is_some_and(|(since, until)| until < since) {
            self.errors.push("until must not be before since".to_owned());
        }
        (since, until)
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, name: &str, text: Option<&str>) -> Option<bool> {
        self.one_of(name, text, &[("true", true), ("false", false)])
    }

    /// A number that a score may be.
    pub(super) fn score(&mut self, name: &str, text: Option<&str>) -> Option<f64> {
        let text = text?;
        let score = text.parse().ok().filter(|score: &f64| score.is_finite() && *score >= 0.0);
        if score.is_none() {
            self.errors.push(format!("{name} must be a number such as 1.5, not {text:?}"));
        }
        score
    }

    pub(super) fn cursor<K: DeserializeOwned>(&mut self, text: Option<&str>) -> Option<K> {
        let text = text?;
        let place = cursor::decode(text);
        if place.is_none() {
            self.errors.push("cursor must be the next of an earlier answer".to_owned());
        }
        place
    }

    pub(super) fn one_of<T: Copy>(&mut self, name: &str, text: Option<&str>, choices: &[(&str, T)]) -> Option<T> {
        let text = text?;
        let found = choices.iter().find(|(choice, _)| *choice == text);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            self.errors.push(format!("{name} must be one of {}, not {text:?}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A cause's id; one that does not exist would match nothing and look like good news.
    pub(super) fn cause(&mut self, text: Option<&str>) {
        let Some(text) = text else { return };
        if !IDS.contains(&text) {
            self.errors.push(format!("cause must be one of {}, not {text:?}", IDS.join(", ")));
        }
    }

    pub(super) fn needed<'a>(&mut self, name: &str, text: Option<&'a str>) -> &'a str {
        let text = text.unwrap_or_default();
        if text.is_empty() {
            self.errors.push(format!("{name} is needed"));
        }
        text
    }

    /// # Errors
    /// Everything that was found.
    pub(super) fn done(self) -> Result<(), Failure> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(Failure::new(ErrorKind::InvalidQuery, self.errors.join("; ")))
    }
}
