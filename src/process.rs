//! What the operating system says of this process, under the names that every client library of Prometheus has.

use std::fs;
use std::path::Path;

use whyd_api::{Kind, Metric};

/// What times in `/proc` are counted in, a second: fixed for everything that is not the kernel.
const TICKS: f64 = 100.0;

/// Processor time, memory, files and start; none where there is no `/proc`.
pub(crate) fn metrics() -> Vec<Metric> {
    of(Path::new("/proc")).unwrap_or_default()
}

fn of(proc: &Path) -> Option<Vec<Metric>> {
    let read = |name: &str| fs::read_to_string(proc.join(name)).ok();
    let (stat, status, system) = (read("self/stat")?, read("self/status")?, read("stat")?);
    // The second field is the name of the program in brackets, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let kib = |name: &str| first_number(&status, name).map(|n| n * 1024.0);
    let boot = first_number(&system, "btime")?;
    let files = fs::read_dir(proc.join("self/fd")).ok()?.count();
    let metric = |name, help, kind, value| Metric { name, help, kind, samples: vec![(Vec::new(), value)] };
    Some(vec![
        metric(
            "process_cpu_seconds_total",
            "processor time, user and system",
            Kind::Counter,
            (ticks(11)? + ticks(12)?) / TICKS,
        ),
        metric("process_resident_memory_bytes", "memory that is resident", Kind::Gauge, kib("VmRSS:")?),
        metric("process_virtual_memory_bytes", "address space", Kind::Gauge, kib("VmSize:")?),
        metric("process_open_fds", "open file descriptors", Kind::Gauge, files as f64),
        metric(
            "process_start_time_seconds",
            "when it was started, since the epoch",
            Kind::Gauge,
            boot + ticks(19)? / TICKS,
        ),
    ])
}

/// The number behind `name` at the start of a line.
fn first_number(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("self/fd/3")).unwrap();
        let fields: Vec<String> = (3..=52).map(|n| if n == 3 { "S".to_owned() } else { n.to_string() }).collect();
        fs::write(dir.path().join("self/stat"), format!("7 (a ) b) {}\n", fields.join(" "))).unwrap();
        fs::write(dir.path().join("self/status"), "Name:\twhyd\nVmSize:\t  20 kB\nVmRSS:\t   8 kB\n").unwrap();
        fs::write(dir.path().join("stat"), "cpu  1 2\nbtime 1000\n").unwrap();
        let told: Vec<(&str, f64)> = of(dir.path()).unwrap().iter().map(|m| (m.name, m.samples[0].1)).collect();
        // proc_pid_stat(5): utime and stime are fields 14 and 15, starttime is 22.
        let expected = [
            ("process_cpu_seconds_total", 0.29),
            ("process_resident_memory_bytes", 8192.0),
            ("process_virtual_memory_bytes", 20480.0),
            ("process_open_fds", 1.0),
            ("process_start_time_seconds", 1000.22),
        ];
        assert_eq!(told, expected);
        fs::remove_file(dir.path().join("stat")).unwrap();
        assert!(of(dir.path()).is_none());
    }
}
