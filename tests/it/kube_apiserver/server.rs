//! A kube-apiserver and its etcd as processes on loopback.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use kube::api::{ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::until::until;

/// A server whose users are `admin`, who may everything, and `nobody`, who may nothing.
pub(crate) struct ApiServer {
    dir: PathBuf,
    etcd_port: u16,
    port: u16,
    etcd: Child,
    server: Child,
}

impl ApiServer {
    pub(crate) async fn start(dir: &Path) -> Self {
        let dir = dir.to_owned();
        let ports = free_ports();
        std::fs::write(dir.join("tokens.csv"), "admin,admin,admin,\"system:masters\"\nnobody,nobody,nobody,\n")
            .unwrap();
        let key = Command::new("openssl").args(["genrsa", "-out"]).arg(dir.join("sa.key")).output().unwrap();
        assert!(key.status.success(), "openssl genrsa");
        let [etcd_port, peer_port, port] = ports;
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(dir.join("etcd")).args([
            format!("--listen-client-urls=http://127.0.0.1:{etcd_port}"),
            format!("--advertise-client-urls=http://127.0.0.1:{etcd_port}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"),
        ]);
        let etcd = etcd.stderr(File::create(dir.join("etcd.log")).unwrap()).spawn();
        let etcd = etcd.expect("etcd; apt-get install etcd-server");
        let server = spawn(&dir, etcd_port, port);
        let server = Self { dir, etcd_port, port, etcd, server };
        server.ready().await;
        server
    }

    /// Kills it and starts it again over the same etcd.
    pub(crate) async fn restart(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        self.server = spawn(&self.dir, self.etcd_port, self.port);
        self.ready().await;
    }

    /// A file by which a user reaches it.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.kubeconfig_by(user, self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A file by which a user reaches it through this address.
    pub(crate) fn kubeconfig_by(&self, user: &str, address: SocketAddr) -> PathBuf {
        let file = self.dir.join(format!("{user}-{}.yaml", address.port()));
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: scratch, cluster: {{server: \"https://{address}\", \
            insecure-skip-tls-verify: true}}}}]\nusers: [{{name: user, user: {{token: {user}}}}}]\n\
            contexts: [{{name: scratch, context: {{cluster: scratch, user: user}}}}]\ncurrent-context: scratch\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    pub(crate) async fn client(&self) -> Client {
        let file = Kubeconfig::read_from(self.kubeconfig("admin")).unwrap();
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    async fn ready(&self) {
        let client = self.client().await;
        until("the API server", async || {
            let services = Api::<DynamicObject>::namespaced_with(client.clone(), "default", &core("ServiceAccount"));
            let pods = pods(&client).list(&Default::default()).await.is_ok();
            // Without it no pod is admitted.
            let account = serde_json::from_value(serde_json::json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "default"}}))
            .unwrap();
            let _ = services.create(&Default::default(), &account).await;
            (pods && services.get("default").await.is_ok()).then_some(())
        })
        .await;
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.etcd] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The pods of the namespace `default`.
pub(crate) fn pods(client: &Client) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), "default", &core("Pod"))
}

fn core(kind: &str) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
    }
}

fn spawn(dir: &Path, etcd_port: u16, port: u16) -> Child {
    let program = std::env::var_os("KUBE_APISERVER").expect("KUBE_APISERVER=/path/to/kube-apiserver");
    let file = |name: &str| dir.join(name).display().to_string();
    Command::new(program)
        .args([
            format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", file("pki")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("sa.key")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        ])
        .stderr(File::options().create(true).append(true).open(dir.join("kube-apiserver.log")).unwrap())
        .spawn()
        .expect("KUBE_APISERVER")
}

fn free_ports() -> [u16; 3] {
    let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}
