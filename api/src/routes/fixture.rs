#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! A reader over two teams, of which one must never show.

use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use whyd_signals::schema::{
    Alert, Anomaly, Change, Evidence, EvidenceSource, Incident, IncidentStatus, Restart, Root, RuledOut, Severity,
};
use whyd_signals::{Access, Asked, Sample, SeriesId, Team, Timestamp};

use crate::alertmanager::{Active, Identity};
use crate::dto::{
    Baseline, BaselineState, Heard, Learning, MemoryUse, Problem, Ranked, Standing, StandingState, Suspects,
    WatchedMetric,
};
use crate::{
    Anonymous, Api, Door, Grant, Kind, Metric, PodName, Reader, SeriesSet, SourceStatus, Status, TellsOf, Told,
    Unheard, Visit, Wanted, Whom, WrongAt, router,
};

/// In every name and text of the other team.
pub(crate) const CANARY: &str = "canary";

/// The namespaces of a team are its name and what follows a dash.
pub(crate) fn team_of(namespace: &str) -> Team {
    Team::new(namespace.split('-').next().unwrap_or_default())
}

pub(crate) struct Fixture {
    pub(crate) restarts: Vec<Arc<Restart>>,
    pub(crate) incidents: Vec<Arc<Incident>>,
    pub(crate) pods: Vec<PodName>,
    pub(crate) status: Status,
    pub(crate) samples: Arc<Vec<Sent>>,
    /// All whoever asks, as the samples are.
    pub(crate) anomalies: Vec<Arc<Anomaly>>,
    /// Likewise.
    pub(crate) told: Vec<Told>,
    /// On which thread it was asked what was being learnt.
    pub(crate) asked_on: Arc<Mutex<Vec<ThreadId>>>,
}

/// A series: its labels, and samples by the second after [`at`]`(0)`.
pub(crate) struct Sent {
    labels: Vec<(String, String)>,
    samples: Vec<Sample>,
}

/// A series from its labels as PromQL writes them.
pub(crate) fn sent(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Sent {
    let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Sent { labels, samples: samples.iter().map(|(s, value)| Sample { ts: at(*s), value: *value }).collect() }
}

/// All series whoever asks, so that nothing but the second lock hides any.
struct All(Arc<Vec<Sent>>);

impl SeriesSet for All {
    fn visit(&self, _: &Wanted<'_>, visit: &mut Visit<'_>) {
        for (n, one) in self.0.iter().enumerate() {
            let labels: Vec<(&str, &str)> = one.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            if !visit(SeriesId(n as u32), &labels) {
                return;
            }
        }
    }
    fn samples(&self, id: SeriesId, from: Timestamp, to: Timestamp) -> Vec<Sample> {
        self.0[id.0 as usize].samples.iter().filter(|s| (from..=to).contains(&s.ts)).copied().collect()
    }
    fn newest(&self, id: SeriesId, to: Timestamp) -> Option<Timestamp> {
        self.samples(id, Timestamp::MIN, to).last().map(|s| s.ts)
    }
}

/// A reader that filters as the buffers do.
impl Reader for Fixture {
    fn restarts(&self, access: &Access, wanted: &dyn Fn(&Restart) -> bool) -> Vec<Arc<Restart>> {
        self.restarts.iter().filter(|r| access.allows(&r.team) && wanted(r)).cloned().collect()
    }
    fn incidents(&self, access: &Access, wanted: &dyn Fn(&Incident) -> bool) -> Vec<Arc<Incident>> {
        self.incidents.iter().filter(|i| access.allows(&i.team) && wanted(i)).cloned().collect()
    }
    fn anomalies(&self, _: &Access) -> Vec<Arc<Anomaly>> {
        self.anomalies.clone()
    }
    fn changes(&self, access: &Access, namespace: &str) -> Vec<Change> {
        let change = |namespace: &str, name: &str| Change {
            ts: at(5),
            team: team_of(namespace),
            namespace: namespace.to_owned(),
            kind: "Deployment".into(),
            name: name.to_owned(),
            what: "image".into(),
            detail: "web: a to b".into(),
            by: "kubectl".into(),
        };
        let all = [change("a", "web"), change(CANARY, CANARY)];
        all.into_iter().filter(|c| c.namespace == namespace && access.allows(&c.team)).collect()
    }
    /// Of all teams, whoever asks.
    fn suspects(&self, _: &Access, at: WrongAt, namespace: Option<&str>) -> Suspects {
        let ranked = |namespace: &str, name: String, score: f64| Ranked {
            kind: "Deployment".into(),
            namespace: namespace.to_owned(),
            because: vec![format!("{name} is slow")],
            name,
            score,
        };
        let mut ranking = vec![ranked("a", "web".into(), 1.5), ranked(CANARY, format!("{CANARY}-db"), 0.5)];
        ranking.retain(|r| namespace.is_none_or(|namespace| namespace == r.namespace));
        let problems =
            vec![Problem { source: None, detail: "7 lines are more than is ranked and were left out".into() }];
        Suspects { at: at.until, onset: at.first, ranking, problems }
    }
    fn told(&self, _: &Access, _: &TellsOf<'_>) -> Vec<Told> {
        self.told.clone()
    }
    /// All whoever asks, as the samples are.
    fn baselines(&self, _: &Access, wanted: &dyn Fn(&str, &str) -> bool) -> Vec<Baseline> {
        let mut all = vec![
            baseline("a", "Deployment/web", BaselineState::Days),
            baseline("a", "Deployment/api", BaselineState::Learning),
            baseline(CANARY, "Deployment/canary-db", BaselineState::Hours),
            baseline("", "Node/canary-node", BaselineState::Hours),
        ];
        all.retain(|b| wanted(&b.namespace, &b.workload));
        all
    }
    fn watched(&self) -> Vec<WatchedMetric> {
        let text = str::to_owned;
        let (metric, words, why) = (text("container_threads"), text("threads"), text("a leak ends at the pids limit"));
        vec![WatchedMetric { metric, kind: text("gauge"), bad: text("more"), words, why }]
    }
    fn learning(&self, _: &Access, row: &Restart) -> Option<Learning> {
        self.asked_on.lock().unwrap().push(std::thread::current().id());
        (row.workload == "Deployment/api").then(|| Learning { since: at(1), until: at(601) })
    }
    fn memory(&self, _: &Access, _: &Restart) -> Option<MemoryUse> {
        None
    }
    /// Of all teams, whoever asks.
    fn standing(&self, _: &Access, whom: &Whom<'_>, at: Timestamp) -> Option<Standing> {
        let text = format!("{}/{}, container {}", whom.namespace, whom.pod, whom.container.unwrap_or("none"));
        Some(Standing { at, state: StandingState::Running, ready: true, since: None, text })
    }
    fn pods(&self, access: &Access) -> Vec<PodName> {
        self.pods.iter().filter(|p| self.sees(access, &p.namespace)).cloned().collect()
    }
    /// All whoever asks.
    fn namespaces(&self, _: &Access) -> Vec<(Team, String)> {
        ["a", "a-empty", "canary-empty"].map(|name| (team_of(name), name.to_owned())).to_vec()
    }
    /// Likewise.
    fn workloads(&self, _: &Access) -> Vec<(String, String)> {
        [("a", "Deployment/idle"), ("a", "Rollout/idle"), (CANARY, "Deployment/idle-canary")]
            .map(|(space, workload)| (space.to_owned(), workload.to_owned()))
            .to_vec()
    }
    /// Likewise.
    fn heard(&self, _: &Access, asked: &Asked, _: Option<&str>) -> Vec<Heard> {
        let line = |namespace: &str| Heard {
            namespace: namespace.to_owned(),
            pod: "loner-1".to_owned(),
            source: "logs".to_owned(),
            since: at(1),
            last: at(9),
            text: format!("lines of {namespace}"),
            lines: Vec::new(),
        };
        let all = ["a", CANARY].map(line);
        all.into_iter().filter(|h| asked.begins_pod(&h.namespace, &h.pod)).collect()
    }
    fn sees(&self, access: &Access, namespace: &str) -> bool {
        access.allows(&team_of(namespace))
    }
    fn alerts(&self, access: &Access) -> Vec<Active> {
        let open = self.incidents(access, &|i| i.status == IncidentStatus::Open && i.suppressed_by.is_none());
        let active = |i: &Arc<Incident>| Active {
            identity: Identity::of("lab", i),
            incident_id: i.id.clone(),
            cause: Some(i.cause.clone()),
        };
        open.iter().map(active).collect()
    }
    fn series(&self, _: &Access) -> Box<dyn SeriesSet> {
        Box::new(All(Arc::clone(&self.samples)))
    }
    fn status(&self) -> Status {
        self.status.clone()
    }
    fn metrics(&self) -> Vec<Metric> {
        let samples = vec![(vec![("team", CANARY.to_owned())], 7.0)];
        vec![Metric { name: "whyd_rows_total", help: "rows", kind: Kind::Counter, samples }]
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_parts(1_790_000_000 + second, 0).unwrap()
}

pub(crate) fn restart(namespace: &str, workload: &str, pod: &str, container: &str, second: i64) -> Restart {
    Restart {
        team: team_of(namespace),
        namespace: namespace.into(),
        workload: format!("Deployment/{workload}"),
        pod: Some(pod.into()),
        pod_uid: Some(format!("uid-{pod}")),
        node: Some("node-1".into()),
        container: Some(container.into()),
        container_id: format!("containerd://{pod}-{second}"),
        restart_count: Some(second),
        started_at: Some(at(second - 5)),
        finished_at: Some(at(second)),
        exit_code: Some(137),
        signal: None,
        reason: Some("OOMKilled".into()),
        again: true,
        mechanism: "oom-limit".into(),
        cause: "oom-limit".into(),
        cause_detail: None,
        confidence: 0.95,
        root: Some(root(namespace, workload)),
        summary: format!("{container} of {pod} went over its memory limit"),
        evidence: vec![
            evidence(EvidenceSource::Kube, &format!("Pod/{pod}"), json!("OOMKilled"), "the kubelet says so"),
            evidence(EvidenceSource::Metrics, &format!("Pod/{pod}"), json!(67108864.0), "at its limit"),
        ],
        ruled_out: vec![ruled_out("the code is not 1", json!(137))],
        missing: vec!["events".into()],
        changes: Vec::new(),
        owner: String::new(),
        speaks_of: Vec::new(),
        shares: Vec::new(),
        incident_key: None,
        seen_at: at(second + 1),
    }
}

pub(crate) fn root(namespace: &str, name: &str) -> Root {
    Root { kind: "Deployment".into(), namespace: namespace.into(), name: name.into(), uid: "u".into() }
}

pub(crate) fn evidence(source: EvidenceSource, object: &str, value: Value, text: &str) -> Evidence {
    Evidence { source, at: None, object: object.into(), field: "f".into(), value, text: text.into() }
}

pub(crate) fn ruled_out(because: &str, value: Value) -> RuledOut {
    RuledOut { cause: "app-error".into(), because: because.into(), field: "exitCode".into(), value }
}

pub(crate) fn incident(namespace: &str, id: &str, status: IncidentStatus, second: i64, members: &[&str]) -> Incident {
    Incident {
        id: id.into(),
        group: String::new(),
        team: team_of(namespace),
        namespace: namespace.into(),
        severity: Severity::Critical,
        status,
        opened_at: at(second),
        resolved_at: (status == IncidentStatus::Resolved).then(|| at(second + 60)),
        cause: "oom-limit".into(),
        root: Some(root(namespace, "web")),
        members: members.iter().map(|m| (*m).to_owned()).collect(),
        restarts: 1,
        follows: None,
        formerly: Vec::new(),
        suppressed_by: None,
        part_of: None,
        parts: Vec::new(),
        speaks_of: Vec::new(),
        evidence: Vec::new(),
        summary: format!("web of {namespace} is out of memory"),
    }
}

fn pod(namespace: &str, workload: &str, name: &str) -> PodName {
    let workload = format!("Deployment/{workload}");
    PodName { team: team_of(namespace), namespace: namespace.into(), name: name.into(), workload }
}

impl Default for Fixture {
    fn default() -> Self {
        let mut blamed = restart("a", "api", "api-1", "api", 30);
        let canary_db = root("canary-data", "canary-db");
        blamed.root = Some(canary_db.clone());
        blamed.cause = "dependency-down".into();
        blamed.cause_detail = Some("Deployment/canary-db".into());
        blamed.summary = "api-1 lost canary-db".into();
        blamed.evidence.extend([
            evidence(EvidenceSource::Kube, "Pod/canary-db-0", json!("NotReady"), "it was not ready"),
            evidence(EvidenceSource::Metrics, "Pod/x", json!(0.0), "canary-db has no endpoints"),
            evidence(EvidenceSource::Logs, "Pod/api-1", json!("dial db.internal: refused"), "it is canary-db"),
            evidence(EvidenceSource::Logs, "Pod/api-1", json!("dial db.internal: no"), "it could not connect"),
        ]);
        blamed.ruled_out.push(ruled_out("canary-db was up", json!(1)));
        let mut spread = incident("a", "i-spread", IncidentStatus::Open, 31, &["a/api-1/api", "canary/web-1/canary-c"]);
        spread.root = Some(canary_db);
        spread.summary = "canary-db took 2 down".into();

        let restarts = vec![
            restart("a", "web", "web-1", "web", 10),
            restart("a", "web", "web-1", "web", 20),
            restart("a", "web", "web-1", "sidecar", 15),
            restart("a", "web", "web-2", "web", 12),
            restart("a-dev", "web", "web-9", "web", 40),
            blamed,
            restart(CANARY, "web", "web-1", "canary-c", 50),
            restart(CANARY, "only", "only-canary", "canary-c", 51),
        ];
        let incidents = vec![
            incident("a", "i-1", IncidentStatus::Resolved, 10, &["a/web-1/web"]),
            incident("a", "i-2", IncidentStatus::Open, 12, &["a/web-1/web", "a/web-2/web"]),
            spread,
            incident(CANARY, "i-canary", IncidentStatus::Open, 50, &["canary/web-1/canary-c"]),
        ];
        let pods = vec![pod("a", "web", "web-1"), pod("a", "calm", "calm-1"), pod(CANARY, "calm", "calm-canary")];
        let source = |source, synced, newest| SourceStatus { source, synced, newest };
        let sources =
            vec![source("pods", true, Some(at(60))), source("events", false, None), source("metrics", true, None)];
        Self {
            restarts: restarts.into_iter().map(Arc::new).collect(),
            incidents: incidents.into_iter().map(Arc::new).collect(),
            pods,
            status: Status {
                replayed: true,
                stopping: false,
                trouble: None,
                note: None,
                unheard: Unheard::default(),
                sources,
            },
            samples: Arc::new(vec![
                sent(
                    &[("__name__", "up"), ("job", "kube"), ("namespace", "a"), ("pod", "web-1")],
                    &[(0, 1.0), (60, 0.0)],
                ),
                sent(
                    &[("__name__", "up"), ("job", "kube"), ("namespace", "a"), ("pod", "web-2")],
                    &[(0, 1.0), (60, 1.0)],
                ),
                sent(&[("__name__", "odd"), ("namespace", "a")], &[(0, f64::NAN), (30, f64::INFINITY), (60, 0.5)]),
                sent(&[("__name__", "up"), ("namespace", CANARY), ("pod", "canary-1")], &[(0, 1.0), (60, 1.0)]),
                sent(&[("__name__", "canary_total"), ("canary_label", "x"), ("namespace", CANARY)], &[(60, 3.0)]),
                sent(&[("__name__", "canary_nodes"), ("node", "canary-node")], &[(60, 3.0)]),
            ]),
            anomalies: vec![
                anomaly("a", "web-1", 10, 1.5),
                anomaly("a", "web-1", 10, 2.5),
                anomaly("a", "web-1", 25, 3.0),
                anomaly(CANARY, "canary-1", 10, 9.0),
            ],
            asked_on: Arc::default(),
            told: vec![
                told("a", "Pod", "web-1", 5, None),
                told("a", "Deployment", "web", 14, Some(15)),
                told("a", "Pod", "calm-1", 11, None),
                told("a", "Namespace", "a", 900, None),
                told(CANARY, "Pod", "web-1", 11, None),
            ],
        }
    }
}

fn baseline(namespace: &str, workload: &str, state: BaselineState) -> Baseline {
    let learns = state == BaselineState::Learning;
    Baseline {
        namespace: namespace.into(),
        workload: workload.into(),
        container: "c".into(),
        metric: "container_threads".into(),
        words: "threads".into(),
        state,
        since: at(1),
        until: learns.then(|| at(601)),
        usual: (!learns).then_some(12.0),
        newest: at(55),
        series: 2,
        learning: if learns { 2 } else { 0 },
    }
}

fn anomaly(namespace: &str, pod: &str, second: i64, score: f64) -> Arc<Anomaly> {
    Arc::new(Anomaly {
        ts: at(second),
        team: team_of(namespace),
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: "web".into(),
        metric: "container_memory_working_set_bytes".into(),
        score,
        value: 2e9,
        expected: 1e9,
        text: "twice what is usual".into(),
        workload: "Deployment/web".into(),
        trace: String::new(),
        until: at(second),
        episode: 0,
    })
}

/// An alert of others about an object, named after it.
fn told(namespace: &str, kind: &'static str, object: &str, second: i64, ends: Option<i64>) -> Told {
    let alert = Alert {
        fingerprint: format!("{namespace}/{object}"),
        starts_at: at(second),
        ends_at: ends.map(at),
        name: format!("{namespace} {kind} {object}"),
        severity: "warning".into(),
        namespace: namespace.into(),
        kind: kind.into(),
        object: object.into(),
        container: String::new(),
        summary: "it is odd".into(),
        link: String::new(),
    };
    let workload = match object {
        "web-1" | "web" => "Deployment/web",
        "calm-1" => "Deployment/calm",
        _ => "",
    };
    Told { alert: Arc::new(alert), team: team_of(namespace), workload: workload.into() }
}

/// The routes over `fixture`: without a token as an admin, with token `a` as that team.
pub(crate) fn routes(fixture: Fixture) -> Router {
    router(Api::new(Arc::new(fixture), door(), Arc::new(|| at(60))), Router::new())
}

pub(crate) fn door() -> Door {
    let grants = vec![Grant::new("a", Access::team("a")), Grant::new("b", Access::team("b"))];
    Door::new(Anonymous::All, grants).unwrap()
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

pub(crate) async fn send(router: &Router, method: &str, uri: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

pub(crate) async fn get(router: &Router, uri: &str, token: Option<&str>) -> Answer {
    send(router, "GET", uri, token).await
}
