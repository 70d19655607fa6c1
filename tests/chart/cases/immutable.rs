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

    /// Two specs of an object, and how many immutable fields differ.
    #[rustfmt::skip]
    const STEPS: &[(&str, &str, &str, usize)] = &[
        ("Deployment", "{selector: 1}", "{selector: 2}", 1),
        ("Deployment", "{selector: 1, replicas: 1}", "{selector: 1, replicas: 0}", 0),
        ("StatefulSet", "{serviceName: a}", "{serviceName: b}", 1),
        ("StatefulSet", "{}", "{volumeClaimTemplates: []}", 1),
        ("StatefulSet", "{template: 1}", "{template: 2}", 0),
        ("PersistentVolumeClaim", "{accessModes: [ReadWriteOnce]}", "{accessModes: [ReadWriteMany]}", 1),
        ("PersistentVolumeClaim", "{resources: {requests: {storage: 8Gi}}}", "{resources: {requests: {storage: 9Gi}}}", 0),
        ("PersistentVolumeClaim", "{resources: {requests: {storage: 8Gi}}}", "{resources: {requests: {storage: 4Gi}}}", 1),
        ("Service", "{clusterIP: None}", "{}", 1),
        ("Service", "{type: LoadBalancer, loadBalancerClass: a}", "{type: LoadBalancer, loadBalancerClass: b}", 1),
        ("Service", "{type: ClusterIP}", "{type: LoadBalancer}", 0),
    ];

    /// The same of objects without a spec.
    #[rustfmt::skip]
    const BARE: &[(&str, &str, &str, usize)] = &[
        ("StorageClass", "{volumeBindingMode: Immediate}", "{volumeBindingMode: WaitForFirstConsumer}", 1),
        ("StorageClass", "{allowVolumeExpansion: true}", "{allowVolumeExpansion: false}", 0),
        ("Secret", "{type: Opaque}", "{type: kubernetes.io/tls}", 1),
        ("ConfigMap", "{immutable: true}", "{immutable: false}", 1),
    ];

    fn object(kind: &str, fields: &str, under: &str) -> Vec<Object> {
        let text = match under {
            "" => fields.to_owned(),
            under => format!("{{{under}: {fields}}}"),
        };
        let mut value: Value = serde_saphyr::from_str(&text).expect("a step is YAML");
        value["kind"] = kind.into();
        value["metadata"] = serde_json::json!({"name": "a"});
        let source = String::new();
        vec![Object {
            source,
            text,
            value,
        }]
    }

    #[test]
    fn each_rule_can_fail() {
        for (steps, under) in [(STEPS, "spec"), (BARE, "")] {
            for (kind, before, after, count) in steps {
                let [before, after] = [before, after].map(|fields| object(kind, fields, under));
                let found = changes(&before, &after);
                assert_eq!(found.len(), *count, "{kind} {found:?}");
            }
        }
    }
}
