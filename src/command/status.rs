//! `status`: prints what a running supervisor knows, as a table.
//!
//! The document is read leniently: a supervisor of another version may send more or fewer fields.

mod fields;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use super::client::{self, ClientError, Endpoint};
use super::table::{self, safe};
use super::{Exit, endpoint, history};
use crate::cli::Target;
use crate::config::Environment;
use crate::config::kind::show_duration;
use crate::decide::decision::Probe;
use crate::decide::reason::Reason;

/// The time from one request to the next with `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The limit of databases that are all listed; of more, only those that are not online are.
const MAX_ONLINE_DATABASES: usize = 20;

/// The number of changes of verdicts that are listed.
const MAX_HISTORY: usize = 8;

/// The reason for which there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum StatusError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("it answers {0}: is it a supervisor?")]
    Status(u16),
    #[error("its answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Asks the supervisor and prints its status, once or until Ctrl-C, which ends the process as it does any
/// other.
///
/// # Errors
/// When the output can't be written.
pub fn execute(
    target: &Target,
    environment: Environment,
    json: bool,
    watch: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let endpoint = match endpoint(target, environment.clone()) {
        Ok(endpoint) => endpoint,
        Err(mistake) => {
            let _ = writeln!(err, "{mistake}");
            return Ok(Exit::Usage);
        }
    };
    // Of the supervisor of this container; another one's volume is not here.
    let local = target.url.is_none() && !json;
    let clear = watch && io::stdout().is_terminal();
    loop {
        // Written as a whole, so that a redraw does not flicker. Home, and clear from there.
        let mut screen = match clear {
            true => b"\x1b[H\x1b[2J".to_vec(),
            false => Vec::new(),
        };
        let volume = Environment::clone(&environment);
        let history = local
            .then(|| history::last(&target.flags, volume))
            .flatten();
        let exit = match fetch(&endpoint, target.timeout) {
            Ok((body, document)) => {
                match json {
                    true => writeln!(screen, "{}", body.trim_end())?,
                    false => {
                        render(&document, &mut screen)?;
                        screen.extend(history.iter().flatten());
                    }
                }
                Exit::Done
            }
            Err(error) => {
                let why = format!("{endpoint}: {error}{}", error.advice());
                match clear {
                    true => writeln!(screen, "{}", safe(&why))?,
                    false => drop(writeln!(err, "{}", safe(&why))),
                }
                Exit::Failed
            }
        };
        if watch && !clear {
            writeln!(screen)?;
        }
        out.write_all(&screen)?;
        out.flush()?;
        if !watch {
            return Ok(exit);
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "a redraw at a pace; there is no event"
        )]
        std::thread::sleep(WATCH_INTERVAL);
    }
}

impl StatusError {
    /// Returns what to check, where there is more to say than what went wrong.
    fn advice(&self) -> &'static str {
        match self {
            Self::Client(ClientError::Io(error))
                if error.kind() == io::ErrorKind::ConnectionRefused =>
            {
                "; is the supervisor running?"
            }
            _ => "",
        }
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

/// Writes the status document for people.
fn render(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    let supervisor = &document["supervisor"];
    writeln!(
        out,
        "sql-edge-supervisor {}, pid {}, up {}{}; the engine is {}\n",
        safe(&text(&supervisor["version"])),
        safe(&text(&supervisor["pid"])),
        seconds(&supervisor["uptimeSeconds"]),
        match supervisor["healthy"] == false {
            true => ", NOT HEALTHY: see /healthz",
            false => "",
        },
        safe(&text(&document["phase"])),
    )?;
    verdicts(document, out)?;
    findings(document, out)?;
    for (key, title) in [
        ("process", "PROCESS"),
        ("lastRestart", "LAST RESTART"),
        ("sql", "SQL"),
        ("volume", "VOLUME"),
        ("lease", "LEASE"),
        ("cgroup", "CGROUP"),
    ] {
        fields::block(title, &document[key], out)?;
        if key == "volume" {
            for other in items(&document["otherVolumes"]) {
                fields::block("VOLUME", other, out)?;
            }
        }
    }
    databases(document, out)?;
    history(items(&document["history"]), out)
}

fn verdicts(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<_> = Probe::ALL
        .iter()
        .map(|probe| {
            let answer = &document["verdicts"][probe.name()];
            let reasons = match *probe {
                Probe::Live => held_by(document).unwrap_or_else(|| joined(&answer["reasons"])),
                _ => joined(&answer["reasons"]),
            };
            [
                probe.name().to_owned(),
                text(&answer["verdict"]),
                seconds(&answer["sinceSeconds"]),
                reasons,
            ]
        })
        .collect();
    table::write(out, ["PROBE", "VERDICT", "SINCE", "REASONS"], &rows)
}

/// Returns the reasons that keep liveness from failing, if there are any and it would fail otherwise.
fn held_by(document: &Value) -> Option<String> {
    let findings = items(&document["findings"]);
    let restart = findings.iter().any(|found| found["outcome"] == "restart");
    let codes = findings.iter().filter_map(|found| found["reason"].as_str());
    let holds: Vec<_> = codes
        .filter(|code| Reason::from_code(code).is_some_and(|reason| reason.info().holds))
        .collect();
    let held = restart && !holds.is_empty() && document["verdicts"]["live"]["verdict"] == "pass";
    held.then(|| format!("held by {}", holds.join(", ")))
}

fn findings(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    let findings = items(&document["findings"]);
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
    let held = held_by(document);
    for finding in findings {
        let action = match &held {
            // The catalogue's action, that the container is restarted, does not hold here.
            Some(held) if finding["outcome"] == "restart" => format!("Not restarted: {held}."),
            _ => text(&finding["action"]),
        };
        writeln!(
            out,
            "  {}: {}",
            safe(&text(&finding["reason"])),
            safe(&action)
        )?;
    }
    Ok(())
}

fn databases(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    let databases = items(&document["databases"]);
    let online = |database: &&Value| text(&database["state"]).eq_ignore_ascii_case("online");
    let all = databases.len() <= MAX_ONLINE_DATABASES;
    let rows: Vec<_> = databases
        .iter()
        .filter(|database| all || !online(database))
        .map(|database| {
            [
                text(&database["name"]),
                text(&database["state"]),
                notes(database),
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
    match document["databasesLeftOut"].as_u64() {
        None | Some(0) => Ok(()),
        Some(count) => writeln!(out, "\n{count} more are beyond max-databases"),
    }
}

/// Returns notes on a database: its recovery, and whether it is read-only.
fn notes(database: &Value) -> String {
    let mut notes = Vec::new();
    if let Some(percent) = database["recoveryPercent"].as_f64() {
        notes.push(format!("{percent:.1} % recovered"));
    }
    if database["recoveryRemainingSeconds"].is_number() {
        let remaining = seconds(&database["recoveryRemainingSeconds"]);
        notes.push(format!("about {remaining} left"));
    }
    if database["readOnly"] == true {
        notes.push("read-only".to_owned());
    }
    notes.join(", ")
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
            let reasons = joined(&change["reasons"]);
            [
                text(&change["at"]),
                text(&change["probe"]),
                text(&change["verdict"]),
                // With a pass come the reasons that went away.
                match change["verdict"] == "pass" && !reasons.is_empty() {
                    true => format!("after {reasons}"),
                    false => reasons,
                },
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

/// Returns seconds as a duration; whole seconds are enough for reading.
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
            "process": {"pid": 9, "state": "running", "residentBytes": 10168370},
            "sql": {"version": "15.0", "ping": {"roundTripSeconds": 0.002}},
            "databases": [{"name": "orders", "state": "recovering", "recoveryPercent": 34.0,
                "recoveryRemainingSeconds": 90.2, "readOnly": true}],
            "databasesLeftOut": 2,
            "volume": {}, "cgroup": null,
            "history": [{"at": "2025-01-01T00:00:00Z", "probe": "ready", "verdict": "fail",
                "reasons": ["Recovering"]}, {"at": "2025-01-01T00:00:01Z", "probe": "gate",
                "verdict": "pass", "reasons": ["DiskFull"]}],
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
  pid       9
  resident  9.7 MiB
  state     running

SQL
  ping round trip  2.0 ms
  version          15.0

DATABASE  STATE
orders    recovering  34.0 % recovered, about 1m30s left, read-only

2 more are beyond max-databases

CHANGED AT            PROBE  TO    REASONS
2025-01-01T00:00:01Z  gate   pass  after DiskFull
2025-01-01T00:00:00Z  ready  fail  Recovering
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_hold_is_named_where_a_restart_is_wanted() {
        let finding = |reason: Reason, outcome| json!({"reason": reason.code(), "outcome": outcome, "action": "Nothing: the container is restarted."});
        let mut document = json!({
            "supervisor": {"healthy": false},
            "verdicts": {"live": {"verdict": "pass", "reasons": []}},
            "findings": [finding(Reason::EngineUnresponsive, "restart"),
                finding(Reason::Maintenance, "notice")],
        });
        let text = rendered(&document);
        assert!(text.contains("NOT HEALTHY"), "{text}");
        assert!(
            text.contains("live     pass     ?      held by Maintenance"),
            "{text}"
        );
        let not = "EngineUnresponsive: Not restarted: held by Maintenance.";
        assert!(text.contains(not), "{text}");
        document["verdicts"]["live"]["verdict"] = json!("fail");
        let text = rendered(&document);
        assert!(!text.contains("held by"), "{text}");
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
