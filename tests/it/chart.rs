//! The Helm chart says what the code says; `deploy/check.sh` asks Helm and a real API server about the rest.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use whyd::chart_values::Values;
use whyd_signals::Resource;

#[test]
fn the_schema_of_the_values_is_the_codes() {
    let kept: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let made = schemars::schema_for!(Values).to_value();
    assert!(
        kept == made,
        "deploy/chart/whyd/values.schema.json is stale: \
         cargo run --release -- schema values > deploy/chart/whyd/values.schema.json"
    );
}

#[test]
fn the_chart_is_of_this_version() {
    let chart = read("Chart.yaml");
    for key in ["version", "appVersion"] {
        let line = format!("\n{key}: {}\n", env!("CARGO_PKG_VERSION"));
        assert!(chart.contains(&line), "Chart.yaml has another {key}");
    }
}

#[test]
fn what_is_watched_may_be_read_and_nothing_else() {
    let mut group = String::new();
    let mut allowed = BTreeSet::new();
    for line in read("templates/rbac.yaml").lines() {
        if let Some(groups) = line.trim().strip_prefix("- apiGroups: [") {
            group = groups.trim_matches(['"', ']']).to_owned();
        } else if let Some(names) = line.trim().strip_prefix("resources: [") {
            allowed.extend(names.trim_end_matches(']').split(", ").map(|name| (group.clone(), name.to_owned())));
        } else if let Some(verbs) = line.trim().strip_prefix("verbs: ") {
            assert_eq!(verbs, "[get, list, watch]", "in the group {group:?}");
        }
    }
    let watched: BTreeSet<_> =
        Resource::ALL.iter().map(|r| (r.group_version().0.to_owned(), r.plural().to_owned())).collect();
    assert_eq!(allowed, watched);
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart/whyd").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
