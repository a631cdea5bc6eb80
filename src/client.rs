//! The HTTP client of all that we ask or tell by ourselves.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use kube::client::ConfigExt;
use reqwest::{Client, ClientBuilder, Url};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// How long a connection may take.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may be silent in the middle of an answer, or before it.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

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
    with_roots(url, None)
}

/// The same, trusting the certificates of a PEM file alone where there is one.
///
/// # Errors
/// When they cannot be read, or there is no TLS to be had.
pub(crate) fn with_roots(url: &Url, file: Option<&Path>) -> anyhow::Result<ClientBuilder> {
    let mut config = kube::Config::new(url.as_str().parse()?);
    if url.scheme() == "http" {
        config.root_cert = Some(Vec::new());
    } else if let Some(file) = file {
        let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let roots = read.map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
        anyhow::ensure!(!roots.is_empty(), "{}: holds no certificate in PEM", file.display());
        config.root_cert = Some(roots.into_iter().map(|der| der.as_ref().to_vec()).collect());
    }
    let tls = config.rustls_client_config().context("no TLS")?;
    Ok(Client::builder().tls_backend_preconfigured(tls))
}
