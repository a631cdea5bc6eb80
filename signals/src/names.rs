//! Names as Kubernetes has them, and as people write them: `cart`, `deploy/cart`, `team-shop/cart`, `team-shop/deploy/cart`.

/// The kind as the API has it, of a workload or pod as kubectl takes it: `deploy`, `sts`, `deployments.apps`.
pub fn kind(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    // `deployments.apps` names the group too.
    Some(match lower.split('.').next().unwrap_or_default() {
        "po" | "pod" | "pods" => "Pod",
        "deploy" | "deployment" | "deployments" => "Deployment",
        "sts" | "statefulset" | "statefulsets" => "StatefulSet",
        "ds" | "daemonset" | "daemonsets" => "DaemonSet",
        "rs" | "replicaset" | "replicasets" => "ReplicaSet",
        "job" | "jobs" => "Job",
        "cj" | "cronjob" | "cronjobs" => "CronJob",
        _ => return None,
    })
}

/// Whether Kubernetes takes this as the name of a namespace.
pub fn is_namespace(text: &str) -> bool {
    text.len() <= 63 && is_label(text)
}

/// Whether Kubernetes takes this as the name of a workload or pod.
pub fn is_object(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_label(part: &str) -> bool {
    let plain = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    plain && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
}

/// A pod or workload as somebody asks for it; no letter's case matters, as no name in Kubernetes has capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    before: Before,
    name: String,
}

/// What is written before a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Before {
    Nothing,
    Kind(String),
    /// A namespace, or a kind that is not known here: `team-shop/cart`, `rollout/cart`.
    Either(String),
    Both(String, String),
}

impl Asked {
    /// Reads what was written. Whatever it is, it is a name: whether there is one is for others to say.
    pub fn read(text: &str) -> Self {
        let known = |word: &str| kind(word).unwrap_or(word).to_owned();
        let parts: Vec<&str> = text.split('/').collect();
        let (before, name) = match parts.as_slice() {
            [namespace, kind, name] => (Before::Both((*namespace).to_owned(), known(kind)), *name),
            [word, name] if kind(word).is_some() => (Before::Kind(known(word)), *name),
            [word, name] => (Before::Either((*word).to_owned()), *name),
            _ => (Before::Nothing, text),
        };
        Self { before, name: name.to_owned() }
    }

    /// The name without what is before it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is of this namespace, as far as it says of which, read as a name alone with or without a namespace.
    fn is_bare_in(&self, namespace: &str) -> bool {
        match &self.before {
            Before::Nothing => true,
            Before::Either(word) => word.eq_ignore_ascii_case(namespace),
            Before::Kind(_) | Before::Both(..) => false,
        }
    }

    /// Whether it may be of this kind in this namespace, read as one that names its kind.
    fn is_kind_in(&self, namespace: &str, kind: &str) -> bool {
        match &self.before {
            Before::Kind(word) | Before::Either(word) => word.eq_ignore_ascii_case(kind),
            Before::Both(space, word) => space.eq_ignore_ascii_case(namespace) && word.eq_ignore_ascii_case(kind),
            Before::Nothing => false,
        }
    }

    /// Whether this workload, `Kind/name`, is meant.
    pub fn is_workload(&self, namespace: &str, workload: &str) -> bool {
        let (kind, name) = workload.split_once('/').unwrap_or(("", workload));
        name.eq_ignore_ascii_case(&self.name) && (self.is_bare_in(namespace) || self.is_kind_in(namespace, kind))
    }

    /// Whether this pod is meant.
    pub fn is_pod(&self, namespace: &str, pod: &str) -> bool {
        pod.eq_ignore_ascii_case(&self.name) && (self.is_bare_in(namespace) || self.is_kind_in(namespace, "Pod"))
    }

    /// Whether this pod is meant and said to be one: `pod/cart-1`.
    pub fn is_said_pod(&self, namespace: &str, pod: &str) -> bool {
        pod.eq_ignore_ascii_case(&self.name) && self.is_kind_in(namespace, "Pod")
    }

    /// Whether this pod's name begins so. Pods are counted to what owns their owner: those of a ReplicaSet or Job are found by its
    /// name too.
    pub fn begins_pod(&self, namespace: &str, pod: &str) -> bool {
        let rest = pod.get(..self.name.len()).filter(|begin| begin.eq_ignore_ascii_case(&self.name));
        let Some(rest) = rest.and_then(|begin| pod.get(begin.len()..)) else { return false };
        let is_owner = || ["ReplicaSet", "Job"].iter().any(|kind| self.is_kind_in(namespace, kind));
        self.is_bare_in(namespace) || self.is_kind_in(namespace, "Pod") || rest.starts_with('-') && is_owner()
    }

    /// Whether there can be anything of this name.
    pub fn is_sound(&self) -> bool {
        let word = |text: &str| is_object(&text.to_ascii_lowercase());
        let before = match &self.before {
            Before::Nothing => true,
            Before::Kind(one) | Before::Either(one) => word(one),
            Before::Both(namespace, kind) => word(namespace) && word(kind),
        };
        before && word(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_found_by_what_kubectl_and_whyd_write() {
        let (space, cart) = ("team-shop", "Deployment/cart");
        for text in [
            "cart",
            "CART",
            "deploy/cart",
            "Deployment/cart",
            "deployment/Cart",
            "DEPLOYMENTS.apps/cart",
            "team-shop/cart",
            "team-shop/deploy/cart",
            "Team-Shop/Deployment/cart",
        ] {
            assert!(Asked::read(text).is_workload(space, cart), "{text}");
        }
        for text in [
            "",
            "car",
            "sts/cart",
            "team-pay/cart",
            "team-pay/deploy/cart",
            "team-shop/sts/cart",
            "a/b/c/cart",
            "/cart",
        ] {
            assert!(!Asked::read(text).is_workload(space, cart), "{text}");
        }
        // A kind that is not known here is found by what there is; so is a namespace that is called like one.
        assert!(Asked::read("rollout/cart").is_workload(space, "Rollout/cart"));
        assert!(Asked::read("rollout/cart").is_workload("rollout", cart));
        assert!(!Asked::read("rollout/cart").is_workload(space, cart));
    }

    #[test]
    fn pods_are_found_by_name_and_by_how_it_begins() {
        let (space, pod) = ("team-shop", "cart-6f7d-x2");
        for text in [
            "cart-6f7d-x2",
            "pod/cart-6f7d-x2",
            "po/cart-6f7d-X2",
            "team-shop/cart-6f7d-x2",
            "team-shop/pods/cart-6f7d-x2",
        ] {
            assert!(Asked::read(text).is_pod(space, pod), "{text}");
        }
        for (text, is_said) in
            [("po/cart-6f7d-x2", true), ("team-shop/pod/cart-6f7d-x2", true), ("cart-6f7d-x2", false)]
        {
            assert_eq!(Asked::read(text).is_said_pod(space, pod), is_said, "{text}");
        }
        for text in ["deploy/cart-6f7d-x2", "team-pay/cart-6f7d-x2", "cart-6f7d"] {
            assert!(!Asked::read(text).is_pod(space, pod), "{text}");
        }
        for text in ["cart-6", "Cart-6f7d-x2", "pod/cart", "team-shop/cart", "rs/cart-6f7d", "team-shop/job/cart-6f7d"]
        {
            assert!(Asked::read(text).begins_pod(space, pod), "{text}");
        }
        for text in ["rs/cart-6", "deploy/cart", "team-pay/cart", "cart-6f7d-x2y", "art"] {
            assert!(!Asked::read(text).begins_pod(space, pod), "{text}");
        }
        assert!(!Asked::read("e").begins_pod(space, "é"), "no letter is cut in two");
    }

    #[test]
    fn what_can_be_no_name_is_told_apart() {
        for text in ["cart", "Deploy/Cart", "team-shop/deployments.apps/cart.v2"] {
            assert!(Asked::read(text).is_sound(), "{text}");
        }
        for text in ["", "cart-*", "a b", "deploy/", "/cart", "a/b/c/d", "-cart"] {
            assert!(!Asked::read(text).is_sound(), "{text}");
        }
        assert!(is_namespace("team-shop") && !is_namespace("team.shop") && !is_namespace(&"a".repeat(64)));
    }
}
