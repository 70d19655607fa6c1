use std::fs;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;

use super::identity as holder_identity;
use super::*;
use crate::decide::lease::sight::IdentityBasis;
use crate::decide::lease::{Claim, HolderIdentity, LeaseReply, LeaseState, LeaseStep, Record};
use crate::records::atomic::tests::Scratch;
use crate::records::claims;
use crate::records::claims::lock::HolderFile;

/// Longer than any step of a test takes where nothing is wrong; nothing is asserted on it.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(scratch: &Scratch, pod: &str) -> HolderConfig {
    HolderConfig {
        data_dir: scratch.0.join("volume"),
        mode: LeaseMode::Advisory,
        renew: Duration::from_millis(20),
        stale: Duration::from_millis(200),
        // A claim that took this long would be made anew.
        fence: PATIENCE,
        pod_uid: Some(pod.to_owned()),
        node: None,
        state_dir: scratch.0.join("state"),
        contends: true,
    }
}

fn volume() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir(scratch.0.join("volume")).unwrap();
    scratch
}

fn gone() -> EngineGone {
    EngineGone::in_container(false, false).unwrap()
}

struct Running {
    holder: LeaseHolder,
    reports: Receiver<LeaseReport>,
}

fn start(config: HolderConfig) -> Running {
    let (sender, reports) = channel();
    let report = move |report| drop(sender.send(report));
    let data_dir = config.data_dir.clone();
    let holder = spawn(config, || data_dir, None, report).unwrap();
    Running { holder, reports }
}

impl Running {
    fn until(&self, wanted: impl Fn(&LeaseState) -> bool) -> LeaseState {
        loop {
            let report = self.reports.recv_timeout(PATIENCE).expect("it reports");
            if wanted(&report.state) {
                return report.state;
            }
        }
    }

    fn held(&self) -> (u64, u64) {
        match self.until(|state| matches!(state, LeaseState::Held { .. })) {
            LeaseState::Held { epoch, first, .. } => (epoch, first),
            other => panic!("{other:?}"),
        }
    }

    /// Ends the lease holder as a crash does, once its thread is gone.
    fn crash(self) {
        drop(self.holder);
        while self.reports.recv_timeout(PATIENCE).is_ok() {}
    }
}

#[test]
fn it_holds_the_lease_and_renews_it_and_the_next_of_its_pod_goes_on_at_once() {
    let scratch = volume();
    let first = start(config(&scratch, "pod-1"));
    assert_eq!(first.held(), (1, 1));
    let heartbeat = || match claims::highest(&scratch.0.join("volume")).unwrap().unwrap() {
        (_, Record::Claim(claim)) => claim.heartbeat,
        (_, torn) => panic!("{torn:?}"),
    };
    let before = heartbeat();
    while heartbeat() == before {
        first.held();
    }
    first.crash();
    // Longer than the test: it can't be that the claim became stale.
    let patient = HolderConfig {
        stale: PATIENCE * 60,
        fence: PATIENCE,
        ..config(&scratch, "pod-1")
    };
    let second = start(patient);
    assert_eq!(second.held(), (2, 1), "a new claim of the same tenure");
}

#[test]
fn another_pod_waits_until_the_claim_is_stale_or_released() {
    for released in [false, true] {
        let scratch = volume();
        let first = start(config(&scratch, "pod-1"));
        first.held();
        let stale = if released {
            PATIENCE * 60
        } else {
            Duration::from_millis(200)
        };
        let other = HolderConfig {
            stale,
            ..config(&scratch, "pod-2")
        };
        let second = start(other);
        let elsewhere = second.until(|state| matches!(state, LeaseState::Elsewhere { .. }));
        assert!(
            matches!(elsewhere, LeaseState::Elsewhere { holder: Some(holder), .. } if holder.id == "pod-1")
        );
        if released {
            assert!(first.holder.release(gone(), PATIENCE));
            first.until(|state| *state == LeaseState::Released);
        } else {
            first.crash();
        }
        assert_eq!(second.held(), (2, 2));
    }
}

#[test]
fn who_was_followed_by_another_pod_has_lost_it() {
    let scratch = volume();
    let slow = HolderConfig {
        // It does not renew in the test, as if it were paused.
        renew: PATIENCE * 60,
        ..config(&scratch, "pod-1")
    };
    let first = start(slow);
    first.held();
    let second = start(config(&scratch, "pod-2"));
    assert_eq!(second.held(), (2, 2));
    // An order ends its rest; what is next is a renewal.
    assert!(first.holder.release(gone(), PATIENCE));
    let lost = first.until(|state| !matches!(state, LeaseState::Held { .. }));
    assert!(
        matches!(lost, LeaseState::Released | LeaseState::Lost { .. }),
        "{lost:?}"
    );
    second.held();
    let found = claims::highest(&scratch.0.join("volume")).unwrap().unwrap();
    assert!(
        matches!(found, (2, Record::Claim(claim)) if claim.holder.id == "pod-2" && !claim.released)
    );
}

fn nameless(scratch: &Scratch) -> HolderConfig {
    HolderConfig {
        pod_uid: None,
        // Only a claim that is known for one's own, or one of somebody who is gone, is followed.
        stale: PATIENCE * 60,
        ..config(scratch, "")
    }
}

#[test]
fn without_a_pod_uid_the_holder_is_the_namespace_or_the_process() {
    let scratch = volume();
    let nameless = nameless(&scratch);
    let one = holder_identity::this(&nameless);
    assert_ne!(one.details.basis, IdentityBasis::Pod);
    assert!(one.identity.id.starts_with(&one.identity.boot_id) && one.identity.id.len() <= 64);
    assert_eq!(holder_identity::this(&nameless), one);
    // What an earlier run was called, a random name of an older version too, is its own as well.
    fs::write(scratch.0.join("state/holder-id"), "random-name\n").unwrap();
    let again = holder_identity::this(&nameless);
    assert_eq!(again.identity, one.identity);
    assert_eq!(again.earlier_ids, ["random-name"]);
    let elsewhere = HolderConfig {
        state_dir: "/dev/null/no".into(),
        ..nameless
    };
    assert_eq!(holder_identity::this(&elsewhere).identity, one.identity);
}

/// Leaves a claim of a holder that can't be distinguished from this process: a random name, as older versions
/// had.
fn leave_claim(config: &HolderConfig, boot_id: &str) -> Claim {
    let claim = Claim {
        epoch: 1,
        first: 1,
        holder: HolderIdentity {
            id: "a-random-name".to_owned(),
            node: String::new(),
            boot_id: boot_id.to_owned(),
        },
        heartbeat: 0,
        nonce: 7,
        released: false,
    };
    let made = claims::Claims::on(&config.data_dir).execute(&LeaseStep::Create(claim.clone()));
    assert_eq!(made, LeaseReply::Done);
    claim
}

#[test]
fn a_claim_whose_holder_can_not_be_told_from_oneself_is_watched() {
    let scratch = volume();
    let config = nameless(&scratch);
    leave_claim(&config, &crate::records::boot_id());
    let running = start(config);
    for _ in 0..3 {
        let state = running.until(|_| true);
        let known = matches!(&state, LeaseState::Unknown | LeaseState::Watched { .. });
        assert!(known, "{state:?}");
    }
    running.until(
        |state| matches!(state, LeaseState::Watched { holder, .. } if holder.id == "a-random-name"),
    );
}

#[test]
fn the_claim_under_which_ones_own_engine_runs_is_ones_own() {
    let scratch = volume();
    let config = nameless(&scratch);
    let me = holder_identity::this(&config);
    let claim = leave_claim(&config, &me.identity.boot_id);
    let engine = ProcessId {
        pid: 4,
        start_ticks: 5,
    };
    let mut details = me.details;
    details.engine = Some(engine);
    let file = HolderFile::new(&claim.holder.id, claim.nonce, details, None);
    let mut claims = claims::Claims::on(&config.data_dir).with_holder(file);
    assert_eq!(claims.execute(&LeaseStep::Lock), LeaseReply::Done);
    let running = start(config.clone());
    running.until(|state| matches!(state, LeaseState::Watched { .. }));
    running.holder.see_engine(Some(engine));
    assert_eq!(running.held(), (2, 1), "the tenure goes on");
}

#[test]
fn a_holder_whose_lock_is_free_is_followed_at_once_and_one_whose_lock_is_held_is_not() {
    let scratch = Scratch::in_memory();
    fs::create_dir(scratch.0.join("volume")).unwrap();
    let patient = |pod: &str| HolderConfig {
        stale: PATIENCE * 60,
        ..config(&scratch, pod)
    };
    let kept = Arc::new(Mutex::new(None));
    let pid1 = Arc::clone(&kept);
    let keep = Keep::new(move |fd| {
        *pid1.lock().unwrap() = Some(fd.try_clone_to_owned().unwrap());
        true
    });
    let (sender, reports) = channel();
    let report = move |report| drop(sender.send(report));
    let data_dir = patient("pod-1").data_dir;
    let at = || data_dir;
    let holder = spawn(patient("pod-1"), at, Some(keep), report).unwrap();
    let first = Running { holder, reports };
    first.held();
    first.crash();
    let second = start(patient("pod-2"));
    for _ in 0..3 {
        second.until(|state| matches!(state, LeaseState::Elsewhere { .. }));
    }
    // PID 1 ends, and with it the lock.
    drop(kept.lock().unwrap().take());
    assert_eq!(second.held(), (2, 2));
}

#[test]
fn what_is_to_be_done_on_the_volume_is_done_where_it_lies() {
    let scratch = volume();
    let config = config(&scratch, "pod-1");
    let running = start(config.clone());
    let (done, ran) = channel();
    let job = move |data_dir: &Path| drop(done.send(data_dir.to_owned()));
    running.holder.run(job);
    assert_eq!(ran.recv_timeout(PATIENCE).unwrap(), config.data_dir);
}

#[test]
fn without_a_lease_nothing_is_claimed() {
    let scratch = volume();
    let config = HolderConfig {
        mode: LeaseMode::Off,
        ..config(&scratch, "pod-1")
    };
    let running = start(config.clone());
    assert!(running.holder.release(gone(), PATIENCE));
    assert_eq!(claims::highest(&config.data_dir).unwrap(), None);
}
