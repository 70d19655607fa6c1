//! As OpenShift's `restricted-v2` has it: a uid that no image knows, and gid 0, which may write what the image and
//! the volume give to it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use super::linked::linked;
use super::rig::{Site, is_clean, kill};
use crate::client::{order, outcome};

/// From the range of a namespace.
const UID: u32 = 1_003_350_000;

/// Everything that is there belongs to root, and its group may write it.
fn give_to_group(path: &Path) {
    let mode = if path.is_dir() { 0o770 } else { 0o660 };
    chown(path, Some(0), Some(0)).expect("root may");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
    for entry in fs::read_dir(path).into_iter().flatten() {
        give_to_group(&entry.expect("it is readable").path());
    }
}

/// The owners of all below a directory.
fn owners(path: &Path, found: &mut Vec<(String, u32, u32)>) {
    for entry in fs::read_dir(path).into_iter().flatten() {
        let path = entry.expect("it is readable").path();
        // The checks of the volume make files and remove them meanwhile.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        found.push((path.display().to_string(), metadata.uid(), metadata.gid()));
        if metadata.is_dir() {
            owners(&path, found);
        }
    }
}

#[tokio::test]
async fn an_assigned_uid_has_its_sockets_and_its_files() {
    let mut site = Site::new();
    site.uid = Some(UID);
    fs::create_dir_all(site.data_dir()).expect("writable");
    give_to_group(site.scratch.path());
    let (supervisor, mut container) = linked(&mut site, &[("stop-drain", "0s")]).await;

    let socket = site.path("state/control.sock");
    let mode = fs::metadata(&socket)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut files = Vec::new();
    owners(&site.path("state"), &mut files);
    owners(&site.data_dir(), &mut files);
    let strange: Vec<_> = files
        .iter()
        .filter(|(_, uid, gid)| (*uid, *gid) != (UID, 0))
        .collect();
    assert!(strange.is_empty() && files.len() > 5, "{files:?}");

    // The hook of the SQL container, as its user.
    let mut stop = std::process::Command::new("setpriv");
    stop.args([
        format!("--reuid={UID}"),
        "--regid=0".to_owned(),
        "--clear-groups".to_owned(),
        "--".to_owned(),
    ])
    .arg(crate::support::binary())
    .args(["stop", "--grace", "20s", "--control-socket"])
    .arg(&socket);
    let (code, out, err) = outcome(stop).await;
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(container.ends().await.code(), Some(0), "{}", site.log());
    assert!(is_clean(&site.errorlog()), "{}", site.errorlog());
    // Another user's process is not killed with its parent: the kernel forgets that with the change of the uid.
    kill(supervisor).await;
}

#[tokio::test]
async fn another_uid_is_told_so() {
    let mut site = Site::new();
    site.uid = Some(UID);
    fs::create_dir_all(site.data_dir()).expect("writable");
    give_to_group(site.scratch.path());
    let supervisor = site.supervisor(&[]).await;
    // Root may do anything, and what may not is another user of the group.
    let socket = site.path("state/control.sock");
    let mut stop = std::process::Command::new("setpriv");
    stop.args(["--reuid=10001", "--regid=0", "--clear-groups", "--"])
        .arg(crate::support::binary())
        .args(["pause", "--for", "1m", "--control-socket"])
        .arg(&socket);
    let (code, out, err) = outcome(stop).await;
    assert_eq!(code, 1, "{out}");
    assert!(
        err.contains("only root and the supervisor's own user may use it"),
        "{err}"
    );
    let (code, out, err) = order("resume", &socket).await;
    assert_eq!(code, 0, "{out}{err}");
    kill(supervisor).await;
}
