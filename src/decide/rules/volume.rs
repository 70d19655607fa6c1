//! The volumes: the findings on each of them by itself.

use super::super::decision::Phase;
use super::super::findings::{Findings, seconds};
use super::super::first_mounts::Replaced;
use super::super::observation::{
    Denial, Dumps, EngineMount, Mount, Space, VolumeCheck, VolumeFault, WriteCheck,
};
use super::super::reason::{Outcome, Reason};
use super::super::snapshot::VolumeState;
use super::super::volumes::Use;
use super::View;

/// The types of file systems in memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// The places of directories that go with a pod or a container: an emptyDir (`pods/UID/volumes/` and the
/// plugin's name with `~` for `/`, kubernetes pkg/volume/emptydir), and the volume that containerd makes
/// for a `VOLUME` of the image that nobody mounts (containerd internal/cri, `containers/ID/volumes/ID`).
const EPHEMERAL: [(&str, &str); 2] = [
    ("/kubernetes.io~empty-dir/", "an emptyDir"),
    (
        "/io.containerd.grpc.v1.cri/containers/",
        "a container's anonymous volume",
    ),
];

/// The findings on one volume. Of two findings with one reason the first one's evidence stays.
#[derive(Debug, Default)]
struct Found(Vec<(Reason, String)>);

impl Found {
    fn add(&mut self, reason: Reason, evidence: impl Into<String>) {
        if self.0.iter().all(|(found, _)| *found != reason) {
            self.0.push((reason, evidence.into()));
        }
    }
}

/// Judges each volume by itself. A fault of one that the gate does not require is a notice, but for a stall
/// under tempdb.
pub fn rule(view: &View<'_>, findings: &mut Findings) {
    let volumes = &view.snapshot.volumes;
    if volumes.is_empty() {
        findings.add(Reason::VolumeUnchecked, "no check has finished");
    }
    for state in volumes {
        let mut found = Found::default();
        one(view, state, &mut found, findings);
        for (reason, evidence) in found.0 {
            if reason == Reason::VolumeStalled && is_tempdb_alone(state) {
                let evidence = view.snapshot.named(&state.volume.name, evidence);
                findings.add_beside_gate(reason, evidence);
                continue;
            }
            let (reason, evidence) = match state.volume.binds() || is_notice(reason) {
                true => (reason, evidence),
                false if reason == Reason::VolumeUnchecked => continue,
                false => (
                    Reason::SideVolumeFault,
                    format!("{}: {evidence}", reason.code()),
                ),
            };
            findings.add_another(reason, view.snapshot.named(&state.volume.name, evidence));
        }
    }
    outside(view, findings);
}

/// Whether tempdb lies on the volume, and nothing that the gate requires. No restart helps where it stalls:
/// tempdb is made anew there at each start. What is on it is worth nothing, so that the gate stays open.
fn is_tempdb_alone(state: &VolumeState) -> bool {
    state.volume.uses.contains(&Use::TempDb) && !state.volume.binds()
}

fn is_notice(reason: Reason) -> bool {
    reason.info().outcome == Outcome::Notice
}

fn one(view: &View<'_>, state: &VolumeState, found: &mut Found, findings: &mut Findings) {
    if let Some(began) = state.pending
        && findings.due(began, view.policy.volume_stalled_after)
    {
        let lasted = seconds(view.now.since(began));
        let evidence = format!("a write and fsync have been in flight for {lasted}");
        // The engine's own writes count for as long as a check may take.
        let wrote = view.snapshot.wrote_since(&state.volume.name, began);
        match wrote {
            Some(at) if !findings.due(at, view.policy.volume_stalled_after) => {
                let evidence = evidence + ", and the engine has written to it meanwhile";
                found.add(Reason::VolumeSlow, evidence);
            }
            _ => found.add(Reason::VolumeStalled, evidence),
        }
    }
    let Some(checked) = &state.checked else {
        found.add(Reason::VolumeUnchecked, "no check has finished");
        return;
    };
    let check = &checked.value;
    // Of two reasons to call it not mounted, the first one's evidence is shown.
    replaced(view, state, check, found);
    mount(view, state, check, found);
    seen_by_both(check, found);
    write(check, found);
    if let Some(space) = check.space {
        room(view, space, check.dumps, found);
    }
    // A look from before the engine had set up its files says nothing of them.
    let looked = state.began.unwrap_or(checked.at);
    let running = view.engine.phase == Phase::Running && looked >= view.engine.phase_since;
    if check.master_present == Some(false) && running {
        found.add(Reason::VolumeEmpty, "data/master.mdf is not there");
    }
}

/// Adds a finding for directories that go with the container.
fn outside(view: &View<'_>, findings: &mut Findings) {
    if !view.policy.require_mount {
        return;
    }
    let system = view.snapshot.volumes.iter().filter(|state| {
        let volume = &state.volume;
        let mount = state.check().and_then(|check| check.mount.as_ref());
        !volume.holds_databases() && volume.binds() && mount.is_some_and(|m| ephemeral(m).is_some())
    });
    let passing = system.map(|state| (Use::System, state.volume.engine_path.as_path()));
    let outside = view.snapshot.outside.iter();
    let mut places: Vec<String> = outside
        .map(|outside| (outside.used, outside.directory.as_path()))
        .chain(passing)
        .map(|(used, directory)| match used {
            Use::System => format!(
                "{0}/.system and {0}/secrets (the machine key)",
                directory.display()
            ),
            used => format!("{} ({})", directory.display(), used.name()),
        })
        .collect();
    let homeless = view.snapshot.directories.iter().filter(|state| {
        let directory = state.directory.as_path();
        view.snapshot.volume_of(directory).is_none()
    });
    // Where none is on a volume, the engine's container names all of them otherwise.
    let comparable = view
        .snapshot
        .directories
        .iter()
        .any(|state| view.snapshot.volume_of(&state.directory).is_some());
    let homeless = homeless.filter(|_| comparable);
    places.extend(homeless.map(|state| format!("{} (databases)", state.directory.display())));
    if places.is_empty() {
        return;
    }
    places.dedup();
    let evidence = format!(
        "on no volume that the supervisor has mounted and that outlives the pod: {}",
        places.join(", ")
    );
    findings.add(Reason::NotOnVolume, evidence);
}

fn mount(view: &View<'_>, state: &VolumeState, check: &VolumeCheck, findings: &mut Found) {
    match &check.mount {
        Some(mount) if mount.read_only => {
            findings.add(
                Reason::VolumeReadOnly,
                format!("{} is mounted ro", of(mount)),
            );
        }
        None if view.policy.require_mount
            && check.write != WriteCheck::Failed(VolumeFault::Missing) =>
        {
            let evidence = "the data directory lies on the container's own file system";
            findings.add(Reason::VolumeNotMounted, evidence);
        }
        Some(_) | None => {}
    }
    let databases = state.volume.holds_databases();
    let asked = view.policy.require_mount && !view.policy.allow_ephemeral && databases;
    if let Some(mount) = check.mount.as_ref().filter(|_| asked)
        && let Some(what) = ephemeral(mount)
    {
        findings.add(Reason::VolumeEphemeral, format!("{} is {what}", of(mount)));
    }
}

/// Describes a mount that goes with the pod or the container; absent for any other.
fn ephemeral(mount: &Mount) -> Option<&'static str> {
    if IN_MEMORY.contains(&mount.fs_type.as_str()) {
        return Some("in memory");
    }
    let found = EPHEMERAL
        .iter()
        .find(|(place, _)| mount.root.contains(place));
    found.map(|(_, what)| *what)
}

/// Adds a finding where the mount that the supervisor sees is not the engine's.
fn seen_by_both(check: &VolumeCheck, findings: &mut Found) {
    match (&check.engine_mount, &check.mount) {
        (Some(EngineMount::NotMounted), Some(_)) => {
            let evidence = "sqlservr writes to its container's own file system";
            findings.add(Reason::VolumeNotMounted, evidence);
        }
        (Some(EngineMount::Mounted(engine)), Some(ours)) if !engine.same(ours) => {
            let evidence = format!("sqlservr sees {}, the supervisor {}", of(engine), of(ours));
            findings.add(Reason::VolumeMismatch, evidence);
        }
        _ => {}
    }
}

/// Adds findings for a mount that was replaced or taken away beneath the running engine.
fn replaced(view: &View<'_>, state: &VolumeState, check: &VolumeCheck, findings: &mut Found) {
    let Some(mounts) = view.mounts.get(&state.volume.name) else {
        return;
    };
    for Replaced {
        seen_by,
        first,
        now,
    } in mounts.replaced(check)
    {
        let first = of(first);
        match now {
            Some(now) => {
                let evidence = format!("{seen_by} saw {first}, and sees {} now", of(now));
                findings.add(Reason::VolumeReplaced, evidence);
            }
            None => {
                let evidence = format!("{seen_by} saw {first}, which is not mounted any more");
                findings.add(Reason::VolumeNotMounted, evidence);
            }
        }
    }
}

/// Formats a mount for evidence: type, device and the directory that is mounted.
fn of(mount: &Mount) -> String {
    format!("{} {} {}", mount.fs_type, mount.device, mount.root)
}

fn write(check: &VolumeCheck, findings: &mut Found) {
    let WriteCheck::Failed(fault) = check.write else {
        return;
    };
    let (reason, evidence) = match fault {
        VolumeFault::ReadOnly => (
            Reason::VolumeReadOnly,
            "a write was refused: EROFS".to_owned(),
        ),
        VolumeFault::NoSpace => (
            Reason::DiskFull,
            format!("a write was refused: ENOSPC{}", lacking(check.space)),
        ),
        VolumeFault::Quota => (
            Reason::DiskFull,
            "a write was refused: EDQUOT, the quota is used up".to_owned(),
        ),
        VolumeFault::Io => (Reason::VolumeIoError, "a write failed: EIO".to_owned()),
        VolumeFault::PermissionDenied => (
            Reason::VolumePermissionDenied,
            format!("a write was refused: EACCES{}", denied(check.denial)),
        ),
        VolumeFault::Missing => (Reason::VolumeMissing, "ENOENT".to_owned()),
        VolumeFault::Stale => (
            Reason::VolumeDisconnected,
            "a write failed: ESTALE".to_owned(),
        ),
        VolumeFault::NotConnected => (
            Reason::VolumeDisconnected,
            "a write failed: ENOTCONN, nobody serves the mount".to_owned(),
        ),
        VolumeFault::NoDirectIo => (
            Reason::StorageUnsupported,
            format!(
                "a file can't be opened for direct I/O (O_DIRECT): EINVAL{}",
                check.mount.as_ref().map_or_else(String::new, |mount| {
                    format!(", the file system is {}", mount.fs_type)
                })
            ),
        ),
        VolumeFault::Mismatch => (
            Reason::VolumeIoError,
            "what was read back is not what was written".to_owned(),
        ),
        VolumeFault::Other(errno) => (
            Reason::VolumeIoError,
            format!("a write failed: errno {errno}"),
        ),
    };
    findings.add(reason, evidence);
}

/// Describes the room that was used up, by statvfs(3) right after the refusal.
fn lacking(space: Option<Space>) -> String {
    match space {
        Some(space) if space.total_inodes > 0 && space.free_inodes == 0 => {
            ", no inode is free".to_owned()
        }
        Some(space) => format!(", {} bytes are free", space.free_bytes),
        None => String::new(),
    }
}

/// Describes the owner of the directory, and the user that was refused.
fn denied(denial: Option<Denial>) -> String {
    let Some(denial) = denial else {
        return String::new();
    };
    let directory = if denial.folder {
        "the supervisor's folder"
    } else {
        "the data directory"
    };
    format!(
        ", {directory} belongs to {}:{} with mode {:04o}, the supervisor runs as {}:{}",
        denial.uid, denial.gid, denial.mode, denial.by_uid, denial.by_gid
    )
}

fn room(view: &View<'_>, space: Space, dumps: Option<Dumps>, findings: &mut Found) {
    let share = |free: u64, total: u64| free as f64 / total.max(1) as f64;
    if space.total_inodes > 0 && space.free_inodes == 0 {
        findings.add(Reason::DiskFull, "no inode is free");
    }
    if space.free_bytes < view.policy.disk_full_bytes {
        let evidence = format!(
            "{} bytes of {} are free{}",
            space.free_bytes,
            space.total_bytes,
            taken(dumps)
        );
        findings.add(Reason::DiskFull, evidence);
        return;
    }
    let low = view.policy.disk_low_ratio;
    let bytes = share(space.free_bytes, space.total_bytes);
    if bytes < low {
        findings.add(
            Reason::DiskLow,
            format!(
                "{:.1} % of the bytes are free{}",
                bytes * 100.0,
                taken(dumps)
            ),
        );
    }
    let inodes = share(space.free_inodes, space.total_inodes);
    if space.total_inodes > 0 && inodes < low {
        let evidence = format!("{:.1} % of the inodes are free", inodes * 100.0);
        findings.add(Reason::DiskLow, evidence);
    }
}

/// Describes the room that dumps take of the volume, where there are any.
fn taken(dumps: Option<Dumps>) -> String {
    match dumps {
        Some(dumps) if dumps.bytes > 0 => {
            format!("; {} dumps take {} bytes", dumps.count, dumps.bytes)
        }
        _ => String::new(),
    }
}
