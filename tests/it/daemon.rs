//! The daemon as a process of its own: fed over its real listeners, sent bad input, killed in the middle of a load.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use whyd::capture::Capture;
use whyd::fixture_api::FixtureApi;
use whyd_signals::{Envelope, Media, Source, Timestamp};

use crate::until::until;

/// A daemon process; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The listeners beside it, by their key in the configuration.
    pub(crate) others: BTreeMap<String, SocketAddr>,
    /// Lines in which it said that it panicked.
    panics: Arc<AtomicUsize>,
}

impl Process {
    fn start(dir: &Path, api: Option<SocketAddr>) -> Self {
        Self::start_with(dir, api, "limits: {tick: 100ms}\n")
    }

    pub(crate) fn start_with(dir: &Path, api: Option<SocketAddr>, more: &str) -> Self {
        let kubernetes = match api {
            Some(at) => format!("kubernetes: {{url: \"http://{at}\"}}\n"),
            None => "kubernetes: {enabled: false}\n".to_owned(),
        };
        Self::start_in(dir, &format!("{kubernetes}{more}"), &[])
    }

    /// With this configuration, and these in its environment.
    pub(crate) fn start_in(dir: &Path, config: &str, env: &[(&str, &Path)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whyd"));
        command.envs(env.iter().copied());
        Self::spawn(command, dir, config)
    }

    /// Run by this command, which becomes the daemon.
    pub(crate) fn start_by(dir: &Path, config: &str, by: &[&str]) -> Self {
        let mut command = Command::new(by[0]);
        command.args(&by[1..]).arg(env!("CARGO_BIN_EXE_whyd"));
        Self::spawn(command, dir, config)
    }

    /// With its port chosen before, so that it can be asked while it starts.
    pub(crate) fn start_on(dir: &Path, config: &str, address: SocketAddr) -> Self {
        Self::spawn_on(Command::new(env!("CARGO_BIN_EXE_whyd")), dir, config, &address.to_string())
    }

    fn spawn(command: Command, dir: &Path, config: &str) -> Self {
        Self::spawn_on(command, dir, config, "127.0.0.1:0")
    }

    fn spawn_on(mut command: Command, dir: &Path, config: &str, listen: &str) -> Self {
        let file = dir.join("whyd.yaml");
        std::fs::write(&file, config).unwrap();
        let mut child = command
            .args(["run", "--listen", listen, "--config"])
            .arg(&file)
            .arg("--data-dir")
            .arg(dir.join("data"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut told, mut others) = (Vec::new(), BTreeMap::new());
        let address = loop {
            let Some(line) = lines.next() else { panic!("the daemon ended: {told:?}") };
            let line = line.unwrap();
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            if entry["fields"]["message"] == "listening" {
                break entry["fields"]["address"].as_str().unwrap().parse().unwrap();
            }
            if let Some(key) = entry["fields"]["message"].as_str().and_then(|m| m.strip_suffix(" listens")) {
                others.insert(key.to_owned(), entry["fields"]["address"].as_str().unwrap().parse().unwrap());
            }
            told.push(line);
        };
        // What it says later is read to its end, else it would stop at a full pipe.
        let panics = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&panics);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.fetch_add(usize::from(line.contains("panicked")), Ordering::Relaxed);
            }
        });
        Self { child, address, others, panics }
    }

    /// How often it said so far that it panicked.
    pub(crate) fn panics(&self) -> usize {
        self.panics.load(Ordering::Relaxed)
    }

    /// Its resident memory in bytes, now.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Memory that it took for itself: without the pages of its program, which come as they are run for the first time.
    pub(crate) fn anonymous(&self) -> u64 {
        self.memory("RssAnon:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Processor time of all its threads so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which ends with the last bracket; a tick is a hundredth of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|n| n.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Waits until it ends by itself; its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        until("the daemon to end", async || self.child.try_wait().unwrap()).await.code()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it for a while, or lets it go on.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request; status and body. `None` when the daemon is gone.
pub(crate) async fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Option<(u16, String)> {
    let text = answer(to, method, path, headers, body).await?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, b)| b.to_owned())))
}

/// One request and its answer as it came, head and body.
pub(crate) async fn answer(to: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<String> {
    let mut socket = TcpStream::connect(to).await.ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: whyd\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.ok()?;
    // A body that is refused early may not be read to its end; the answer comes all the same.
    let _ = socket.write_all(body).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// What a path answers, which is to be JSON.
pub(crate) async fn get_json(to: SocketAddr, path: &str) -> Value {
    let (status, body) = request(to, "GET", path, "", b"").await.unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&unchunked(&body)).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
}

pub(crate) async fn push(to: SocketAddr, message: &Envelope) -> Option<u16> {
    let path = match message.media.source() {
        Source::RemoteWrite => "/api/v1/write",
        _ => "/loki/api/v1/push",
    };
    let (content_type, encoding) = message.media.content();
    let encoding = encoding.map_or(String::new(), |encoding| format!("content-encoding: {encoding}\r\n"));
    let headers = format!("content-type: {content_type}\r\n{encoding}");
    let answer = request(to, "POST", path, &headers, &message.body).await;
    answer.map(|(status, _)| status)
}

/// The ledger without what depends on when it was seen.
async fn verdicts(to: SocketAddr) -> Vec<String> {
    let (status, body) = request(to, "GET", "/api/v1/restarts?limit=1000", "", b"").await.unwrap();
    assert_eq!(status, 200, "{body}");
    let body = unchunked(&body);
    let answer: Value = serde_json::from_str(&body).unwrap();
    let mut rows: Vec<String> = answer["restarts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| format!("{} {} {} {} {}", r["pod"], r["finished_at"], r["exit_code"], r["cause"], r["root"]))
        .collect();
    rows.sort();
    rows
}

/// A body sent in chunks, put together.
pub(crate) fn unchunked(body: &str) -> String {
    if body.starts_with(['{', '[']) {
        return body.to_owned();
    }
    let mut out = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        if size == 0 || after.len() < size {
            break;
        }
        out.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    out
}

/// Plays a capture into a daemon; where `kill_at` is given, it is killed and started again before that body.
async fn played(kill_at: Option<usize>) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/dependency-down");
    let capture = Capture::open(path).unwrap();
    let messages = capture.messages().unwrap();
    let (time, told) = watch::channel(capture.start());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = listener.local_addr().unwrap();
    let served = tokio::spawn(FixtureApi::new(&capture, told).serve(listener));
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Process::start(dir.path(), Some(api));
    let bodies: Vec<&Envelope> = messages.iter().filter(|m| !matches!(m.media, Media::Kube(..))).collect();
    for (n, body) in bodies.iter().enumerate() {
        time.send_replace(body.received);
        if kill_at == Some(n) {
            daemon.kill();
            daemon = Process::start(dir.path(), Some(api));
        }
        assert_eq!(push(daemon.address, body).await, Some(204), "body {n}");
    }
    time.send_replace(messages.last().map_or(Timestamp::MAX, |m| m.received));
    let rows = settled(daemon.address, 15).await;
    served.abort();
    rows
}

/// The verdicts once so many are there and two looks a second apart agree.
async fn settled(to: SocketAddr, at_least: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut looks = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..60 {
        looks.tick().await;
        let rows = verdicts(to).await;
        if rows.len() >= at_least && rows == seen {
            return rows;
        }
        seen = rows;
    }
    panic!("no stable verdicts: {seen:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_reaches_the_same_verdicts() {
    let undisturbed = played(None).await;
    let killed = played(Some(140)).await;
    assert_eq!(undisturbed, killed);
    assert!(undisturbed.iter().any(|r| r.contains("dependency-down")), "{undisturbed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_that_stand_outlive_the_log_the_pods_and_a_kill() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/dependency-down");
    let capture = Capture::open(path).unwrap();
    let end = capture.messages().unwrap().last().unwrap().received;
    let (_time, told) = watch::channel(end);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = listener.local_addr().unwrap();
    let served = tokio::spawn(FixtureApi::new(&capture, told).serve(listener));
    let dir = tempfile::tempdir().unwrap();
    let soon = "limits: {tick: 100ms, lateness: 1s}\n";
    let mut daemon = Process::start_with(dir.path(), Some(api), soon);
    let before = settled(daemon.address, 3).await;
    let log = dir.path().join("data/log");
    let file = log.join("ledger.ndjson");
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    let mut kept = 0;
    for _ in 0..100 {
        looks.tick().await;
        kept = std::fs::read_to_string(&file).map_or(0, |text| text.lines().count());
        if kept >= before.len() {
            break;
        }
    }
    assert!(kept >= before.len(), "{kept} of {} rows are on the disk", before.len());
    daemon.kill();
    served.abort();

    // The log's window has passed, and nobody knows the pods any more.
    let mut segments = 0;
    for entry in std::fs::read_dir(log).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "log") {
            std::fs::remove_file(path).unwrap();
            segments += 1;
        }
    }
    assert!(segments > 0, "the log is elsewhere");
    let daemon = Process::start(dir.path(), None);
    assert_eq!(verdicts(daemon.address).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_its_status_and_a_reason_and_the_daemon_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start(dir.path(), None);
    let (write, loki) = ("/api/v1/write", "/loki/api/v1/push");
    let (proto, json) = ("content-type: application/x-protobuf\r\n", "content-type: application/json\r\n");
    let v2 = "content-type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n";
    // A snappy block of three literal bytes: a field that is cut off.
    let truncated = [3, 8, 0x0a, 0x7f, 0x0a];
    // A header that claims four gigabytes.
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let large = vec![0_u8; 17 << 20];
    let cases: [(&str, &str, &[u8], u16); 9] = [
        (write, proto, b"\xff\xff\xff\xff\xff\xff", 400),
        (write, proto, &truncated, 400),
        (write, proto, &bomb, 413),
        (write, proto, &large, 413),
        (write, v2, b"", 400),
        (write, "content-type: text/plain\r\n", b"", 415),
        (loki, json, b"{\"streams\":[{\"values\":[]}]}", 400),
        (loki, json, b"{\"streams\":[{\"stream\":{},\"values\":[[\"1\"]]}]}", 400),
        (loki, "content-type: text/plain\r\n", b"", 415),
    ];
    for (path, headers, body, wanted) in cases {
        let answer = request(daemon.address, "POST", path, headers, body).await;
        let (status, reason) = answer.unwrap_or_else(|| panic!("{path} {headers}: no answer"));
        assert_eq!(status, wanted, "{path} {headers}: {reason}");
        assert!(!reason.trim().is_empty() && reason.trim().lines().count() <= 3, "{path} {headers}: {reason:?}");
    }
    let (status, _) = request(daemon.address, "GET", "/livez", "", b"").await.unwrap();
    assert_eq!(status, 200);
}
