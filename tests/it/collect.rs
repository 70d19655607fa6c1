//! Metrics of the engine: custom collectors, what an engine may answer to them, and what it can't do
//! by that.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use serde_json::{Value, json};

use crate::client::obeyed;
use crate::shared::http::{Response, get_with};
use crate::shared::supervisor::Supervisor;
use crate::standin::command::Command;
use crate::standin::handle::StandIn;
use crate::standin::messages::SqlError;
use crate::standin::script::{
    Answer, Effect, Fault, Match, Script, ScriptedColumn, ScriptedResult,
};
use crate::standin::tds::types::SqlType;
use crate::support::{Scratch, binary, standin, standin_with, supervise, unique_name};

#[path = "../../src/exposition/tests/parser.rs"]
mod parser;

use parser::Family;

/// How the collectors' connection names itself.
const APPLICATION: &str = "sql-edge-supervisor/collect";

/// A collector of one metric, `NAME_v` with the label `key`, whose query holds `NAME_query`.
fn collector(name: &str) -> String {
    format!(
        "collector_name: {name}\n\
         metrics:\n\
         \x20 - metric_name: {name}_v\n\
         \x20   type: gauge\n\
         \x20   help: What {name} counts.\n\
         \x20   key_labels: [key]\n\
         \x20   values: [v]\n\
         \x20   query: SELECT key, v FROM {name}_query\n"
    )
}

fn answer(name: &str, types: [SqlType; 2], rows: Vec<Vec<Value>>) -> Answer {
    let column = |name: &str, sql_type| ScriptedColumn {
        name: name.to_owned(),
        sql_type,
        nullable: true,
    };
    let [key, v] = types;
    Answer {
        contains: format!("{name}_query"),
        results: vec![ScriptedResult {
            columns: vec![column("key", key), column("v", v)],
            rows,
        }],
        errors: vec![],
    }
}

fn good(name: &str) -> Answer {
    let types = [SqlType::NVarChar(20), SqlType::Int];
    answer(name, types, vec![vec![json!("a"), json!(7)]])
}

async fn answers(standin: &StandIn, answers: Vec<Answer>) {
    let command = Command::Answers { answers };
    standin.command(command).await.expect("it obeys");
}

/// A directory with these files.
fn directory(scratch: &Scratch, files: &[(&str, String)]) -> PathBuf {
    let path = scratch.path().join("collectors");
    fs::create_dir(&path).expect("the scratch is writable");
    for (file, text) in files {
        fs::write(path.join(file), text).expect("the scratch is writable");
    }
    path
}

type Settings<'a> = [(&'a str, &'a str)];

const FAST: &Settings<'_> = &[
    ("metrics-interval", "2s"),
    ("metrics-timeout", "2s"),
    ("login-timeout", "2s"),
];

/// Where it does not matter how fast a busy machine reads ten megabytes.
const PATIENT: &Settings<'_> = &[
    ("metrics-interval", "60s"),
    ("metrics-timeout", "20s"),
    ("login-timeout", "20s"),
    ("ready-freshness", "50s"),
    ("unresponsive-after", "60s"),
];

/// A supervisor that collects at this pace, and nothing but what files define.
async fn collecting(
    standin: &StandIn,
    name: &str,
    directory: &Path,
    pace: &Settings<'_>,
) -> Supervisor {
    let directory = directory.display().to_string();
    let mut more = vec![
        ("collectors-dir", directory.as_str()),
        ("metrics-profiles", ""),
    ];
    more.extend(pace);
    supervise(standin, name, &more).await
}

/// Waits until each of these collectors fares so: `collects`, or the reason why not.
async fn fare(supervisor: &mut Supervisor, wanted: &[(&str, &str)]) {
    let mut missing: BTreeMap<&str, &str> = wanted.iter().copied().collect();
    while !missing.is_empty() {
        let event = supervisor
            .event(|event| {
                event["collector"].is_string() && event["message"] != "a custom collector"
            })
            .await;
        let told = match event["reason"].as_str() {
            Some(reason) => reason,
            None => event["message"].as_str().expect("a message"),
        };
        missing.retain(|collector, fares| event["collector"] != *collector || told != *fares);
    }
}

/// A scrape that is valid throughout.
async fn scrape(supervisor: &Supervisor) -> BTreeMap<String, Family> {
    let (status, text) = supervisor.get("/metrics").await;
    assert_eq!(status, 200);
    parser::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The value of the sample with this label.
fn value(families: &BTreeMap<String, Family>, name: &str, label: (&str, &str)) -> Option<f64> {
    let samples = &families.get(name)?.samples;
    let found = samples
        .iter()
        .find(|sample| sample.label(label.0) == label.1);
    found.map(|sample| sample.value)
}

/// The reasons for which a collector fails, by name.
fn failures(families: &BTreeMap<String, Family>) -> BTreeMap<String, String> {
    let samples = families
        .get("sql_edge_collector_failure")
        .map_or(&[][..], |family| &family.samples);
    let named = samples.iter().map(|sample| {
        (
            sample.label("collector").to_owned(),
            sample.label("reason").to_owned(),
        )
    });
    named.collect()
}

#[tokio::test]
async fn a_custom_collector_is_one_scrape_with_the_rest() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    answers(&standin, vec![good("orders")]).await;
    let files = directory(&scratch, &[("orders.yml", collector("orders"))]);
    let mut supervisor = collecting(&standin, &name, &files, FAST).await;
    fare(&mut supervisor, &[("orders", "collects")]).await;
    let families = scrape(&supervisor).await;
    assert_eq!(value(&families, "orders_v", ("key", "a")), Some(7.0));
    assert_eq!(families["orders_v"].help, "What orders counts.");
    let of = ("collector", "orders");
    assert_eq!(
        value(&families, "sql_edge_collector_success", of),
        Some(1.0)
    );
    assert!(value(&families, "sql_edge_collector_runs_total", of) >= Some(1.0));
    assert!(failures(&families).is_empty());
    // It is one connection of its own, which says who it is.
    let statistics = standin.statistics().await.expect("it answers");
    assert!(
        statistics.statements.contains_key(APPLICATION),
        "{statistics:?}"
    );

    let response = |method, coding| get_with(&supervisor.address, method, "/metrics", coding);
    let Response { headers, body, .. } = response("GET", "gzip").await;
    assert_eq!(headers["content-encoding"], "gzip");
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&body[..]);
    std::io::Read::read_to_string(&mut decoder, &mut text).expect("a gzip stream");
    assert!(text.contains("\norders_v{key=\"a\"} 7\n"), "{text}");
    parser::parse(&text).expect("valid");
    let head = response("HEAD", "identity").await;
    let length: usize = head.headers["content-length"].parse().expect("a length");
    assert!(length > 1000 && head.body.is_empty());
}

/// Everything that an engine, or who can write into one, may answer.
fn hostile() -> Script {
    let text = [SqlType::NVarCharMax, SqlType::NVarCharMax];
    let megabytes = "x".repeat(5 << 20);
    let hostile = "} 1\nforged_metric 1\n# TYPE \"\\\u{0}\r\u{202e}";
    let label = "l".repeat(1 << 20);
    let denied = Answer {
        contains: "denied_query".to_owned(),
        results: vec![],
        errors: vec![SqlError::new(229)],
    };
    let fault = |on: &str, effect| Fault {
        on: Match {
            contains: Some(format!("{on}_query")),
            ..Match::default()
        },
        effect,
        times: None,
    };
    Script {
        faults: vec![
            fault("late", Effect::Hang),
            fault("broken", Effect::Reset),
            fault("failing", Effect::Error(SqlError::new(50_000))),
        ],
        answers: vec![
            good("good"),
            good("late"),
            good("broken"),
            denied,
            answer("huge", text, vec![vec![json!(megabytes), json!("1")]; 2]),
            answer("words", text, vec![vec![json!("a"), json!("many")]]),
            answer("nulls", text, vec![vec![json!(null), json!(null)]]),
            answer(
                "hostile",
                [SqlType::NVarCharMax, SqlType::Float],
                vec![
                    vec![json!(hostile), json!(1.5)],
                    vec![json!(label), json!(-1e300)],
                    vec![json!(hostile), json!(2)],
                ],
            ),
            answer(
                "dates",
                [SqlType::DateTime, SqlType::Int],
                vec![vec![json!(null), json!(1)]],
            ),
        ],
        ..Script::default()
    }
}

#[tokio::test]
async fn whatever_one_collector_is_answered_the_others_and_the_verdicts_stay() {
    let (scratch, name) = (Scratch::new(), unique_name());
    // Ten megabytes in UTF-16: more than a command to the stand-in may have.
    let script = hostile();
    let standin = standin_with(&scratch, &name, |options| options.script(script)).await;
    let names = [
        "broken", "dates", "denied", "failing", "good", "hostile", "huge", "late", "nulls", "words",
    ];
    let all: Vec<_> = names
        .map(|name| (format!("{name}.yml"), collector(name)))
        .into();
    let all: Vec<_> = all
        .iter()
        .map(|(file, text)| (&file[..], text.clone()))
        .collect();
    let files = directory(&scratch, &all);
    let mut supervisor = collecting(&standin, &name, &files, PATIENT).await;
    supervisor.passes("ready").await;
    let ready = supervisor.log.len();
    let reasons = [
        ("dates", "malformed"),
        ("denied", "denied"),
        ("failing", "engine_error"),
        ("huge", "too_long"),
        ("late", "timed_out"),
        ("words", "malformed"),
    ];
    let mut wanted = reasons.to_vec();
    wanted.extend([
        ("good", "collects"),
        ("hostile", "collects"),
        ("nulls", "collects"),
    ]);
    fare(&mut supervisor, &wanted).await;

    let families = scrape(&supervisor).await;
    let failures = failures(&families);
    for (collector, reason) in reasons {
        assert_eq!(
            failures.get(collector).map(String::as_str),
            Some(reason),
            "{collector}"
        );
        assert!(
            !families.contains_key(&format!("{collector}_v")),
            "{collector}"
        );
    }
    assert_eq!(failures["broken"], "unreachable");
    assert_eq!(value(&families, "good_v", ("key", "a")), Some(7.0));
    assert!(!families.contains_key("forged_metric"));
    assert!(!families.contains_key("nulls_v"), "NULL is no sample");
    let samples = &families["hostile_v"].samples;
    assert_eq!(samples.len(), 2, "a series stands once");
    assert!(
        samples[0]
            .label("key")
            .starts_with("} 1\nforged_metric 1\n# TYPE \"\\")
    );
    let left_out = value(
        &families,
        "sql_edge_collector_series_left_out",
        ("collector", "hostile"),
    );
    assert_eq!(left_out, Some(1.0));
    for probe in ["/startupz", "/livez", "/readyz", "/healthz"] {
        let (status, body) = supervisor.get(probe).await;
        assert_eq!(status, 200, "{probe}: {body}");
    }
    let since = &supervisor.log[ready..];
    assert!(!since.contains("\"fails\""), "{since}");
}

#[tokio::test]
async fn a_config_map_is_read_anew_and_a_bad_file_is_told_with_its_line() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    answers(&standin, vec![good("orders"), good("stock")]).await;
    let files = directory(&scratch, &[]);
    let bad = collector("orders").replace("gauge", "gague");
    for (version, orders) in [("..1", bad), ("..2", collector("orders"))] {
        fs::create_dir(files.join(version)).expect("a directory");
        fs::write(files.join(version).join("orders.yml"), orders).expect("a file");
        fs::write(files.join(version).join("stock.yml"), collector("stock")).expect("a file");
    }
    symlink("..1", files.join("..data")).expect("a link");
    for file in ["orders.yml", "stock.yml"] {
        symlink(Path::new("..data").join(file), files.join(file)).expect("a link");
    }
    let mut supervisor = collecting(&standin, &name, &files, FAST).await;
    fare(&mut supervisor, &[("stock", "collects")]).await;
    let path = files.join("orders.yml");
    let wanted = format!(
        "metrics[0].type = \\\"gague\\\" (file {}:4): is not a type",
        path.display()
    );
    assert!(supervisor.log.contains(&wanted), "{}", supervisor.log);
    let families = scrape(&supervisor).await;
    assert_eq!(
        failures(&families).get("orders.yml").map(String::as_str),
        Some("invalid")
    );
    assert_eq!(value(&families, "stock_v", ("key", "a")), Some(7.0));

    symlink("..2", files.join("..tmp")).expect("a link");
    fs::rename(files.join("..tmp"), files.join("..data")).expect("it replaces the link");
    fare(&mut supervisor, &[("orders", "collects")]).await;
    let families = scrape(&supervisor).await;
    assert!(failures(&families).is_empty());
    assert_eq!(value(&families, "orders_v", ("key", "a")), Some(7.0));
    assert_eq!(value(&families, "stock_v", ("key", "a")), Some(7.0));
}

#[tokio::test]
async fn while_somebody_works_on_the_engine_it_is_left_alone() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    answers(&standin, vec![good("orders")]).await;
    let files = directory(&scratch, &[("orders.yml", collector("orders"))]);
    let directory = files.display().to_string();
    let more = [
        ("collectors-dir", directory.as_str()),
        ("metrics-interval", "1s"),
        ("metrics-timeout", "500ms"),
        ("metrics-profiles", ""),
        ("log-level", "debug"),
    ];
    let mut supervisor = supervise(&standin, &name, &more).await;
    fare(&mut supervisor, &[("orders", "collects")]).await;
    let socket = standin.options().directory.join("state/control.sock");
    obeyed("pause --for 10m", &socket).await;
    supervisor
        .event(|event| event["message"] == "the engine is left alone")
        .await;
    let asked = async || {
        let statistics = standin.statistics().await.expect("it answers");
        statistics.statements.get(APPLICATION).cloned()
    };
    // The volume's checks go on meanwhile: twenty of them are twice the pace of the collectors.
    let checks = async || {
        let (_, text) = supervisor.get("/metrics").await;
        let line = text
            .lines()
            .find(|line| {
                line.starts_with("sql_edge_supervisor_volume_write_duration_seconds_count")
            })
            .and_then(|line| line.split(' ').nth(1));
        let count = line.expect("it is counted");
        count.parse::<f64>().expect("a number")
    };
    let begun = checks().await;
    // What was sent just before the pause is counted by then.
    while checks().await < begun + 1.0 {
        tokio::task::yield_now().await;
    }
    let before = asked().await;
    let enough = begun + 21.0;
    while checks().await < enough {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked().await, before);
    obeyed("resume", &socket).await;
    supervisor
        .event(|event| event["message"] == "the engine may be asked for metrics")
        .await;
}

#[test]
fn check_config_tells_every_mistake_of_every_file() {
    let scratch = Scratch::new();
    let files = directory(
        &scratch,
        &[
            (
                "a.yml",
                collector("a")
                    .replace("gauge", "gague")
                    .replace("values", "valuse"),
            ),
            ("b.yml", collector("b").replace("b_v", "sql_edge_info")),
            ("c.yml", collector("c")),
        ],
    );
    let check = |more: &[&str]| {
        let output = Process::new(binary())
            .args(["check-config", "--collectors-dir"])
            .arg(&files)
            .args(more)
            .env_clear()
            .env("MSSQL_SA_PASSWORD", "x")
            .output()
            .expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, out, err) = check(&["--metrics-collectors-off", "c,nobody"]);
    assert_eq!((code, out.as_str()), (Some(64), ""), "{err}");
    let at = |file: &str, line| format!("(file {}:{line})", files.join(file).display());
    for wanted in [
        format!("metrics[0].type = \"gague\" {}", at("a.yml", 4)),
        format!("metrics[0].valuse {}", at("a.yml", 7)),
        format!("metrics[0].values {}: is missing", at("a.yml", 3)),
        format!("metrics[0].metric_name {}", at("b.yml", 3)),
        "sql_edge_info is exposed by the supervisor already".to_owned(),
        "metrics-collectors-off = \"nobody\" (flag --metrics-collectors-off): names no collector"
            .to_owned(),
    ] {
        assert!(err.contains(&wanted), "{wanted}\n{err}");
    }
    fs::remove_file(files.join("a.yml")).expect("it is there");
    fs::remove_file(files.join("b.yml")).expect("it is there");
    let (code, out, err) = check(&[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("collectors-dir: "), "{out}");
}

#[tokio::test]
async fn turned_off_nothing_is_asked() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let standin = standin(&scratch, &name).await;
    let more = [("metrics-collect", "false")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    let families = scrape(&supervisor).await;
    assert!(!families.keys().any(|name| name.starts_with("mssql_")));
    assert!(!families.contains_key("sql_edge_collector_success"));
    let tasks = format!("/proc/{}/task", supervisor.pid().as_raw_pid());
    let threads = fs::read_dir(tasks).expect("it runs");
    let names = threads.map(|task| {
        let path = task.expect("a thread").path().join("comm");
        fs::read_to_string(path).unwrap_or_default()
    });
    assert!(!names.into_iter().any(|name| name.trim() == "collect"));
}
