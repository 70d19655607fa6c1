//! The history on the volume, held against what was done.

use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use sql_edge_supervisor::decide::observation::ExitStatus;
use sql_edge_supervisor::records::atomic::Folder;
use sql_edge_supervisor::records::history::{Entry, Event, History};

use crate::faults::Fault;

/// The entries since then.
pub fn since(volume: &Path, moment: SystemTime) -> anyhow::Result<Vec<Entry>> {
    let folder = Folder::on_volume(volume).context("the supervisor's folder")?;
    let folder = folder.context("no supervisor has run here")?;
    let history = History::read(&folder).context("the history")?;
    // Written in the same way, moments compare as text.
    let moment = humantime::format_rfc3339_millis(moment).to_string();
    let later = history.entries().filter(|entry| entry.at >= moment);
    Ok(later.cloned().collect())
}

/// Whether `entries` have what `fault` comes to, in the pod `before`, or in the one that is there `now`.
pub fn tells(entries: &[Entry], fault: Fault, before: &str, now: &str) -> bool {
    let any = |pod: &str, wanted: fn(&Event) -> bool| {
        let of_pod = entries.iter().filter(|entry| entry.pod == pod);
        of_pod.map(|entry| &entry.event).any(wanted)
    };
    let taken = |event: &Event| *event == Event::LeaseTaken;
    let killed = |event: &Event| match event {
        Event::Ended { status, .. } => *status == Some(ExitStatus::Signal(9)),
        _ => false,
    };
    let hung = |event: &Event| match event {
        Event::Restarted { reasons, .. } => reasons.iter().any(|code| code == "EngineUnresponsive"),
        _ => false,
    };
    let clean = |event: &Event| matches!(event, Event::Stopped { clean: true, .. });
    let started = |event: &Event| matches!(event, Event::Started { .. });
    match fault {
        Fault::EngineChild | Fault::EngineParent => any(now, killed) && any(now, started),
        Fault::Hang => any(now, hung) && any(now, started),
        Fault::Launcher | Fault::Both => any(now, started),
        // The engine has gone on: there is nothing to tell.
        Fault::Sidecar | Fault::Agent => !any(now, started) && !any(now, killed),
        // The next round may have nothing to tell: this one's start has to be there before it.
        Fault::Stop | Fault::Terminate | Fault::Overlap => {
            any(before, clean) && any(now, taken) && any(now, started)
        }
        Fault::Lost | Fault::Frozen => any(now, taken) && any(now, started),
    }
}
