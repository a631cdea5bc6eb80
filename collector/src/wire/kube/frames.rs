//! The API's frames: a list, and the lines of a watch.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use whyd_signals::sink::DecodeError;
use whyd_signals::{Envelope, Media, Resource, Timestamp, Verb};

use super::slim::slim_value;

/// What a line of a watch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// An object was added, modified or deleted.
    Change(Envelope),
    /// The watch has come this far.
    Bookmark {
        /// From where it may be resumed.
        resource_version: String,
    },
    /// The watch is over; after code 410 only a new list tells what is.
    Failed {
        /// The HTTP status.
        code: u16,
        /// What the server says.
        message: String,
    },
}

/// The envelope of one Kubernetes message.
pub fn envelope(resource: Resource, verb: Verb, received: Timestamp, body: Bytes) -> Envelope {
    Envelope { received, media: Media::Kube(resource, verb), tenant: None, body }
}

/// The envelope that ends a list: these objects are there and no others.
///
/// # Errors
/// None in practice: strings always serialise.
pub fn listed(resource: Resource, received: Timestamp, uids: &[String]) -> Result<Envelope, DecodeError> {
    let body = serde_json::to_vec(uids).map_err(|e| super::malformed(resource, &e))?;
    Ok(envelope(resource, Verb::Listed, received, Bytes::from(body)))
}

#[derive(Deserialize)]
struct List<'a> {
    kind: Option<String>,
    #[serde(default)]
    metadata: ListMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
    /// Of a `Status` in place of a list.
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
    resource_version: Option<String>,
}

/// Envelopes of all objects in the parts of one list, ended by [`Verb::Listed`].
///
/// The parts are its pages, or lists of single namespaces that together are the whole. The last envelope is left
/// out when the last part says that there are more pages: what is absent is then still unknown.
///
/// # Errors
/// [`DecodeError::Malformed`] when a part is not such a list, or one of its items no such object.
pub fn list(resource: Resource, received: Timestamp, parts: &[&[u8]]) -> Result<Vec<Envelope>, DecodeError> {
    let mut envelopes = Vec::new();
    let mut uids = Vec::new();
    let mut complete = false;
    for part in parts {
        let list: List<'_> = serde_json::from_slice(part).map_err(|e| super::malformed(resource, &e))?;
        let kind = list.kind.unwrap_or_default();
        if kind.strip_suffix("List").is_none_or(|k| !k.is_empty() && k != resource.kind()) {
            let message = list.message.map(|m| format!(": {m}")).unwrap_or_default();
            let expected = resource.kind();
            return Err(DecodeError::Malformed(format!("expected the kind {expected}List, found {kind}{message}")));
        }
        for item in list.items.unwrap_or_default() {
            let object = serde_json::from_str(item.get()).map_err(|e| super::malformed(resource, &e))?;
            let (body, uid) = slim_value(resource, object)?;
            envelopes.push(envelope(resource, Verb::Apply, received, body));
            uids.push(uid);
        }
        complete = list.metadata.next.is_none_or(|n| n.is_empty());
    }
    if complete {
        envelopes.push(listed(resource, received, &uids)?);
    }
    Ok(envelopes)
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    #[serde(default)]
    metadata: ListMeta,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

/// Reads one line of a watch.
///
/// # Errors
/// [`DecodeError::Malformed`] when it is none, of an unknown type, or its object is not of `resource`.
pub fn watch_line(resource: Resource, received: Timestamp, line: &[u8]) -> Result<Watched, DecodeError> {
    let fail = |e: serde_json::Error| super::malformed(resource, &e);
    let line: Line<'_> = serde_json::from_slice(line).map_err(fail)?;
    let verb = match line.kind.as_str() {
        "ADDED" | "MODIFIED" => Verb::Apply,
        "DELETED" => Verb::Delete,
        "BOOKMARK" => {
            let bookmark: Bookmark = serde_json::from_str(line.object.get()).map_err(fail)?;
            return Ok(Watched::Bookmark { resource_version: bookmark.metadata.resource_version.unwrap_or_default() });
        }
        "ERROR" => {
            let status: Status = serde_json::from_str(line.object.get()).map_err(fail)?;
            return Ok(Watched::Failed { code: status.code, message: status.message });
        }
        other => return Err(DecodeError::Malformed(format!("watch line of unknown type {other:?}"))),
    };
    let (body, _) = slim_value(resource, serde_json::from_str(line.object.get()).map_err(fail)?)?;
    Ok(Watched::Change(envelope(resource, verb, received, body)))
}
