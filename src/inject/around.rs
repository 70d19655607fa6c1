//! Remarks for the owner of an accepted manifest on what stands around the engine's container: other objects
//! of the same input, other containers of the pod, and scripts that set things which the manifest does not
//! show.

use super::environment::{DIRECTORIES, Known, not_texts};
use super::images::SQLSERVR;
use super::node::Node;
use super::workload::{Controller, Workload, mentions};

/// Returns the remarks, a sentence or two each.
#[must_use]
pub fn remarks(workload: &Workload<'_>, objects: &[&Node], known: &Known<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    of_environment(workload, known, &mut notes);
    of_scripts(workload, &mut notes);
    of_containers(workload, &mut notes);
    of_objects(workload, objects, &mut notes);
    notes
}

fn of_environment(workload: &Workload<'_>, known: &Known<'_>, notes: &mut Vec<String>) {
    let wrong = not_texts(workload);
    if !wrong.is_empty() {
        notes.push(format!(
            "{} has a number or a boolean as its value, which Kubernetes refuses: put it in quotes",
            wrong.join(", ")
        ));
    }
    if !known.elsewhere.is_empty() {
        notes.push(format!(
            "not in this file: the ConfigMap {} of envFrom. If it sets MSSQL_MASTER_DATA_FILE, MSSQL_DATA_DIR or MSSQL_LOG_DIR, give the file with it: the volumes there are found by these",
            known.elsewhere.join(", ")
        ));
    }
    let unknown: Vec<_> = DIRECTORIES
        .into_iter()
        .filter(|name| known.has(name) && known.said(name).is_none())
        .collect();
    if !unknown.is_empty() {
        notes.push(format!(
            "the value of {} does not stand in this file: if it names a place outside the volumes that the supervisor gets, that place is not checked",
            unknown.join(", ")
        ));
    }
}

/// Adds remarks on variables that a start command sets by itself, and on a hook that ends the engine.
fn of_scripts(workload: &Workload<'_>, notes: &mut Vec<String>) {
    let sql = workload.sql();
    let assigned: Vec<_> = DIRECTORIES
        .into_iter()
        .chain(["MSSQL_TCP_PORT", "MSSQL_IP_ADDRESS"])
        .filter(|name| mentions(sql, &format!("{name}=")))
        .collect();
    if !assigned.is_empty() {
        notes.push(format!(
            "the command sets {} by itself, which the supervisor does not see: say it in env as well",
            assigned.join(", ")
        ));
    }
    if mentions(sql, "mssql-conf") {
        notes.push("the command runs mssql-conf: a port, an address or a place for files that it sets is known to the supervisor from its next start on, unless env says it as well (MSSQL_TCP_PORT, MSSQL_DATA_DIR ...)".to_owned());
    }
    let hook = sql.at(&["lifecycle", "preStop", "exec"]);
    let ends = |hook: &Node| {
        ["kill", "SHUTDOWN", "shutdown"]
            .iter()
            .any(|word| mentions(hook, word))
    };
    if hook.is_some_and(ends) {
        notes.push("the preStop hook ends the engine by itself, before the supervisor has let its clients go and saved its databases: remove the hook, the stop that is added does that".to_owned());
    }
}

/// Adds remarks on init containers that start an engine before the supervisor runs.
fn of_containers(workload: &Workload<'_>, notes: &mut Vec<String>) {
    for container in workload.pod.items_of("initContainers") {
        if mentions(container, SQLSERVR) || mentions(container, "sqlservr &") {
            let name = container.text_of("name").unwrap_or("?");
            notes.push(format!("the init container {name} starts the engine before the supervisor is there: neither the gate nor the lease keeps that start from a wrong volume, or from one that another pod writes"));
        }
    }
}

/// Adds remarks on other objects that act on the pod, such as autoscalers.
fn of_objects(workload: &Workload<'_>, objects: &[&Node], notes: &mut Vec<String>) {
    let name = |object: &Node| {
        let name = object.at(&["metadata", "name"]).and_then(Node::text);
        name.unwrap_or("?").to_owned()
    };
    let kind = workload.root.text_of("kind");
    for object in objects {
        let target = |key| {
            object
                .at(&["spec", "scaleTargetRef", key])
                .and_then(Node::text)
        };
        let scales = target("kind") == kind && target("name") == Some(name(workload.root).as_str());
        if scales && workload.controller != Controller::StatefulSet {
            notes.push(format!(
                "{}/{} makes several pods of it: one volume takes one engine, and all but one wait for the lease; remove it",
                object.text_of("kind").unwrap_or("?"),
                name(object)
            ));
        }
    }
}
