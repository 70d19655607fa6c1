//! The alerts on the engine's control group, by real groups of version 1 or 2.

use std::path::{Path, PathBuf};

use super::{obeys, pair};
use crate::filesystems::rig::Rig;
use crate::shared::alerts::Scrape;
use crate::shared::volumes::{Image, Kind};
use crate::standin::command::Command;
use crate::standin::handle::StandIn;
use crate::standin::script::Load;

const ROOT: &str = "/sys/fs/cgroup";

/// The share of time that is waited for: the alert's half where it is recorded, for which an average over
/// ten seconds takes its time; else any.
fn pressure() -> f64 {
    match std::env::var_os("UPDATE_GOLDEN") {
        Some(_) => 0.55,
        None => 0.01,
    }
}

/// A control group with the engine in it. Dropped, the engine is let out and the group is gone.
struct Group {
    path: PathBuf,
    parent: PathBuf,
    engine: u32,
    /// What ends its effect on who is in it: a file, and its contents.
    undo: Option<(PathBuf, String)>,
}

impl Group {
    /// Of the hierarchy of version 1 that has this controller, else of the unified one.
    fn of(controller: &str, standin: &StandIn) -> Self {
        let v1 = Path::new(ROOT).join(controller);
        let parent = match v1.is_dir() {
            true => v1,
            false => PathBuf::from(ROOT),
        };
        Self::below(parent, standin)
    }

    fn below(parent: PathBuf, standin: &StandIn) -> Self {
        let engine = standin.child_pid();
        let path = parent.join(format!("ses-alerts-{engine}"));
        std::fs::create_dir(&path).expect("a control group can be made: the tests need root");
        let group = Self {
            path,
            parent,
            engine,
            undo: None,
        };
        group.takes(&group.path);
        group
    }

    fn takes(&self, group: &Path) {
        let engine = self.engine.to_string();
        // At the end of a test it may be gone.
        let _ = std::fs::write(group.join("cgroup.procs"), engine);
    }

    /// Writes the file of version 1, or else the one of version 2.
    fn set(&self, v1: (&str, &str), v2: (&str, &str)) -> PathBuf {
        let (file, value) = match self.path.join(v1.0).exists() {
            true => v1,
            false => v2,
        };
        let path = self.path.join(file);
        std::fs::write(&path, value).expect("the controller is there");
        path
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some((file, value)) = &self.undo {
            let _ = std::fs::write(file, value);
        }
        self.takes(&self.parent);
        let _ = std::fs::remove_dir(&self.path);
    }
}

#[tokio::test]
async fn an_engine_that_has_nearly_all_of_its_memory() {
    let (supervisor, standin, _scratch) = pair(&[]).await;
    let group = Group::of("memory", &standin);
    group.set(("memory.limit_in_bytes", "400M"), ("memory.max", "400M"));
    let load = Load {
        memory_mib: 370,
        ..Load::default()
    };
    obeys(&standin, Command::Load { load }).await;
    let is_near = |scrape: &Scrape| {
        let limit = scrape.value("sql_edge_cgroup_memory_limit_bytes");
        let resident = scrape.value("sql_edge_process_resident_memory_bytes");
        resident
            .zip(limit)
            .is_some_and(|(resident, limit)| resident > 0.9 * limit)
    };
    supervisor
        .raises_when("SqlEdgeMemoryNearLimit", is_near)
        .await;
    drop(group);
}

#[tokio::test]
async fn an_engine_that_is_throttled() {
    let (mut supervisor, standin, _scratch) = pair(&[("cgroup-interval", "1s")]).await;
    let group = Group::of("cpu", &standin);
    group.set(("cpu.cfs_quota_us", "10000"), ("cpu.max", "10000 100000"));
    let periods = "sql_edge_cgroup_cpu_periods_total";
    while supervisor.scrape().await.value(periods).is_none() {
        tokio::task::yield_now().await;
    }
    supervisor.keeps_a_scrape().await;
    let load = Load {
        cpu_threads: 1,
        cpu_percent: 100,
        ..Load::default()
    };
    obeys(&standin, Command::Load { load }).await;
    supervisor.raises("CpuThrottled").await;
    let throttled = "sql_edge_cgroup_cpu_throttled_periods_total";
    let is_throttled = |scrape: &Scrape| scrape.value(throttled) >= Some(5.0);
    supervisor
        .raises_by_growth("SqlEdgeCpuThrottlingHigh", is_throttled)
        .await;
    drop(group);
}

#[tokio::test]
async fn an_engine_that_is_frozen() {
    let (supervisor, standin, _scratch) = pair(&[]).await;
    let mut group = Group::of("freezer", &standin);
    let file = group.set(("freezer.state", "FROZEN"), ("cgroup.freeze", "1"));
    let thawed = match file.ends_with("freezer.state") {
        true => "THAWED",
        false => "0",
    };
    group.undo = Some((file, thawed.to_owned()));
    supervisor.raises("CgroupFrozen").await;
    drop(group);
}

#[tokio::test]
async fn an_engine_that_waits_for_its_disk() {
    let make = |scratch: &Path, at: &Path| Image::mounted(Kind::Ext4, scratch, at);
    let mut rig = Rig::on(make).await;
    // The pressure of a group is told by the unified hierarchy alone.
    let unified = Path::new(ROOT).join("unified");
    let parent = match unified.is_dir() {
        true => unified,
        false => PathBuf::from(ROOT),
    };
    let mut groups = vec![Group::below(parent, &rig.standin)];
    if Path::new(ROOT).join("blkio").is_dir() {
        groups.push(Group::of("blkio", &rig.standin));
    }
    let limited = groups.last_mut().expect("there is one");
    let device = rustix::fs::stat(rig.volume.path())
        .expect("it is mounted")
        .st_dev;
    let device = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let v1 = ("blkio.throttle.write_iops_device", format!("{device} 2"));
    let v2 = ("io.max", format!("{device} wiops=2"));
    let file = limited.set((v1.0, &v1.1), (v2.0, &v2.1));
    let unlimited = match file.ends_with(v2.0) {
        true => format!("{device} wiops=max"),
        false => format!("{device} 0"),
    };
    limited.undo = Some((file, unlimited));
    rig.supervisor.keeps_a_scrape().await;
    let load = Load {
        io_writes_per_second: 10_000,
        ..Load::default()
    };
    obeys(&rig.standin, Command::Load { load }).await;
    let series = "sql_edge_cgroup_pressure_ratio{resource=\"io\"}";
    let waits = |scrape: &Scrape| scrape.value(series) > Some(pressure());
    rig.supervisor.raises_when("SqlEdgeIoPressure", waits).await;
    drop(groups);
}
