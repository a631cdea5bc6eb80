//! Errors as `application/problem+json` (RFC 9457), the same for every route.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDetails {
    /// What went wrong as a stable id, `urn:whyd:problem:<id>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for people.
    pub title: String,
    /// The status code.
    pub status: u16,
    /// This occurrence: what was asked, and what is known.
    pub detail: String,
    /// The request's path and query.
    pub instance: String,
    /// What could have been meant, `namespace/name`, or namespaces where the namespace is ambiguous.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

/// The closed set of what a route can fail with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    InvalidQuery,
    AmbiguousNamespace,
    Unauthorized,
    Forbidden,
    NoSuchRoute,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Replaying,
    Overloaded,
    QueryLimit,
    QueryFailed,
}

impl ErrorKind {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidQuery => (StatusCode::BAD_REQUEST, "invalid-query", "the query is not valid"),
            Self::AmbiguousNamespace => {
                (StatusCode::BAD_REQUEST, "ambiguous-namespace", "the name is known in several namespaces")
            }
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "the token does not allow this"),
            Self::NoSuchRoute => (StatusCode::NOT_FOUND, "no-such-route", "there is no such path"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "nothing of that name is known"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "the path does not take this method")
            }
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request-timeout", "the request came too slowly"),
            Self::Replaying => (StatusCode::SERVICE_UNAVAILABLE, "replaying", "the log is still being read back"),
            Self::QueryLimit => (StatusCode::UNPROCESSABLE_ENTITY, "query-limit", "the query is over a limit"),
            Self::QueryFailed => (StatusCode::UNPROCESSABLE_ENTITY, "query-failed", "the query failed"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "the answer took too long"),
        }
    }
}

/// An error on its way out. It becomes a body in [`render`], which knows the request it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    kind: ErrorKind,
    detail: String,
    candidates: Vec<String>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), candidates: Vec::new() }
    }

    pub(crate) fn with_candidates(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    /// The answer to the request that `instance` names.
    pub(crate) fn response(self, instance: String) -> Response {
        let (status, id, title) = self.kind.parts();
        let body = ProblemDetails {
            kind: format!("urn:whyd:problem:{id}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            instance,
            candidates: self.candidates,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.kind {
            ErrorKind::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"whyd\""));
            }
            ErrorKind::Replaying | ErrorKind::Overloaded => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl Failure {
    /// As an Alertmanager says it: its clients read a JSON string and no other type of content.
    fn alertmanager_response(self) -> Response {
        let kind = self.kind;
        let detail = self.detail.clone();
        let (_, _, title) = kind.parts();
        let text = if detail.is_empty() { title.to_owned() } else { format!("{title}: {detail}") };
        let (mut head, _) = self.response(String::new()).into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        head.headers.remove(header::CONTENT_TYPE);
        (head.status, head.headers, Json(text)).into_response()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.kind.parts().0.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The request as `instance` names it.
pub(crate) fn instance(uri: &axum::http::Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string)
}

/// The outermost layer: gives every [`Failure`] its body.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let mut response = next.run(request).await;
    let Some(failure) = response.extensions_mut().remove::<Failure>() else { return response };
    let allow = response.headers_mut().remove(header::ALLOW);
    let mut response = if uri.path().starts_with("/alertmanager/") {
        failure.alertmanager_response()
    } else {
        failure.response(instance(&uri))
    };
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
