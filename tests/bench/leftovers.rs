//! What a panic would leave behind: the release profile aborts, and nothing is dropped.

use std::path::PathBuf;
use std::process::Command;

use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process};

/// Ends this process' own children, unmounts what is mounted in its scratch directories and removes
/// these, before a panic aborts.
pub fn remove_on_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        remove();
    }));
}

/// The same at once. Whatever fails here has been done already, or there is nothing more to be done
/// about it.
pub fn remove() {
    end_children();
    remove_scratch();
}

/// SIGKILL for each child: they are not reaped yet, so that their numbers are their own. The engine
/// dies with its parent; a stopped FUSE daemon takes its requests along, and who waits for them.
fn end_children() {
    let threads = Process::myself().and_then(|myself| myself.tasks());
    for thread in threads.into_iter().flatten().flatten() {
        for child in thread.children().unwrap_or_default() {
            let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

/// The directories that [`crate::shared::scratch::Scratch`] makes for this process.
fn remove_scratch() {
    let own = std::env::temp_dir().join(format!("ses-{}-", std::process::id()));
    let is_own = |path: &PathBuf| path.to_string_lossy().starts_with(&*own.to_string_lossy());
    let mounts = Process::myself().and_then(|myself| myself.mountinfo());
    for mount in mounts.into_iter().flat_map(|mounts| mounts.0) {
        if is_own(&mount.mount_point) {
            let _ = Command::new("umount")
                .arg("-l")
                .arg(mount.mount_point)
                .status();
        }
    }
    let entries = std::fs::read_dir(std::env::temp_dir());
    for entry in entries.into_iter().flatten().flatten() {
        if is_own(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
