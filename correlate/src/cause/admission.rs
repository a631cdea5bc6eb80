//! The API server, a policy in it or one of its webhooks refused the pod, or a webhook that has to be asked is down.

use crate::finding::{Depth, Finding};
use crate::refused::Refused;

/// Who stands in the way.
#[derive(Debug, PartialEq, Eq)]
enum By<'a> {
    /// `admission webhook "NAME" denied the request: ...`
    Webhook(&'a str),
    /// `failed calling webhook "NAME": ...`: nothing was denied, nobody could be asked.
    WebhookDown(&'a str),
    /// `ValidatingAdmissionPolicy 'NAME' with binding 'NAME' denied request: ...`
    Policy(&'a str),
    Server,
}

/// See [`super::REFUSALS`]; asked last, since quotas and pod security refuse by admission too.
pub(super) fn judge(refused: &Refused<'_>) -> Option<Finding> {
    let message = refused.message();
    let (who, name) = match by(message) {
        By::Webhook(name) => (format!("the admission webhook {name} refuses it"), Some(name)),
        By::WebhookDown(name) => {
            (format!("the admission webhook {name} has to be asked and does not answer"), Some(name))
        }
        By::Policy(name) => (format!("the admission policy {name} refuses it"), Some(name)),
        By::Server => ("the API server refuses it".to_owned(), None),
    };
    let root = match by(message) {
        By::WebhookDown(name) => refused.root("Webhook", name),
        _ => refused.workload_root(),
    };
    let summary = format!("{} gets no {}, {who}: {message}", refused.workload, refused.what());
    let finding = Finding::new("admission", Depth::Mechanism, 85, root, summary).with(Some(refused.said()));
    Some(match name {
        Some(name) => finding.detail(name),
        None => finding,
    })
}

fn by(message: &str) -> By<'_> {
    let quoted = |from: &str, end: char| message.split_once(from).and_then(|(_, rest)| rest.split(end).next());
    if let Some(name) = quoted("failed calling webhook \"", '"') {
        return By::WebhookDown(name);
    }
    if let Some(name) = quoted("admission webhook \"", '"') {
        return By::Webhook(name);
    }
    let denied = message.contains(" denied request");
    let single = || quoted("olicy '", '\'').filter(|_| denied);
    let double = || quoted("policy \"", '"').filter(|_| denied);
    single().or_else(double).map_or(By::Server, By::Policy)
}

#[cfg(test)]
mod tests {
    use super::{By, by};

    #[test]
    fn who_refuses_is_read_from_the_api_servers_words() {
        let check = |message: &str, expected: By<'_>| assert_eq!(by(message), expected, "{message}");
        check(r#"admission webhook "policy.acme.example" denied the request: no"#, By::Webhook("policy.acme.example"));
        check(
            r#"Internal error occurred: failed calling webhook "policy.acme.example": failed to call webhook: EOF"#,
            By::WebhookDown("policy.acme.example"),
        );
        check("ValidatingAdmissionPolicy 'signed' with binding 'all' denied request: no", By::Policy("signed"));
        check("ValidatingAdmissionPolicy 'signed' denied request: no", By::Policy("signed"));
        check("policy 'signed' with binding 'all' denied request: no", By::Policy("signed"));
        check(r#"policy "signed" denied request: no"#, By::Policy("signed"));
        check(r#"pods "web-1" is forbidden: maximum cpu usage per Container is 1"#, By::Server);
    }
}
