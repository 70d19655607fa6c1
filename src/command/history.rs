//! `history`: prints the history of the engine on this volume, read from the volume itself.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::Builder;
use std::time::Duration;

use super::{Exit, table};
use crate::cli::HistoryTarget;
use crate::config::parse::parse_volume;
use crate::config::{Environment, Flags, Sources};
use crate::decide::observation::{ExitStatus, ProcessRole};
use crate::decide::policy::RestartBy;
use crate::observe::volume::main_directory;
use crate::records::atomic::Folder;
use crate::records::history::{Entry, Event, History, NAME};

/// The time that `status` waits for the volume.
const PATIENCE: Duration = Duration::from_secs(1);
/// The number of entries that `status` shows.
const LAST: usize = 5;

/// Prints the history, the oldest entry first.
///
/// # Errors
/// When the output can't be written.
pub fn execute(
    target: &HistoryTarget,
    environment: Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let sources = Sources::load(target.flags.clone(), environment);
    let data_dir = match parse_volume(&sources) {
        Ok(volume) => main_directory(&volume),
        Err(mistake) => {
            let _ = writeln!(err, "{mistake}");
            return Ok(Exit::Usage);
        }
    };
    match read(&data_dir) {
        Ok(history) => {
            print(&history, usize::MAX, target.json, out)?;
            Ok(Exit::Done)
        }
        Err(why) => {
            let _ = writeln!(
                err,
                "history: {}: {why}",
                table::safe(&data_dir.display().to_string())
            );
            Ok(Exit::Failed)
        }
    }
}

/// The last events on the volume, for `status`. The volume is read on a thread of its own, since a stalled one
/// would hold the reader for ever.
#[derive(Debug, Default)]
pub struct LastEvents {
    /// The answer of a reader that has not given it yet. It may never do so: there is one such thread at most.
    awaited: Option<Receiver<Result<History, String>>>,
}

impl LastEvents {
    /// Returns the last events as text, if the volume can be seen from here; none where there is no history.
    pub fn text(&mut self, flags: &Flags, environment: Environment) -> Option<Vec<u8>> {
        let sources = Sources::load(flags.clone(), environment);
        let volume = parse_volume(&sources).ok()?;
        self.text_of(PATIENCE, move || read(&main_directory(&volume)))
    }

    fn text_of(
        &mut self,
        patience: Duration,
        read: impl FnOnce() -> Result<History, String> + Send + 'static,
    ) -> Option<Vec<u8>> {
        let answer = match self.awaited.take() {
            Some(answer) => answer,
            None => spawn(read).ok()?,
        };
        let mut text = Vec::new();
        match answer.recv_timeout(patience) {
            Ok(Ok(history)) if history.entries().len() > 0 => {
                writeln!(text, "\nLast events on the volume (`history` has all):").ok()?;
                print(&history, LAST, false, &mut text).ok()?;
            }
            Ok(_) | Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                self.awaited = Some(answer);
                writeln!(text, "\nNo history: the volume does not answer").ok()?;
            }
        }
        Some(text)
    }
}

/// Starts a reader of the volume.
///
/// # Errors
/// When the system has no thread left.
fn spawn(
    read: impl FnOnce() -> Result<History, String> + Send + 'static,
) -> io::Result<Receiver<Result<History, String>>> {
    let (sender, receiver) = channel();
    Builder::new().name("history".to_owned()).spawn(move || {
        // The command may have ended meanwhile.
        let _ = sender.send(read());
    })?;
    Ok(receiver)
}

fn read(data_dir: &Path) -> Result<History, String> {
    let folder = Folder::on_volume(data_dir).map_err(|error| {
        format!(
            "{error}: give the engine's data directory, as this container sees it, with --data-dir"
        )
    })?;
    let folder = folder.ok_or("no supervisor has ever run on this volume")?;
    History::read(&folder).map_err(|refused| {
        format!(
            "the file {NAME} is refused: {refused}; the supervisor keeps it aside and begins a new one"
        )
    })
}

/// Prints the last `count` entries, the oldest of them first.
fn print(history: &History, count: usize, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let first = history.entries().len().saturating_sub(count);
    let entries = || history.entries().skip(first);
    if json {
        for entry in entries() {
            writeln!(out, "{}", serde_json::to_string(entry)?)?;
        }
        return Ok(());
    }
    let row = |entry: &Entry| {
        let (event, what) = words(&entry.event);
        [
            entry.at.clone(),
            entry.epoch.to_string(),
            entry.pod.clone(),
            event.to_owned(),
            what,
        ]
    };
    let rows: Vec<_> = entries().map(row).collect();
    table::write(out, ["TIME", "EPOCH", "POD", "EVENT", "WHAT"], &rows)
}

/// Returns an event as a word and a line.
fn words(event: &Event) -> (&'static str, String) {
    match event {
        Event::LeaseTaken => ("lease", "this pod holds the volume".to_owned()),
        Event::Started {
            process, in_place, ..
        } => {
            let again = match in_place {
                true => ", again in the same container",
                false => "",
            };
            ("start", format!("pid {}{again}", process.pid))
        }
        Event::Ended {
            process,
            role,
            status,
            oom_killed,
        } => {
            let role = match role {
                ProcessRole::Parent => "outer process",
                ProcessRole::Engine => "engine",
            };
            let status = match status {
                _ if *oom_killed => "killed for want of memory".to_owned(),
                Some(ExitStatus::Code(code)) => format!("exit status {code}"),
                Some(ExitStatus::Signal(signal)) => format!("signal {signal}"),
                None => "how is not known".to_owned(),
            };
            ("end", format!("{role}, pid {}: {status}", process.pid))
        }
        Event::Stopped {
            clean,
            millis,
            checkpoints,
            wanted,
            checkpoint_millis,
        } => {
            let how = if *clean { "clean" } else { "not clean" };
            let what = format!(
                "{how}, after {millis} ms; checkpoints in {checkpoints} of {wanted} databases took {checkpoint_millis} ms"
            );
            ("stop", what)
        }
        Event::Restarted { by, reasons } => {
            let by = match by {
                RestartBy::Supervisor => "the supervisor",
                RestartBy::Kubelet => "the kubelet",
            };
            ("restart", format!("by {by} for {}", reasons.join(", ")))
        }
        Event::Fenced { evidence } => ("fence", evidence.clone()),
        Event::Adopted => ("adopt", "an operator accepted the volume".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_hangs_holds_one_reader_and_is_read_once_it_answers() {
        let (free, held) = channel::<()>();
        let (count, readers) = channel();
        let mut last = LastEvents::default();
        let patience = Duration::from_millis(10);
        let hung = count.clone();
        let text = last.text_of(patience, move || {
            let _ = hung.send(());
            let _ = held.recv();
            let mut history = History::default();
            history.push(Entry::now(1, "late", Event::LeaseTaken));
            Ok(history)
        });
        let no_answer = Some(b"\nNo history: the volume does not answer\n".to_vec());
        assert_eq!(text, no_answer);
        let second = count.clone();
        let text = last.text_of(patience, move || {
            let _ = second.send(());
            Ok(History::default())
        });
        assert_eq!(text, no_answer, "the first reader is awaited");
        drop(free);
        let text = last.text_of(Duration::from_secs(60), || Ok(History::default()));
        let text = String::from_utf8(text.expect("the first reader is done")).expect("UTF-8");
        assert!(text.contains("late"), "{text}");
        assert_eq!(
            last.text_of(Duration::from_secs(60), || Ok(History::default())),
            None
        );
        assert_eq!(readers.try_iter().count(), 1);
    }

    #[test]
    fn the_table_is_for_people_and_harmless() {
        let mut history = History::default();
        let evidence = "epoch 4 \x1b[2J".to_owned();
        history.push(Entry::now(3, "pod-a", Event::Fenced { evidence }));
        let mut out = Vec::new();
        print(&history, 9, false, &mut out).expect("a Vec takes all");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.starts_with("TIME"), "{text}");
        assert!(
            text.contains("  3      pod-a  fence  epoch 4 ?[2J"),
            "{text}"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let mut history = History::default();
        history.push(Entry::now(1, "p", Event::LeaseTaken));
        history.push(Entry::now(1, "p", Event::Adopted));
        let mut out = Vec::new();
        print(&history, 9, true, &mut out).expect("a Vec takes all");
        let text = String::from_utf8(out).expect("UTF-8");
        let events: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[1]["event"], "adopted");
    }
}
