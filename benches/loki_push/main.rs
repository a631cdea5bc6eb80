//! How many log lines a processor second takes in, the whole way over HTTP: `cargo bench --bench loki_push`.
//!
//! The daemon runs as a process of its own and only its processor time counts. A round is as many lines as `LINES` says,
//! of some 200 bytes, sent by two connections in pushes as an agent makes them. Protobuf and JSON, each with the log on a
//! disk, synced as it is in earnest, and with it in memory (`/dev/shm`), where writing and syncing cost next to nothing.
//! `-- proto disk` runs only the rounds whose name has all of these words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]
// A load reads the clock: lines have to be of now, or the daemon refuses them.
#![allow(clippy::disallowed_methods)]

mod daemon;
mod encode;
mod lines;

use std::path::Path;
use std::time::Instant;

use daemon::Daemon;
use encode::{Form, Push};

/// Rounds of each kind, interleaved; the median counts.
const ROUNDS: usize = 3;
const LINES: usize = 600_000;
const CONNECTIONS: usize = 2;

struct Took {
    wall: f64,
    cpu: f64,
    resident_mib: u64,
}

fn round(dir: &Path, pushes: &[Push]) -> Took {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let daemon = Daemon::start(dir.path());
    let (began, before) = (Instant::now(), daemon.cpu_seconds());
    std::thread::scope(|scope| {
        for n in 0..CONNECTIONS {
            let mine = pushes.iter().skip(n).step_by(CONNECTIONS);
            scope.spawn(|| daemon.send(mine));
        }
    });
    let (wall, cpu) = (began.elapsed().as_secs_f64(), daemon.cpu_seconds() - before);
    let sent: u64 = pushes.iter().map(|p| p.lines).sum();
    assert_eq!(daemon.lines_stored(), sent, "lines are missing");
    Took { wall, cpu, resident_mib: daemon.resident_mib() }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

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
            let pushes = encode::pushes(*form, LINES, n as u64);
            let (raw, sent) = pushes.iter().fold((0, 0), |(a, b), p| (a + p.text_bytes, b + p.body.len()));
            let took = round(dir, &pushes);
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
