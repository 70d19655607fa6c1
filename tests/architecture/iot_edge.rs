//! docker/iot-edge.json: a deployment of Azure IoT Edge, by its shape and by what it tells the program.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use serde_json::Value;
use sql_edge_supervisor::cli::{self, Invocation};
use sql_edge_supervisor::config::{Environment, Sources, parse};

use crate::docker::read;

/// A text in a module's twin, and so each part of `createOptions`; the agent puts the parts together.
const CHUNK_BYTES: usize = 512;
const RESTART_POLICIES: [&str; 4] = ["never", "on-failure", "on-unhealthy", "always"];

fn desired(of: &str) -> Value {
    let text = read("docker/iot-edge.json");
    let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
    let keys: Vec<_> = manifest.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["modulesContent"]);
    manifest["modulesContent"][of]["properties.desired"].take()
}

/// A module's `createOptions`, put together as the agent does.
fn create_options(module: &Value) -> Value {
    let settings = module["settings"].as_object().expect("settings");
    let mut parts: BTreeMap<&String, &str> = BTreeMap::new();
    for (key, value) in settings {
        let value = value.as_str().expect("a text");
        if key.starts_with("createOptions") {
            assert!(value.len() <= CHUNK_BYTES, "{key}: {} bytes", value.len());
            parts.insert(key, value);
        } else {
            assert_eq!(key, "image");
        }
    }
    let known: Vec<_> = (0..parts.len())
        .map(|number| match number {
            0 => "createOptions".to_owned(),
            number => format!("createOptions{number:02}"),
        })
        .collect();
    assert!(parts.keys().copied().eq(&known), "{parts:?}");
    let text: String = parts.into_values().collect();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn modules() -> Vec<(String, Value, Value)> {
    let mut agent = desired("$edgeAgent");
    let modules = agent["modules"].take();
    let modules = modules.as_object().expect("modules").clone();
    let with_options = |(name, module): (String, Value)| {
        let options = create_options(&module);
        (name, module, options)
    };
    modules.into_iter().map(with_options).collect()
}

fn module(name: &str) -> (Value, Value) {
    let found = modules().into_iter().find(|(found, ..)| found == name);
    let (_, module, options) = found.expect("the module is there");
    (module, options)
}

fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words
        .map(|word| word.as_str().expect("a text").to_owned())
        .collect()
}

/// What a module runs of ours.
fn invocation(module: &Value, options: &Value) -> Option<Invocation> {
    let mut line = words(&options["Entrypoint"]);
    if line.is_empty() {
        line.push("/sql-edge-supervisor".to_owned());
        let image = module["settings"]["image"].as_str().expect("an image");
        image.starts_with("sql-edge-supervisor:").then_some(())?;
    }
    line[0].ends_with("sql-edge-supervisor").then_some(())?;
    line.extend(words(&options["Cmd"]));
    let parsed = cli::parse(line.iter().map(OsString::from));
    Some(parsed.unwrap_or_else(|error| panic!("{line:?}: {error}")))
}

#[test]
fn it_has_the_shape_of_a_deployment() {
    let agent = desired("$edgeAgent");
    assert_eq!(agent["schemaVersion"], "1.1");
    assert_eq!(agent["runtime"]["type"], "docker");
    for name in ["edgeAgent", "edgeHub"] {
        let module = &agent["systemModules"][name];
        assert_eq!(module["type"], "docker", "{name}");
        create_options(module);
    }
    let hub = desired("$edgeHub");
    assert_eq!(hub["schemaVersion"], "1.1");
    assert!(hub["routes"].is_object());
    assert!(hub["storeAndForwardConfiguration"]["timeToLiveSecs"].is_u64());
    for (name, module, _) in modules() {
        assert_eq!(module["type"], "docker", "{name}");
        assert_eq!(module["status"], "running", "{name}");
        let policy = module["restartPolicy"].as_str().expect("a policy");
        assert!(RESTART_POLICIES.contains(&policy), "{name}: {policy}");
        assert!(module["startupOrder"].is_u64(), "{name}");
        for (variable, value) in module["env"].as_object().into_iter().flatten() {
            assert!(value["value"].is_string(), "{name}: {variable}");
        }
    }
}

#[test]
fn the_programs_understand_what_they_are_told() {
    let mut ran = BTreeSet::new();
    for (name, module, options) in modules() {
        let Some(invocation) = invocation(&module, &options) else {
            continue;
        };
        ran.insert(name.clone());
        let (Invocation::Run(flags) | Invocation::Launch { flags, .. }) = invocation else {
            continue;
        };
        let variables = module["env"].as_object().into_iter().flatten();
        let variables = variables.map(|(key, value)| {
            let value = value["value"].as_str().expect("a text");
            (OsString::from(key), OsString::from(value))
        });
        let sources = Sources::load(flags, Environment::from_vars(variables));
        let effective = parse(&sources).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        // The modules' network is the device's own.
        let warnings = effective.warnings.iter().filter(|w| w.setting != "sql-tls");
        let warnings: Vec<_> = warnings.map(ToString::to_string).collect();
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
    }
    assert_eq!(ran.len(), 3, "{ran:?}");
    let (_, sql) = module("sql");
    let test = words(&sql["Healthcheck"]["Test"]);
    assert_eq!(test[0], "CMD");
    // A restart follows what is not healthy here: only the liveness verdict may say that.
    let probe = cli::parse(test[1..].iter().map(OsString::from));
    assert!(matches!(probe, Ok(Invocation::Probe { .. })), "{test:?}");
    assert_eq!(test[3], "live");
}

#[test]
fn the_engine_and_the_supervisor_share_what_they_have_to() {
    let (sql, sql_options) = module("sql");
    let (supervisor, options) = module("sqlsupervisor");
    let binds = |options: &Value| words(&options["HostConfig"]["Binds"]);
    for bind in [
        "sqldata:/var/opt/mssql",
        "sqlstate:/run/sql-edge-supervisor",
    ] {
        for options in [&sql_options, &options, &module("sqlowner").1] {
            assert!(binds(options).iter().any(|one| one == bind), "{bind}");
        }
    }
    assert_eq!(
        sql_options["User"], options["User"],
        "the sockets obey one user"
    );
    let grace = "SUPERVISOR_TERMINATION_GRACE_PERIOD";
    assert_eq!(sql["env"][grace], supervisor["env"][grace]);
    let seconds = sql_options["StopTimeout"].as_u64().expect("seconds");
    assert_eq!(sql["env"][grace]["value"], format!("{seconds}s"));
    assert!(
        options["StopTimeout"].as_u64() > Some(seconds),
        "it sees to the stop"
    );
    assert_eq!(supervisor["env"]["SUPERVISOR_SQL_HOST"]["value"], "sql");
    assert_eq!(
        sql_options["HostConfig"]["CapAdd"],
        serde_json::json!(["NET_BIND_SERVICE"])
    );
    let memory = sql_options["HostConfig"]["Memory"].as_u64().expect("bytes");
    let engine = sql["env"]["MSSQL_MEMORY_LIMIT_MB"]["value"].as_str();
    let engine: u64 = engine.expect("a text").parse().expect("a number");
    assert!(engine << 20 < memory, "{engine} MB of {memory} bytes");
    // The program that launches lies on a volume that `install` fills.
    let program = &words(&sql_options["Entrypoint"])[0];
    assert!(program.starts_with("/supervisor/"), "{program}");
    assert_eq!(
        binds(&module("sqlinstall").1),
        ["sqlsupervisor:/supervisor"]
    );
    assert!(binds(&sql_options).contains(&"sqlsupervisor:/supervisor:ro".to_owned()));
}
