//! Promise 1 with the real process: killed over and over on one directory, under load and in the middle of a checkpoint,
//! every acknowledged row comes back, once.
//! `WHYD_KILLS=500 cargo test --release --workspace --test it log::kills` goes on for longer, with over a million rows.
//! And promise 5 on a real file system that is full.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use whyd::config::ConfigFile;
use whyd::ingest::Ingest;
use whyd::wiring;
use whyd_buffers::wal::{Bounds, Log};
use whyd_signals::{Envelope, Timestamp};

use super::cases;
use super::oracle::{Message, Oracle};
use super::random::Random;
use crate::daemon::{Process, get_json, push, request};
use crate::until::until;

const SENDERS: usize = 4;
/// Samples of a body, a millisecond apart, and series whose turn it is one after another: none has a second one within
/// the time of its first.
const ROWS: i64 = 50;
const SERIES: u64 = 1000;
const CONFIG: &str = "kubernetes: {enabled: false}\n";

/// Sends until the daemon is gone; tells what it sent, and whether it was acknowledged.
async fn send(daemon: std::net::SocketAddr, next: Arc<AtomicU64>, told: mpsc::Sender<(Message, bool)>) {
    loop {
        let series = (next.fetch_add(1, Ordering::Relaxed) % SERIES) as usize;
        let message = Message::run(series, now_ms() as i64 - 60_000, ROWS);
        let (media, body) = (message.media, message.body.clone());
        let envelope = Envelope { received: Timestamp(0), media, tenant: None, body };
        let answer = push(daemon, &envelope).await;
        if told.send((message, answer == Some(204))).await.is_err() || answer.is_none() {
            return;
        }
    }
}

fn now_ms() -> u64 {
    #[allow(clippy::disallowed_methods)]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_over_and_over_under_load_no_acknowledged_row_is_lost() {
    let seed = cases("WHYD_SEED", 1);
    let random = &mut Random::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut oracle = Oracle::default();
    let (mut kills, mut acknowledged) = (0, 0_u64);
    let next = Arc::new(AtomicU64::new(0));
    while kills < cases("WHYD_KILLS", 20) {
        let mut daemon = Process::start_in(dir.path(), CONFIG, &[]);
        let (tell, mut told) = mpsc::channel(SENDERS);
        for _ in 0..SENDERS {
            tokio::spawn(send(daemon.address, Arc::clone(&next), tell.clone()));
        }
        drop(tell);
        let after = random.below(150);
        let mut heard = 0;
        let mut hear = |(message, stored): (Message, bool)| {
            oracle.tried(&message);
            if stored {
                oracle.acknowledged(&message);
                acknowledged += ROWS as u64;
            }
        };
        while heard < after
            && let Some(one) = told.recv().await
        {
            heard += 1;
            hear(one);
        }
        if kills % 2 == 1 {
            // It stops taking in, and writes a checkpoint: killed then, the senders are in the middle of it as well.
            daemon.signal("TERM");
            daemon.signal("TERM");
            tokio::time::sleep(Duration::from_millis(random.below(120) as u64)).await;
        }
        // The senders are in the middle of it, wherever that is.
        daemon.kill();
        kills += 1;
        while let Some(one) = told.recv().await {
            hear(one);
        }
    }
    // The process itself has them all, and so has whoever reads what it left.
    let mut daemon = Process::start_in(dir.path(), CONFIG, &[]);
    let mut shown = 0;
    for series in 0..SERIES {
        let at = now_ms() / 1000;
        let ask = format!("/prometheus/api/v1/query?query=sum(count_over_time(m{series}%5B2h%5D))&time={at}");
        let answer = get_json(daemon.address, &ask).await;
        shown += answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").parse::<u64>().unwrap();
    }
    assert!(shown >= acknowledged, "seed {seed}: {shown} of {acknowledged} rows after {kills} kills");
    daemon.kill();
    let log = Log::open(&dir.path().join("data/log"), Bounds::default()).unwrap();
    let (ingest, _) = Ingest::open(wiring::core(&ConfigFile::default().validate().unwrap()), log).unwrap();
    let found = oracle.check(ingest.core(), Timestamp::MIN, &format!("seed {seed}, {kills} kills"));
    assert_eq!(found, shown, "seed {seed}");
    assert!(acknowledged > kills * 1000, "{kills} kills, {acknowledged} rows");
    println!("{acknowledged} acknowledged rows over {kills} kills");
}

/// A daemon whose data are on a file system of so many bytes, and where that is seen from outside; `None` where this
/// machine lets nobody mount one.
fn on_small_volume(dir: &Path, bytes: usize) -> Option<(Process, std::path::PathBuf)> {
    let data = dir.join("data");
    std::fs::create_dir(&data).unwrap();
    let mount = format!("mount -t tmpfs -o size={bytes} none {}", data.display());
    let may = std::process::Command::new("unshare").args(["-rm", "sh", "-c", &mount]).output();
    if !may.is_ok_and(|tried| tried.status.success()) {
        return None;
    }
    let daemon =
        Process::start_by(dir, CONFIG, &["unshare", "-rm", "sh", "-c", &format!("{mount} && exec \"$@\""), "sh"]);
    let seen = Path::new("/proc").join(daemon.id().to_string()).join("root").join(data.strip_prefix("/").unwrap());
    Some((daemon, seen))
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_volume_it_refuses_answers_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let Some((daemon, data)) = on_small_volume(dir.path(), 8 << 20) else {
        eprintln!("not run: no file system can be mounted here");
        return;
    };
    let address = daemon.address;
    let mut ms = now_ms() as i64 - 100_000;
    let mut write = async || {
        ms += ROWS;
        let headers = "content-type: application/x-protobuf\r\n";
        request(address, "POST", "/api/v1/write", headers, &Message::run(0, ms, ROWS).body).await.unwrap()
    };
    let get = async |path: &str| request(address, "GET", path, "", b"").await.unwrap();
    assert_eq!(write().await.0, 204);
    // All but nothing of the space is taken by somebody else.
    let filler = data.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[7; 4096]).is_ok() {}
    let mut refused = (204, String::new());
    for _ in 0..200 {
        refused = write().await;
        if refused.0 != 204 {
            break;
        }
    }
    assert_eq!(refused.0, 503, "{refused:?}");
    assert!(refused.1.contains("no space"), "{refused:?}");
    let (ready, why) = get("/readyz").await;
    assert!(ready == 503 && why.contains("no space"), "{ready} {why}");
    assert_eq!(get("/livez").await.0, 200);
    let count = "/prometheus/api/v1/query?query=sum(count_over_time(m0%5B2h%5D))";
    let before = get_json(address, count).await["data"]["result"][0]["value"][1].clone();
    assert!(before.is_string(), "reads go on: {before}");
    assert!(get("/metrics").await.1.contains("whyd_log_writable 0"));
    let freed = Instant::now();
    std::fs::remove_file(&filler).unwrap();
    drop(file);
    until("ready again", async || (get("/readyz").await.0 == 200).then_some(())).await;
    assert!(freed.elapsed() < Duration::from_secs(10), "{:?}", freed.elapsed());
    assert_eq!(write().await.0, 204);
}
