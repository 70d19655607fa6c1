//! The additions to a pod, as values. Their numbers and names are in [`super::names`].

use super::Request;
use super::facts::Facts;
use super::login::{ADMINISTRATOR, Password};
use super::names::{
    ADMINISTRATOR_DIR, ADMINISTRATOR_VOLUME, ATTACHED_LIVE_PROBE, ATTACHED_READY_PROBE, CPU,
    CPU_LIMIT, GATE, GATE_PROBE, GROUP_READABLE, HEALTH_PROBE, HTTP_PORT, INSTALL,
    LAUNCHED_LIVE_PROBE, LAUNCHED_READY_PROBE, LOGIN_DIR, LOGIN_VOLUME, MAX_GRACE, MEMORY,
    MEMORY_LIMIT, PASSWORD_KEY, PROGRAM, PROGRAM_DIR, PROGRAM_IN_IMAGE, PROGRAM_SIZE,
    PROGRAM_VOLUME, Probe, RUN_DIR, RUN_SIZE, RUN_VOLUME, STARTUP_PROBE, SUPERVISOR,
};
use super::value::{Value, boolean, map, number, text, texts};
use crate::config::settings::ENV_PREFIX;

/// The additions to a pod, by the place that they go to.
#[derive(Clone, Debug)]
pub struct Additions {
    /// The init containers, in their order; a native sidecar is the last.
    pub init_containers: Vec<Value>,
    /// The sidecar, where it is an ordinary container.
    pub containers: Vec<Value>,
    /// The volumes of the pod.
    pub volumes: Vec<Value>,
    /// The mounts of the SQL container.
    pub mounts: Vec<Value>,
    /// The environment variables of the SQL container.
    pub variables: Vec<Value>,
    /// The probes of the SQL container, with their field names.
    pub probes: [(&'static str, Value); 3],
    /// The preStop hook of the SQL container.
    pub pre_stop: Value,
}

/// The words of the command `launch`; where a command is given, `--` and that command follow.
pub const LAUNCH: [&str; 2] = [PROGRAM, "launch"];
/// The words in front of a preStop hook that was there before.
pub const STOP_AFTER: [&str; 4] = [PROGRAM, "stop", "--after", "--"];

/// Makes the additions from the facts and the options.
#[must_use]
pub fn additions(facts: &Facts, request: &Request) -> Additions {
    let sidecar = supervisor(facts, request);
    let install = install(facts, request);
    let (init_containers, containers) = match request.classic {
        true => (vec![install, gate(facts, request)], vec![sidecar]),
        false => (vec![install, sidecar], vec![]),
    };
    let (live, ready) = match request.launch {
        true => (LAUNCHED_LIVE_PROBE, LAUNCHED_READY_PROBE),
        false => (ATTACHED_LIVE_PROBE, ATTACHED_READY_PROBE),
    };
    let variables = match request.launch {
        true => [identity(), shared_settings(facts)].concat(),
        // `stop --after` has to know the grace.
        false if facts.hook.is_some() => shared_settings(facts),
        false => vec![],
    };
    Additions {
        init_containers,
        containers,
        volumes: volumes(facts),
        mounts: vec![
            mount_of_program(),
            map([("name", text(RUN_VOLUME)), ("mountPath", text(RUN_DIR))]),
        ],
        variables,
        probes: [
            ("startupProbe", probe(STARTUP_PROBE)),
            ("livenessProbe", probe(live)),
            ("readinessProbe", probe(ready)),
        ],
        pre_stop: match &facts.hook {
            Some(hook) => exec(
                STOP_AFTER
                    .map(text)
                    .into_iter()
                    .chain(hook.words())
                    .collect(),
            ),
            None => stop(PROGRAM),
        },
    }
}

fn install(facts: &Facts, request: &Request) -> Value {
    let mut container = map([
        ("name", text(INSTALL)),
        ("image", text(&request.image)),
        ("args", texts(["install", "--to", PROGRAM_DIR])),
    ]);
    confine(&mut container, facts);
    let mount = map([
        ("name", text(PROGRAM_VOLUME)),
        ("mountPath", text(PROGRAM_DIR)),
    ]);
    container.set("volumeMounts", Value::List(vec![mount]));
    container
}

/// Returns the init container that waits for the volume, with the same settings as the supervisor.
fn gate(facts: &Facts, request: &Request) -> Value {
    let mut container = map([
        ("name", text(GATE)),
        ("image", text(&request.image)),
        ("args", texts(["gate"])),
    ]);
    supervise(&mut container, facts);
    container
}

fn supervisor(facts: &Facts, request: &Request) -> Value {
    let mut container = map([("name", text(SUPERVISOR)), ("image", text(&request.image))]);
    if !request.classic {
        container.set("restartPolicy", text("Always"));
    }
    container.set("args", texts(["run"]));
    let port = map([
        ("name", text(SUPERVISOR)),
        ("containerPort", number(HTTP_PORT)),
    ]);
    container.set("ports", Value::List(vec![port]));
    match request.classic {
        // With `launch` the first process of this container restarts a supervisor that is not healthy.
        false if request.launch => {}
        false => {
            container.set("startupProbe", probe(GATE_PROBE));
            container.set("livenessProbe", probe(HEALTH_PROBE));
        }
        // At the pod's end the kubelet stops all ordinary containers at once: this one has to stay until
        // the engine is stopped, and waits for the stop of the engine's own hook. It has no liveness
        // probe, because preStop runs before a restart by one too, and would stop a healthy engine.
        true => container.set("lifecycle", map([("preStop", stop(PROGRAM_IN_IMAGE))])),
    }
    supervise(&mut container, facts);
    container
}

/// Adds the variables, mounts and limits that the supervisor and the gate have in common.
fn supervise(container: &mut Value, facts: &Facts) {
    let mut variables = vec![setting("sql-user", &facts.login.user)];
    if let Some(file) = facts.login.file() {
        variables.push(setting("sql-password-file", &file));
    }
    if facts.login.administrator.is_some() {
        variables.push(setting("sql-bootstrap-user", ADMINISTRATOR));
    }
    if let Some(file) = facts.login.administrator_file() {
        variables.push(setting("sql-bootstrap-password-file", &file));
    }
    variables.extend(facts.network.iter().cloned());
    variables.extend(shared_settings(facts));
    variables.extend(identity());
    // A name stands once: the engine's own variable counts.
    let own = |variable: &Value| {
        facts
            .variables
            .iter()
            .any(|own| own.get("name") == variable.get("name"))
    };
    variables.retain(|variable| !own(variable));
    variables.extend(facts.variables.iter().cloned());
    container.set("env", Value::List(variables));
    if !facts.env_from.is_empty() {
        container.set("envFrom", Value::List(facts.env_from.clone()));
    }
    confine(container, facts);
    let mut mounts = facts.data_mounts.clone();
    let secret = |volume: &str, directory: &str| {
        map([
            ("name", text(volume)),
            ("mountPath", text(directory)),
            ("readOnly", boolean(true)),
        ])
    };
    match &facts.login.password {
        Password::Key { .. } => mounts.push(secret(LOGIN_VOLUME, LOGIN_DIR)),
        Password::File {
            mount: Some(mount), ..
        } if !mounts
            .iter()
            .any(|there| there.get("mountPath") == mount.get("mountPath")) =>
        {
            mounts.push(mount.clone());
        }
        Password::File { .. } | Password::Variable { .. } | Password::EnvFrom => {}
    }
    if facts.login.administrator_file().is_some() {
        mounts.push(secret(ADMINISTRATOR_VOLUME, ADMINISTRATOR_DIR));
    }
    mounts.push(map([
        ("name", text(RUN_VOLUME)),
        ("mountPath", text(RUN_DIR)),
    ]));
    container.set("volumeMounts", Value::List(mounts));
}

/// Returns the settings that `launch` and the supervisor have to agree on.
fn shared_settings(facts: &Facts) -> Vec<Value> {
    let grace = facts.grace.min(MAX_GRACE.as_secs());
    let mut variables = vec![setting("termination-grace-period", &format!("{grace}s"))];
    if facts.shared_volume {
        variables.push(setting("lease", "strict"));
    }
    let places = facts.places.iter();
    variables.extend(places.map(|(key, path)| setting(key, path)));
    variables
}

/// Returns the variables with the pod's uid and its node's name.
fn identity() -> Vec<Value> {
    let field = |name: &str, path: &str| {
        let field = map([("fieldPath", text(path))]);
        let from = map([("fieldRef", field)]);
        map([("name", text(name)), ("valueFrom", from)])
    };
    vec![
        field("POD_UID", "metadata.uid"),
        field("NODE_NAME", "spec.nodeName"),
    ]
}

fn setting(key: &str, value: &str) -> Value {
    let name = key.to_uppercase().replace('-', "_");
    map([
        ("name", text(format!("{ENV_PREFIX}{name}"))),
        // The quotes of a number are what makes it a text: Kubernetes takes nothing else here.
        ("value", text(value)),
    ])
}

/// Sets resources and a security context as the `restricted` rules of pod security want it, with the user of
/// sqlservr: the control socket takes commands from its own user only, and the volume is that user's.
fn confine(container: &mut Value, facts: &Facts) {
    let (cpu, cpu_limit, memory) = match facts.guaranteed {
        true => (CPU_LIMIT, Some(CPU_LIMIT), MEMORY_LIMIT),
        false => (CPU, None, MEMORY),
    };
    let amounts = |cpu: Option<&str>, memory: &str| {
        let mut amounts = map([]);
        if let Some(cpu) = cpu {
            amounts.set("cpu", text(cpu));
        }
        amounts.set("memory", text(memory));
        amounts
    };
    let resources = map([
        ("requests", amounts(Some(cpu), memory)),
        ("limits", amounts(cpu_limit, MEMORY_LIMIT)),
    ]);
    container.set("resources", resources);
    container.set("terminationMessagePolicy", text("FallbackToLogsOnError"));
    let mut context = map([]);
    if let Some(user) = facts.user {
        context.set("runAsUser", number(user));
    }
    if let Some(group) = facts.group {
        context.set("runAsGroup", number(group));
    }
    if facts.user != Some(0) {
        context.set("runAsNonRoot", boolean(true));
    }
    context.set("readOnlyRootFilesystem", boolean(true));
    context.set("allowPrivilegeEscalation", boolean(false));
    context.set("capabilities", map([("drop", texts(["ALL"]))]));
    context.set("seccompProfile", map([("type", text("RuntimeDefault"))]));
    container.set("securityContext", context);
}

fn mount_of_program() -> Value {
    map([
        ("name", text(PROGRAM_VOLUME)),
        ("mountPath", text(PROGRAM_DIR)),
        ("readOnly", boolean(true)),
    ])
}

fn volumes(facts: &Facts) -> Vec<Value> {
    let empty = |name: &str, size: &str| {
        let limit = map([("sizeLimit", text(size))]);
        map([("name", text(name)), ("emptyDir", limit)])
    };
    let mut volumes = vec![
        empty(PROGRAM_VOLUME, PROGRAM_SIZE),
        empty(RUN_VOLUME, RUN_SIZE),
    ];
    let login = &facts.login;
    let passwords = [
        (LOGIN_VOLUME, Some(&login.password)),
        (ADMINISTRATOR_VOLUME, login.administrator.as_ref()),
    ];
    for (name, password) in passwords {
        if let Some(Password::Key {
            secret,
            key,
            optional,
        }) = password
        {
            volumes.push(of_secret(name, (secret, key), *optional, facts.fs_group));
        }
    }
    volumes
}

/// Returns a volume with one key of a Secret, as the file of a password.
fn of_secret(name: &str, (secret, key): (&str, &str), optional: bool, fs_group: bool) -> Value {
    let item = map([("key", text(key)), ("path", text(PASSWORD_KEY))]);
    let mut source = map([
        ("secretName", text(secret)),
        ("items", Value::List(vec![item])),
    ]);
    if optional {
        source.set("optional", boolean(true));
    }
    if fs_group {
        source.set("defaultMode", number(GROUP_READABLE));
    }
    map([("name", text(name)), ("secret", source)])
}

fn stop(program: &str) -> Value {
    exec(vec![text(program), text("stop")])
}

fn exec(words: Vec<Value>) -> Value {
    let command = map([("command", Value::List(words))]);
    map([("exec", command)])
}

fn probe(probe: Probe) -> Value {
    let get = map([("path", text(probe.path)), ("port", number(probe.port))]);
    map([
        ("httpGet", get),
        ("periodSeconds", number(probe.period)),
        ("timeoutSeconds", number(probe.timeout)),
        ("failureThreshold", number(probe.failures)),
    ])
}
