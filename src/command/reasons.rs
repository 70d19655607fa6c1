//! `reasons`: prints the catalogue of reasons from the code, as a table, as JSON, or as the Markdown of
//! docs/probes-and-reasons.md.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use super::{Exit, table};
use crate::cli::ReasonsFormat;
use crate::config::mistake::nearest;
use crate::decide::reason::{Outcome, ReadyEffect, Reason, ReasonInfo};

/// A row of the catalogue, with the effects that follow from it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(flatten)]
    info: &'static ReasonInfo,
    startup: &'static str,
    live: String,
    restart_helps: bool,
}

impl Row {
    fn new(reason: Reason) -> Self {
        let info = reason.info();
        Self {
            info,
            startup: startup(info),
            live: live(info),
            restart_helps: reason.restart_helps(),
        }
    }

    fn ready(&self) -> &'static str {
        match self.info.ready {
            ReadyEffect::None => "-",
            ReadyEffect::Fails => "fails",
            ReadyEffect::AsProven => "as proven",
        }
    }

    fn gate(&self) -> &'static str {
        match self.info.gate {
            true => "shut",
            false => "-",
        }
    }

    fn outcome(&self) -> &'static str {
        match self.info.outcome {
            Outcome::Notice => "notice",
            Outcome::Wait => "wait",
            Outcome::Operator => "operator",
            Outcome::Recreate => "recreate",
            Outcome::Restart => "restart",
        }
    }

    fn helps(&self) -> &'static str {
        match self.restart_helps {
            true => "yes",
            false => "no",
        }
    }
}

/// Returns the effect of a reason on startup. The kubelet asks for liveness only after startup has passed, so
/// a restart that is needed during a start lets startup pass.
fn startup(info: &ReasonInfo) -> &'static str {
    match (info.outcome, info.ready) {
        (Outcome::Restart, _) => "passes",
        (_, ReadyEffect::None) => "-",
        _ => "waits",
    }
}

fn live(info: &ReasonInfo) -> String {
    match info.outcome {
        _ if info.holds => "held".to_owned(),
        Outcome::Restart => format!("fails from level {}", info.level),
        _ => "-".to_owned(),
    }
}

const LEGEND: &str = "\
startup: waits - fails until the engine has answered once; passes - because the kubelet asks for liveness only after startup
live:    fails from level N - if failure-condition-level is N or more; held - nothing fails it meanwhile
ready:   as proven - passes if this process has already answered a query
gate:    shut - the engine is not started on this volume
";

/// Prints the catalogue, or one reason in full.
///
/// # Errors
/// When the output can't be written.
pub fn execute(
    code: Option<&str>,
    format: ReasonsFormat,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let chosen = match code {
        None => None,
        Some(code) => match Reason::from_code(code) {
            Some(reason) => Some(reason),
            None => {
                let _ = writeln!(err, "{}", unknown(code));
                return Ok(Exit::Usage);
            }
        },
    };
    match (format, chosen) {
        (ReasonsFormat::Json, None) => {
            let rows: Vec<_> = Reason::ALL.iter().copied().map(Row::new).collect();
            serde_json::to_writer_pretty(&mut *out, &rows)?;
            writeln!(out)?;
        }
        (ReasonsFormat::Json, Some(reason)) => {
            serde_json::to_writer_pretty(&mut *out, &Row::new(reason))?;
            writeln!(out)?;
        }
        (ReasonsFormat::Markdown, _) => write!(out, "{}", markdown())?,
        (ReasonsFormat::Table, Some(reason)) => in_full(&Row::new(reason), out)?,
        (ReasonsFormat::Table, None) => whole_table(out)?,
    }
    Ok(Exit::Done)
}

fn unknown(code: &str) -> String {
    // Codes are CamelCase, and people do not always type them so.
    let typed = code.to_lowercase();
    let near = Reason::ALL
        .iter()
        .map(|reason| (reason.code().to_lowercase(), reason.code()))
        .collect::<Vec<_>>();
    let near = nearest(&typed, near.iter().map(|(lower, _)| lower.as_str()))
        .and_then(|found| near.iter().find(|(lower, _)| lower == found));
    let advice = match near {
        Some((_, code)) => format!("did you mean {code}?"),
        None => "`reasons` lists them all".to_owned(),
    };
    format!("there is no reason {}; {advice}", table::safe(code))
}

fn whole_table(out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| {
            let row = Row::new(*reason);
            [
                row.info.code.to_owned(),
                row.outcome().to_owned(),
                row.startup.to_owned(),
                row.live.clone(),
                row.ready().to_owned(),
                row.gate().to_owned(),
                row.helps().to_owned(),
                match row.info.pending {
                    Some(_) => "given by the agent".to_owned(),
                    None => String::new(),
                },
            ]
        })
        .collect();
    table::write(
        out,
        [
            "CODE",
            "OUTCOME",
            "STARTUP",
            "LIVE",
            "READY",
            "GATE",
            "RESTART HELPS",
            "",
        ],
        &rows,
    )?;
    write!(
        out,
        "\n{LEGEND}\n`reasons CODE` prints what was found, and what to do about it.\n"
    )
}

fn in_full(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", row.info.code)?;
    writeln!(out, "  found:          {}", row.info.summary)?;
    writeln!(out, "  outcome:        {}", row.outcome())?;
    writeln!(out, "  startup:        {}", row.startup)?;
    writeln!(out, "  live:           {}", row.live)?;
    writeln!(out, "  ready:          {}", row.ready())?;
    writeln!(out, "  gate:           {}", row.gate())?;
    writeln!(out, "  restart helps:  {}", row.helps())?;
    writeln!(out, "  what to do:     {}", row.info.action)?;
    if let Some(pending) = row.info.pending {
        writeln!(out, "  given by the agent: {pending}")?;
    }
    write!(out, "\n{LEGEND}")
}

/// Returns the catalogue for docs/probes-and-reasons.md, each row with an anchor of its own.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| reason | outcome | live | ready | gate | found | what to do |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for reason in Reason::ALL {
        let row = Row::new(*reason);
        let code = row.info.code;
        let pending = row
            .info
            .pending
            .map_or_else(String::new, |why| format!(" *Given by the agent: {why}.*"));
        // Writing into a String can't fail.
        let _ = writeln!(
            text,
            "| <a id=\"{}\"></a>{code} | {} | {} | {} | {} | {}{pending} | {} |",
            code.to_lowercase(),
            row.outcome(),
            row.live,
            row.ready(),
            row.gate(),
            row.info.summary.replace('|', "\\|"),
            row.info.action.replace('|', "\\|")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: Option<&str>, format: ReasonsFormat) -> (Exit, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = execute(code, format, &mut out, &mut err).expect("a Vec takes all");
        let text = |bytes| String::from_utf8(bytes).expect("it is text");
        (exit, text(out), text(err))
    }

    #[test]
    fn every_reason_is_in_every_form() {
        for format in [
            ReasonsFormat::Table,
            ReasonsFormat::Json,
            ReasonsFormat::Markdown,
        ] {
            let (exit, out, _) = shown(None, format);
            assert_eq!(exit, Exit::Done);
            for reason in Reason::ALL {
                assert!(out.contains(reason.code()), "{format:?} lacks {reason:?}");
            }
        }
    }

    #[test]
    fn one_in_full_and_the_nearest_for_a_typo() {
        let (exit, out, _) = shown(Some("EngineUnresponsive"), ReasonsFormat::Table);
        assert_eq!(exit, Exit::Done);
        assert!(out.contains("fails from level 2"));
        for typo in ["EngineUnresponsiv", "engineunresponsive"] {
            let (exit, out, err) = shown(Some(typo), ReasonsFormat::Table);
            assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
            assert!(err.contains("did you mean EngineUnresponsive?"), "{err}");
        }
        assert!(
            shown(Some("x\x1b"), ReasonsFormat::Table)
                .2
                .contains("lists them all")
        );
    }

    #[test]
    fn only_a_restart_fails_liveness_and_opens_startup() {
        for reason in Reason::ALL {
            let row = Row::new(*reason);
            assert_eq!(
                row.live.starts_with("fails"),
                row.restart_helps,
                "{reason:?}"
            );
            assert_eq!(row.startup == "passes", row.restart_helps, "{reason:?}");
        }
    }
}
