//! A service mesh: an init container redirects what comes into the pod to the mesh's proxy, but for the ports of the
//! annotation that `inject` adds. A question of the kubelet that is redirected reaches the proxy, and not who answers it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::images::{CLIENT, IPTABLES};
use crate::namespace::Namespace;
use crate::pods::{ready, running};
use crate::release::PATIENCE;
use crate::table;

use super::injected;

pub const NAME: &str = "mesh";
/// Istio's annotation; Linkerd's has the same value.
const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
/// Istio's port for what comes in.
const PROXY: u16 = 15006;
/// Several times what the pod with the annotation takes.
const WAITED: Duration = Duration::from_secs(20);

/// The Deployment as a mesh's webhook would change it.
fn meshed(manifest: &str, excluded: bool) -> Value {
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(manifest).expect("YAML");
    let is = |document: &&mut Value| document["kind"] == "Deployment";
    let deployment = documents.iter_mut().find(is).expect("a Deployment");
    let template = &mut deployment["spec"]["template"];
    let annotation = &template["metadata"]["annotations"][EXCLUDED];
    let ports = annotation.as_str().expect("inject adds it").to_owned();
    let mut rules = String::new();
    for port in ports.split(',').filter(|_| excluded) {
        rules += &format!("iptables -t nat -A PREROUTING -p tcp --dport {port} -j RETURN && ");
    }
    rules += &format!("iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports {PROXY}");
    let redirect = json!({
        "name": "redirect", "image": IPTABLES, "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", rules],
        "securityContext": {"runAsUser": 0, "runAsNonRoot": false, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
    });
    // It understands TDS alone: a question over HTTP that comes to it gets no answer, as from a proxy that insists on
    // the mesh's own certificates.
    let proxy = json!({
        "name": "proxy", "image": CLIENT, "imagePullPolicy": "Never",
        "args": ["forward", format!("0.0.0.0:{PROXY}")],
    });
    let spec = &mut template["spec"];
    let first = spec["initContainers"].as_array_mut().expect("the sidecar");
    first.insert(0, redirect);
    let containers = spec["containers"].as_array_mut().expect("containers");
    containers.push(proxy);
    json!({"apiVersion": "v1", "kind": "List", "items": documents})
}

pub fn run() {
    let manifest = injected::manifest(None);
    let namespace = Namespace::new(NAME);
    injected::secret(&namespace);
    let began = Instant::now();
    namespace.apply(&meshed(&manifest, true));
    namespace.pods.until("a ready pod", PATIENCE, |pods| {
        pods.iter().any(|pod| ready(pod)).then_some(())
    });
    table::time(
        NAME,
        "inbound ports redirected by an init container, applied until ready",
        began.elapsed(),
    );
    let client = Client::start(&namespace, "sqledge-deployment:1433");
    client.writes_and_lost_nothing();

    // The same without the annotation, or the redirect would not be one.
    let other = Namespace::new("mesh-all");
    injected::secret(&other);
    other.apply(&meshed(&manifest, false));
    other
        .pods
        .until("the engine's container runs", PATIENCE, |pods| {
            pods.iter()
                .find_map(|pod| running(pod, injected::CONTAINER))
        });
    std::thread::sleep(WAITED);
    let passed = other
        .pods
        .until("its pod", 1, |pods| Some(pods.iter().any(|pod| ready(pod))));
    assert!(!passed, "the redirect redirects nothing");
    table::note(
        NAME,
        "the same without the annotation",
        &format!("not ready within {} s", WAITED.as_secs()),
    );
}
