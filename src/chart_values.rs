//! The values of the Helm chart: only their schema is made of this, Helm reads the values themselves.
//!
//! `deploy/chart/whyd/values.yaml` has the defaults; what is `null` here is the chart's default.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use crate::config::ConfigFile;

/// The values of the chart; none has to be set.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Values {
    /// The container image.
    pub image: Image,
    /// Where the pod may run and what it carries.
    pub pod: Pod,
    /// The daemon's configuration file.
    pub config: ConfigFile,
    /// The tokens that `config.access` names.
    pub tokens: Tokens,
    /// The container's resources. Default: made of `config.limits.memory`.
    pub resources: Option<BTreeMap<String, Value>>,
    /// The volume of the log.
    pub persistence: Persistence,
    /// Who may reach the daemon, and whom it may.
    pub network_policy: NetworkPolicy,
    /// The page and the API from outside.
    pub ingress: Ingress,
    /// Has Prometheus scrape it, where the cluster knows the kind.
    pub service_monitor: Monitoring,
    /// Has Prometheus alert of incidents, where the cluster knows the kind and `config.alertmanager.urls` names none.
    pub prometheus_rule: Monitoring,
    /// Keeps a node from being drained until somebody moves the pod. Default: not enabled.
    pub pod_disruption_budget: Optional,
    /// A ConfigMap of dashboards, labelled for the sidecar of Grafana. Default: not enabled.
    pub dashboards: Optional,
    /// Of a chart that has this one as a part; not read.
    pub global: Option<BTreeMap<String, Value>>,
}

/// A container image.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Image {
    /// Default `ghcr.io/whyd/whyd`.
    pub repository: Option<String>,
    /// Default: the chart's appVersion.
    pub tag: Option<String>,
    /// `Always`, `IfNotPresent` or `Never`. Default: the cluster's.
    pub pull_policy: Option<String>,
    /// Names of Secrets with credentials for the registry. Default: none.
    pub pull_secrets: Option<Vec<String>>,
}

/// What a cluster asks of every pod.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Pod {
    /// Labels beside its own. Default: none.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations beside its own. Default: none.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Default: any node.
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Default: none.
    pub tolerations: Option<Vec<BTreeMap<String, Value>>>,
    /// Default: none.
    pub affinity: Option<BTreeMap<String, Value>>,
    /// Default: the cluster's.
    pub priority_class_name: Option<String>,
}

/// Tokens in a Secret.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Tokens {
    /// A Secret of the same namespace, mounted at `/run/secrets/whyd`. Default: none.
    pub secret: Option<String>,
    /// The key of the token that Prometheus scrapes with. Default: it needs none.
    pub metrics_key: Option<String>,
}

/// A volume.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Persistence {
    /// More than `config.limits.log` and `config.limits.history` together. Default `12Gi`.
    pub size: Option<String>,
    /// Default: the cluster's.
    pub storage_class: Option<String>,
}

/// A NetworkPolicy.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Default `true`.
    pub enabled: Option<bool>,
    /// Namespaces that may reach the port. Default: all of the cluster.
    pub from_namespaces: Option<Vec<String>>,
    /// Ports at which the API server really listens, behind the Service. Default 443 and 6443.
    pub api_server_ports: Option<Vec<u16>>,
    /// Ports at which Alertmanagers really listen, where a Service has another. Default: those of `config.alertmanager.urls`.
    pub alertmanager_ports: Option<Vec<u16>>,
    /// Ports at which the sources that are asked really listen, where a Service has another. Default: those of `config.pull`.
    pub pull_ports: Option<Vec<u16>>,
}

/// An Ingress, which needs tokens of readers and one of senders in `config.access`.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Ingress {
    /// The name that it is reached by. Default: there is none, and no Ingress.
    pub host: Option<String>,
    /// Default: the cluster's.
    pub class_name: Option<String>,
    /// Annotations, as a controller or cert-manager reads them. Default: none.
    pub annotations: Option<BTreeMap<String, String>>,
    /// The Secret with the certificate. Default: none, and plain HTTP.
    pub tls_secret: Option<String>,
}

/// An object of the Prometheus operator.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Monitoring {
    /// Default `true`.
    pub enabled: Option<bool>,
    /// Labels that the Prometheus selects by. Default: none of its own.
    pub labels: Option<BTreeMap<String, String>>,
}

/// An object that is not there unless it is asked for.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Optional {
    /// Default `false`.
    pub enabled: Option<bool>,
}
