//! The Pod Security Standard `restricted`, control by control, as of Kubernetes 1.37
//! (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>), and on top of it that no
//! container has a capability but [`EXCEPTION`].

use k8s_openapi::api::core::v1::{Container, PodSpec, SecurityContext, Volume};
use serde_json::Value;

/// The one capability, and the container that has it: sqlservr carries it as a file capability, and the
/// kernel runs no such file without it in the bounding set. `restricted` allows it.
const EXCEPTION: (&str, &str) = ("sql", "NET_BIND_SERVICE");

/// What `restricted` would not admit.
pub fn mistakes(pod: &Value) -> Vec<String> {
    let spec: PodSpec = match serde_json::from_value(pod["spec"].clone()) {
        Ok(spec) => spec,
        Err(error) => return vec![error.to_string()],
    };
    let mut found = Vec::new();
    of_pod(&spec, &mut found);
    let init = spec.init_containers.iter().flatten();
    for container in init.chain(&spec.containers) {
        let mut of_this = Vec::new();
        of_container(container, &spec, &mut of_this);
        found.extend(
            of_this
                .iter()
                .map(|what| format!("container {}: {what}", container.name)),
        );
    }
    found
}

fn of_pod(spec: &PodSpec, found: &mut Vec<String>) {
    for (name, is) in [
        ("hostNetwork", spec.host_network),
        ("hostPID", spec.host_pid),
        ("hostIPC", spec.host_ipc),
    ] {
        if is == Some(true) {
            found.push(format!("{name} is true"));
        }
    }
    for volume in spec
        .volumes
        .iter()
        .flatten()
        .filter(|volume| !allowed(volume))
    {
        found.push(format!(
            "volume {} is of a kind that is not allowed",
            volume.name
        ));
    }
    let Some(context) = &spec.security_context else {
        return;
    };
    if context.sysctls.iter().flatten().next().is_some() {
        found.push("sysctls are set".to_owned());
    }
    if context.se_linux_options.is_some() || context.windows_options.is_some() {
        found.push("seLinuxOptions or windowsOptions are set".to_owned());
    }
    if context
        .supplemental_groups
        .iter()
        .flatten()
        .any(|group| *group == 0)
    {
        found.push("supplementalGroups hold root".to_owned());
    }
}

fn allowed(volume: &Volume) -> bool {
    let kinds = [
        volume.config_map.is_some(),
        volume.csi.is_some(),
        volume.downward_api.is_some(),
        volume.empty_dir.is_some(),
        volume.ephemeral.is_some(),
        volume.persistent_volume_claim.is_some(),
        volume.projected.is_some(),
        volume.secret.is_some(),
    ];
    kinds.iter().filter(|is| **is).count() == 1
}

fn of_container(container: &Container, spec: &PodSpec, found: &mut Vec<String>) {
    let empty = SecurityContext::default();
    let own = container.security_context.as_ref().unwrap_or(&empty);
    let pod = spec.security_context.as_ref();
    if own.privileged == Some(true) {
        found.push("is privileged".to_owned());
    }
    if own.allow_privilege_escalation != Some(false) {
        found.push("allowPrivilegeEscalation is not false".to_owned());
    }
    capabilities(container, own, found);
    let non_root = own
        .run_as_non_root
        .or(pod.and_then(|pod| pod.run_as_non_root));
    if non_root != Some(true) {
        found.push("runAsNonRoot is not true".to_owned());
    }
    let user = own.run_as_user.or(pod.and_then(|pod| pod.run_as_user));
    if user.is_none_or(|user| user == 0) {
        // The images name their user, which runAsNonRoot alone does not take.
        found.push("runAsUser is root's or not a number".to_owned());
    }
    let profile = own.seccomp_profile.as_ref();
    let profile = profile.or(pod.and_then(|pod| pod.seccomp_profile.as_ref()));
    if !profile.is_some_and(|profile| ["RuntimeDefault", "Localhost"].contains(&&*profile.type_)) {
        found.push("seccompProfile is neither RuntimeDefault nor Localhost".to_owned());
    }
    if own
        .proc_mount
        .as_deref()
        .is_some_and(|mount| mount != "Default")
    {
        found.push("procMount is not Default".to_owned());
    }
    if own.se_linux_options.is_some() || own.windows_options.is_some() {
        found.push("seLinuxOptions or windowsOptions are set".to_owned());
    }
    if container
        .ports
        .iter()
        .flatten()
        .any(|port| port.host_port.unwrap_or(0) != 0)
    {
        found.push("a hostPort is set".to_owned());
    }
    let probes = [
        &container.startup_probe,
        &container.liveness_probe,
        &container.readiness_probe,
    ];
    let actions = probes
        .into_iter()
        .flatten()
        .filter_map(|probe| probe.http_get.as_ref());
    if actions.into_iter().any(|action| action.host.is_some()) {
        found.push("a probe names a host".to_owned());
    }
}

fn capabilities(container: &Container, own: &SecurityContext, found: &mut Vec<String>) {
    let capabilities = own.capabilities.clone().unwrap_or_default();
    if !capabilities.drop.iter().flatten().any(|one| one == "ALL") {
        found.push("does not drop ALL capabilities".to_owned());
    }
    for added in capabilities.add.iter().flatten() {
        if (&*container.name, &**added) != EXCEPTION {
            found.push(format!("adds the capability {added}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sound() -> Value {
        json!({"spec": {
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "a", "emptyDir": {}}],
            "containers": [{"name": "sql", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}}],
        }})
    }

    #[test]
    fn each_control_can_fail() {
        assert!(mistakes(&sound()).is_empty());
        let container = "/spec/containers/0";
        let cases = [
            ("/spec/hostNetwork", json!(true)),
            ("/spec/hostPID", json!(true)),
            ("/spec/hostIPC", json!(true)),
            (
                "/spec/volumes/0",
                json!({"name": "a", "hostPath": {"path": "/"}}),
            ),
            ("/spec/securityContext/runAsNonRoot", json!(false)),
            ("/spec/securityContext/runAsUser", json!(0)),
            (
                "/spec/securityContext/seccompProfile/type",
                json!("Unconfined"),
            ),
            (
                "/spec/securityContext/sysctls",
                json!([{"name": "a", "value": "b"}]),
            ),
            ("/spec/securityContext/seLinuxOptions", json!({"user": "a"})),
            ("/spec/securityContext/supplementalGroups", json!([0])),
            ("CONTAINER/name", json!("other")),
            ("CONTAINER/securityContext/privileged", json!(true)),
            (
                "CONTAINER/securityContext/allowPrivilegeEscalation",
                json!(true),
            ),
            ("CONTAINER/securityContext/procMount", json!("Unmasked")),
            ("CONTAINER/securityContext/capabilities/drop", json!([])),
            (
                "CONTAINER/securityContext/capabilities/add",
                json!(["SYS_PTRACE"]),
            ),
            (
                "CONTAINER/ports",
                json!([{"containerPort": 1, "hostPort": 1}]),
            ),
            (
                "CONTAINER/livenessProbe",
                json!({"httpGet": {"port": 1, "host": "127.0.0.1"}}),
            ),
        ];
        for (pointer, value) in cases {
            let pointer = pointer.replace("CONTAINER", container);
            let (parent, key) = pointer.rsplit_once('/').expect("it has a slash");
            let mut pod = sound();
            let parent = pod.pointer_mut(parent).expect("it is there");
            match parent {
                Value::Array(items) => items[0] = value,
                parent => parent[key] = value,
            }
            assert_eq!(mistakes(&pod).len(), 1, "{pointer}");
        }
    }
}
