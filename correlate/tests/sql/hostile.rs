//! Queries that would take all memory or all time of the daemon, asked one after another in a process of their own: what each takes is
//! seen from outside, as the kernel counts it.

mod queries;

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use tokio::time::Instant;
use whyd_buffers::Writer;
use whyd_correlate::engine::{Engine, EngineLimits, QueryError};
use whyd_correlate::tables::tables;
use whyd_signals::Access;

use crate::buffers::{ms, scoped, write_lines, write_samples, writer};
use crate::cluster;

/// Says to the process of its own that it is it.
const ALONE: &str = "WHYD_HOSTILE_ALONE";
/// What all queries together may take of the pool.
const POOL: usize = 24 << 20;
/// Resident bytes that one query may add: the pool, and the pieces that are looked at just now.
const EACH: u64 = 96 << 20;
/// Resident bytes that all of them may add, one after another: the allocator keeps what each thread once had.
const ALL: u64 = 320 << 20;
const TIMEOUT: Duration = Duration::from_millis(150);
/// Processor time that a query may take after its deadline, until all that it does has stopped. Not time as it goes by: others may have the processor.
/// Four times what the latest of them takes on two shared cores, as other machines are slower; what this is to find takes many seconds.
const LATE: Duration = Duration::from_secs(1);

/// Series, samples and lines enough that a table is more than a query may hold.
fn filled() -> Writer {
    let mut w = writer();
    let pods: Vec<String> = (0..20_000).map(|n| format!("pod-{n}")).collect();
    let labels: Vec<[(&str, &str); 4]> = pods
        .iter()
        .map(|pod| {
            [("__name__", "requests_total"), ("container", "web"), ("namespace", "team-a"), ("pod", pod.as_str())]
        })
        .collect();
    for round in 0..20 {
        let some = if round == 0 { &labels[..] } else { &labels[..4_000] };
        let rows: Vec<(&[(&str, &str)], i64, f64)> =
            some.iter().enumerate().map(|(n, l)| (&l[..], round * 15_000, (n as i64 * round) as f64)).collect();
        write_samples(&mut w, ms(round * 15_000), &rows);
    }
    w.seal(ms(15 * 60_000));
    let texts: Vec<String> =
        (0..8_000).map(|n| format!("{n:05} {}", "GET /api/orders took 12 ms ".repeat(10))).collect();
    for pod in pods.iter().take(10) {
        let stream: [(&str, &str); 3] = [("container", "web"), ("namespace", "team-a"), ("pod", pod)];
        let rows: Vec<(&[(&str, &str)], i64, &str)> =
            texts.iter().enumerate().map(|(n, t)| (&stream[..], n as i64, t.as_str())).collect();
        write_lines(&mut w, ms(60_000), &rows);
    }
    let long = "a".repeat(48 << 10);
    let stream: [(&str, &str); 3] = [("container", "web"), ("namespace", "team-b"), ("pod", "long")];
    let rows: Vec<(&[(&str, &str)], i64, &str)> = (0..200).map(|n| (&stream[..], n, long.as_str())).collect();
    write_lines(&mut w, ms(60_000), &rows);
    w
}

/// What the kernel says of this process, in bytes.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Processor time of all threads so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which ends with the last bracket; a tick is a hundredth of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    Duration::from_millis(fields[11..13].iter().map(|n| n.parse::<u64>().unwrap() * 10).sum())
}

fn said(answer: &Result<Vec<RecordBatch>, QueryError>) -> String {
    match answer {
        Ok(batches) => format!("{} rows", batches.iter().map(RecordBatch::num_rows).sum::<usize>()),
        Err(why) => why.to_string(),
    }
}

/// Asks them all; whether each kept its bounds.
async fn asked_alone() -> bool {
    let writer = filled();
    let limits = EngineLimits { memory_bytes: POOL, timeout: TIMEOUT, ..EngineLimits::default() };
    let engine = Engine::new(limits).unwrap();
    let tables = tables(&scoped(&writer, &Access::All), cluster::changes());
    engine.query(tables.clone(), "SELECT count(*) FROM logs").await.unwrap();
    let (rest, mut sound) = (status("VmRSS:"), true);
    let planned = queries::planned();
    for (n, sql) in planned.iter().chain(&queries::others()).enumerate() {
        // From here on the peak is that of this query.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let (started, before) = (Instant::now(), status("VmRSS:"));
        let asked = async {
            let answer = engine.query(tables.clone(), sql).await;
            let answered = started.elapsed();
            while engine.tasks() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (answer, answered)
        };
        let deadline = async {
            tokio::time::sleep(TIMEOUT).await;
            processor_time()
        };
        let mut asked = std::pin::pin!(asked);
        let (asked, late) = tokio::select! {
            done = &mut asked => (done, Duration::ZERO),
            before = deadline => (asked.await, processor_time() - before),
        };
        let (answer, answered) = asked;
        let peak = status("VmHWM:");
        let (added, all) = (peak.saturating_sub(before), peak.saturating_sub(rest));
        let said = said(&answer);
        let ended = !said.contains("broke off") && engine.reserved_bytes() == 0;
        let is_asked = n >= planned.len() || !matches!(answer, Err(QueryError::Invalid(_)));
        let kept = added <= EACH && all <= ALL && late <= LATE && ended && is_asked;
        sound &= kept;
        let (sign, short) = (if kept { " " } else { "!" }, |text: &str| text.chars().take(160).collect::<String>());
        let _ = writeln!(
            std::io::stdout(),
            "{sign}{n:4}: {:4} ms, {:4} ms late, {:3} MiB more, {:3} MiB at most: {} -> {}",
            answered.as_millis(),
            late.as_millis(),
            added >> 20,
            all >> 20,
            short(sql),
            short(&said)
        );
    }
    sound
}

#[test]
fn no_query_takes_more_than_it_may() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(runtime.block_on(asked_alone()));
        return;
    }
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", "hostile::no_query_takes_more_than_it_may", "--nocapture"]).env(ALONE, "1");
    let told = alone.output().unwrap();
    let lines = String::from_utf8_lossy(&told.stdout);
    let over: Vec<&str> = lines.lines().filter(|line| line.starts_with('!')).collect();
    let last = lines.lines().rfind(|line| line.contains(" MiB at most: ")).unwrap_or_default();
    let errors = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "over their bounds:\n{}\nthe last one:\n{last}\n{errors}", over.join("\n"));
}
