//! The data volume.

use super::super::decision::Phase;
use super::super::findings::{Findings, seconds};
use super::super::observation::{
    Dumps, EngineMount, Mount, Space, VolumeCheck, VolumeFault, WriteCheck,
};
use super::super::reason::Reason;
use super::View;

pub fn rule(view: &View<'_>, findings: &mut Findings) {
    if let Some(began) = view.snapshot.volume_pending
        && findings.due(began, view.policy.volume_stalled_after)
    {
        let lasted = seconds(view.now.since(began));
        let evidence = format!("a write and fsync have been in flight for {lasted}");
        findings.add(Reason::VolumeStalled, evidence);
    }
    let Some(checked) = &view.snapshot.volume else {
        findings.add(Reason::VolumeUnchecked, "no check has finished");
        return;
    };
    let check = &checked.value;
    mount(view, check, findings);
    write(check.write, findings);
    if let Some(space) = check.space {
        room(view, space, check.dumps, findings);
    }
    // A look from before the engine had set up its files says nothing of them.
    let looked = view.snapshot.volume_began.unwrap_or(checked.at);
    let running = view.engine.phase == Phase::Running && looked >= view.engine.phase_since;
    if check.master_present == Some(false) && running {
        findings.add(Reason::VolumeEmpty, "data/master.mdf is not there");
    }
}

fn mount(view: &View<'_>, check: &VolumeCheck, findings: &mut Findings) {
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
    match (&check.engine_mount, &check.mount) {
        (Some(EngineMount::NotMounted), Some(_)) => {
            let evidence = "sqlservr writes to its container's own file system";
            findings.add(Reason::VolumeNotMounted, evidence);
        }
        (Some(EngineMount::Mounted(engine)), Some(ours))
            if (&engine.device, &engine.root) != (&ours.device, &ours.root) =>
        {
            let evidence = format!("sqlservr sees {}, the supervisor {}", of(engine), of(ours));
            findings.add(Reason::VolumeMismatch, evidence);
        }
        _ => {}
    }
}

/// A mount in evidence: type, device and the directory that is mounted.
fn of(mount: &Mount) -> String {
    format!("{} {} {}", mount.fs_type, mount.device, mount.root)
}

fn write(result: WriteCheck, findings: &mut Findings) {
    let WriteCheck::Failed(fault) = result else {
        return;
    };
    let (reason, evidence) = match fault {
        VolumeFault::ReadOnly => (
            Reason::VolumeReadOnly,
            "a write was refused: EROFS".to_owned(),
        ),
        VolumeFault::NoSpace => (Reason::DiskFull, "a write was refused: ENOSPC".to_owned()),
        VolumeFault::Io => (Reason::VolumeIoError, "a write failed: EIO".to_owned()),
        VolumeFault::PermissionDenied => (
            Reason::VolumePermissionDenied,
            "a write was refused: EACCES".to_owned(),
        ),
        VolumeFault::Missing => (Reason::VolumeMissing, "ENOENT".to_owned()),
        VolumeFault::Stale => (
            Reason::VolumeIoError,
            "the server or daemon behind the mount is gone".to_owned(),
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

fn room(view: &View<'_>, space: Space, dumps: Option<Dumps>, findings: &mut Findings) {
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

/// What dumps take of the volume, where there are any.
fn taken(dumps: Option<Dumps>) -> String {
    match dumps {
        Some(dumps) if dumps.bytes > 0 => {
            format!("; {} dumps take {} bytes", dumps.count, dumps.bytes)
        }
        _ => String::new(),
    }
}
