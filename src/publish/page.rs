//! `/`: the status document for people, as a page that needs no script and loads nothing.

use std::fmt::Write as _;

use serde_json::Value;

use crate::decide::decision::Probe;
use crate::summary::{Answer, Finding, Section, Summary};

const CSS: &str = include_str!("page/page.css");

/// The greatest number of databases that the page shows; `/status` has the others.
const MAX_ROWS: usize = 200;

/// Returns the page of a status document.
#[must_use]
pub fn render(document: &Value) -> String {
    let summary = Summary::of(document);
    let answers = summary.answers();
    let mut page = String::with_capacity(CSS.len() + 8 * 1024);
    head(&mut page, summary, &answers);
    probes(&mut page, &answers);
    findings(&mut page, &summary.findings());
    observers(&mut page, summary);
    databases(&mut page, summary);
    page += "<div class=\"columns\">";
    for section in summary.sections() {
        fields(&mut page, &section);
    }
    page += "</div>";
    history(&mut page, summary);
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

fn head(page: &mut String, summary: Summary<'_>, answers: &[Answer]) {
    let is_ready = |answer: &Answer| answer.probe == Probe::Ready && answer.passes();
    let ready = match answers.iter().any(is_ready) {
        true => "ready",
        false => "not ready",
    };
    let server = summary.server().map_or_else(String::new, |s| s + " · ");
    // Writing to a String can't fail, here and below.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"5\"><meta name=\"robots\" content=\"noindex\">\
         <title>{ready} · sql-edge-supervisor</title><style>{CSS}</style></head><body>\
         <header><h1>sql-edge-supervisor</h1><p>{}phase {} · supervisor {}, up {}</p></header>",
        escaped(&server),
        escaped(&summary.phase()),
        escaped(&summary.supervisor("version")),
        summary.uptime(),
    );
}

fn probes(page: &mut String, answers: &[Answer]) {
    *page += "<div class=\"grid\">";
    for answer in answers {
        let (question, yes, no) = match answer.probe {
            Probe::Startup => ("Has it started?", "Started", "Not started"),
            Probe::Live => ("Is it alive?", "Alive", "Restart due"),
            Probe::Ready => ("May clients come?", "Ready", "Not ready"),
            Probe::Gate => ("May it start on this volume?", "Gate open", "Gate shut"),
        };
        let (class, word) = match answer.passes() {
            true => ("pass", yes),
            false => ("fail", no),
        };
        let _ = write!(
            page,
            "<div class=\"probe {class}\"><span>{question}</span><b>{word}</b><span>for {}</span></div>",
            answer.lasting,
        );
    }
    *page += "</div>";
}

fn findings(page: &mut String, findings: &[Finding]) {
    *page += "<section><h2>What was found</h2>";
    for found in findings {
        finding(page, found);
    }
    if findings.is_empty() {
        *page += "<p class=\"calm\">Nothing. All is as it should be.</p>";
    }
    *page += "</section>";
}

fn finding(page: &mut String, found: &Finding) {
    let (class, tag) = match found.outcome.as_str() {
        "wait" => ("notice", "passes by itself"),
        "operator" => ("", "needs a person"),
        "recreate" => ("", "needs a new pod"),
        "restart" => ("", "a restart helps"),
        _ => ("notice", "notice"),
    };
    let _ = write!(
        page,
        "<article class=\"finding {class}\"><h3>{}<span class=\"tag {class}\">{tag}</span></h3>\
         <p>{}</p><p class=\"evidence\">{} (for {})</p><p><b>What to do:</b> {}</p></article>",
        escaped(&found.reason),
        escaped(&found.summary),
        escaped(&found.evidence),
        found.lasting,
        escaped(&found.action),
    );
}

fn observers(page: &mut String, summary: Summary<'_>) {
    *page += "<section><h2>Observers</h2>\
              <table><tr><th>Observer</th><th>State</th><th>Last seen</th><th>Age</th></tr>";
    for seen in summary.observers() {
        let class = match seen.mark.as_str() {
            "ok" => "good",
            "failed" => "",
            _ => "notice",
        };
        let _ = write!(
            page,
            "<tr><td>{}</td><td><span class=\"tag {class}\">{}</span></td><td>{}</td><td>{}</td></tr>",
            escaped(&seen.name),
            escaped(&seen.mark),
            escaped(&seen.message),
            seen.age,
        );
    }
    *page += "</table></section>";
}

fn fields(page: &mut String, section: &Section) {
    let _ = write!(page, "<section><h2>{}</h2><dl>", section.title);
    for (label, value) in &section.rows {
        let _ = write!(
            page,
            "<dt>{}</dt><dd>{}</dd>",
            escaped(label),
            escaped(value)
        );
    }
    *page += "</dl></section>";
}

fn databases(page: &mut String, summary: Summary<'_>) {
    let (databases, left_out) = summary.databases();
    if databases.is_empty() {
        return;
    }
    *page += "<section><h2>Databases</h2><table><tr><th>Name</th><th>State</th><th>Notes</th></tr>";
    for database in databases.iter().take(MAX_ROWS) {
        let class = match database.state.as_str() {
            "online" => "good",
            "recovering" | "restoring" => "notice",
            _ => "",
        };
        let progress = database
            .recovery_percent
            .map(|percent| format!("<progress max=\"100\" value=\"{percent:.1}\"></progress> "));
        let _ = write!(
            page,
            "<tr><td>{}</td><td><span class=\"tag {class}\">{}</span></td><td>{}{}</td></tr>",
            escaped(&database.name),
            escaped(&database.state),
            progress.unwrap_or_default(),
            escaped(&database.notes),
        );
    }
    *page += "</table>";
    let hidden = databases.len().saturating_sub(MAX_ROWS) as u64 + left_out;
    if hidden > 0 {
        let _ = write!(page, "<p class=\"calm\">and {hidden} more</p>");
    }
    *page += "</section>";
}

fn history(page: &mut String, summary: Summary<'_>) {
    let changes = summary.history();
    *page += "<section><h2>Recent changes</h2>";
    if changes.is_empty() {
        *page += "<p class=\"calm\">None.</p></section>";
        return;
    }
    *page += "<table><tr><th>When (UTC)</th><th>Probe</th><th>Became</th><th>Why</th></tr>";
    for change in changes {
        let class = match change.verdict.as_str() {
            "pass" => "good",
            _ => "",
        };
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td><span class=\"tag {class}\">{}</span></td><td>{}</td></tr>",
            escaped(&change.at),
            escaped(&change.probe),
            escaped(&change.verdict),
            escaped(&change.reasons),
        );
    }
    *page += "</table></section>";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decision::Verdict;
    use crate::publish::view::View;
    use crate::publish::{fixture, status};

    fn rendered(view: &View) -> String {
        render(&status::value(view))
    }

    #[test]
    fn a_hostile_name_is_text_and_nothing_else() {
        let page = rendered(&fixture::view("hostile"));
        assert!(!page.contains("<script"));
        assert!(!page.contains('\u{202e}'));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;&#39;"));
    }

    #[test]
    fn every_state_shows_its_verdicts_and_what_to_do() {
        for (name, view) in fixture::views() {
            let page = rendered(&view);
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
        let page = rendered(&fixture::view("killed"));
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
            std::fs::write(directory.join(format!("{name}.html")), rendered(&view)).unwrap();
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
        assert!(rendered(&view).contains("and 800 more"));
    }
}
