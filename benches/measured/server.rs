//! A server as a child, the product's own daemon or a peer, and what the system says it used.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ticks of `/proc/PID/stat` a second: `getconf CLK_TCK` on every Linux.
const TICKS: f64 = 100.0;
const CONNECTIONS: usize = 2;
const SETTLE: Duration = Duration::from_secs(5);

/// One request.
pub(crate) struct Push {
    pub(crate) path: &'static str,
    pub(crate) headers: &'static str,
    pub(crate) body: Vec<u8>,
}

/// What it took.
pub(crate) struct Took {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) resident_mib: u64,
}

pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts the daemon with an empty log in this folder, and nothing else than receivers.
    pub(crate) fn whyd(dir: &Path) -> Self {
        Self::whyd_with(dir, "kubernetes: {enabled: false}\n")
    }

    /// The same with this configuration.
    pub(crate) fn whyd_with(dir: &Path, text: &str) -> Self {
        let config = dir.join("whyd.yaml");
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_whyd"))
            .args(["run", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .arg("--data-dir")
            .arg(dir.join("data"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the daemon ended").unwrap();
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if entry["fields"]["message"] == "listening" {
                break entry["fields"]["address"].as_str().unwrap().parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Starts VictoriaMetrics, as Debian has it; `None` where it is not installed.
    #[allow(dead_code)]
    pub(crate) fn victoria_metrics(dir: &Path) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("victoria-metrics")
            .arg(format!("-storageDataPath={}", dir.join("data").display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=100y", "-loggerLevel=ERROR"])
            .spawn()
            .ok()?;
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        Some(Self { child, address })
    }

    /// Where it listens.
    #[allow(dead_code)]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Sends all pushes over [`CONNECTIONS`], and waits until the server rests.
    pub(crate) fn take(&self, pushes: &[Push]) -> Took {
        let (began, before) = (Instant::now(), self.cpu_seconds());
        std::thread::scope(|scope| {
            for n in 0..CONNECTIONS {
                let mine = pushes.iter().skip(n).step_by(CONNECTIONS);
                scope.spawn(|| self.send(mine));
            }
        });
        let wall = began.elapsed().as_secs_f64();
        // What it put off counts as well.
        std::thread::sleep(SETTLE);
        Took { wall, cpu: self.cpu_seconds() - before, resident_mib: self.resident_mib() }
    }

    /// Processor time of all its threads until now, in itself and in the kernel for it.
    fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        // The name may hold blanks; it ends at the last parenthesis.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |n: usize| fields[n].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS
    }

    /// The most that was resident.
    fn resident_mib(&self) -> u64 {
        let status = self.proc("status");
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    }

    /// Sends pushes over one connection, each after the answer to the one before. All have to be taken.
    pub(crate) fn send<'a>(&self, pushes: impl Iterator<Item = &'a Push>) {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut answer = Vec::new();
        for push in pushes {
            let head = format!(
                "POST {} HTTP/1.1\r\nhost: whyd\r\ncontent-length: {}\r\n{}\r\n",
                push.path,
                push.body.len(),
                push.headers
            );
            socket.write_all(head.as_bytes()).unwrap();
            socket.write_all(&push.body).unwrap();
            answer.clear();
            let mut some = [0; 1024];
            while !answer.ends_with(b"\r\n\r\n") {
                let n = socket.read(&mut some).unwrap();
                assert!(n > 0, "the daemon hung up: {}", String::from_utf8_lossy(&answer));
                answer.extend_from_slice(&some[..n]);
                let told = answer.starts_with(b"HTTP/1.1 204") || answer.len() < 12;
                assert!(told, "{}", String::from_utf8_lossy(&answer));
            }
        }
    }

    /// What the server says of itself: the sum of the metrics that begin so.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: whyd\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        let values = text.lines().filter(|l| l.starts_with(name)).map(|l| l.rsplit_once(' ').unwrap().1);
        values.map(|value| value.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
