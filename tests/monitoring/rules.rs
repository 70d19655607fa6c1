//! The rules files: read, and held against the code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::metrics::Known;
use super::promql::reads;
use super::reasons::{Asks, alert_name, asks, needs_a_person};
use sql_edge_supervisor::decide::reason::Reason;

/// Where the chart keeps what Prometheus and Grafana read.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("charts/azure-sql-edge/files")
        .join(name)
}

/// The rules files. The chart takes those at the top; what is optional is loaded by who wants it.
pub const FILES: [&str; 5] = [
    "recording.yaml",
    "reasons.yaml",
    "supervisor.yaml",
    "engine.yaml",
    "optional/mixin.yaml",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

/// A rule; `record` or `alert`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub record: Option<String>,
    pub alert: Option<String>,
    pub expr: String,
    #[serde(rename = "for")]
    pub patience: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    pub fn name(&self) -> &str {
        let name = self.alert.as_deref().or(self.record.as_deref());
        name.expect("a rule alerts or records")
    }

    pub fn annotation(&self, name: &str) -> &str {
        self.annotations.get(name).map_or("", String::as_str)
    }

    pub fn severity(&self) -> &str {
        self.labels.get("severity").map_or("", String::as_str)
    }
}

/// The rules of one file.
pub fn read(file: &str) -> Vec<Rule> {
    let path = folder("rules").join(file);
    let text = std::fs::read_to_string(&path).expect("the rules are there");
    let file: File = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    file.groups
        .into_iter()
        .inspect(|group| assert!(!group.name.is_empty()))
        .flat_map(|group| group.rules)
        .collect()
}

/// All of them.
pub fn all() -> Vec<Rule> {
    FILES.iter().flat_map(|file| read(file)).collect()
}

/// The alerts of one file.
pub fn alerts(file: &str) -> Vec<Rule> {
    read(file)
        .into_iter()
        .filter(|r| r.alert.is_some())
        .collect()
}

#[test]
fn every_reason_that_needs_a_person_has_its_alert_and_no_alert_another_reason() {
    let rules = read("reasons.yaml");
    let named: Vec<_> = rules.iter().map(Rule::name).collect();
    for reason in Reason::ALL {
        let wanted = !matches!(asks(*reason), Asks::Nobody(_));
        let name = alert_name(*reason);
        assert_eq!(named.contains(&name.as_str()), wanted, "{name}");
        assert!(wanted || !needs_a_person(*reason), "{name} is owed");
    }
    for rule in all() {
        for series in reads(&rule.expr).series {
            for (label, pattern) in series.matchers {
                if series.name == "sql_edge_supervisor_reason_active" && label == "reason" {
                    let found = Reason::from_code(&pattern);
                    assert!(found.is_some(), "{}: no reason {pattern}", rule.name());
                }
            }
        }
    }
}

#[test]
fn no_two_rules_have_one_name_and_no_file_is_forgotten() {
    let mut names: Vec<_> = all().iter().map(|r| r.name().to_owned()).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for folder in ["", "optional/"] {
        let path = super::rules::folder("rules").join(folder);
        for entry in std::fs::read_dir(path).expect("the folder of the rules") {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a name").display();
            let file = format!("{folder}{name}");
            assert!(
                path.is_dir() || FILES.contains(&file.as_str()),
                "{file} is in no list"
            );
        }
    }
}

#[test]
fn every_rule_reads_what_there_is() {
    let mut known = Known::exposed();
    let rules = all();
    for rule in &rules {
        if let Some(name) = &rule.record {
            let reads = reads(&rule.expr);
            let labels = reads.series.iter().flat_map(|s| known.labels(&s.name));
            let labels: Vec<_> = labels.filter(|label| label != "le").collect();
            known.add(name, labels.iter().map(String::as_str));
        }
    }
    for rule in &rules {
        let used = labels_in(rule.annotation("summary"));
        let mistakes = known.mistakes(&reads(&rule.expr), &used);
        assert!(mistakes.is_empty(), "{}: {mistakes:?}", rule.name());
    }
}

/// The labels that a template uses.
fn labels_in(template: &str) -> Vec<String> {
    let parts = template.split("$labels.").skip(1);
    let name = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        part[..end.unwrap_or(part.len())].to_owned()
    };
    parts.map(name).collect()
}

#[test]
fn every_alert_says_how_bad_what_and_what_to_do() {
    for rule in all().iter().filter(|rule| rule.alert.is_some()) {
        let name = rule.name();
        let severities = ["critical", "warning", "info"];
        assert!(severities.contains(&rule.severity()), "{name}: severity");
        assert!(rule.patience.is_some(), "{name}: for");
        let summary = rule.annotation("summary");
        let instance = summary.starts_with("{{ or $labels.pod $labels.instance }}: ");
        // What is about all instances of a job has none to name.
        let job = summary.starts_with("{{ $labels.namespace }} {{ $labels.job }}: ");
        assert!(instance || job, "{name}: the summary does not say who");
        assert!(summary.ends_with('.'), "{name}: the summary is a sentence");
        let description = rule.annotation("description");
        assert!(
            description.ends_with('.') && !description.contains("{{"),
            "{name}: description"
        );
        let (page, anchor) = rule
            .annotation("runbook_url")
            .split_once('#')
            .unwrap_or_else(|| panic!("{name}: runbook_url"));
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let page = std::fs::read_to_string(page).expect("the runbook's page is there");
        assert!(
            page.contains(&format!("<a id=\"{anchor}\"></a>")),
            "{name}: no entry {anchor}"
        );
    }
}

/// The table of the alerts in docs/alerts-and-dashboards.md beside those on reasons, between its markers.
fn table() -> String {
    let mut text = String::from(
        "| alert | severity | after | what it means, and what to do |\n| --- | --- | --- | --- |\n",
    );
    for rule in ["supervisor.yaml", "engine.yaml"]
        .iter()
        .flat_map(|f| alerts(f))
    {
        let name = rule.name();
        text.push_str(&format!(
            "| <a id=\"{}\"></a>{name} | {} | {} | {} |\n",
            name.to_lowercase(),
            rule.severity(),
            rule.patience.as_deref().unwrap_or_default(),
            rule.annotation("description").replace('|', "\\|"),
        ));
    }
    text
}

#[test]
fn the_docs_list_the_alerts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/alerts-and-dashboards.md");
    let readme = std::fs::read_to_string(&path).expect("the page is there");
    let (begin, end) = ("<!-- alerts:begin -->", "<!-- alerts:end -->");
    let (before, rest) = readme.split_once(begin).expect("its begin is marked");
    let (_, after) = rest.split_once(end).expect("its end is marked");
    super::golden(&path, &format!("{before}{begin}\n{}{end}{after}", table()));
}
