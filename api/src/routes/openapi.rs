//! `GET /openapi.json`: the document, made from the code.

mod receivers;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use self::receivers::Receivers;
use super::{
    anomalies, baselines, cohorts, health, incidents, metrics, page, prometheus, restarts, sql, suspects, timeline, why,
};
use crate::dto;

#[derive(OpenApi)]
#[openapi(
    info(title = "whyd", description = "Why did this pod restart?"),
    paths(
        page::index,
        page::script,
        page::timeline,
        page::answer,
        page::drawing,
        page::memory,
        page::style,
        why::why,
        restarts::restarts,
        anomalies::anomalies,
        incidents::incidents,
        incidents::incident,
        timeline::timeline,
        cohorts::cohorts,
        baselines::baselines,
        baselines::watched,
        suspects::suspects,
        suspects::of_incident,
        sql::sql,
        health::livez,
        health::readyz,
        metrics::metrics,
        metrics::incidents,
        prometheus::query,
        prometheus::query_range,
        prometheus::label_names,
        prometheus::label_values,
        prometheus::series,
        prometheus::metadata,
        prometheus::query_exemplars,
        prometheus::rules,
        prometheus::alerts,
        prometheus::buildinfo,
        openapi_json
    ),
    components(schemas(dto::Replay)),
    // The empty one: where the configuration lets anonymous requests in, none is needed.
    security((), ("bearer" = [])),
    modifiers(&Bearer, &Receivers),
    tags(
        (name = "api", description = "verdicts and incidents"),
        (name = "prometheus", description = "for Grafana's Prometheus datasource"),
        (name = "senders", description = "for those who send metrics, logs and alerts"),
        (name = "alertmanager", description = "for Grafana's Alertmanager datasource and amtool"),
        (name = "health", description = "the daemon itself"),
    )
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", scheme);
    }
}

/// The OpenAPI document as JSON; also what `whyd openapi` prints.
pub fn document() -> String {
    let mut text = serde_json::to_string_pretty(&Document::openapi()).unwrap_or_default();
    text.push('\n');
    text
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "health", security(()), responses(
    (status = 200, description = "the OpenAPI document", body = serde_json::Value),
))]
pub(super) async fn openapi_json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document())
}
