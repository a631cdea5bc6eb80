//! The program asks for a host that does not exist.

use whyd_signals::Resource;
use whyd_signals::schema::RuledOut;

use super::Cause;
use crate::case::Case;
use crate::complaint::{self, Complaint};
use crate::finding::{Basis, Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "dependency-missing", judge, contradict };

fn judge(case: &Case<'_>) -> Option<Finding> {
    case.terminated().filter(|t| super::is_own(t.exit_code) && t.reason != "OOMKilled" && t.reason != "StartError")?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let Complaint { line, hosts } = complaint::of(case.lines(), complaint::unresolved)?;
    let names: Vec<&String> = hosts.iter().filter(|h| h.parse::<std::net::IpAddr>().is_err()).collect();
    // A name that something answers to is not missing: then it is down, or the cluster's DNS is.
    let host = names.iter().find(|h| complaint::resolve(case, h).is_empty());
    if host.is_none() && !names.is_empty() {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let what = host.map_or("a name that leads nowhere".to_owned(), |h| format!("no {h}"));
    let summary = format!("{name} gave up because there is {what}: {}", line.line.trim());
    let root = match host.filter(|h| is_cluster_name(case, h)) {
        Some(host) => {
            let (service, namespace) = service_of(host, &case.space.name);
            whyd_signals::schema::Root { namespace, ..case.root("Service", &service, "") }
        }
        None => case.workload_root(),
    };
    let finding = Finding::new(CAUSE.id, Depth::Deeper, 79, root, summary)
        .basis(Basis::Said)
        .with(Some(case.line(line, "what the program says")))
        .with(case.status("exitCode", "the exit code it chose"));
    let mut finding = match host {
        Some(host) => finding.detail(host),
        None => finding,
    };
    if !case.scoped.cluster().synced(Resource::Services) {
        finding.unseen = Some("services");
    }
    Some(finding)
}

/// Service and namespace that a host name stands for.
fn service_of(host: &str, own: &str) -> (String, String) {
    let mut labels = host.split('.');
    let service = labels.next().unwrap_or(host).to_owned();
    (service, labels.next().unwrap_or(own).to_owned())
}

/// Whether a name is looked up within the cluster: a bare one, or one that ends as the cluster's do.
fn is_cluster_name(case: &Case<'_>, host: &str) -> bool {
    let mut labels = host.split('.').skip(1);
    match labels.next() {
        None => true,
        Some(namespace) => case.scoped.cluster().namespace(namespace).is_some() || matches!(labels.next(), Some("svc")),
    }
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    case.terminated()?;
    let last = case.lines().last()?;
    if case.lines().iter().any(|l| complaint::unresolved(&l.line)) {
        return None;
    }
    let because = "none of its last lines tells of a name that is not known".to_owned();
    Some(ruled_out(CAUSE.id, because, "logs", last.line.clone()))
}
