//! On fixtures of each version, and on groups of this machine.

use std::fs;
use std::process::{Child, Command};

use super::*;
use crate::observe::clock::Clock;
use crate::observe::testing::{TempDir, next, unique};

const PID: i32 = 40;

/// A `/proc` in which process [`PID`] is in the groups of `cgroup` and mounts them by `mountinfo`.
fn proc_root(cgroup: &str, mountinfo: &str) -> TempDir {
    let proc_root = TempDir::new();
    proc_root.write("40/cgroup", cgroup);
    proc_root.write("40/mountinfo", mountinfo);
    proc_root.write("2/mountinfo", "22 1 0:50 / / rw - overlay overlay rw\n");
    std::os::unix::fs::symlink("2", proc_root.path().join("self")).unwrap();
    proc_root
}

fn read_once(proc_root: &TempDir) -> CgroupReport {
    Meter::new(proc_root.path()).read(Some(PID))
}

/// Version 2, the container's own group mounted as seen from another cgroup namespace.
fn v2() -> TempDir {
    let mountinfo = "30 22 0:26 /../cri-a.scope /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n";
    let root = proc_root("0::/../cri-a.scope\n", mountinfo);
    let write = |name: &str, text: &str| root.write(format!("40/root/sys/fs/cgroup/{name}"), text);
    write("memory.max", "2147483648\n");
    write("memory.current", "1048576\n");
    write(
        "memory.events",
        "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n",
    );
    write(
        "cpu.stat",
        "usage_usec 9\nnr_periods 100\nnr_throttled 10\nthrottled_usec 2500\n",
    );
    write("cgroup.events", "populated 1\nfrozen 0\n");
    write(
        "cpu.pressure",
        "some avg10=1.50 avg60=0.00 avg300=0.00 total=1\n",
    );
    write(
        "memory.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=0\n",
    );
    root
}

#[test]
fn version_2() {
    assert_eq!(
        read_once(&v2()),
        CgroupReport {
            memory_limit_bytes: Some(2_147_483_648),
            memory_bytes: Some(1_048_576),
            oom_kills: Some(1),
            cpu_used: None,
            io_bytes: None,
            cpu_periods: Some(100),
            cpu_throttled_periods: Some(10),
            cpu_throttled: Some(Duration::from_micros(2500)),
            throttled_ratio: None,
            frozen: Some(false),
            pressure_cpu: Some(1.5),
            pressure_memory: Some(0.0),
            pressure_io: None,
        }
    );
}

#[test]
fn what_was_used_is_told_of_a_group_of_its_own_only() {
    let root = v2();
    root.write("40/root/sys/fs/cgroup/cpu.stat", "usage_usec 1500000\n");
    root.write(
        "40/root/sys/fs/cgroup/io.stat",
        "8:0 rbytes=100 wbytes=20 rios=1\n",
    );
    let used = |own: &str| {
        root.write("2/cgroup", own);
        let report = read_once(&root);
        (report.cpu_used, report.io_bytes)
    };
    let all = (Some(Duration::from_millis(1500)), Some(120));
    assert_eq!(used("0::/\n"), all);
    assert_eq!(used("0::/../cri-b.scope\n"), all);
    assert_eq!(used("0::/../cri-a.scope\n"), (None, None), "the same one");
    assert_eq!(used("0::/../cri-a.scope/x\n"), (None, None), "below it");
    root.write("40/cgroup", "0::/\n");
    assert_eq!(used("0::/\n"), (None, None), "the root");
}

#[test]
fn what_was_used_in_version_1() {
    let cgroup = "4:memory:/a\n2:cpu,cpuacct:/a\n3:blkio:/a\n";
    let mountinfo = "\
32 22 0:32 /a /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct
33 22 0:33 /a /sys/fs/cgroup/blkio ro - cgroup cgroup rw,blkio
";
    let root = proc_root(cgroup, mountinfo);
    let write = |name: &str, text: &str| root.write(format!("40/root/sys/fs/cgroup/{name}"), text);
    write("cpu,cpuacct/cpuacct.usage", "1500000000\n");
    write(
        "blkio/blkio.throttle.io_service_bytes",
        "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\nTotal 120\n",
    );
    root.write("2/cgroup", "2:cpu,cpuacct:/\n3:blkio:/a\n");
    let report = read_once(&root);
    assert_eq!(report.cpu_used, Some(Duration::from_millis(1500)));
    assert_eq!(report.io_bytes, None, "the supervisor is in that one too");
}

#[test]
fn version_2_without_a_limit() {
    let root = v2();
    root.write("40/root/sys/fs/cgroup/memory.max", "max\n");
    assert_eq!(read_once(&root).memory_limit_bytes, None);
}

#[test]
fn version_1_in_a_container_that_mounts_its_own_groups() {
    let cgroup = "4:memory:/kubepods/a\n2:cpu,cpuacct:/kubepods/a\n1:freezer:/kubepods/a\n";
    let mountinfo = "\
31 22 0:31 /kubepods/a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
32 22 0:32 /kubepods/a /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct
33 22 0:33 /kubepods/a /sys/fs/cgroup/freezer ro - cgroup cgroup rw,freezer
";
    let root = proc_root(cgroup, mountinfo);
    let write = |name: &str, text: &str| root.write(format!("40/root/sys/fs/cgroup/{name}"), text);
    write("memory/memory.limit_in_bytes", "9223372036854771712\n");
    write("memory/memory.usage_in_bytes", "4096\n");
    write(
        "memory/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    );
    write(
        "cpu,cpuacct/cpu.stat",
        "nr_periods 8\nnr_throttled 4\nthrottled_time 5000000\n",
    );
    write("freezer/freezer.state", "FROZEN\n");
    assert_eq!(
        read_once(&root),
        CgroupReport {
            memory_bytes: Some(4096),
            oom_kills: Some(3),
            cpu_periods: Some(8),
            cpu_throttled_periods: Some(4),
            cpu_throttled: Some(Duration::from_millis(5)),
            frozen: Some(true),
            ..CgroupReport::default()
        }
    );
}

#[test]
fn a_hybrid_takes_each_controller_from_where_it_is() {
    let cgroup = "4:memory:/pods/a\n0::/pods/a\n";
    let mountinfo = "\
31 22 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 22 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
    let root = proc_root(cgroup, mountinfo);
    let write = |name: &str, text: &str| root.write(format!("40/root/sys/fs/cgroup/{name}"), text);
    write("memory/pods/a/memory.usage_in_bytes", "7\n");
    write("unified/pods/a/memory.current", "8\n");
    write(
        "unified/pods/a/cpu.stat",
        "nr_periods 1\nnr_throttled 0\nthrottled_usec 0\n",
    );
    write("unified/pods/a/cgroup.events", "frozen 1\n");
    let report = read_once(&root);
    assert_eq!(report.memory_bytes, Some(7));
    assert_eq!(report.cpu_periods, Some(1));
    assert_eq!(report.frozen, Some(true));
}

#[test]
fn where_the_containers_root_is_closed_our_own_mount_serves() {
    let root = v2();
    fs::remove_dir_all(root.path().join("40/root")).unwrap();
    root.write(
        "2/mountinfo",
        "30 22 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
    );
    root.write("40/cgroup", "0::/pods/a\n");
    root.write("2/root/sys/fs/cgroup/pods/a/memory.current", "9\n");
    assert_eq!(read_once(&root).memory_bytes, Some(9));
}

#[test]
fn what_is_missing_is_absent() {
    let none = CgroupReport::default();
    assert_eq!(Meter::new("/proc").read(None), none);
    assert_eq!(Meter::new("/proc").read(Some(i32::MAX)), none);
    assert_eq!(
        read_once(&proc_root("0::/\n", "")),
        none,
        "nothing is mounted"
    );
    assert_eq!(read_once(&proc_root("garbage\n", "")), none);
    let outside = "30 22 0:26 /other /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    assert_eq!(read_once(&proc_root("0::/mine\n", outside)), none);
}

#[test]
fn throttling_is_a_share_of_the_periods_between_two_readings() {
    assert_eq!(throttled_ratio((100, 10), (200, 60)), Some(0.5));
    assert_eq!(throttled_ratio((100, 10), (100, 10)), Some(0.0));
    assert_eq!(throttled_ratio((0, 0), (0, 0)), None, "no quota");
    assert_eq!(throttled_ratio((100, 10), (50, 5)), None, "another group");
}

#[test]
fn throttling_starts_anew_in_a_new_group() {
    let root = v2();
    let mut meter = Meter::new(root.path());
    assert_eq!(meter.read(Some(PID)).throttled_ratio, None);
    let path = "40/root/sys/fs/cgroup/cpu.stat";
    root.write(path, "nr_periods 110\nnr_throttled 19\nthrottled_usec 1\n");
    assert_eq!(meter.read(Some(PID)).throttled_ratio, Some(0.9));
    root.write("40/cgroup", "0::/../cri-a.scope\n1:name=moved:/\n");
    assert_eq!(meter.read(Some(PID)).throttled_ratio, None);
    assert_eq!(meter.read(Some(PID)).throttled_ratio, Some(0.0));
    assert_eq!(meter.read(None), CgroupReport::default());
}

/// Groups of its own, and a process in them.
struct Groups {
    directories: Vec<PathBuf>,
    child: Child,
}

impl Groups {
    /// Makes a directory below each of `parents`.
    fn below(parents: &[&str]) -> Self {
        let name = unique("cg");
        let child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let mut groups = Self {
            directories: Vec::new(),
            child,
        };
        for parent in parents {
            let directory = Path::new(parent).join(&name);
            fs::create_dir(&directory).expect("this test needs root and a writable cgroup mount");
            groups.directories.push(directory.clone());
            fs::write(
                directory.join("cgroup.procs"),
                groups.child.id().to_string(),
            )
            .unwrap();
        }
        groups
    }

    fn write(&self, index: usize, file: &str, text: &str) {
        fs::write(self.directories[index].join(file), text).unwrap();
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for directory in &self.directories {
            let _ = fs::write(directory.join("freezer.state"), "THAWED");
            let _ = fs::write(directory.join("cgroup.freeze"), "0");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for directory in &self.directories {
            let _ = fs::remove_dir(directory);
        }
    }
}

#[tokio::test]
async fn the_groups_of_a_real_process() {
    let v1 = Path::new("/sys/fs/cgroup/memory").exists();
    let (groups, limit, freeze, frozen) = if v1 {
        let parents = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/freezer"];
        (
            Groups::below(&parents),
            "memory.limit_in_bytes",
            "freezer.state",
            "FROZEN",
        )
    } else {
        (
            Groups::below(&["/sys/fs/cgroup"]),
            "memory.max",
            "cgroup.freeze",
            "1",
        )
    };
    groups.write(0, limit, "67108864");
    let engine_pid = EnginePid::default();
    engine_pid.set(i32::try_from(groups.child.id()).ok());
    let (sink, mut receiver) = Sink::new(Clock::start(Duration::from_secs(5)));
    let interval = Duration::from_millis(1);
    let observer = tokio::spawn(observe(interval, engine_pid.clone(), sink));
    let report = report(&mut receiver, |_| true).await;
    assert_eq!(report.memory_limit_bytes, Some(67_108_864));
    assert_eq!(report.oom_kills, Some(0));
    assert!(report.memory_bytes.unwrap() <= 67_108_864);
    assert_eq!(report.frozen, Some(false));
    groups.write(usize::from(v1), freeze, frozen);
    self::report(&mut receiver, |report| report.frozen == Some(true)).await;
    engine_pid.set(None);
    self::report(&mut receiver, |report| *report == CgroupReport::default()).await;
    observer.abort();
}

async fn report(
    receiver: &mut tokio::sync::mpsc::Receiver<crate::decide::observation::Observed<Observation>>,
    wanted: impl Fn(&CgroupReport) -> bool,
) -> CgroupReport {
    loop {
        match next(receiver).await {
            Observation::Cgroup(report) if wanted(&report) => return report,
            Observation::Cgroup(_) => {}
            other => panic!("{other:?}"),
        }
    }
}
