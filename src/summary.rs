//! A status document as people read it: what is said of each part, and in which units. The page and `status`
//! lay the same summary out, one in HTML and one as text.
//!
//! The document is read leniently: a supervisor of another version may send more or fewer fields.

mod fields;
pub mod units;

use std::time::Duration;

use serde_json::Value;

use crate::decide::decision::Probe;
use crate::decide::reason::Reason;

/// The parts of the document that are shown field by field, with their titles.
const SECTIONS: [(&str, &str); 7] = [
    ("process", "Process"),
    ("lastRestart", "Last restart"),
    ("sql", "SQL"),
    ("volume", "Volume"),
    ("otherVolumes", "Volume"),
    ("lease", "Lease"),
    ("cgroup", "Control group"),
];

/// The mark that stands for a field that is not there.
const MISSING: &str = "?";

/// The summary of one document.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    document: &'a Value,
}

/// The answer to one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The probe.
    pub probe: Probe,
    /// The verdict: `pass` or `fail`.
    pub verdict: String,
    /// The time for which the answer has been the same.
    pub lasting: String,
    /// The codes of the reasons, or what keeps liveness from failing.
    pub reasons: String,
}

impl Answer {
    /// Whether the probe passes.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.verdict == "pass"
    }
}

/// A reason that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The reason's code.
    pub reason: String,
    /// The word for what helps.
    pub outcome: String,
    /// The time for which the reason has held.
    pub lasting: String,
    /// The reason's meaning, in a sentence.
    pub summary: String,
    /// The evidence that the reason rests on.
    pub evidence: String,
    /// The advice, what to do about it.
    pub action: String,
}

/// The last observation of one observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observer {
    /// The observer's name.
    pub name: String,
    /// The result: `ok`, `failed` or `unknown`.
    pub mark: String,
    /// The observation in words.
    pub message: String,
    /// The age of the observation; empty where there is none.
    pub age: String,
}

/// A part that is shown field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The part's title.
    pub title: &'static str,
    /// Labels and values.
    pub rows: Vec<(String, String)>,
}

/// A database.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// The database's name.
    pub name: String,
    /// The state, as `sys.databases` spells it, in lower case.
    pub state: String,
    /// The part that has been recovered, while it recovers.
    pub recovery_percent: Option<f64>,
    /// The recovery in words, and whether the database is read-only.
    pub notes: String,
}

impl Database {
    /// Whether the database is online.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.state.eq_ignore_ascii_case("online")
    }
}

/// A change of a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The time of the change, in UTC.
    pub at: String,
    /// The probe's name.
    pub probe: String,
    /// The new verdict.
    pub verdict: String,
    /// The codes of the reasons: for a pass those that went away.
    pub reasons: String,
}

impl<'a> Summary<'a> {
    /// Returns the summary of `document`.
    #[must_use]
    pub const fn of(document: &'a Value) -> Self {
        Self { document }
    }

    /// Returns the field of the supervisor's own part.
    #[must_use]
    pub fn supervisor(self, field: &str) -> String {
        text(&self.document["supervisor"][field])
    }

    /// Returns the time for which the supervisor has been up.
    #[must_use]
    pub fn uptime(self) -> String {
        seconds(&self.document["supervisor"]["uptimeSeconds"])
    }

    /// Whether the supervisor says of itself that it is healthy, or does not say.
    #[must_use]
    pub fn is_healthy(self) -> bool {
        self.document["supervisor"]["healthy"] != false
    }

    /// Returns the word for how far the engine is.
    #[must_use]
    pub fn phase(self) -> String {
        text(&self.document["phase"])
    }

    /// Returns the server's edition and version, where they are known.
    #[must_use]
    pub fn server(self) -> Option<String> {
        let sql = &self.document["sql"];
        Some(format!(
            "{} {}",
            sql["edition"].as_str()?,
            sql["version"].as_str()?
        ))
    }

    /// Returns the answers of all probes.
    #[must_use]
    pub fn answers(self) -> [Answer; Probe::ALL.len()] {
        Probe::ALL.map(|probe| {
            let answer = &self.document["verdicts"][probe.name()];
            let held = match probe {
                Probe::Live => self.held_by(),
                Probe::Startup | Probe::Ready | Probe::Gate => None,
            };
            Answer {
                probe,
                verdict: text(&answer["verdict"]),
                lasting: seconds(&answer["sinceSeconds"]),
                reasons: held.unwrap_or_else(|| joined(&answer["reasons"])),
            }
        })
    }

    /// Returns the reasons that keep liveness from failing, if there are any and it would fail otherwise.
    fn held_by(self) -> Option<String> {
        let findings = items(&self.document["findings"]);
        let restart = findings.iter().any(|found| found["outcome"] == "restart");
        let codes = findings.iter().filter_map(|found| found["reason"].as_str());
        let holds: Vec<_> = codes
            .filter(|code| Reason::from_code(code).is_some_and(|reason| reason.info().holds))
            .collect();
        let passes = self.document["verdicts"]["live"]["verdict"] == "pass";
        let held = restart && !holds.is_empty() && passes;
        held.then(|| format!("held by {}", holds.join(", ")))
    }

    /// Returns all that was found.
    #[must_use]
    pub fn findings(self) -> Vec<Finding> {
        let held = self.held_by();
        let findings = items(&self.document["findings"]).iter();
        let shown = findings.map(|finding| Finding {
            reason: text(&finding["reason"]),
            outcome: text(&finding["outcome"]),
            lasting: seconds(&finding["sinceSeconds"]),
            summary: text(&finding["summary"]),
            evidence: text(&finding["evidence"]),
            action: match &held {
                // The catalogue's action, that the container is restarted, does not hold here.
                Some(held) if finding["outcome"] == "restart" => format!("Not restarted: {held}."),
                _ => text(&finding["action"]),
            },
        });
        shown.collect()
    }

    /// Returns the last observation of each observer; of an older supervisor, which does not send them, none.
    #[must_use]
    pub fn observers(self) -> Vec<Observer> {
        let observers = items(&self.document["observers"]).iter();
        let shown = observers.map(|check| Observer {
            name: text(&check["name"]),
            mark: text(&check["mark"]),
            message: text(&check["message"]),
            age: check["ageSeconds"]
                .as_f64()
                .map_or_else(String::new, units::seconds),
        });
        shown.collect()
    }

    /// Returns the parts that are shown field by field, as far as there is something of them.
    #[must_use]
    pub fn sections(self) -> Vec<Section> {
        let parts = SECTIONS.iter().flat_map(|(key, title)| {
            let part = &self.document[*key];
            // There may be several of a kind.
            let parts = part
                .as_array()
                .map_or(std::slice::from_ref(part), Vec::as_slice);
            parts.iter().map(|part| Section {
                title,
                rows: fields::rows(part),
            })
        });
        parts.filter(|part| !part.rows.is_empty()).collect()
    }

    /// Returns the databases that are listed, and how many are not.
    #[must_use]
    pub fn databases(self) -> (Vec<Database>, u64) {
        let databases = items(&self.document["databases"]).iter();
        let shown = databases.map(|database| Database {
            name: text(&database["name"]),
            state: text(&database["state"]),
            recovery_percent: database["recoveryPercent"].as_f64(),
            notes: notes(database),
        });
        let left_out = self.document["databasesLeftOut"].as_u64();
        (shown.collect(), left_out.unwrap_or(0))
    }

    /// Returns the last changes of verdicts, the newest first.
    #[must_use]
    pub fn history(self) -> Vec<Change> {
        let changes = items(&self.document["history"]).iter().rev();
        let shown = changes.map(|change| {
            let reasons = joined(&change["reasons"]);
            Change {
                at: text(&change["at"]),
                probe: text(&change["probe"]),
                verdict: text(&change["verdict"]),
                reasons: match change["verdict"] == "pass" && !reasons.is_empty() {
                    true => format!("after {reasons}"),
                    false => reasons,
                },
            }
        });
        shown.collect()
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

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn joined(value: &Value) -> String {
    let items: Vec<_> = items(value).iter().map(text).collect();
    items.join(", ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => MISSING.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns how long something has lasted; whole seconds are enough for reading.
fn seconds(value: &Value) -> String {
    match value.as_f64() {
        // The conversion saturates: a negative or endless number can't come to harm here.
        Some(seconds) => units::whole(Duration::from_secs(seconds as u64)),
        None => MISSING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hold_is_named_where_a_restart_is_wanted() {
        let finding = |reason: Reason, outcome| json!({"reason": reason.code(), "outcome": outcome, "action": "Nothing: the container is restarted."});
        let mut document = json!({
            "verdicts": {"live": {"verdict": "pass", "reasons": []}},
            "findings": [finding(Reason::EngineUnresponsive, "restart"),
                finding(Reason::Maintenance, "notice")],
        });
        let live = |document: &Value| {
            let answers = Summary::of(document).answers();
            answers
                .into_iter()
                .find(|answer| answer.probe == Probe::Live)
        };
        let reasons = live(&document).expect("it is one of all").reasons;
        assert_eq!(reasons, "held by Maintenance");
        let findings = Summary::of(&document).findings();
        assert_eq!(findings[0].action, "Not restarted: held by Maintenance.");
        assert_eq!(findings[1].action, "Nothing: the container is restarted.");
        document["verdicts"]["live"]["verdict"] = json!("fail");
        assert_eq!(live(&document).expect("it is one of all").reasons, "");
    }

    #[test]
    fn each_of_several_parts_has_a_section() {
        let document =
            json!({"volume": {"name": "a"}, "otherVolumes": [{"name": "b"}, {}], "cgroup": null});
        let names: Vec<_> = Summary::of(&document)
            .sections()
            .into_iter()
            .map(|section| (section.title, section.rows[0].1.clone()))
            .collect();
        let expected = [("Volume", "a".to_owned()), ("Volume", "b".to_owned())];
        assert_eq!(names, expected);
    }
}
