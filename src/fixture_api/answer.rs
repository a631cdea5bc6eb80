//! The bodies of an API server: pages of a list, lines of a watch, refusals.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use whyd_signals::{Resource, Timestamp};

use super::json;
use super::shelf::{BOOKMARK, Shelf};

/// How much of an object was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    /// `PartialObjectMetadata`: the metadata alone.
    Metadata,
}

#[derive(Serialize)]
struct List<'a> {
    kind: String,
    #[serde(rename = "apiVersion")]
    api_version: String,
    metadata: ListMeta,
    items: Vec<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_item_count: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct Partial {
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "apiVersion")]
    api_version: String,
    metadata: Box<RawValue>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    object: &'a RawValue,
}

fn group_version(resource: Resource) -> String {
    match resource.group_version() {
        ("", version) => version.to_owned(),
        (group, version) => format!("{group}/{version}"),
    }
}

impl Form {
    /// What the `Accept` header asks for.
    pub(super) fn asked(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if accept.contains("as=PartialObjectMetadata") { Self::Metadata } else { Self::Whole }
    }

    fn kind(self, resource: Resource) -> (String, String) {
        match self {
            Self::Whole => (resource.kind().to_owned(), group_version(resource)),
            Self::Metadata => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
        }
    }

    /// The object in this form, naming its kind; an item of a list as recorded does not.
    fn of(self, resource: Resource, object: &RawValue) -> serde_json::Result<Box<RawValue>> {
        let mut partial: Partial = serde_json::from_str(object.get())?;
        if self == Self::Whole && !partial.kind.is_empty() {
            return Ok(object.to_owned());
        }
        let (kind, api_version) = self.kind(resource);
        if self == Self::Whole {
            let mut whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(object.get())?;
            whole.insert("kind".to_owned(), kind.into());
            whole.insert("apiVersion".to_owned(), api_version.into());
            return serde_json::value::to_raw_value(&whole);
        }
        (partial.kind, partial.api_version) = (kind, api_version);
        serde_json::value::to_raw_value(&partial)
    }

    /// Appends one line of a watch.
    pub(super) fn line(self, resource: Resource, kind: &str, object: &RawValue, lines: &mut Vec<u8>) {
        let Ok(object) = self.of(resource, object) else { return };
        if let Ok(line) = serde_json::to_vec(&Line { kind, object: &object }) {
            lines.extend(line);
            lines.push(b'\n');
        }
    }
}

/// One page of the list as of `now`, all of it when the limit is 0. The token of the next page names the instant of the
/// first, so that the pages of one list belong together.
pub(super) fn page(shelf: &Shelf, form: Form, now: Timestamp, limit: usize, token: Option<&str>) -> Response {
    let position = match token {
        None | Some("") => Some((shelf.received(now), 0)),
        Some(token) => token.split_once('.').and_then(|(s, o)| Some((s.parse().ok()?, o.parse::<usize>().ok()?))),
    };
    let Some((steps, offset)) = position else {
        return status(StatusCode::BAD_REQUEST, "BadRequest", "continue key is not valid");
    };
    let objects = shelf.objects(steps);
    let end = if limit == 0 { objects.len() } else { offset.saturating_add(limit).min(objects.len()) };
    let part = objects.get(offset..end).unwrap_or_default();
    let partials: Vec<Box<RawValue>> = match form {
        Form::Whole => Vec::new(),
        Form::Metadata => part.iter().filter_map(|o| form.of(shelf.resource, o).ok()).collect(),
    };
    let (kind, api_version) = form.kind(shelf.resource);
    let left = objects.len() - end;
    let list = List {
        kind: format!("{kind}List"),
        api_version,
        metadata: ListMeta {
            resource_version: shelf.version(steps).to_string(),
            token: (left > 0).then(|| format!("{steps}.{end}")),
            remaining_item_count: (left > 0).then_some(left),
        },
        items: if form == Form::Whole { part.to_vec() } else { partials.iter().map(|o| &**o).collect() },
    };
    match serde_json::to_vec(&list) {
        Ok(body) => json(Body::from(body)),
        Err(e) => status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &e.to_string()),
    }
}

/// What a watch begins with when it does not follow a list: each object that is there as if it were new, and, where
/// the client asked for initial events, a bookmark that says that these were all.
pub(super) fn initial(shelf: &Shelf, form: Form, steps: usize, end_marked: bool) -> Vec<u8> {
    let mut lines = Vec::new();
    for object in shelf.objects(steps) {
        form.line(shelf.resource, "ADDED", object, &mut lines);
    }
    if end_marked {
        let mark = serde_json::json!({"metadata": {
            "resourceVersion": shelf.version(steps).to_string(),
            "annotations": {"k8s.io/initial-events-end": "true"},
        }});
        if let Ok(mark) = serde_json::value::to_raw_value(&mark) {
            form.line(shelf.resource, BOOKMARK, &mark, &mut lines);
        }
    }
    lines
}

/// That there is nothing after so many steps.
pub(super) fn bookmark(shelf: &Shelf, form: Form, steps: usize, lines: &mut Vec<u8>) {
    let mark = serde_json::json!({"metadata": {"resourceVersion": shelf.version(steps).to_string()}});
    if let Ok(mark) = serde_json::value::to_raw_value(&mark) {
        form.line(shelf.resource, BOOKMARK, &mark, lines);
    }
}

fn status_object(code: StatusCode, reason: &str, message: &str) -> serde_json::Value {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    })
}

/// A refusal as the API server words it.
pub(super) fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let mut response = json(Body::from(status_object(code, reason, message).to_string()));
    *response.status_mut() = code;
    response
}

pub(super) fn not_found() -> Response {
    status(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
}

/// The line by which a watch says, under status 200, that it cannot begin where it was asked to.
pub(super) fn expired() -> String {
    let message = "The resourceVersion for the provided watch is too old.";
    let object = status_object(StatusCode::GONE, "Expired", message);
    format!("{}\n", serde_json::json!({"type": "ERROR", "object": object}))
}
