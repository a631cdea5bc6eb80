//! The door: which teams a request may see. Decided once, before any route runs.

use std::fmt;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use whyd_signals::{Access, Token, token};

use crate::problem::{ErrorKind, Failure};
use crate::routes::Api;

/// What a request without a credential may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anonymous {
    /// Everything: for a loopback listener, or behind a proxy that lets only admins through.
    #[default]
    All,
    /// Nothing: 401.
    None,
}

/// A bearer token and what it opens.
#[derive(Clone)]
pub struct Grant {
    text: String,
    access: Access,
}

impl Grant {
    /// `token` opens `access`.
    pub fn new(token: impl Into<String>, access: Access) -> Self {
        Self { text: token.into(), access }
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("access", &self.access).finish_non_exhaustive()
    }
}

/// Decides the [`Access`] of every request.
#[derive(Debug, Clone, Default)]
pub struct Door {
    anonymous: Anonymous,
    grants: Vec<(Token, Access)>,
}

impl Door {
    /// A door with these static tokens.
    ///
    /// # Errors
    /// Every token that is empty, could not be sent in a header, or stands twice; by its position, never its text.
    pub fn new(anonymous: Anonymous, grants: Vec<Grant>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        for (i, grant) in grants.iter().enumerate() {
            if Token::new(&grant.text).is_none() {
                errors.push(format!("token {i} {}", token::UNFIT));
            }
            if let Some(first) = grants[..i].iter().position(|other| other.text == grant.text) {
                errors.push(format!("token {i} is the same as token {first}"));
            }
        }
        let known = grants.into_iter().filter_map(|grant| Some((Token::new(&grant.text)?, grant.access)));
        if errors.is_empty() { Ok(Self { anonymous, grants: known.collect() }) } else { Err(errors) }
    }

    /// What a request with these headers may see.
    ///
    /// A credential that is not known is refused even where none is needed: its sender means to be someone.
    /// With no tokens configured there is nobody to be, and a proxy's own credential is ignored.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Access, Failure> {
        let mut sent = headers.get_all(header::AUTHORIZATION).into_iter();
        let first = sent.next().filter(|_| !self.grants.is_empty());
        let Some(credential) = first else {
            return match self.anonymous {
                Anonymous::All => Ok(Access::All),
                Anonymous::None => Err(refused(
                    "the request carries no bearer token (`whyd why` takes one as `--token` or in `WHYD_TOKEN`)",
                )),
            };
        };
        let Some(given) = token::bearer(credential.as_bytes()).filter(|_| sent.next().is_none()) else {
            return Err(refused("the request must carry exactly one credential, a bearer token"));
        };
        // Every grant is compared: the time says neither which one matched nor how far.
        let mut access = None;
        for (token, opens) in &self.grants {
            if token.is(given) {
                access = Some(opens);
            }
        }
        access.cloned().ok_or_else(|| refused("the bearer token is not known"))
    }
}

fn refused(detail: &str) -> Failure {
    Failure::new(ErrorKind::Unauthorized, detail)
}

/// What the caller may see. A route that reads anything takes this, and so cannot be reached around the door.
pub(crate) struct Caller(pub(crate) Access);

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Api: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Api::from_ref(state).door.admit(&parts.headers).map(Self)
    }
}

#[cfg(test)]
mod tests;
