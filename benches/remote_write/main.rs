//! How many samples a processor second takes in by remote write, the whole way over HTTP, beside VictoriaMetrics:
//! `cargo bench --bench remote_write`.
//!
//! The servers run as processes of their own and only their processor time counts, until five seconds after the last
//! answer. Bodies of 2,000 samples are sent over two connections; a sender's order of series is the same in each of its
//! rounds, or another each time. The daemon's log is on a disk, synced as it is in earnest, and once in memory
//! (`/dev/shm`), where writing and syncing cost next to nothing. The peer is left out where Debian's `victoria-metrics`
//! is not installed. `-- 10k 2.0` runs only what has all of these words in its name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]
// A load reads the clock, and the daemon is a process that cannot tell when it rests.
#![allow(clippy::disallowed_methods)]

mod encode;
#[path = "../measured/server.rs"]
mod server;

use std::path::Path;

use encode::{Load, Order, Version};
use server::{Server, median};

/// Rounds of each kind, interleaved; the median counts.
const ROUNDS: usize = 3;

#[derive(Clone, Copy)]
enum To<'a> {
    Whyd(&'a Path),
    Peer(&'a Path),
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (disk, memory) = (Path::new(env!("CARGO_TARGET_TMPDIR")), Path::new("/dev/shm"));
    let (whyd, in_memory, peer) = (To::Whyd(disk), To::Whyd(memory), To::Peer(disk));
    let (same, shuffled) = (Order::Same, Order::Shuffled);
    let load = |series, rounds, order, version| Load { series, rounds, order, version };
    let kinds = [
        ("10k 1.0", load(10_000, 300, same, Version::One), whyd),
        ("10k 1.0 victoria-metrics", load(10_000, 300, same, Version::One), peer),
        ("10k 1.0 in memory", load(10_000, 300, same, Version::One), in_memory),
        ("10k 2.0", load(10_000, 300, same, Version::Two), whyd),
        ("10k 2.0 in memory", load(10_000, 300, same, Version::Two), in_memory),
        ("10k 1.0 shuffled", load(10_000, 300, shuffled, Version::One), whyd),
        ("10k 1.0 shuffled victoria-metrics", load(10_000, 300, shuffled, Version::One), peer),
        ("10k 1.0 shuffled in memory", load(10_000, 300, shuffled, Version::One), in_memory),
        ("10k 2.0 shuffled", load(10_000, 300, shuffled, Version::Two), whyd),
        ("100k 1.0", load(100_000, 50, same, Version::One), whyd),
        ("100k 1.0 victoria-metrics", load(100_000, 50, same, Version::One), peer),
        ("100k 1.0 in memory", load(100_000, 50, same, Version::One), in_memory),
        ("100k 2.0", load(100_000, 50, same, Version::Two), whyd),
        ("100k 1.0 shuffled", load(100_000, 20, shuffled, Version::One), whyd),
        ("100k 1.0 shuffled victoria-metrics", load(100_000, 20, shuffled, Version::One), peer),
        ("100k 1.0 shuffled in memory", load(100_000, 20, shuffled, Version::One), in_memory),
        ("1m 1.0", load(1_000_000, 3, same, Version::One), whyd),
        ("1m 1.0 victoria-metrics", load(1_000_000, 3, same, Version::One), peer),
        ("1m 1.0 in memory", load(1_000_000, 3, same, Version::One), in_memory),
    ];
    let wanted: Vec<_> =
        kinds.iter().filter(|(name, ..)| words.iter().all(|w| name.split(' ').any(|part| part == w))).collect();
    let mut taken: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); wanted.len()];
    for _ in 0..ROUNDS {
        for ((name, load, to), (rates, resident)) in wanted.iter().zip(&mut taken) {
            let (To::Whyd(on) | To::Peer(on)) = to;
            let dir = tempfile::tempdir_in(on).unwrap();
            let (server, metric) = match to {
                To::Whyd(_) => (Some(Server::whyd(dir.path())), "whyd_samples_total"),
                To::Peer(_) => {
                    (Server::victoria_metrics(dir.path()), "vm_rows_inserted_total{type=\"promremotewrite\"}")
                }
            };
            let Some(server) = server else { continue };
            let pushes = load.pushes();
            let took = server.take(&pushes);
            let samples = (load.series * load.rounds) as u64;
            assert_eq!(server.metric(metric), samples, "samples are missing");
            rates.push(samples as f64 / took.cpu);
            resident.push(took.resident_mib as f64);
            println!(
                "{name}: {:.0} samples a processor second, {:.2} s of it, {:.2} s of time, {} MiB resident",
                samples as f64 / took.cpu,
                took.cpu,
                took.wall,
                took.resident_mib,
            );
        }
    }
    for ((name, ..), (rates, resident)) in wanted.iter().zip(taken) {
        if rates.is_empty() {
            println!("{name}: not run");
            continue;
        }
        println!(
            "{name}: median {:.0} samples a processor second, {:.0} MiB resident",
            median(rates),
            median(resident)
        );
    }
}
