//! The API server or one of its webhooks refused the pod.

use crate::finding::{Depth, Finding};
use crate::refused::Refused;

/// See [`super::REFUSALS`]; asked last, since quotas and pod security refuse by admission too.
pub(super) fn judge(refused: &Refused<'_>) -> Option<Finding> {
    let message = refused.message();
    let webhook = message.split_once("admission webhook \"").and_then(|(_, rest)| rest.split('"').next());
    let by = webhook.map_or("the API server".to_owned(), |name| format!("the admission webhook {name}"));
    let summary = format!("{} gets no pod, {by} refuses it: {message}", refused.workload);
    let finding = Finding::new("admission", Depth::Mechanism, 85, refused.workload_root(), summary);
    let finding = finding.with(Some(refused.said()));
    Some(match webhook {
        Some(name) => finding.detail(name),
        None => finding,
    })
}
