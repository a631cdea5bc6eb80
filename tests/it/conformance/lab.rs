//! A daemon as a process, the other side of one of its sources, and the gate between them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use whyd::config::ConfigFile;
use whyd::daemon::Daemon;
use whyd_api::Reader;

use super::rows::{Diff, Rows};
use super::{Source, Way};
use crate::daemon::{Process, get_json};
use crate::gate::Gate;
use crate::pull::clock;
use crate::remote_write::{metric, now};
use crate::until::until;

/// The configuration of a daemon that wants a token.
pub(super) const TOKEN: &str = "access: {writeTokenFile: TOKEN}\n";
const RIGHT: &str = "s3cret";
/// A little less than the deadline of `until`, which could not say what is missing.
const SOON: Duration = Duration::from_secs(28);

/// A daemon and the other side of a source of it.
pub(super) struct Lab<S> {
    pub(super) source: S,
    pub(super) bench: Bench,
}

/// The daemon and the gate between it and the source.
pub(super) struct Bench {
    pub(super) gate: Gate,
    way: Way,
    counted: &'static [&'static str],
    dir: TempDir,
    config: String,
    kubeconfig: Option<PathBuf>,
    daemon: Option<Process>,
}

impl<S: Source> Lab<S> {
    /// The other side runs, the daemon does not yet; its configuration has this besides.
    pub(super) async fn new(more: &str) -> Self {
        let gate = Gate::start().await;
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        std::fs::write(&token, RIGHT).unwrap();
        let source = S::start(&gate, more.contains("TOKEN").then_some("another")).await;
        let kubeconfig = source.kubeconfig();
        let kubernetes = if S::COUNTED.contains(&"kube") { "" } else { "kubernetes: {enabled: false}\n" };
        let more = more.replace("TOKEN", &token.display().to_string());
        let config = format!("{kubernetes}limits: {{tick: 100ms}}\n{}{more}", source.config(gate.address));
        let bench = Bench { gate, way: S::WAY, counted: S::COUNTED, dir, config, kubeconfig, daemon: None };
        Self { source, bench }
    }

    /// Another one of the other side, with the right token.
    pub(super) async fn is_let_in(&mut self) {
        self.source = S::start(&self.bench.gate, Some(RIGHT)).await;
    }

    /// Rows whose answer is lost; then answers come through again.
    pub(super) async fn offer_while_answers_are_lost(&mut self) {
        let Self { source, bench } = self;
        tokio::join!(source.offer(), async {
            bench.until_an_answer_is_lost().await;
            bench.gate.open();
        });
    }

    /// Rows in the middle of which the daemon is killed, and started again.
    pub(super) async fn offer_and_kill_in_the_middle(&mut self) {
        let Self { source, bench } = self;
        let question = bench.gate.question();
        tokio::join!(source.offer(), async {
            timeout(SOON, question).await.unwrap_or_else(|_| panic!("{}: it sends nothing", S::WIRE));
            bench.kill();
            bench.begin();
        });
    }

    /// Rows that the daemon takes and is killed before anybody is told, and started again.
    pub(super) async fn offer_and_kill_before_the_answer(&mut self) {
        let Self { source, bench } = self;
        tokio::join!(source.offer(), async {
            bench.until_an_answer_is_lost().await;
            bench.kill();
            bench.gate.open();
            bench.begin();
        });
    }

    /// Waits until both sides have the same rows up to now, and some; how many.
    pub(super) async fn same(&mut self, promise: &str) -> usize {
        let (from, to) = self.source.compared();
        let to = to.unwrap_or_else(|| now() * 1_000_000);
        let mut last = Diff::default();
        let same = until("the same rows", async || {
            let theirs = self.source.has(from, to).await;
            last = Diff::between(&theirs, &self.bench.held().await.within(from, to));
            (last.is_none() && theirs.len() > 0).then(|| theirs.len())
        });
        let waited = timeout(SOON, same).await;
        waited.unwrap_or_else(|_| panic!("{}, {promise}: {last}", S::WIRE))
    }
}

impl Bench {
    /// Starts the daemon on the data it has.
    pub(super) fn begin(&mut self) {
        let env: Vec<(&str, &Path)> = self.kubeconfig.iter().map(|file| ("KUBECONFIG", file.as_path())).collect();
        let daemon = Process::start_in(self.dir.path(), &self.config, &env);
        if let Way::Sends(door) = self.way {
            self.gate.lead(door(&daemon));
        }
        self.daemon = Some(daemon);
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        self.daemon.take().unwrap().kill();
    }

    pub(super) async fn metric(&self, series: &str) -> Option<f64> {
        metric(self.daemon.as_ref()?.address, series).await
    }

    /// One of the counters by source, of each name that this source is counted by.
    pub(super) async fn counted(&self, name: &str) -> Vec<f64> {
        let mut all = Vec::new();
        for source in self.counted {
            all.push(self.metric(&format!("{name}{{source=\"{source}\"}}")).await.unwrap_or_default());
        }
        all
    }

    async fn inputs(&self) -> f64 {
        self.counted("whyd_inputs_total").await.iter().sum()
    }

    /// Until the answer to something that the daemon took is lost.
    async fn until_an_answer_is_lost(&self) {
        let before = self.inputs().await;
        until("an answer that is lost", async || (self.gate.lost() > 0 && self.inputs().await > before).then_some(()))
            .await;
    }

    /// Until the daemon was sent rows that it has.
    pub(super) async fn until_repeated(&self) {
        until("a repetition", async || (self.metric("whyd_repeated_total").await? > 0.0).then_some(())).await;
    }

    /// Starts the daemon, and closes the gate after so many bytes of what it is answered.
    pub(super) async fn begin_and_cut_an_answer(&mut self, bytes: i64) {
        self.gate.let_through(bytes);
        self.begin();
        until("the middle of an answer", async || self.gate.is_closed().then_some(())).await;
    }

    /// Whether `/readyz` says of all these sources that all is there.
    pub(super) async fn is_synced(&self, names: &[&str]) -> bool {
        let ready = get_json(self.daemon.as_ref().unwrap().address, "/readyz").await;
        let sources = ready["sources"].as_array().unwrap();
        names.iter().all(|name| sources.iter().any(|s| s["source"] == *name && s["synced"] == true))
    }

    /// What is on the daemon's disk by now, read back by another one from a copy.
    pub(super) async fn held(&self) -> Rows {
        let copy = tempfile::tempdir().unwrap();
        let data = copy.path().join("data");
        copied(&self.dir.path().join("data"), &data);
        let text = format!(
            "kubernetes: {{enabled: false}}\nlisten: {{http: \"127.0.0.1:0\"}}\notlp: {{grpc: none, http: none}}\n\
            dataDir: \"{}\"\n",
            data.display()
        );
        let config = ConfigFile::parse(&text).unwrap().validate().unwrap();
        let daemon = Daemon::start(&config, None, clock()).await.unwrap();
        until("what is on the disk to be read back", async || daemon.view.status().replayed.then_some(())).await;
        let rows = Rows::of(&daemon.view);
        daemon.stop().await.unwrap();
        rows
    }
}

/// A folder with all that is in it, while somebody writes there: what goes meanwhile is left out.
fn copied(from: &Path, to: &Path) {
    let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let into = to.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => copied(&entry.path(), &into),
            Ok(_) => match std::fs::copy(entry.path(), into) {
                Err(e) if !gone(&e) => panic!("{}: {e}", entry.path().display()),
                _ => {}
            },
            Err(e) => assert!(gone(&e), "{e}"),
        }
    }
}
