//! `whyd demo`: a real daemon on loopback, a recorded cluster played into its real listeners, the verdicts printed.

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;
use whyd_collector::Clock;
use whyd_collector::source::kube::ApiServer;
use whyd_signals::{Access, Envelope, Media, Timestamp};

use super::{DemoArgs, USUAL, print};
use crate::capture::Capture;
use crate::config::{Config, ConfigFile, OtlpConfig};
use crate::daemon::Daemon;
use crate::fixture_api::FixtureApi;
use crate::render::Style;
use crate::report::report;

/// Where the bundled capture lies: in a checkout, in the image.
const BUNDLED: [&str; 2] = ["fixtures/captures/dependency-down", "/usr/share/whyd/captures/dependency-down"];
/// The playing takes about so long, however long the recording is.
const PLAYING: Duration = Duration::from_secs(12);
/// The daemon has taken in everything when nothing was new for so long.
const SETTLED: Duration = Duration::from_millis(1500);
/// After so long without settling something is wrong.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two looks at the daemon and two strokes of the progress.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let path = bundled(args.capture.as_deref())?;
    let capture = Capture::open(&path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(play(args, &capture))
}

fn bundled(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = asked {
        return Ok(path.to_owned());
    }
    let found = BUNDLED.iter().map(PathBuf::from).find(|p| p.join("capture.json").exists());
    found.with_context(|| {
        format!("no capture at {}; run it in the project's root or name one with --capture", BUNDLED.join(" or "))
    })
}

async fn play(args: &DemoArgs, capture: &Capture) -> anyhow::Result<ExitCode> {
    let dir = tempdir()?;
    let config = Config {
        http: args.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))),
        data_dir: dir.0.clone(),
        cluster: capture.about.cluster.clone(),
        tick: LOOK,
        otlp: OtlpConfig::OFF,
        ..ConfigFile::default().validate().map_err(|e| anyhow::anyhow!("{}", e.join("; ")))?
    };
    let messages = capture.messages()?;
    let (start, end) = (capture.start(), messages.last().map_or(capture.about.to, |m| m.received));
    let (time, told) = watch::channel(start);
    let clock = told.clone();

    let fixture = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", fixture.local_addr()?);
    let served = tokio::spawn(FixtureApi::new(capture, told).serve(fixture));
    let clock: Clock = Arc::new(move || *clock.borrow());
    let daemon = Daemon::start(&config, Some(ApiServer::Url(url.clone())), clock).await?;
    let address = reached(daemon.address());
    let until = if args.once { " until its verdicts are there" } else { "" };
    say(&format!("whyd is running on http://{address}{until}, its data in {}", dir.0.display()))?;
    say(&format!("a recorded Kubernetes API server is on {url}; metrics and logs go to whyd's receivers"))?;

    // Heard while it plays, too: what it has on disk goes with it.
    let mut term = signal(SignalKind::terminate())?;
    let playing = async {
        push(capture, &messages, address, &time, (start, end)).await?;
        settle(&daemon, &time, end.plus(config.lateness)).await?;
        show(args, &daemon, (start, end))
    };
    let shown = tokio::select! {
        shown = playing => shown,
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| ExitCode::FAILURE).map_err(Into::into),
        _ = term.recv() => Ok(ExitCode::FAILURE),
    };
    if shown.as_ref().is_ok_and(|code| *code == ExitCode::SUCCESS) && !args.once {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = term.recv() => {}
        }
    }
    served.abort();
    daemon.stop().await?;
    shown
}

/// Where a daemon is reached from this machine that listens at this address, which may stand for all of the machine's.
fn reached(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
        _ => address,
    }
}

/// Prints the verdicts, and what else can be asked.
fn show(args: &DemoArgs, daemon: &Daemon, (start, end): (Timestamp, Timestamp)) -> anyhow::Result<ExitCode> {
    let address = reached(daemon.address());
    let scoped = daemon.view.scoped(&Access::All);
    let server = format!("http://{address}");
    // Nobody can ask a daemon that is gone when this is read.
    let server = Some(server.as_str()).filter(|server| *server != USUAL && !args.once);
    print(&report(&scoped, Style { colour: super::coloured(), server, ..Style::PLAIN }))?;
    let restarts = scoped.restarts();
    let asked = restarts.first().map(|r| r.workload.rsplit('/').next().unwrap_or_default());
    let next = if args.once {
        afterwards(restarts.len(), scoped.incidents().len())
    } else {
        meanwhile(address, asked, (start, end))
    };
    say(&format!("\n{next}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Of a daemon that goes on: where it is asked.
fn meanwhile(address: SocketAddr, asked: Option<&str>, (start, end): (Timestamp, Timestamp)) -> String {
    let hint = asked.map_or(String::new(), |name| format!("Ask it:  whyd why {name} --server http://{address}      "));
    format!(
        "The API: http://{address}/api/v1/restarts, /api/v1/why?pod=…, /api/v1/incidents, schema at /openapi.json\n\
         Grafana:  http://{address}/prometheus as a Prometheus data source, from {start} to {end}\n\
         {hint}(Ctrl-C ends the demo)"
    )
}

/// Of one that ends: what was seen, and how to look on.
fn afterwards(restarts: usize, incidents: usize) -> String {
    let (s, t) = (if restarts == 1 { "" } else { "s" }, if incidents == 1 { "" } else { "s" });
    format!(
        "These were {restarts} restart{s} and {incidents} incident{t}; the daemon that said so has ended, and its data is gone.\n\
         `whyd demo` without --once leaves it running, with its page, its API and Grafana's data source."
    )
}

/// Posts metrics and logs in their order while the clock runs; the fixture API server follows the same clock.
async fn push(
    capture: &Capture,
    messages: &[Envelope],
    address: SocketAddr,
    time: &watch::Sender<Timestamp>,
    (start, end): (Timestamp, Timestamp),
) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let factor = (end.seconds_since(start) / PLAYING.as_secs_f64()).max(0.001);
    let began = Instant::now();
    let bodies: Vec<&Envelope> = messages.iter().filter(|m| !matches!(m.media, Media::Kube(..))).collect();
    let kube = messages.len() - bodies.len();
    say(&format!(
        "playing {:.0} s of {} ({} bodies of metrics and logs, {kube} object versions)",
        end.seconds_since(start),
        capture.about.name,
        bodies.len()
    ))?;
    for (n, body) in bodies.iter().enumerate() {
        let due = began + Duration::from_secs_f64((body.received.seconds_since(start) / factor).max(0.0));
        tokio::time::sleep_until(due).await;
        time.send_replace(body.received);
        let path = match body.media {
            Media::RemoteWrite1(_) | Media::RemoteWrite2(_) => "/api/v1/write",
            Media::OtlpMetricsProto | Media::OtlpMetricsJson => "/otlp/v1/metrics",
            Media::OtlpLogsProto | Media::OtlpLogsJson => "/otlp/v1/logs",
            _ => "/loki/api/v1/push",
        };
        let (content_type, encoding) = body.media.content();
        let request = client.post(format!("http://{address}{path}")).header("content-type", content_type);
        let request = match encoding {
            Some(encoding) => request.header("content-encoding", encoding),
            None => request,
        };
        let request = request.body(body.body.clone());
        let answer = request.send().await.with_context(|| format!("posting to {path}"))?;
        let status = answer.status();
        ensure!(status.is_success(), "{path} answered {status}: {}", answer.text().await.unwrap_or_default());
        progress(n + 1, bodies.len())?;
    }
    time.send_replace(end);
    Ok(())
}

/// Waits until the daemon has taken in all that the clock shows, then lets the lateness pass, so that verdicts stand.
async fn settle(daemon: &Daemon, time: &watch::Sender<Timestamp>, last: Timestamp) -> anyhow::Result<()> {
    let began = Instant::now();
    for until in [None, Some(last)] {
        if let Some(at) = until {
            time.send_replace(at);
        }
        let (mut seen, mut since) = (daemon.view.progress(), Instant::now());
        while since.elapsed() < SETTLED {
            if began.elapsed() > PATIENCE {
                bail!("the daemon did not settle within {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK).await;
            let now = daemon.view.progress();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }
    Ok(())
}

/// A line that is drawn over, on a terminal only.
fn progress(done: usize, all: usize) -> anyhow::Result<()> {
    let mut err = std::io::stderr().lock();
    if !err.is_terminal() {
        return Ok(());
    }
    let filled = done * 30 / all.max(1);
    write!(err, "\r[{}{}] {done}/{all}", "#".repeat(filled), ".".repeat(30 - filled))?;
    if done == all {
        writeln!(err)?;
    }
    err.flush().map_err(Into::into)
}

/// What is not the answer goes to standard error.
fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{text}").map_err(Into::into)
}

/// A folder that goes when the demo does.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn tempdir() -> anyhow::Result<Folder> {
    let base = std::env::temp_dir();
    let name = format!("whyd-demo-{}", std::process::id());
    let dir = base.join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("{}", dir.display()))?;
    Ok(Folder(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_ends_is_not_said_to_be_anywhere() {
        let said = afterwards(1, 2);
        assert!(said.contains("1 restart and 2 incidents") && said.contains("`whyd demo` without --once"), "{said}");
        assert!(!said.contains("http"), "{said}");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8081));
        let said = meanwhile(address, Some("cart"), (Timestamp(0), Timestamp(1)));
        assert!(said.contains("whyd why cart --server http://127.0.0.1:8081") && said.contains("Ctrl-C"), "{said}");
        for (listens, at) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("127.0.0.2:1", "127.0.0.2:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            assert_eq!(reached(listens.parse().unwrap()), at.parse().unwrap());
        }
        assert!(!meanwhile(address, None, (Timestamp(0), Timestamp(1))).contains("whyd why"));
    }
}
