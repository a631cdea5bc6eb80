//! What of an object is never kept: bulk that no verdict reads, and what may be secret.

use bytes::Bytes;
use serde_json::{Map, Value};
use whyd_signals::Resource;
use whyd_signals::sink::DecodeError;

use super::malformed;

/// Holds a copy of the whole object, values of variables included.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Parses one object of the API and gives it back without managed fields, nulls, the data of ConfigMaps, plain
/// values of environment variables, probe headers, a node's image list and the last applied configuration.
///
/// # Errors
/// [`DecodeError::Malformed`] for what is no object of `resource`, or one without name or uid.
pub fn slim(resource: Resource, raw: &[u8]) -> Result<Bytes, DecodeError> {
    slim_value(resource, serde_json::from_slice(raw).map_err(|e| malformed(resource, &e))?).map(|(body, _)| body)
}

/// [`slim`] for an object that is parsed already; gives its uid too.
///
/// # Errors
/// Those of [`slim`].
pub fn slim_value(resource: Resource, object: Value) -> Result<(Bytes, String), DecodeError> {
    let Value::Object(mut object) = object else {
        return Err(DecodeError::Malformed(format!("{}: not an object", resource.kind())));
    };
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or(resource.kind());
    // a metadata-only request answers with this kind, whatever the object is
    if kind != resource.kind() && kind != "PartialObjectMetadata" {
        return Err(DecodeError::Malformed(format!("expected the kind {}, found {kind}", resource.kind())));
    }
    required(resource, &object, "name")?;
    let uid = required(resource, &object, "uid")?;
    match resource {
        Resource::ConfigMaps => object.retain(|key, _| matches!(key.as_str(), "kind" | "apiVersion" | "metadata")),
        Resource::Nodes => {
            if let Some(Value::Object(status)) = object.get_mut("status") {
                status.remove("images");
            }
        }
        _ => {}
    }
    let changed = changed(&object);
    strip_object(&mut object);
    if let (Some((at, by)), Some(Value::Object(metadata))) = (changed, object.get_mut("metadata")) {
        metadata.insert("changedAt".to_owned(), Value::String(at));
        metadata.insert("changedBy".to_owned(), Value::String(by));
    }
    let body = serde_json::to_vec(&object).map_err(|e| malformed(resource, &e))?;
    Ok((Bytes::from(body), uid))
}

/// When the object was last written and by whom, by its managed fields: they go, and the time of a change must not be
/// that of its arrival. What controllers write into a status is no change. RFC 3339 in whole seconds and UTC, so the
/// texts sort as the times do.
fn changed(object: &Map<String, Value>) -> Option<(String, String)> {
    let fields = object.get("metadata")?.get("managedFields")?.as_array()?;
    let spec = fields.iter().filter(|f| f.get("subresource").is_none_or(|s| s == ""));
    let text = |f: &Value, key: &str| f.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    spec.map(|f| (text(f, "time"), text(f, "manager"))).filter(|(at, _)| !at.is_empty()).max()
}

/// A field of the metadata without which an object cannot be told from others.
fn required(resource: Resource, object: &Map<String, Value>, field: &str) -> Result<String, DecodeError> {
    match object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(DecodeError::Malformed(format!("{} without the field `metadata.{field}`", resource.kind()))),
    }
}

/// Recursion is bounded: the parser refuses more than 128 levels.
fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => strip_object(object),
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn strip_object(object: &mut Map<String, Value>) {
    object.retain(|key, value| {
        match (key.as_str(), &mut *value) {
            (_, Value::Null) | ("managedFields" | "httpHeaders", Value::Array(_)) => return false,
            ("annotations", Value::Object(annotations)) => {
                annotations.remove(LAST_APPLIED);
            }
            ("env", Value::Array(variables)) => {
                for variable in variables.iter_mut().filter_map(Value::as_object_mut) {
                    variable.remove("value");
                }
            }
            _ => {}
        }
        strip(value);
        true
    });
}
