//! The data volume on real file systems: mounted, read-only, stalled.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::shared::supervisor::Supervisor;
use crate::support::{Scratch, fast, standin_with, supervise, supervisor, unique_name};

/// A mount that is undone at the end of the test, also of one that fails.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("writable");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(at));
        Self(at.to_owned())
    }

    fn remount(&self, how: &str) {
        let option = format!("remount,{how}");
        run(Command::new("mount").args(["-o", &option]).arg(&self.0));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {error}; tests need root to mount"
    );
}

#[tokio::test]
async fn a_data_directory_that_is_no_mount_keeps_the_gate_shut() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mut settings = fast(scratch.path(), &name, 1, scratch.path());
    settings.retain(|(key, _)| key != "require-mount");
    let mut supervisor = supervisor(&settings, &[("MSSQL_SA_PASSWORD", "x")]).await;
    supervisor.finds("VolumeNotMounted").await;
    let (status, body) = supervisor.get("/gatez").await;
    assert_eq!(status, 503);
    assert!(body.contains("VolumeNotMounted"), "{body}");
    assert_eq!(supervisor.get("/livez").await.0, 200);
}

#[tokio::test]
async fn a_data_directory_that_is_missing_is_named() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let settings = fast(scratch.path(), &name, 1, &scratch.path().join("absent"));
    let mut supervisor = supervisor(&settings, &[("MSSQL_SA_PASSWORD", "x")]).await;
    supervisor.finds("VolumeMissing").await;
    supervisor.raises("VolumeMissing").await;
    assert_eq!(supervisor.get("/gatez").await.0, 503);
}

/// Whoever can write the volume must not have the supervisor show a file of its own container.
#[tokio::test]
async fn a_link_on_the_volume_shows_nothing_of_what_it_leads_to() {
    const SECRET: &str = "Canary-4711-of-the-password-file";
    let (scratch, name) = (Scratch::new(), unique_name());
    let volume = scratch.path().join("mssql");
    let secret = scratch.path().join("password");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("writable");
    for folder in [".system", "log", "data"] {
        std::fs::create_dir_all(volume.join(folder)).expect("writable");
    }
    // An errorlog whose every line would be shown, had it been read: an error's number.
    let log = scratch.path().join("elsewhere.log");
    let line = "2026-11-23 04:51:00.12 Server      Error: 17120, Severity: 16, State: 1.\n";
    std::fs::write(&log, line).expect("writable");
    for (link, to) in [(".system/instance_id", &secret), ("log/errorlog", &log)] {
        std::os::unix::fs::symlink(to, volume.join(link)).expect("writable");
    }
    std::fs::write(volume.join("data/master.mdf"), "pages").expect("writable");
    let mut settings = fast(scratch.path(), &name, 1, &volume);
    let file = secret.display().to_string();
    settings.push(("sql-password-file".to_owned(), file));
    let mut supervisor = supervisor(&settings, &[]).await;
    supervisor.passes("gate").await;
    // The identity is written by now, and with it what the engine says that it is.
    let identity = volume.join(".sql-edge-supervisor/identity");
    let identity = std::fs::read_to_string(identity).expect("it is written before the gate opens");
    let mut shown = vec![identity];
    for path in [
        "/gatez?verbose",
        "/readyz?verbose",
        "/livez?verbose",
        "/status",
        "/",
        "/metrics",
    ] {
        shown.push(supervisor.get(path).await.1);
    }
    let status = shown[4].clone();
    let (_, log) = supervisor.terminate().await;
    shown.push(log);
    for text in shown {
        assert!(!text.contains("Canary"), "{text}");
    }
    assert!(!status.contains("17120"), "the log was read: {status}");
}

#[tokio::test]
async fn a_volume_that_turns_read_only_is_not_ready_and_comes_back() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mount = Mount::tmpfs(&scratch.path().join("pod/mssql"));
    let standin = standin_with(&scratch, &name, |options| options).await;
    let more = [("require-mount", "true"), ("allow-ephemeral", "true")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes_all(&["gate", "ready"]).await;
    supervisor.answers("/gatez", 200).await;
    // The stand-in keeps its errorlog open for writing; a read-only bind over it does not mind.
    run(Command::new("mount")
        .arg("--bind")
        .arg(&mount.0)
        .arg(&mount.0));
    let bind = Mount(mount.0.clone());
    bind.remount("bind,ro");
    supervisor.finds("VolumeReadOnly").await;
    assert_eq!(supervisor.get("/readyz").await.0, 503);
    assert_eq!(supervisor.get("/livez").await.0, 200);
    drop(bind);
    supervisor.passes("ready").await;
    drop(standin);
}

#[tokio::test]
async fn a_full_volume_is_not_ready_and_not_restarted() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let mount = Mount::tmpfs(&scratch.path().join("pod/mssql"));
    let standin = standin_with(&scratch, &name, |options| options).await;
    let mut supervisor = supervise(&standin, &name, &[]).await;
    supervisor.passes("ready").await;
    let fill = mount.0.join("fill");
    let zeros = vec![0_u8; 1 << 20];
    let mut file = std::fs::File::create(&fill).expect("writable");
    while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    supervisor.finds("DiskFull").await;
    assert_eq!(supervisor.get("/readyz").await.0, 503);
    assert_eq!(supervisor.get("/livez").await.0, 200);
    std::fs::remove_file(&fill).expect("it is ours");
    drop(file);
    supervisor.passes("ready").await;
    drop(standin);
}

/// A FUSE file system over a directory, whose daemon can be stopped. Debian's package `bindfs`.
pub struct Fuse {
    daemon: std::process::Child,
    mount: Mount,
}

impl Fuse {
    pub fn over(source: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(source).expect("writable");
        std::fs::create_dir_all(at).expect("writable");
        let daemon = Command::new("bindfs")
            // Between two mounts somebody may have written beneath them.
            .args(["-f", "-o", "allow_other,nonempty"])
            .args([source, at])
            .spawn()
            .expect("bindfs is installed: apt-get install bindfs");
        let mount = Mount(at.to_owned());
        let mounted = || {
            let table = std::fs::read_to_string("/proc/self/mountinfo").expect("readable");
            table.contains(&at.display().to_string())
        };
        // A mount raises no event that a test could await; its table is polled.
        while !mounted() {
            std::thread::yield_now();
        }
        Self { daemon, mount }
    }

    /// Takes away what a dead daemon leaves.
    pub fn unmount(&self) {
        run(Command::new("umount").arg("-l").arg(&self.mount.0));
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.daemon.id()).expect("a pid");
        kill_process(Pid::from_raw(pid).expect("not zero"), signal).expect("it runs");
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        let _ = Command::new("umount").arg("-l").arg(&self.mount.0).status();
        self.signal(Signal::KILL);
        let _ = self.daemon.wait();
    }
}

/// Returns just after a check of the volume, long before the next one. A daemon that is stopped with
/// a request in its hands leaves the asking thread in an uninterruptible wait, and no process with
/// such a thread can end: not by exit, not by SIGKILL. That is the kernel's rule (fuse), and not
/// what is tested here.
async fn between_checks(supervisor: &Supervisor) {
    loop {
        let status = supervisor.status().await;
        let age = status["volume"]["ageSeconds"].as_f64();
        if age.is_some_and(|age| age < 0.3) {
            return;
        }
    }
}

#[tokio::test]
async fn a_stalled_volume_stalls_nothing_else() {
    let (scratch, name) = (Scratch::new(), unique_name());
    let source = scratch.path().join("pod/mssql");
    let fuse = Fuse::over(&source, &scratch.path().join("volume"));
    let standin = standin_with(&scratch, &name, |options| options).await;
    let path = fuse.mount.0.display().to_string();
    let more = [("data-dir", path.as_str()), ("volume-interval", "1s")];
    let mut supervisor = supervise(&standin, &name, &more).await;
    supervisor.passes("ready").await;
    between_checks(&supervisor).await;
    fuse.signal(Signal::STOP);
    supervisor.finds("VolumeStalled").await;
    let body = supervisor.answers("/readyz", 503).await;
    assert!(body.contains("VolumeStalled"), "{body}");
    for _ in 0..20 {
        assert_eq!(supervisor.get("/livez").await.0, 200);
    }
    standin.signal_child(Signal::STOP).expect("it runs");
    fuse.signal(Signal::CONT);
    // On a stalled volume it could not have come back; its silence counts from the end of that.
    assert_eq!(supervisor.fails("live").await, "EngineUnresponsive");
    standin.signal_child(Signal::CONT).expect("it runs");
    supervisor.passes("ready").await;
    between_checks(&supervisor).await;
    fuse.signal(Signal::STOP);
    supervisor.finds("VolumeStalled").await;
    let (exit, log) = supervisor.terminate().await;
    assert_eq!(
        exit.code(),
        Some(0),
        "a stalled volume keeps nobody from ending: {log}"
    );
}
