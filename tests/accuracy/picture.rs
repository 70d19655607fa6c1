//! One scenario as a picture: what was true, and what each contestant made of it over time.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::report::Entry;
use crate::scenario::{Restart, Scenario};
use crate::timeline::Seen;

/// Where the bands begin, and how wide they are.
const LEFT: f64 = 190.0;
const WIDTH: f64 = 660.0;
/// From one row to the next, and the height of a band.
const ROW: f64 = 30.0;
const BAND: f64 = 16.0;
/// Above the first row.
const TOP: f64 = 64.0;
/// Below the last row: the axis and the legend.
const BOTTOM: f64 = 62.0;

/// Light and dark, as the reader's system has it.
const STYLE: &str = "\
    .page { fill: #ffffff } text { fill: #1f2328 } .dim { fill: #57606a; font-size: 12px }\n\
    .yes { fill: #4ac26b } .no { fill: #d1d9e0 } .wrong { fill: #f6b26b } .line { stroke: #8c959f }\n\
    .due { stroke: #cf222e; stroke-dasharray: 3 3 } .restart { fill: #cf222e }\n\
    @media (prefers-color-scheme: dark) {\n\
      .page { fill: #0d1117 } text { fill: #e6edf3 } .dim { fill: #9da7b3 }\n\
      .yes { fill: #2ea043 } .no { fill: #30363d } .wrong { fill: #b35900 } .line { stroke: #6e7681 }\n\
      .due { stroke: #ff7b72 } .restart { fill: #ff7b72 }\n\
    }";

/// Writes a picture for each scenario that was played, as `failure-NAME.svg`.
pub fn write(directory: &Path, entries: &[Entry]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let name = first.scenario.name;
        let same = rest
            .iter()
            .take_while(|entry| entry.scenario.name == name)
            .count();
        let (these, others) = rest.split_at(same);
        let path = directory.join(format!("failure-{name}.svg"));
        fs::write(path, Picture::of(&first.scenario, these).svg)?;
        rest = others;
    }
    Ok(())
}

struct Picture {
    svg: String,
    /// The seconds that the picture is wide.
    length: f64,
}

impl Picture {
    fn of(scenario: &Scenario, entries: &[Entry]) -> Self {
        let mut picture = Self {
            svg: String::new(),
            length: scenario.length,
        };
        let rows = entries.len() as f64 + 1.0;
        let (right, height) = (LEFT + WIDTH + 30.0, TOP + rows * ROW + BOTTOM);
        let title = format!("{}: {}", scenario.name, scenario.what);
        // Writing to a String can't fail, here and below.
        let _ = write!(
            picture.svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {right} {height}\" role=\"img\" \
             aria-labelledby=\"title desc\" font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif\" \
             font-size=\"14\">\n<title id=\"title\">{0}</title>\n<desc id=\"desc\">{1}</desc>\n<style>\n{STYLE}\n</style>\n\
             <rect class=\"page\" width=\"{right}\" height=\"{height}\"/>\n\
             <text x=\"16\" y=\"28\" font-weight=\"600\">{0}</text>\n",
            escaped(&title),
            escaped(&description(entries)),
        );
        picture.truth(scenario);
        for (index, entry) in entries.iter().enumerate() {
            let row = TOP + (index as f64 + 1.0) * ROW;
            picture.label(row, entry.contestant.title());
            if let Ok(seen) = &entry.seen {
                picture.contestant(row, scenario, seen);
            }
        }
        picture.due(scenario, TOP + rows * ROW);
        picture.axis(TOP + rows * ROW + 4.0);
        picture.svg += "</svg>\n";
        picture
    }

    fn x(&self, at: f64) -> f64 {
        LEFT + at.clamp(0.0, self.length) / self.length * WIDTH
    }

    fn band(&mut self, row: f64, class: &str, from: f64, to: f64) {
        let (x, end) = (self.x(from), self.x(to));
        if end > x {
            let _ = writeln!(
                self.svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{row}\" width=\"{:.1}\" height=\"{BAND}\"/>",
                end - x
            );
        }
    }

    fn label(&mut self, row: f64, label: &str) {
        let _ = writeln!(
            self.svg,
            "<text x=\"16\" y=\"{}\">{}</text>",
            row + 13.0,
            escaped(label)
        );
    }

    fn truth(&mut self, scenario: &Scenario) {
        self.label(TOP, "the engine");
        for (from, to) in unfit(scenario) {
            self.band(TOP, "no", from, to);
        }
        for span in scenario.spans.iter().filter(|span| span.serves) {
            self.band(TOP, "yes", span.from, span.to);
        }
    }

    /// Readiness, and the restarts.
    fn contestant(&mut self, row: f64, scenario: &Scenario, seen: &Seen) {
        for (from, to, ready) in seen.spans(self.length) {
            self.band(row, if ready { "yes" } else { "no" }, from, to);
        }
        // Ready while the engine could not serve: until it was another engine.
        let restarted = seen.restarted_after(scenario.fault());
        for (from, to) in unfit(scenario) {
            let to = to.min(restarted.unwrap_or(self.length));
            for (begin, end, _) in seen.spans(self.length).filter(|(_, _, ready)| *ready) {
                self.band(row, "wrong", begin.max(from), end.min(to));
            }
        }
        for restart in &seen.restarts {
            let x = self.x(restart.at);
            let _ = writeln!(
                self.svg,
                "<path class=\"restart\" d=\"M{x:.1},{} l-6,-9 h12 z\"/>",
                row + BAND - 1.0
            );
        }
    }

    /// From when on a restart is right.
    fn due(&mut self, scenario: &Scenario, bottom: f64) {
        let (Restart::Once { from, .. } | Restart::Some { from, .. }) = scenario.restart else {
            return;
        };
        let x = self.x(from);
        let _ = writeln!(
            self.svg,
            "<line class=\"due\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\"/>\n\
             <text class=\"dim\" x=\"{:.1}\" y=\"{}\">from here on only a restart helps</text>",
            TOP - 8.0,
            x + 5.0,
            TOP - 8.0
        );
    }

    fn axis(&mut self, y: f64) {
        let step = if self.length > 400.0 { 60.0 } else { 20.0 };
        let mut at = 0.0;
        while at <= self.length {
            let x = self.x(at);
            let _ = writeln!(
                self.svg,
                "<line class=\"line\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{}\"/>\n\
                 <text class=\"dim\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{at:.0} s</text>",
                y + 4.0,
                y + 17.0
            );
            at += step;
        }
        let mut x = LEFT;
        for (class, word, width) in [
            ("yes", "serves, or ready", 140.0),
            ("no", "does not serve, or not ready", 215.0),
            ("wrong", "ready without being fit", 185.0),
        ] {
            let _ = writeln!(
                self.svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{0}\" width=\"14\" height=\"10\"/>\
                 <text class=\"dim\" x=\"{1}\" y=\"{2}\">{word}</text>",
                y + 32.0,
                x + 20.0,
                y + 41.0
            );
            x += width;
        }
        let _ = writeln!(
            self.svg,
            "<path class=\"restart\" d=\"M{x},{} l-6,-9 h12 z\"/><text class=\"dim\" x=\"{}\" y=\"{}\">restart</text>",
            y + 42.0,
            x + 12.0,
            y + 41.0
        );
    }
}

/// The spans in which the engine can't serve: those that the scenario names, and from the moment on in which only a
/// restart helps.
fn unfit(scenario: &Scenario) -> Vec<(f64, f64)> {
    let named = scenario.spans.iter().filter(|span| !span.serves);
    let mut unfit: Vec<_> = named.map(|span| (span.from, span.to)).collect();
    if let Restart::Once { from, .. } = scenario.restart {
        unfit.push((from, scenario.length));
    }
    unfit
}

/// The picture in words, for those who do not see it.
fn description(entries: &[Entry]) -> String {
    let mut words = String::from("Readiness over time, and restarts.");
    for entry in entries {
        let Ok(seen) = &entry.seen else { continue };
        let restarts: Vec<_> = seen
            .restarts
            .iter()
            .map(|restart| format!("{:.0} s", restart.at))
            .collect();
        let _ = match restarts.is_empty() {
            true => write!(words, " {}: no restart.", entry.contestant.title()),
            false => write!(
                words,
                " {}: restarted at {}.",
                entry.contestant.title(),
                restarts.join(", ")
            ),
        };
    }
    words
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
