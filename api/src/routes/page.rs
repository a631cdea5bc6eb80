//! `GET /`: a page for people that shows the newest restarts, and for programs what can be asked.
//!
//! The page holds no data: its script asks the API, with the token that was typed in, so that it shows what that token may see.

use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::dto::{Index, IndexLink};

const HTML: &str = include_str!("../page/index.html");
const SCRIPT: &str = include_str!("../page/page.js");
const TIMELINE: &str = include_str!("../page/timeline.js");
const DRAWING: &str = include_str!("../page/drawing.js");
const MEMORY: &str = include_str!("../page/memory.js");
const ANSWER: &str = include_str!("../page/answer.js");
const STYLE: &str = include_str!("../page/page.css");
/// Nothing is loaded from elsewhere, nothing of what is shown is run, and nobody puts the page into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; \
    base-uri 'none'; frame-ancestors 'none'";
/// What a program is told of first.
const LINKS: [(&str, &str); 14] = [
    ("/openapi.json", "all that can be asked, and how"),
    ("/api/v1/why?pod={pod}", "why a pod, or the pods of a workload, restarted"),
    ("/api/v1/restarts", "what restarted, newest first, each with its cause"),
    ("/api/v1/incidents", "what belongs together, newest first"),
    ("/api/v1/anomalies", "what was unlike its own past, newest first"),
    ("/api/v1/suspects", "which workloads are likeliest the root of what is wrong now"),
    ("/api/v1/workloads/{namespace}/{name}/timeline", "all that happened to a workload, in the order of time"),
    ("/api/v1/cohorts", "what those that restarted share more than chance would have it"),
    ("/api/v1/baselines", "what each watched metric of each workload is judged by, and what is usual now"),
    ("/api/v1/watched", "which metrics are held against their own past"),
    ("/api/v1/sql", "one SELECT over restarts, events, logs, samples and more; SHOW TABLES says which"),
    ("/prometheus/api/v1/query?query={promql}", "the same as series; a datasource of Grafana has the URL /prometheus"),
    ("/metrics", "whyd's own figures"),
    ("/readyz", "whether it can be asked, and how fresh its view is"),
];

/// The page, where HTML is accepted; else what can be asked.
#[utoipa::path(get, path = "/", tag = "health", security(()), responses(
    (status = 200, description = "the page, or for who does not accept HTML what can be asked", body = Index),
))]
pub(super) async fn index(headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let html = accepted.flat_map(|value| value.split(',')).any(is_html);
    // What is kept of one is no answer for the other.
    let vary = [(header::VARY, "accept")];
    if html {
        return (vary, file("text/html; charset=utf-8", HTML)).into_response();
    }
    let links = LINKS.map(|(path, what)| IndexLink { path: path.to_owned(), what: what.to_owned() });
    (vary, Json(Index { links: links.into() })).into_response()
}

/// Whether this, of what is accepted, is HTML; with the quality nought it is what is not accepted.
fn is_html(accepted: &str) -> bool {
    let mut said = accepted.split(';').map(str::trim);
    let is_refused = |said: &str| {
        let quality = said.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        quality.is_some_and(|(_, value)| value.trim().parse() == Ok(0.0))
    };
    said.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html")) && !said.any(is_refused)
}

/// Its script.
#[utoipa::path(get, path = "/page.js", tag = "health", security(()), responses(
    (status = 200, description = "the script of the page", body = String, content_type = "text/javascript"),
))]
pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

/// Of its script, what draws the timeline.
#[utoipa::path(get, path = "/timeline.js", operation_id = "page_timeline", tag = "health", security(()), responses(
    (status = 200, description = "a part of the script of the page", body = String, content_type = "text/javascript"),
))]
pub(super) async fn timeline() -> Response {
    file("text/javascript; charset=utf-8", TIMELINE)
}

/// Of its script, what pictures are made of.
#[utoipa::path(get, path = "/drawing.js", tag = "health", security(()), responses(
    (status = 200, description = "a part of the script of the page", body = String, content_type = "text/javascript"),
))]
pub(super) async fn drawing() -> Response {
    file("text/javascript; charset=utf-8", DRAWING)
}

/// Of its script, what draws memory.
#[utoipa::path(get, path = "/memory.js", tag = "health", security(()), responses(
    (status = 200, description = "a part of the script of the page", body = String, content_type = "text/javascript"),
))]
pub(super) async fn memory() -> Response {
    file("text/javascript; charset=utf-8", MEMORY)
}

/// Of its script, what shows one answer.
#[utoipa::path(get, path = "/answer.js", tag = "health", security(()), responses(
    (status = 200, description = "a part of the script of the page", body = String, content_type = "text/javascript"),
))]
pub(super) async fn answer() -> Response {
    file("text/javascript; charset=utf-8", ANSWER)
}

/// Its style.
#[utoipa::path(get, path = "/page.css", tag = "health", security(()), responses(
    (status = 200, description = "the style of the page", body = String, content_type = "text/css"),
))]
pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another version has another page.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    use whyd_signals::Timestamp;

    use super::*;
    use crate::routes::fixture::Fixture;
    use crate::routes::{Api, router, table};
    use crate::{Anonymous, Door};

    /// What the index answers to one who carries no token where one is needed.
    async fn asked(accept: Option<&str>) -> (StatusCode, HeaderMap, String) {
        let door = Door::new(Anonymous::None, Vec::new()).unwrap();
        let router = router(Api::new(Arc::new(Fixture::default()), door, Arc::new(|| Timestamp(0))), Router::new());
        let mut request = Request::builder().uri("/");
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT, accept);
        }
        let (parts, body) = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        (parts.status, parts.headers, text)
    }

    #[tokio::test]
    async fn browsers_get_the_page_and_programs_what_can_be_asked() {
        let (status, headers, text) = asked(Some("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")).await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, HTML));
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY);
        assert!(!POLICY.contains("unsafe") && headers[header::VARY] == "accept");
        for accept in ["text/html", "application/json;q=0.1, Text/HTML ; Q=0.9", "text/html;level=1;q=0.001"] {
            assert_eq!(asked(Some(accept)).await.2, HTML, "{accept}");
        }
        let refused = ["text/html;q=0", "text/html; q=0.000, */*", "text/html;level=1 ; Q = 0.0", "text/htmlx"];
        for accept in [None, Some("*/*"), Some("application/json")].into_iter().chain(refused.map(Some)) {
            let (status, _, text) = asked(accept).await;
            let index: Index = serde_json::from_str(&text).unwrap();
            assert_eq!((status, index.links.len()), (StatusCode::OK, LINKS.len()));
        }
    }

    #[test]
    fn all_that_is_named_is_there() {
        let routed: Vec<&str> = table().into_iter().map(|(path, _)| path).collect();
        let there = |path: &str| routed.contains(&path);
        for (path, _) in LINKS {
            assert!(there(path.split('?').next().unwrap()), "{path}");
        }
        let of_html = ["href=\"", "src=\""].into_iter().flat_map(|from| HTML.split(from).skip(1));
        let of_script = ["ask(\"", "ask(`", "from \"./"].into_iter().flat_map(|from| SCRIPT.split(from).skip(1));
        let named = of_html.chain(of_script).filter_map(|rest| rest.split(['"', '?', '`']).next());
        let named: Vec<&str> = named.filter(|path| !path.contains('\n')).collect();
        assert!(named.len() >= 11, "{named:?}");
        for path in named {
            // What is filled in bears the name that the route has for it.
            let path = path.replace("${one.", "{");
            assert!(there(&format!("/{}", path.trim_start_matches('/'))), "{path}");
        }
        // What is shown is text, whoever wrote it.
        let markup = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("];
        for (markup, script) in
            markup.into_iter().flat_map(|markup| [(markup, SCRIPT), (markup, TIMELINE), (markup, ANSWER)])
        {
            assert!(!script.contains(markup), "{markup}");
        }
    }
}
