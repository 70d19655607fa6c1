use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::decide::memory::{
    RememberedBudget, RememberedEngine, RememberedRestart, RememberedStop, Tenant,
};
use crate::decide::observation::ProcessId;
use crate::decide::policy::RestartBy;
use crate::records::atomic::Unreadable;

/// A directory of this test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ses-memory-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join(file::NAME)
    }

    fn refused(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let refused = |path: &PathBuf| path.display().to_string().contains(".refused-");
        entries.filter(refused).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn at(seconds: u64) -> Time {
    Time::from_start(Duration::from_secs(seconds))
}

fn full() -> Memory {
    let process = ProcessId {
        pid: 12,
        start_ticks: 1200,
    };
    Memory {
        volume_id: Some("v-1".to_owned()),
        tenant: Some(Tenant { process, epoch: 7 }),
        engine: Some(RememberedEngine {
            parent: process,
            engine: None,
            proven: true,
            started: true,
            up: true,
            answered_at: Some("127.0.0.1:1433".parse().unwrap()),
        }),
        budget: RememberedBudget {
            failures: 2,
            asked: true,
            held: true,
        },
        maintenance_until: Some(at(30_000)),
        last_restart: Some(RememberedRestart {
            at: at(90),
            before_start: Duration::ZERO,
            by: RestartBy::Supervisor,
            process: Some(process),
            reasons: vec!["EngineUnresponsive".to_owned()],
        }),
        linked: true,
        stopping: Some(RememberedStop {
            since: at(95),
            before_start: Duration::ZERO,
        }),
        agent: true,
    }
}

#[test]
fn what_was_kept_is_known_to_the_next_run_with_the_time_that_is_left() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("made/when/absent");
    let (memory, mut writer) = open(&directory).unwrap();
    assert_eq!(memory, Memory::default());
    writer.keep(Memory::default(), at(1));
    writer.keep(full(), at(100));
    drop(writer);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(file::NAME)), 0o600);

    let (memory, _writer) = open(&directory).unwrap();
    let minute = Duration::from_secs(60);
    let about = |found: Time, seconds: u64| {
        let passed = at(seconds).since(found);
        assert!(
            passed < minute && found <= at(seconds),
            "{found:?} is not {seconds} s"
        );
    };
    assert_eq!(memory.engine, full().engine);
    assert!(memory.budget.asked && memory.budget.held);
    assert_eq!(memory.budget.failures, 2);
    about(memory.maintenance_until.unwrap(), 29_900);
    let last = memory.last_restart.unwrap();
    assert_eq!(last.reasons, ["EngineUnresponsive"]);
    assert!(last.before_start >= Duration::from_secs(10) && last.before_start < minute);
}

#[test]
fn the_last_value_is_the_one_that_is_written() {
    let scratch = Scratch::new();
    let (_, mut writer) = open(&scratch.0).unwrap();
    let mut memory = full();
    for pid in 1..500 {
        memory.engine.as_mut().unwrap().parent.pid = pid;
        writer.keep(memory.clone(), at(1));
    }
    drop(writer);
    let stored = file::read(&scratch.0).unwrap().unwrap();
    assert_eq!(stored.memory, memory);
    assert!(!scratch.0.join("state.json.new").exists());
}

#[test]
fn another_boot_is_told_by_its_id_and_measured_by_the_wall_clock() {
    let moment = |boot_id, boottime, wall_clock| {
        Moment::of(
            boot_id,
            Duration::from_secs(boottime),
            Duration::from_secs(wall_clock),
        )
    };
    let stored = Stored::new(full(), at(100), moment("a", 500, 1_000_000));
    let passed = |now| {
        let (passed, same_boot) = stored.passed(&now);
        (passed.as_secs(), same_boot)
    };
    assert_eq!(passed(moment("a", 530, 0)), (30, true));
    assert_eq!(passed(moment("b", 10, 1_000_070)), (70, false));
    assert_eq!(passed(moment("b", 10, 900_000)), (0, false), "set back");
    let unnamed = Stored::new(full(), at(100), moment("", 500, 1_000_000));
    assert!(!unnamed.passed(&moment("", 501, 1_000_001)).1);
}

#[test]
fn what_cant_be_used_is_kept_aside_a_few_times_and_never_written_over() {
    let scratch = Scratch::new();
    let whole = Stored::new(full(), at(100), Moment::now());
    let whole = serde_json::to_string(&whole).unwrap();
    let century = "{\"secs\":18446744073709551615,\"nanos\":0}";
    let impossible = whole.replace(
        "\"at\":{\"secs\":100,\"nanos\":0}",
        &format!("\"at\":{century}"),
    );
    assert_ne!(impossible, whole);
    for (content, why) in [
        (
            whole[..whole.len() / 2].to_owned(),
            "it is not what a supervisor writes",
        ),
        (
            whole.replace("\"version\":1", "\"version\":9"),
            "of version 9",
        ),
        (
            whole.replace("\"held\"", "\"hold\""),
            "it is not what a supervisor writes",
        ),
        (
            format!("{whole}{}", " ".repeat(65_536)),
            "longer than 65536 bytes",
        ),
        (impossible, "longer than a century"),
        (String::new(), "it is not what a supervisor writes"),
        (
            "\u{1}\u{2}".to_owned(),
            "it is not what a supervisor writes",
        ),
    ] {
        fs::write(scratch.file(), &content).unwrap();
        let refused = file::read(&scratch.0).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
        let (memory, writer) = open(&scratch.0).unwrap();
        assert_eq!(memory, Memory::default());
        let kept = scratch.refused();
        assert!(kept.len() <= 3, "{kept:?}");
        let same = kept
            .iter()
            .any(|path| fs::read_to_string(path).unwrap() == content);
        assert!(same, "{content}");
        drop(writer);
    }
    assert_eq!(scratch.refused().len(), 3);
}

#[test]
fn what_is_no_file_is_not_read_and_a_link_not_followed() {
    let scratch = Scratch::new();
    let elsewhere = scratch.0.join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, scratch.file()).unwrap();
    assert!(matches!(
        file::read(&scratch.0),
        Err(file::Refused::Unreadable(Unreadable::NotAFile))
    ));
    let (_, mut writer) = open(&scratch.0).unwrap();
    writer.keep(full(), at(1));
    drop(writer);
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
    assert!(!scratch.file().is_symlink());
    assert_eq!(scratch.refused().len(), 1);

    fs::remove_file(scratch.file()).unwrap();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&scratch.file(), mode).unwrap();
    assert!(matches!(
        file::read(&scratch.0),
        Err(file::Refused::Unreadable(Unreadable::NotAFile))
    ));
}

#[test]
fn a_directory_that_cant_be_made_costs_nothing_but_the_memory() {
    let scratch = Scratch::new();
    fs::write(scratch.file(), "").unwrap();
    let (memory, mut writer) = open(&scratch.file().join("below/a/file")).unwrap();
    assert_eq!(memory, Memory::default());
    writer.keep(full(), at(1));
    drop(writer);
}
