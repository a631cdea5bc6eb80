//! Where a source is, and how it is spoken to.

use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response, Url};

use super::PullError;

/// So many bytes of what a server says of an error are told.
const WORDS: usize = 300;

/// A server below an address. The client brings TLS, deadlines and nothing else.
#[derive(Debug, Clone)]
pub struct Endpoint {
    client: Client,
    base: Url,
    headers: HeaderMap,
    /// Holds a bearer token; read at each question, as it may be rotated.
    token_file: Option<PathBuf>,
}

impl Endpoint {
    /// The server below `base`, which every question tells these headers.
    pub fn new(client: Client, mut base: Url, headers: HeaderMap, token_file: Option<PathBuf>) -> Self {
        // Else the last part of its path would be replaced by what is joined to it.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Self { client, base, headers, token_file }
    }

    /// The address of a path.
    pub(super) fn url(&self, path: &str) -> Result<Url, PullError> {
        self.base.join(path).map_err(|e| PullError::Failed(e.to_string()))
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// The answer's head, when it says that all is well.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, PullError> {
        let mut request = request.headers(self.headers.clone());
        if let Some(file) = &self.token_file {
            let token = tokio::fs::read_to_string(file).await;
            let token = token.map_err(|e| PullError::Failed(format!("{}: {e}", file.display())))?;
            request = request.bearer_auth(token.trim());
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(PullError::Failed(format!("{status}: {}", words(response).await)))
    }
}

/// A whole answer.
pub(super) async fn body(mut response: Response, largest: usize) -> Result<Bytes, PullError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > largest {
            return Err(PullError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The beginning of what it says, however long it is.
async fn words(mut response: Response) -> String {
    let mut said = Vec::new();
    while said.len() < WORDS {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        said.extend(chunk.iter().take(WORDS - said.len()));
    }
    String::from_utf8_lossy(&said).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An error with what it comes from, without the address, which stands in the configuration.
pub(super) fn failed(error: reqwest::Error) -> PullError {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    PullError::Failed(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}
