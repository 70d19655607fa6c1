//! The identity of a volume: whether it is the one that is meant. The rules judge it, and so does the
//! thread that writes it.
//!
//! A volume gets a random id when it is first used, together with the id of the instance that was set
//! up on it ([`crate::records::identity`]). From then on it is the same volume, another one, or one
//! that has lost its instance; an engine that starts on either of the last two sets up an empty
//! instance, without a warning.

pub mod set;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whether a volume without an identity may be taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeInit {
    /// The volume may be taken into use, unless this pod has used another one here before.
    Once,
    /// The volume may be taken into use only by an operator's `adopt`.
    Never,
}

/// The contents of a volume's identity file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The volume's id.
    pub volume_id: String,
    /// The moment at which the volume got its id, RFC 3339, for people.
    pub created: String,
    /// The id of the instance on the volume, once the engine has made one: `.system/instance_id`.
    pub instance_id: Option<String>,
    /// The set that the volume belongs to; absent on the main volume, and on one that is alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<Membership>,
    /// On the main volume, the ids of the other volumes of its set, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<String, String>,
}

/// The place in a set of volumes of one that does not hold `master.mdf`.
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

/// The state of a volume's identity file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum IdentityFile {
    /// The file does not exist.
    Absent,
    /// The file holds this identity.
    Known(Identity),
    /// The file can't be understood, or not by this version; the text gives the cause.
    Refused(String),
    /// The file can't be read at present; the text gives the cause.
    Unreadable(String),
}

/// The volume id that the configuration expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ExpectedId {
    /// Any id is accepted.
    Any,
    /// Only this id is accepted.
    Id(String),
    /// The file with the expected id can't be read; the text gives the cause.
    Unreadable(String),
}

/// The facts by which a volume is judged, looked at in this order: whoever sees an instance in the
/// identity sees the instance's files, because the identity was written after them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityFacts {
    /// The id that the configuration expects.
    pub expected: ExpectedId,
    /// The state of the identity file.
    pub file: IdentityFile,
    /// The contents of `.system/instance_id`; absent where there is no such file, or it can't be read.
    pub instance_id: Option<String>,
    /// Whether `data/master.mdf` is there; absent where that can't be seen.
    pub master_present: Option<bool>,
    /// Whether the data directory holds nothing but the supervisor's folder and `lost+found`; absent where
    /// it can't be read.
    pub empty: Option<bool>,
}

/// The judgement of a volume, which follows from [`IdentityFacts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The volume can't be judged now; the text gives the cause.
    Unknown(String),
    /// The volume has neither an identity nor an instance: both may be made.
    FirstUse,
    /// The volume has an instance and no identity: it may be given one.
    Unmarked,
    /// The volume is the one that is meant.
    Established {
        /// The volume's id.
        volume_id: String,
    },
    /// The set lacks a volume: this one, or the main one with `master.mdf`, is not mounted; the text names
    /// it.
    Incomplete(String),
    /// The instance that was here is gone, or there never was one and none may be made; the text gives the
    /// cause.
    Empty(String),
    /// The volume is another one, or another instance's; the text gives the cause.
    Foreign(String),
    /// The identity of the volume is refused; the text gives the cause.
    Refused(String),
}

/// Judges a volume. `remembered` is the id of the volume that this pod has used before, if it has.
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

/// Judges a volume without an identity.
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
        (None, VolumeInit::Once) if master => Judgement::Unmarked,
        (None, VolumeInit::Once) => Judgement::FirstUse,
    }
}

/// Judges a volume with an identity, which is the right one as far as the configuration goes.
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
    Judgement::Established {
        volume_id: found.clone(),
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

    /// Returns the name of the judgement.
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
            (none(), Some("i"), true, None, Once, "Unmarked"),
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
