//! The plan for a workload: its changes, and notes on them for its owner.

use super::Request;
use super::additions::{Additions, LAUNCH, STOP_AFTER, additions};
use super::around;
use super::conf::Conf;
use super::edit::{Change, Edit, Step};
use super::environment::Known;
use super::facts::{Command, Facts, take};
use super::hook::{self, Hook};
use super::mesh;
use super::node::Node;
use super::obstacles;
use super::remarks::remarks;
use super::value::{Value, map, number, text, texts};
use super::volumes;
use super::workload::{Controller, Objection, Workload};

/// The plan for a workload.
#[derive(Debug)]
pub struct Plan {
    /// The changes of the document.
    pub edits: Vec<Edit>,
    /// The notes for the workload's owner, a sentence each.
    pub notes: Vec<String>,
}

/// Plans the changes. `objects` are all objects of the input.
///
/// # Errors
/// When an obstacle keeps the workload from being changed.
pub fn plan(
    workload: &Workload<'_>,
    request: &Request,
    objects: &[&Node],
) -> Result<Plan, Objection> {
    obstacles::check(workload, request)?;
    let conf = Conf::find(workload, objects);
    let known = Known::of(workload, objects);
    let volumes = volumes::take(workload, objects, (&conf, &known), request.dev)?;
    let facts = take(workload, request, objects, &volumes, (&conf, &known))?;
    let mut planner = Planner {
        workload,
        facts: &facts,
        plan: Plan {
            edits: Vec::new(),
            notes: Vec::new(),
        },
    };
    let additions = additions(&facts, request);
    planner.strategy();
    planner.mesh(request);
    planner.sql(&additions, request);
    planner.pod(additions, request);
    let mut plan = planner.plan;
    plan.notes.extend(remarks(
        workload,
        request,
        &facts,
        &volumes,
        (&conf, &known),
    ));
    plan.notes
        .extend(around::remarks(workload, objects, &known));
    Ok(plan)
}

struct Planner<'a> {
    workload: &'a Workload<'a>,
    facts: &'a Facts,
    plan: Plan,
}

impl Planner<'_> {
    fn note(&mut self, note: impl Into<String>) {
        self.plan.notes.push(note.into());
    }

    fn edit(&mut self, at: &[Step], change: Change) {
        let at = at.to_vec();
        self.plan.edits.push(Edit { at, change });
    }

    fn set(
        &mut self,
        at: &[Step],
        key: &'static str,
        value: Value,
        after: &'static [&'static str],
    ) {
        self.edit(at, Change::Set { key, value, after });
    }

    /// Adds items to a list below `at`, which is made where it does not exist.
    fn add(
        &mut self,
        at: &[Step],
        parent: &Node,
        key: &'static str,
        items: Vec<Value>,
        after: &'static [&'static str],
    ) {
        if items.is_empty() {
            return;
        }
        match parent.get(key).filter(|list| !list.is_null()) {
            Some(_) => self.edit(&[at, &[Step::Key(key)]].concat(), Change::Append(items)),
            None => self.set(at, key, Value::List(items), after),
        }
    }

    /// Sets the strategy Recreate of a Deployment or DeploymentConfig: with a rolling update two engines
    /// would write one volume while a new pod takes the place of the old one.
    fn strategy(&mut self) {
        let default = match self.workload.controller {
            Controller::Deployment => "RollingUpdate, by default",
            Controller::DeploymentConfig => "Rolling, by default",
            Controller::StatefulSet
            | Controller::ReplicaSet
            | Controller::ReplicationController
            | Controller::Pod => return,
        };
        let before = self.workload.spec.get("strategy");
        let kind = before.and_then(|strategy| strategy.text_of("type"));
        if kind == Some("Recreate") {
            return;
        }
        let value = map([("type", text("Recreate"))]);
        let at = self.workload.spec_path();
        self.set(&at, "strategy", value, &["replicas", "selector"]);
        self.note(format!(
            "strategy is now Recreate (it was {}): two engines would have written one volume",
            kind.unwrap_or(default)
        ));
    }

    /// Sets the annotations that keep a mesh from redirecting the kubelet's probes.
    fn mesh(&mut self, request: &Request) {
        let ports = mesh::ports(request.launch);
        let with_ports = |key| {
            let value = mesh::with_ports(self.workload.annotation(key), &ports);
            (key, text(value))
        };
        let changed: Vec<_> = mesh::annotations(self.workload)
            .into_iter()
            .map(with_ports)
            .filter(|(key, value)| self.workload.annotation(key).map(text).as_ref() != Some(value))
            .collect();
        let at = self.workload.template_path();
        let metadata = self.workload.holder.get("metadata");
        let is_there = |node: Option<&Node>| node.is_some_and(|node| !node.entries().is_empty());
        let annotations = metadata.and_then(|metadata| metadata.get("annotations"));
        if is_there(annotations) {
            let at = [&at[..], &[Step::Key("metadata"), Step::Key("annotations")]].concat();
            for (key, value) in changed {
                self.set(&at, key, value, &[]);
            }
            return;
        }
        let mut value = map([]);
        for (key, annotation) in changed {
            value.set(key, annotation);
        }
        match is_there(metadata) {
            true => {
                let at = [&at[..], &[Step::Key("metadata")]].concat();
                self.set(&at, "annotations", value, &["labels", "name"]);
            }
            false => self.set(&at, "metadata", map([("annotations", value)]), &[]),
        }
    }

    fn sql(&mut self, additions: &Additions, request: &Request) {
        let workload = self.workload;
        let sql = workload.sql();
        let at = [
            &workload.pod_path()[..],
            &[Step::Key("containers"), Step::Item(workload.index)],
        ]
        .concat();
        if request.launch {
            self.launch(&at);
        }
        let there = |variable: &Value| match variable.get("name") {
            Some(Value::Text(name)) => workload.variable(name).is_some(),
            _ => false,
        };
        let (kept, new): (Vec<_>, Vec<_>) = additions.variables.iter().cloned().partition(there);
        for variable in &kept {
            if let Some(Value::Text(name)) = variable.get("name") {
                self.note(format!(
                    "the variable {name} of the SQL container stays as it is"
                ));
            }
        }
        self.add(&at, sql, "env", new, &["command", "args", "image"]);
        let mounts = additions.mounts.clone();
        self.add(&at, sql, "volumeMounts", mounts, &[]);
        self.lifecycle(&at, additions.pre_stop.clone());
        for (key, value) in additions.probes.clone() {
            let before = sql.get(key).filter(|probe| !probe.is_null());
            if let Some(before) = before {
                self.note(format!(
                    "{key} is the supervisor's now; it was {}",
                    asked_by(before)
                ));
            }
            self.set(&at, key, value, &[]);
        }
    }

    fn launch(&mut self, at: &[Step]) {
        let with_command = || LAUNCH.iter().copied().chain(["--"]);
        match self.facts.command {
            Command::Own => {
                let words = with_command().map(text).collect();
                let at = [at, &[Step::Key("command")]].concat();
                self.edit(&at, Change::Prepend(words));
            }
            Command::Arguments => {
                self.set(at, "command", texts(with_command()), &["image"]);
                self.note("launch starts the container's args without the image's entrypoint");
            }
            Command::Image => self.set(at, "command", texts(LAUNCH), &["image"]),
        }
    }

    fn lifecycle(&mut self, at: &[Step], stop: Value) {
        let sql = self.workload.sql();
        let hooks = sql.get("lifecycle").filter(|hooks| !hooks.is_null());
        let at_hooks = [at, &[Step::Key("lifecycle")]].concat();
        if let Some(hook) = &self.facts.hook {
            self.note(format!(
                "the preStop hook that was there runs first, and gets all of the grace but {} s; what still runs then is killed, and the stop begins",
                hook::RESERVE
            ));
            if *hook == Hook::Exec {
                let below = ["preStop", "exec", "command"].map(Step::Key);
                let words = STOP_AFTER.map(text).into();
                self.edit(&[&at_hooks[..], &below].concat(), Change::Prepend(words));
                return;
            }
        }
        match hooks {
            Some(_) => self.set(&at_hooks, "preStop", stop, &[]),
            None => self.set(at, "lifecycle", map([("preStop", stop)]), &[]),
        }
    }

    fn pod(&mut self, additions: Additions, request: &Request) {
        let pod = self.workload.pod;
        let at = self.workload.pod_path();
        if !request.launch && !pod.get("shareProcessNamespace").is_some_and(Node::is_true) {
            let yes = Value::Plain("true".to_owned());
            self.set(&at, "shareProcessNamespace", yes, &[]);
        }
        let before = pod.text_of("terminationGracePeriodSeconds").unwrap_or("");
        if before.parse() != Ok(self.facts.grace) {
            let key = "terminationGracePeriodSeconds";
            self.set(&at, key, number(self.facts.grace), &[]);
            let was = if before.is_empty() {
                "30, by default"
            } else {
                before
            };
            self.note(format!(
                "{key} is now {} (it was {was}): the engine saves its databases before it ends",
                self.facts.grace
            ));
        }
        let init = additions.init_containers;
        self.add(&at, pod, "initContainers", init, &["containers"]);
        self.add(&at, pod, "containers", additions.containers, &[]);
        self.add(&at, pod, "volumes", additions.volumes, &[]);
    }
}

/// Returns the way in which a probe asked, for its owner to recognize it.
fn asked_by(probe: &Node) -> &'static str {
    ["exec", "httpGet", "tcpSocket", "grpc"]
        .into_iter()
        .find(|kind| probe.get(kind).is_some())
        .unwrap_or("empty")
}
