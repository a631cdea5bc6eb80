//! How what is asked about stands now: a container, a pod, or what a workload has instead of a pod that is gone.

use whyd_api::Whom;
use whyd_api::dto::{Standing, StandingState as State};
use whyd_buffers::Scoped;
use whyd_buffers::state::NamespaceState;
use whyd_correlate::redact::redact;
use whyd_signals::Timestamp;
use whyd_signals::objects::{ContainerStatus, Pod};

/// What is known of it; `None` where the pod was never seen.
pub(super) fn of(scoped: &Scoped, whom: &Whom<'_>, at: Timestamp) -> Option<Standing> {
    let space = scoped.cluster().namespace(whom.namespace)?;
    let record = match whom.pod_uid {
        Some(uid) => space.pods.get(uid)?,
        None => space.pod_named(whom.pod)?,
    };
    let name = &record.object.metadata.name;
    let (state, ready, since, text) = match record.deleted_at {
        None => of_lost_node(scoped, &record.object).unwrap_or_else(|| of_pod(&record.object, whom.container)),
        Some(gone) => {
            let again = space.pod_named(name).filter(|pod| pod.deleted_at.is_none());
            let (ready, text) = again.map_or_else(
                || of_others(space, &space.workload_of(&record.object)),
                |pod| {
                    let (_, ready, _, text) = of_pod(&pod.object, whom.container);
                    (ready, format!("another of its name is there: {text}"))
                },
            );
            (State::Gone, ready, Some(gone), format!("the pod is gone, and {text}"))
        }
    };
    // A program may end with what it was given in its message.
    Some(Standing { at, state, ready, since, text: redact(&text).into_owned() })
}

type Told = (State, bool, Option<Timestamp>, String);

/// Of a node that is not heard, what its pods do is not known: their statuses are those of before.
fn of_lost_node(scoped: &Scoped, pod: &Pod) -> Option<Told> {
    let node = scoped.cluster().node_named(&pod.spec.node_name)?;
    let ready = node.object.status.conditions.iter().find(|condition| condition.kind == "Ready")?;
    let text = format!("its node {} is not heard: whether it runs is not known", pod.spec.node_name);
    (ready.status == "Unknown").then_some((State::Waiting, false, ready.last_transition_time, text))
}

fn is_ready(pod: &Pod) -> bool {
    pod.condition("Ready").is_some_and(|condition| condition.status == "True")
}

fn of_pod(pod: &Pod, container: Option<&str>) -> Told {
    let status = container.and_then(|name| pod.statuses().find(|status| status.name == name));
    if let Some(status) = status {
        return of_container(pod, status);
    }
    let ready = is_ready(pod);
    let turned = pod.condition("Ready").and_then(|condition| condition.last_transition_time);
    match pod.status.phase.as_str() {
        "Running" if ready => (State::Running, true, turned, "running and ready".into()),
        "Running" => (State::Running, false, turned, format!("running and not ready{}", unready(pod))),
        phase @ ("Succeeded" | "Failed") => {
            let reason = &pod.status.reason;
            let why = if reason.is_empty() { String::new() } else { format!(", {reason}") };
            (State::Ended, false, turned, format!("ended: {phase}{why}"))
        }
        _ => (State::Waiting, false, pod.metadata.creation_timestamp, format!("pending{}", unready(pod))),
    }
}

/// What it waits for, as Kubernetes says.
fn unready(pod: &Pod) -> String {
    let waiting = pod.statuses().find_map(|status| status.state.waiting.as_ref().map(|waiting| &waiting.reason));
    let unmet = ["PodScheduled", "ContainersReady"].iter().filter_map(|kind| pod.condition(kind));
    let mut unmet = unmet.filter(|condition| condition.status == "False").map(|condition| &condition.reason);
    let why = waiting.or_else(|| unmet.next()).filter(|why| !why.is_empty());
    why.map_or_else(String::new, |why| format!(": {why}"))
}

fn of_container(pod: &Pod, status: &ContainerStatus) -> Told {
    let ContainerStatus { state, ready, .. } = status;
    if let (Some(running), Some(_)) = (&state.running, pod.metadata.deletion_timestamp) {
        return (State::Running, false, running.started_at, "running, its pod is being deleted".into());
    }
    if let Some(running) = &state.running {
        let text = match (ready, is_ready(pod)) {
            (true, true) => "running and ready".to_owned(),
            (true, false) => format!("running and ready, its pod is not{}", unready(pod)),
            (false, _) => "running and not ready".to_owned(),
        };
        return (State::Running, *ready, running.started_at, text);
    }
    if let Some(waiting) = &state.waiting {
        let (reason, message) = (&waiting.reason, &waiting.message);
        // `back-off 2m40s restarting failed container=app pod=...`: the length of the pause is what matters.
        let pause = message.strip_prefix("back-off ").and_then(|rest| rest.split(' ').next());
        let why = match pause {
            Some(pause) => format!("for its next start, after a pause of {pause} ({reason})"),
            None if message.is_empty() => format!("({reason})"),
            None => format!("({reason}): {message}"),
        };
        let ended = status.last_state.terminated.as_ref().and_then(|ended| ended.finished_at);
        return (State::Waiting, false, ended, format!("waiting {why}"));
    }
    if let Some(ended) = &state.terminated {
        let reason = if ended.reason.is_empty() { String::new() } else { format!(", {}", ended.reason) };
        let text = format!("ended with exit code {}{reason}", ended.exit_code);
        return (State::Ended, false, ended.finished_at, text);
    }
    (State::Waiting, false, None, "not started yet".into())
}

/// What a workload has now, and whether all of it is ready.
fn of_others(space: &NamespaceState, workload: &str) -> (bool, String) {
    let there = space.pods.values().filter(|pod| pod.deleted_at.is_none());
    let pods: Vec<&Pod> = there.map(|pod| &*pod.object).filter(|pod| space.workload_of(pod) == workload).collect();
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let text = match pods.len() {
        0 => format!("{workload} has no other"),
        1 => format!("{workload} has one other, {}", if ready == 1 { "ready" } else { "not ready" }),
        all if ready == all => format!("{workload} has {all} others, all ready"),
        all => format!("{workload} has {all} others, {ready} of them ready"),
    };
    (!pods.is_empty() && ready == pods.len(), text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::{Value, json};
    use whyd_collector::wire::kube::{envelope, slim};
    use whyd_signals::{Access, Resource, Verb};

    use super::*;
    use crate::config::ConfigFile;
    use crate::replay::Replay;
    use crate::wiring;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(1_790_000_000 + seconds, 0).unwrap()
    }

    fn pod(name: &str, uid: &str, status: &Value, ready: &str) -> Value {
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "s", "controller": true});
        let conditions = json!([{"type": "Ready", "status": ready, "reason": "ContainersNotReady"}]);
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": "1", "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "db"}]},
            "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [status]}})
    }

    fn status(ready: bool, state: &Value) -> Value {
        json!({"name": "db", "ready": ready, "restartCount": 3, "state": state,
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": at(5)}}})
    }

    fn running(ready: bool) -> Value {
        status(ready, &json!({"running": {"startedAt": at(7)}}))
    }

    fn standing(pods: &[(Verb, Value)], uid: &str, container: Option<&str>) -> Option<Standing> {
        let mut replay = Replay::new(wiring::core(&ConfigFile::default().validate().unwrap()));
        for (n, (verb, pod)) in pods.iter().enumerate() {
            let pod = slim(Resource::Pods, pod.to_string().as_bytes()).unwrap();
            replay.feed(envelope(Resource::Pods, *verb, at(10 + n as i64), pod));
        }
        let whom = Whom { namespace: "shop", pod: "db-0", pod_uid: Some(uid), container };
        of(&replay.snapshot().scoped(&Access::All), &whom, at(100))
    }

    fn told(pods: &[(Verb, Value)], container: Option<&str>) -> (State, bool, Option<Timestamp>, String) {
        let Standing { state, ready, since, text, at: asked } = standing(pods, "1", container).unwrap();
        assert_eq!(asked, at(100));
        (state, ready, since, text)
    }

    #[test]
    fn a_container_runs_waits_or_has_ended() {
        let now = |status: &Value, ready: &str| told(&[(Verb::Apply, pod("db-0", "1", status, ready))], Some("db"));
        let text = |text: &str| text.to_owned();
        assert_eq!(now(&running(true), "True"), (State::Running, true, Some(at(7)), text("running and ready")));
        assert_eq!(now(&running(false), "False"), (State::Running, false, Some(at(7)), text("running and not ready")));
        let back_off = json!({"waiting": {"reason": "CrashLoopBackOff",
            "message": "back-off 2m40s restarting failed container=db pod=db-0_shop(1)"}});
        let waits = text("waiting for its next start, after a pause of 2m40s (CrashLoopBackOff)");
        assert_eq!(now(&status(false, &back_off), "False"), (State::Waiting, false, Some(at(5)), waits));
        let image = json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}});
        assert_eq!(now(&status(false, &image), "False").3, "waiting (ErrImagePull): not found");
        let ended = json!({"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": at(8)}});
        let completed = (State::Ended, false, Some(at(8)), text("ended with exit code 0, Completed"));
        assert_eq!(now(&status(false, &ended), "False"), completed);
    }

    #[test]
    fn a_pod_without_the_container_stands_as_a_whole() {
        let whole = told(&[(Verb::Apply, pod("db-0", "1", &running(false), "False"))], None);
        assert_eq!(whole.3, "running and not ready");
        assert_eq!(standing(&[], "1", None), None, "it was never seen");
    }

    #[test]
    fn of_a_node_that_is_not_heard_nothing_is_known_of_its_pods() {
        let mut on_node = pod("db-0", "1", &running(true), "False");
        on_node["spec"]["nodeName"] = json!("n1");
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "n", "resourceVersion": "1"},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown", "lastTransitionTime": at(9)}]}});
        let mut replay = Replay::new(wiring::core(&ConfigFile::default().validate().unwrap()));
        for (resource, object) in [(Resource::Nodes, node), (Resource::Pods, on_node)] {
            let body = slim(resource, object.to_string().as_bytes()).unwrap();
            replay.feed(envelope(resource, Verb::Apply, at(10), body));
        }
        let whom = Whom { namespace: "shop", pod: "db-0", pod_uid: Some("1"), container: Some("db") };
        let now = of(&replay.snapshot().scoped(&Access::All), &whom, at(100)).unwrap();
        assert_eq!((now.ready, now.since), (false, Some(at(9))));
        assert_eq!(now.text, "its node n1 is not heard: whether it runs is not known");
        let mut leaving = pod("db-0", "1", &running(true), "True");
        leaving["metadata"]["deletionTimestamp"] = json!(at(9));
        let leaving = told(&[(Verb::Apply, leaving)], Some("db"));
        assert_eq!((leaving.1, leaving.3.as_str()), (false, "running, its pod is being deleted"));
    }

    #[test]
    fn of_a_pod_that_is_gone_it_says_what_there_is_instead() {
        let gone = |uid: &str| {
            let gone = pod("db-0", uid, &running(true), "True");
            [(Verb::Apply, gone.clone()), (Verb::Delete, gone)]
        };
        let with = |others: Vec<Value>| {
            let others = others.into_iter().map(|pod| (Verb::Apply, pod));
            told(&gone("1").into_iter().chain(others).collect::<Vec<_>>(), Some("db"))
        };
        let alone = with(Vec::new());
        let none = "the pod is gone, and StatefulSet/db has no other".to_owned();
        assert_eq!(alone, (State::Gone, false, Some(at(11)), none));
        let again = with(vec![pod("db-0", "2", &running(true), "True")]);
        assert_eq!(again.3, "the pod is gone, and another of its name is there: running and ready");
        assert!(again.1);
        let two = vec![pod("db-1", "2", &running(true), "True"), pod("db-2", "3", &running(false), "False")];
        let others = with(two);
        assert_eq!(others.3, "the pod is gone, and StatefulSet/db has 2 others, 1 of them ready");
        assert!(!others.1);
    }
}
