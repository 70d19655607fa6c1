//! What `docker/` says is what the binary, the benchmark and the README say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sql_edge_supervisor::cli::{self, Invocation};
use sql_edge_supervisor::config::{Environment, Flags, Sources, parse};

/// What the SQL images know besides the variables that the supervisor reads as well
/// (learn.microsoft.com, "Configure SQL Server settings with environment variables on Linux").
const OF_SQL: &[&str] = &[
    "ACCEPT_EULA",
    "MSSQL_PID",
    "MSSQL_SA_PASSWORD",
    "MSSQL_MEMORY_LIMIT_MB",
];

pub fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between `before` and the next quotation mark.
fn quoted<'a>(text: &'a str, before: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("{before} is not there"));
    rest.split('"').next().unwrap_or_default()
}

#[test]
fn the_image_is_compiled_with_the_flags_that_are_measured() {
    let compile = read("docker/compile");
    let flags = quoted(&compile, "\nRUSTFLAGS=\"");
    assert!(flags.contains("+crt-static"), "{flags}");
    assert!(read("docs/install.md").contains("docker/compile binary "));
    let measured = read("tests/bench/subject.rs");
    assert!(measured.contains("Command::new(\"docker/compile\")"));
}

#[test]
fn what_the_compilation_reads_gets_into_its_stage() {
    let (dockerfile, ignored) = (read("docker/Dockerfile"), read(".dockerignore"));
    let copied: Vec<_> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .flat_map(|line| line.split(' '))
        .collect();
    let compile = read("docker/compile");
    let flags = quoted(&compile, "\nRUSTFLAGS=\"").split([' ', ',']);
    let scripts = flags.filter(|flag| flag.ends_with(".ld"));
    let sources = ["Cargo.toml", "Cargo.lock", "src", "docker/compile"];
    for file in sources.into_iter().chain(scripts) {
        assert!(copied.contains(&file), "{file} is not copied");
        let allowed = ignored.lines().any(|line| line == format!("!{file}"));
        assert!(allowed, "{file} is left out by .dockerignore");
    }
}

#[test]
fn every_base_is_pinned_by_its_full_version() {
    let mut images = Vec::new();
    for file in ["docker/Dockerfile", "docker/standin.Dockerfile"] {
        let text = read(file);
        let named = text.lines().filter_map(|line| line.strip_prefix("ARG "));
        let named = named.filter_map(|line| line.split_once('='));
        images.extend(
            named
                .filter(|(_, v)| v.contains('/'))
                .map(|(_, v)| v.to_owned()),
        );
        for from in text.lines().filter_map(|line| line.strip_prefix("FROM ")) {
            assert!(
                from == "scratch" || from.contains("${"),
                "{file}: {from} can't be replaced by a digest from outside"
            );
        }
    }
    for service in compose()["services"]
        .as_object()
        .expect("services")
        .values()
    {
        images.push(text(&service["image"]));
    }
    assert!(images.len() > 5, "{images:?}");
    for image in images {
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        let version = tag.trim_start_matches('v').split('-').next();
        let parts = version.unwrap_or_default().split('.');
        let full = parts.clone().all(|part| part.parse::<u32>().is_ok());
        let enough = parts.count() >= 2;
        assert!(full && enough, "{image} is not pinned by its full version");
    }
}

#[test]
fn the_image_is_labelled_with_this_version() {
    let dockerfile = read("docker/Dockerfile");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(quoted(&dockerfile, "image.version=\""), version);
    assert!(dockerfile.contains(&format!("sql-edge-supervisor:{version},")));
    let image = text(&compose()["services"]["supervisor"]["image"]);
    assert_eq!(image, format!("sql-edge-supervisor:{version}"));
    let licence = quoted(&dockerfile, "image.licenses=\"");
    assert_eq!(licence, env!("CARGO_PKG_LICENSE"));
}

#[test]
fn compose_sets_what_the_programs_know() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().expect("services") {
        let environment = environment(service);
        let image = text(&service["image"]);
        let ours = environment
            .keys()
            .filter(|key| !OF_SQL.contains(&key.as_str()));
        for key in ours {
            let known = key.starts_with("SUPERVISOR_") || image.contains("grafana");
            assert!(known, "{name}: {key} is nobody's");
        }
        if let Some(invocation) = invocation(service) {
            let flags = match &invocation {
                Invocation::Run(flags) | Invocation::Launch { flags, .. } => flags.clone(),
                _ => continue,
            };
            accepted(name, flags, &environment);
        }
    }
}

/// Settings that the binary takes.
fn accepted(service: &str, flags: Flags, environment: &BTreeMap<String, String>) {
    let variables = environment
        .iter()
        .map(|(key, value)| (OsString::from(key), OsString::from(value)));
    let sources = Sources::load(flags, Environment::from_vars(variables));
    let effective = parse(&sources).unwrap_or_else(|errors| panic!("{service}: {errors}"));
    // Both are on a network that nobody else is on, which the settings don't say.
    let warnings = effective.warnings.iter().filter(|w| w.setting != "sql-tls");
    let warnings: Vec<_> = warnings.map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{service}: {warnings:?}");
}

#[test]
fn compose_stops_and_asks_as_the_supervisor_is_told() {
    let compose = compose();
    let (sql, supervisor) = (
        &compose["services"]["sql"],
        &compose["services"]["supervisor"],
    );
    for service in [sql, supervisor] {
        assert_eq!(
            environment(service)["SUPERVISOR_TERMINATION_GRACE_PERIOD"],
            text(&sql["stop_grace_period"])
        );
    }
    let test = words(&sql["healthcheck"]["test"]);
    assert_eq!(test[0], "CMD");
    assert!(
        matches!(
            cli::parse(test[1..].iter().map(OsString::from)),
            Ok(Invocation::Probe { .. })
        ),
        "{test:?}"
    );
    // Whoever runs a command that stands on the shared volume needs it there.
    let mounts: Vec<_> = words(&sql["volumes"])
        .iter()
        .filter_map(|mount| mount.split(':').nth(1).map(PathBuf::from))
        .collect();
    for program in [&test[1], &words(&sql["entrypoint"])[0]] {
        let there = mounts.iter().any(|at| Path::new(program).starts_with(at));
        assert!(there, "{program} is on no mount of {mounts:?}");
    }
    let limit = text(&sql["mem_limit"]);
    let limit: u32 = limit.trim_end_matches('g').parse().expect("GiB");
    let engine: u32 = environment(sql)["MSSQL_MEMORY_LIMIT_MB"]
        .parse()
        .expect("MB");
    assert!(engine < limit * 1024, "{engine} MB of {limit} GiB");
}

#[test]
fn compose_names_only_what_it_declares() {
    let compose = compose();
    let declared = |kind: &str, name: &str| {
        !compose[kind][name].is_null() || {
            // `name:` without a value is declared too.
            compose[kind]
                .as_object()
                .is_some_and(|all| all.contains_key(name))
        }
    };
    for (name, service) in compose["services"].as_object().expect("services") {
        for mount in words(&service["volumes"]) {
            let source = mount.split(':').next().unwrap_or_default();
            let is_path = source.starts_with('.');
            assert!(is_path || declared("volumes", source), "{name}: {mount}");
        }
        for network in words(&service["networks"]) {
            assert!(declared("networks", &network), "{name}: {network}");
            let private = network == "engine";
            assert!(
                !private || ["sql", "supervisor"].contains(&name.as_str()),
                "{name}"
            );
        }
        for secret in words(&service["secrets"]) {
            assert!(declared("secrets", &secret), "{name}: {secret}");
        }
        let needed = service["depends_on"].as_object();
        for other in needed.into_iter().flatten().map(|(other, _)| other) {
            assert!(declared("services", other), "{name}: {other}");
        }
    }
}

/// What this service runs of ours.
fn invocation(service: &Value) -> Option<Invocation> {
    let mut line = words(&service["entrypoint"]);
    if line.is_empty() {
        // The image's.
        line.push("/sql-edge-supervisor".to_owned());
        text(&service["image"])
            .contains("sql-edge-supervisor")
            .then_some(())?;
    }
    line[0].ends_with("sql-edge-supervisor").then_some(())?;
    line.extend(words(&service["command"]));
    let parsed = cli::parse(line.iter().map(OsString::from));
    Some(parsed.unwrap_or_else(|error| panic!("{line:?}: {error}")))
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let entries = service["environment"].as_object().into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}

/// A scalar as compose hands it on: variables that nobody sets have their defaults, and one that has to
/// be set has some value.
fn text(value: &Value) -> String {
    let mut text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    while let Some((before, rest)) = text.split_once("${") {
        let (variable, after) = rest.split_once('}').expect("it is closed");
        let default = match variable.split_once(":-") {
            Some((_, default)) => default,
            None => "given",
        };
        text = format!("{before}{default}{after}");
    }
    text
}

fn compose() -> Value {
    serde_saphyr::from_str(&read("docker/compose.yaml")).expect("YAML")
}
