//! Service meshes: their redirects of inbound connections stand before their proxies run and before the engine
//! does, so that a probe of the supervisor would wait for a proxy which waits for it. Two annotations keep the
//! supervisor's ports out of them; without a mesh nobody reads them.

use super::names::{HTTP_PORT, LIVEZ_PORT};
use super::workload::Workload;

/// The annotations: of Istio, and of Linkerd.
pub const ANNOTATIONS: [&str; 2] = [
    "traffic.sidecar.istio.io/excludeInboundPorts",
    "config.linkerd.io/skip-inbound-ports",
];

/// The ports that the kubelet and Prometheus ask.
#[must_use]
pub fn ports(launch: bool) -> Vec<u16> {
    match launch {
        true => vec![HTTP_PORT, LIVEZ_PORT],
        false => vec![HTTP_PORT],
    }
}

/// The value of an annotation with these ports in it: what is there stays.
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

/// The mesh that the pod's labels and annotations name; one that is set for the whole namespace is not seen.
#[must_use]
pub fn named(workload: &Workload<'_>) -> Option<&'static str> {
    let says = |key: &str, value: &str| {
        let found = workload.annotation(key).or_else(|| workload.label(key));
        found.is_some_and(|found| found == value)
    };
    if says("sidecar.istio.io/inject", "true") || workload.has_annotation("proxy.istio.io/") {
        return Some("Istio");
    }
    let linkerd = says("linkerd.io/inject", "enabled") || says("linkerd.io/inject", "ingress");
    linkerd.then_some("Linkerd")
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
