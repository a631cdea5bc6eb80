//! The bodies of the Alertmanager v2 API. A list is never null, however empty.

use std::collections::BTreeMap;

use serde::Serialize;
use whyd_signals::Timestamp;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) cluster: Cluster,
    pub(super) version_info: VersionInfo,
    pub(super) config: ConfigText,
    pub(super) uptime: Timestamp,
}

#[derive(Serialize)]
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) peers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionInfo {
    pub(super) branch: &'static str,
    pub(super) build_date: &'static str,
    pub(super) build_user: &'static str,
    pub(super) go_version: &'static str,
    pub(super) revision: &'static str,
    pub(super) version: &'static str,
}

#[derive(Serialize)]
pub(super) struct ConfigText {
    pub(super) original: &'static str,
}

#[derive(Serialize)]
pub(super) struct Name {
    pub(super) name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    pub(super) annotations: BTreeMap<&'static str, String>,
    pub(super) ends_at: Timestamp,
    pub(super) fingerprint: String,
    pub(super) receivers: [Name; 1],
    pub(super) starts_at: Timestamp,
    pub(super) status: AlertStatus,
    pub(super) updated_at: Timestamp,
    #[serde(rename = "generatorURL")]
    pub(super) generator_url: String,
    pub(super) labels: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertStatus {
    pub(super) inhibited_by: Vec<String>,
    pub(super) muted_by: Vec<String>,
    pub(super) silenced_by: Vec<String>,
    pub(super) state: &'static str,
}

#[derive(Serialize)]
pub(super) struct Group {
    pub(super) alerts: Vec<Alert>,
    pub(super) labels: BTreeMap<&'static str, String>,
    pub(super) receiver: Name,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Silence {
    pub(super) id: String,
    pub(super) status: SilenceStatus,
    pub(super) updated_at: Timestamp,
    pub(super) comment: String,
    pub(super) created_by: &'static str,
    pub(super) ends_at: Timestamp,
    pub(super) matchers: Vec<SilenceMatcher>,
    pub(super) starts_at: Timestamp,
}

#[derive(Serialize)]
pub(super) struct SilenceStatus {
    pub(super) state: &'static str,
}

/// What a suppression is about; always an equality.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SilenceMatcher {
    pub(super) is_equal: bool,
    pub(super) is_regex: bool,
    pub(super) name: &'static str,
    pub(super) value: String,
}
