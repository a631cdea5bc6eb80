//! `GET /metrics`: the daemon's own counters in Prometheus' text format 0.0.4.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use whyd_signals::Access;

use super::Api;
use crate::access::Caller;
use crate::alertmanager::board::gauge;
use crate::problem::{ErrorKind, Failure, ProblemDetails};
use crate::reader::{Kind, Metric};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The daemon's own metrics. They count across teams, hence only for who may see all.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "text format 0.0.4", body = String, content_type = "text/plain"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
    (status = 403, description = "a team's token", body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn metrics(State(api): State<Api>, Caller(access): Caller) -> Result<impl IntoResponse, Failure> {
    if access != Access::All {
        return Err(Failure::new(ErrorKind::Forbidden, "metrics count across teams and need the platform's access"));
    }
    let mut metrics = api.reader.metrics();
    metrics.push(gauge(&api.reader.alerts(&access)));
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], exposition(&metrics)))
}

/// The open incidents as a gauge, for a team's own Prometheus.
#[utoipa::path(get, path = "/metrics/incidents", operation_id = "metrics_of_incidents", tag = "health", responses(
    (status = 200, description = "text format 0.0.4", body = String, content_type = "text/plain"),
    (status = 401, description = "no valid token", body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn incidents(State(api): State<Api>, Caller(access): Caller) -> impl IntoResponse {
    let mut active = api.reader.alerts(&access);
    active.retain(|alert| access.allows(&alert.identity.team));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], exposition(&[gauge(&active)]))
}

fn exposition(metrics: &[Metric]) -> String {
    let mut out = String::new();
    for metric in metrics {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        out.push_str("# HELP ");
        out.push_str(metric.name);
        out.push(' ');
        escape(&mut out, metric.help, false);
        let _ = writeln!(out, "\n# TYPE {} {kind}", metric.name);
        for (labels, value) in &metric.samples {
            out.push_str(metric.name);
            for (i, (name, text)) in labels.iter().enumerate() {
                out.push(if i == 0 { '{' } else { ',' });
                out.push_str(name);
                out.push_str("=\"");
                escape(&mut out, text, true);
                out.push('"');
            }
            if !labels.is_empty() {
                out.push('}');
            }
            out.push(' ');
            number(&mut out, *value);
            out.push('\n');
        }
    }
    out
}

/// A quote is escaped in a label's value and stands for itself in a help text.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

fn number(out: &mut String, value: f64) {
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let _ = write!(out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_special_numbers() {
        let metrics = [
            Metric {
                name: "whyd_discarded_total",
                help: "rows \"lost\"\nby \\reason",
                kind: Kind::Counter,
                samples: vec![
                    (vec![("reason", "a\"b\\c\nd".into()), ("x", String::new())], 3.0),
                    (vec![], f64::INFINITY),
                ],
            },
            Metric {
                name: "whyd_g",
                help: "",
                kind: Kind::Gauge,
                samples: vec![(vec![], f64::NAN), (vec![], -0.25), (vec![], f64::NEG_INFINITY)],
            },
        ];
        let want = r#"# HELP whyd_discarded_total rows "lost"\nby \\reason
# TYPE whyd_discarded_total counter
whyd_discarded_total{reason="a\"b\\c\nd",x=""} 3
whyd_discarded_total +Inf
# HELP whyd_g 
# TYPE whyd_g gauge
whyd_g NaN
whyd_g -0.25
whyd_g -Inf
"#;
        assert_eq!(exposition(&metrics), want);
    }
}
