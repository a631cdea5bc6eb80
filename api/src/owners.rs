//! Which workload a pod is of, that is there or that ended.

use std::collections::BTreeMap;

use crate::scope::Scope;

/// The workload of each pod, by namespace and name: of those that are there and of those that ended.
pub(crate) struct Owners(BTreeMap<(String, String), String>);

impl Owners {
    pub(crate) fn of(scope: &Scope<'_>) -> Self {
        let ended = scope.restarts(|r| r.pod.is_some());
        let ended =
            ended.iter().map(|r| ((r.namespace.clone(), r.pod.clone().unwrap_or_default()), r.workload.clone()));
        let there = scope.pods().into_iter().map(|p| ((p.namespace, p.name), p.workload));
        Self(ended.chain(there).collect())
    }

    /// `Kind/name` of a pod's; `None` where that is not known.
    pub(crate) fn of_pod(&self, namespace: &str, pod: &str) -> Option<&str> {
        self.0.get(&(namespace.to_owned(), pod.to_owned())).map(String::as_str)
    }

    /// Namespace and workload of an incident's member, which is `namespace/pod` or `namespace/pod/container`.
    pub(crate) fn of_member<'a>(&'a self, member: &'a str) -> Option<(&'a str, &'a str)> {
        let mut parts = member.split('/');
        let (namespace, pod) = (parts.next()?, parts.next()?);
        Some((namespace, self.of_pod(namespace, pod).unwrap_or_default()))
    }
}
