//! Starts what is asked for: a loop for each source and tenant of the configuration.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use anyhow::Context;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use tokio::sync::watch;
use tokio::task::JoinSet;
use whyd_collector::source::pull::{Endpoint, Known, Pull, PullStatuses, Pulls};
use whyd_collector::wire::asked::Target;
use whyd_collector::{Clock, Inlet};
use whyd_signals::Ranges;

use crate::client;
use crate::config::{Config, PullConfig};
use crate::view::View;

const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Starts them; each ends when `closing` says so. To be called when the log was read back.
///
/// # Errors
/// Certificates that cannot be read.
pub(crate) fn start(
    tasks: &mut JoinSet<()>,
    config: &Config,
    (inlet, clock): (&Inlet, &Clock),
    view: &Arc<View>,
    statuses: &PullStatuses,
    closing: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let known = Arc::clone(view) as Arc<dyn Known>;
    let pulls = Pulls::new(inlet.clone(), Arc::clone(clock), known, statuses.clone());
    for source in &config.pulls {
        for tenant in &source.tenants {
            let of = source.target(tenant.as_deref());
            let pull = Pull {
                endpoint: endpoint(source, tenant.as_deref()).with_context(|| format!("pull: {of}"))?,
                question: source.question.clone(),
                interval: source.interval,
                reach: source.history.unwrap_or(config.window),
                overlap: source.overlap,
                pushes: source.pushes,
                of,
            };
            let seed = seed(&pull.of, clock);
            let asking = pulls.clone().run(pull, seed);
            let mut until = closing.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = asking => {}
                    _ = until.wait_for(|closed| *closed) => {}
                }
            });
        }
    }
    Ok(())
}

fn endpoint(source: &PullConfig, tenant: Option<&str>) -> anyhow::Result<Endpoint> {
    let url = Url::parse(&source.url)?;
    let builder = client::with_roots(&url, source.ca_file.as_deref())?;
    let client =
        builder.connect_timeout(client::CONNECT).read_timeout(client::SILENCE).redirect(Policy::none()).build()?;
    let mut headers: HeaderMap = source.headers.iter().cloned().collect();
    if let Some(tenant) = tenant {
        headers.insert(TENANT, HeaderValue::from_str(tenant)?);
    }
    Ok(Endpoint::new(client, url, headers, source.token_file.clone()))
}

/// Another one for each source and each start.
fn seed(of: &Target, clock: &Clock) -> u64 {
    let mut hasher = DefaultHasher::new();
    (of, clock()).hash(&mut hasher);
    hasher.finish()
}

impl Known for View {
    fn had(&self, of: &Target) -> Ranges {
        self.pulls().had(of)
    }

    fn pushed(&self) -> Ranges {
        self.metrics_pushed()
    }
}
