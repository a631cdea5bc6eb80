//! A resource quota is used up, so the pod was not made.

use crate::finding::{Depth, Finding};
use crate::refused::Refused;

/// See [`super::REFUSALS`].
pub(super) fn judge(refused: &Refused<'_>) -> Option<Finding> {
    let message = refused.message();
    let (name, summary) = if let Some((_, rest)) = message.split_once("exceeded quota: ") {
        // `exceeded quota: NAME, requested: pods=1, used: pods=2, limited: pods=2`
        let (name, figures) = rest.split_once(", ").unwrap_or((rest, ""));
        (name, format!("{} gets no pod, ResourceQuota {name} is used up: {figures}", refused.workload))
    } else {
        // `failed quota: NAME: must specify limits.memory for: web`
        let (name, wants) = message.split_once("failed quota: ")?.1.split_once(": ")?;
        (name, format!("{} gets no pod, ResourceQuota {name} wants it to say more: {wants}", refused.workload))
    };
    let root = refused.root("ResourceQuota", name);
    Some(Finding::new("quota", Depth::Mechanism, 95, root, summary).with(Some(refused.said())).detail(name))
}
