//! `whyd bench`: how fast it is, on data that other engines are measured on.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use super::{BenchArgs, BenchOf, configured, print};
use crate::join_bench;

pub(super) fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let BenchOf::Join(args) = &args.of;
    let mut config = configured(args.config.as_ref())?;
    config.memory = config.memory.max(args.memory << 20);
    // As many as the data has, whatever one cluster may.
    (config.series, config.series_per_team) = (usize::MAX, usize::MAX);
    (config.streams, config.streams_per_team) = (usize::MAX, usize::MAX);
    let terminal = std::io::stderr().is_terminal();
    let told = |what: &str| {
        if terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{what}");
        }
    };
    let figures = join_bench::run(&args.data, &config, args.threads.into(), args.reps.into(), told)?;
    told("");
    print(&serde_json::to_string(&figures)?)
}
