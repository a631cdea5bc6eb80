//! ConfigMaps, their metadata only: values may be secret and no verdict needs them.

use serde::{Deserialize, Serialize};

use super::Meta;

/// A ConfigMap without its data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ConfigMap {
    pub metadata: Meta,
}
