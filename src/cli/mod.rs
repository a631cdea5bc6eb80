//! The commands: what the user said, then what is done about it, one file each.

mod bench;
mod demo;
mod eval;
mod record;
mod replay;
mod run;
mod why;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::chart_values::Values;
use crate::config::{Config, ConfigFile};
use crate::wiring;

/// Why did this pod restart?
///
/// whyd takes in Prometheus metrics, Loki logs and the objects of one Kubernetes cluster, joins them by team, pod and
/// time, and tells for every restart the cause, its evidence, what was ruled out and what is missing.
#[derive(Debug, Parser)]
#[command(name = "whyd", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Why did this pod restart?
#[derive(Debug, Parser)]
#[command(name = "kubectl why", bin_name = "kubectl why", version)]
struct Plugin {
    #[command(flatten)]
    why: WhyArgs,
}

/// Where a daemon is asked if nothing else is said.
const USUAL: &str = "http://127.0.0.1:8080";

const EXAMPLES: &str = "Examples:
  whyd demo                          a recorded cluster through a real daemon on this machine
  whyd run --config whyd.yaml        the daemon
  whyd why cart-6f6ff55c87-p825w     why that pod restarted, asked of a running daemon
  whyd why -n team-shop              what is wrong in that namespace
  whyd replay fixtures/captures/oom-limit --json
  whyd record --out bug --for 10m --redact     a live cluster into a capture, for a bug report
  whyd eval why fixtures/captures    how often it is right";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Run(RunArgs),
    /// Play a recorded cluster through a real daemon on loopback and print why its pods restarted
    Demo(DemoArgs),
    /// Run a capture through the same core and print the verdicts
    Replay(ReplayArgs),
    /// Ask a running daemon why a pod restarted
    Why(WhyArgs),
    /// Record a live cluster into a capture, which replay reads
    Record(RecordArgs),
    /// How often it is right, on data whose truth is known
    Eval(EvalArgs),
    /// How fast it is, on data that other engines are measured on
    Bench(BenchArgs),
    /// Check a configuration file and report every error at once
    CheckConfig {
        /// The file, YAML
        file: PathBuf,
    },
    /// Print a JSON Schema
    Schema {
        /// Of what
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print the OpenAPI document of the API
    Openapi,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Configuration file, YAML; without one the defaults work inside a cluster
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the log is kept; overrides the configuration
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// HTTP address of API and receivers, for instance 127.0.0.1:8080; overrides the configuration
    #[arg(long, value_name = "ADDR")]
    listen: Option<std::net::SocketAddr>,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Port of the API on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8080, conflicts_with = "listen")]
    port: u16,
    /// Address of the API, as of `whyd run`; instead of a port
    #[arg(long, value_name = "ADDR")]
    listen: Option<std::net::SocketAddr>,
    /// Exit after the verdicts instead of serving on
    #[arg(long)]
    once: bool,
    /// The capture to play [default: fixtures/captures/dependency-down, else the one of the image]
    #[arg(long, value_name = "DIR")]
    capture: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// A capture: a folder with capture.json
    capture: PathBuf,
    /// Print one JSON object, with the workloads that are likeliest the root of what was wrong in the last ten minutes
    #[arg(long)]
    json: bool,
    /// Stop at this time, RFC 3339 [default: the capture's end]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Configuration file, YAML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RecordArgs {
    /// The folder to write; it must not hold a capture yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long, for instance 10m [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME")]
    duration: Option<String>,
    /// Take secrets out of log lines and events, and annotations that no verdict reads out of objects
    #[arg(long)]
    redact: bool,
    /// Receive remote write and Loki pushes at this address, to have metrics and logs in it
    #[arg(long, value_name = "ADDR")]
    listen: Option<std::net::SocketAddr>,
    /// Configuration file, YAML: its kubernetes section says which cluster
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct BenchArgs {
    #[command(subcommand)]
    of: BenchOf,
}

#[derive(Debug, Subcommand)]
enum BenchOf {
    /// The as-of and the interval join over the data of gen_join.py; prints one line of JSON
    Join(BenchJoinArgs),
}

#[derive(Debug, Args)]
struct BenchJoinArgs {
    /// A folder that gen_join.py wrote
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Threads of a query
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// How often each query is asked; the figures are medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    reps: u16,
    /// MiB for what is loaded, where the configuration has less
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    memory: usize,
    /// Configuration file, YAML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct EvalArgs {
    /// What is evaluated
    #[arg(value_enum)]
    of: EvalOf,
    /// why: a folder of captures, each with truth.json or expected.json; detect: a folder of series, <name>.csv or
    /// <name>.csv.gz with timestamp,value or Data,Label; rca: a folder of captures or of metrics.csv.gz,
    /// each with truth.json; onset: a folder of captures, each with truth.json that has t_inject or without;
    /// templates: a folder of <system>.content.txt with <system>.truth.csv
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write to this file, too: of why and onset the JSON, of rca the names best first by case, of templates
    /// system,line_id,template_id,template for each line; of detect it is a folder, which gets <name>.scores.csv of each
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Of rca: do not tell when it began; it is looked for in each capture's window
    #[arg(long)]
    blind: bool,
    /// Of onset: the captures of one cluster as a daemon would see them that lives on, and not each by itself
    #[arg(long)]
    together: bool,
    /// Configuration file, YAML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EvalOf {
    /// Anomalies of single series: the scores that the field's scorers read, and what one value takes
    Detect,
    /// Anomalies of captures: how soon after its injection a fault is seen, and what is told of those that are well
    Onset,
    /// Roots of faults: how often the root is ranked first, by set and kind of fault
    Rca,
    /// Causes of restarts: precision and recall, confusion, calibration
    Why,
    /// Templates of log lines: GA, FGA, PA and FTA by system
    Templates,
}

#[derive(Debug, Args)]
struct WhyArgs {
    /// A pod, the beginning of its name, a workload, or an incident's id or its first eight letters; also NAMESPACE/POD, pod/NAME,
    /// deploy/NAME. Without one: the open incidents and the newest restarts
    #[arg(value_name = "NAME")]
    pod: Option<String>,
    /// Its namespace; without a name, the namespace that is listed
    #[arg(short, long)]
    namespace: Option<String>,
    /// One container of it
    #[arg(short, long, requires = "pod")]
    container: Option<String>,
    /// The daemon's API
    #[arg(long, value_name = "URL", default_value = USUAL, env = "WHYD_SERVER")]
    server: String,
    /// A bearer token, where the daemon asks for one
    #[arg(long, value_name = "TOKEN", env = "WHYD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaOf {
    /// The configuration file
    Config,
    /// The values of the Helm chart
    Values,
}

/// Parses the command line, runs the command and says what went wrong.
pub fn main() -> ExitCode {
    // As a kubectl plugin it is called by another name and has one command.
    let called = std::env::args_os().next().unwrap_or_default();
    let plugin = Path::new(&called).file_stem().is_some_and(|name| name == "kubectl-why");
    let command = if plugin { Command::Why(Plugin::parse().why) } else { Cli::parse().command };
    match dispatch(command) {
        Ok(code) => code,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "whyd: {}", said(&e));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::demo(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Why(args) => why::why(&args),
        Command::Record(args) => record::record(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::CheckConfig { file } => check_config(&file),
        Command::Schema { of } => {
            let schema = match of {
                SchemaOf::Config => schemars::schema_for!(ConfigFile),
                SchemaOf::Values => schemars::schema_for!(Values),
            };
            print(&serde_json::to_string_pretty(&schema)?)
        }
        Command::Openapi => print(&whyd_api::document()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "whyd", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

fn check_config(file: &Path) -> anyhow::Result<ExitCode> {
    match checked(file) {
        Ok(config) => {
            for warning in config.warnings((run::wall_clock())()) {
                writeln!(std::io::stderr(), "{}: warning: {warning}", file.display())?;
            }
            print(&format!("{}: ok", file.display()))
        }
        Err(errors) => {
            let mut err = std::io::stderr().lock();
            for e in errors {
                writeln!(err, "{e}")?;
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The configuration of a file that a daemon can run with: its keys, their values, and the files that they name.
fn checked(file: &Path) -> Result<Config, Vec<String>> {
    let (config, mut wrong) = ConfigFile::examine(file);
    let Some(config) = config else { return Err(wrong) };
    let files = wiring::door(&config).err().unwrap_or_default();
    let files = files.into_iter().chain(wiring::write_token(&config).err()).chain(wiring::unreadable(&config));
    wrong.extend(files.map(|e| format!("{}: {e}", file.display())));
    if wrong.is_empty() { Ok(config) } else { Err(wrong) }
}

/// The configuration of a file, or the defaults; every error at once. What its files hold matters to nobody but a daemon.
fn configured(file: Option<&PathBuf>) -> anyhow::Result<Config> {
    let Some(file) = file else { return ConfigFile::default().validate().map_err(|errors| together(&errors)) };
    match ConfigFile::examine(file) {
        (Some(config), wrong) if wrong.is_empty() => Ok(config),
        (_, wrong) => Err(together(&wrong)),
    }
}

/// One error of many, a line each.
fn together(errors: &[String]) -> anyhow::Error {
    anyhow::anyhow!("{}", errors.join("\n      "))
}

/// What went wrong and why, each said once: an error's own words often hold those of its cause already.
fn said(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Prints to standard output; a reader that has had enough is no error.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Whether to colour: only on a terminal, and not when NO_COLOR asks not to.
fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use whyd_buffers::wal::WalError;

    use super::*;

    #[test]
    fn what_went_wrong_is_said_once() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let twice = Err::<(), _>(WalError::Io(denied())).context("the log in d").unwrap_err();
        assert_eq!(format!("{twice:#}").matches("permission denied").count(), 2);
        assert_eq!(said(&twice), "the log in d: log: permission denied");
        let once = Err::<(), _>(denied()).context("cannot listen").context("starting").unwrap_err();
        assert_eq!(said(&once), "starting: cannot listen: permission denied");
    }

    #[test]
    fn a_file_is_checked_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("whyd.yaml");
        let text = "limits: {windwo: 6h, memory: lots}\naccess: {writeTokenFile: /nope, tokens: [{tokenFile: /nowhere}]}\n\
                    pull: {prometheus: [{name: a, url: \"http://a\", tokenFile: /gone}]}\n";
        std::fs::write(&file, text).unwrap();
        let wrong = checked(&file).unwrap_err();
        let before = format!("{}: ", file.display());
        let keys: Vec<&str> = wrong.iter().filter_map(|w| w.strip_prefix(&before)?.split(": ").next()).collect();
        let expected =
            ["limits.windwo", "limits.memory", "access.tokens[0].tokenFile", "access.writeTokenFile", "pull"];
        assert_eq!(keys, expected, "{wrong:?}");
        // Who may read by a token and who may write by it are two; neither token is told.
        let (reader, sender) = (dir.path().join("reader"), dir.path().join("sender"));
        std::fs::write(&reader, "s3cret\n").unwrap();
        std::fs::write(&sender, " s3cret").unwrap();
        let both = format!(
            "access: {{writeTokenFile: {}, tokens: [{{tokenFile: {}}}]}}\n",
            sender.display(),
            reader.display()
        );
        std::fs::write(&file, both).unwrap();
        let wrong = checked(&file).unwrap_err();
        let says =
            format!("access.writeTokenFile: {}: holds the same token as access.tokens[0].tokenFile", sender.display());
        assert!(
            wrong.len() == 1 && wrong[0].contains(&says) && wrong[0].contains(&reader.display().to_string()),
            "{wrong:?}"
        );
        assert!(!wrong[0].contains("s3cret"));
        std::fs::write(&sender, "another").unwrap();
        assert!(checked(&file).is_ok());
        // What replays a capture reads no token.
        std::fs::write(&file, text.replace("windwo: 6h, memory: lots", "")).unwrap();
        assert!(checked(&file).is_err() && configured(Some(&file)).is_ok());
    }
}
