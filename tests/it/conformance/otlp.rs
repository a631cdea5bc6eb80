//! OpenTelemetry's SDK for Python, which sends metrics and log records over HTTP and over gRPC, compressed and not.
//!
//! `OTEL_PYTHON=/path/to/python` names one that has the packages of `.ci/otel.txt`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::rows::Rows;
use super::{Source, Way, conforms};
use crate::daemon::Process;
use crate::gate::Gate;

struct Sdk<const GRPC: bool> {
    child: Child,
    /// To tell it to send and to hear what it sent.
    pipes: Option<(ChildStdin, BufReader<ChildStdout>)>,
    version: String,
    sent: Rows,
}

/// What a line of its output says.
fn read(from: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("the SDK ended: {e}: {line:?}"))
}

fn http(daemon: &Process) -> SocketAddr {
    daemon.others["otlp.http"]
}

fn grpc(daemon: &Process) -> SocketAddr {
    daemon.others["otlp.grpc"]
}

impl<const GRPC: bool> Source for Sdk<GRPC> {
    const WIRE: &'static str = if GRPC { "OTLP over gRPC" } else { "OTLP over HTTP" };
    const WAY: Way = Way::Sends(if GRPC { grpc } else { http });
    const COUNTED: &'static [&'static str] = &["metrics", "logs"];
    const READY: &'static [&'static str] = &["metrics", "logs"];

    async fn start(gate: &Gate, token: Option<&str>) -> Self {
        let python =
            std::env::var_os("OTEL_PYTHON").expect("OTEL_PYTHON names a python with the packages of .ci/otel.txt");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance/otlp_sdk.py");
        let mut command = Command::new(python);
        command.arg(script).args([if GRPC { "grpc" } else { "http" }, &gate.address.to_string()]).args(token);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let version = read(&mut said).as_str().unwrap().to_owned();
        let pipes = Some((child.stdin.take().unwrap(), said));
        Self { child, pipes, version, sent: Rows::default() }
    }

    fn other_side(&self) -> String {
        format!("OpenTelemetry's SDK for Python {} (real)", self.version)
    }

    async fn offer(&mut self) {
        let (mut to, mut from) = self.pipes.take().unwrap();
        let round = tokio::task::spawn_blocking(move || {
            to.write_all(b"\n").unwrap();
            let said = read(&mut from);
            (said, (to, from))
        });
        let (said, pipes) = round.await.unwrap();
        self.pipes = Some(pipes);
        for sample in said["samples"].as_array().unwrap() {
            let labels: BTreeMap<&str, &str> =
                sample[0].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
            self.sent.sample(&labels, sample[1].as_i64().unwrap(), sample[2].as_f64().unwrap());
        }
        for line in said["lines"].as_array().unwrap() {
            self.sent.line(line[0].as_i64().unwrap(), line[1].as_str().unwrap());
        }
    }

    async fn has(&mut self, from: i64, to: i64) -> Rows {
        self.sent.clone().within(from, to)
    }
}

impl<const GRPC: bool> Drop for Sdk<GRPC> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs OTEL_PYTHON=/path/to/python with the packages of .ci/otel.txt"]
async fn the_sdk_of_opentelemetry_sends_over_http() {
    conforms::<Sdk<false>>().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs OTEL_PYTHON=/path/to/python with the packages of .ci/otel.txt"]
async fn the_sdk_of_opentelemetry_sends_over_grpc() {
    conforms::<Sdk<true>>().await;
}
