//! `/prometheus/api/v1`: what Grafana's built-in Prometheus datasource asks for.
//!
//! Errors have Prometheus' envelope, but for a missing or unknown token, which is the door's and problem+json. There is
//! no `status/flags` on purpose: Grafana takes an answer for Thanos.

mod body;
mod json;
mod params;
pub(super) mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use tokio::time::{Instant, timeout_at};
use whyd_signals::Access;

use self::body::Pieces;
pub(super) use self::body::Text;
pub(super) use self::json::whole;
use self::params::Params;
pub(super) use self::turns::Turns;
use super::Api;
use crate::access::Caller;
pub(super) use crate::promql::Stop;
use crate::promql::{self, Error, Labels, OWN, Source};

/// How long a query may take, its time of waiting included; less than the listener gives a request.
const LONGEST: Duration = Duration::from_secs(20);
/// How many names or values an answer may have.
const MAX_NAMES: usize = 100_000;
/// The Prometheus whose language and answers these are.
const VERSION: &str = "2.42.0";

/// Every path with its route.
pub(super) fn table() -> Vec<(&'static str, MethodRouter<Api>)> {
    vec![
        ("/prometheus/api/v1/query", get(query).post(query)),
        ("/prometheus/api/v1/query_range", get(query_range).post(query_range)),
        ("/prometheus/api/v1/labels", get(label_names).post(label_names)),
        ("/prometheus/api/v1/label/{name}/values", get(label_values)),
        ("/prometheus/api/v1/series", get(series).post(series)),
        ("/prometheus/api/v1/metadata", get(metadata)),
        ("/prometheus/api/v1/query_exemplars", get(query_exemplars).post(query_exemplars)),
        ("/prometheus/api/v1/rules", get(rules)),
        ("/prometheus/api/v1/alerts", get(alerts)),
        ("/prometheus/api/v1/status/buildinfo", get(buildinfo)),
    ]
}

/// The value of a PromQL expression at one instant; POST takes the same as a form.
#[utoipa::path(get, path = "/prometheus/api/v1/query", tag = "prometheus", params(
    ("query" = String, Query, description = "PromQL; what is not supported is refused by name"),
    ("time" = Option<String>, Query, description = "seconds since the epoch or RFC 3339; now if not given"),
    ("timeout" = Option<String>, Query, description = "seconds or a duration such as 5s, at most 20s"),
), responses(
    (status = 200, description = "as Prometheus answers", body = serde_json::Value),
    (status = 400, description = "the request cannot be understood", body = serde_json::Value),
    (status = 422, description = "the query cannot be executed", body = serde_json::Value),
    (status = 503, description = "it took too long, or too many ask", body = serde_json::Value),
))]
pub(super) async fn query(State(api): State<Api>, Caller(access): Caller, params: Params) -> Response {
    answer(api, access, params, |source, params, out| {
        let (expr, at) = (params.query()?, params.time("time")?.unwrap_or_else(|| source.now()));
        json::instant(out, &promql::instant(source, &expr, at)?, at)
    })
    .await
}

/// The values of a PromQL expression over a range of time; POST takes the same as a form.
#[utoipa::path(get, path = "/prometheus/api/v1/query_range", tag = "prometheus", params(
    ("query" = String, Query, description = "PromQL; what is not supported is refused by name"),
    ("start" = String, Query, description = "the first instant"),
    ("end" = String, Query, description = "the last instant"),
    ("step" = String, Query, description = "seconds or a duration such as 1m0s; at most 11,000 steps"),
    ("timeout" = Option<String>, Query, description = "seconds or a duration such as 5s, at most 20s"),
), responses(
    (status = 200, description = "as Prometheus answers", body = serde_json::Value),
    (status = 400, description = "the request cannot be understood", body = serde_json::Value),
    (status = 422, description = "the query cannot be executed", body = serde_json::Value),
    (status = 503, description = "it took too long, or too many ask", body = serde_json::Value),
))]
pub(super) async fn query_range(State(api): State<Api>, Caller(access): Caller, params: Params) -> Response {
    answer(api, access, params, |source, params, out| {
        let (expr, steps) = (params.query()?, params.steps()?);
        json::range(out, &promql::range(source, &expr, steps)?, steps)
    })
    .await
}

/// The names of labels, of the series that any `match[]` selects if there is one; POST takes the same as a form.
#[utoipa::path(get, path = "/prometheus/api/v1/labels", tag = "prometheus", params(
    ("match[]" = Option<Vec<String>>, Query, description = "selectors"),
    ("start" = Option<String>, Query, description = "only series with a sample since then, where there is a match[]"),
    ("end" = Option<String>, Query, description = "only series with a sample until then, where there is a match[]"),
    ("limit" = Option<i32>, Query, description = "how many at most; 0 for all"),
), responses(
    (status = 200, description = "as Prometheus answers", body = serde_json::Value),
    (status = 400, description = "the request cannot be understood", body = serde_json::Value),
))]
pub(super) async fn label_names(State(api): State<Api>, Caller(access): Caller, params: Params) -> Response {
    names(api, access, params, |labels, found| {
        for (name, _) in labels {
            if !found.contains(*name) {
                found.insert((*name).to_owned());
            }
        }
    })
    .await
}

/// The values of a label, of the series that any `match[]` selects if there is one.
#[utoipa::path(get, path = "/prometheus/api/v1/label/{name}/values", tag = "prometheus", params(
    ("name" = String, Path, description = "the label"),
    ("match[]" = Option<Vec<String>>, Query, description = "selectors"),
    ("start" = Option<String>, Query, description = "only series with a sample since then, where there is a match[]"),
    ("end" = Option<String>, Query, description = "only series with a sample until then, where there is a match[]"),
    ("limit" = Option<i32>, Query, description = "how many at most; 0 for all"),
), responses(
    (status = 200, description = "as Prometheus answers", body = serde_json::Value),
    (status = 400, description = "the request cannot be understood", body = serde_json::Value),
))]
pub(super) async fn label_values(
    State(api): State<Api>,
    Caller(access): Caller,
    Path(name): Path<String>,
    params: Params,
) -> Response {
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return json::error(&Error::bad(format!("invalid label name: {name:?}")));
    }
    names(api, access, params, move |labels, found| {
        if let Some((_, value)) = labels.iter().find(|(n, _)| *n == name)
            && !found.contains(*value)
        {
            found.insert((*value).to_owned());
        }
    })
    .await
}

/// The labels of the series that any `match[]` selects; POST takes the same as a form.
#[utoipa::path(get, path = "/prometheus/api/v1/series", tag = "prometheus", params(
    ("match[]" = Vec<String>, Query, description = "selectors"),
    ("start" = Option<String>, Query, description = "only series with a sample since then"),
    ("end" = Option<String>, Query, description = "only series with a sample until then"),
    ("limit" = Option<i32>, Query, description = "how many at most; 0 for all"),
), responses(
    (status = 200, description = "as Prometheus answers", body = serde_json::Value),
    (status = 400, description = "the request cannot be understood", body = serde_json::Value),
    (status = 422, description = "there are too many", body = serde_json::Value),
))]
pub(super) async fn series(State(api): State<Api>, Caller(access): Caller, params: Params) -> Response {
    answer(api, access, params, |source, params, out| {
        let (selectors, within, limit) = (params.selectors()?, params.within()?, params.limit("limit")?);
        if selectors.is_empty() {
            return Err(Error::bad("no match[] parameter provided"));
        }
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        for selector in &selectors {
            source.visit(selector, within, |labels| {
                found.insert(Labels::new(labels.iter().copied()));
                found.len() <= limit.min(MAX_NAMES)
            })?;
        }
        bounded(found.len(), limit)?;
        json::list(out, found.iter().take(limit), |out, labels| json::labels(out, labels.iter()))
    })
    .await
}

/// What the metrics that are whyd's own mean; what others send comes without it.
#[utoipa::path(get, path = "/prometheus/api/v1/metadata", tag = "prometheus", params(
    ("metric" = Option<String>, Query, description = "only of this one"),
    ("limit" = Option<i32>, Query, description = "how many at most; 0 for all"),
), responses((status = 200, description = "as Prometheus answers", body = serde_json::Value)))]
pub(super) async fn metadata(Caller(_): Caller, params: Params) -> Response {
    let limit = match params.limit("limit") {
        Ok(limit) => limit,
        Err(why) => return json::error(&why),
    };
    let wanted = params.get("metric");
    let own = OWN.into_iter().filter(|(name, ..)| wanted.is_none_or(|w| w == *name)).take(limit);
    let entries: BTreeMap<&str, [BTreeMap<&str, &str>; 1]> = own
        .map(|(name, kind, help)| (name, [BTreeMap::from([("type", kind), ("help", help), ("unit", "")])]))
        .collect();
    json::success(&json::value(&entries))
}

/// No exemplars are kept.
#[utoipa::path(get, path = "/prometheus/api/v1/query_exemplars", tag = "prometheus",
    responses((status = 200, description = "an empty list", body = serde_json::Value)))]
pub(super) async fn query_exemplars(Caller(_): Caller) -> Response {
    json::success("[]")
}

/// No rules are evaluated.
#[utoipa::path(get, path = "/prometheus/api/v1/rules", tag = "prometheus",
    responses((status = 200, description = "no groups", body = serde_json::Value)))]
pub(super) async fn rules(Caller(_): Caller) -> Response {
    json::success("{\"groups\":[]}")
}

/// No rules, no alerts of theirs; incidents are series.
#[utoipa::path(get, path = "/prometheus/api/v1/alerts", tag = "prometheus",
    responses((status = 200, description = "no alerts", body = serde_json::Value)))]
pub(super) async fn alerts(Caller(_): Caller) -> Response {
    json::success("{\"alerts\":[]}")
}

/// Which Prometheus this answers like. It names no features, by which Grafana would take it for another product.
#[utoipa::path(get, path = "/prometheus/api/v1/status/buildinfo", tag = "prometheus",
    responses((status = 200, description = "as Prometheus answers", body = serde_json::Value)))]
pub(super) async fn buildinfo(Caller(_): Caller) -> Response {
    let revision = concat!("whyd-", env!("CARGO_PKG_VERSION"));
    let empty = ["branch", "buildUser", "buildDate", "goVersion"].map(|field| (field, ""));
    let info: BTreeMap<&str, &str> = empty.into_iter().chain([("version", VERSION), ("revision", revision)]).collect();
    json::success(&json::value(&info))
}

/// The sorted set of what `take` gets from the labels of each series.
async fn names(
    api: Api,
    access: Access,
    params: Params,
    take: impl Fn(&[(&str, &str)], &mut BTreeSet<String>) + Send + 'static,
) -> Response {
    answer(api, access, params, move |source, params, out| {
        let (mut selectors, within, limit) = (params.selectors()?, params.within()?, params.limit("limit")?);
        // To look at the samples of all series would cost more than the names are worth.
        let within = within.filter(|_| !selectors.is_empty());
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }
        let mut found = BTreeSet::new();
        for selector in &selectors {
            source.visit(selector, within, |labels| {
                take(labels, &mut found);
                found.len() <= MAX_NAMES
            })?;
        }
        bounded(found.len(), limit)?;
        json::list(out, found.iter().take(limit), |out, name| out.push(&json::value(name)))
    })
    .await
}

fn bounded(found: usize, limit: usize) -> Result<(), Error> {
    if found <= MAX_NAMES || limit <= MAX_NAMES {
        return Ok(());
    }
    Err(Error::execution(format!("there are more than {MAX_NAMES}; a match[] or a limit has to narrow them")))
}

fn time_limit(params: &Params) -> Result<Duration, Error> {
    let asked = params.duration("timeout")?.and_then(|ms| u64::try_from(ms).ok());
    Ok(asked.map_or(LONGEST, |ms| Duration::from_millis(ms).min(LONGEST)))
}

/// Runs `work` on a thread that may block, when the caller's turn comes: to read the query, to evaluate it and to write
/// what comes out. It is told to stop when the time is over or the caller has gone.
async fn answer(
    api: Api,
    access: Access,
    params: Params,
    work: impl FnOnce(&Source<'_>, &Params, &mut Text) -> Result<(), Error> + Send + 'static,
) -> Response {
    match evaluated(api, access, params, work).await {
        Ok(pieces) => json::whole(pieces),
        Err(why) => json::error(&why),
    }
}

const REPLAYING: &str = "the log is still being read back: what was known before the start may be missing";

async fn evaluated(
    api: Api,
    access: Access,
    params: Params,
    work: impl FnOnce(&Source<'_>, &Params, &mut Text) -> Result<(), Error> + Send + 'static,
) -> Result<Pieces, Error> {
    let limit = time_limit(&params)?;
    if limit.is_zero() {
        return Err(Error::Timeout("query queue"));
    }
    let until = Instant::now() + limit;
    let turn = timeout_at(until, api.turns.take(&access)).await.map_err(|_| Error::Timeout("query queue"))??;
    let stop = StopAtEnd(Stop::default());
    let told = stop.0.clone();
    let running = tokio::task::spawn_blocking(move || {
        // Held until the thread is free again, not until the caller has lost patience.
        let _turn = turn;
        let warnings = if api.reader.status().replayed { &[][..] } else { &[REPLAYING][..] };
        let mut out = Text::new(api.turns.unsent.clone(), told.clone());
        out.push(json::BEGINS);
        work(&Source::new(&*api.reader, &access, (api.clock)(), told), &params, &mut out)?;
        json::ends(&mut out, warnings);
        out.finish()
    });
    match timeout_at(until, running).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::execution("the evaluation ended by a panic")),
        Err(_) => Err(Error::Timeout("expression evaluation")),
    }
}

/// Stops the evaluation when the request is over, however it ends.
struct StopAtEnd(Stop);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[cfg(test)]
mod tests;
