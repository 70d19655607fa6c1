//! `/`: the status for people, a page that needs no script and loads nothing.

use std::fmt::Write as _;

use super::checks::{self, Mark};
use super::view::{Found, Standing, View};
use super::words;
use crate::decide::decision::{Phase, Probe, Verdict};
use crate::decide::observation::{DatabaseState, ProcessReport, RunningProcess};
use crate::decide::reason::Outcome;
use crate::decide::snapshot::VolumeState;

const CSS: &str = include_str!("page/page.css");

/// The greatest number of databases that the page shows; `/status` has the others.
const MAX_ROWS: usize = 200;

/// Returns the page.
#[must_use]
pub fn render(view: &View) -> String {
    let mut page = String::with_capacity(CSS.len() + 8 * 1024);
    head(&mut page, view);
    probes(&mut page, view);
    findings(&mut page, view);
    observers(&mut page, view);
    page += "<div class=\"grid wide\">";
    process(&mut page, view);
    resources(&mut page, view);
    page += "</div>";
    databases(&mut page, view);
    history(&mut page, view);
    page += "<footer>As data: <a href=\"/status\">/status</a>, <a href=\"/metrics\">/metrics</a>, \
             <a href=\"/readyz?verbose\">/readyz?verbose</a>, <a href=\"/healthz?verbose\">/healthz?verbose</a>. \
             This page loads itself anew every 5 seconds.</footer></body></html>\n";
    page
}

/// Returns `text` as it may stand in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            // Marks that turn the direction of writing make a name look like another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

fn head(page: &mut String, view: &View) {
    let phase = view.decision().map_or(Phase::Unseen, |d| d.phase);
    let ready = match view.answer(Probe::Ready).verdict {
        Verdict::Pass => "ready",
        Verdict::Fail => "not ready",
    };
    let server = view.published.snapshot.server.as_ref();
    let server = server.map_or_else(String::new, |seen| {
        format!("{} {} · ", seen.value.edition, seen.value.version)
    });
    // Writing to a String can't fail, here and below.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"5\"><meta name=\"robots\" content=\"noindex\">\
         <title>{ready} · sql-edge-supervisor</title><style>{CSS}</style></head><body>\
         <header><h1>sql-edge-supervisor</h1><p>{}phase {} · supervisor {}, up {}</p></header>",
        escaped(&server),
        phase.name(),
        env!("CARGO_PKG_VERSION"),
        words::span(view.uptime),
    );
}

fn probes(page: &mut String, view: &View) {
    *page += "<div class=\"grid\">";
    for (probe, question, yes, no) in [
        (Probe::Startup, "Has it started?", "Started", "Not started"),
        (Probe::Live, "Is a restart needed?", "Alive", "Restart due"),
        (Probe::Ready, "May clients come?", "Ready", "Not ready"),
        (
            Probe::Gate,
            "May it start on this volume?",
            "Gate open",
            "Gate shut",
        ),
    ] {
        let answer = view.answer(probe);
        let word = if answer.verdict == Verdict::Pass {
            yes
        } else {
            no
        };
        let _ = write!(
            page,
            "<div class=\"probe {}\"><span>{question}</span><b>{word}</b><span>for {}</span></div>",
            words::verdict(answer.verdict),
            words::span(answer.lasting),
        );
    }
    *page += "</div>";
}

fn findings(page: &mut String, view: &View) {
    *page += "<section><h2>What was found</h2>";
    let mut any = false;
    for found in view.findings() {
        any = true;
        finding(page, &found);
    }
    if !any {
        *page += "<p class=\"calm\">Nothing. All is as it should be.</p>";
    }
    *page += "</section>";
}

fn finding(page: &mut String, found: &Found<'_>) {
    let info = found.reason.info();
    let (class, tag) = match info.outcome {
        Outcome::Notice => ("notice", "notice"),
        Outcome::Wait => ("notice", "passes by itself"),
        Outcome::Operator => ("", "needs a person"),
        Outcome::Recreate => ("", "needs a new pod"),
        Outcome::Restart => ("", "a restart helps"),
    };
    let _ = write!(
        page,
        "<article class=\"finding {class}\"><h3>{}<span class=\"tag {class}\">{tag}</span></h3>\
         <p>{}</p><p class=\"evidence\">{} (for {})</p><p><b>What to do:</b> {}</p></article>",
        info.code,
        escaped(info.summary),
        escaped(&found.evidence),
        words::span(found.lasting),
        escaped(info.action),
    );
}

fn observers(page: &mut String, view: &View) {
    *page += "<section><h2>Observers</h2>\
              <table><tr><th>Observer</th><th>State</th><th>Last seen</th><th>Age</th></tr>";
    for check in checks::observations(view) {
        let (class, word) = match check.mark {
            Mark::Ok => ("good", "ok"),
            Mark::Failed => ("", "failed"),
            Mark::Unknown => ("notice", "unknown"),
        };
        let age = check.age.map_or_else(String::new, |age| words::span(age.0));
        let _ = write!(
            page,
            "<tr><td>{}</td><td><span class=\"tag {class}\">{word}</span></td><td>{}</td><td>{age}</td></tr>",
            check.name,
            escaped(&check.message),
        );
    }
    *page += "</table></section>";
}

fn process(page: &mut String, view: &View) {
    let snapshot = &view.published.snapshot;
    let mut rows: Vec<(&str, String)> = Vec::new();
    match snapshot.process.as_ref().map(|seen| &seen.value) {
        Some(ProcessReport::Running(running)) => running_rows(&mut rows, running),
        Some(report) => rows.push(("state", words::process(report))),
        None => rows.push(("state", "not observed yet".to_owned())),
    }
    if let Some(exit) = &snapshot.last_exit {
        let ago = words::span(view.ago(exit.at));
        rows.push((
            "last exit",
            format!("{}, {ago} ago", words::exit(&exit.value)),
        ));
    }
    if let Some((last, ago)) = view.last_restart() {
        rows.push(("last restart", words::last_restart(last, ago)));
    }
    if let Some(action) = &snapshot.action {
        rows.push(("its last step", words::action(&action.value)));
    }
    list(page, "Process", &rows);
}

fn running_rows(rows: &mut Vec<(&str, String)>, running: &RunningProcess) {
    rows.push(("parent", running.parent.pid.to_string()));
    if let Some(engine) = running.engine {
        rows.push(("engine", engine.pid.to_string()));
    }
    rows.push(("state", words::run_state(running.state).to_owned()));
    let known = [
        ("cpu time", running.cpu.map(words::span)),
        ("memory", running.resident_bytes.map(words::bytes)),
        ("storage i/o", running.io_bytes.map(words::bytes)),
        ("threads", running.threads.map(|n| n.to_string())),
        ("open files", running.open_fds.map(|n| n.to_string())),
        ("dump by", running.dumper.map(|pid| pid.to_string())),
    ];
    rows.extend(
        known
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
}

/// Adds a volume's rows; where there are several volumes, each row names its own.
fn volume(rows: &mut Vec<(&str, String)>, view: &View, state: &VolumeState) {
    let snapshot = &view.published.snapshot;
    let named = |text: String| snapshot.named(&state.volume.name, text);
    if let Some(volume) = state.check() {
        rows.push(("volume", named(words::volume(volume))));
        if let Some(mount) = &volume.mount {
            let mode = if mount.read_only {
                "read-only"
            } else {
                "writable"
            };
            let mount = format!("{} {}, {mode}", mount.fs_type, mount.device);
            rows.push(("mount", named(mount)));
        }
        if let Some(space) = &volume.space {
            let inodes = format!("{} of {} free", space.free_inodes, space.total_inodes);
            rows.push(("inodes", named(inodes)));
        }
    }
    if let Some(since) = state.pending {
        let pending = format!("in flight for {}", words::span(view.ago(since)));
        rows.push(("check", named(pending)));
    }
}

fn resources(page: &mut String, view: &View) {
    let snapshot = &view.published.snapshot;
    let mut rows: Vec<(&str, String)> = Vec::new();
    for state in &snapshot.volumes {
        volume(&mut rows, view, state);
    }
    if let Some(cgroup) = snapshot.cgroup.as_ref().map(|seen| &seen.value) {
        if let Some(used) = cgroup.memory_bytes {
            let limit = cgroup.memory_limit_bytes.map_or_else(
                || "no limit".to_owned(),
                |limit| format!("limit {}", words::bytes(limit)),
            );
            rows.push(("memory", format!("{}, {limit}", words::bytes(used))));
        }
        let counted = [
            ("OOM kills", cgroup.oom_kills.map(|n| n.to_string())),
            ("throttled", cgroup.cpu_throttled.map(words::span)),
        ];
        rows.extend(
            counted
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    }
    if rows.is_empty() {
        rows.push(("state", "not observed yet".to_owned()));
    }
    list(page, "Volumes and control group", &rows);
}

fn list(page: &mut String, title: &str, rows: &[(&str, String)]) {
    let _ = write!(page, "<section><h2>{title}</h2><dl>");
    for (name, value) in rows {
        let _ = write!(page, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
    }
    *page += "</dl></section>";
}

fn databases(page: &mut String, view: &View) {
    let Some(seen) = &view.published.snapshot.databases else {
        return;
    };
    let list = &seen.value;
    *page +=
        "<section><h2>Databases</h2><table><tr><th>Name</th><th>State</th><th>Recovery</th></tr>";
    for database in list.databases.iter().take(MAX_ROWS) {
        let class = match database.state {
            DatabaseState::Online => "good",
            DatabaseState::Recovering | DatabaseState::Restoring => "notice",
            _ => "",
        };
        let recovery = database
            .recovery_percent
            .map_or_else(String::new, |percent| {
                let left = database
                    .recovery_remaining
                    .map_or_else(String::new, |left| {
                        format!(", about {} left", words::span(left))
                    });
                format!(
                    "<progress max=\"100\" value=\"{percent:.1}\"></progress> {percent:.1} %{left}"
                )
            });
        let _ = write!(
            page,
            "<tr><td>{}</td><td><span class=\"tag {class}\">{}</span></td><td>{recovery}</td></tr>",
            escaped(&database.name),
            words::database_state(database.state),
        );
    }
    *page += "</table>";
    let hidden = list.databases.len().saturating_sub(MAX_ROWS) + list.left_out as usize;
    if hidden > 0 {
        let _ = write!(page, "<p class=\"calm\">and {hidden} more</p>");
    }
    *page += "</section>";
}

fn history(page: &mut String, view: &View) {
    *page += "<section><h2>Recent changes</h2>";
    if view.published.history.is_empty() {
        let word = match view.standing() {
            Standing::Undecided => "Nothing was decided yet.",
            Standing::Current | Standing::Stale => "None.",
        };
        let _ = write!(page, "<p class=\"calm\">{word}</p></section>");
        return;
    }
    *page += "<table><tr><th>When (UTC)</th><th>Probe</th><th>Became</th><th>Why</th></tr>";
    for change in view.published.history.iter().rev() {
        let class = match change.verdict {
            Verdict::Pass => "good",
            Verdict::Fail => "",
        };
        let reasons: Vec<_> = change.reasons.iter().map(|r| r.code()).collect();
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td><span class=\"tag {class}\">{}</span></td><td>{}</td></tr>",
            humantime::format_rfc3339_seconds(change.at),
            change.probe.name(),
            words::verdict(change.verdict),
            reasons.join(", "),
        );
    }
    *page += "</table></section>";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::fixture;

    #[test]
    fn a_hostile_name_is_text_and_nothing_else() {
        let page = render(&fixture::view("hostile"));
        assert!(!page.contains("<script"));
        assert!(!page.contains('\u{202e}'));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;&#39;"));
    }

    #[test]
    fn every_state_shows_its_verdicts_and_what_to_do() {
        for (name, view) in fixture::views() {
            let page = render(&view);
            for found in view.findings() {
                let action = escaped(found.reason.info().action);
                assert!(page.contains(found.reason.code()), "{name}");
                assert!(page.contains(&action), "{name}");
            }
            let ready = view.answer(Probe::Ready).verdict == Verdict::Pass;
            assert_eq!(page.contains("<b>Ready</b>"), ready, "{name}");
            assert_eq!(
                page.matches("<section>").count(),
                page.matches("</section>").count()
            );
        }
    }

    #[test]
    fn it_loads_nothing_from_anywhere() {
        let page = render(&fixture::view("killed"));
        for foreign in [
            "http:", "https:", "<script", "<img", "url(", "@import", " style=",
        ] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    #[ignore = "for tests/pictures, which opens them in a browser"]
    fn the_pages_are_written() {
        let directory = std::path::PathBuf::from(std::env::var_os("PAGES").unwrap());
        for (name, view) in fixture::views() {
            std::fs::write(directory.join(format!("{name}.html")), render(&view)).unwrap();
        }
    }

    #[test]
    fn many_databases_are_cut_short() {
        let mut view = fixture::view("ready");
        let mut published = (*view.published).clone();
        let list = published.snapshot.databases.as_mut().unwrap();
        let one = list.value.databases[0].clone();
        list.value.databases = vec![one; 1000];
        view.published = published.into();
        assert!(render(&view).contains("and 800 more"));
    }
}
