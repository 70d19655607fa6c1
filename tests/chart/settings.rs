//! The chart and the program know the same settings.

use std::ffi::OsString;
use std::fmt::Write as _;

use serde_json::{Value, json};
use sql_edge_supervisor::cli;
use sql_edge_supervisor::config::settings::{DefaultValue, SETTINGS, Setting, by_key};
use sql_edge_supervisor::config::{Config, Environment, Sources, parse};

use crate::helm::{NEWEST, render};
use crate::object::{Object, container, containers, environment, pod};
use crate::{chart, golden};

/// Settings that are no key of `supervisor.settings`: the chart gives them itself. What the values
/// have to be for the setting to get the text beside them.
const OWN: &[(&str, &str, &str)] = &[
    (
        "kubernetes-events",
        "kubernetesEvents: {enabled: true}",
        "true",
    ),
    (
        "listen",
        "supervisor: {port: 1, bindAddress: '[::]'}",
        "[::]:1",
    ),
    ("launch-listen", "supervisor: {livezPort: 2}", "0.0.0.0:2"),
    (
        "state-dir",
        "supervisor: {stateDir: /run/other}",
        "/run/other",
    ),
    (
        "sql-tls-server-name",
        "tls: {secretName: my-tls, serverName: db.example.com}",
        "db.example.com",
    ),
    ("sql-bootstrap-user", "{}", "sa"),
    (
        "sql-bootstrap-password-file",
        "{}",
        "/etc/sql-edge-supervisor/administrator/password",
    ),
    ("sql-port", "sql: {port: 3}", "3"),
    (
        "sql-user",
        "supervisor: {login: {name: watcher}}",
        "watcher",
    ),
    (
        "sql-password-file",
        "{}",
        "/etc/sql-edge-supervisor/login/password",
    ),
    (
        "sql-tls-ca",
        "tls: {secretName: my-tls}",
        "/etc/sql-edge-supervisor/tls/ca.crt",
    ),
    // Where the images have it, and can have it nowhere else.
    ("data-dir", "{}", "/var/opt/mssql"),
    ("lease", "volume: {lease: strict}", "strict"),
    ("volume-init", "volume: {init: never}", "never"),
    ("volume-id", "volume: {id: shop}", "shop"),
    (
        "volume-id-file",
        "volume: {idFrom: {configMap: my-id}}",
        "/etc/sql-edge-supervisor/volume/id",
    ),
    (
        "termination-grace-period",
        "terminationGracePeriodSeconds: 90",
        "90s",
    ),
    (
        "collectors-dir",
        "metrics: {collectors: {orders.yaml: ''}}",
        "/etc/sql-edge-supervisor/collectors",
    ),
];

/// Settings that come from the downward API.
const DOWNWARD: &[(&str, &str)] = &[
    ("pod-uid", "metadata.uid"),
    ("pod-name", "metadata.name"),
    ("node-name", "spec.nodeName"),
];

/// What the kubelet gives to every container.
const KUBELET: [(&str, &str); 2] = [
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ("KUBERNETES_SERVICE_PORT", "443"),
];

/// The configuration that the program makes of a container's environment.
pub fn config(container: &Value) -> Result<Config, String> {
    let variables = environment(container).into_iter().map(|(name, value)| {
        let value = value.unwrap_or("from-elsewhere");
        (OsString::from(name), OsString::from(value))
    });
    let given = KUBELET.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let variables = variables.chain(given);
    let sources = Sources {
        environment: Environment::from_vars(variables),
        ..Sources::default()
    };
    match parse(&sources) {
        Ok(effective) if effective.warnings.is_empty() => Ok(effective.config),
        Ok(effective) => Err(format!("warns: {:?}", effective.warnings)),
        Err(errors) => Err(errors.to_string()),
    }
}

/// The program understands every argument and every variable, without a warning.
pub fn assert_understood(objects: &[Object], values: &str) {
    for object in objects {
        let Some(pod) = object.pod() else { continue };
        for container in containers(pod) {
            let name = &container["name"];
            let words = |list: &Value| -> Vec<String> {
                let words = list.as_array().into_iter().flatten();
                words
                    .map(|word| word.as_str().expect("an argument is text").to_owned())
                    .collect()
            };
            let mut commands = vec![words(&container["lifecycle"]["preStop"]["exec"]["command"])];
            commands.push(match container["image"].as_str().expect("an image") {
                image if image.starts_with("sql-edge-supervisor") => [
                    vec!["sql-edge-supervisor".to_owned()],
                    words(&container["args"]),
                ]
                .concat(),
                _ => [words(&container["command"]), words(&container["args"])].concat(),
            });
            let ours = |command: &&Vec<String>| {
                command
                    .first()
                    .is_some_and(|program| program.ends_with("sql-edge-supervisor"))
            };
            for command in commands.iter().filter(ours) {
                let parsed = cli::parse(command.iter().map(OsString::from));
                assert!(parsed.is_ok(), "{values}\n{name}: {command:?}: {parsed:?}");
            }
            if let Err(error) = config(container) {
                panic!("{values}\n{name}: {error}");
            }
        }
    }
}

fn with_eula(values: &str) -> String {
    match values {
        "{}" => "acceptEula: true".to_owned(),
        values => format!("acceptEula: true\n{values}"),
    }
}

fn variable(objects: &[Object], setting: &Setting) -> Option<String> {
    let supervisor = container(pod(objects), "supervisor");
    let found = environment(supervisor)
        .into_iter()
        .find(|(name, _)| *name == setting.env());
    found.and_then(|(_, value)| value).map(str::to_owned)
}

#[test]
fn the_settings_that_the_chart_gives_itself_follow_its_values() {
    for (key, values, wanted) in OWN {
        let setting = by_key(key).unwrap_or_else(|| panic!("the program has no setting {key}"));
        let objects = render(NEWEST, &with_eula(values));
        assert_eq!(
            variable(&objects, setting).as_deref(),
            Some(*wanted),
            "{key}"
        );
        assert_understood(&objects, values);
    }
    let objects = render(NEWEST, "acceptEula: true");
    for (key, field) in DOWNWARD {
        let setting = by_key(key).expect("the program has it");
        for name in ["supervisor", "sql"] {
            let variables = container(pod(&objects), name)["env"].clone();
            let variables = variables.as_array().expect("a list").clone();
            let found = variables.iter().any(|variable| {
                let ours = variable["name"]
                    .as_str()
                    .is_some_and(|n| setting.fallback.contains(&n));
                ours && variable["valueFrom"]["fieldRef"]["fieldPath"] == *field
            });
            assert!(found, "{key} in {name}");
        }
    }
}

/// The keys of `supervisor.settings`.
fn free() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| {
        let own = OWN.iter().any(|(key, ..)| *key == setting.key);
        !own && !DOWNWARD.iter().any(|(key, _)| *key == setting.key)
    })
}

/// A value that a setting takes: its default, or an example where there is none.
fn example(setting: &Setting) -> String {
    match (setting.key, setting.default) {
        ("control-socket", _) => "/run/sql-edge-supervisor/c.sock".to_owned(),
        ("launch-socket", _) => "/run/sql-edge-supervisor/l.sock".to_owned(),
        ("diagnostics-interval", _) => "5s".to_owned(),
        ("stop-grace", _) => "20s".to_owned(),
        (_, DefaultValue::Text(text)) if !text.is_empty() => text.to_owned(),
        _ => match (setting.describe)().starts_with("an absolute path") {
            true => "/example".to_owned(),
            false => "example".to_owned(),
        },
    }
}

#[test]
fn any_other_setting_can_be_given_and_arrives_as_it_is() {
    let mut values = "acceptEula: true\nsupervisor:\n  settings:\n".to_owned();
    let mut wanted = Vec::new();
    for setting in free() {
        let text = example(setting);
        let schema = schema_of(&(setting.describe)());
        let types = schema["type"].clone();
        // Numbers as numbers: YAML's own types have to arrive too.
        let bare = ["integer", "number", "boolean"]
            .iter()
            .any(|known| types == *known);
        let shown = if bare {
            text.clone()
        } else {
            json!(text).to_string()
        };
        let _ = writeln!(values, "    {}: {shown}", setting.key);
        wanted.push((setting, text));
    }
    let objects = render(NEWEST, &values);
    for (setting, text) in wanted {
        assert_eq!(
            variable(&objects, setting).as_deref(),
            Some(&*text),
            "{}",
            setting.key
        );
    }
    for name in ["supervisor", "sql"] {
        let config = config(container(pod(&objects), name));
        // An example is no collector, for one; but nothing may be unknown or of a wrong form.
        if let Err(error) = config {
            assert!(error.contains("example"), "{name}: {error}");
        }
    }
}

/// The schema of a setting's values, by what the program says of them.
fn schema_of(describe: &str) -> Value {
    let bounds = |text: &str| -> (f64, f64) {
        let (low, high) = text.split_once(" to ").expect("from A to B");
        let number = |text: &str| text.parse().expect("a bound is a number");
        (number(low), number(high))
    };
    if let Some(given) = describe.strip_prefix("auto, or ") {
        return match schema_of(given)["type"] == "integer" {
            true => json!({"type": ["integer", "string"], "pattern": "^(auto|[0-9]+)$"}),
            false => schema_of(given),
        };
    }
    if let Some(range) = describe.strip_prefix("a whole number from ") {
        let (low, high) = bounds(range);
        return json!({"type": "integer", "minimum": low as u64, "maximum": high as u64});
    }
    if let Some(range) = describe.strip_prefix("a share from ") {
        let (low, high) = bounds(range);
        return json!({"type": "number", "minimum": low, "maximum": high});
    }
    if let Some(words) = describe.strip_prefix("one of ") {
        return json!({"enum": words.split(", ").collect::<Vec<_>>()});
    }
    match describe {
        "true or false" => json!({"type": "boolean"}),
        text if text.starts_with("a duration ") => {
            json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|day|d))+$"})
        }
        text if text.starts_with("bytes ") => {
            json!({"type": ["string", "integer"], "pattern": "^[0-9]+(Ki|Mi|Gi)?$"})
        }
        text if text.starts_with("an absolute path") => {
            json!({"type": "string", "pattern": "^/"})
        }
        text if text.contains("separated by commas") => {
            json!({"type": ["string", "array"], "items": {"type": "string", "minLength": 1}})
        }
        text if ["a name ", "an id ", "a host name "]
            .iter()
            .any(|start| text.starts_with(start)) =>
        {
            json!({"type": "string", "minLength": 1})
        }
        other => panic!("the chart's schema has no form for {other:?}"),
    }
}

/// The settings in the schema are the program's. The schema is written by hand but for them.
#[test]
fn the_schema_knows_the_settings() {
    let path = chart().join("values.schema.json");
    let text = std::fs::read_to_string(&path).expect("the schema is readable");
    let mut settings = serde_json::Map::new();
    for setting in free() {
        let mut schema = schema_of(&(setting.describe)());
        schema["description"] = json!(format!("{}: {}", setting.help, (setting.describe)()));
        settings.insert(setting.key.to_owned(), schema);
    }
    let made = json!({"type": "object", "additionalProperties": false, "properties": settings});
    let made = serde_json::to_string_pretty(&made).expect("JSON can be written");
    let made = made.replace('\n', "\n    ");
    let begin = "    \"supervisorSettings\": ";
    let (before, rest) = text.split_once(begin).expect("the schema has them");
    let end = rest.find("\n    }").expect("an object ends") + "\n    }".len();
    golden(&path, &format!("{before}{begin}{made}{}", &rest[end..]));
}

/// The defaults by which the templates check other values.
#[test]
fn the_templates_know_the_defaults() {
    let mut text = "# Written by the chart's test: the supervisor's defaults, for the checks in _validate.tpl.\n".to_owned();
    for setting in SETTINGS {
        if let DefaultValue::Text(default) = setting.default
            && (setting.describe)().starts_with("a duration ")
        {
            let _ = writeln!(text, "{}: {default}", setting.key);
        }
    }
    golden(&chart().join("files/settings.yaml"), &text);
}
