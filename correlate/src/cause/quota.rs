//! A resource quota is used up, wants the pod to say more, or does not exist where one is needed.

use whyd_signals::schema::Root;

use crate::finding::{Depth, Finding};
use crate::refused::Refused;

/// See [`super::REFUSALS`].
pub(super) fn judge(refused: &Refused<'_>) -> Option<Finding> {
    let (root, name, says) = by_quota(refused).or_else(|| without_quota(refused))?;
    let summary = format!("{} gets no {}, {says}", refused.workload, refused.what());
    let finding = Finding::new("quota", Depth::Mechanism, 95, root, summary).with(Some(refused.said()));
    Some(match name {
        Some(name) => finding.detail(name),
        None => finding,
    })
}

type Said<'a> = (Root, Option<&'a str>, String);

/// A quota that is named.
fn by_quota<'a>(refused: &'a Refused<'_>) -> Option<Said<'a>> {
    let after = |words: &str| refused.message().split_once(words).map(|(_, rest)| rest);
    let (name, says) = if let Some(rest) = after("exceeded quota: ") {
        // `exceeded quota: NAME, requested: pods=1, used: pods=2, limited: pods=2`
        let (name, figures) = rest.split_once(", ").unwrap_or((rest, ""));
        (name, format!("ResourceQuota {name} is used up: {figures}"))
    } else if let Some(rest) = after("failed quota: ") {
        // `failed quota: NAME: must specify limits.memory for: web`
        let (name, wants) = rest.split_once(": ")?;
        (name, format!("ResourceQuota {name} wants it to say more: {wants}"))
    } else {
        // `status unknown for quota: NAME, resources: pods`
        let (name, resources) = after("status unknown for quota: ")?.split_once(", resources: ")?;
        (name, format!("what ResourceQuota {name} has left of {resources} is not known yet"))
    };
    Some((refused.root("ResourceQuota", name), Some(name), says))
}

/// Some quota is in the way, or lacking, and the API server does not say which.
fn without_quota<'a>(refused: &'a Refused<'_>) -> Option<Said<'a>> {
    let after = |words: &str| refused.message().split_once(words).map(|(_, rest)| rest);
    let namespace = &refused.space.name;
    let says = if let Some(resources) = after("insufficient quota to consume: ") {
        format!("the cluster wants a ResourceQuota for {resources} and namespace {namespace} has none")
    } else if let Some(scopes) = after("insufficient quota to match these scopes: ") {
        format!("the cluster wants a ResourceQuota that covers {scopes} and namespace {namespace} has none")
    } else if let Some(resources) = after("quota usage is negative for resource(s): ") {
        format!("it asks for less than nothing of {resources}, which no ResourceQuota counts")
    } else {
        after("resource quota evaluation timed out")?;
        format!("the API server did not get done with the ResourceQuotas of namespace {namespace}")
    };
    let root = Root { kind: "Namespace".into(), namespace: String::new(), name: namespace.clone(), uid: String::new() };
    Some((root, None, says))
}
