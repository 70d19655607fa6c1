//! From a workload to the changes that it gets, and to what its owner should know of them.

use super::Request;
use super::additions::{Additions, LAUNCH, additions};
use super::edit::{Change, Edit, Step};
use super::facts::{Command, Facts, homeless_data_dir, take};
use super::node::Node;
use super::obstacles;
use super::value::{Value, map, number, text, texts};
use super::workload::{Controller, Objection, Workload};

/// What becomes of a workload.
#[derive(Debug)]
pub struct Plan {
    /// The changes.
    pub edits: Vec<Edit>,
    /// What its owner should know, a sentence each.
    pub notes: Vec<String>,
}

const SPEC: [Step; 1] = [Step::Key("spec")];
const POD: [Step; 3] = [Step::Key("spec"), Step::Key("template"), Step::Key("spec")];

/// Plans the changes.
///
/// # Errors
/// When something stands in the way.
pub fn plan(
    workload: &Workload<'_>,
    request: &Request,
    documents: &[&Node],
) -> Result<Plan, Objection> {
    obstacles::check(workload, request)?;
    let facts = take(workload, request, documents)?;
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
    planner.sql(&additions, request);
    planner.pod(additions, request);
    planner.remark(request);
    Ok(planner.plan)
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

    /// Adds items to a list below `at`, which is made where it is not there.
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

    /// Two engines would write one volume while a new pod takes the place of the old one.
    fn strategy(&mut self) {
        if self.workload.controller != Controller::Deployment {
            return;
        }
        let before = self.workload.spec.get("strategy");
        let kind = before.and_then(|strategy| strategy.text_of("type"));
        if kind == Some("Recreate") {
            return;
        }
        let value = map([("type", text("Recreate"))]);
        self.set(&SPEC, "strategy", value, &["replicas", "selector"]);
        self.note(format!(
            "strategy is now Recreate (it was {}): two engines would have written one volume",
            kind.unwrap_or("RollingUpdate, by default")
        ));
    }

    fn sql(&mut self, additions: &Additions, request: &Request) {
        let workload = self.workload;
        let sql = workload.sql();
        let at = [
            &POD[..],
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
        match self.facts.command {
            Command::Own => {
                let words = LAUNCH.map(text).into();
                let at = [at, &[Step::Key("command")]].concat();
                self.edit(&at, Change::Prepend(words));
            }
            Command::Arguments => {
                self.set(at, "command", texts(LAUNCH), &["image"]);
                self.note("launch starts the container's args without the image's entrypoint");
            }
            Command::Image(command) => {
                let words = LAUNCH.iter().chain(command).copied();
                self.set(at, "command", texts(words), &["image"]);
            }
        }
    }

    fn lifecycle(&mut self, at: &[Step], stop: Value) {
        let sql = self.workload.sql();
        let hooks = sql.get("lifecycle").filter(|hooks| !hooks.is_null());
        match hooks {
            Some(_) => {
                let at = [at, &[Step::Key("lifecycle")]].concat();
                self.set(&at, "preStop", stop, &[]);
            }
            None => self.set(at, "lifecycle", map([("preStop", stop)]), &[]),
        }
    }

    fn pod(&mut self, additions: Additions, request: &Request) {
        let pod = self.workload.pod;
        if !request.launch && !pod.get("shareProcessNamespace").is_some_and(Node::is_true) {
            let yes = Value::Plain("true".to_owned());
            self.set(&POD, "shareProcessNamespace", yes, &[]);
        }
        let before = pod.text_of("terminationGracePeriodSeconds").unwrap_or("");
        if before.parse() != Ok(self.facts.grace) {
            let key = "terminationGracePeriodSeconds";
            self.set(&POD, key, number(self.facts.grace), &[]);
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
        self.add(&POD, pod, "initContainers", init, &["containers"]);
        self.add(&POD, pod, "containers", additions.containers, &[]);
        self.add(&POD, pod, "volumes", additions.volumes, &[]);
    }

    /// What else its owner should know.
    fn remark(&mut self, request: &Request) {
        if request.login.is_none() {
            self.note(
                "the supervisor logs in as sa, by the engine's own Secret; `setup-sql` makes a login that may only look, for --sql-user and --sql-secret",
            );
        }
        if self.facts.user == 0 {
            self.note("the SQL container runs as root, and so does the supervisor: it has to be the same user");
        }
        if self.facts.shared_volume {
            self.note("several nodes can attach the volume: the lease is strict");
        }
        if self
            .workload
            .pod
            .get("hostNetwork")
            .is_some_and(Node::is_true)
        {
            self.note("with hostNetwork the supervisor's ports are the node's");
        }
        if let Some(dir) = homeless_data_dir(self.workload) {
            self.note(format!(
                "MSSQL_DATA_DIR, {dir}, is on no volume: databases there go with the container"
            ));
        }
    }
}

/// What a probe asked, for its owner to recognise it.
fn asked_by(probe: &Node) -> &'static str {
    ["exec", "httpGet", "tcpSocket", "grpc"]
        .into_iter()
        .find(|kind| probe.get(kind).is_some())
        .unwrap_or("empty")
}
