//! The fields that the API server lets nobody change: an upgrade that tries to is refused as a whole.
//! After `ValidateDeploymentUpdate`, `ValidateStatefulSetUpdate`, `ValidatePersistentVolumeClaimUpdate`,
//! `ValidateServiceUpdate` and `ValidateStorageClassUpdate` of Kubernetes.

use serde_json::{Map, Value};

use crate::object::Object;

/// What of a StatefulSet's spec may change; everything else may not.
const STATEFULSET_MUTABLE: &[&str] = &[
    "replicas",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "minReadySeconds",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
];
/// The same of a claim's; its size may grow.
const CLAIM_MUTABLE: &[&str] = &["resources", "volumeAttributesClassName"];
/// What of a storage class may not change.
const CLASS_IMMUTABLE: &[&str] = &[
    "provisioner",
    "parameters",
    "reclaimPolicy",
    "volumeBindingMode",
];

/// The immutable fields that differ between objects of the same kind and name.
pub fn changes(before: &[Object], after: &[Object]) -> Vec<String> {
    let mut found = Vec::new();
    for old in before {
        let Some(new) = after.iter().find(|new| new.id() == old.id()) else {
            continue;
        };
        let fields = immutable(&old.value);
        for (field, is) in &fields {
            let becomes = immutable(&new.value)
                .get(field)
                .cloned()
                .unwrap_or(Value::Null);
            if becomes != *is {
                found.push(format!("{}: {field}: {is} -> {becomes}", old.id()));
            }
        }
        for (field, becomes) in immutable(&new.value) {
            if !fields.contains_key(&field) {
                found.push(format!("{}: {field}: absent -> {becomes}", old.id()));
            }
        }
        if size(&new.value) < size(&old.value) {
            found.push(format!(
                "{}: spec.resources.requests.storage shrinks",
                old.id()
            ));
        }
    }
    found
}

/// The immutable part of an object.
fn immutable(object: &Value) -> Map<String, Value> {
    let spec = &object["spec"];
    let all_but = |mutable: &[&str]| -> Map<String, Value> {
        let fields = spec.as_object().into_iter().flatten();
        fields
            .filter(|(key, _)| !mutable.contains(&key.as_str()))
            .map(|(key, value)| (format!("spec.{key}"), value.clone()))
            .collect()
    };
    let only = |parent: &Value, keys: &[&str]| -> Map<String, Value> {
        let field = |key: &&str| Some(((*key).to_owned(), parent.get(*key)?.clone()));
        keys.iter().filter_map(field).collect()
    };
    match object["kind"].as_str().unwrap_or_default() {
        "Deployment" => only(spec, &["selector"]),
        "StatefulSet" => all_but(STATEFULSET_MUTABLE),
        "PersistentVolumeClaim" => all_but(CLAIM_MUTABLE),
        "StorageClass" => only(object, CLASS_IMMUTABLE),
        // Headless or not; and a load balancer's class, as long as it is one.
        "Service" if spec["type"] == "LoadBalancer" => only(spec, &["loadBalancerClass"]),
        "Service" => only(spec, &["clusterIP"]),
        "Secret" => only(object, &["type", "immutable"]),
        "ConfigMap" => only(object, &["immutable"]),
        _ => Map::new(),
    }
}

/// Bytes of a claim.
fn size(object: &Value) -> u64 {
    let text = object["spec"]["resources"]["requests"]["storage"]
        .as_str()
        .unwrap_or("0");
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit: u64 = match &text[digits.len()..] {
        "Gi" => 1 << 30,
        "Mi" => 1 << 20,
        "Ti" => 1 << 40,
        "" => 1,
        other => panic!("no case has the unit {other}"),
    };
    digits.parse::<u64>().expect("a whole number") * unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects(value: Value) -> Vec<Object> {
        let (source, text) = (String::new(), String::new());
        vec![Object {
            source,
            text,
            value,
        }]
    }

    #[test]
    fn each_rule_can_fail() {
        let of = |kind: &str, spec: Value| json!({"kind": kind, "metadata": {"name": "a"}, "spec": spec});
        let class = |mode: &str| json!({"kind": "StorageClass", "metadata": {"name": "a"}, "volumeBindingMode": mode});
        let storage = |size: &str| json!({"resources": {"requests": {"storage": size}}});
        for (before, after, count) in [
            (
                of("Deployment", json!({"selector": 1})),
                of("Deployment", json!({"selector": 2})),
                1,
            ),
            (
                of("Deployment", json!({"selector": 1, "replicas": 1})),
                of("Deployment", json!({"selector": 1, "replicas": 0})),
                0,
            ),
            (
                of("StatefulSet", json!({"serviceName": "a"})),
                of("StatefulSet", json!({"serviceName": "b"})),
                1,
            ),
            (
                of("StatefulSet", json!({})),
                of("StatefulSet", json!({"volumeClaimTemplates": []})),
                1,
            ),
            (
                of("StatefulSet", json!({"template": 1})),
                of("StatefulSet", json!({"template": 2})),
                0,
            ),
            (
                of(
                    "PersistentVolumeClaim",
                    json!({"accessModes": ["ReadWriteOnce"]}),
                ),
                of(
                    "PersistentVolumeClaim",
                    json!({"accessModes": ["ReadWriteMany"]}),
                ),
                1,
            ),
            (
                of("PersistentVolumeClaim", storage("8Gi")),
                of("PersistentVolumeClaim", storage("9Gi")),
                0,
            ),
            (
                of("PersistentVolumeClaim", storage("8Gi")),
                of("PersistentVolumeClaim", storage("4Gi")),
                1,
            ),
            (
                of("Service", json!({"clusterIP": "None"})),
                of("Service", json!({})),
                1,
            ),
            (
                of(
                    "Service",
                    json!({"type": "LoadBalancer", "loadBalancerClass": "a"}),
                ),
                of(
                    "Service",
                    json!({"type": "LoadBalancer", "loadBalancerClass": "b"}),
                ),
                1,
            ),
            (
                of("Service", json!({"type": "ClusterIP"})),
                of("Service", json!({"type": "LoadBalancer"})),
                0,
            ),
            (class("Immediate"), class("WaitForFirstConsumer"), 1),
            (
                json!({"kind": "Secret", "metadata": {"name": "a"}, "type": "Opaque"}),
                json!({"kind": "Secret", "metadata": {"name": "a"}, "type": "b"}),
                1,
            ),
        ] {
            let found = changes(&objects(before), &objects(after));
            assert_eq!(found.len(), count, "{found:?}");
        }
    }
}
