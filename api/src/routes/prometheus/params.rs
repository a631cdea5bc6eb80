//! The parameters of the Prometheus API: of the address and of a form, read as Prometheus reads them.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use axum::response::Response;
use whyd_signals::Timestamp;

use super::json;
use crate::promql::{self, Budget, Error, Matcher};

/// Bytes that a form may have: a query, percent-encoded, and more.
const MAX_FORM: usize = 4 * promql::MAX_BYTES;
/// How many parameters a request may have.
const MAX_PARAMS: usize = 1000;
/// How many `match[]` a request may have.
const MAX_SELECTORS: usize = 64;

/// Names and values; those of a form come before those of the address.
pub(in crate::routes) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let mut pairs = Vec::new();
        if parts.method == Method::POST && kind.starts_with("application/x-www-form-urlencoded") {
            let form = to_bytes(body, MAX_FORM).await;
            let form = form.map_err(|_| {
                json::error(&Error::bad(format!("a form must come whole and have at most {MAX_FORM} bytes")))
            })?;
            pairs.extend(form_urlencoded::parse(&form).into_owned().take(MAX_PARAMS + 1));
        }
        let query = parts.uri.query().unwrap_or_default();
        pairs.extend(form_urlencoded::parse(query.as_bytes()).into_owned().take(MAX_PARAMS + 1));
        if pairs.len() > MAX_PARAMS {
            return Err(json::error(&Error::bad(format!("the request has more than {MAX_PARAMS} parameters"))));
        }
        Ok(Self(pairs))
    }
}

fn invalid(name: &str, why: impl std::fmt::Display) -> Error {
    Error::bad(format!("invalid parameter {name:?}: {why}"))
}

impl Params {
    /// The first of this name; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn query(&self) -> Result<promql::Expr, Error> {
        promql::query(self.get("query").unwrap_or_default()).map_err(|why| invalid("query", why))
    }

    /// Milliseconds since the epoch.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let bad = || invalid(name, format!("cannot parse {text:?} to a valid timestamp"));
        if let Ok(seconds) = text.parse::<f64>() {
            // Milliseconds, rounded as Prometheus rounds them.
            let whole = seconds.trunc();
            let ms = whole * 1000.0 + ((seconds - whole) * 1000.0).round();
            return if seconds.abs() < promql::MAX_SECONDS { Ok(Some(ms as i64)) } else { Err(bad()) };
        }
        Timestamp::parse(text).map(|at| Some(at.nanos().div_euclid(1_000_000))).ok_or_else(bad)
    }

    pub(super) fn needed_time(&self, name: &str) -> Result<i64, Error> {
        let absent = || invalid(name, "cannot parse \"\" to a valid timestamp");
        self.time(name)?.ok_or_else(absent)
    }

    /// Milliseconds: a number of seconds or a duration.
    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let bad = || invalid(name, format!("cannot parse {text:?} to a valid duration"));
        if let Ok(seconds) = text.parse::<f64>() {
            return if seconds.abs() < promql::MAX_SECONDS { Ok(Some((seconds * 1000.0) as i64)) } else { Err(bad()) };
        }
        promql::duration(text).map(Some).ok_or_else(bad)
    }

    /// Start, end and step of a range query.
    pub(super) fn steps(&self) -> Result<promql::Steps, Error> {
        let (start, end) = (self.needed_time("start")?, self.needed_time("end")?);
        if end < start {
            return Err(invalid("end", "end timestamp must not be before start time"));
        }
        let step = self.duration("step")?.ok_or_else(|| invalid("step", "cannot parse \"\" to a valid duration"))?;
        if step <= 0 {
            let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(invalid("step", why));
        }
        if (end - start) / step > 11_000 {
            let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
            return Err(Error::bad(why));
        }
        Ok(promql::Steps::range(start, end, step))
    }

    /// Every `match[]`, their regular expressions within one budget.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, Error> {
        let all = || self.0.iter().filter(|(name, _)| name == "match[]");
        if all().count() > MAX_SELECTORS {
            return Err(invalid("match[]", format!("there are more than {MAX_SELECTORS}")));
        }
        let mut budget = Budget::default();
        all().map(|(_, text)| promql::selector(text, &mut budget).map_err(|why| invalid("match[]", why))).collect()
    }

    /// The time that names and series are asked for, where one is given.
    pub(super) fn within(&self) -> Result<Option<(i64, i64)>, Error> {
        let (start, end) = (self.time("start")?, self.time("end")?);
        if start.zip(end).is_some_and(|(start, end)| end < start) {
            return Err(invalid("end", "end timestamp must not be before start time"));
        }
        Ok((start.is_some() || end.is_some()).then(|| (start.unwrap_or(i64::MIN), end.unwrap_or(i64::MAX))))
    }

    /// How many items an answer may have; 0 sets no limit, and neither does leaving it out.
    pub(super) fn limit(&self, name: &str) -> Result<usize, Error> {
        let Some(text) = self.get(name) else { return Ok(usize::MAX) };
        match text.parse::<u32>() {
            Ok(0) => Ok(usize::MAX),
            Ok(n) => Ok(n as usize),
            Err(_) => Err(invalid(name, format!("{text:?} must be a number, 0 or more"))),
        }
    }
}
