//! Several volumes below one directory, and one for `data` alone: what befalls each of them, before the
//! start of an engine and after it, is told with its name and disturbs no other.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::rig::Rig;
use crate::shared::supervisor::Supervisor;
use crate::shared::volumes::{Bind, Image, Kind};
use crate::support::{Scratch, fast, supervisor, unique_name};
use crate::volume::Fuse;

/// Between two looks at what is awaited.
const PACE: Duration = Duration::from_millis(20);

/// The names of the three: `data` with master.mdf, the transaction logs, and the top with `.system`.
const NAMES: [&str; 3] = ["data", "translog", "mssql"];

/// Where each is mounted below the data directory.
fn place(pod: &Path, name: &str) -> PathBuf {
    match name {
        "mssql" => pod.to_owned(),
        below => pod.join(below),
    }
}

/// Has mssql.conf send new transaction logs to a directory of their own.
fn configure(top: &Path, seen_at: &Path) {
    let logs = seen_at.join("translog");
    let conf = format!("[filelocation]\ndefaultlogdir = {}\n", logs.display());
    std::fs::write(top.join("mssql.conf"), conf).expect("writable");
}

/// Three loop file systems below one directory. The fields are dropped in this order.
struct Three {
    data: Image,
    translog: Image,
    top: Image,
}

impl Three {
    fn mounted(scratch: &Path, at: &Path) -> Self {
        let top = Image::mounted(Kind::Ext4, scratch, at);
        configure(at, at);
        let below = |name| Image::mounted(Kind::Ext4, scratch, &place(at, name));
        Self {
            data: below("data"),
            translog: below("translog"),
            top,
        }
    }

    fn of(&self, name: &str) -> &Image {
        match name {
            "data" => &self.data,
            "translog" => &self.translog,
            _ => &self.top,
        }
    }
}

/// Evidence that is of this volume and of no other.
fn is_of(evidence: &str, name: &str) {
    let begins = evidence.starts_with(&format!("{name}: "));
    assert!(begins, "{name}: {evidence}");
    for other in NAMES.iter().filter(|other| **other != name) {
        let other = format!("; {other}: ");
        assert!(!evidence.contains(&other), "{name}: {evidence}");
    }
}

/// How many checks of each volume have ended with a write.
async fn checks(supervisor: &Supervisor) -> BTreeMap<String, f64> {
    let (_, metrics) = supervisor.get("/metrics").await;
    let prefix = "sql_edge_supervisor_volume_write_duration_seconds_count{volume=\"";
    let counts = metrics.lines().filter_map(|line| {
        let (name, count) = line.strip_prefix(prefix)?.split_once("\"} ")?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    counts.collect()
}

/// Waits until each volume but this one was checked again.
async fn others_are_checked(supervisor: &Supervisor, name: &str) {
    let before = checks(supervisor).await;
    loop {
        let now = checks(supervisor).await;
        let advanced = |(of, count): (&String, &f64)| {
            of.as_str() != name && now.get(of).is_some_and(|now| now > count)
        };
        if before.iter().filter(|entry| advanced(*entry)).count() == NAMES.len() - 1 {
            return;
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Waits until the engine's mount is known at each volume: from then on a difference is one.
async fn all_mounts_are_seen(supervisor: &Supervisor, count: usize) {
    loop {
        let status = supervisor.status().await;
        let mut all = status["otherVolumes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        all.push(status["volume"].clone());
        let seen = |volume: &serde_json::Value| !volume["engineMount"].is_null();
        if all.len() == count && all.iter().all(seen) {
            return;
        }
        tokio::time::sleep(PACE).await;
    }
}

#[tokio::test]
async fn each_of_three_that_is_full_or_stalls_beneath_the_engine() {
    let mut rig = Rig::on(Three::mounted).await;
    all_mounts_are_seen(&rig.supervisor, NAMES.len()).await;
    for name in NAMES {
        let filling = rig.volume.of(name).fill("filling.bak");
        is_of(&rig.finds_and_may_start("DiskFull").await, name);
        std::fs::remove_file(filling).expect("it is ours");
        rig.is_ready_again().await;

        rig.volume.of(name).freeze();
        is_of(&rig.finds("VolumeStalled").await, name);
        others_are_checked(&rig.supervisor, name).await;
        rig.lives().await;
        rig.volume.of(name).thaw();
        rig.recovers().await;
    }
}

#[tokio::test]
async fn each_of_three_that_is_read_only_unmounted_or_swapped_beneath_the_engine() {
    let mut rig = Rig::on(Three::mounted).await;
    all_mounts_are_seen(&rig.supervisor, NAMES.len()).await;
    let (scratch, pod) = (rig.scratch.path().to_owned(), rig.standin.data_dir());
    // Over the top these would hide the other two; it is made read-only at the end.
    for name in ["data", "translog"] {
        let at = place(&pod, name);
        let over = Bind::read_only_over(&at, &scratch.join("aside"));
        is_of(&rig.finds("VolumeReadOnly").await, name);
        over.uncover();
        std::mem::forget(over);
        rig.recovers().await;

        rig.volume.of(name).unmount_lazily();
        is_of(&rig.finds("VolumeNotMounted").await, name);
        rig.volume.of(name).mount();
        rig.recovers().await;

        let other = scratch.join(format!("other-{name}"));
        std::fs::create_dir_all(&other).expect("writable");
        std::fs::write(other.join("master.mdf"), "of another instance").expect("writable");
        let over = Bind::over(&other, &at);
        is_of(&rig.finds("VolumeReplaced").await, name);
        over.uncover();
        std::mem::forget(over);
        rig.recovers().await;
    }
    rig.volume.of("mssql").abort();
    is_of(&rig.finds("VolumeReadOnly").await, "mssql");
}

#[tokio::test]
async fn a_fuse_daemon_behind_one_of_them_that_is_stopped_and_killed() {
    let make = |scratch: &Path, at: &Path| {
        let top = Image::mounted(Kind::Ext4, scratch, at);
        configure(at, at);
        let data = Image::mounted(Kind::Ext4, scratch, &place(at, "data"));
        let translog = Fuse::over(&scratch.join("disk"), &place(at, "translog"));
        (translog, data, top)
    };
    let mut rig = Rig::on(make).await;
    all_mounts_are_seen(&rig.supervisor, NAMES.len()).await;
    rig.volume.0.signal(Signal::STOP);
    is_of(&rig.finds("VolumeStalled").await, "translog");
    others_are_checked(&rig.supervisor, "translog").await;
    rig.volume.0.signal(Signal::CONT);
    rig.recovers().await;
    rig.volume.0.signal(Signal::KILL);
    is_of(&rig.finds("VolumeDisconnected").await, "translog");
}

/// A claim: whose, and as what it was used.
type Claim = (char, &'static str);

/// Six claims, three of each of two instances.
struct Claims {
    images: BTreeMap<Claim, Image>,
    pods: Cell<u32>,
    scratch: Scratch,
}

/// A pod's mounts, dropped before the directory that they lie in.
struct Pod {
    _mounts: Vec<Bind>,
    at: PathBuf,
}

impl Claims {
    /// Each set has been used by its own supervisor and its own engine.
    async fn used() -> Self {
        let scratch = Scratch::new();
        let mut images = BTreeMap::new();
        for set in ['a', 'b'] {
            for name in NAMES {
                let at = scratch.path().join(format!("claim-{set}-{name}"));
                let image = Image::mounted(Kind::Ext4, scratch.path(), &at);
                images.insert((set, name), image);
            }
        }
        let claims = Self {
            images,
            pods: Cell::new(0),
            scratch,
        };
        for set in ['a', 'b'] {
            let top = claims.path((set, "mssql"));
            for below in ["data", "translog", ".system"] {
                std::fs::create_dir(top.join(below)).expect("writable");
            }
            configure(top, &claims.pod_directory());
            let pod = claims.pod(NAMES.map(|name| Some((set, name))));
            let mut supervisor = claims.supervisor(&pod).await;
            supervisor.passes("gate").await;
            // What an engine makes, in its order.
            let instance = format!("INSTANCE-{set}");
            std::fs::write(pod.at.join(".system/instance_id"), instance).expect("writable");
            std::fs::write(pod.at.join("data/master.mdf"), "pages").expect("writable");
            supervisor
                .status_with(|status| status["volume"]["identity"]["instanceId"].is_string())
                .await;
        }
        claims
    }

    fn path(&self, claim: Claim) -> &Path {
        self.images[&claim].path()
    }

    fn pod_directory(&self) -> PathBuf {
        self.scratch.path().join("pod/mssql")
    }

    /// A new pod with these claims in the places of [`NAMES`].
    fn pod(&self, claims: [Option<Claim>; 3]) -> Pod {
        let at = self.pod_directory();
        let mut mounts = Vec::new();
        // The top first, because the others are mounted below it; and taken away in the other order.
        for (name, claim) in NAMES.into_iter().zip(claims).rev() {
            if let Some(claim) = claim {
                mounts.insert(0, Bind::over(self.path(claim), &place(&at, name)));
            }
        }
        Pod {
            _mounts: mounts,
            at,
        }
    }

    /// The supervisor of a new pod: it remembers nothing, and no lease stands in its way for long.
    async fn supervisor(&self, pod: &Pod) -> Supervisor {
        self.pods.set(self.pods.get() + 1);
        let own = self.scratch.path().join(format!("own-{}", self.pods.get()));
        std::fs::create_dir_all(&own).expect("writable");
        let mut settings = fast(&own, &unique_name(), 1, &pod.at);
        settings.retain(|(key, _)| key != "require-mount");
        for (key, value) in [
            ("lease-renew", "100ms"),
            ("lease-fence", "300ms"),
            ("lease-stale", "600ms"),
        ] {
            settings.push((key.to_owned(), value.to_owned()));
        }
        supervisor(&settings, &[("MSSQL_SA_PASSWORD", "x")]).await
    }

    /// All identities, byte for byte.
    fn identities(&self) -> Vec<Vec<u8>> {
        let read = |image: &Image| {
            let path = image.path().join(".sql-edge-supervisor/identity");
            std::fs::read(path).expect("it was written")
        };
        self.images.values().map(read).collect()
    }

    /// The first instance's, each in its place.
    fn own(&self) -> [Option<Claim>; 3] {
        NAMES.map(|name| Some(('a', name)))
    }
}

#[tokio::test]
async fn each_claim_that_is_swapped_or_missing_before_the_start_keeps_the_gate_shut() {
    let claims = Claims::used().await;
    let before = claims.identities();
    for (index, name) in NAMES.into_iter().enumerate() {
        let mut swapped = claims.own();
        swapped[index] = Some(('b', name));
        let pod = claims.pod(swapped);
        let mut supervisor = claims.supervisor(&pod).await;
        is_of(&supervisor.finds("VolumeForeign").await, name);
        supervisor.raises("VolumeForeign").await;
        assert_eq!(supervisor.get("/gatez").await.0, 503, "{name}");
        assert_eq!(supervisor.get("/livez").await.0, 200, "{name}");
        drop(supervisor);
        drop(pod);

        if name != "mssql" {
            let mut missing = claims.own();
            missing[index] = None;
            let pod = claims.pod(missing);
            let mut supervisor = claims.supervisor(&pod).await;
            let evidence = supervisor.finds("VolumeNotMounted").await;
            assert!(evidence.contains(name), "{name}: {evidence}");
            assert_eq!(supervisor.get("/gatez").await.0, 503, "{name}");
            drop(supervisor);
            drop(pod);
        }
        // With each in its place the gate opens.
        let pod = claims.pod(claims.own());
        claims.supervisor(&pod).await.passes("gate").await;
    }
    assert!(claims.identities() == before, "nothing was written over");
}

#[tokio::test]
async fn each_claim_that_is_full_read_only_or_stalled_before_the_start() {
    let claims = Claims::used().await;
    let pod = claims.pod(claims.own());
    for name in NAMES {
        let image = &claims.images[&('a', name)];
        let filling = image.fill("filling.bak");
        let mut full = claims.supervisor(&pod).await;
        // Room is made by an engine that runs.
        is_of(&full.finds("DiskFull").await, name);
        if full.get("/gatez").await.0 != 200 {
            full.passes("gate").await;
        }
        drop(full);
        std::fs::remove_file(filling).expect("it is ours");

        image.freeze();
        let mut stalled = claims.supervisor(&pod).await;
        is_of(&stalled.finds("VolumeStalled").await, name);
        assert_eq!(stalled.get("/gatez").await.0, 503, "{name}");
        image.thaw();
        stalled.passes("gate").await;
        drop(stalled);

        // Over the top it would hide the other two.
        if name != "mssql" {
            let aside = claims.scratch.path().join("aside");
            let over = Bind::read_only_over(&place(&pod.at, name), &aside);
            let mut read_only = claims.supervisor(&pod).await;
            is_of(&read_only.finds("VolumeReadOnly").await, name);
            assert_eq!(read_only.get("/gatez").await.0, 503, "{name}");
            drop(read_only);
            over.uncover();
            std::mem::forget(over);
        }
    }
}

#[tokio::test]
async fn a_claim_for_data_alone() {
    let make = |scratch: &Path, at: &Path| Image::mounted(Kind::Ext4, scratch, &place(at, "data"));
    let mut rig = Rig::on(make).await;
    // The rest lies where the scratch directory does: with the container, as far as anybody can tell.
    let findings = rig.supervisor.status().await["findings"].to_string();
    assert!(findings.contains("NotOnVolume"), "{findings}");
    rig.supervisor.raises("NotOnVolume").await;
    assert!(findings.contains("the machine key"), "{findings}");

    let filling = rig.volume.fill("filling.bak");
    is_of(&rig.finds_and_may_start("DiskFull").await, "data");
    std::fs::remove_file(filling).expect("it is ours");
    rig.is_ready_again().await;

    rig.volume.freeze();
    is_of(&rig.finds("VolumeStalled").await, "data");
    rig.volume.thaw();
    rig.recovers().await;

    rig.volume.unmount_lazily();
    is_of(&rig.finds("VolumeNotMounted").await, "data");
    rig.volume.mount();
    rig.recovers().await;

    // Another instance's claim in its place, beneath the engine ...
    let (pod, scratch) = (rig.standin.data_dir(), rig.scratch.path().to_owned());
    let other = scratch.join("other");
    std::fs::create_dir_all(&other).expect("writable");
    std::fs::write(other.join("master.mdf"), "of another instance").expect("writable");
    let over = Bind::over(&other, &place(&pod, "data"));
    is_of(&rig.finds("VolumeReplaced").await, "data");
    drop(over);
}

#[tokio::test]
async fn a_swapped_claim_for_data_alone_never_starts() {
    let scratch = Scratch::new();
    let pod = scratch.path().join("pod/mssql");
    let claims = ["mine", "other"].map(|name| {
        let at = scratch.path().join(name);
        let image = Image::mounted(Kind::Ext4, scratch.path(), &at);
        std::fs::write(at.join("master.mdf"), name).expect("writable");
        image
    });
    let mut settings = fast(scratch.path(), &unique_name(), 1, &pod);
    settings.retain(|(key, _)| key != "require-mount");
    let environment = [("MSSQL_SA_PASSWORD", "x")];
    let mount = |image: &Image| Bind::over(image.path(), &place(&pod, "data"));

    let mine = mount(&claims[0]);
    let mut first = supervisor(&settings, &environment).await;
    first.passes("gate").await;
    let status = first
        .status_with(|status| status["volume"]["identity"].is_object())
        .await;
    // The pod remembers it by then. The last write of all has a second, and no more.
    let id = status["volume"]["identity"]["volumeId"].as_str();
    let id = id.expect("an id");
    let memory = scratch.path().join("state/state.json");
    while !std::fs::read_to_string(&memory).is_ok_and(|text| text.contains(id)) {
        tokio::time::sleep(PACE).await;
    }
    first.signal(Signal::TERM);
    while first.is_running() {
        tokio::time::sleep(PACE).await;
    }
    drop((first, mine));

    // Whether it was used by another supervisor before or not.
    for used in [false, true] {
        let _other = mount(&claims[1]);
        if used {
            let another = scratch.path().join("another");
            std::fs::create_dir_all(&another).expect("writable");
            let mut settings = fast(&another, &unique_name(), 1, &pod);
            settings.retain(|(key, _)| key != "require-mount");
            supervisor(&settings, &environment)
                .await
                .passes("gate")
                .await;
        }
        let mut next = supervisor(&settings, &environment).await;
        is_of(&next.finds("VolumeForeign").await, "data");
        assert_eq!(next.get("/gatez").await.0, 503);
        assert_eq!(next.get("/livez").await.0, 200);
    }
    let _mine = mount(&claims[0]);
    supervisor(&settings, &environment)
        .await
        .passes("gate")
        .await;
}
