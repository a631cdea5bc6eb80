//! How anyone finds an item of evidence in the raw data again: the query that shows it.

use serde_json::Value;
use whyd_signals::schema::{Evidence, EvidenceSource, Restart};

use crate::dto::{Language, ShownBy};

/// The query that shows this item of this row; `None` where nothing is named that one could ask for.
pub(crate) fn query(row: &Restart, item: &Evidence) -> Option<ShownBy> {
    match item.source {
        EvidenceSource::Metrics => metric(row, item),
        EvidenceSource::Logs => line(row, item),
        EvidenceSource::Events => event(row, item),
        EvidenceSource::Kube => object(row, item),
    }
}

fn metric(row: &Restart, item: &Evidence) -> Option<ShownBy> {
    let mut labels = vec![("namespace", row.namespace.as_str())];
    labels.extend(row.pod.as_deref().map(|pod| ("pod", pod)));
    labels.extend(row.container.as_deref().map(|container| ("container", container)));
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={}", Value::from(*v))).collect();
    let at = item.at.map_or(String::new(), |at| format!(" @ {:.3}", at.nanos() as f64 / 1e9));
    Some(ShownBy { language: Language::Promql, query: format!("{}{{{}}}{at}", item.field, labels.join(",")) })
}

fn line(row: &Restart, item: &Evidence) -> Option<ShownBy> {
    // The pod and container that wrote it may be another's: the field names them.
    let (pod, container) = item.field.split_once('/')?;
    let at = item.at?;
    let (namespace, pod, container) = (text(&row.namespace), text(pod), text(container));
    let query = format!(
        "SELECT ts, line FROM logs WHERE namespace = {namespace} AND pod = {pod} AND container = {container} \
         AND ts = TIMESTAMP {}",
        text(&at.to_string())
    );
    Some(ShownBy { language: Language::Sql, query })
}

fn event(row: &Restart, item: &Evidence) -> Option<ShownBy> {
    let (kind, name) = item.object.split_once('/')?;
    let at = item.at?;
    let namespace = if kind == "Node" { "default" } else { row.namespace.as_str() };
    let query = format!(
        "SELECT ts, message, count FROM events WHERE namespace = {} AND kind = {} AND name = {} AND reason = {} \
         AND ts = TIMESTAMP {}",
        text(namespace),
        text(kind),
        text(name),
        text(&item.field),
        text(&at.to_string())
    );
    Some(ShownBy { language: Language::Sql, query })
}

/// A field of an object: the ledger keeps what the status said, the API server has the rest.
fn object(row: &Restart, item: &Evidence) -> Option<ShownBy> {
    let (kind, name) = item.object.split_once('/')?;
    if let (Some(leaf), Some(uid)) = (ended(&item.field), &row.pod_uid) {
        let container = row.container.as_deref()?;
        let query = format!(
            "SELECT {leaf}, finished_at FROM restarts WHERE pod_uid = {} AND container = {} AND finished_at = TIMESTAMP {}",
            text(uid),
            text(container),
            text(&row.finished_at?.to_string())
        );
        return (row.pod.as_deref() == Some(name)).then_some(ShownBy { language: Language::Sql, query });
    }
    // An object of another namespace, which the item does not name.
    if !row.speaks_of.is_empty() && row.pod.as_deref() != Some(name) {
        return None;
    }
    let path = json_path(&item.field)?;
    let namespace = if kind == "Node" { String::new() } else { format!("-n {} ", word(&row.namespace)?) };
    let query = format!(
        "kubectl {namespace}get {}/{} -o jsonpath='{{{path}}}'",
        word(&kind.to_ascii_lowercase())?,
        word(name)?
    );
    Some(ShownBy { language: Language::Kubectl, query })
}

/// The column of the ledger that holds a field of how a container ended.
fn ended(field: &str) -> Option<&'static str> {
    let (_, leaf) = field.split_once(".terminated.")?;
    match leaf {
        "exitCode" => Some("exit_code"),
        "reason" => Some("reason"),
        _ => None,
    }
}

/// `status.conditions[Ready].status` as kubectl has it.
fn json_path(field: &str) -> Option<String> {
    let mut path = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('[') {
        let (key, after) = after.split_once(']')?;
        let list = before.rsplit('.').next().unwrap_or_default();
        path.push_str(before);
        match list {
            _ if key.is_empty() => path.push_str("[*]"),
            _ if key.bytes().all(|b| b.is_ascii_digit()) => path.push_str(&format!("[{key}]")),
            // A key of a map: dots in it are escaped.
            "annotations" | "labels" => path.push_str(&format!(".{}", key.replace('.', "\\."))),
            "conditions" => path.push_str(&format!("[?(@.type==\"{key}\")]")),
            _ => path.push_str(&format!("[?(@.name==\"{key}\")]")),
        }
        rest = after;
    }
    path.push_str(rest);
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '.' | '[' | ']' | '*' | '?' | '(' | ')' | '@' | '=' | '"' | '-' | '_' | '\\' | '/')
    };
    path.chars().all(plain).then(|| format!(".{path}"))
}

/// A text of SQL.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A word that a shell takes as it stands.
fn word(value: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (!value.is_empty() && !value.starts_with('-') && value.chars().all(plain)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{json_path, text, word};

    #[test]
    fn fields_are_paths_for_kubectl() {
        for (field, want) in [
            ("spec.restartPolicy", Some(".spec.restartPolicy")),
            ("status.conditions[Ready].status", Some(r#".status.conditions[?(@.type=="Ready")].status"#)),
            (
                "spec.containers[web].resources.limits.memory",
                Some(r#".spec.containers[?(@.name=="web")].resources.limits.memory"#),
            ),
            (
                "metadata.annotations[kubectl.kubernetes.io/restartedAt]",
                Some(r".metadata.annotations.kubectl\.kubernetes\.io/restartedAt"),
            ),
            ("spec.containers[a'; rm -rf].image", None),
        ] {
            assert_eq!(json_path(field).as_deref(), want);
        }
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(text("a' OR '1'='1"), "'a'' OR ''1''=''1'");
        assert_eq!(word("$(reboot)"), None);
    }
}
