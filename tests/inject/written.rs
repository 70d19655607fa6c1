//! One manifest written in any way: order of keys, comments, indentation, quotes, braces. The result means
//! the same whatever the way, and no comment is lost.

use proptest::prelude::*;
use serde_json::{Value, json};
use sql_edge_supervisor::inject::Request;

use super::given::{injected, request};

/// Choices, one after the other; the first ones again when they are used up.
struct Dice<'a> {
    rolls: &'a [u8],
    next: usize,
    comments: usize,
}

impl Dice<'_> {
    fn one_of(&mut self, sides: u8) -> u8 {
        self.next += 1;
        self.rolls[self.next % self.rolls.len()] % sides
    }

    fn once_in(&mut self, times: u8) -> bool {
        self.one_of(times) == 0
    }

    /// ` # c7`, now and then.
    fn comment(&mut self, lead: &str) -> String {
        if !self.once_in(5) {
            return String::new();
        }
        self.comments += 1;
        format!("{lead}# c{}:{{x}} 'a\" - {}.", self.comments, self.comments)
    }

    fn shuffled<'v>(
        &mut self,
        map: &'v serde_json::Map<String, Value>,
    ) -> Vec<(&'v String, &'v Value)> {
        let mut entries: Vec<_> = map.iter().collect();
        for index in (1..entries.len()).rev() {
            let other = usize::from(self.one_of(u8::try_from(index + 1).unwrap_or(u8::MAX)));
            entries.swap(index, other);
        }
        entries
    }

    fn scalar(&mut self, value: &Value, key: bool) -> String {
        let Value::String(text) = value else {
            return value.to_string();
        };
        let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/-.".contains(c))
            && !["true", "Y"].contains(&text.as_str());
        match self.one_of(if key { 8 } else { 3 }) {
            0 => format!("\"{text}\""),
            1 => format!("'{text}'"),
            _ if plain => text.clone(),
            _ => format!("\"{text}\""),
        }
    }

    fn flow(&mut self, value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.flow(item)).collect();
                let end = if !items.is_empty() && self.once_in(4) {
                    ","
                } else {
                    ""
                };
                format!("[{}{end}]", items.join(", "))
            }
            Value::Object(map) => {
                let entries: Vec<_> = self
                    .shuffled(map)
                    .into_iter()
                    .map(|(key, value)| {
                        let key = self.scalar(&json!(key), true);
                        format!("{key}: {}", self.flow(value))
                    })
                    .collect();
                let blank = if self.once_in(2) { " " } else { "" };
                format!("{{{blank}{}{blank}}}", entries.join(", "))
            }
            scalar => self.scalar(scalar, false),
        }
    }

    /// The lines of a collection, at this column.
    fn block(&mut self, value: &Value, column: usize, style: Style, out: &mut Vec<String>) {
        let lead = " ".repeat(column);
        match value {
            Value::Object(map) => {
                for (key, value) in self.shuffled(map) {
                    let above = self.comment(&lead);
                    out.extend((!above.is_empty()).then_some(above));
                    let key = self.scalar(&json!(key), true);
                    self.entry(&format!("{lead}{key}:"), value, column, style, out);
                }
            }
            Value::Array(items) => {
                for item in items {
                    let above = self.comment(&lead);
                    out.extend((!above.is_empty()).then_some(above));
                    if !is_collection(item) || self.once_in(6) {
                        let line = format!("{lead}- {}", self.flow(item));
                        let comment = self.comment(" ");
                        out.push(line + &comment);
                        continue;
                    }
                    let mut below = Vec::new();
                    self.block(item, column + 2, style, &mut below);
                    // A comment above the first key has no place behind the dash.
                    while below
                        .first()
                        .is_some_and(|line| line.trim_start().starts_with('#'))
                    {
                        out.push(below.remove(0));
                    }
                    below[0].replace_range(column..=column, "-");
                    out.extend(below);
                }
            }
            _ => {}
        }
    }

    fn entry(
        &mut self,
        key: &str,
        value: &Value,
        column: usize,
        style: Style,
        out: &mut Vec<String>,
    ) {
        let comment = self.comment("  ");
        let empty = value.as_array().is_some_and(Vec::is_empty);
        if !is_collection(value) || empty || self.once_in(style.flow) {
            let line = format!("{key} {}", self.flow(value));
            out.push(line + &comment);
            return;
        }
        out.push(key.to_owned() + &comment);
        let below = match value {
            Value::Array(_) => style.dash,
            _ => style.step,
        };
        self.block(value, column + below, style, out);
        if self.once_in(9) {
            out.push(String::new());
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Style {
    step: usize,
    dash: usize,
    /// One collection in so many is in braces.
    flow: u8,
}

fn is_collection(value: &Value) -> bool {
    matches!(value, Value::Object(map) if !map.is_empty()) || value.is_array()
}

/// A workload with some of what one may have.
fn workload(with: u16) -> Value {
    let has = |bit: u16| with & (1 << bit) != 0;
    let mut container = json!({
        "name": "db",
        "image": "mcr.microsoft.com/mssql/server:2022-latest",
        "env": [
            {"name": "ACCEPT_EULA", "value": "Y"},
            {"name": "MSSQL_SA_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mssql", "key": "sa"}}},
        ],
        "volumeMounts": [{"name": "data", "mountPath": "/var/opt/mssql"}],
    });
    let mut pod =
        json!({ "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}] });
    let mut spec = json!({ "selector": {"matchLabels": {"app": "db"}} });
    let tcp = json!({"tcpSocket": {"port": 1433}, "periodSeconds": 9});
    for (bit, key, value) in [
        (
            0,
            "command",
            json!(["/bin/bash", "-c", "exec /opt/mssql/bin/sqlservr"]),
        ),
        (1, "args", json!(["/opt/mssql/bin/sqlservr", "-T1"])),
        (2, "livenessProbe", tcp.clone()),
        (3, "readinessProbe", tcp),
        (
            4,
            "lifecycle",
            json!({"postStart": {"exec": {"command": ["/after"]}}}),
        ),
        (5, "ports", json!([{"containerPort": 1433}])),
    ] {
        if has(bit) {
            container[key] = value;
        }
    }
    let other = json!({"name": "other", "image": "busybox", "command": ["sleep", "1"]});
    let containers = match (has(6), has(7)) {
        (true, true) => json!([other, container, {"name": "last", "image": "busybox"}]),
        (true, false) => json!([other, container]),
        (false, true) => json!([container, other]),
        (false, false) => json!([container]),
    };
    pod["containers"] = containers;
    for (bit, key, value) in [
        (
            8,
            "initContainers",
            json!([{"name": "first", "image": "busybox"}]),
        ),
        (9, "terminationGracePeriodSeconds", json!(30)),
        (10, "terminationGracePeriodSeconds", json!(90)),
        (
            11,
            "securityContext",
            json!({"fsGroup": 10001, "runAsUser": 10001}),
        ),
        (12, "shareProcessNamespace", json!(true)),
    ] {
        if has(bit) {
            pod[key] = value;
        }
    }
    if has(13) {
        spec["replicas"] = json!(1);
    }
    if has(14) {
        spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}});
    }
    spec["template"] = json!({"metadata": {"labels": {"app": "db"}}, "spec": pod});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db"}, "spec": spec})
}

fn meaning(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The comments that are not within what is replaced, which goes with its comments.
fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut replaced: Option<usize> = None;
    for line in text.lines() {
        let column = line.len() - line.trim_start().len();
        let word = line
            .trim_start()
            .trim_start_matches("- ")
            .trim_start_matches(['"', '\'']);
        if word.is_empty() || replaced.is_some_and(|above| column > above) {
            continue;
        }
        if !word.starts_with('#') {
            let goes = ["livenessProbe", "readinessProbe", "strategy"];
            let dash = if line.trim_start().starts_with("- ") {
                2
            } else {
                0
            };
            replaced = goes
                .iter()
                .any(|key| word.starts_with(key))
                .then_some(column + dash);
        }
        found.extend(line.find("# c").map(|at| line[at..].to_owned()));
    }
    found
}

proptest! {
    // As many as proptest has by default, or PROPTEST_CASES.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_result_means_the_same_however_it_is_written(
        with in 0u16..1 << 15,
        rolls in prop::collection::vec(any::<u8>(), 64..512),
        step in prop_oneof![Just(1usize), Just(2), Just(3), Just(4), Just(8)],
        dash in prop_oneof![Just(0usize), Just(2), Just(4)],
        flow in prop_oneof![Just(3u8), Just(10), Just(255)],
        launch: bool,
        classic: bool,
    ) {
        let workload = workload(with);
        // What waits for the supervisor must not be waited for by it.
        let classic = classic && !(launch && with & (1 << 4) != 0);
        let request = Request { launch, classic, ..request() };
        let plain = serde_json::to_string_pretty(&workload).expect("a value is JSON");
        let expected = meaning(&injected(&plain, &request).text);

        let mut dice = Dice { rolls: &rolls, next: 0, comments: 0 };
        let mut lines = Vec::new();
        dice.block(&workload, 0, Style { step, dash, flow }, &mut lines);
        let text = lines.join("\n") + "\n";
        prop_assert_eq!(&meaning(&text), &workload, "the test's own writing:\n{}", text);

        let result = injected(&text, &request).text;
        prop_assert_eq!(&meaning(&result), &expected, "{}\n{}", text, result);
        let mut there = result.lines();
        for comment in comments(&text) {
            prop_assert!(there.any(|line| line.contains(&comment)), "{} is lost:\n{}\n{}", comment, text, result);
        }
    }
}
