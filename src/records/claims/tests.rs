use std::fs;

use super::super::atomic::tests::Scratch;
use super::*;
use crate::decide::lease::sight::HolderDetails;
use crate::decide::lease::{HolderIdentity, MAX_EPOCH};

fn claim(epoch: Epoch) -> Claim {
    Claim {
        epoch,
        first: 3,
        holder: HolderIdentity {
            id: "5f0c6b1e-63a5-4b43-9d0e-0f8f2f7a9f10".to_owned(),
            node: "node-7".to_owned(),
            boot_id: "b".repeat(36),
        },
        heartbeat: 12,
        nonce: u64::MAX,
        released: false,
    }
}

#[test]
fn what_is_written_is_read_back_and_what_is_torn_is_told() {
    for released in [false, true] {
        let written = Claim {
            released,
            ..claim(MAX_EPOCH)
        };
        let block = encode(&written);
        assert_eq!(decode(&block), Record::Claim(written));
        for length in 0..BLOCK {
            assert!(matches!(decode(&block[..length]), Record::Torn(_)));
        }
        for at in 0..BLOCK {
            let mut torn = block;
            torn[at] ^= 1;
            assert!(matches!(decode(&torn), Record::Torn(_)), "byte {at}");
        }
        // A sector half of which is older.
        let mut torn = block;
        torn[..256].copy_from_slice(&encode(&claim(7))[..256]);
        assert!(matches!(decode(&torn), Record::Torn(_)));
    }
    assert_ne!(
        decode(b""),
        decode(b"x"),
        "a torn one that changes is seen to"
    );
}

#[test]
fn a_hostile_or_empty_name_stays_in_its_line() {
    let mut hostile = claim(1);
    hostile.holder.id = "x\nreleased 1\n".repeat(40);
    hostile.holder.node = String::new();
    let Record::Claim(read) = decode(&encode(&hostile)) else {
        panic!("it is a whole one");
    };
    assert!(!read.released);
    assert_eq!(read.holder.id.len(), block::MAX_NAME);
    assert_eq!(read.holder.node, "");
}

#[test]
fn only_names_of_ten_digits_are_claims() {
    assert_eq!(epoch("lease.0000000012"), Some(12));
    assert_eq!(epoch(&name(MAX_EPOCH)), Some(MAX_EPOCH));
    for other in [
        "lease.12",
        "lease.+000000012",
        "lease.",
        "lease.00000000123",
        "x",
    ] {
        assert_eq!(epoch(other), None, "{other}");
    }
}

#[test]
fn the_steps_do_what_they_say() {
    let scratch = Scratch::new();
    let mut claims = Claims::on(&scratch.0);
    assert_eq!(claims.execute(&LeaseStep::List), LeaseReply::Listed(vec![]));
    assert_eq!(highest(&scratch.0).unwrap(), None);
    assert_eq!(claims.execute(&LeaseStep::Open(1)), LeaseReply::Gone);
    for epoch in [1, 2] {
        assert_eq!(
            claims.execute(&LeaseStep::Create(claim(epoch))),
            LeaseReply::Done
        );
        // It is there with its contents before the first write.
        let there = Record::Claim(claim(epoch));
        assert_eq!(highest(&scratch.0).unwrap(), Some((epoch, there)));
        assert_eq!(
            claims.execute(&LeaseStep::Write(claim(epoch))),
            LeaseReply::Done
        );
        assert_eq!(claims.execute(&LeaseStep::Sync), LeaseReply::Done);
        assert_eq!(claims.execute(&LeaseStep::SyncDirectory), LeaseReply::Done);
    }
    assert_eq!(
        claims.execute(&LeaseStep::Create(claim(2))),
        LeaseReply::Exists
    );
    assert_eq!(
        claims.execute(&LeaseStep::List),
        LeaseReply::Listed(vec![1, 2])
    );
    // A delayed write of an old holder goes to its own file, which has no name any more.
    let mut old = Claims::on(&scratch.0);
    assert!(matches!(
        old.execute(&LeaseStep::Open(1)),
        LeaseReply::Read(_)
    ));
    assert_eq!(claims.execute(&LeaseStep::Remove(1)), LeaseReply::Done);
    assert_eq!(old.execute(&LeaseStep::Write(claim(1))), LeaseReply::Done);
    assert_eq!(old.execute(&LeaseStep::Sync), LeaseReply::Done);
    assert_eq!(old.execute(&LeaseStep::Open(1)), LeaseReply::Gone);
    assert_eq!(
        claims.execute(&LeaseStep::List),
        LeaseReply::Listed(vec![2])
    );
    let seen = claims.execute(&LeaseStep::Read(2));
    let LeaseReply::Seen(sight) = seen else {
        panic!("{seen:?}");
    };
    assert_eq!(sight.record, Record::Claim(claim(2)));
    assert_eq!((sight.details, sight.lock), (None, LockState::Absent));
    assert_eq!(claims.execute(&LeaseStep::Lock), LeaseReply::Done);
    // Nothing else is left behind.
    let folder = Folder::on_volume(&scratch.0).unwrap().unwrap();
    assert_eq!(folder.names().unwrap(), [name(2)]);
}

#[test]
fn a_step_without_an_open_file_and_a_missing_volume_are_failures_not_losses() {
    let scratch = Scratch::new();
    let mut claims = Claims::on(&scratch.0);
    assert!(matches!(
        claims.execute(&LeaseStep::Sync),
        LeaseReply::Failed(_)
    ));
    let mut claims = Claims::on(&scratch.0.join("absent"));
    for step in [
        LeaseStep::List,
        LeaseStep::Open(1),
        LeaseStep::Create(claim(1)),
    ] {
        assert!(
            matches!(claims.execute(&step), LeaseReply::Failed(_)),
            "{step:?}"
        );
    }
}

#[test]
fn a_link_or_a_directory_in_the_place_of_a_claim_is_no_claim() {
    let scratch = Scratch::new();
    let mut claims = Claims::on(&scratch.0);
    claims.execute(&LeaseStep::List);
    let folder = Folder::on_volume(&scratch.0).unwrap().unwrap();
    fs::write(scratch.0.join("precious"), "precious").unwrap();
    let place = folder.path().join(name(4));
    std::os::unix::fs::symlink(scratch.0.join("precious"), &place).unwrap();
    assert!(matches!(
        claims.execute(&LeaseStep::Open(4)),
        LeaseReply::Failed(_)
    ));
    assert_eq!(
        claims.execute(&LeaseStep::Create(claim(4))),
        LeaseReply::Exists
    );
    assert_eq!(highest(&scratch.0).unwrap(), Some((4, Record::Torn(0))));
    assert_eq!(
        fs::read_to_string(scratch.0.join("precious")).unwrap(),
        "precious"
    );
}

#[test]
fn leftovers_of_contenders_that_died_are_removed_with_the_old_claims() {
    let scratch = Scratch::new();
    let mut claims = Claims::on(&scratch.0);
    claims.execute(&LeaseStep::List);
    let folder = Folder::on_volume(&scratch.0).unwrap().unwrap();
    fs::write(folder.path().join("claim-00000000000000aa"), "").unwrap();
    fs::write(folder.path().join(name(1)), "").unwrap();
    assert_eq!(claims.execute(&LeaseStep::Remove(1)), LeaseReply::Done);
    assert!(folder.names().unwrap().is_empty());
}

#[test]
fn the_holders_before_are_forgotten_once_the_claim_is_held() {
    let scratch = Scratch::new();
    let details = HolderDetails::default();
    let holder = |id: &str| HolderFile::new(id, 7, details.clone(), None);
    let mut before = Claims::on(&scratch.0).with_holder(holder("before"));
    before.execute(&LeaseStep::Lock);
    let mut claims = Claims::on(&scratch.0).with_holder(holder("now"));
    assert_eq!(claims.execute(&LeaseStep::Lock), LeaseReply::Done);
    let folder = Folder::on_volume(&scratch.0).unwrap().unwrap();
    assert_eq!(folder.names().unwrap().len(), 2);
    claims.tend_holder().unwrap();
    assert_eq!(folder.names().unwrap(), [holder("now").name()]);
    // It is told apart by the run.
    let mut own = claim(3);
    own.holder.id = "now".to_owned();
    own.nonce = 7;
    for nonce in [7, 8] {
        let mut claim = own.clone();
        (claim.nonce, claim.epoch) = (nonce, nonce);
        claims.execute(&LeaseStep::Create(claim));
        let LeaseReply::Seen(sight) = claims.execute(&LeaseStep::Read(nonce)) else {
            panic!("it is there");
        };
        assert_eq!(sight.details, (nonce == 7).then(|| details.clone()));
    }
}
