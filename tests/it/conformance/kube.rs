//! Kubernetes lists and watches: of a real kube-apiserver where `KUBE_APISERVER` names it, else of the server that plays a
//! recorded cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use whyd::capture::Capture;
use whyd::fixture_api::FixtureApi;
use whyd_signals::Timestamp;

use super::rows::Rows;
use super::{Source, Way, conforms};
use crate::daemon::get_json;
use crate::gate::Gate;
use crate::kube_apiserver::server::{ApiServer, pods};
use crate::kube_apiserver::{ended, pod};
use crate::server::version;

/// Pods that are there from the start.
const PODS: usize = 40;

enum Cluster {
    Real { server: ApiServer, kubeconfig: PathBuf, made: usize, _dir: TempDir },
    Recorded { address: SocketAddr, time: watch::Sender<Timestamp>, served: JoinHandle<std::io::Result<()>> },
}

impl Cluster {
    async fn real(gate: &Gate) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::start(dir.path()).await;
        gate.lead(server.address());
        let kubeconfig = server.kubeconfig_by("admin", gate.address);
        let mut cluster = Self::Real { server, kubeconfig, made: 0, _dir: dir };
        cluster.make(PODS).await;
        cluster
    }

    async fn recorded(gate: &Gate) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/oom-limit");
        let capture = Capture::open(path).unwrap();
        let (time, told) = watch::channel(capture.start());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        gate.lead(address);
        Self::Recorded { address, time, served: tokio::spawn(FixtureApi::new(&capture, told).serve(listener)) }
    }

    /// So many pods more; the first of them has restarted.
    async fn make(&mut self, how_many: usize) {
        let Self::Real { server, made, .. } = self else { return };
        let api = pods(&server.client().await);
        for n in *made..*made + how_many {
            api.create(&PostParams::default(), &pod(&format!("kit-{n}"))).await.unwrap();
        }
        let restarted = Patch::Merge(ended(1, "OOMKilled", 137, 60));
        api.patch_status(&format!("kit-{made}"), &PatchParams::default(), &restarted).await.unwrap();
        *made += how_many;
    }
}

impl Source for Cluster {
    const WIRE: &'static str = "Kubernetes lists and watches";
    const WAY: Way = Way::IsAsked(30_000);
    const COUNTED: &'static [&'static str] = &["kube"];
    const READY: &'static [&'static str] = &["pods", "nodes", "events"];

    async fn start(gate: &Gate, _: Option<&str>) -> Self {
        if std::env::var_os("KUBE_APISERVER").is_some() { Self::real(gate).await } else { Self::recorded(gate).await }
    }

    fn other_side(&self) -> String {
        match self {
            Self::Real { .. } => {
                let server = version(&std::env::var("KUBE_APISERVER").unwrap());
                format!("kube-apiserver of {server} (real), over {} (real)", version("etcd").replace(" Version:", ""))
            }
            Self::Recorded { .. } => {
                "a server that plays a recorded cluster (a stand-in for a kube-apiserver)".to_owned()
            }
        }
    }

    fn config(&self, gate: SocketAddr) -> String {
        match self {
            Self::Real { .. } => String::new(),
            Self::Recorded { .. } => format!("kubernetes: {{url: \"http://{gate}\"}}\n"),
        }
    }

    fn kubeconfig(&self) -> Option<PathBuf> {
        match self {
            Self::Real { kubeconfig, .. } => Some(kubeconfig.clone()),
            Self::Recorded { .. } => None,
        }
    }

    async fn offer(&mut self) {
        match self {
            Self::Real { .. } => self.make(3).await,
            Self::Recorded { time, .. } => time.send_modify(|at| *at = at.plus(Duration::from_secs(60))),
        }
    }

    /// Each pod as it is now, by its resource version.
    async fn has(&mut self, from: i64, to: i64) -> Rows {
        let items: Vec<Value> = match self {
            Self::Real { server, .. } => {
                let all = pods(&server.client().await).list(&Default::default()).await.unwrap();
                all.items.iter().map(|pod| serde_json::to_value(pod).unwrap()).collect()
            }
            Self::Recorded { address, .. } => {
                get_json(*address, "/api/v1/pods").await["items"].as_array().unwrap().clone()
            }
        };
        let mut rows = Rows::default();
        for item in &items {
            let text = |name: &str| item["metadata"][name].as_str().unwrap();
            let made = Timestamp::parse(text("creationTimestamp")).unwrap();
            rows.pod((text("namespace"), text("name"), text("uid")), made.nanos(), text("resourceVersion"));
        }
        rows.within(from, to)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Self::Recorded { served, .. } = self {
            served.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_listed_and_watched() {
    conforms::<Cluster>().await;
}
