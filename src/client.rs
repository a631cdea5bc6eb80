//! The HTTP client of all that we ask or tell by ourselves.

use std::time::Duration;

use anyhow::Context;
use kube::client::ConfigExt;
use reqwest::{Client, ClientBuilder, Url};

/// A client with the TLS of the Kubernetes client, whose crypto provider it shares. Without TLS no roots are read, so
/// that plain HTTP works where there are none.
///
/// # Errors
/// When there is no TLS to be had.
pub(crate) fn client(url: &Url, timeout: Duration) -> anyhow::Result<Client> {
    Ok(builder(url)?.timeout(timeout).build()?)
}

/// The same, before it is built.
///
/// # Errors
/// When there is no TLS to be had.
pub(crate) fn builder(url: &Url) -> anyhow::Result<ClientBuilder> {
    let mut config = kube::Config::new(url.as_str().parse()?);
    if url.scheme() == "http" {
        config.root_cert = Some(Vec::new());
    }
    let tls = config.rustls_client_config().context("no TLS")?;
    Ok(Client::builder().tls_backend_preconfigured(tls))
}
