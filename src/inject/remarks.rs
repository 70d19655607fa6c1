//! Remarks for the owner of an accepted manifest: on each thing that the supervisor can't see to by itself,
//! or that works in another way than before.

use super::Request;
use super::conf::Conf;
use super::environment::Known;
use super::environment::plain;
use super::facts::{Facts, Uid};
use super::images::Engine;
use super::login::{ADMINISTRATOR, Login, Password};
use super::mesh;
use super::names::{DATA_DIR, HTTP_PORT, LIVEZ_PORT, PROGRAM};
use super::node::Node;
use super::quantity;
use super::volumes::{Volumes, covering, has_claims_of_its_own, path_of};
use super::workload::{Controller, Workload};

/// Returns the remarks, a sentence or two each.
#[must_use]
pub fn remarks(
    workload: &Workload<'_>,
    request: &Request,
    facts: &Facts,
    volumes: &Volumes<'_>,
    (conf, known): (&Conf, &Known<'_>),
) -> Vec<String> {
    let mut notes = Vec::new();
    of_login(&facts.login, request, &mut notes);
    of_user(workload, request, facts, &mut notes);
    of_volumes(workload, volumes, &mut notes);
    of_network(workload, facts, conf, &mut notes);
    of_start(workload, request, &mut notes);
    of_memory(workload, (conf, known), &mut notes);
    of_object(workload, &mut notes);
    notes
}

fn of_login(login: &Login, request: &Request, notes: &mut Vec<String>) {
    let (user, named) = (
        &login.user,
        request.user.is_some() || request.secret.is_some(),
    );
    if login.administrator.is_some() {
        notes.push(format!("the supervisor makes the login {user} itself, as {ADMINISTRATOR}, where the engine does not know it: what `setup-sql` prints, each statement logged"));
    } else if !named {
        notes.push(format!("the supervisor logs in as {user}, by the engine's own password; `setup-sql` makes a login that may only look, for --sql-user and --sql-secret"));
    }
    match &login.password {
        Password::Variable { plain: true, name } => notes.push(format!(
            "the password stands in the manifest ({name}), for everybody who may read it: the supervisor gets it in the same way; a Secret is the place for it"
        )),
        Password::Variable { plain: false, .. } => {}
        Password::EnvFrom => notes.push(
            "the password comes by envFrom, which the supervisor gets as a whole: MSSQL_SA_PASSWORD or SA_PASSWORD has to be in it".to_owned(),
        ),
        Password::File { path, mount: None } => notes.push(format!(
            "{path} is mounted by Vault's injector in every container; agent-inject-containers, if you set it, has to name the supervisor's as well"
        )),
        Password::File { mount: Some(_), .. } | Password::Key { .. } => {}
    }
}

fn of_user(workload: &Workload<'_>, request: &Request, facts: &Facts, notes: &mut Vec<String>) {
    let own = [workload.sql(), workload.pod]
        .iter()
        .any(|node| node.at(&["securityContext", "runAsUser"]).is_some());
    match facts.user {
        None if request.uid == Some(Uid::Assigned) => {}
        None => notes.push("no runAsUser is added: the cluster assigns one to all containers of the pod (OpenShift)".to_owned()),
        Some(0) if own => notes.push("the SQL container runs as root, and so does the supervisor: it has to be the same user".to_owned()),
        Some(0) => notes.push("the images of SQL Server 2017 run as root, and so does the supervisor: it has to be the same user; --uid says another one".to_owned()),
        Some(_) => {}
    }
    let capabilities = |list: &str| {
        let path = ["securityContext", "capabilities", list];
        let items = workload
            .sql()
            .at(&path)
            .map(Node::items)
            .unwrap_or_default();
        items
            .iter()
            .filter_map(Node::text)
            .map(|name| name.trim_start_matches("CAP_").to_owned())
            .collect::<Vec<_>>()
    };
    let drops = capabilities("drop")
        .iter()
        .any(|name| name.eq_ignore_ascii_case("all"));
    if drops
        && !capabilities("add")
            .iter()
            .any(|name| name == "NET_BIND_SERVICE")
    {
        notes.push("the SQL container drops ALL capabilities and does not add NET_BIND_SERVICE: sqlservr's file has it, and the kernel refuses to run it without (\"sqlservr: Operation not permitted\")".to_owned());
    }
}

fn of_volumes(workload: &Workload<'_>, volumes: &Volumes<'_>, notes: &mut Vec<String>) {
    if volumes.goes_with_the_pod {
        notes.push(format!("for development only: {} is a volume that goes with the pod, and all databases with it", path_of(volumes.master)));
    }
    if let Some(why) = &volumes.shared {
        notes.push(format!(
            "several nodes can attach the volume ({why}): the lease is strict"
        ));
    }
    if !volumes.unseen_claims.is_empty() {
        notes.push(format!("not in this file: claim {}. If one is ReadWriteMany, give the file with it, and the lease is strict", volumes.unseen_claims.join(", ")));
    }
    notes.extend(volumes.warnings.iter().cloned());
    if !volumes.beside.is_empty() {
        notes.push(format!("the supervisor gets {} as well, and checks it where mssql.conf names it: the manifest does not say that the engine keeps files there. Where databases lie there, let MSSQL_DATA_DIR or MSSQL_LOG_DIR name the place (new databases then go there), or their volume is not checked", volumes.beside.join(", ")));
    }
    let elsewhere: Vec<_> = BESIDE_DATABASES
        .into_iter()
        .filter(|(path, _)| covering(workload, &format!("{DATA_DIR}/{path}")).is_none())
        .map(|(_, what)| what)
        .collect();
    if !elsewhere.is_empty() {
        notes.push(format!(
            "{} is on a volume, and not all of {DATA_DIR} is: with the container go {}; the databases stay. Leave the mounts where they are: moved, the engine would not find its databases and set up new ones",
            volumes.master_dir,
            elsewhere.join(", ")
        ));
    }
    if workload.replicas() > 1 && has_claims_of_its_own(workload) {
        notes.push(format!("{} replicas with claims of their own: each is an instance with a supervisor of its own, and nothing here fails an availability group over", workload.replicas()));
    }
}

fn of_network(workload: &Workload<'_>, facts: &Facts, conf: &Conf, notes: &mut Vec<String>) {
    for (variable, what) in [("MSSQL_TCP_PORT", "port"), ("MSSQL_IP_ADDRESS", "address")] {
        if workload.variable(variable).is_some() && plain(workload, variable).is_none() {
            notes.push(format!("the engine's {what} does not stand in the manifest ({variable}): the supervisor gets it by the same reference"));
        }
    }
    if !conf.elsewhere.is_empty() {
        notes.push(format!("not in this file in plain text: the {} with mssql.conf. If that sets tcpport, ipaddress or a place for files, give the file with it", conf.elsewhere.join(", ")));
    }
    let name = |variable: &&super::value::Value| {
        variable.get("name") == Some(&super::value::text("SUPERVISOR_SQL_PORT"))
    };
    let port = facts
        .network
        .iter()
        .find(name)
        .and_then(|variable| variable.get("value"));
    let port = match port {
        Some(super::value::Value::Text(port)) => port.as_str(),
        _ => "",
    };
    let ports = workload.sql().items_of("ports").iter();
    let named: Vec<_> = ports
        .filter_map(|port| port.text_of("containerPort"))
        .collect();
    if !port.is_empty() && !named.is_empty() && !named.contains(&port) {
        notes.push(format!("the container's ports are {}, and the engine listens on {port} as far as the manifest says: containerPort changes nothing about that", named.join(", ")));
    }
    if workload.pod.get("hostNetwork").is_some_and(Node::is_true) {
        notes.push(format!("with hostNetwork the supervisor's ports are the node's: keep {HTTP_PORT} and {LIVEZ_PORT} free on each node that the pod may run on"));
    }
    if let Some(mesh) = mesh::named(workload) {
        notes.push(format!("{mesh}: annotations keep the supervisor's ports out of its redirects; where its proxy is an ordinary container, the engine starts before it"));
    }
}

fn of_start(workload: &Workload<'_>, request: &Request, notes: &mut Vec<String>) {
    let hook = workload.sql().at(&["lifecycle", "postStart"]);
    if request.launch && hook.is_some_and(|hook| !hook.is_null()) {
        notes.push(format!("the postStart hook begins with the container, and the engine starts when the gate opens, which may be later: a hook that counts seconds and fails ends the container. Let it ask instead: `until {PROGRAM} probe ready; do sleep 1; done`"));
    }
    if matches!(
        workload.controller,
        Controller::ReplicaSet | Controller::ReplicationController
    ) {
        notes.push("pods that are there stay as they are: delete the pod once, and the one that follows waits for the volume's lease until it has ended; a Deployment with the strategy Recreate waits for it by itself".to_owned());
    }
    if workload.controller == Controller::Pod {
        notes.push("a pod by itself is not changed in place: delete it, and create this one; nobody makes another one on another node".to_owned());
        if workload
            .pod
            .text_of("restartPolicy")
            .is_some_and(|policy| policy != "Always")
        {
            notes.push(
                "its restartPolicy is not Always, so that nobody starts an engine again that has ended: set it to Always".to_owned(),
            );
        }
    }
}

fn of_memory(workload: &Workload<'_>, (conf, known): (&Conf, &Known<'_>), notes: &mut Vec<String>) {
    const VARIABLE: &str = "MSSQL_MEMORY_LIMIT_MB";
    let limit = workload
        .sql()
        .at(&["resources", "limits", "memory"])
        .and_then(Node::text);
    let Some(limit) = limit else { return };
    let Some(variable) = workload.variable(VARIABLE) else {
        let by_reference = known.may_bring_more || known.has(VARIABLE);
        if conf.get("memory", "memorylimitmb").is_none() && !by_reference {
            let image = workload.sql().text_of("image").and_then(Engine::of);
            let blind = match image {
                Some(Engine::Edge) => {
                    ", and SQL Edge does not see the limit of a container on cgroup v2"
                }
                _ => "",
            };
            notes.push(format!("a memory limit ({limit}) without {VARIABLE}: what the engine takes beside its buffers counts too{blind}; three quarters of the limit leave room"));
        }
        return;
    };
    if variable.at(&["valueFrom", "resourceFieldRef"]).is_some() {
        notes.push(format!("{VARIABLE} is the container's whole limit ({limit}): what the engine takes beside it is then killed for; three quarters of the limit leave room"));
        return;
    }
    let given = plain(workload, VARIABLE).and_then(|text| text.parse::<f64>().ok());
    if let (Some(given), Some(bytes)) = (given, quantity::amount(limit))
        && given * quantity::MIB > bytes * MOST_OF_THE_LIMIT
    {
        notes.push(format!("{VARIABLE} is {given} of a limit of {limit}: what the engine takes beside it is then killed for; three quarters of the limit leave room"));
    }
}

/// The files that the engine keeps beside its databases, relative to its directory, with names for people.
const BESIDE_DATABASES: [(&str, &str); 3] = [
    ("log", "the errorlog"),
    ("mssql.conf", "mssql.conf"),
    (
        "secrets",
        "secrets/machine-key (with it what the engine has encrypted for servers and logins elsewhere)",
    ),
];

/// The share of a memory limit above which the rest of the process has no room.
const MOST_OF_THE_LIMIT: f64 = 0.9;

fn of_object(workload: &Workload<'_>, notes: &mut Vec<String>) {
    let metadata = |key| {
        workload
            .root
            .at(&["metadata", key])
            .is_some_and(|node| !node.is_null())
    };
    if metadata("resourceVersion") || metadata("managedFields") || metadata("uid") {
        notes.push("it was read from a cluster (status, managedFields, resourceVersion), which stays in it: apply it soon, or take that out of a file that is kept: the API refuses it once the object has changed".to_owned());
    }
}
