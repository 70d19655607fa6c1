//! Several volumes: each is judged by itself, and the answers follow from all of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sql_edge_supervisor::decide::decision::Verdict;
use sql_edge_supervisor::decide::identity::{Identity, IdentityFacts, IdentityFile, Membership};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::policy::Policy;
use sql_edge_supervisor::decide::reason::{Outcome, Reason};
use sql_edge_supervisor::decide::volumes::{Layout, Outside, Use, Volume};

use crate::bench::*;

fn named(name: &str, uses: &[Use]) -> Arc<Volume> {
    let path = Path::new("/var/opt/mssql").join(name);
    Arc::new(Volume {
        name: name.to_owned(),
        engine_path: path.clone(),
        path,
        uses: uses.iter().copied().collect(),
    })
}

fn data() -> Arc<Volume> {
    named("data", &[Use::Master, Use::Data])
}

fn translog() -> Arc<Volume> {
    named("translog", &[Use::Log])
}

fn backup() -> Arc<Volume> {
    named("backup", &[Use::Backup])
}

/// A healthy check of one of them, changed.
fn check(volume: Arc<Volume>, change: impl FnOnce(&mut VolumeCheck)) -> Observation {
    let mut check = healthy_volume();
    let mount = Mount {
        root: format!("/{}", volume.name),
        ..data_mount()
    };
    check.engine_mount = Some(EngineMount::Mounted(mount.clone()));
    check.mount = Some(mount);
    if volume.is_main() {
        let members = [("translog".to_owned(), "t".to_owned())].into();
        if let Some(IdentityFacts {
            file: IdentityFile::Known(identity),
            ..
        }) = &mut check.identity
        {
            identity.members = members;
        }
    } else {
        check.master_present = None;
        check.errorlog = None;
        check.identity = volume.binds().then(|| IdentityFacts {
            file: member("v", &volume.name),
            instance_id: None,
            master_present: None,
            ..established()
        });
    }
    change(&mut check);
    Observation::Volume(VolumeReport {
        volume,
        event: VolumeEvent::Checked(Box::new(check)),
    })
}

fn member(set: &str, name: &str) -> IdentityFile {
    IdentityFile::Known(Identity {
        volume_id: "t".to_owned(),
        set: Some(Membership {
            id: set.to_owned(),
            main: "data".to_owned(),
            name: name.to_owned(),
        }),
        ..Identity::default()
    })
}

/// `data`, `translog` and `backup`, each as it should be, and an engine that is ready.
fn split() -> Bench {
    let mut bench = Bench::ready(Policy::default());
    bench.see(Observation::Layout(Layout {
        volumes: vec![data(), backup(), translog()],
        outside: Vec::new(),
    }));
    for volume in [data(), backup(), translog()] {
        bench.see(check(volume, |_| {}));
    }
    bench.pass(bench.policy.settle);
    assert_eq!(
        bench.decision.gate.verdict,
        Verdict::Pass,
        "{:?}",
        bench.decision.findings
    );
    bench
}

fn evidence(bench: &Bench, reason: Reason) -> &str {
    match bench.decision.finding(reason) {
        Some(found) => &found.evidence,
        None => panic!("{reason:?} in {:?}", bench.decision.findings),
    }
}

type Change = fn(&mut VolumeCheck);

const FAULTS: [(Reason, Change); 5] = [
    (Reason::VolumeReadOnly, |check| {
        check.write = WriteCheck::Failed(VolumeFault::ReadOnly);
    }),
    (Reason::VolumeIoError, |check| {
        check.write = WriteCheck::Failed(VolumeFault::Io);
    }),
    (Reason::VolumeDisconnected, |check| {
        check.write = WriteCheck::Failed(VolumeFault::NotConnected);
    }),
    (Reason::VolumeNotMounted, |check| check.mount = None),
    (Reason::VolumeReplaced, |check| {
        check.mount.as_mut().expect("mounted").device = "7:7".to_owned();
    }),
];

#[test]
fn a_fault_of_a_volume_with_databases_is_named_by_its_name() {
    for volume in [data, translog] {
        for (reason, fault) in FAULTS {
            let mut bench = split();
            bench.see(check(volume(), fault));
            let found = evidence(&bench, reason);
            let name = &volume().name;
            assert!(
                found.starts_with(&format!("{name}: ")),
                "{reason:?}: {found}"
            );
            assert_eq!(bench.decision.gate.verdict, Verdict::Fail, "{reason:?}");
            assert_eq!(bench.decision.ready.verdict, Verdict::Fail, "{reason:?}");
            assert!(bench.left_alone(), "{reason:?}");
        }
    }
}

#[test]
fn two_volumes_with_the_same_fault_are_both_named() {
    let mut bench = split();
    let (reason, fault) = FAULTS[0];
    bench.see(check(data(), fault));
    bench.see(check(translog(), fault));
    let found = evidence(&bench, reason);
    assert!(
        found.contains("data: ") && found.contains("translog: "),
        "{found}"
    );
    bench.see(check(data(), |_| {}));
    let found = evidence(&bench, reason);
    assert!(
        !found.contains("data: ") && found.contains("translog: "),
        "{found}"
    );
}

#[test]
fn a_fault_of_a_volume_without_databases_is_a_notice() {
    for (reason, fault) in FAULTS {
        let mut bench = split();
        bench.see(check(backup(), fault));
        assert!(!bench.has(reason), "{reason:?}");
        let found = evidence(&bench, Reason::SideVolumeFault);
        assert!(found.starts_with("backup: "), "{found}");
        assert!(found.contains(reason.code()), "{found}");
        assert_eq!(bench.decision.gate.verdict, Verdict::Pass, "{reason:?}");
        assert_eq!(bench.decision.ready.verdict, Verdict::Pass, "{reason:?}");
        assert!(bench.decision.may_identify, "{reason:?}");
    }
}

#[test]
fn a_volume_that_stalls_is_named_and_an_idle_one_does_not_hide_it() {
    let began = |volume| {
        Observation::Volume(VolumeReport {
            volume,
            event: VolumeEvent::Began,
        })
    };
    let mut bench = split();
    bench.see(began(translog()));
    for _ in 0..15 {
        bench.pass(SECOND);
        bench.see(check(data(), |_| {}));
    }
    assert!(evidence(&bench, Reason::VolumeStalled).starts_with("translog: "));
    let mut bench = split();
    bench.see(began(backup()));
    bench.pass(seconds(15));
    assert!(!bench.has(Reason::VolumeStalled));
    assert!(evidence(&bench, Reason::SideVolumeFault).contains("VolumeStalled"));
}

#[test]
fn a_volume_without_databases_that_was_not_looked_at_yet_has_no_fault() {
    let mut bench = Bench::ready(Policy::default());
    bench.see(Observation::Layout(Layout {
        volumes: vec![data(), backup(), translog()],
        outside: Vec::new(),
    }));
    assert!(!bench.has(Reason::SideVolumeFault));
    let found = evidence(&bench, Reason::VolumeUnchecked);
    assert!(
        found.contains("data: ") && found.contains("translog: ") && !found.contains("backup"),
        "{found}"
    );
}

#[test]
fn a_volume_that_is_used_for_more_than_before_counts_for_more() {
    let mut bench = split();
    let (reason, fault) = FAULTS[0];
    bench.see(check(backup(), fault));
    assert!(!bench.has(reason));
    bench.see(Observation::Layout(Layout {
        volumes: vec![
            data(),
            named("backup", &[Use::Backup, Use::Data]),
            translog(),
        ],
        outside: Vec::new(),
    }));
    assert!(evidence(&bench, reason).starts_with("backup: "));
}

#[test]
fn the_one_volume_is_named_unless_all_lies_on_it() {
    let (reason, fault) = FAULTS[0];
    for (volume, is_named) in [
        (data(), true),
        (named("data", &[Use::Master, Use::Data, Use::System]), false),
    ] {
        let mut bench = Bench::ready(Policy::default());
        bench.see(Observation::Layout(Layout {
            volumes: vec![volume.clone()],
            outside: Vec::new(),
        }));
        bench.see(check(volume, fault));
        let found = evidence(&bench, reason);
        assert_eq!(found.starts_with("data: "), is_named, "{found}");
    }
}

#[test]
fn each_volume_has_its_own_room() {
    let mut bench = split();
    bench.see(check(translog(), |check| {
        check.space.as_mut().expect("known").free_bytes = 500 << 20;
    }));
    bench.see(check(backup(), |check| {
        check.space.as_mut().expect("known").free_bytes = 400 << 20;
    }));
    let found = evidence(&bench, Reason::DiskLow);
    assert!(
        found.contains("translog: ") && found.contains("backup: "),
        "{found}"
    );
    bench.see(check(backup(), |check| {
        check.space.as_mut().expect("known").free_bytes = 0;
    }));
    assert!(evidence(&bench, Reason::SideVolumeFault).contains("DiskFull"));
    assert_eq!(bench.decision.ready.verdict, Verdict::Pass);
    bench.see(check(data(), |check| {
        check.space.as_mut().expect("known").free_bytes = 0;
    }));
    assert!(evidence(&bench, Reason::DiskFull).starts_with("data: "));
    assert_eq!(bench.decision.ready.verdict, Verdict::Fail);
    assert_eq!(
        bench.decision.gate.verdict,
        Verdict::Pass,
        "room is made by an engine that runs"
    );
}

#[test]
fn a_swapped_claim_keeps_the_gate_shut_and_nothing_is_written() {
    for (volume, set) in [(translog(), "w"), (data(), "v")] {
        let mut bench = split();
        let name = volume.name.clone();
        bench.see(check(volume, |check| {
            let facts = check.identity.as_mut().expect("looked at");
            facts.file = match &facts.file {
                IdentityFile::Known(known) if known.set.is_some() => member(set, "translog"),
                _ => IdentityFile::Known(Identity {
                    volume_id: "w".to_owned(),
                    ..Identity::default()
                }),
            };
        }));
        assert!(evidence(&bench, Reason::VolumeForeign).starts_with(&format!("{name}: ")));
        assert_eq!(bench.decision.gate.verdict, Verdict::Fail);
        assert_eq!(bench.decision.identity_writes, []);
    }
}

#[test]
fn what_lies_on_no_volume_is_said_where_that_matters() {
    let outside = |directory: &str, used| Outside {
        used,
        directory: directory.into(),
    };
    let mut bench = split();
    bench.see(Observation::Layout(Layout {
        volumes: vec![data(), backup(), translog()],
        outside: vec![
            outside("/var/opt/mssql", Use::System),
            outside("/var/opt/mssql/log", Use::ErrorLog),
        ],
    }));
    let found = evidence(&bench, Reason::NotOnVolume);
    assert!(
        found.contains("/var/opt/mssql/secrets (the machine key)"),
        "{found}"
    );
    assert!(found.contains("/var/opt/mssql/log (errorlog)"), "{found}");
    assert_eq!(Reason::NotOnVolume.info().outcome, Outcome::Notice);
    assert_eq!(bench.decision.gate.verdict, Verdict::Pass);
    bench.policy.require_mount = false;
    bench.pass(SECOND);
    assert!(!bench.has(Reason::NotOnVolume));
}

#[test]
fn of_volumes_that_go_with_the_pod_the_gate_refuses_those_with_databases() {
    let in_memory = |check: &mut VolumeCheck| {
        check.mount.as_mut().expect("mounted").fs_type = "tmpfs".to_owned();
        check.engine_mount = check.mount.clone().map(EngineMount::Mounted);
    };
    for (used, refused, noted) in [
        (Use::Data, true, false),
        (Use::Log, true, false),
        (Use::System, false, true),
        (Use::Backup, false, false),
        (Use::TempDb, false, false),
    ] {
        let mut bench = Bench::new(Policy::default());
        let passing = named("passing", &[used]);
        bench.see(Observation::Layout(Layout {
            volumes: vec![data(), passing.clone()],
            outside: Vec::new(),
        }));
        bench.see(check(data(), |_| {}));
        bench.see(check(passing, in_memory));
        assert_eq!(bench.has(Reason::VolumeEphemeral), refused, "{used:?}");
        assert_eq!(bench.has(Reason::NotOnVolume), noted, "{used:?}");
        assert!(!bench.has(Reason::SideVolumeFault), "{used:?}");
    }
}

#[test]
fn a_volume_that_was_not_looked_at_yet_keeps_the_gate_shut() {
    let mut bench = split();
    bench.see(Observation::Layout(Layout {
        volumes: vec![data(), named("more", &[Use::Data])],
        outside: Vec::new(),
    }));
    assert_eq!(
        evidence(&bench, Reason::VolumeUnchecked),
        "more: no check has finished"
    );
    assert_eq!(bench.decision.gate.verdict, Verdict::Fail);
}

#[test]
fn identities_are_written_by_decision_once_the_lease_is_held_and_what_is_there_is_a_volume() {
    let first_use = |change: Change| {
        move |check: &mut VolumeCheck| {
            let facts = check.identity.as_mut().expect("looked at");
            facts.file = IdentityFile::Absent;
            facts.instance_id = None;
            facts.master_present = Some(false);
            facts.empty = Some(true);
            change(check);
        }
    };
    let mut bench = Bench::new(Policy::default());
    let whole = |change: Change| {
        let mut check = healthy_volume();
        first_use(change)(&mut check);
        volume(check)
    };
    bench.see(whole(|_| {}));
    assert_eq!(bench.decision.identity_writes.len(), 1);
    assert_eq!(bench.decision.identity_writes[0].volume, "mssql");
    // Not in the place of a volume, whatever it is that is there.
    let no_volume: [Change; 4] = [
        |check| check.mount = None,
        |check| check.mount.as_mut().expect("mounted").fs_type = "tmpfs".to_owned(),
        |check| check.engine_mount = Some(EngineMount::NotMounted),
        |check| check.write = WriteCheck::Failed(VolumeFault::NotConnected),
    ];
    for change in no_volume {
        bench.see(whole(change));
        assert_eq!(
            bench.decision.identity_writes,
            [],
            "{:?}",
            bench.decision.findings
        );
        assert!(!bench.decision.may_identify);
    }
    let mut bench = Bench::new(Policy::default());
    bench.renews = false;
    bench.see(lease(elsewhere(Some("pod-2"), false)));
    bench.see(whole(|_| {}));
    assert_eq!(bench.decision.identity_writes, []);
    // What an agent holds is known while it is linked.
    let mut bench = Bench::new(Policy::default());
    bench.snapshot.lease_by_agent = true;
    bench.renews = false;
    for (link, writes) in [
        (LinkReport::Lost, 0),
        (LinkReport::Linked, 1),
        (LinkReport::Lost, 0),
    ] {
        bench.see(Observation::Link(link));
        bench.see(whole(|_| {}));
        assert_eq!(bench.decision.identity_writes, [], "not reported anew");
        if link == LinkReport::Linked {
            bench.see(by_agent(held(1, 1)));
        }
        assert_eq!(bench.decision.identity_writes.len(), writes, "{link:?}");
    }
}

#[test]
fn an_adoption_is_over_when_the_identity_has_changed() {
    let refused = |check: &mut VolumeCheck| {
        let facts = check.identity.as_mut().expect("looked at");
        facts.file = IdentityFile::Refused("torn".to_owned());
    };
    let mut bench = Bench::new(Policy::default());
    bench.nobody_watches = true;
    let mut torn = healthy_volume();
    refused(&mut torn);
    bench.see(volume(torn.clone()));
    assert!(bench.has(Reason::VolumeIdentityRefused));
    assert_eq!(bench.decision.identity_writes, []);
    bench.see(Observation::Operator(OperatorCommand::Adopt));
    for _ in 0..3 {
        assert_eq!(bench.decision.identity_writes.len(), 1);
        assert!(bench.decision.identity_writes[0].keep_aside);
        bench.pass(SECOND);
        bench.see(volume(torn.clone()));
    }
    bench.see(volume(healthy_volume()));
    assert_eq!(bench.decision.identity_writes, []);
    bench.see(volume(torn));
    assert_eq!(bench.decision.identity_writes, [], "said once, done once");
}

#[test]
fn a_check_that_takes_long_is_a_notice_while_the_engines_writes_are_done() {
    let files = |data: u64, translog: u64| {
        let directory = |name: &str, writes| EngineDirectory {
            directory: Path::new("/var/opt/mssql").join(name).join("below"),
            writes,
        };
        Observation::Files(vec![
            directory("data", data),
            directory("translog", translog),
        ])
    };
    let mut bench = split();
    bench.see(files(10, 10));
    bench.see(Observation::Volume(VolumeReport {
        volume: data(),
        event: VolumeEvent::Began,
    }));
    let mut written = 10;
    for _ in 0..20 {
        bench.pass(SECOND);
        written += 1;
        bench.see(Observation::Ping(answered(bench.now)));
        bench.see(files(written, 10));
    }
    assert!(
        !bench.has(Reason::VolumeStalled),
        "{:?}",
        bench.decision.findings
    );
    assert!(evidence(&bench, Reason::VolumeSlow).starts_with("data: "));
    assert_eq!(bench.decision.ready.verdict, Verdict::Pass);
    assert_eq!(bench.decision.gate.verdict, Verdict::Pass);
    // Writes to another volume say nothing of this one.
    for other in 10..30 {
        bench.pass(SECOND);
        bench.see(files(written, other));
    }
    assert!(!bench.has(Reason::VolumeSlow));
    assert!(evidence(&bench, Reason::VolumeStalled).starts_with("data: "));
    assert_eq!(bench.decision.gate.verdict, Verdict::Fail);
}

#[test]
fn a_write_from_before_the_check_is_no_sign_of_life() {
    let files = |writes| {
        Observation::Files(vec![EngineDirectory {
            directory: "/var/opt/mssql/data".into(),
            writes,
        }])
    };
    let mut bench = split();
    bench.see(files(10));
    bench.pass(SECOND);
    bench.see(Observation::Volume(VolumeReport {
        volume: data(),
        event: VolumeEvent::Began,
    }));
    // It may have been done before the volume began to stall.
    bench.pass(SECOND);
    bench.see(files(11));
    bench.pass(seconds(10));
    assert!(bench.has(Reason::VolumeStalled));
    assert!(!bench.has(Reason::VolumeSlow));
}

#[test]
fn databases_on_no_volume_are_said() {
    let mut bench = split();
    bench.see(Observation::Files(vec![
        EngineDirectory {
            directory: "/var/opt/mssql/data".into(),
            writes: 1,
        },
        EngineDirectory {
            directory: "/opt/local".into(),
            writes: 1,
        },
    ]));
    let found = evidence(&bench, Reason::NotOnVolume);
    assert!(found.ends_with(": /opt/local (databases)"), "{found}");
    assert_eq!(bench.decision.gate.verdict, Verdict::Pass);
}

/// tempdb is made anew at each start, on the very volume that stalls.
#[test]
fn a_stalled_volume_of_tempdb_holds_and_excuses_and_leaves_the_gate_open() {
    let tempdb = || named("tempdb", &[Use::TempDb]);
    let mut bench = split();
    bench.see(Observation::Layout(Layout {
        volumes: vec![data(), backup(), tempdb(), translog()],
        outside: Vec::new(),
    }));
    bench.see(check(tempdb(), |_| {}));
    bench.see(check(tempdb(), |check| {
        check.write = WriteCheck::Failed(VolumeFault::Io);
    }));
    assert!(evidence(&bench, Reason::SideVolumeFault).contains("VolumeIoError"));
    bench.see(check(tempdb(), |_| {}));
    bench.see(Observation::Volume(VolumeReport {
        volume: tempdb(),
        event: VolumeEvent::Began,
    }));
    bench.live_for(seconds(120), Duration::ZERO, &TIMED_OUT);
    assert!(evidence(&bench, Reason::VolumeStalled).starts_with("tempdb: "));
    assert!(bench.left_alone(), "{:?}", bench.decision);
    assert_eq!(bench.is_ready(), Verdict::Fail);
    assert_eq!(bench.decision.gate.verdict, Verdict::Pass);
    // Silence counts from the end of the stall.
    bench.see(check(tempdb(), |_| {}));
    bench.live_for(seconds(28), Duration::ZERO, &TIMED_OUT);
    assert!(bench.left_alone(), "{:?}", bench.decision);
    bench.live_for(seconds(4), Duration::ZERO, &TIMED_OUT);
    assert!(bench.has(Reason::EngineUnresponsive));
    // Another volume that stalls as well shuts the gate.
    for volume in [tempdb(), translog()] {
        bench.see(Observation::Volume(VolumeReport {
            volume,
            event: VolumeEvent::Began,
        }));
    }
    bench.pass(seconds(15));
    assert_eq!(bench.decision.gate.reasons, [Reason::VolumeStalled]);
    let found = evidence(&bench, Reason::VolumeStalled);
    assert!(
        found.contains("tempdb: ") && found.contains("translog: "),
        "{found}"
    );
}
