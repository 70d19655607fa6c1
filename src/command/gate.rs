//! `gate`: the init container that waits until the volume may be written.

use std::io::Write;
use std::time::Duration;

use super::Exit;
use super::table::safe;
use crate::app::gate::{self, GateEvent};
use crate::config::Config;

/// Waits for the gate to open, and prints a line for each change of the findings that keep it shut.
///
/// # Errors
///
/// When the system has no thread or handler left.
pub fn execute(config: Config, limit: Duration, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let open = gate::wait(config, limit, |event| {
        for line in lines(&event) {
            // Nobody has to read it for the wait to go on.
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
    })?;
    Ok(match open {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

fn lines(event: &GateEvent) -> Vec<String> {
    match event {
        GateEvent::Shut(findings) => findings
            .iter()
            .map(|finding| {
                let info = finding.reason.info();
                let (code, evidence) = (info.code, safe(&finding.evidence));
                format!("shut: {code}: {evidence}. {}", info.action)
            })
            .collect(),
        GateEvent::Open(Some(epoch)) => vec![format!("open: the lease is held in epoch {epoch}")],
        GateEvent::Open(None) => vec!["open: without a lease".to_owned()],
        GateEvent::TimedOut(limit) => vec![format!(
            "shut: it did not open within {}",
            humantime::format_duration(*limit)
        )],
        GateEvent::Stopped => vec!["shut: the wait was ended by a signal".to_owned()],
    }
}
