//! Kubernetes objects as JSON: slimming before they enter the log, decoding behind it, and the API's own frames
//! (lists and watch lines) of which captures are made.

mod frames;
mod slim;

pub use frames::{Watched, envelope, list, listed, watch_line};
pub use slim::{slim, slim_value};

use std::sync::Arc;

use serde::de::DeserializeOwned;
use whyd_signals::objects::Object;
use whyd_signals::sink::DecodeError;
use whyd_signals::{Resource, Verb};

/// Decodes the body of an envelope: the slim object for [`Verb::Apply`] and [`Verb::Delete`], `None` for
/// [`Verb::Listed`], whose uids [`listed_uids`] reads.
///
/// # Errors
/// [`DecodeError::Malformed`] for what is not such an object, or one without name or uid.
pub fn decode(resource: Resource, verb: Verb, body: &[u8]) -> Result<Option<Object>, DecodeError> {
    if verb == Verb::Listed {
        return Ok(None);
    }
    let object = match resource {
        Resource::Namespaces => Object::Namespace(read(resource, body)?),
        Resource::Nodes => Object::Node(read(resource, body)?),
        Resource::Deployments => Object::Deployment(read(resource, body)?),
        Resource::ReplicaSets => Object::ReplicaSet(read(resource, body)?),
        Resource::StatefulSets => Object::StatefulSet(read(resource, body)?),
        Resource::DaemonSets => Object::DaemonSet(read(resource, body)?),
        Resource::Jobs => Object::Job(read(resource, body)?),
        Resource::ConfigMaps => Object::ConfigMap(read(resource, body)?),
        Resource::Services => Object::Service(read(resource, body)?),
        Resource::Pods => Object::Pod(read(resource, body)?),
        Resource::Events => Object::Event(read(resource, body)?),
    };
    let meta = object.meta();
    for (field, value) in [("metadata.name", &meta.name), ("metadata.uid", &meta.uid)] {
        if value.is_empty() {
            return Err(DecodeError::Malformed(format!("{} without the field `{field}`", resource.kind())));
        }
    }
    Ok(Some(object))
}

/// The uids in the body of a [`Verb::Listed`] envelope.
///
/// # Errors
/// [`DecodeError::Malformed`] for anything but an array of strings.
pub fn listed_uids(body: &[u8]) -> Result<Vec<String>, DecodeError> {
    serde_json::from_slice(body).map_err(|e| DecodeError::Malformed(format!("list of uids: {e}")))
}

fn read<T: DeserializeOwned>(resource: Resource, body: &[u8]) -> Result<Arc<T>, DecodeError> {
    serde_json::from_slice(body).map(Arc::new).map_err(|e| malformed(resource, &e))
}

fn malformed(resource: Resource, error: &serde_json::Error) -> DecodeError {
    DecodeError::Malformed(format!("{}: {error}", resource.kind()))
}

#[cfg(test)]
mod tests;
