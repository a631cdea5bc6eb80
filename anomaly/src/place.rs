//! Where an anomaly is, in words: by its node, and the label that tells most.

/// What telling labels stand for, the most telling first: a file system is known by where it is mounted.
const TELLING: [(&str, &str); 4] =
    [("persistentvolumeclaim", "volume claim "), ("mountpoint", ""), ("device", ""), ("interface", "")];

/// Whether a metric is the node exporter's: of the node, whoever exports it.
pub fn is_node_metric(metric: &str) -> bool {
    metric.starts_with("node_")
}

/// "node worker-2, /var"; "volume claim data-pg-0"; `None` where nothing says where it is.
pub fn place<'a>(node: Option<&str>, label: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let node = node.filter(|node| !node.is_empty()).map(|node| format!("node {node}"));
    let telling = TELLING.iter().find_map(|(name, words)| Some(format!("{words}{}", label(name)?)));
    let place: Vec<String> = node.into_iter().chain(telling).collect();
    (!place.is_empty()).then(|| place.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_place_is_told_by_node_and_the_most_telling_label() {
        let check = |node: Option<&str>, labels: &[(&str, &'static str)], expected: Option<&str>| {
            let label = |name: &str| labels.iter().find(|(of, _)| *of == name).map(|(_, value)| *value);
            assert_eq!(place(node, label).as_deref(), expected, "{labels:?}");
        };
        check(Some("worker-2"), &[("device", "/dev/sda1"), ("mountpoint", "/var")], Some("node worker-2, /var"));
        check(Some("worker-2"), &[("device", "eth0")], Some("node worker-2, eth0"));
        check(Some("worker-2"), &[], Some("node worker-2"));
        check(Some(""), &[], None);
        check(None, &[("persistentvolumeclaim", "data-pg-0")], Some("volume claim data-pg-0"));
        check(None, &[("interface", "eth0")], Some("eth0"));
        check(None, &[], None);
    }
}
