//! The product's own daemon as a child, and what the system says it used.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::encode::Push;

/// Ticks of `/proc/PID/stat` a second: `getconf CLK_TCK` on every Linux.
const TICKS: f64 = 100.0;

/// Killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    /// Starts it with an empty log in this folder, and nothing else than receivers.
    pub(crate) fn start(dir: &Path) -> Self {
        let config = dir.join("whyd.yaml");
        std::fs::write(&config, "kubernetes: {enabled: false}\n").unwrap();
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

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Processor time of all its threads until now, in itself and in the kernel for it.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        // The name may hold blanks; it ends at the last parenthesis.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |n: usize| fields[n].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS
    }

    /// The most that was resident.
    pub(crate) fn resident_mib(&self) -> u64 {
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
                "POST /loki/api/v1/push HTTP/1.1\r\nhost: whyd\r\ncontent-length: {}\r\n{}\r\n",
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

    /// What the daemon says it stored.
    pub(crate) fn lines_stored(&self) -> u64 {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: whyd\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        let line = text.lines().find(|l| l.starts_with("whyd_rows_total{") && l.contains("\"logs\""));
        line.expect(&text).rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
