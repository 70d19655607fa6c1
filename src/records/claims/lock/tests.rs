use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::io::{FdFlags, fcntl_setfd};

use super::*;

/// A directory in memory, where locks count whatever the file system of the other tests is.
struct Volume(PathBuf);

impl Volume {
    fn new(name: &str) -> Self {
        let name = format!("/dev/shm/ses-lock-{}-{name}", std::process::id());
        std::fs::create_dir(&name).expect("/dev/shm is writable");
        Self(name.into())
    }

    fn folder(&self) -> Folder {
        Folder::open(&self.0).unwrap()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The descriptor that PID 1 keeps.
type Kept = Arc<Mutex<Option<OwnedFd>>>;

fn pid1() -> (Kept, Option<Keep>) {
    let kept = Kept::default();
    let theirs = Arc::clone(&kept);
    let keep = Keep::new(move |fd| {
        *theirs.lock().unwrap() = Some(fd.try_clone_to_owned().unwrap());
        true
    });
    (kept, Some(keep))
}

fn details(start_ticks: u64) -> HolderDetails {
    HolderDetails {
        basis: IdentityBasis::Namespace,
        namespace: PidNamespace {
            inode: 4_026_531_999,
            start_ticks,
        },
        engine: Some(ProcessId {
            pid: 77,
            start_ticks: 9,
        }),
        locks: false,
    }
}

fn state(volume: &Volume, nonce: u64) -> LockState {
    look(&volume.folder(), "id", nonce).1
}

/// Waits until the lock, which nobody keeps any more, is free. The child of another test may have inherited
/// it, and has it between its fork and its exec.
fn wait_until_free(volume: &Volume, nonce: u64) {
    while state(volume, nonce) == LockState::Held {
        std::thread::yield_now();
    }
    assert_eq!(state(volume, nonce), LockState::Free);
}

#[test]
fn what_is_written_is_read_back_and_the_longest_fits() {
    let longest = HolderDetails {
        engine: Some(ProcessId {
            pid: i32::MIN,
            start_ticks: u64::MAX,
        }),
        namespace: PidNamespace {
            inode: u64::MAX,
            start_ticks: u64::MAX,
        },
        ..details(1)
    };
    let id = "x".repeat(super::super::block::MAX_NAME);
    for details in [details(1), longest, HolderDetails::default()] {
        let block = encode(&id, u64::MAX, &details);
        let read = decode(&block);
        assert_eq!(read, Some((id.clone(), u64::MAX, details)));
        for at in 0..BLOCK {
            let mut torn = block;
            torn[at] ^= 1;
            assert_eq!(decode(&torn), None, "byte {at}");
        }
    }
}

#[test]
fn the_lock_lasts_as_long_as_who_keeps_it() {
    let volume = Volume::new("lasts");
    assert_eq!(state(&volume, 1), LockState::Absent);
    let (kept, keep) = pid1();
    let mut file = HolderFile::new("id", 1, details(1), keep);
    file.write(&volume.folder()).unwrap();
    assert!(file.details.locks);
    assert_eq!(state(&volume, 1), LockState::Held);
    assert_eq!(state(&volume, 2), LockState::Absent, "of another run");
    // The agent ends.
    drop(file);
    assert_eq!(state(&volume, 1), LockState::Held);
    // The next one of the same container goes on under the lock that PID 1 keeps.
    let (_, keep) = pid1();
    let mut next = HolderFile::new("id", 2, details(1), keep);
    next.write(&volume.folder()).unwrap();
    assert!(next.details.locks);
    drop(next);
    assert_eq!(state(&volume, 2), LockState::Held);
    // Another container of the same pod waits until this one has ended.
    let (_, keep) = pid1();
    let mut later = HolderFile::new("id", 3, details(2), keep);
    assert_eq!(later.write(&volume.folder()), Err(Errno::AGAIN));
    drop(kept);
    wait_until_free(&volume, 2);
    later.write(&volume.folder()).unwrap();
    assert_eq!(state(&volume, 3), LockState::Held);
}

/// A sidecar that is started beside an agent claims before it knows of it, and has the pod's id as well.
#[test]
fn a_supervisor_of_the_same_pod_does_not_keep_the_agent_from_its_own_lock() {
    let volume = Volume::new("beside");
    let (kept, keep) = pid1();
    let mut agent = HolderFile::new("id", 1, details(1), keep);
    agent.write(&volume.folder()).unwrap();
    let mut sidecar = HolderFile::new("id", 2, details(2), None);
    sidecar.write(&volume.folder()).unwrap();
    sidecar.see_engine(None);
    sidecar.tend(&volume.folder()).unwrap();
    assert_eq!(
        state(&volume, 1),
        LockState::Held,
        "it says still whose it is"
    );
    // It tries again, and so does the next agent of its container.
    agent.write(&volume.folder()).unwrap();
    drop(agent);
    let (_, keep) = pid1();
    let mut next = HolderFile::new("id", 3, details(1), keep);
    next.write(&volume.folder()).unwrap();
    assert!(next.details.locks);
    // A sidecar of an earlier version has written over it: the lock is this agent's all the same.
    drop(next);
    drop(kept);
    wait_until_free(&volume, 3);
    let (_kept, keep) = pid1();
    let mut agent = HolderFile::new("id", 4, details(1), keep);
    agent.write(&volume.folder()).unwrap();
    let file = volume.0.join(name("id"));
    std::fs::write(file, encode("id", 5, &details(2))).unwrap();
    agent.write(&volume.folder()).unwrap();
    assert_eq!(state(&volume, 4), LockState::Held);
}

#[test]
fn an_engine_that_inherits_the_lock_holds_it() {
    let volume = Volume::new("inherits");
    let (kept, keep) = pid1();
    let mut file = HolderFile::new("id", 1, details(1), keep);
    file.write(&volume.folder()).unwrap();
    fcntl_setfd(kept.lock().unwrap().as_ref().unwrap(), FdFlags::empty()).unwrap();
    let mut engine = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    drop((file, kept));
    assert_eq!(state(&volume, 1), LockState::Held);
    drop(engine.stdin.take());
    engine.wait().unwrap();
    wait_until_free(&volume, 1);
}

#[test]
fn without_somebody_who_keeps_it_there_is_no_lock() {
    let volume = Volume::new("none");
    for keep in [None, Some(Keep::new(|_| false))] {
        let mut file = HolderFile::new("id", 1, details(1), keep);
        file.write(&volume.folder()).unwrap();
        let (said, _) = look(&volume.folder(), "id", 1);
        assert_eq!(said, Some(details(1)));
    }
}

#[test]
fn a_file_that_was_removed_or_says_what_is_over_is_written_again() {
    let volume = Volume::new("again");
    let (kept, keep) = pid1();
    let mut file = HolderFile::new("id", 1, details(1), keep);
    file.write(&volume.folder()).unwrap();
    file.see_engine(None);
    file.tend(&volume.folder()).unwrap();
    let (said, lock) = look(&volume.folder(), "id", 1);
    assert_eq!((said.unwrap().engine, lock), (None, LockState::Held));
    std::fs::remove_file(volume.0.join(file.name())).unwrap();
    assert_eq!(state(&volume, 1), LockState::Absent);
    file.tend(&volume.folder()).unwrap();
    assert_eq!(state(&volume, 1), LockState::Held);
    drop((file, kept));
    wait_until_free(&volume, 1);
}

#[test]
fn a_link_in_the_place_of_the_file_is_not_followed() {
    let volume = Volume::new("link");
    std::fs::write(volume.0.join("precious"), "precious").unwrap();
    std::os::unix::fs::symlink(volume.0.join("precious"), volume.0.join(name("id"))).unwrap();
    let mut file = HolderFile::new("id", 1, details(1), None);
    assert_eq!(file.write(&volume.folder()), Err(Errno::LOOP));
    assert_eq!(state(&volume, 1), LockState::Absent);
    assert_eq!(
        std::fs::read_to_string(volume.0.join("precious")).unwrap(),
        "precious"
    );
}
