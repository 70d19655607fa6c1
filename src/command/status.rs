//! `status`: prints what a running supervisor knows, as a table.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use super::client::{self, ClientError, ServerUrl};
use super::history::LastEvents;
use super::table::{self, safe};
use super::{Exit, endpoint};
use crate::cli::Target;
use crate::config::Environment;
use crate::summary::Summary;

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
    let mut last_events = LastEvents::default();
    loop {
        // Written as a whole, so that a redraw does not flicker. Home, and clear from there.
        let mut screen = match clear {
            true => b"\x1b[H\x1b[2J".to_vec(),
            false => Vec::new(),
        };
        let volume = Environment::clone(&environment);
        let history = local
            .then(|| last_events.text(&target.flags, volume))
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

fn fetch(endpoint: &ServerUrl, timeout: Duration) -> Result<(String, Value), StatusError> {
    let answer = client::get(endpoint, "/status", "application/json", timeout)?;
    if answer.status != 200 {
        return Err(StatusError::Status(answer.status));
    }
    let document = serde_json::from_str(&answer.body)?;
    Ok((answer.body, document))
}

/// Writes the status document for people.
fn render(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    let summary = Summary::of(document);
    writeln!(
        out,
        "sql-edge-supervisor {}, pid {}, up {}{}; the engine is {}\n",
        safe(&summary.supervisor("version")),
        safe(&summary.supervisor("pid")),
        summary.uptime(),
        match summary.is_healthy() {
            true => "",
            false => ", NOT HEALTHY: see /healthz",
        },
        safe(&summary.phase()),
    )?;
    verdicts(summary, out)?;
    findings(summary, out)?;
    observers(summary, out)?;
    sections(summary, out)?;
    databases(summary, out)?;
    history(summary, out)
}

fn verdicts(summary: Summary<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows = summary.answers().map(|answer| {
        let probe = answer.probe.name().to_owned();
        [probe, answer.verdict, answer.lasting, answer.reasons]
    });
    table::write(out, ["PROBE", "VERDICT", "SINCE", "REASONS"], &rows)
}

/// Writes a table below a blank line; nothing where it has no rows.
fn block<const N: usize>(
    out: &mut dyn Write,
    head: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    table::write(out, head, rows)
}

fn findings(summary: Summary<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut actions = String::new();
    let rows: Vec<_> = summary
        .findings()
        .into_iter()
        .map(|found| {
            actions += &format!("  {}: {}\n", safe(&found.reason), safe(&found.action));
            [found.reason, found.outcome, found.lasting, found.evidence]
        })
        .collect();
    block(out, ["FINDING", "OUTCOME", "SINCE", "EVIDENCE"], &rows)?;
    out.write_all(actions.as_bytes())
}

fn observers(summary: Summary<'_>, out: &mut dyn Write) -> io::Result<()> {
    let observers = summary.observers().into_iter();
    let rows: Vec<_> = observers
        .map(|seen| [seen.name, seen.mark, seen.age, seen.message])
        .collect();
    block(out, ["OBSERVER", "STATE", "AGE", "LAST SEEN"], &rows)
}

fn sections(summary: Summary<'_>, out: &mut dyn Write) -> io::Result<()> {
    for section in summary.sections() {
        writeln!(out, "\n{}", section.title.to_uppercase())?;
        let width = section.rows.iter().map(|(label, _)| label.chars().count());
        let width = width.max().unwrap_or(0);
        for (label, value) in section.rows {
            writeln!(out, "  {:width$}  {}", safe(&label), safe(&value))?;
        }
    }
    Ok(())
}

fn databases(summary: Summary<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (databases, left_out) = summary.databases();
    let count = databases.len();
    let all = count <= MAX_ONLINE_DATABASES;
    let rows: Vec<_> = databases
        .into_iter()
        .filter(|database| all || !database.is_online())
        .map(|database| [database.name, database.state, database.notes])
        .collect();
    block(out, ["DATABASE", "STATE", ""], &rows)?;
    if !all {
        writeln!(out, "\n{} databases are online", count - rows.len())?;
    }
    if left_out > 0 {
        writeln!(out, "\n{left_out} more are beyond max-databases")?;
    }
    Ok(())
}

fn history(summary: Summary<'_>, out: &mut dyn Write) -> io::Result<()> {
    let changes = summary.history().into_iter().take(MAX_HISTORY);
    let rows: Vec<_> = changes
        .map(|change| [change.at, change.probe, change.verdict, change.reasons])
        .collect();
    block(out, ["CHANGED AT", "PROBE", "TO", "REASONS"], &rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::publish::{fixture, status};

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
            "observers": [{"name": "ping", "mark": "ok", "message": "answered in 2.0 ms", "ageSeconds": 0.5},
                {"name": "login", "mark": "unknown", "message": "not observed yet"}],
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

OBSERVER  STATE    AGE    LAST SEEN
ping      ok       0.5 s  answered in 2.0 ms
login     unknown         not observed yet

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
    fn a_supervisor_that_is_not_healthy_is_loud() {
        let text = rendered(&json!({"supervisor": {"healthy": false}}));
        assert!(text.contains("NOT HEALTHY"), "{text}");
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

    /// The picture of docs/probes-and-reasons.md has the beginning: what was found, and what is seen.
    #[test]
    fn the_picture_shows_what_is_printed() {
        let document = status::value(&fixture::view("killed"));
        let screen = rendered(&document).replace(env!("CARGO_PKG_VERSION"), "VERSION");
        let pid = format!("pid {},", std::process::id());
        let screen = screen.replace(&pid, "pid 8,");
        let (screen, _) = screen.split_once("\n\nPROCESS").expect("it is a part");
        let columns = screen.lines().map(|line| line.chars().count()).max();
        let (width, height) = (
            columns.unwrap_or(0) * 8 + 32,
            screen.lines().count() * 18 + 32,
        );
        let mut picture = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"the beginning of what status prints\" \
             font-family=\"ui-monospace, 'DejaVu Sans Mono', monospace\" font-size=\"13\" fill=\"#e6e9ee\">\n\
             <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#14171c\"/>\n",
        );
        for (row, line) in screen.lines().enumerate() {
            // A renderer makes one of several spaces, but not of those that don't break.
            let line = line.replace('&', "&amp;").replace('<', "&lt;");
            let line = line.replace("  ", "\u{a0}\u{a0}");
            let y = row * 18 + 32;
            picture += &format!("<text x=\"16\" y=\"{y}\">{line}</text>\n");
        }
        picture += "</svg>\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pictures/status.svg");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &picture).expect("it can be written");
        }
        assert_eq!(picture, std::fs::read_to_string(path).unwrap_or_default());
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
