//! `whyd record`: a live cluster into a capture.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use whyd_collector::inlet::{Reply, Written};
use whyd_collector::source::http;
use whyd_collector::source::kube::{self, SourceStatus, Statuses};
use whyd_signals::Resource;
use whyd_signals::sink::DecodeError;

use super::run::{api_server, wall_clock};
use super::{RecordArgs, configured, print};
use crate::config::duration;
use crate::recording::Recording;
use crate::wiring;

/// Between two words about how far it is.
const TELL: Duration = Duration::from_secs(10);

pub(super) fn record(args: &RecordArgs) -> anyhow::Result<ExitCode> {
    let config = configured(args.config.as_ref())?;
    let server = api_server(&config);
    anyhow::ensure!(
        server.is_some() || args.listen.is_some(),
        "there is nothing to record: kubernetes.enabled is false in the configuration; set it to true, or have metrics and logs \
         sent here with --listen"
    );
    // A list or watch that fails says so.
    super::run::logging();
    let wanted = args.duration.as_deref().map(|text| {
        duration(text).with_context(|| format!("--for {text:?} is not a duration, write for instance 90s or 10m"))
    });
    let wanted = wanted.transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let clock = wall_clock();
    let (messages, dir) = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut term = signal(SignalKind::terminate())?;
        let mut recording = Recording::begin(&args.out, &config.cluster, args.redact, clock())?;
        let (inlet, mut inbox) = wiring::inlet(&config);
        let statuses = Statuses::default();
        if let Some(server) = &server {
            let client = kube::client(server).await.context("no Kubernetes API; set kubernetes.url or a kubeconfig")?;
            for resource in Resource::ALL {
                tokio::spawn(kube::watch(client.clone(), resource, inlet.clone(), clock.clone(), statuses.clone()));
            }
        }
        if let Some(address) = args.listen {
            let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            let receivers = wiring::receivers(&config, inlet.clone(), &clock).map_err(|e| anyhow::anyhow!("{e}"))?;
            let receivers = http::router(receivers);
            say(&format!("metrics and logs go to http://{}", listener.local_addr()?))?;
            tokio::spawn(whyd_api::serve(listener, receivers, whyd_api::Deadlines::default(), std::future::pending()));
        }
        drop(inlet);
        let end = wanted.map(|d| Instant::now() + d);
        let mut tell = tokio::time::interval_at(Instant::now() + TELL, TELL);
        loop {
            let until = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                delivery = inbox.recv() => {
                    let Some(delivery) = delivery else { break };
                    let taken = recording.take(&delivery.envelope);
                    let reply = match taken {
                        Ok(()) => Reply::Stored(Written::rows(1)),
                        // What one sender gets wrong does not end the recording.
                        Err(e) if e.is::<DecodeError>() => Reply::Invalid(e.to_string()),
                        Err(e) => return Err(e),
                    };
                    delivery.responder.reply(reply);
                }
                _ = tell.tick() => say(&format!("{} messages", recording.messages))?,
                () = until => break,
                _ = interrupt.recv() => break,
                _ = term.recv() => break,
            }
        }
        let messages = recording.messages;
        anyhow::ensure!(messages > 0, "{}", nothing(server.is_some(), args.listen.is_some(), &statuses.all()));
        recording.finish()?;
        anyhow::Ok((messages, args.out.display().to_string()))
    })?;
    runtime.shutdown_background();
    print(&format!("{dir}: {messages} messages; look at it with: whyd replay {dir}"))
}

/// Why nothing was received, as far as it is known.
fn nothing(watched: bool, listened: bool, statuses: &[SourceStatus]) -> String {
    let failed = statuses.iter().find_map(|s| Some((s.resource.plural(), &s.last_error.as_ref()?.1)));
    let cluster = match failed {
        _ if !watched => None,
        Some((resource, error)) => Some(format!("of the Kubernetes API: {resource}: {error}")),
        None => Some("of the Kubernetes API: no list has come yet, and no error; record for longer".to_owned()),
    };
    let sent = listened.then(|| "by --listen: nobody sent metrics or logs there".to_owned());
    let why: Vec<String> = cluster.into_iter().chain(sent).collect();
    format!("nothing was received; {}", why.join("; "))
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{text}").map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use whyd_signals::Timestamp;

    use super::*;

    #[test]
    fn why_nothing_was_received_is_said_of_what_was_asked_for() {
        let sent = nothing(false, true, &[]);
        assert!(sent.contains("--listen") && !sent.contains("Kubernetes"), "{sent}");
        let last_error = Some((Timestamp(0), "pods is forbidden".to_owned()));
        let status = |last_error| SourceStatus {
            resource: Resource::Pods,
            synced_at: None,
            lists: 0,
            last_error,
            errors: 1,
            heard_at: None,
            failing: None,
        };
        let failed = nothing(true, false, &[status(None), status(last_error)]);
        assert!(failed.ends_with("of the Kubernetes API: pods: pods is forbidden"), "{failed}");
        assert!(nothing(true, true, &[]).contains("no list has come yet"));
    }

    #[test]
    fn where_nothing_is_to_be_recorded_nothing_is_begun() {
        let dir = tempfile::tempdir().unwrap();
        let (file, out) = (dir.path().join("whyd.yaml"), dir.path().join("capture"));
        std::fs::write(&file, "kubernetes: {enabled: false}\n").unwrap();
        let args = RecordArgs { out: out.clone(), duration: None, redact: false, listen: None, config: Some(file) };
        let why = record(&args).unwrap_err().to_string();
        assert!(why.contains("kubernetes.enabled is false") && why.contains("--listen"), "{why}");
        assert!(!out.exists());
    }
}
