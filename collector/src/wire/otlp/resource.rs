//! What a resource is: the labels that its series and streams are found and joined by.

use std::borrow::Cow;

use whyd_signals::sink::Pair;

use super::names::label_name;

/// Attributes of a pod and the labels that every other source has for them.
const PLACE: [(&str, &str); 4] = [
    ("k8s.namespace.name", "namespace"),
    ("k8s.pod.name", "pod"),
    ("k8s.container.name", "container"),
    ("k8s.node.name", "node"),
];

/// The label for an attribute that says where something runs.
pub(super) fn place(key: &str) -> Option<&'static str> {
    PLACE.iter().find(|(attribute, _)| *attribute == key).map(|(_, label)| *label)
}

/// One resource.
#[derive(Debug, Default)]
pub(super) struct Resource<'a> {
    /// `service.name`, after `service.namespace` and a stroke where that is there.
    pub(super) job: Cow<'a, str>,
    /// `service.instance.id`.
    pub(super) instance: Cow<'a, str>,
    /// `service.name`.
    pub(super) service: Cow<'a, str>,
    /// Where it runs: [`PLACE`].
    pub(super) place: Vec<(&'static str, Cow<'a, str>)>,
    /// Everything but the service's own attributes, for `target_info`, sorted.
    pub(super) rest: Vec<Pair<'a>>,
}

impl<'a> Resource<'a> {
    /// Of its attributes, the first of each key.
    pub(super) fn of(attributes: Vec<Pair<'a>>) -> Self {
        let mut found = Self::default();
        let mut namespace = Cow::Borrowed("");
        let mut rest = Vec::new();
        for (key, value) in attributes {
            match &*key {
                "service.name" => found.service = value,
                "service.namespace" => namespace = value,
                "service.instance.id" => found.instance = value,
                _ => {
                    if let Some(label) = place(&key)
                        && found.place.iter().all(|(l, _)| *l != label)
                    {
                        found.place.push((label, value.clone()));
                    }
                    rest.push((key, value));
                }
            }
        }
        found.job = match (&*namespace, &*found.service) {
            (_, "") => Cow::Borrowed(""),
            ("", _) => found.service.clone(),
            (namespace, service) => Cow::Owned(format!("{namespace}/{service}")),
        };
        found.rest = labels(rest);
        found
    }
}

/// Attributes as labels, sorted by name. Keys that become the same name have their values joined, in the order of the
/// keys; a key of which nothing can stand in a name is left out.
pub(super) fn labels(mut attributes: Vec<Pair<'_>>) -> Vec<Pair<'_>> {
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    let mut renamed: Vec<Pair<'_>> =
        attributes.into_iter().filter_map(|(key, value)| Some((named(key)?, value))).collect();
    renamed.sort_by(|a, b| a.0.cmp(&b.0));
    let mut all: Vec<Pair<'_>> = Vec::with_capacity(renamed.len());
    for (name, value) in renamed {
        match all.last_mut().filter(|last| last.0 == name) {
            // In place: joining all so far anew each time takes ten gigabytes of copies for a body of twenty megabytes.
            Some((_, joined)) => {
                let joined = joined.to_mut();
                joined.push(';');
                joined.push_str(&value);
            }
            None => all.push((name, value)),
        }
    }
    all
}

fn named(key: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match key {
        Cow::Borrowed(key) => label_name(key),
        Cow::Owned(key) => label_name(&key).map(|name| Cow::Owned(name.into_owned())),
    }
}

/// Sets a label of a sorted list.
pub(super) fn set<'a>(labels: &mut Vec<Pair<'a>>, name: &'a str, value: Cow<'a, str>) {
    match labels.binary_search_by(|(n, _)| (**n).cmp(name)) {
        Ok(at) => {
            if let Some(label) = labels.get_mut(at) {
                label.1 = value;
            }
        }
        Err(at) => labels.insert(at, (Cow::Borrowed(name), value)),
    }
}

/// Whether a sorted list has a label.
pub(super) fn has(labels: &[Pair<'_>], name: &str) -> bool {
    labels.binary_search_by(|(n, _)| (**n).cmp(name)).is_ok()
}
