//! Is this the volume that is meant? Judged by the rules, and by the thread that writes the identity.
//!
//! A volume gets a random id when it is first used, together with the id of the instance that was set
//! up on it ([`crate::records::identity`]). From then on it is the same volume, another one, or one
//! that has lost its instance; an engine that starts on either of the last two sets up an empty
//! instance, without a word.

pub mod set;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whether a volume without an identity may be taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeInit {
    /// It may, unless this pod has seen another volume here before.
    Once,
    /// Only by an operator's `adopt`.
    Never,
}

/// What the identity says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The volume's id.
    pub volume_id: String,
    /// When it got it, RFC 3339, for people.
    pub created: String,
    /// The instance on it, once the engine has made one: `.system/instance_id`.
    pub instance_id: Option<String>,
    /// The set of volumes that it belongs to; absent on the main volume, and on one that is alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<Membership>,
    /// On the main volume, the ids of the other volumes of its set, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<String, String>,
}

/// To which set of volumes one belongs that does not hold `master.mdf`, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Membership {
    /// The id of the main volume.
    pub id: String,
    /// The main volume's name.
    pub main: String,
    /// The name of this volume in the set.
    pub name: String,
}

/// What was found of the identity's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum IdentityFile {
    /// There is none.
    Absent,
    /// This one.
    Known(Identity),
    /// One that can't be understood, or not by this version; why.
    Refused(String),
    /// It can't be read at present; why.
    Unreadable(String),
}

/// Which id the configuration expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ExpectedId {
    /// None in particular.
    Any,
    /// This one.
    Id(String),
    /// The file that says it can't be read; why.
    Unreadable(String),
}

/// All that is looked at on the volume, in this order: whoever sees an instance in the identity sees
/// its files, because it was written after them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityFacts {
    /// Which id is expected.
    pub expected: ExpectedId,
    /// The identity's file.
    pub file: IdentityFile,
    /// The contents of `.system/instance_id`; absent where there is none, or it can't be read.
    pub instance_id: Option<String>,
    /// Whether `data/master.mdf` is there; absent where that can't be told.
    pub master_present: Option<bool>,
    /// Whether the data directory holds nothing but the supervisor's folder and `lost+found`.
    pub empty: Option<bool>,
}

/// What follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It can't be told now; why.
    Unknown(String),
    /// No identity and no instance: both may be made.
    FirstUse,
    /// An instance without an identity: it may be given one.
    Adopting,
    /// The volume that is meant. With an instance that the identity does not name yet, if so.
    Established {
        /// The volume's id.
        volume_id: String,
        /// The instance to be written into the identity.
        unrecorded: Option<String>,
    },
    /// It belongs to a set whose main volume, the one with `master.mdf`, is not mounted; which.
    Incomplete(String),
    /// The instance that was here is gone, or there never was one and none may be made; why.
    Empty(String),
    /// Another volume, or another instance's; why.
    Foreign(String),
    /// Its identity is refused; why.
    Refused(String),
}

/// Judges. `remembered` is the id of the volume that this pod has used before, if it has.
#[must_use]
pub fn judge(facts: &IdentityFacts, remembered: Option<&str>, init: VolumeInit) -> Judgement {
    match (&facts.expected, &facts.file) {
        (ExpectedId::Unreadable(why), _) => {
            Judgement::Unknown(format!("the file with the expected id: {why}"))
        }
        (_, IdentityFile::Unreadable(why)) => Judgement::Unknown(format!("its identity: {why}")),
        (_, IdentityFile::Refused(why)) => Judgement::Refused(why.clone()),
        (_, IdentityFile::Absent) => without(facts, remembered, init),
        (ExpectedId::Id(expected), IdentityFile::Known(identity))
            if *expected != identity.volume_id =>
        {
            let found = &identity.volume_id;
            Judgement::Foreign(format!("it is {found}, and {expected} is expected"))
        }
        (_, IdentityFile::Known(identity)) => known(facts, identity, remembered),
    }
}

/// A volume without an identity.
fn without(facts: &IdentityFacts, remembered: Option<&str>, init: VolumeInit) -> Judgement {
    let (Some(master), Some(empty)) = (facts.master_present, facts.empty) else {
        return Judgement::Unknown("the data directory can't be read".to_owned());
    };
    match (remembered, init) {
        (Some(id), _) if master => Judgement::Foreign(format!(
            "it has no identity, and volume {id} was used here before"
        )),
        (Some(id), _) => Judgement::Empty(format!(
            "it has neither identity nor data/master.mdf, and volume {id} was used here before"
        )),
        (None, VolumeInit::Never) if empty => {
            Judgement::Empty("it is empty, and `volume-init` is never".to_owned())
        }
        (None, VolumeInit::Never) => {
            Judgement::Foreign("it has no identity, and `volume-init` is never".to_owned())
        }
        (None, VolumeInit::Once) if master => Judgement::Adopting,
        (None, VolumeInit::Once) => Judgement::FirstUse,
    }
}

/// A volume with one, as far as the configuration goes the right one.
fn known(facts: &IdentityFacts, identity: &Identity, remembered: Option<&str>) -> Judgement {
    let found = &identity.volume_id;
    if let Some(before) = remembered.filter(|before| *before != found) {
        let why = format!("it is {found}, and volume {before} was used here before");
        return Judgement::Foreign(why);
    }
    match (&identity.instance_id, &facts.instance_id) {
        (Some(recorded), Some(there))
            if recorded != found && !recorded.eq_ignore_ascii_case(there) =>
        {
            let why = format!("instance {there} is on it, and {recorded} was set up here");
            return Judgement::Foreign(why);
        }
        // Before the engine has made its files, this is still the first use.
        (Some(recorded), _) if facts.master_present == Some(false) => {
            let why = format!("data/master.mdf of instance {recorded} is not there");
            return Judgement::Empty(why);
        }
        _ => {}
    }
    // The engine makes its id before its databases: who looks in between must not find it emptied. A
    // volume's own id stands for an instance whose id could not be seen.
    let recorded = identity.instance_id.as_deref();
    let complete = recorded.is_none_or(|recorded| recorded == found && facts.instance_id.is_some())
        && facts.master_present == Some(true);
    Judgement::Established {
        volume_id: found.clone(),
        unrecorded: facts.instance_id.clone().filter(|_| complete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(volume: &str, instance: Option<&str>) -> IdentityFile {
        IdentityFile::Known(Identity {
            volume_id: volume.to_owned(),
            instance_id: instance.map(str::to_owned),
            ..Identity::default()
        })
    }

    fn facts(file: IdentityFile, instance: Option<&str>, master: bool) -> IdentityFacts {
        IdentityFacts {
            expected: ExpectedId::Any,
            file,
            instance_id: instance.map(str::to_owned),
            master_present: Some(master),
            empty: Some(!master && instance.is_none()),
        }
    }

    /// The name of the judgement.
    fn name(judgement: &Judgement) -> String {
        let debug = format!("{judgement:?}");
        debug
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn every_combination_has_its_judgement() {
        use VolumeInit::{Never, Once};
        let none = || IdentityFile::Absent;
        let a = |instance| identity("a", instance);
        let refused = || IdentityFile::Refused("torn".to_owned());
        for (file, instance, master, remembered, init, expected) in [
            (none(), None, false, None, Once, "FirstUse"),
            (none(), None, false, None, Never, "Empty"),
            (none(), None, false, Some("a"), Once, "Empty"),
            // A set-up that broke off.
            (none(), Some("i"), false, None, Once, "FirstUse"),
            (none(), Some("i"), false, None, Never, "Foreign"),
            (none(), Some("i"), true, None, Once, "Adopting"),
            (none(), Some("i"), true, None, Never, "Foreign"),
            (none(), Some("i"), true, Some("a"), Once, "Foreign"),
            (a(None), None, false, None, Never, "Established"),
            (a(None), None, false, Some("a"), Never, "Established"),
            (a(None), None, false, Some("b"), Once, "Foreign"),
            (
                a(Some("i")),
                Some("I"),
                true,
                Some("a"),
                Never,
                "Established",
            ),
            (a(Some("i")), Some("j"), true, Some("a"), Once, "Foreign"),
            (a(Some("i")), None, true, None, Once, "Established"),
            (a(Some("i")), None, false, None, Once, "Empty"),
            (a(Some("i")), Some("i"), false, None, Once, "Empty"),
            (refused(), Some("i"), true, None, Once, "Refused"),
            (refused(), None, false, Some("a"), Never, "Refused"),
        ] {
            let facts = facts(file, instance, master);
            let judgement = judge(&facts, remembered, init);
            assert_eq!(
                name(&judgement),
                expected,
                "{facts:?} {remembered:?} {init:?}"
            );
        }
    }

    #[test]
    fn an_instance_is_recorded_once_its_databases_are_there() {
        let unrecorded = |facts: &IdentityFacts| match judge(facts, None, VolumeInit::Never) {
            Judgement::Established { unrecorded, .. } => unrecorded,
            other => panic!("{other:?}"),
        };
        let file = || identity("a", None);
        assert_eq!(unrecorded(&facts(file(), Some("i"), false)), None);
        let recorded = unrecorded(&facts(file(), Some("i"), true));
        assert_eq!(recorded.as_deref(), Some("i"));
        let file = identity("a", Some("i"));
        assert_eq!(unrecorded(&facts(file, Some("i"), true)), None);
    }

    #[test]
    fn what_the_configuration_expects_counts_first() {
        let mut facts = facts(identity("a", None), None, false);
        facts.expected = ExpectedId::Id("b".to_owned());
        let judgement = judge(&facts, Some("a"), VolumeInit::Once);
        assert_eq!(
            judgement,
            Judgement::Foreign("it is a, and b is expected".to_owned())
        );
        facts.expected = ExpectedId::Id("a".to_owned());
        assert_eq!(name(&judge(&facts, None, VolumeInit::Never)), "Established");
        facts.expected = ExpectedId::Unreadable("ENOENT".to_owned());
        assert_eq!(name(&judge(&facts, None, VolumeInit::Once)), "Unknown");
    }

    #[test]
    fn what_can_not_be_read_is_unknown_and_not_empty() {
        for (master, empty) in [(None, Some(true)), (Some(false), None)] {
            let mut facts = facts(IdentityFile::Absent, None, false);
            (facts.master_present, facts.empty) = (master, empty);
            assert_eq!(name(&judge(&facts, None, VolumeInit::Once)), "Unknown");
        }
        let unreadable = IdentityFile::Unreadable("EIO".to_owned());
        let facts = facts(unreadable, None, false);
        assert_eq!(
            name(&judge(&facts, Some("a"), VolumeInit::Never)),
            "Unknown"
        );
    }
}
