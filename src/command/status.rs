//! `status`: what a running supervisor knows, as a table.
//!
//! The document is read leniently: a supervisor of another version may say more or less.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use super::client::{self, ClientError, Endpoint};
use super::table::{self, safe};
use super::{Exit, endpoint};
use crate::cli::Target;
use crate::config::Environment;
use crate::config::kind::show_duration;
use crate::decide::decision::Probe;

/// From one look to the next with `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Databases that are listed; of more, those that are not online.
const MAX_ONLINE_DATABASES: usize = 20;

/// Transitions that are listed.
const MAX_HISTORY: usize = 8;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum StatusError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("it answers {0}: is it a supervisor?")]
    Status(u16),
    #[error("its answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Asks and prints, once or until Ctrl-C, which ends the process as it does any other.
///
/// # Errors
/// When it can't be written.
pub fn execute(
    target: &Target,
    environment: Environment,
    json: bool,
    watch: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let endpoint = match endpoint(target, environment) {
        Ok(endpoint) => endpoint,
        Err(mistake) => {
            let _ = writeln!(err, "{mistake}");
            return Ok(Exit::Usage);
        }
    };
    let clear = io::stdout().is_terminal();
    loop {
        let answer = fetch(&endpoint, target.timeout);
        if watch && clear {
            // Home, and clear from there: a plain redraw.
            write!(out, "\x1b[H\x1b[2J")?;
        }
        let exit = match (answer, json) {
            (Ok((body, _)), true) => {
                writeln!(out, "{}", body.trim_end())?;
                Exit::Done
            }
            (Ok((_, document)), false) => {
                render(&document, out)?;
                Exit::Done
            }
            (Err(error), _) => {
                let _ = writeln!(err, "{endpoint}: {}", safe(&error.to_string()));
                Exit::Failed
            }
        };
        if !watch {
            return Ok(exit);
        }
        out.flush()?;
        #[allow(
            clippy::disallowed_methods,
            reason = "a redraw at a pace; there is no event"
        )]
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn fetch(endpoint: &Endpoint, timeout: Duration) -> Result<(String, Value), StatusError> {
    let answer = client::get(endpoint, "/status", "application/json", timeout)?;
    if answer.status != 200 {
        return Err(StatusError::Status(answer.status));
    }
    let document = serde_json::from_str(&answer.body)?;
    Ok((answer.body, document))
}

/// Writes the document for people.
fn render(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    let supervisor = &document["supervisor"];
    writeln!(
        out,
        "sql-edge-supervisor {}, pid {}, up {}; the engine is {}\n",
        text(&supervisor["version"]),
        text(&supervisor["pid"]),
        seconds(&supervisor["uptimeSeconds"]),
        text(&document["phase"]),
    )?;
    verdicts(&document["verdicts"], out)?;
    findings(items(&document["findings"]), out)?;
    for (title, key) in [
        ("process", "process"),
        ("sql", "sql"),
        ("volume", "volume"),
        ("cgroup", "cgroup"),
    ] {
        block(title, &document[key], out)?;
    }
    databases(items(&document["databases"]), out)?;
    history(items(&document["history"]), out)
}

fn verdicts(verdicts: &Value, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<_> = Probe::ALL
        .iter()
        .map(|probe| {
            let answer = &verdicts[probe.name()];
            [
                probe.name().to_owned(),
                text(&answer["verdict"]),
                seconds(&answer["sinceSeconds"]),
                joined(&answer["reasons"]),
            ]
        })
        .collect();
    table::write(out, ["PROBE", "VERDICT", "SINCE", "REASONS"], &rows)
}

fn findings(findings: &[Value], out: &mut dyn Write) -> io::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            [
                text(&finding["reason"]),
                text(&finding["outcome"]),
                seconds(&finding["sinceSeconds"]),
                text(&finding["evidence"]),
            ]
        })
        .collect();
    writeln!(out)?;
    table::write(out, ["FINDING", "OUTCOME", "SINCE", "EVIDENCE"], &rows)?;
    for finding in findings {
        writeln!(
            out,
            "  {}: {}",
            safe(&text(&finding["reason"])),
            safe(&text(&finding["action"]))
        )?;
    }
    Ok(())
}

/// A part of the document whose fields are told by their names.
fn block(title: &str, part: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut fields = Vec::new();
    flatten("", part, &mut fields);
    if fields.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", title.to_uppercase())?;
    let width = fields.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    for (name, value) in fields {
        writeln!(out, "  {:width$}  {}", safe(&name), safe(&value))?;
    }
    Ok(())
}

/// The scalars in `part` with their paths, such as `ping.roundTripSeconds`. The parser bounds the
/// depth.
fn flatten(prefix: &str, part: &Value, fields: &mut Vec<(String, String)>) {
    match part {
        Value::Object(map) => {
            for (name, value) in map {
                let path = match prefix {
                    "" => name.clone(),
                    _ => format!("{prefix}.{name}"),
                };
                flatten(&path, value, fields);
            }
        }
        Value::Null => {}
        // A scalar, or an array, in place of an object has no name to be shown by.
        _ if prefix.is_empty() => {}
        Value::Array(_) => fields.push((prefix.to_owned(), joined(part))),
        _ => fields.push((prefix.to_owned(), text(part))),
    }
}

fn databases(databases: &[Value], out: &mut dyn Write) -> io::Result<()> {
    let online = |database: &&Value| text(&database["state"]).eq_ignore_ascii_case("online");
    let all = databases.len() <= MAX_ONLINE_DATABASES;
    let rows: Vec<_> = databases
        .iter()
        .filter(|database| all || !online(database))
        .map(|database| {
            let percent = database["recoveryPercent"].as_f64();
            [
                text(&database["name"]),
                text(&database["state"]),
                percent.map_or_else(String::new, |percent| format!("{percent:.1} % recovered")),
            ]
        })
        .collect();
    if !rows.is_empty() {
        writeln!(out)?;
        table::write(out, ["DATABASE", "STATE", ""], &rows)?;
    }
    if !all {
        let rest = databases.len() - rows.len();
        writeln!(out, "\n{rest} databases are online")?;
    }
    Ok(())
}

fn history(history: &[Value], out: &mut dyn Write) -> io::Result<()> {
    if history.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = history
        .iter()
        .rev()
        .take(MAX_HISTORY)
        .map(|change| {
            [
                text(&change["at"]),
                text(&change["probe"]),
                text(&change["verdict"]),
                joined(&change["reasons"]),
            ]
        })
        .collect();
    writeln!(out)?;
    table::write(out, ["CHANGED AT", "PROBE", "TO", "REASONS"], &rows)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn joined(value: &Value) -> String {
    let items: Vec<_> = items(value).iter().map(text).collect();
    items.join(", ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "?".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Seconds as a duration; whole seconds are enough for reading.
fn seconds(value: &Value) -> String {
    match value.as_f64() {
        // The conversion saturates: a negative or endless number can't come to harm here.
        Some(seconds) => show_duration(Duration::from_secs(seconds as u64)),
        None => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rendered(document: &Value) -> String {
        let mut out = Vec::new();
        render(document, &mut out).expect("a Vec takes all");
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn the_document_as_a_table() {
        let text = rendered(&json!({
            "version": 1,
            "supervisor": {"version": "0.1.0", "uptimeSeconds": 192.5, "pid": 7},
            "phase": "running",
            "verdicts": {
                "startup": {"verdict": "pass", "reasons": [], "sinceSeconds": 180},
                "live": {"verdict": "pass", "reasons": [], "sinceSeconds": 180},
                "ready": {"verdict": "fail", "reasons": ["Recovering"], "sinceSeconds": 12},
                "gate": {"verdict": "pass", "reasons": [], "sinceSeconds": 192},
            },
            "findings": [{"reason": "Recovering", "outcome": "wait", "evidence": "orders: 34 %\u{1b}",
                "sinceSeconds": 12, "action": "Wait."}],
            "process": {"pid": 9, "state": "running"},
            "sql": {"version": "15.0", "ping": {"roundTripSeconds": 0.002}},
            "databases": [{"name": "orders", "state": "RECOVERING", "recoveryPercent": 34.0}],
            "volume": {}, "cgroup": null,
            "history": [{"at": "2025-01-01T00:00:00Z", "probe": "ready", "verdict": "fail",
                "reasons": ["Recovering"]}],
        }));
        let expected = "\
sql-edge-supervisor 0.1.0, pid 7, up 3m12s; the engine is running

PROBE    VERDICT  SINCE  REASONS
startup  pass     3m
live     pass     3m
ready    fail     12s    Recovering
gate     pass     3m12s

FINDING     OUTCOME  SINCE  EVIDENCE
Recovering  wait     12s    orders: 34 %?
  Recovering: Wait.

PROCESS
  pid    9
  state  running

SQL
  ping.roundTripSeconds  0.002
  version                15.0

DATABASE  STATE
orders    RECOVERING  34.0 % recovered

CHANGED AT            PROBE  TO    REASONS
2025-01-01T00:00:00Z  ready  fail  Recovering
";
        assert_eq!(text, expected);
    }

    #[test]
    fn many_databases_are_summed_up() {
        let mut databases = vec![json!({"name": "bad", "state": "SUSPECT"})];
        databases.extend((0..30).map(|n| json!({"name": format!("db{n}"), "state": "online"})));
        let text = rendered(&json!({"databases": databases}));
        assert!(text.contains("bad       SUSPECT"), "{text}");
        assert!(text.contains("30 databases are online"), "{text}");
        assert!(!text.contains("db1"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        let key = prop_oneof![
            Just("verdicts".to_owned()),
            Just("findings".to_owned()),
            Just("databases".to_owned()),
            Just("sinceSeconds".to_owned()),
            Just("process".to_owned()),
            any::<String>(),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_can_be_rendered(document in any_json()) {
            let text = rendered(&document);
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}
