//! Kubernetes objects, slim: just the fields that verdicts, identity and changes are made of.
//!
//! One set of types serves live and replay. Unknown fields are ignored, absent ones are `None` or empty,
//! so that an older or newer API server is read alike.

mod config_map;
mod event;
mod meta;
mod node;
mod pod;
mod workload;

pub use config_map::ConfigMap;
pub use event::{Event, EventSeries, ObjectRef};
pub use meta::{Condition, Meta, OwnerRef};
pub use node::{Node, NodeInfo, NodeSpec, NodeStatus, Taint};
pub use pod::{
    Claim, Container, ContainerState, ContainerStatus, EnvFrom, EnvFromProjected, EnvVar, KeySource, KeyToPath,
    NameRef, Pod, PodSpec, PodStatus, Port, Probe, Projected, ProjectedSource, ResizePolicy, Resources, Running,
    SecretVolume, Terminated, ValueFrom, Volume, VolumeMount, Waiting,
};
pub use workload::{
    Job, JobSpec, JobStatus, Namespace, PodTemplate, Selector, Service, ServiceSpec, Workload, WorkloadSpec,
    WorkloadStatus,
};

use std::sync::Arc;

/// Any of the watched objects.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Object {
    Namespace(Arc<Namespace>),
    Node(Arc<Node>),
    Deployment(Arc<Workload>),
    ReplicaSet(Arc<Workload>),
    StatefulSet(Arc<Workload>),
    DaemonSet(Arc<Workload>),
    Job(Arc<Job>),
    ConfigMap(Arc<ConfigMap>),
    Service(Arc<Service>),
    Pod(Arc<Pod>),
    Event(Arc<Event>),
}

impl Object {
    /// Its metadata.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Namespace(o) => &o.metadata,
            Self::Node(o) => &o.metadata,
            Self::Deployment(o) | Self::ReplicaSet(o) | Self::StatefulSet(o) | Self::DaemonSet(o) => &o.metadata,
            Self::Job(o) => &o.metadata,
            Self::ConfigMap(o) => &o.metadata,
            Self::Service(o) => &o.metadata,
            Self::Pod(o) => &o.metadata,
            Self::Event(o) => &o.metadata,
        }
    }
}
