//! Promise 8: the public suite for receivers of remote write, of the repository prometheus/compliance.
//!
//! `RECEIVER_SUITE` names its folder `remotewrite/receiver`, as `go mod download -json
//! github.com/prometheus/compliance/remotewrite/receiver@latest` has it. It is written in Go, and takes an answer of 400
//! where it asks for nothing certain, so the statuses are shown as well.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::daemon::Process;
use crate::server::written;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go and the suite: RECEIVER_SUITE"]
async fn the_public_suite_for_receivers_passes() {
    let suite = std::env::var("RECEIVER_SUITE").expect("RECEIVER_SUITE names the folder of the suite");
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_in(dir.path(), "kubernetes: {enabled: false}\n", &[]);
    let copy = dir.path().join("suite");
    std::fs::create_dir(&copy).unwrap();
    // Go's own copy is read-only, and Go writes to what it builds from.
    for file in std::fs::read_dir(Path::new(&suite)).unwrap().map(Result::unwrap) {
        if file.file_type().unwrap().is_file() {
            std::fs::write(copy.join(file.file_name()), std::fs::read(file.path()).unwrap()).unwrap();
        }
    }
    let config = format!("remote_write: [{{name: whyd, url: \"http://{}/api/v1/write\"}}]\n", daemon.address);
    let ran = Command::new("go")
        .args(["test", "-count=1", "-v", "./..."])
        .current_dir(&copy)
        .env("GOFLAGS", "-mod=mod")
        .env("PROMETHEUS_RW2_COMPLIANCE_CONFIG_FILE", written(dir.path(), "suite.yml", &config))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    let count = |what: &str| text.lines().filter(|l| l.trim_start().starts_with(what)).count();
    let (passed, failed, skipped) = (count("--- PASS"), count("--- FAIL"), count("--- SKIP"));
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    for status in text.lines().filter_map(|l| l.split_once("Response code from \"whyd\": ")) {
        *statuses.entry(status.1).or_default() += 1;
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped; answers by status: {statuses:?}");
    assert!(ran.status.success() && failed == 0, "{text}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(passed > 100 && statuses.keys().all(|status| !status.starts_with('5')), "{text}");
}
