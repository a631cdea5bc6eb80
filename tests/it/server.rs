//! Programs of Debian's packages as processes on loopback.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What a command of a Debian package prints; it has to succeed.
pub(crate) fn tool(program: &str, package: &str, args: &[&str]) -> String {
    let ran = Command::new(program).args(args).output().unwrap_or_else(|e| missing(program, package, &e));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{program} {args:?}: {}{}", text(&ran.stdout), text(&ran.stderr));
    text(&ran.stdout)
}

fn missing(program: &str, package: &str, e: &std::io::Error) -> ! {
    match e.kind() {
        ErrorKind::NotFound => panic!("{program} is not installed; apt-get install {package}"),
        _ => panic!("{program}: {e}"),
    }
}

/// A server that says where it listens; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(program: &str, package: &str, args: &[String]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| missing(program, package, &e));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = Vec::new();
        let address = loop {
            let Some(line) = lines.next() else { panic!("{program} ended: {told:#?}") };
            let line = line.unwrap();
            let listening = line.contains("msg=\"Listening on\"").then(|| line.split("address=").nth(1)).flatten();
            if let Some(address) = listening {
                break address.split(' ').next().unwrap().trim_matches('"').parse().unwrap();
            }
            told.push(line);
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of this name and text; its path.
pub(crate) fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The name and version of a program, as it says them.
pub(crate) fn version(program: &str) -> String {
    let ran = Command::new(program).arg("--version").output().unwrap_or_else(|e| panic!("{program}: {e}"));
    // older ones say it on their standard error
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().next().unwrap_or_default();
    line.split(" (").next().unwrap_or(line).replace(", version", "").trim().to_owned()
}

/// The version of a Debian package, as dpkg says it.
pub(crate) fn packaged(package: &str) -> String {
    tool("dpkg-query", "dpkg", &["-W", "-f", "${Version}", package])
}
