//! The obstacles that keep a workload from being changed: each is checked, with its reason, before anything
//! is planned.

use super::Request;
use super::names::{
    ADMINISTRATOR_VOLUME, GATE, HTTP_PORT, INSTALL, LIVEZ_PORT, LOGIN_VOLUME, PROGRAM_DIR,
    PROGRAM_VOLUME, RUN_DIR, RUN_VOLUME, SUPERVISOR,
};
use super::node::{Kind, Node};
use super::refusal::Why;
use super::volumes::has_claims_of_its_own;
use super::workload::{Objection, Workload};

/// Checks all obstacles that the fields of the workload show by themselves.
///
/// # Errors
/// The first obstacle that is found.
pub fn check(workload: &Workload<'_>, request: &Request) -> Result<(), Objection> {
    templates(workload)?;
    shapes(workload)?;
    replicas(workload)?;
    namespaces(workload, request)?;
    windows(workload)?;
    hooks(workload, request)?;
    names(workload)?;
    ports(workload)?;
    mounts(workload)
}

/// Refuses names that a template has yet to fill: remarks on volumes and passwords would be untrue.
fn templates(workload: &Workload<'_>) -> Result<(), Objection> {
    let sql = workload.sql();
    let parts = [
        workload.root.at(&["metadata", "name"]),
        workload.pod.get("volumes"),
        sql.get("name"),
        sql.get("image"),
        sql.get("volumeMounts"),
    ];
    let mut nodes = parts.into_iter().flatten().flat_map(Node::walk);
    match nodes.find(|node| node.text().is_some_and(|text| text.contains("{{"))) {
        Some(node) => Err(Objection::new(Why::Template, node)),
        None => Ok(()),
    }
}

/// Refuses fields that would be changed and do not have the type that Kubernetes wants there.
fn shapes(workload: &Workload<'_>) -> Result<(), Objection> {
    let (pod, sql) = (workload.pod, workload.sql());
    let lists = [
        (pod, "containers"),
        (pod, "initContainers"),
        (pod, "volumes"),
        (sql, "command"),
        (sql, "args"),
        (sql, "env"),
        (sql, "envFrom"),
        (sql, "volumeMounts"),
        (sql, "ports"),
    ];
    for (parent, key) in lists {
        is(parent, key, "a list", |node| {
            matches!(node.kind, Kind::List { .. })
        })?;
    }
    let maps = [
        (workload.root, "spec"),
        (sql, "lifecycle"),
        (sql, "startupProbe"),
        (sql, "livenessProbe"),
        (sql, "readinessProbe"),
        (sql, "securityContext"),
        (pod, "securityContext"),
        (workload.spec, "strategy"),
        (workload.holder, "metadata"),
    ];
    for (parent, key) in maps {
        is(parent, key, "a map", |node| {
            matches!(node.kind, Kind::Map { .. })
        })?;
    }
    let number = |node: &Node| node.text().is_some_and(|text| text.parse::<u64>().is_ok());
    is(
        pod,
        "terminationGracePeriodSeconds",
        "a number of seconds",
        number,
    )?;
    is(workload.spec, "replicas", "a number", number)
}

fn is(
    parent: &Node,
    key: &str,
    what: &'static str,
    right: impl Fn(&Node) -> bool,
) -> Result<(), Objection> {
    match parent.get(key) {
        Some(node) if !node.is_null() && !right(node) => {
            let text = node.text().unwrap_or_default();
            let why = match text.contains(['$', '<']) {
                true => Why::unfilled(node),
                false => Why::Shape(key.to_owned(), what),
            };
            Err(Objection::new(why, node))
        }
        _ => Ok(()),
    }
}

/// Refuses several replicas, unless each pod has claims of its own.
fn replicas(workload: &Workload<'_>) -> Result<(), Objection> {
    match workload.spec.get("replicas") {
        Some(count) if workload.replicas() > 1 && !has_claims_of_its_own(workload) => Err(
            Objection::new(Why::Replicas(workload.replicas().to_string()), count),
        ),
        _ => Ok(()),
    }
}

/// Refuses pods for nodes of Windows, which run no SQL Server on Linux.
fn windows(workload: &Workload<'_>) -> Result<(), Objection> {
    let os = workload.pod.at(&["os", "name"]);
    let selected = ["kubernetes.io/os", "beta.kubernetes.io/os"]
        .iter()
        .find_map(|key| workload.pod.at(&["nodeSelector", key]));
    let options = workload.pod.at(&["securityContext", "windowsOptions"]);
    if let Some(options) = options.filter(|options| !options.is_null()) {
        return Err(Objection::new(Why::Windows, options));
    }
    match os.or(selected) {
        Some(node)
            if node
                .text()
                .is_some_and(|os| os.eq_ignore_ascii_case("windows")) =>
        {
            Err(Objection::new(Why::Windows, node))
        }
        _ => Ok(()),
    }
}

fn namespaces(workload: &Workload<'_>, request: &Request) -> Result<(), Objection> {
    if let Some(node) = workload.pod.get("hostPID").filter(|node| node.is_true()) {
        return Err(Objection::new(Why::HostPid, node));
    }
    let shared = workload.pod.get("shareProcessNamespace");
    match shared {
        Some(node) if !request.launch && !node.is_true() && !node.is_null() => {
            Err(Objection::new(Why::ProcessNamespace, node))
        }
        _ => Ok(()),
    }
}

fn hooks(workload: &Workload<'_>, request: &Request) -> Result<(), Objection> {
    let hook = |name| {
        let hook = workload.sql().at(&["lifecycle", name]);
        hook.filter(|hook| !hook.is_null())
    };
    match hook("postStart") {
        Some(hook) if request.launch && request.classic => {
            Err(Objection::new(Why::PostStart, hook))
        }
        _ => Ok(()),
    }
}

fn names(workload: &Workload<'_>) -> Result<(), Objection> {
    let named = |node: &Node, names: &[&str], kind| match node.text_of("name") {
        Some(name) if names.contains(&name) => {
            Err(Objection::new(Why::Name(name.to_owned(), kind), node))
        }
        _ => Ok(()),
    };
    for container in workload.all_containers() {
        named(container, &[INSTALL, SUPERVISOR, GATE], "container")?;
    }
    for volume in workload.pod.items_of("volumes") {
        named(
            volume,
            &[
                PROGRAM_VOLUME,
                RUN_VOLUME,
                LOGIN_VOLUME,
                ADMINISTRATOR_VOLUME,
            ],
            "volume",
        )?;
    }
    Ok(())
}

fn ports(workload: &Workload<'_>) -> Result<(), Objection> {
    for container in workload.all_containers() {
        for port in container.items_of("ports") {
            let number = port
                .text_of("containerPort")
                .and_then(|text| text.parse().ok());
            if let Some(number @ (HTTP_PORT | LIVEZ_PORT)) = number {
                let name = container.text_of("name").unwrap_or("?").to_owned();
                return Err(Objection::new(Why::Port(name, number), port));
            }
        }
    }
    Ok(())
}

fn mounts(workload: &Workload<'_>) -> Result<(), Objection> {
    for mount in workload.sql().items_of("volumeMounts") {
        let path = mount.text_of("mountPath").unwrap_or_default();
        let path = path.trim_end_matches('/');
        if [PROGRAM_DIR, RUN_DIR].contains(&path) {
            return Err(Objection::new(Why::Mount(path.to_owned()), mount));
        }
    }
    Ok(())
}
