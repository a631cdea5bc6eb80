//! `whyd run`: the daemon.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use whyd_collector::Clock;
use whyd_collector::source::kube::ApiServer;
use whyd_signals::Timestamp;

use super::{RunArgs, checked, configured, together};
use crate::clock::{SteadyClock, elapsed};
use crate::config::Config;
use crate::daemon::Daemon;

/// How long it still serves after SIGTERM, not ready any more: what sends it traffic needs a moment to hear of that.
const LINGER: Duration = Duration::from_secs(2);
/// How long tasks may take to end once the daemon has stopped.
const SHUTDOWN: Duration = Duration::from_secs(1);

pub(super) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let mut config = match &args.config {
        Some(file) => checked(file).map_err(|errors| together(&errors))?,
        None => configured(None)?,
    };
    if let Some(dir) = args.data_dir {
        config.data_dir = dir;
    }
    if let Some(addr) = args.listen {
        config.http = addr;
    }
    logging();
    let (dir, file) = (config.data_dir.display(), args.config.as_ref().map(|file| file.display().to_string()));
    let file = file.as_deref().unwrap_or("none");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), cluster = config.cluster, config = file, data = %dir, "starting");
    for warning in config.warnings((wall_clock())()) {
        tracing::warn!("{warning}");
    }
    if config.tokens.is_empty() && config.write_token.is_none() {
        tracing::warn!(
            "everything is open: whoever reaches the port can read all, and write; access.tokens and access.writeTokenFile keep others out"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        // Heard from the beginning: reading the log back may take a while.
        let mut term = signal(SignalKind::terminate()).context("signals cannot be received")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be received")?;
        let time = SteadyClock::new(wall_clock(), elapsed());
        let starting = Daemon::start(&config, api_server(&config), time);
        let daemon = tokio::select! {
            started = starting => started?,
            _ = term.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        tracing::info!(address = %daemon.address(), "listening");
        let linger = tokio::select! {
            _ = term.recv() => LINGER,
            _ = interrupt.recv() => Duration::ZERO,
            () = daemon.ended() => {
                tracing::error!("the ingest thread has ended");
                Duration::ZERO
            }
        };
        tracing::info!("stopping");
        daemon.view.stopping();
        tokio::select! {
            () = tokio::time::sleep(linger) => {}
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        daemon.stop().await?;
        tracing::info!("stopped");
        Ok(())
    });
    // A log that is still being read back is not waited for: nothing was acknowledged.
    runtime.shutdown_timeout(SHUTDOWN);
    done.map(|()| ExitCode::SUCCESS)
}

/// The API server that the configuration names, if any is to be watched.
pub(super) fn api_server(config: &Config) -> Option<ApiServer> {
    match (&config.kubernetes_url, config.kubernetes) {
        (_, false) => None,
        (Some(url), true) => Some(ApiServer::Url(url.clone())),
        (None, true) => Some(ApiServer::Inferred),
    }
}

/// The only place, with the demo, where the wall clock enters.
#[allow(clippy::disallowed_methods)]
pub(super) fn wall_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    })
}

/// What is logged where nobody says. The libraries that watch tell each refusal and each failure to connect; ours are said once.
const FILTER: &str = "info,kube_runtime=error,kube_client::client::builder=off";

/// Logs to standard error: for people on a terminal, JSON elsewhere. `WHYD_LOG` filters.
pub(super) fn logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WHYD_LOG").unwrap_or_else(|_| FILTER.into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.init();
    } else {
        log.json().init();
    }
}
