//! Service meshes: their redirects of inbound connections are set up before their proxies run and before the
//! engine does, so that a probe of the supervisor would wait for a proxy which waits for the supervisor.
//! Annotations keep the supervisor's ports out of the redirects: those of Istio and Linkerd always, because a
//! whole namespace may belong to such a mesh and nothing else reads them; those of the other meshes where the
//! pod names its mesh.

use super::names::{HTTP_PORT, LIVEZ_PORT};
use super::workload::Workload;

/// A service mesh: the marks of a pod that is in it, and the annotation that keeps ports out of it.
struct Mesh {
    name: &'static str,
    /// The annotations or labels of a pod that is in the mesh, with the values that mean yes.
    says: &'static [(&'static str, &'static str)],
    /// The annotation with the ports that are not redirected.
    ports: &'static str,
}

/// The meshes that are known. The annotations of the first two are added to every pod.
const MESHES: [Mesh; 5] = [
    Mesh {
        name: "Istio",
        says: &[("sidecar.istio.io/inject", "true")],
        ports: "traffic.sidecar.istio.io/excludeInboundPorts",
    },
    Mesh {
        name: "Linkerd",
        says: &[
            ("linkerd.io/inject", "enabled"),
            ("linkerd.io/inject", "ingress"),
        ],
        ports: "config.linkerd.io/skip-inbound-ports",
    },
    Mesh {
        name: "Consul",
        says: &[("consul.hashicorp.com/connect-inject", "true")],
        ports: "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports",
    },
    Mesh {
        name: "Kuma",
        says: &[
            ("kuma.io/sidecar-injection", "enabled"),
            ("kuma.io/sidecar-injection", "true"),
        ],
        ports: "traffic.kuma.io/exclude-inbound-ports",
    },
    Mesh {
        name: "Open Service Mesh",
        says: &[
            ("openservicemesh.io/sidecar-injection", "enabled"),
            ("openservicemesh.io/sidecar-injection", "true"),
        ],
        ports: "openservicemesh.io/inbound-port-exclusion-list",
    },
];
/// The number of meshes whose annotation is added to every pod.
const ALWAYS: usize = 2;

/// Returns the annotations that this pod gets.
#[must_use]
pub fn annotations(workload: &Workload<'_>) -> Vec<&'static str> {
    let always = MESHES.iter().take(ALWAYS);
    let named = MESHES
        .iter()
        .skip(ALWAYS)
        .filter(|mesh| is_in(workload, mesh));
    always.chain(named).map(|mesh| mesh.ports).collect()
}

fn is_in(workload: &Workload<'_>, mesh: &Mesh) -> bool {
    mesh.says.iter().any(|(key, value)| {
        let found = workload.annotation(key).or_else(|| workload.label(key));
        found == Some(*value)
    })
}

/// Returns the ports that the kubelet and Prometheus ask.
#[must_use]
pub fn ports(launch: bool) -> Vec<u16> {
    match launch {
        true => vec![HTTP_PORT, LIVEZ_PORT],
        false => vec![HTTP_PORT],
    }
}

/// Returns the value of an annotation with these ports added to the ones that are there.
#[must_use]
pub fn with_ports(before: Option<&str>, ports: &[u16]) -> String {
    let before: Vec<_> = before
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect();
    let has = |port: u16| {
        before.iter().any(|item| match item.split_once('-') {
            Some((low, high)) => {
                let bounds = (low.trim().parse::<u16>(), high.trim().parse::<u16>());
                matches!(bounds, (Ok(low), Ok(high)) if (low..=high).contains(&port))
            }
            None => item.parse() == Ok(port),
        })
    };
    let missing = ports.iter().filter(|port| !has(**port));
    let missing: Vec<_> = missing.map(u16::to_string).collect();
    let all = before
        .iter()
        .copied()
        .chain(missing.iter().map(String::as_str));
    all.collect::<Vec<_>>().join(",")
}

/// Returns the mesh that the pod's labels and annotations name; one that is set for the whole namespace is
/// not seen.
#[must_use]
pub fn named(workload: &Workload<'_>) -> Option<&'static str> {
    let mut meshes = MESHES.iter();
    let named = meshes.find(|mesh| is_in(workload, mesh));
    let by_proxy = || {
        workload
            .has_annotation("proxy.istio.io/")
            .then_some(MESHES[0].name)
    };
    named.map(|mesh| mesh.name).or_else(by_proxy)
}

#[cfg(test)]
mod tests {
    use super::with_ports;

    #[test]
    fn ports_are_added_once() {
        for (before, after) in [
            (None, "9433,9434"),
            (Some(""), "9433,9434"),
            (Some("5022"), "5022,9433,9434"),
            (Some("5022, 9433"), "5022,9433,9434"),
            (Some("9000-9500"), "9000-9500"),
            (Some("9433,9434"), "9433,9434"),
            (Some("x"), "x,9433,9434"),
        ] {
            assert_eq!(with_ports(before, &[9433, 9434]), after, "{before:?}");
        }
    }
}
