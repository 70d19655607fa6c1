//! The identities that are missing from a set, and those that an operator's `adopt` writes.

use super::{IdentityWrite, JudgedVolumes, Seen};
use crate::decide::identity::{ExpectedId, Identity, IdentityFacts, IdentityFile, Membership};
use crate::decide::volumes::Use;

/// Returns the identities that are missing from the record. The main volume comes first: its id is the
/// others' mark.
pub(super) fn writes(
    main: &Seen<'_>,
    facts: &IdentityFacts,
    others: &[Seen<'_>],
    set: &JudgedVolumes,
) -> Vec<IdentityWrite> {
    let instance = instance(main, facts, others);
    let Some(id) = set.id() else {
        let adopted = facts.master_present == Some(true);
        let identity = Identity {
            volume_id: expected(facts),
            instance_id: instance.filter(|_| adopted),
            ..Identity::default()
        };
        let why = match adopted {
            true => "an engine was set up here before",
            false => "first use",
        };
        return vec![write(main, &facts.file, identity, why)];
    };
    let IdentityFile::Known(recorded) = &facts.file else {
        return Vec::new();
    };
    let mut members = recorded.members.clone();
    let mut list = Vec::new();
    for seen in others {
        let mark = Membership {
            id: id.to_owned(),
            main: main.volume.name.clone(),
            name: seen.volume.name.clone(),
        };
        match seen.facts.map(|facts| join(seen, facts, mark)) {
            Some(Joined::Already(id)) => drop(members.insert(seen.volume.name.clone(), id)),
            Some(Joined::By(write)) => list.push(write),
            None => {}
        }
    }
    let mut identity = recorded.clone();
    identity.members = members;
    if let Some(instance) = instance.filter(|_| is_unrecorded(recorded, facts, others)) {
        identity.instance_id = Some(instance);
    }
    if identity != *recorded {
        let why = match identity.instance_id == recorded.instance_id {
            true => "its set has a volume more",
            false => "the engine has set up its instance",
        };
        list.push(write(main, &facts.file, identity, why));
    }
    list
}

/// The way in which a volume belongs to the set.
#[expect(
    clippy::large_enum_variant,
    reason = "one lives for the length of a call"
)]
enum Joined {
    /// The volume has the mark of the set, and this id.
    Already(String),
    /// The volume gets the mark of the set by this write.
    By(IdentityWrite),
}

fn join(seen: &Seen<'_>, facts: &IdentityFacts, mark: Membership) -> Joined {
    let (mut identity, why) = match &facts.file {
        IdentityFile::Known(known) if known.set.as_ref() == Some(&mark) => {
            return Joined::Already(known.volume_id.clone());
        }
        IdentityFile::Known(known) => (known.clone(), "it joins the volumes of the instance"),
        _ => (Identity::default(), "first use beside the main volume"),
    };
    identity.set = Some(mark);
    Joined::By(write(seen, &facts.file, identity, why))
}

fn write(
    seen: &Seen<'_>,
    before: &IdentityFile,
    identity: Identity,
    why: &'static str,
) -> IdentityWrite {
    IdentityWrite {
        volume: seen.volume.name.clone(),
        path: seen.volume.path.clone(),
        before: before.clone(),
        identity,
        keep_aside: false,
        why,
    }
}

/// Returns the id that a new main volume has to have; empty where any will do.
pub(super) fn expected(facts: &IdentityFacts) -> String {
    match &facts.expected {
        ExpectedId::Id(id) => id.clone(),
        ExpectedId::Any | ExpectedId::Unreadable(_) => String::new(),
    }
}

/// Returns the id of the instance, by `.system/instance_id` on whichever volume that lies. Where it lies
/// on none, the id changes with the container, and the main volume's id stands for it.
fn instance(main: &Seen<'_>, facts: &IdentityFacts, others: &[Seen<'_>]) -> Option<String> {
    let on_a_volume = main.volume.uses.contains(&Use::System)
        || others
            .iter()
            .any(|seen| seen.volume.uses.contains(&Use::System));
    let there = facts.instance_id.clone().or_else(|| {
        let facts = others.iter().filter_map(|seen| seen.facts);
        facts.filter_map(|facts| facts.instance_id.clone()).next()
    });
    match (&facts.file, on_a_volume) {
        (IdentityFile::Known(known), false) => Some(known.volume_id.clone()),
        _ => there,
    }
}

/// Whether the instance is complete, and is not in the main volume's record. The engine makes its id before its
/// databases: who looks in between must not find the volume emptied. The volume's own id stands in the record
/// for an instance whose id could not be seen.
fn is_unrecorded(recorded: &Identity, facts: &IdentityFacts, others: &[Seen<'_>]) -> bool {
    let seen = facts.instance_id.is_some()
        || others
            .iter()
            .any(|seen| seen.facts.is_some_and(|facts| facts.instance_id.is_some()));
    let missing = match recorded.instance_id.as_deref() {
        None => true,
        Some(placeholder) => placeholder == recorded.volume_id && seen,
    };
    missing && facts.master_present == Some(true)
}

/// Returns the identities that an operator's `adopt` writes, which accepts the volumes as they are. `left`
/// are the names of those that were not written anew since.
#[must_use]
pub fn adoption(volumes: &[Seen<'_>], left: &[String]) -> Vec<IdentityWrite> {
    let binding = || volumes.iter().filter(|seen| seen.volume.binds());
    let others: Vec<Seen<'_>> = binding()
        .copied()
        .filter(|seen| !seen.volume.is_main())
        .collect();
    let Some((main, facts)) = binding()
        .find(|seen| seen.volume.is_main())
        .and_then(|seen| Some((seen, seen.facts?)))
    else {
        return Vec::new();
    };
    let kept = |facts: &IdentityFacts| match &facts.file {
        IdentityFile::Known(before) => before.volume_id.clone(),
        _ => String::new(),
    };
    let write = |seen: &Seen<'_>, facts: &IdentityFacts, identity| IdentityWrite {
        keep_aside: true,
        ..write(seen, &facts.file, identity, "adopted")
    };
    if left.contains(&main.volume.name) {
        let has_master = facts.master_present == Some(true);
        let expected = expected(facts);
        let identity = Identity {
            volume_id: match expected.is_empty() {
                true => kept(facts),
                false => expected,
            },
            instance_id: instance(main, facts, &others).filter(|_| has_master),
            ..Identity::default()
        };
        return vec![write(main, facts, identity)];
    }
    let IdentityFile::Known(main_identity) = &facts.file else {
        return Vec::new();
    };
    let wanted = others
        .iter()
        .filter(|seen| left.contains(&seen.volume.name));
    wanted
        .filter_map(|seen| {
            let facts = seen.facts?;
            let identity = Identity {
                volume_id: kept(facts),
                set: Some(Membership {
                    id: main_identity.volume_id.clone(),
                    main: main.volume.name.clone(),
                    name: seen.volume.name.clone(),
                }),
                ..Identity::default()
            };
            Some(write(seen, facts, identity))
        })
        .collect()
}
