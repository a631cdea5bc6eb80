//! Pods: spec, probes, volumes and the statuses that tell how containers ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Condition, Meta};
use crate::Timestamp;

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Pod {
    pub metadata: Meta,
    pub spec: PodSpec,
    pub status: PodStatus,
}

impl Pod {
    /// The condition of this type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }

    /// The container of this name in the spec, init containers included.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.spec.containers.iter().chain(&self.spec.init_containers).find(|c| c.name == name)
    }

    /// All container statuses: init, ordinary, ephemeral.
    pub fn statuses(&self) -> impl Iterator<Item = &ContainerStatus> {
        let s = &self.status;
        s.init_container_statuses.iter().chain(&s.container_statuses).chain(&s.ephemeral_container_statuses)
    }

    /// Whether `container` is an init container that has to end before the others start.
    pub fn is_init(&self, container: &str) -> bool {
        let init = self.spec.init_containers.iter().find(|c| c.name == container);
        init.is_some_and(|c| c.restart_policy.as_deref() != Some("Always"))
    }

    /// Whether `container` is an init container that goes on beside the others.
    pub fn is_sidecar(&self, container: &str) -> bool {
        let init = self.spec.init_containers.iter().find(|c| c.name == container);
        init.is_some_and(|c| c.restart_policy.as_deref() == Some("Always"))
    }

    /// Whether `container` was put into the running pod by a person.
    pub fn is_ephemeral(&self, container: &str) -> bool {
        self.status.ephemeral_container_statuses.iter().any(|s| s.name == container)
    }

    /// The name of the status list that holds this container.
    pub fn status_list(&self, container: &str) -> &'static str {
        if self.spec.init_containers.iter().any(|c| c.name == container) {
            "initContainerStatuses"
        } else if self.is_ephemeral(container) {
            "ephemeralContainerStatuses"
        } else {
            "containerStatuses"
        }
    }

    /// The name of the spec list that holds this container.
    pub fn spec_list(&self, container: &str) -> &'static str {
        if self.spec.init_containers.iter().any(|c| c.name == container) { "initContainers" } else { "containers" }
    }
}

/// What is wanted of a pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PodSpec {
    pub node_name: String,
    /// Whether its address is the node's.
    pub host_network: bool,
    pub restart_policy: String,
    pub termination_grace_period_seconds: Option<i64>,
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub volumes: Vec<Volume>,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub command: Vec<String>,
    pub args: Vec<String>,
    pub restart_policy: Option<String>,
    pub resources: Resources,
    pub resize_policy: Vec<ResizePolicy>,
    pub ports: Vec<Port>,
    pub volume_mounts: Vec<VolumeMount>,
    pub env: Vec<EnvVar>,
    pub env_from: Vec<EnvFrom>,
    pub liveness_probe: Option<Probe>,
    pub readiness_probe: Option<Probe>,
    pub startup_probe: Option<Probe>,
}

/// A port that a container says it listens on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Port {
    pub container_port: i64,
}

/// A volume by its name in the pod, and where the container sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct VolumeMount {
    pub name: String,
    pub mount_path: String,
}

/// Whether a container is restarted when one of its resources is changed in place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ResizePolicy {
    pub resource_name: String,
    pub restart_policy: String,
}

/// Limits and requests as written, for instance `128Mi`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Resources {
    pub limits: BTreeMap<String, String>,
    pub requests: BTreeMap<String, String>,
}

/// Timing of a probe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Probe {
    pub initial_delay_seconds: i64,
    pub timeout_seconds: i64,
    pub period_seconds: i64,
    pub failure_threshold: i64,
}

/// An environment variable; its plain value is not kept unless it names a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct EnvVar {
    pub name: String,
    pub value_from: Option<ValueFrom>,
}

/// Where a variable comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ValueFrom {
    pub config_map_key_ref: Option<KeySource>,
    pub secret_key_ref: Option<KeySource>,
}

/// A key of a ConfigMap or Secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct KeySource {
    pub name: String,
    pub key: String,
}

/// A whole ConfigMap or Secret as environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct EnvFrom {
    pub config_map_ref: Option<NameRef>,
    pub secret_ref: Option<NameRef>,
}

/// An object by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct NameRef {
    pub name: String,
}

/// A volume, as far as it names an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Volume {
    pub name: String,
    pub config_map: Option<NameRef>,
    pub secret: Option<SecretVolume>,
    pub persistent_volume_claim: Option<Claim>,
    pub projected: Option<ProjectedSource>,
}

/// A claim as a volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Claim {
    pub claim_name: String,
}

/// A secret as a volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct SecretVolume {
    pub secret_name: String,
}

/// The sources of a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ProjectedSource {
    pub sources: Vec<EnvFromProjected>,
}

/// One source of a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct EnvFromProjected {
    pub config_map: Option<Projected>,
    pub secret: Option<Projected>,
}

/// A ConfigMap or Secret in a projected volume, and which keys of it are wanted; none named: all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Projected {
    pub name: String,
    pub items: Vec<KeyToPath>,
}

/// One key that becomes a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct KeyToPath {
    pub key: String,
}

/// What a pod is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PodStatus {
    pub phase: String,
    pub reason: String,
    pub message: String,
    pub start_time: Option<Timestamp>,
    #[serde(rename = "podIP")]
    pub pod_ip: String,
    pub conditions: Vec<Condition>,
    pub init_container_statuses: Vec<ContainerStatus>,
    pub container_statuses: Vec<ContainerStatus>,
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
}

/// What a container is and how its previous instance ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ContainerStatus {
    pub name: String,
    pub ready: bool,
    pub restart_count: i64,
    pub image: String,
    #[serde(rename = "imageID")]
    pub image_id: String,
    #[serde(rename = "containerID")]
    pub container_id: String,
    pub started: Option<bool>,
    pub state: ContainerState,
    pub last_state: ContainerState,
}

/// One of waiting, running, terminated, or none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ContainerState {
    pub waiting: Option<Waiting>,
    pub running: Option<Running>,
    pub terminated: Option<Terminated>,
}

/// Why a container waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Waiting {
    pub reason: String,
    pub message: String,
}

/// Since when a container runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Running {
    pub started_at: Option<Timestamp>,
}

/// How a container ended. Never started: `started_at` is the epoch or absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Terminated {
    pub exit_code: i32,
    pub signal: Option<i32>,
    pub reason: String,
    pub message: String,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    #[serde(rename = "containerID")]
    pub container_id: String,
}
