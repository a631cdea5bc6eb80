//! The surface that Grafana sees, by the pitfalls that break it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use std::sync::Arc;

use whyd_signals::Access;

use crate::Api;
use crate::routes::fixture::{CANARY, Fixture, at, door, get, routes, send, sent};

const API: &str = "/prometheus/api/v1";

async fn post(router: &Router, path: &str, form: &str) -> (StatusCode, String) {
    let request =
        Request::post(format!("{API}{path}")).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let response = router.clone().oneshot(request.body(Body::from(form.to_owned())).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn answers_have_the_shapes_that_grafana_parses() {
    let router = routes(Fixture::default());
    let cases = [
        ("/query?query=1%2B1&time=4", r#"{"resultType":"scalar","result":[4,"2"]}"#),
        (
            "/query?query=up{pod=%22web-1%22}&time=1790000060.5",
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"kube","namespace":"a","pod":"web-1"},"value":[1790000060.500,"0"]}]}"#,
        ),
        // Without a time it is now.
        ("/query?query=sum(up)", r#"{"resultType":"vector","result":[{"metric":{},"value":[1790000060,"2"]}]}"#),
        (
            "/query?query=odd[1m]&time=2026-09-21T14:14:20Z",
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"odd","namespace":"a"},"values":[[1790000000,"NaN"],[1790000030,"+Inf"],[1790000060,"0.5"]]}]}"#,
        ),
        ("/query?query=none&time=4", r#"{"resultType":"vector","result":[]}"#),
        (
            "/query_range?query=sum(up)&start=1790000000&end=1790000060&step=1m0s",
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1790000000,"3"],[1790000060,"2"]]}]}"#,
        ),
        ("/query_range?query=none&start=0&end=60&step=15", r#"{"resultType":"matrix","result":[]}"#),
        (
            "/query_range?query=2&start=0&end=1&step=0.5",
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[0,"2"],[0.500,"2"],[1,"2"]]}]}"#,
        ),
        // A region of an annotation.
        (
            "/query_range?query=count(whyd_incident_active{incident_id=%22i-1%22})&start=1790000000&end=1790000120&step=30",
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1790000030,"1"],[1790000060,"1"]]}]}"#,
        ),
        ("/labels?match[]=up&match[]=odd", r#"["__name__","job","namespace","pod"]"#),
        ("/labels?match[]=up&match[]=odd&limit=2", r#"["__name__","job"]"#),
        ("/labels?match[]=up&match[]=odd&limit=0", r#"["__name__","job","namespace","pod"]"#),
        ("/labels?match[]=none", "[]"),
        ("/label/pod/values?match[]=up{namespace=%22a%22}", r#"["web-1","web-2"]"#),
        ("/label/pod/values?match[]=up&start=1790000061&end=1790000090", "[]"),
        ("/label/nothing/values", "[]"),
        (
            "/series?match[]=odd&match[]=up{pod=%22web-2%22}",
            r#"[{"__name__":"odd","namespace":"a"},{"__name__":"up","job":"kube","namespace":"a","pod":"web-2"}]"#,
        ),
        ("/series?match[]=none", "[]"),
        ("/query_exemplars?query=test", "[]"),
        ("/rules", r#"{"groups":[]}"#),
        ("/alerts", r#"{"alerts":[]}"#),
    ];
    for (path, want) in cases {
        let answer = get(&router, &format!("{API}{path}").replace('{', "%7B").replace('}', "%7D"), None).await;
        assert_eq!(answer.text, format!("{{\"status\":\"success\",\"data\":{want}}}"), "{path}");
        assert_eq!(
            (answer.status, answer.headers[header::CONTENT_TYPE].to_str().unwrap()),
            (StatusCode::OK, "application/json")
        );
    }
    let metadata = get(&router, &format!("{API}/metadata"), None).await.json();
    assert_eq!(metadata["data"]["whyd_restart_total"][0]["type"], "counter");
    let build = get(&router, &format!("{API}/status/buildinfo"), None).await.json();
    assert_eq!((&build["data"]["version"], build["data"].get("features")), (&json!("2.42.0"), None));
}

#[tokio::test]
async fn forms_are_taken_as_addresses_are() {
    let router = routes(Fixture::default());
    for (path, parameters) in [
        ("/query", "query=sum(up)&time=1790000060"),
        ("/query_range", "query=up&start=1790000000&end=1790000060&step=15s"),
        ("/labels", "match%5B%5D=up&match%5B%5D=odd"),
        ("/series", "match%5B%5D=up&match%5B%5D=odd"),
    ] {
        let by_address = get(&router, &format!("{API}{path}?{parameters}"), None).await;
        let by_form = post(&router, path, parameters).await;
        assert_eq!((by_address.status, by_address.text), by_form, "{path}");
        assert_eq!(by_form.0, StatusCode::OK, "{path}");
    }
    for path in ["/label/pod/values", "/metadata"] {
        assert_eq!(post(&router, path, "").await.0, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    let large = format!("query={}", "1".repeat(1 << 20));
    assert_eq!(post(&router, "/query", &large).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn errors_keep_the_envelope() {
    let router = routes(Fixture::default());
    let cases = [
        ("/query", 400, "bad_data", "invalid parameter \"query\""),
        ("/query?query=a%20b", 400, "bad_data", "1:3: parse error"),
        (
            "/query?query=1&time=x",
            400,
            "bad_data",
            "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp",
        ),
        ("/query?query=1&time=1e18", 400, "bad_data", "invalid parameter \"time\""),
        ("/query?query=1&time=NaN", 400, "bad_data", "invalid parameter \"time\""),
        ("/query?query=absent(up)", 400, "bad_data", "the function \"absent\" is not supported by whyd"),
        ("/query?query=-%7Bnamespace=%22a%22%7D", 422, "execution", "same labelset"),
        ("/query?query=up&timeout=0", 503, "timeout", "query timed out in"),
        ("/query_range?query=1&start=0&end=60", 400, "bad_data", "invalid parameter \"step\""),
        (
            "/query_range?query=1&start=0&end=60&step=0",
            400,
            "bad_data",
            "zero or negative query resolution step widths",
        ),
        ("/query_range?query=1&start=60&end=0&step=1", 400, "bad_data", "end timestamp must not be before start time"),
        (
            "/query_range?query=1&start=0&end=11001&step=1",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "/query_range?query=up[5m]&start=0&end=60&step=1",
            400,
            "bad_data",
            "invalid expression type \"range vector\" for range query",
        ),
        ("/series", 400, "bad_data", "no match[] parameter provided"),
        ("/series?match[]=sum(up)", 400, "bad_data", "expected a vector selector"),
        ("/labels?limit=x", 400, "bad_data", "invalid parameter \"limit\""),
        ("/label/a-b/values", 400, "bad_data", "invalid label name"),
    ];
    for (path, status, kind, text) in cases {
        let answer = get(&router, &format!("{API}{path}"), None).await;
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(
            (answer.status.as_u16(), &body["status"], &body["errorType"]),
            (status, &json!("error"), &json!(kind)),
            "{path}: {body}"
        );
        assert!(body["error"].as_str().unwrap().contains(text), "{path}: {body}");
    }
    assert_eq!(
        get(&router, &format!("{API}/query_range?query=1&start=0&end=11000&step=1"), None).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn other_paths_are_not_there() {
    let router = routes(Fixture::default());
    for path in
        ["/status/flags", "/status/config", "/status/runtimeinfo", "/targets", "/format_query", "/", "/labels/x"]
    {
        assert_eq!(get(&router, &format!("{API}{path}"), None).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/prometheus", "/prometheus/", "/prometheus/-/healthy", "/prometheus/graph"] {
        assert_eq!(get(&router, path, None).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(send(&router, "DELETE", &format!("{API}/series"), None).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn another_team_never_shows_on_any_path() {
    let router = routes(Fixture::default());
    let tries = [
        "/query?query=up",
        "/query?query=%7B__name__=~%22.%2B%22%7D&time=1790000060",
        "/query?query=%7B__name__=~%22.%2B%22%7D[5m]&time=1790000060",
        "/query?query=%7Bcanary_label=%22x%22%7D[5m]",
        "/query?query=sum(up)by(namespace)",
        "/query?query=-%7Bnamespace!=%22%22%7D",
        "/query?query=up%2Bon()up",
        "/query?query=whyd_incident_active",
        "/query?query=whyd_incident_start_ms",
        "/query?query=whyd_restart_total",
        "/query?query=whyd_anomaly_score",
        "/query_range?query=%7B__name__=~%22.%2B%22%7D&start=1790000000&end=1790000060&step=15",
        "/labels",
        "/labels?match[]=up",
        "/label/__name__/values",
        "/label/namespace/values",
        "/label/pod/values?match[]=up",
        "/label/node/values",
        "/series?match[]=%7B__name__=~%22.%2B%22%7D",
        "/series?match[]=up&start=0",
        "/metadata",
        "/rules",
        "/alerts",
        "/query_exemplars",
        "/status/buildinfo",
        "/status/flags",
    ];
    let mut shown = 0;
    for path in tries {
        for token in ["a", "b"] {
            let answer = get(&router, &format!("{API}{path}"), Some(token)).await;
            let asked = path.contains(CANARY);
            assert!(asked || !answer.text.contains(CANARY), "{path} as {token}: {}", answer.text);
            assert!(token == "a" || !answer.text.contains("web-1"), "{path} as {token}: {}", answer.text);
        }
        shown += usize::from(get(&router, &format!("{API}{path}"), None).await.text.contains(CANARY));
        assert_ne!(get(&router, &format!("{API}{path}"), Some("wrong")).await.status, StatusCode::OK, "{path}");
    }
    // The admin sees them, so the tries would tell.
    assert!(shown > 10, "{shown}");
    let count = get(&router, &format!("{API}/query?query=count(up)&time=1790000060"), Some("a")).await.json();
    assert_eq!(count["data"]["result"][0]["value"][1], "2");
}

#[tokio::test]
async fn what_is_not_read_back_yet_is_a_warning() {
    let mut fixture = Fixture::default();
    fixture.status.replayed = false;
    let answer = get(&routes(fixture), &format!("{API}/query?query=sum(up)"), None).await.json();
    assert_eq!(answer["data"]["result"][0]["value"][1], "2");
    assert!(answer["warnings"][0].as_str().unwrap().contains("still being read back"));
}

/// The API with what its routes share.
fn api(fixture: Fixture) -> (Api, Router) {
    let api = Api::new(Arc::new(fixture), door(), Arc::new(|| at(60)));
    (api.clone(), crate::router(api, Router::new()))
}

#[tokio::test]
async fn a_query_is_not_even_read_before_its_turn() {
    let (api, router) = api(Fixture::default());
    let turns = [api.turns.take(&Access::All).await, api.turns.take(&Access::All).await];
    for path in ["/query?query=a%20b", "/series?match[]=a%20b", "/labels?match[]=a%20b", "/query_range?query=a%20b"] {
        let answer = get(&router, &format!("{API}{path}&timeout=0.01"), None).await;
        assert_eq!(
            (answer.status, answer.json()["errorType"].clone()),
            (StatusCode::SERVICE_UNAVAILABLE, "timeout".into())
        );
    }
    // Another caller does not wait for them.
    assert_eq!(get(&router, &format!("{API}/query?query=up"), Some("a")).await.status, StatusCode::OK);
    drop(turns);
    assert_eq!(get(&router, &format!("{API}/query?query=a%20b"), None).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn one_budget_of_regular_expressions_holds_for_a_request() {
    let router = routes(Fixture::default());
    let bomb = (0..32).map(|_| r#"a=~"N\\pL{50}x""#).collect::<Vec<_>>().join(",");
    let form = |selector: &str, times: usize| {
        let one: String = selector.bytes().map(|b| format!("%{b:02x}")).collect();
        vec![format!("match%5B%5D={one}"); times].join("&")
    };
    let began = std::time::Instant::now();
    let cases = [
        (form(&format!("{{{bomb}}}"), 16), "bytes compiled"),
        (form(r#"up{pod=~"web-.*"}"#, 33), "more than 32 regular expressions"),
        (form("(", 65), "there are more than 64"),
        ("a&".repeat(2000), "more than 1000 parameters"),
    ];
    for (form, why) in cases {
        let (status, text) = post(&router, "/series", &form).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains(why), "{status} {text}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(post(&router, "/series", &form(r#"up{pod=~"web-.*"}"#, 32)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_answer_is_bounded_and_counted_until_it_is_read() {
    let samples: Vec<(i64, f64)> = (0..10_900).map(|s| (s, 0.125)).collect();
    let many = (0..150).map(|n| sent(&[("__name__", "many"), ("n", &n.to_string())], &samples));
    let (api, router) = api(Fixture { samples: Arc::new(many.collect()), ..Fixture::default() });
    let room = || api.turns.unsent.0.available_permits();
    let all = room();
    let path = |query: &str| format!("{API}/query_range?query={query}&start=1790000000&end=1790010900&step=1");
    let answer = get(&router, &path("many"), None).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["errorType"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("execution")));
    assert!(body["error"].as_str().unwrap().contains("more than 32 MiB: ask for fewer series"), "{body}");
    assert_eq!(room(), all);

    let ask = |query: &str| router.clone().oneshot(Request::get(path(query)).body(Body::empty()).unwrap());
    let unread = ask("many{n=~%22..%22}").await.unwrap();
    let length: usize = unread.headers()[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
    assert!(length > 20_000_000 && room() == all - length, "{length} {}", room());
    let mut others = Vec::new();
    let refused = loop {
        let answer = ask("many{n=~%22..%22}").await.unwrap();
        if answer.status() != StatusCode::OK {
            break answer;
        }
        others.push(answer);
    };
    assert_eq!((refused.status(), others.len()), (StatusCode::SERVICE_UNAVAILABLE, all / length - 1));
    let text = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("\"errorType\":\"unavailable\""), "{text:?}");
    drop(others);
    assert_eq!(unread.into_body().collect().await.unwrap().to_bytes().len(), length);
    assert_eq!(room(), all);
}
