//! How long a start takes until all is there again: with the log alone, and with a checkpoint of all that is in it.
//! `cargo bench --bench replay`, or with `-- DIR` a log that is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use whyd::checkpointing;
use whyd::config::ConfigFile;
use whyd::ingest::Ingest;
use whyd::objects::Objects;
use whyd::wiring;
use whyd_buffers::Bitmap;
use whyd_buffers::checkpoint::{Checkpoints, KeepLimits};
use whyd_buffers::wal::{Bounds, Log, Record};
use whyd_core::Rest;
use whyd_signals::{Compression, Envelope, Lsn, Media, Timestamp};

/// Series and rounds, 15 s apart: as Prometheus sends them, 2,000 samples a body.
const SHAPES: [(usize, usize); 2] = [(10_000, 600), (100_000, 60)];
const BODY: usize = 2000;
const ROUND: i64 = 15_000;
const START: i64 = 1_790_000_000_000;

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The labels of a container's series as cAdvisor names them.
fn labels(series: usize) -> Vec<u8> {
    let names = ["container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_threads"];
    let pod = series / 10;
    let all = [
        ("__name__", format!("{}_{}", names[series % 3], series % 10)),
        ("container", "app".to_owned()),
        ("endpoint", "https-metrics".to_owned()),
        ("id", format!("/kubepods/burstable/pod{pod:08x}/app")),
        ("image", "registry.example.org/team/app@sha256:6b1f".to_owned()),
        ("instance", format!("10.0.{}.{}:10250", pod / 200 % 250, pod % 200)),
        ("job", "kubelet".to_owned()),
        ("metrics_path", "/metrics/cadvisor".to_owned()),
        ("name", format!("{pod:016x}")),
        ("namespace", format!("team-{}", pod % 40)),
        ("node", format!("node-{}", pod % 50)),
        ("pod", format!("app-{pod}-5f6d8c7b9-x2x7p")),
    ];
    let mut out = Vec::new();
    for (name, value) in all {
        let mut label = Vec::new();
        field(&mut label, 0x0a, name.as_bytes());
        field(&mut label, 0x12, value.as_bytes());
        field(&mut out, 0x0a, &label);
    }
    out
}

/// Writes a log of so many series and rounds; gives how many samples are in it.
fn write(dir: &Path, series: usize, rounds: usize) -> usize {
    let mut log = Log::open(dir, Bounds::default()).unwrap();
    log.replay(|_| {}).unwrap();
    let labels: Vec<Vec<u8>> = (0..series).map(labels).collect();
    let mut encoder = snap::raw::Encoder::new();
    for round in 0..rounds {
        let ms = START + round as i64 * ROUND;
        let mut batch = Vec::new();
        for (n, of) in labels.chunks(BODY).enumerate() {
            let mut message = Vec::new();
            for (i, labels) in of.iter().enumerate() {
                let mut one = labels.clone();
                let id = n * BODY + i;
                let mut sample = vec![0x09];
                let value = (id * 31 + round * (1 + id % 7)) as f64;
                sample.extend_from_slice(&value.to_le_bytes());
                sample.push(0x10);
                varint(&mut sample, ms as u64);
                field(&mut one, 0x12, &sample);
                field(&mut message, 0x0a, &one);
            }
            let body = encoder.compress_vec(&message).unwrap().into();
            let received = Timestamp::from_millis(ms + n as i64).unwrap();
            let envelope = Envelope { received, media: Media::RemoteWrite1(Compression::Snappy), tenant: None, body };
            let lsn = Lsn(log.next_lsn().0 + batch.len() as u64);
            batch.push(Record { lsn, envelope, refused: Bitmap::new() });
        }
        log.append_batch(&batch).unwrap();
    }
    series * rounds
}

/// What one reading took.
struct Took {
    wall: Duration,
    /// On a processor: what it would take with nobody else on the machine.
    cpu: Duration,
    samples: u64,
    bytes: u64,
}

/// How long all threads were on a processor.
fn on_cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanos.sum())
}

fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}

fn read(dir: &Path) -> (Took, Ingest) {
    let core = wiring::core(&ConfigFile::default().validate().unwrap());
    let (began, before) = (Instant::now(), on_cpu());
    let log = Log::open(dir, Bounds::default()).unwrap();
    let (ingest, _) = Ingest::open(core, log).unwrap();
    let (wall, cpu) = (began.elapsed(), on_cpu().saturating_sub(before));
    (Took { wall, cpu, samples: ingest.core().stats().samples_held, bytes: size(dir) }, ingest)
}

fn kept(history: &Path, runtime: &Runtime) -> Checkpoints {
    let window = Duration::from_secs(6 * 3600);
    let limits = KeepLimits { memory: usize::MAX, window, retention: window, bytes: u64::MAX };
    Checkpoints::new(Box::new(Objects::open(history, runtime.handle().clone()).unwrap()), limits)
}

/// Writes a checkpoint of all that was read; says how long the driver and the other thread took.
fn write_checkpoint(mut ingest: Ingest, history: &Path, runtime: &Runtime) {
    let at = Timestamp::from_millis(START + ROUND * 600).unwrap();
    let mut checkpoints = kept(history, runtime);
    let began = Instant::now();
    let held = ingest.hold().unwrap();
    let (paused, before) = (began.elapsed(), on_cpu());
    checkpointing::write(&mut checkpoints, held, at, "").unwrap();
    let cpu = on_cpu().saturating_sub(before);
    let (stats, mib) = (checkpoints.stats(), size(history) >> 20);
    println!(
        "checkpoint: {paused:?} on the driver, {cpu:.2?} of processor beside it, {} files, {mib} MiB",
        stats.files
    );
}

fn start(dir: &Path, history: &Path, runtime: &Runtime) -> Took {
    let mut core = wiring::core(&ConfigFile::default().validate().unwrap());
    let (began, before) = (Instant::now(), on_cpu());
    let log = Log::open(dir, Bounds::default()).unwrap();
    let found = kept(history, runtime).open("", log.begins().unwrap(), Rest::read).unwrap();
    let (checkpoint, rest) = found.unwrap();
    let point = (checkpoint.point.lsn, checkpoint.point.at);
    core.take_up(checkpoint, rest);
    let (ingest, _) = Ingest::open_after(Some(point), core, log).unwrap();
    let (wall, cpu) = (began.elapsed(), on_cpu().saturating_sub(before));
    assert_eq!(ingest.recovery().records, 0);
    Took { wall, cpu, samples: ingest.core().stats().samples_held, bytes: size(history) }
}

fn told(what: &str, took: &Took) {
    let rate = |time: Duration| took.samples as f64 / time.as_secs_f64() / 1e6;
    let (mib, wall, cpu) = (took.bytes >> 20, rate(took.wall), rate(took.cpu));
    println!(
        "{what}: {} samples, {mib} MiB, {:.2} s: {wall:.2} M samples/s, {cpu:.2} M a processor second",
        took.samples,
        took.wall.as_secs_f64()
    );
}

fn main() {
    if let Some(dir) = std::env::args().skip(1).find(|a| !a.starts_with('-')) {
        told(&dir, &read(Path::new(&dir)).0);
        return;
    }
    let runtime = Runtime::new().unwrap();
    for (series, rounds) in SHAPES {
        let dir = tempfile::tempdir().unwrap();
        let written = write(&dir.path().join("log"), series, rounds);
        let (log, history) = (dir.path().join("log"), dir.path().join("history"));
        for _ in 0..3 {
            let (found, ingest) = read(&log);
            assert_eq!(found.samples, written as u64);
            told(&format!("{series} series x {rounds}, the log"), &found);
            if !history.exists() {
                write_checkpoint(ingest, &history, &runtime);
            }
            let found = start(&log, &history, &runtime);
            assert_eq!(found.samples, written as u64);
            told(&format!("{series} series x {rounds}, the checkpoint"), &found);
        }
    }
}
