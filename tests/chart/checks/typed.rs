//! Each object is what the typed Kubernetes API takes, and nothing beside: what is read into its type
//! and written again is the same.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, ReplicationController, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::api::storage::v1::StorageClass;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::monitoring::{PodMonitor, PrometheusRule, ServiceMonitor};
use crate::object::Object;

/// What the API would not take.
pub fn mistakes(object: &Object) -> Vec<String> {
    let value = &object.value;
    match (value["apiVersion"].as_str(), object.kind()) {
        (Some("apps/v1"), "Deployment") => round_trip::<Deployment>(value),
        (Some("apps/v1"), "StatefulSet") => round_trip::<StatefulSet>(value),
        (Some("apps/v1"), "ReplicaSet") => round_trip::<ReplicaSet>(value),
        (Some("v1"), "ReplicationController") => round_trip::<ReplicationController>(value),
        (Some("v1"), "ConfigMap") => round_trip::<ConfigMap>(value),
        (Some("v1"), "PersistentVolumeClaim") => round_trip::<PersistentVolumeClaim>(value),
        (Some("v1"), "Pod") => round_trip::<Pod>(value),
        (Some("v1"), "Secret") => round_trip::<Secret>(value),
        (Some("v1"), "Service") => round_trip::<Service>(value),
        (Some("v1"), "ServiceAccount") => round_trip::<ServiceAccount>(value),
        (Some("networking.k8s.io/v1"), "NetworkPolicy") => round_trip::<NetworkPolicy>(value),
        (Some("policy/v1"), "PodDisruptionBudget") => round_trip::<PodDisruptionBudget>(value),
        (Some("rbac.authorization.k8s.io/v1"), "Role") => round_trip::<Role>(value),
        (Some("rbac.authorization.k8s.io/v1"), "RoleBinding") => round_trip::<RoleBinding>(value),
        (Some("storage.k8s.io/v1"), "StorageClass") => round_trip::<StorageClass>(value),
        (Some("monitoring.coreos.com/v1"), "PodMonitor") => round_trip::<PodMonitor>(value),
        (Some("monitoring.coreos.com/v1"), "ServiceMonitor") => round_trip::<ServiceMonitor>(value),
        (Some("monitoring.coreos.com/v1"), "PrometheusRule") => round_trip::<PrometheusRule>(value),
        (version, kind) => vec![format!("{version:?} {kind} is no type that is known here")],
    }
}

fn round_trip<T: Serialize + DeserializeOwned>(value: &Value) -> Vec<String> {
    let typed: T = match serde_json::from_value(value.clone()) {
        Ok(typed) => typed,
        Err(error) => return vec![error.to_string()],
    };
    let back = serde_json::to_value(&typed).expect("a type of the API can be written");
    let mut differences = Vec::new();
    compare("", value, &back, &mut differences);
    differences
}

/// Where what came back is not what was given.
fn compare(path: &str, given: &Value, back: &Value, found: &mut Vec<String>) {
    match (given, back) {
        (Value::Object(given), Value::Object(back)) => {
            for (key, value) in given {
                let path = format!("{path}.{key}");
                match back.get(key) {
                    Some(back) => compare(&path, value, back, found),
                    None => found.push(format!("{path} is no field of the API, or null")),
                }
            }
        }
        (Value::Array(given), Value::Array(back)) if given.len() == back.len() => {
            for (index, (given, back)) in given.iter().zip(back).enumerate() {
                compare(&format!("{path}[{index}]"), given, back, found);
            }
        }
        (given, back) if given == back => {}
        (given, back) => found.push(format!("{path}: {given} became {back}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Vec<String> {
        let (source, text) = (String::new(), String::new());
        mistakes(&Object {
            source,
            text,
            value,
        })
    }

    #[test]
    fn what_the_api_does_not_know_is_found() {
        let service = |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "spec": spec});
        assert!(of(service(json!({"type": "ClusterIP"}))).is_empty());
        let unknown = of(service(json!({"typ": "ClusterIP"})));
        assert_eq!(unknown, [".spec.typ is no field of the API, or null"]);
        let null = of(service(json!({"type": null})));
        assert_eq!(null, [".spec.type is no field of the API, or null"]);
        assert_eq!(of(service(json!({"ports": [{"port": "sql"}]}))).len(), 1);
        assert_eq!(of(json!({"apiVersion": "v2", "kind": "Service"})).len(), 1);
        let monitor = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor",
            "metadata": {"name": "a"}, "spec": {"selector": {}, "podMetricsEndpoints": [{"prt": "a"}]}});
        assert!(of(monitor)[0].contains("unknown field `prt`"));
    }
}
