//! The objects of a release fit together: what one names, another one is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::{Object, containers, environment};

/// Secrets, ConfigMaps and claims whose name begins like that are the user's, not the chart's.
pub const FOREIGN: &str = "my-";

/// What refers to nothing, or to the wrong thing.
pub fn mistakes(objects: &[Object]) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for object in objects {
        if !seen.insert(object.id()) {
            found.push(format!("{} stands there twice", object.id()));
        }
    }
    for object in objects {
        let Some(pod) = object.pod() else { continue };
        let mut of_pod = Vec::new();
        names(pod, &mut of_pod);
        mounts(pod, &mut of_pod);
        references(pod, objects, &mut of_pod);
        found.extend(of_pod.iter().map(|what| format!("{}: {what}", object.id())));
    }
    selectors(objects, &mut found);
    ports(objects, &mut found);
    found
}

fn texts<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item[key].as_str()).collect()
}

fn unique(what: &str, names: &[&str], found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            found.push(format!("{what} {name} stands there twice"));
        }
    }
}

/// Names that have to be unique.
fn names(pod: &Value, found: &mut Vec<String>) {
    let all = containers(pod);
    let of = |key: &str| -> Vec<&str> { all.iter().filter_map(|c| c[key].as_str()).collect() };
    unique("container", &of("name"), found);
    unique("volume", &texts(&pod["spec"]["volumes"], "name"), found);
    let ports: Vec<String> = all
        .iter()
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .map(|port| port["containerPort"].to_string())
        .collect();
    unique(
        "port",
        &ports.iter().map(String::as_str).collect::<Vec<_>>(),
        found,
    );
    for container in &all {
        let names: Vec<_> = environment(container)
            .iter()
            .map(|(name, _)| *name)
            .collect();
        unique("variable", &names, found);
        unique(
            "mount",
            &texts(&container["volumeMounts"], "mountPath"),
            found,
        );
    }
}

/// Each mount has its volume, and each volume is mounted.
fn mounts(pod: &Value, found: &mut Vec<String>) {
    let volumes: BTreeSet<_> = texts(&pod["spec"]["volumes"], "name").into_iter().collect();
    let mounted: BTreeSet<_> = containers(pod)
        .iter()
        .flat_map(|container| texts(&container["volumeMounts"], "name"))
        .collect();
    for name in mounted.symmetric_difference(&volumes) {
        found.push(format!("volume {name} is not both declared and mounted"));
    }
}

/// What the pod names is rendered too, or is the user's.
fn references(pod: &Value, objects: &[Object], found: &mut Vec<String>) {
    let mut named = Vec::new();
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        for (kind, name, items) in [
            (
                "Secret",
                &volume["secret"]["secretName"],
                &volume["secret"]["items"],
            ),
            (
                "ConfigMap",
                &volume["configMap"]["name"],
                &volume["configMap"]["items"],
            ),
            (
                "PersistentVolumeClaim",
                &volume["persistentVolumeClaim"]["claimName"],
                &Value::Null,
            ),
        ] {
            let keys = texts(items, "key");
            named.extend(name.as_str().map(|name| (kind, name, keys)));
        }
    }
    for container in containers(pod) {
        for variable in container["env"].as_array().into_iter().flatten() {
            let secret = &variable["valueFrom"]["secretKeyRef"];
            let key = secret["key"].as_str().into_iter().collect();
            named.extend(secret["name"].as_str().map(|name| ("Secret", name, key)));
        }
    }
    let account = pod["spec"]["serviceAccountName"].as_str();
    let account = account.filter(|name| *name != "default");
    named.extend(account.map(|name| ("ServiceAccount", name, Vec::new())));
    for (kind, name, keys) in named {
        if name.starts_with(FOREIGN) {
            continue;
        }
        let there = objects
            .iter()
            .find(|o| o.kind() == kind && o.name() == name);
        let Some(there) = there else {
            found.push(format!("{kind}/{name} is named and not rendered"));
            continue;
        };
        for key in keys {
            if there.value["data"].get(key).is_none() {
                found.push(format!("{kind}/{name} has no key {key}"));
            }
        }
    }
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().into_iter().flatten();
    wanted
        .into_iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// Every selector selects the engine's pod and not the test's, and a ServiceMonitor one Service.
fn selectors(objects: &[Object], found: &mut Vec<String>) {
    let pod = crate::object::pod(objects);
    let test = objects.iter().find(|object| object.kind() == "Pod");
    for object in objects {
        let spec = &object.value["spec"];
        let selector = match object.kind() {
            "Deployment" | "StatefulSet" | "PodDisruptionBudget" | "PodMonitor" => {
                &spec["selector"]["matchLabels"]
            }
            "Service" => &spec["selector"],
            "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
            "ServiceMonitor" => {
                let services = objects.iter().filter(|other| {
                    let labels = &other.value["metadata"]["labels"];
                    other.kind() == "Service" && selects(&spec["selector"]["matchLabels"], labels)
                });
                if services.count() != 1 {
                    found.push(format!("{} does not select one Service", object.id()));
                }
                continue;
            }
            _ => continue,
        };
        if selector.is_null() || !selects(selector, &pod["metadata"]["labels"]) {
            found.push(format!("{} does not select the engine's pod", object.id()));
        }
        if test.is_some_and(|test| selects(selector, &test.value["metadata"]["labels"])) {
            found.push(format!("{} selects the test's pod", object.id()));
        }
    }
}

/// Every port that is named or asked is one that a container declares.
fn ports(objects: &[Object], found: &mut Vec<String>) {
    let pod = crate::object::pod(objects);
    let declared: Vec<_> = containers(pod)
        .iter()
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .collect();
    let known = |port: &Value| {
        declared
            .iter()
            .any(|is| is["name"] == *port || is["containerPort"] == *port)
    };
    for container in containers(pod) {
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let port = &container[probe]["httpGet"]["port"];
            if !port.is_null() && !known(port) {
                found.push(format!("{probe} of {} asks port {port}", container["name"]));
            }
        }
    }
    for object in objects {
        let spec = &object.value["spec"];
        let (list, key) = match object.kind() {
            "Service" => (&spec["ports"], "targetPort"),
            "PodMonitor" => (&spec["podMetricsEndpoints"], "port"),
            "NetworkPolicy" => {
                for rule in spec["ingress"].as_array().into_iter().flatten() {
                    for port in rule["ports"].as_array().into_iter().flatten() {
                        if !known(&port["port"]) {
                            found.push(format!("{} opens {}", object.id(), port["port"]));
                        }
                    }
                }
                continue;
            }
            _ => continue,
        };
        for port in list.as_array().into_iter().flatten() {
            if !known(&port[key]) {
                found.push(format!("{} leads to {}", object.id(), port[key]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helm::{NEWEST, render};
    use serde_json::json;

    /// The object of that kind, and where in it what becomes which value.
    const SPOILT: &[(&str, &str, &str)] = &[
        ("Deployment", "/spec/template/metadata/labels", "{}"),
        ("Deployment", "/spec/template/spec/volumes/0/name", "other"),
        (
            "Deployment",
            "/spec/template/spec/volumes/1/name",
            "sqldata",
        ),
        (
            "Deployment",
            "/spec/template/spec/volumes/0/persistentVolumeClaim/claimName",
            "other",
        ),
        (
            "Deployment",
            "/spec/template/spec/volumes/3/secret/items/0/key",
            "other",
        ),
        (
            "Deployment",
            "/spec/template/spec/serviceAccountName",
            "other",
        ),
        (
            "Deployment",
            "/spec/template/spec/containers/0/env/0/name",
            "MSSQL_PID",
        ),
        (
            "Deployment",
            "/spec/template/spec/containers/0/env/2/valueFrom/secretKeyRef/name",
            "other",
        ),
        (
            "Deployment",
            "/spec/template/spec/containers/0/livenessProbe/httpGet/port",
            "9999",
        ),
        (
            "Deployment",
            "/spec/template/spec/containers/0/ports/0/containerPort",
            "9433",
        ),
        ("Service", "/spec/ports/0/targetPort", "other"),
        ("Service", "/spec/selector", "{a: b}"),
        ("PodMonitor", "/spec/podMetricsEndpoints/0/port", "other"),
        ("NetworkPolicy", "/spec/ingress/0/ports/0/port", "9999"),
        (
            "PodDisruptionBudget",
            "/spec/selector/matchLabels",
            "{a: b}",
        ),
        (
            "Pod",
            "/metadata/labels",
            "{app.kubernetes.io/name: azure-sql-edge, app.kubernetes.io/instance: sql}",
        ),
    ];

    #[test]
    fn what_does_not_fit_together_is_found() {
        let objects = render(
            NEWEST,
            "{acceptEula: true, metrics: {podMonitor: {enabled: true}}, networkPolicy: {enabled: true}, podDisruptionBudget: {enabled: true}}",
        );
        assert_eq!(mistakes(&objects), Vec::<String>::new());
        for (kind, pointer, becomes) in SPOILT {
            let mut spoilt = objects.clone();
            let object = spoilt.iter_mut().find(|object| object.kind() == *kind);
            let place = object.and_then(|object| object.value.pointer_mut(pointer));
            let place = place.unwrap_or_else(|| panic!("{kind} has no {pointer}"));
            *place = serde_saphyr::from_str(becomes).unwrap_or(json!(becomes));
            assert!(!mistakes(&spoilt).is_empty(), "{kind} {pointer} {becomes}");
        }
        for kind in ["PersistentVolumeClaim", "Secret", "ServiceAccount"] {
            let mut spoilt = objects.clone();
            spoilt.retain(|object| object.kind() != kind);
            assert!(!mistakes(&spoilt).is_empty(), "without {kind}");
        }
        let twice = [objects.clone(), objects].concat();
        assert!(!mistakes(&twice).is_empty());
    }
}
