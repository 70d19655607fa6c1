//! The judgement of all volumes together: whether they belong to one set, and the identities to write.
//!
//! The main volume, the one with `master.mdf`, is judged as a single volume is ([`super::judge`]). Its id
//! names the set: each other volume that the gate requires carries it with its own name in the set, and
//! the main volume records their ids. So a claim that was swapped is known by the others, whichever it
//! is, and one that is missing by the main volume's record.
//!
//! A volume without a set's mark is taken into the set where nothing shows that it is another's: it has
//! no identity and none was recorded under its name, or it has one that an earlier version wrote for
//! the same instance.

mod votes;
mod writes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{Identity, IdentityFacts, IdentityFile, Judgement, VolumeInit, judge};
use crate::decide::volumes::{Use, Volume};
use votes::Votes;
pub use writes::adoption;
use writes::{expected, writes};

/// A volume with the facts of its identity.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The volume.
    pub volume: &'a Arc<Volume>,
    /// The facts that the last check saw; absent where no check has ended, or nothing was looked at.
    pub facts: Option<&'a IdentityFacts>,
}

/// The judgement of one volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The name of the volume, which may be one that is recorded and not mounted.
    pub name: String,
    /// The judgement; absent where there is nothing to judge by yet.
    pub judgement: Option<Judgement>,
}

/// An identity to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityWrite {
    /// The volume's name.
    pub volume: String,
    /// The directory that the supervisor's folder lies in.
    pub path: PathBuf,
    /// The identity file that was found there, and must be there still.
    pub before: IdentityFile,
    /// The identity to write. Without a volume id, a new one is drawn; without a date, it gets today's.
    pub identity: Identity,
    /// Whether the file that is there is kept under another name.
    pub keep_aside: bool,
    /// The cause of the write, for the log.
    pub why: &'static str,
}

/// The judgement of all volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JudgedVolumes {
    /// The judgement of each volume, the main one first.
    pub judged: Vec<Judged>,
    /// The identities that are missing from the record, if they may be written.
    pub writes: Vec<IdentityWrite>,
}

impl JudgedVolumes {
    /// Returns the id of the main volume, once it is established.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self.judged.first()?.judgement.as_ref()? {
            Judgement::Established { volume_id } => Some(volume_id),
            _ => None,
        }
    }

    /// Whether the volume with `master.mdf` is there, as far as its place shows: where it is not mounted,
    /// the directory at that place belongs to another volume.
    #[must_use]
    pub fn has_main(&self) -> bool {
        let main = self
            .judged
            .first()
            .and_then(|judged| judged.judgement.as_ref());
        !matches!(main, Some(Judgement::Incomplete(_)))
    }

    /// Whether each judgement is that the volume is the right one, or may become it.
    fn is_sound(&self) -> bool {
        let sound = |judged: &Judged| {
            matches!(
                judged.judgement,
                Some(Judgement::Established { .. } | Judgement::FirstUse | Judgement::Unmarked)
            )
        };
        self.judged.iter().all(sound)
    }
}

/// Judges the volumes that the gate requires. `remembered` is the id of the main volume that this pod has
/// used before, if it has.
#[must_use]
pub fn judge_set(
    volumes: &[Seen<'_>],
    remembered: Option<&str>,
    init: VolumeInit,
) -> JudgedVolumes {
    let binding: Vec<Seen<'_>> = volumes
        .iter()
        .copied()
        .filter(|seen| seen.volume.binds())
        .collect();
    let Some(main) = binding.iter().find(|seen| seen.volume.is_main()) else {
        return JudgedVolumes::default();
    };
    let others: Vec<Seen<'_>> = binding
        .iter()
        .copied()
        .filter(|seen| !seen.volume.is_main())
        .collect();
    let Some(facts) = main.facts else {
        return JudgedVolumes {
            judged: vec![unjudged(main)],
            writes: Vec::new(),
        };
    };
    let remembered = remembered.filter(|id| !is_of_earlier_version(&others, facts, id));
    let votes = Votes::count(&others);
    // Which of them is the wrong one is known once all have been seen.
    if votes.are_open() && disagrees(facts, &votes) {
        return JudgedVolumes {
            judged: binding.iter().map(unjudged).collect(),
            writes: Vec::new(),
        };
    }
    let judgement = judge_main(main, facts, &votes, remembered, init);
    let set = match &judgement {
        Judgement::Established { volume_id } => Some(volume_id.clone()),
        _ => remembered
            .map(str::to_owned)
            .or_else(|| votes.most().map(|(id, _)| id.to_owned())),
    };
    let record = SetRecord::of(facts, set, &others);
    let mut judged = vec![Judged {
        name: main.volume.name.clone(),
        judgement: Some(judgement),
    }];
    judged.extend(others.iter().map(|seen| Judged {
        name: seen.volume.name.clone(),
        judgement: seen.facts.map(|facts| record.judge(seen, facts, init)),
    }));
    judged.extend(record.missing(&judged));
    let mut set = JudgedVolumes {
        judged,
        writes: Vec::new(),
    };
    if set.is_sound() {
        set.writes = writes(main, facts, &others, &set);
    }
    set
}

/// Whether another volume is marked with another set than the main one's.
fn disagrees(main: &IdentityFacts, votes: &Votes<'_>) -> bool {
    matches!(&main.file, IdentityFile::Known(known) if votes.has_other_than(&known.volume_id))
}

fn unjudged(seen: &Seen<'_>) -> Judged {
    Judged {
        name: seen.volume.name.clone(),
        judgement: None,
    }
}

/// Whether the remembered `id` is of the version before this one, which knew one volume, the data
/// directory's: in a pod with several, that is the id of one that is not the main volume.
fn is_of_earlier_version(others: &[Seen<'_>], main: &IdentityFacts, id: &str) -> bool {
    let has = |facts: &IdentityFacts| matches!(&facts.file, IdentityFile::Known(known) if known.volume_id == id);
    !has(main) && others.iter().filter_map(|seen| seen.facts).any(has)
}

/// Judges the main volume: by itself as a single one is, then by the marks of the others.
fn judge_main(
    main: &Seen<'_>,
    facts: &IdentityFacts,
    votes: &Votes<'_>,
    remembered: Option<&str>,
    init: VolumeInit,
) -> Judgement {
    if let IdentityFile::Known(identity) = &facts.file
        && let Some(set) = &identity.set
    {
        return match set.name == main.volume.name {
            true => Judgement::Incomplete(format!(
                "volume `{}`, with master.mdf, is not mounted",
                set.main
            )),
            false => Judgement::Foreign(format!(
                "it is `{}` of the volumes of {}, in the place of the one with master.mdf",
                set.name, set.id
            )),
        };
    }
    let judged = judge(facts, remembered, init);
    let Some((set, names)) = votes.most() else {
        return judged;
    };
    let beside = names.join(", ");
    match &judged {
        // This pod has used it before, or it is the one that is asked for: the others have changed.
        Judgement::Established { volume_id }
            if remembered == Some(volume_id) || expected(facts) == *volume_id =>
        {
            judged
        }
        // One against one: either may be the wrong one, and both are named.
        Judgement::Established { volume_id }
            if set != volume_id && names.len() > votes.of(volume_id) =>
        {
            Judgement::Foreign(format!(
                "it is {volume_id}, and the volumes beside it ({beside}) belong to {set}"
            ))
        }
        Judgement::FirstUse => Judgement::Empty(format!(
            "it has neither identity nor master.mdf, and the volumes beside it ({beside}) belong to {set}"
        )),
        Judgement::Unmarked => Judgement::Foreign(format!(
            "it has no identity, and the volumes beside it ({beside}) belong to {set}"
        )),
        _ => judged,
    }
}

/// The record of the set, as the main volume has it.
#[derive(Debug)]
struct SetRecord {
    /// The id of the set; absent where neither the main volume, the memory nor another volume gives it.
    set: Option<String>,
    members: BTreeMap<String, String>,
    /// The instance that was set up on the main volume, or is seen where that is not recorded yet.
    instance: Option<String>,
}

impl SetRecord {
    fn of(main: &IdentityFacts, set: Option<String>, others: &[Seen<'_>]) -> Self {
        let known = match &main.file {
            IdentityFile::Known(identity) if Some(&identity.volume_id) == set.as_ref() => {
                Some(identity)
            }
            _ => None,
        };
        let there = others
            .iter()
            .filter_map(|seen| seen.facts)
            .find_map(|facts| facts.instance_id.clone());
        let recorded = known.and_then(|identity| identity.instance_id.clone());
        Self {
            members: known
                .map(|identity| identity.members.clone())
                .unwrap_or_default(),
            instance: recorded.or(there),
            set,
        }
    }

    /// Returns the judgements of the volumes that are recorded and not among `judged`.
    fn missing(&self, judged: &[Judged]) -> Vec<Judged> {
        let there = |name: &str| judged.iter().any(|judged| judged.name == name);
        let missing = self.members.iter().filter(|(name, _)| !there(name));
        missing
            .map(|(name, id)| Judged {
                name: name.clone(),
                judgement: Some(Judgement::Incomplete(format!(
                    "it was a volume of its own before ({id}), and is not mounted"
                ))),
            })
            .collect()
    }

    fn judge(&self, seen: &Seen<'_>, facts: &IdentityFacts, init: VolumeInit) -> Judgement {
        let recorded = self.members.get(&seen.volume.name);
        match &facts.file {
            IdentityFile::Unreadable(why) => Judgement::Unknown(format!("its identity: {why}")),
            IdentityFile::Refused(why) => Judgement::Refused(why.clone()),
            IdentityFile::Known(identity) => self.known(seen, facts, identity, recorded),
            IdentityFile::Absent => self.without(facts, recorded, init),
        }
    }

    fn known(
        &self,
        seen: &Seen<'_>,
        facts: &IdentityFacts,
        identity: &Identity,
        recorded: Option<&String>,
    ) -> Judgement {
        let found = &identity.volume_id;
        if let Some(before) = recorded.filter(|before| *before != found) {
            return Judgement::Foreign(format!("it is {found}, and {before} was used here before"));
        }
        if !identity.members.is_empty() {
            let why = format!("it is {found}, which holds the master.mdf of other volumes");
            return Judgement::Foreign(why);
        }
        match (&identity.set, &self.set) {
            (Some(theirs), Some(ours)) if theirs.id != *ours => Judgement::Foreign(format!(
                "it belongs to the volumes of {}, and these are those of {ours}",
                theirs.id
            )),
            (Some(theirs), _) if theirs.name != seen.volume.name => Judgement::Foreign(format!(
                "it is `{}` of these volumes, mounted in the place of `{}`",
                theirs.name, seen.volume.name
            )),
            (Some(_), Some(_)) => self.instance_on(seen, facts, found),
            // The main volume has no identity, or one that says nothing: then nothing says whose.
            (Some(_), None) => {
                Judgement::Unknown("the main volume's identity is not known".to_owned())
            }
            (None, _) => match (&identity.instance_id, &self.instance) {
                (Some(on_it), Some(ours)) if !on_it.eq_ignore_ascii_case(ours) => {
                    Judgement::Foreign(format!(
                        "it is of instance {on_it}, and the main volume of {ours}"
                    ))
                }
                (Some(on_it), None) if recorded.is_none() => {
                    Judgement::Foreign(format!("it is of instance {on_it}"))
                }
                _ => Judgement::Unmarked,
            },
        }
    }

    /// Judges a marked volume: an instance on the one with `.system` has to be that of `master.mdf`.
    fn instance_on(&self, seen: &Seen<'_>, facts: &IdentityFacts, found: &str) -> Judgement {
        let recorded = self.instance.as_ref();
        let recorded = recorded.filter(|recorded| Some(*recorded) != self.set.as_ref());
        let there = facts.instance_id.as_ref();
        match (recorded, there) {
            (Some(recorded), Some(there))
                if seen.volume.uses.contains(&Use::System)
                    && !recorded.eq_ignore_ascii_case(there) =>
            {
                Judgement::Foreign(format!(
                    "instance {there} is on it, and {recorded} was set up with master.mdf"
                ))
            }
            _ => Judgement::Established {
                volume_id: found.to_owned(),
            },
        }
    }

    fn without(
        &self,
        facts: &IdentityFacts,
        recorded: Option<&String>,
        init: VolumeInit,
    ) -> Judgement {
        let Some(empty) = facts.empty else {
            return Judgement::Unknown("its directory can't be read".to_owned());
        };
        let other_instance = facts
            .instance_id
            .as_ref()
            .zip(self.instance.as_ref())
            .filter(|(there, ours)| {
                Some(*ours) != self.set.as_ref() && !there.eq_ignore_ascii_case(ours)
            });
        match (recorded, init) {
            (Some(id), _) if empty => {
                Judgement::Empty(format!("it is empty, and volume {id} was used here before"))
            }
            (Some(id), _) => Judgement::Foreign(format!(
                "it has no identity, and volume {id} was used here before"
            )),
            (None, VolumeInit::Never) if empty => {
                Judgement::Empty("it is empty, and `volume-init` is never".to_owned())
            }
            (None, VolumeInit::Never) => {
                Judgement::Foreign("it has no identity, and `volume-init` is never".to_owned())
            }
            (None, VolumeInit::Once) => match other_instance {
                Some((there, ours)) => Judgement::Foreign(format!(
                    "instance {there} is on it, and {ours} was set up with master.mdf"
                )),
                None => Judgement::FirstUse,
            },
        }
    }
}

#[cfg(test)]
mod tests;
