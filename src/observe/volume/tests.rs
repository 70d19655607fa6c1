//! On real file systems: the machine's own, a tmpfs, and an ext4 on a loop device. These need root and the
//! right to mount, and report it where they lack it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use super::*;
use crate::decide::identity::Identity;
use crate::decide::observation::{EngineMount, Mount, Observed, VolumeFault, WriteCheck};
use crate::observe::clock::Clock;
use crate::observe::testing::{AsUser, TempDir, next, tool, unique};

/// No check takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
const NEVER_AGAIN: Duration = Duration::from_secs(3600);

fn config(data_dir: &Path) -> VolumeConfig {
    VolumeConfig {
        expected_id: None,
        expected_id_file: None,
        data_dir: data_dir.to_owned(),
        engine_data_dir: data_dir.to_owned(),
        places: crate::config::PlacesConfig::default(),
        engine_output: None,
        interval: NEVER_AGAIN,
    }
}

fn check_once(data_dir: &Path) -> VolumeCheck {
    let own = i32::try_from(std::process::id()).ok();
    let config = config(data_dir);
    let volume = Volume::whole(data_dir, data_dir);
    Checker::new(&volume, &config).check(own)
}

fn write_fault(data_dir: &Path) -> VolumeFault {
    match check_once(data_dir).write {
        WriteCheck::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

/// A mounted file system, unmounted with it.
struct Mounted {
    dir: TempDir,
    frozen: bool,
}

impl Mounted {
    fn tmpfs(options: &str) -> Self {
        let dir = TempDir::new();
        tool(
            "mount",
            &["-t", "tmpfs", "-o", options, "none", text(dir.path())],
        );
        Self { dir, frozen: false }
    }

    /// An ext4 of 8 MiB on a loop device.
    fn ext4() -> Self {
        let image = TempDir::new();
        let file = image.path().join("image");
        let device = fs::File::create(&file).unwrap();
        device.set_len(8 << 20).unwrap();
        tool("mkfs.ext4", &["-q", "-m", "0", text(&file)]);
        let dir = TempDir::new();
        tool("mount", &["-o", "loop", text(&file), text(dir.path())]);
        // The loop device keeps the file, which needs its name no more.
        Self { dir, frozen: false }
    }

    /// Mounts `source` at a place of its own.
    fn bind(source: &Path) -> Self {
        let dir = TempDir::new();
        tool("mount", &["--bind", text(source), text(dir.path())]);
        Self { dir, frozen: false }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn remount(&self, options: &str) {
        // It is busy while the child of another test has a file of it, between its fork and its exec.
        let options = format!("remount,{options}");
        let mut command = std::process::Command::new("mount");
        command.args(["-o", &options, text(self.path())]);
        while !command.status().unwrap().success() {
            thread::yield_now();
        }
    }

    /// Makes each write to the file system wait.
    fn freeze(&mut self) {
        tool("fsfreeze", &["-f", text(self.path())]);
        self.frozen = true;
    }

    fn thaw(&mut self) {
        tool("fsfreeze", &["-u", text(self.path())]);
        self.frozen = false;
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let run = |program: &str, flag: &str| {
            let mut command = std::process::Command::new(program);
            let _ = command.arg(flag).arg(self.path()).status();
        };
        if self.frozen {
            run("fsfreeze", "-u");
        }
        // Lazily: a check may still be under way on it.
        run("umount", "-l");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn started(
    data_dir: &Path,
    interval: Duration,
) -> (VolumeThreads, Receiver<Observed<Observation>>) {
    let (sink, receiver) = Sink::new(Clock::start(Duration::from_secs(5)));
    let config = VolumeConfig {
        interval,
        ..config(data_dir)
    };
    let thread = spawn(config, EnginePid::default(), sink).unwrap();
    (thread, receiver)
}

/// Returns the next event, past the layout that the first one is followed by.
async fn event(receiver: &mut Receiver<Observed<Observation>>) -> VolumeReport {
    loop {
        match next(receiver).await {
            Observation::Volume(report) => return report,
            Observation::Layout(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn began(receiver: &mut Receiver<Observed<Observation>>) {
    assert_eq!(event(receiver).await.event, VolumeEvent::Began);
}

async fn checked(receiver: &mut Receiver<Observed<Observation>>) -> VolumeCheck {
    match event(receiver).await.event {
        VolumeEvent::Checked(check) => *check,
        other @ VolumeEvent::Began => panic!("{other:?}"),
    }
}

#[test]
fn a_directory_in_the_root_file_system_is_no_mount() {
    // Not below /tmp, which is a mount on many machines.
    let dir = PathBuf::from("/").join(unique("vol"));
    fs::create_dir(&dir).expect("this test needs to write to /");
    let report = check_once(&dir);
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(report.mount, None);
    assert_eq!(report.engine_mount, Some(EngineMount::NotMounted));
    assert!(matches!(report.write, WriteCheck::Written(_)), "{report:?}");
}

#[test]
fn what_is_in_the_data_directory_is_seen() {
    let dir = TempDir::new();
    let report = check_once(dir.path());
    assert_eq!(report.master_present, Some(false));
    assert_eq!(report.errorlog, None);
    dir.write("data/master.mdf", "pages");
    dir.write("log/errorlog", "0123456789");
    let report = check_once(dir.path());
    assert_eq!(report.master_present, Some(true));
    assert_eq!(report.errorlog.unwrap().bytes, 10);
    let space = report.space.unwrap();
    assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes);
}

#[test]
fn nothing_but_the_folder_is_left_and_what_others_left_is_removed() {
    let dir = TempDir::new();
    let folder = dir.path().join(FOLDER);
    fs::create_dir(&folder).unwrap();
    for left in [
        "write-check",
        "write-check.0123456789abcdef-7",
        "lease.0000000001",
    ] {
        fs::write(folder.join(left), "").unwrap();
    }
    let mut writer = write::Writer::default();
    for _ in 0..3 {
        assert!(matches!(
            writer.check(dir.path(), true),
            WriteCheck::Written(_)
        ));
    }
    assert_eq!(names(dir.path()), [FOLDER]);
    assert_eq!(names(&folder).len(), 3, "another's check may be under way");
    for _ in 0..20 {
        assert!(matches!(
            writer.check(dir.path(), true),
            WriteCheck::Written(_)
        ));
    }
    assert_eq!(names(&folder), ["lease.0000000001"]);
}

/// Two supervisors check one volume, as when a second pod waits for the volume that the first one uses.
#[test]
fn two_that_check_one_volume_do_not_meet() {
    let dir = TempDir::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut writer = write::Writer::default();
                for _ in 0..200 {
                    let checked = writer.check(dir.path(), true);
                    assert!(matches!(checked, WriteCheck::Written(_)), "{checked:?}");
                }
            });
        }
    });
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_missing_directory_is_missing_and_not_made() {
    let dir = TempDir::new();
    let missing = dir.path().join("mssql");
    let report = check_once(&missing);
    assert_eq!(report.write, WriteCheck::Failed(VolumeFault::Missing));
    assert_eq!(report.space, None);
    assert_eq!(report.master_present, Some(false));
    assert!(!missing.exists());
}

#[test]
fn a_file_in_its_place_is_missing_too() {
    let dir = TempDir::new();
    dir.write("mssql", "");
    assert_eq!(write_fault(&dir.path().join("mssql")), VolumeFault::Missing);
}

#[test]
fn a_link_in_the_folders_place_is_not_followed() {
    let dir = TempDir::new();
    let elsewhere = TempDir::new();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join(FOLDER)).unwrap();
    write_fault(dir.path());
    assert!(names(elsewhere.path()).is_empty());
}

#[test]
fn another_users_directory_is_denied() {
    let dir = TempDir::new();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let denied = |dir: &Path| {
        let _user = AsUser::mssql();
        let report = check_once(dir);
        let expected = WriteCheck::Failed(VolumeFault::PermissionDenied);
        assert_eq!(report.write, expected);
        report.denial.unwrap()
    };
    let denial = denied(dir.path());
    assert_eq!((denial.folder, denial.uid, denial.mode), (false, 0, 0o755));
    // What another user's supervisor left there is what denies.
    fs::create_dir(dir.path().join(FOLDER)).unwrap();
    let denial = denied(dir.path());
    assert_eq!((denial.folder, denial.uid), (true, 0));
}

#[test]
fn the_groups_directory_is_written() {
    let dir = TempDir::new();
    nix::unistd::chown(dir.path(), Some(10001.into()), None).unwrap();
    let _user = AsUser::mssql();
    let report = check_once(dir.path());
    assert!(matches!(report.write, WriteCheck::Written(_)), "{report:?}");
}

#[test]
fn a_mount_is_seen_here_and_by_the_engine() {
    let volume = Mounted::tmpfs("size=1m");
    let report = check_once(volume.path());
    let mount = report.mount.unwrap();
    assert_eq!(
        (mount.fs_type.as_str(), mount.root.as_str()),
        ("tmpfs", "/")
    );
    assert!(!mount.read_only);
    assert_eq!(report.engine_mount, Some(EngineMount::Mounted(mount)));
    assert_eq!(report.space.unwrap().total_bytes, 1 << 20);
    assert!(matches!(report.write, WriteCheck::Written(_)));
}

#[test]
fn a_bind_mount_tells_which_directory_is_mounted() {
    let volume = Mounted::tmpfs("size=1m");
    fs::create_dir(volume.path().join("sub path")).unwrap();
    let target = Mounted::bind(&volume.path().join("sub path"));
    let mount = check_once(target.path()).mount;
    let Some(Mount { root, device, .. }) = mount else {
        panic!("no mount");
    };
    assert_eq!(root, "/sub path");
    assert_eq!(
        Some(device),
        check_once(volume.path()).mount.map(|mount| mount.device)
    );
}

#[test]
fn a_volume_that_turns_read_only_is_read_only_by_mount_and_by_write() {
    for volume in [Mounted::tmpfs("size=1m"), Mounted::ext4()] {
        assert!(matches!(
            check_once(volume.path()).write,
            WriteCheck::Written(_)
        ));
        volume.remount("ro");
        let report = check_once(volume.path());
        assert_eq!(report.write, WriteCheck::Failed(VolumeFault::ReadOnly));
        assert!(report.mount.unwrap().read_only);
    }
}

#[test]
fn a_volume_read_only_from_the_start_is_read_only() {
    let volume = Mounted::tmpfs("size=1m,ro");
    assert_eq!(write_fault(volume.path()), VolumeFault::ReadOnly);
}

#[test]
fn a_full_volume_has_no_space_and_none_is_taken() {
    for volume in [Mounted::tmpfs("size=1m"), Mounted::ext4()] {
        assert!(matches!(
            check_once(volume.path()).write,
            WriteCheck::Written(_)
        ));
        fill(&volume.path().join("filler"));
        let report = check_once(volume.path());
        assert_eq!(report.write, WriteCheck::Failed(VolumeFault::NoSpace));
        assert_eq!(report.space.unwrap().free_bytes, 0);
        // The room that is kept for the supervisor's own records was taken while there was some.
        assert_eq!(names(&volume.path().join(FOLDER)), ["reserve"]);
        fs::remove_file(volume.path().join("filler")).unwrap();
        // The child of another test may have the file for the moment between its fork and its exec.
        while !matches!(check_once(volume.path()).write, WriteCheck::Written(_)) {
            thread::yield_now();
        }
    }
}

#[test]
fn a_volume_without_inodes_has_no_space() {
    let volume = Mounted::tmpfs("size=1m,nr_inodes=16");
    let mut numbers = 0..16;
    assert!(
        !numbers.all(|number| fs::File::create(volume.path().join(number.to_string())).is_ok()),
        "the limit of inodes holds"
    );
    let report = check_once(volume.path());
    assert_eq!(report.write, WriteCheck::Failed(VolumeFault::NoSpace));
    let space = report.space.unwrap();
    assert_eq!(space.free_inodes, 0);
    assert!(space.free_bytes > 0);
}

/// Takes all the room there is.
fn fill(file: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(file).unwrap();
    let block = [0; 1024];
    while file.write_all(&block).is_ok() {}
    let _ = file.sync_all();
}

#[test]
fn what_is_read_back_comes_from_the_device() {
    let volume = Mounted::ext4();
    let mut writer = write::Writer::default();
    writer.check(volume.path(), true);
    let before = read_by_this_thread();
    assert!(matches!(
        writer.check(volume.path(), true),
        WriteCheck::Written(_)
    ));
    assert!(
        read_by_this_thread() >= before + 4096,
        "it came from the page cache"
    );
}

/// Bytes fetched from storage so far, `/proc/thread-self/io`.
fn read_by_this_thread() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes: "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn each_check_is_announced_before_it_begins() {
    let dir = TempDir::new();
    let (_thread, mut receiver) = started(dir.path(), Duration::from_millis(1));
    // The first one is of the data directory, before the layout is known.
    began(&mut receiver).await;
    for _ in 0..3 {
        began(&mut receiver).await;
        checked(&mut receiver).await;
    }
}

#[tokio::test]
async fn a_dropped_thread_ends_after_its_check() {
    let dir = TempDir::new();
    let (thread, mut receiver) = started(dir.path(), NEVER_AGAIN);
    began(&mut receiver).await;
    began(&mut receiver).await;
    checked(&mut receiver).await;
    drop(thread);
    // Its sink, the only one, is gone with it, and a check that had begun is over.
    let gone = async { while receiver.recv().await.is_some() {} };
    tokio::time::timeout(PATIENCE, gone).await.expect("it ends");
}

#[test]
fn a_volume_without_identity_is_checked_soon_again_and_more_often_at_first() {
    let interval = Duration::from_secs(5);
    let config = VolumeConfig {
        interval,
        ..config(Path::new("/data"))
    };
    let with = |file: Option<IdentityFile>| {
        [0, FIRST_CHECKS - 1, FIRST_CHECKS].map(|count| pace(&config, file.as_ref(), count))
    };
    assert_eq!(with(None), [interval; 3], "it was not looked for");
    assert_eq!(with(Some(IdentityFile::Absent)), [AT_FIRST, AT_FIRST, SOON]);
    let known = IdentityFile::Known(Identity::default());
    assert_eq!(with(Some(known)), [interval; 3]);
}

#[tokio::test]
async fn a_stalled_volume_shows_as_a_check_that_does_not_end() {
    let mut volume = Mounted::ext4();
    volume.freeze();
    let (_thread, mut receiver) = started(volume.path(), Duration::from_millis(1));
    began(&mut receiver).await;
    began(&mut receiver).await;
    // The runtime goes on, while the thread waits in the kernel.
    while !a_volume_thread_waits_for_the_disk() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(receiver.try_recv().is_err());
    volume.thaw();
    let report = checked(&mut receiver).await;
    assert!(matches!(report.write, WriteCheck::Written(_)));
}

/// A thread of this process by [`THREAD_NAME`] is in state `D`. Only the test above freezes anything.
fn a_volume_thread_waits_for_the_disk() -> bool {
    let own = procfs::process::Process::myself().unwrap();
    let stats = own
        .tasks()
        .unwrap()
        .filter_map(|task| task.ok()?.stat().ok());
    stats
        .into_iter()
        .any(|stat| stat.comm == THREAD_NAME && stat.state == 'D')
}
