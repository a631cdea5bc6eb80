//! After a start nothing is known before the log has been read back: what asks for all that there is has to wait for that.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::Api;
use crate::problem::{ErrorKind, Failure};

/// That the log has been read back. A list takes this, since an empty one would say that there is nothing; it stands behind the
/// [`Caller`](crate::access::Caller), so that who may not ask is told that first.
pub(crate) struct ReadBack;

impl<S> FromRequestParts<S> for ReadBack
where
    S: Send + Sync,
    Api: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Failure> {
        if Api::from_ref(state).reader.status().replayed {
            return Ok(Self);
        }
        let detail = "what was known before the start is not there yet, and nothing would be said of it: ask again when /readyz says ready";
        Err(Failure::new(ErrorKind::Replaying, detail))
    }
}
