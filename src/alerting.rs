//! Tells incidents to the Alertmanagers: looks at them each second, keeps on disk what it tells, then hands it to the
//! peers' workers. What is to be told when is decided in [`whyd_api::alertmanager::Outbox`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use tokio::time::{Instant, MissedTickBehavior, interval};
use whyd_api::Reader;
use whyd_api::alertmanager::outbox::Settings;
use whyd_api::alertmanager::{Active, Answer, Board, Outbox, Sight, Told, Transport, describe};
use whyd_collector::Clock;
use whyd_signals::Access;

use crate::alert_file::AlertFile;
use crate::client;
use crate::config::Config;
use crate::view::View;

/// Between two looks at the incidents.
const LOOK: Duration = Duration::from_secs(1);
/// The last words of a container come a second or two after its end, from most shippers: until then its incident may turn out to be
/// another's.
const SETTLES: Duration = Duration::from_secs(5);
/// After so long no list of the cluster is waited for any more.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many bytes of a peer's words are read, for the log.
const WORDS: usize = 300;

/// The loop's state.
pub struct Alerting {
    outbox: Outbox,
    file: AlertFile,
    board: Arc<Board>,
    view: Arc<View>,
    clock: Clock,
    /// How long what is sent need not be sent again.
    interval: Duration,
    /// Whether there is a cluster that has to be listed before absence means anything.
    watches: bool,
    /// Since when the cluster is waited for.
    since: Instant,
    /// What was told is not on the disk yet.
    unkept: bool,
}

impl Alerting {
    /// Goes on with what is kept in `dir`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(config: &Config, dir: &Path, view: Arc<View>, board: Arc<Board>, clock: Clock) -> anyhow::Result<Self> {
        let (file, told) = AlertFile::open(dir).with_context(|| format!("the alerts in {}", dir.display()))?;
        let alertmanager = &config.alertmanager;
        let settings = Settings {
            cluster: config.cluster.clone(),
            interval: alertmanager.interval,
            external_url: config.external_url(),
            settles: SETTLES,
        };
        let (interval, watches) = (alertmanager.interval, config.kubernetes);
        let outbox = Outbox::new(settings, told);
        Ok(Self { outbox, file, board, view, clock, interval, watches, since: Instant::now(), unkept: false })
    }

    /// Looks and tells; never returns.
    pub async fn run(mut self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            // While the log is read back nothing is as it will be.
            if self.view.status().replayed {
                self.look().await;
            }
        }
    }

    async fn look(&mut self) {
        let sight = match self.watches && !self.view.listed() {
            false => Sight::Whole,
            true if self.since.elapsed() < PATIENCE => Sight::Partial,
            true => Sight::Clouded,
        };
        let incidents = self.view.incidents(&Access::All, &|i| self.outbox.wants(i));
        let view = Arc::clone(&self.view);
        let describe = |identity: &_, incident: &_| describe(&*view, identity, incident);
        let due = self.outbox.due((self.clock)(), sight, &incidents, &describe);
        let causes: BTreeMap<&str, &str> = incidents.iter().map(|i| (i.id.as_str(), i.cause.as_str())).collect();
        let firing = self.outbox.told().filter(|told| told.ended.is_none());
        let active = firing.map(|told| {
            let cause = causes.get(told.incident_id());
            Active {
                identity: told.identity.clone(),
                incident_id: told.incident_id().to_owned(),
                cause: cause.map(|&cause| cause.to_owned()),
            }
        });
        self.board.show(active.collect(), self.outbox.untold);
        if due.keep || self.unkept {
            self.keep().await;
        }
        let until = Instant::now() + self.interval;
        for batch in due.batches {
            for peer in self.board.peers() {
                peer.put(batch.clone(), until);
            }
        }
    }

    /// Before anything of it is sent. A disk that cannot be written silences nothing: it is tried again.
    async fn keep(&mut self) {
        let (file, told): (_, Vec<Told>) = (self.file.clone(), self.outbox.told().cloned().collect());
        let kept = tokio::task::spawn_blocking(move || file.keep(&told)).await;
        let error = match kept {
            Ok(Ok(())) => None,
            Ok(Err(e)) => Some(e.to_string()),
            Err(e) => Some(e.to_string()),
        };
        self.unkept = error.is_some();
        if let Some(error) = error {
            self.board.not_kept();
            tracing::error!(error, "the alerts that are told cannot be written; they are sent all the same");
        }
    }
}

/// How we are known to the peers; the secrets are read from their files at each send, as they may be rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Credential {
    Bearer { token_file: PathBuf },
    Basic { username: String, password_file: PathBuf },
}

/// Posts to one Alertmanager over HTTP.
pub struct HttpTransport {
    client: Client,
    url: Url,
    credential: Option<Credential>,
}

impl HttpTransport {
    /// To the Alertmanager below `base`.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub fn new(base: &str, credential: Option<Credential>) -> anyhow::Result<Self> {
        let url = Url::parse(&format!("{}/api/v2/alerts", base.trim_end_matches('/')))?;
        // Neither a proxy nor a redirect: each peer is to have the alerts itself.
        let client = client::builder(&url)?.no_proxy().redirect(Policy::none()).build()?;
        Ok(Self { client, url, credential })
    }

    async fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        let secret = |file: PathBuf| async move {
            let text = tokio::fs::read_to_string(&file).await.map_err(|e| format!("{}: {e}", file.display()))?;
            Ok::<String, String>(text.trim().to_owned())
        };
        Ok(match self.credential.clone() {
            None => request,
            Some(Credential::Bearer { token_file }) => request.bearer_auth(secret(token_file).await?),
            Some(Credential::Basic { username, password_file }) => {
                request.basic_auth(username, Some(secret(password_file).await?))
            }
        })
    }
}

impl Transport for HttpTransport {
    async fn post(&self, body: Bytes) -> Answer {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let request = match self.authorized(request).await {
            Ok(request) => request,
            Err(why) => return Answer::Later(why),
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) => return Answer::Later(chain(&e.without_url())),
        };
        let status = response.status();
        if status.is_success() {
            return Answer::Taken;
        }
        let why = format!("{status}: {}", words(response).await);
        // What a client is told to do later, and what a proxy says while the peer starts.
        let later = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::NOT_FOUND);
        if later { Answer::Later(why) } else { Answer::Refused(why) }
    }
}

/// The beginning of what it says, however long it is.
async fn words(mut response: Response) -> String {
    let mut said = Vec::new();
    while said.len() < WORDS {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        said.extend_from_slice(&chunk[..chunk.len().min(WORDS - said.len())]);
    }
    String::from_utf8_lossy(&said).chars().filter(|c| !c.is_control()).collect()
}

/// An error with what it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
