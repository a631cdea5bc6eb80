//! The running daemon: listener, watches and driver, started in the order in which data flows, stopped in that order too.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use whyd_api::Deadlines;
use whyd_api::alertmanager::{Board, Peer, read};
use whyd_api::listen::Counts;
use whyd_buffers::checkpoint::{Checkpoints, KeepLimits};
use whyd_buffers::wal::{Bounds, Log, WalError};
use whyd_collector::inlet::Hold;
use whyd_collector::source::grpc;
use whyd_collector::source::http;
use whyd_collector::source::kube::{self, ApiServer, Client, Statuses};
use whyd_collector::source::pull::PullStatuses;
use whyd_collector::{Clock, Inlet};
use whyd_signals::Resource;

use crate::alerting::{Alerting, HttpTransport};
use crate::clock::SteadyClock;
use crate::config::{Config, Port};
use crate::doors::Doors;
use crate::live::{Kept, Live, Times};
use crate::log_health::LogShown;
use crate::objects::Objects;
use crate::pull_health::PullHealth;
use crate::pulling;
use crate::sql::Queries;
use crate::stopwatch::thread_time;
use crate::view::{Shown, View};
use crate::watches::Watches;
use crate::wiring;

/// All that runs.
pub struct Daemon {
    address: SocketAddr,
    tasks: JoinSet<()>,
    driver: JoinHandle<()>,
    ended: watch::Receiver<bool>,
    close: watch::Sender<bool>,
    /// What the API reads.
    pub view: Arc<View>,
}

/// By which clock a daemon goes.
pub struct Time {
    clock: Clock,
    /// The same, where what is known of its leaps is to be shown.
    steady: Option<SteadyClock>,
}

impl From<Clock> for Time {
    fn from(clock: Clock) -> Self {
        Self { clock, steady: None }
    }
}

impl From<SteadyClock> for Time {
    fn from(steady: SteadyClock) -> Self {
        Self { clock: steady.clock(), steady: Some(steady) }
    }
}

impl Daemon {
    /// Binds, reads the log back, then watches and receives. `time` is the only clock there is.
    ///
    /// # Errors
    /// An address that is taken, a log that is another process's, a token or API server that cannot be had.
    pub async fn start(config: &Config, api: Option<ApiServer>, time: impl Into<Time>) -> anyhow::Result<Self> {
        let Time { clock, steady } = time.into();
        // Looked for before anything is begun that would have to be ended again.
        let cluster = match &api {
            Some(server) => Some(kube::client(server).await.context(
                "no Kubernetes API; run it in a cluster, or set kubernetes.url, or kubernetes.enabled: false",
            )?),
            None => None,
        };
        let door = wiring::door(config).map_err(|e| anyhow::anyhow!("{}", e.join("; ")))?;
        let bound = TcpListener::bind(config.http).await;
        let listener = bound
            .with_context(|| format!("cannot listen on {}; another address or port has to be chosen", config.http))?;
        let address = listener.local_addr()?;
        let asked = config.http;
        let config = &Config { http: address, ..config.clone() };
        let core = wiring::core(config).timed(Box::new(thread_time));
        let peers = config.alertmanager.urls.iter().map(|url| Arc::new(Peer::new(url.clone()))).collect();
        let board = Arc::new(Board::new(peers));
        let statuses = Statuses::default();
        let watches = Watches::new(statuses.clone());
        let (inlet, inbox) = wiring::inlet(config);
        inlet.hold(Hold::Replay);
        let to = wiring::receivers(config, inlet.clone(), &clock).map_err(|e| anyhow::anyhow!("{e}"))?;
        let doors = Doors::new(inlet.gauge(), to.gate.clone());
        let pulled = PullStatuses::default();
        let view = View::new(Shown::of(&core, LogShown::default()))
            .with_alerts(Arc::clone(&board))
            .with_doors(doors.clone())
            .with_watches(watches)
            .with_pulls(PullHealth::new(pulled.clone(), Arc::clone(&clock)));
        let view = match &steady {
            Some(steady) => view.with_clock(steady.clone()),
            None => view,
        };
        let view = Arc::new(if config.kubernetes || cluster.is_some() { view } else { view.without_cluster() });
        let (close, closing) = watch::channel(false);
        let deadlines = |counts: &Arc<Counts>| Deadlines { counts: Arc::clone(counts), ..Deadlines::default() };

        let mut tasks = JoinSet::new();
        let otlp_http = listen("otlp.http", config.otlp.http, asked).await?;
        let otlp_grpc = listen("otlp.grpc", config.otlp.grpc, asked).await?;
        let receivers = http::router(to.clone());
        let queries =
            Queries::new(config, Arc::clone(&view), Arc::clone(&clock)).context("the threads that answer SQL")?;
        let api_state =
            whyd_api::Api::new(Arc::clone(&view) as _, door, Arc::clone(&clock)).with_sql(Arc::new(queries));
        let alerts_read = read::router(api_state.clone(), wiring::alerts_read(config, &clock));
        let router = whyd_api::router(api_state, receivers.merge(alerts_read));
        let mut until = closing.clone();
        tasks.spawn(whyd_api::serve(listener, router, deadlines(&doors.http), async move {
            let _ = until.wait_for(|closed| *closed).await;
        }));

        let mut until = closing.clone();
        if let Some(listener) = otlp_http {
            let router = http::otlp_router(to.clone());
            let mut until = closing.clone();
            tasks.spawn(whyd_api::serve(listener, router, deadlines(&doors.otlp_http), async move {
                let _ = until.wait_for(|closed| *closed).await;
            }));
        }
        if let Some(listener) = otlp_grpc {
            tasks.spawn(grpc::serve(listener, to.clone(), doors.otlp_grpc.clone(), async move {
                let _ = until.wait_for(|closed| *closed).await;
            }));
        }

        let dir = config.data_dir.join("log");
        let times = Times { tick: config.tick, keep: config.window + config.lateness };
        let bounds = Bounds { bytes: config.log_bytes, ..Bounds::default() };
        let log_dir = dir.clone();
        let keep = KeepLimits {
            window: config.window,
            memory: config.memory / 2,
            retention: config.retention,
            bytes: config.history_bytes,
        };
        let (history, by) = (config.data_dir.join("history"), wiring::made_by(config));
        let handle = tokio::runtime::Handle::current();
        let (for_log, log_clock) = (Arc::clone(&view), Arc::clone(&clock));
        let opened = tokio::task::spawn_blocking(move || {
            let log = Log::open(&dir, bounds)?;
            let checkpoints = Checkpoints::new(Box::new(Objects::open(&history, handle)?), keep);
            Live::open(core, log, Kept { dir, checkpoints, by }, log_clock, times, for_log)
        });
        let live = opened.await?.map_err(|why| unopened(&config.data_dir, why))?;
        inlet.open(Hold::Replay);
        let runtime = tokio::runtime::Handle::current();
        let (ending, ended) = watch::channel(false);
        let driver = std::thread::Builder::new().name("ingest".into()).spawn(move || {
            // Dropped when the thread ends, by a panic too.
            let _ending = ending;
            live.run(inbox, &runtime);
        })?;

        if let Some(steady) = steady {
            let (guarding, mut until) = (steady.guard(inlet.clone()), closing.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = guarding => {}
                    _ = until.wait_for(|closed| *closed) => {}
                }
            });
        }
        let alerting = Alerting::open(config, &log_dir, Arc::clone(&view), Arc::clone(&board), Arc::clone(&clock))?;
        tell(&mut tasks, config, alerting, &board, &closing)?;
        pulling::start(&mut tasks, config, (&inlet, &clock), &view, &pulled, &closing)?;
        if let Some(cluster) = cluster {
            watch_cluster(&mut tasks, &cluster, (&inlet, &clock), &statuses, &closing);
        }
        Ok(Self { address, tasks, driver, ended, close, view })
    }

    /// Where API and receivers listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the ingest thread has ended by itself: then nothing is taken in any more.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    /// Stops receiving, lets what is in flight finish, then ends the driver: nothing acknowledged is lost.
    ///
    /// # Errors
    /// When the driver's thread ended by a panic.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let _ = self.close.send(true);
        while self.tasks.join_next().await.is_some() {}
        tokio::task::spawn_blocking(|| self.driver.join())
            .await?
            .map_err(|_| anyhow::anyhow!("the ingest thread panicked"))
    }
}

/// Why the data directory cannot be used, and what helps.
fn unopened(dir: &Path, why: WalError) -> anyhow::Error {
    let dir = dir.display();
    match why {
        WalError::Locked => anyhow::anyhow!(
            "another whyd runs with the data directory {dir}: stop it, or give --data-dir (dataDir) another"
        ),
        WalError::Io(why) => {
            let is_no_folder = matches!(
                why.kind(),
                ErrorKind::PermissionDenied
                    | ErrorKind::NotFound
                    | ErrorKind::NotADirectory
                    | ErrorKind::AlreadyExists
                    | ErrorKind::ReadOnlyFilesystem
            );
            let helps = if is_no_folder { "; give --data-dir (dataDir) a folder that whyd may write" } else { "" };
            anyhow::anyhow!("the data directory {dir} cannot be used: {why}{helps}")
        }
        why => anyhow::Error::new(why).context(format!("the log in {dir}")),
    }
}

/// Binds a listener beside the main one. A port that nobody asked for may be another's: that is said, and the rest runs.
async fn listen(key: &str, port: Port, main: SocketAddr) -> anyhow::Result<Option<TcpListener>> {
    let Some(at) = port.address(main) else { return Ok(None) };
    match TcpListener::bind(at).await {
        Ok(listener) => {
            tracing::info!(address = %listener.local_addr()?, "{key} listens");
            Ok(Some(listener))
        }
        Err(error) if matches!(port, Port::Usual(_)) => {
            tracing::warn!(address = %at, %error, "{key} cannot listen and is off; set it to another address, or to none");
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("{key}: cannot listen on {at}; choose another, or none")),
    }
}

/// Starts the loop that tells alerts, and a worker for each peer.
fn tell(
    tasks: &mut JoinSet<()>,
    config: &Config,
    alerting: Alerting,
    board: &Board,
    closing: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    for peer in board.peers().iter().cloned() {
        let transport = HttpTransport::new(&peer.name, config.alertmanager.credential.clone())?;
        let mut until = closing.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = peer.run(&transport) => {}
                _ = until.wait_for(|closed| *closed) => {}
            }
        });
    }
    let mut until = closing.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = alerting.run() => {}
            _ = until.wait_for(|closed| *closed) => {}
        }
    });
    Ok(())
}

fn watch_cluster(
    tasks: &mut JoinSet<()>,
    client: &Client,
    (inlet, clock): (&Inlet, &Clock),
    statuses: &Statuses,
    closing: &watch::Receiver<bool>,
) {
    for resource in Resource::ALL {
        let watching = kube::watch(client.clone(), resource, inlet.clone(), Arc::clone(clock), statuses.clone());
        let mut until = closing.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = watching => {}
                _ = until.wait_for(|closed| *closed) => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn a_usual_port_that_is_taken_is_off_and_one_asked_for_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = taken.local_addr().unwrap();
        let main = SocketAddr::from(([127, 0, 0, 1], 8080));
        assert!(listen("otlp.grpc", Port::Usual(at.port()), main).await.unwrap().is_none());
        let wrong = listen("otlp.grpc", Port::At(at), main).await.unwrap_err();
        assert!(format!("{wrong:#}").starts_with(&format!("otlp.grpc: cannot listen on {at}")), "{wrong:#}");
        assert!(listen("otlp.grpc", Port::Off, main).await.unwrap().is_none());
        drop(taken);
        assert!(listen("otlp.grpc", Port::At(at), main).await.unwrap().is_some());
    }
}
