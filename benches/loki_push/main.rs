//! How many log lines a processor second takes in, the whole way over HTTP: `cargo bench --bench loki_push`.
//!
//! The daemon runs as a process of its own and only its processor time counts. A round is as many lines as `LINES` says,
//! of some 200 bytes, sent by two connections in pushes as an agent makes them. Protobuf and JSON, each with the log on a
//! disk, synced as it is in earnest, and with it in memory (`/dev/shm`), where writing and syncing cost next to nothing.
//! `-- proto disk` runs only the rounds whose name has all of these words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]
// A load reads the clock: lines have to be of now, or the daemon refuses them.
#![allow(clippy::disallowed_methods)]

mod encode;
mod lines;
#[path = "../measured/server.rs"]
mod server;

use std::path::Path;

use encode::Form;
use server::{Server, median};

/// Rounds of each kind, interleaved; the median counts.
const ROUNDS: usize = 3;
const LINES: usize = 600_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kinds = [
        ("proto disk", Form::Proto, disk),
        ("proto memory", Form::Proto, Path::new("/dev/shm")),
        ("json+gzip disk", Form::Json, disk),
        ("json+gzip memory", Form::Json, Path::new("/dev/shm")),
    ];
    let wanted: Vec<_> = kinds.iter().filter(|(name, ..)| words.iter().all(|w| name.contains(w.as_str()))).collect();
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); wanted.len()];
    for n in 0..ROUNDS {
        for ((name, form, dir), rates) in wanted.iter().zip(&mut rates) {
            // Made anew for each round: their times are near the clock's.
            let (pushes, raw) = encode::pushes(*form, LINES, n as u64);
            let sent: usize = pushes.iter().map(|p| p.body.len()).sum();
            let dir = tempfile::tempdir_in(dir).unwrap();
            let server = Server::whyd(dir.path());
            let took = server.take(&pushes);
            assert_eq!(server.metric("whyd_rows_total{source=\"logs\"}"), LINES as u64, "lines are missing");
            let rate = LINES as f64 / took.cpu;
            rates.push(rate);
            println!(
                "{name}: {:.0} lines a processor second, {:.2} s of it, {:.2} s of time, {} MiB resident, \
                 {:.0} bytes a line, {:.0} as sent",
                rate,
                took.cpu,
                took.wall,
                took.resident_mib,
                raw as f64 / LINES as f64,
                sent as f64 / LINES as f64,
            );
        }
    }
    for ((name, ..), rates) in wanted.iter().zip(rates) {
        println!("{name}: median {:.0} lines a processor second", median(rates));
    }
}
