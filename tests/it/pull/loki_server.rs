//! A Loki made up for the tests: `query_range` by its contract and nothing else. It is not the real one; that one is asked
//! by the tests that need `LOKI`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A line: nanoseconds, its tenant, its pod and its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    ns: i64,
    tenant: String,
    pod: String,
    text: String,
}

#[derive(Default)]
struct Told {
    lines: Vec<Line>,
    /// The start of each question that was answered, by tenant.
    starts: Vec<(String, i64)>,
    down: BTreeSet<String>,
}

pub(crate) struct LokiServer {
    pub(crate) address: SocketAddr,
    told: Arc<Mutex<Told>>,
    served: tokio::task::JoinHandle<()>,
}

impl LokiServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Mutex::new(Told::default()));
        let router = Router::new().route("/loki/api/v1/query_range", get(answer)).with_state(Arc::clone(&told));
        let served = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { address, told, served }
    }

    /// A line of a pod `web-1` of a tenant, whose namespace has its name.
    pub(crate) fn add(&self, ms: i64, tenant: &str, text: &str) {
        self.add_of("web-1", ms * 1_000_000, tenant, text);
    }

    pub(crate) fn add_of(&self, pod: &str, ns: i64, tenant: &str, text: &str) {
        let owned = str::to_owned;
        self.told.lock().unwrap().lines.push(Line { ns, tenant: owned(tenant), pod: owned(pod), text: owned(text) });
    }

    /// Whether a tenant is answered with an error.
    pub(crate) fn fail(&self, tenant: &str, fails: bool) {
        let down = &mut self.told.lock().unwrap().down;
        if fails {
            down.insert(tenant.to_owned())
        } else {
            down.remove(tenant)
        };
    }

    /// The starts of the questions of a tenant that were answered.
    pub(crate) fn starts(&self, tenant: &str) -> Vec<i64> {
        let told = self.told.lock().unwrap();
        told.starts.iter().filter(|(t, _)| t == tenant).map(|(_, start)| *start).collect()
    }
}

impl Drop for LokiServer {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// Lines from the start to before the end, the oldest first, at most 5000; their structured metadata apart from their
/// labels only where that is asked for. Without a tenant all of them.
async fn answer(
    State(told): State<Arc<Mutex<Told>>>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    let tenant = headers.get("x-scope-orgid").map(|t| t.to_str().unwrap().to_owned());
    let tenant_name = tenant.clone().unwrap_or_default();
    let number = |name: &str| asked[name].parse::<i64>().unwrap();
    let (start, end, limit) = (number("start"), number("end"), number("limit") as usize);
    assert!(asked["direction"] == "forward" && limit <= 5000 && asked["query"] == "{namespace=~\".+\"}", "{asked:?}");
    assert_eq!(headers["x-loki-response-encoding-flags"], "categorize-labels");
    let mut told = told.lock().unwrap();
    if told.down.contains(&tenant_name) {
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!("an ingester is gone")));
    }
    told.starts.push((tenant_name, start));
    let wanted = |l: &&Line| (start..end).contains(&l.ns) && tenant.as_ref().is_none_or(|t| l.tenant == *t);
    let mut lines: Vec<&Line> = told.lines.iter().filter(wanted).collect();
    lines.sort_by_key(|l| l.ns);
    lines.truncate(limit);
    let mut streams: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let third = json!({"structuredMetadata": {"pod": line.pod}});
        streams.entry(&line.tenant).or_default().push(json!([line.ns.to_string(), line.text, third]));
    }
    let result: Vec<Value> = streams
        .into_iter()
        .map(|(tenant, values)| json!({"stream": {"namespace": tenant, "container": "app"}, "values": values}))
        .collect();
    let data = json!({"resultType": "streams", "result": result, "encodingFlags": ["categorize-labels"], "stats": {}});
    (StatusCode::OK, Json(json!({"status": "success", "data": data})))
}
