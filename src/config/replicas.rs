//! By which labels replicas that send the same are told from each other.

use schemars::JsonSchema;
use serde::Deserialize;
use whyd_buffers::ReplicaRule;

use super::Errors;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct ReplicasFile {
    /// The label that names a cluster of replicas. Series that lack it or the next are all stored. Default `cluster`.
    cluster_label: Option<String>,
    /// The label that names a replica; it is dropped. Empty: nothing is told apart. Default `__replica__`.
    replica_label: Option<String>,
    /// How long the elected replica may be silent before another is elected. Default `30s`.
    failover: Option<String>,
    /// Clusters of replicas known at once; series of more are refused. Default 100.
    clusters: Option<usize>,
}

impl Errors {
    pub(super) fn replicas(&mut self, file: ReplicasFile) -> ReplicaRule {
        let default = ReplicaRule::default();
        let rule = ReplicaRule {
            cluster: file.cluster_label.unwrap_or(default.cluster),
            replica: file.replica_label.unwrap_or(default.replica),
            failover: file.failover.map_or(default.failover, |text| self.duration("replicas.failover", &text)),
            clusters: file.clusters.unwrap_or(default.clusters),
        };
        if rule.cluster == rule.replica {
            self.told.push("replicas.replicaLabel: must be another label than replicas.clusterLabel".into());
        }
        if rule.cluster.is_empty() && !rule.replica.is_empty() {
            self.told
                .push("replicas.clusterLabel: must not be empty; an empty replicas.replicaLabel turns it off".into());
        }
        rule
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::ConfigFile;

    #[test]
    fn labels_and_time_may_be_said() {
        let read = |text: &str| ConfigFile::parse(text).unwrap().validate();
        let rule = read("replicas: {clusterLabel: prom, replicaLabel: replica, failover: 2m, clusters: 3}\n").unwrap();
        let expected = ("prom", "replica", Duration::from_secs(120), 3);
        let r = rule.replicas;
        assert_eq!((r.cluster.as_str(), r.replica.as_str(), r.failover, r.clusters), expected);
        assert!(read("replicas: {replicaLabel: \"\"}\n").is_ok());
        for (text, key) in [
            ("replicas: {clusterLabel: __replica__}\n", "replicas.replicaLabel"),
            ("replicas: {clusterLabel: \"\"}\n", "replicas.clusterLabel"),
            ("replicas: {failover: soon}\n", "replicas.failover"),
        ] {
            let wrong = read(text).unwrap_err();
            assert!(wrong.iter().any(|w| w.starts_with(key)), "{key} in {wrong:?}");
        }
    }
}
