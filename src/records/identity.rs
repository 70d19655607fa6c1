//! The file that identifies a volume. What follows from it: [`crate::decide::identity`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::FOLDER;
use super::atomic::{Folder, Unreadable};
use super::beneath::Below;
use crate::decide::identity::{ExpectedId, Identity, IdentityFacts, IdentityFile, Membership};

/// The name of the file in the supervisor's folder.
pub const NAME: &str = "identity";
/// The version of a file that names no set of volumes.
const VERSION: u64 = 1;
/// The version of a file that names a set of volumes. A supervisor of the version before would refuse such a
/// file as foreign; with this number it reports why.
const SET_VERSION: u64 = 2;
/// Bytes that are read. A file that names twenty volumes has a quarter of them.
const MAX_BYTES: usize = 16 * 1024;
/// Bytes of an id.
const MAX_ID: usize = 128;
/// The engine's own id of the instance, below the data directory.
pub const INSTANCE_ID: &str = ".system/instance_id";
/// Entries of the data directory that are looked at to find it empty.
const MAX_ENTRIES: usize = 16;
const MODE: Mode = Mode::RUSR
    .union(Mode::WUSR)
    .union(Mode::RGRP)
    .union(Mode::WGRP);

/// The file's contents.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    version: u64,
    volume_id: String,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<Membership>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    members: BTreeMap<String, String>,
}

/// Files of the engine that show which instance a volume is of, for the volume that they lie on.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The file `.system/instance_id`.
    pub instance: Option<Below>,
    /// The file `master.mdf`.
    pub master: Option<Below>,
}

/// The source of the expected id.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The id, where it is given as such.
    pub id: Option<String>,
    /// The file that holds the id, read anew each time; an empty file expects nothing.
    pub file: Option<PathBuf>,
}

impl Expected {
    /// Returns the id that is expected now.
    #[must_use]
    pub fn read(&self) -> ExpectedId {
        if let Some(id) = &self.id {
            return ExpectedId::Id(id.clone());
        }
        let Some(path) = &self.file else {
            return ExpectedId::Any;
        };
        match short_text(path) {
            Ok(Some(id)) => ExpectedId::Id(id),
            Ok(None) => ExpectedId::Any,
            Err(error) => ExpectedId::Unreadable(format!("{}: {error}", path.display())),
        }
    }
}

/// Returns the date of an identity that is made now.
#[must_use]
pub fn today() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Returns 122 random bits in the form of a UUID, version 4 (RFC 9562).
#[must_use]
pub fn random_id() -> String {
    let mut bytes = random::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Returns random bytes from the kernel, getrandom(2).
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        // Fails only where interrupted, or on a kernel before 3.17 (ENOSYS), which has no pidfds either.
        let got =
            rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty());
        filled += got.unwrap_or_default();
    }
    bytes
}

/// Reads the identity in the supervisor's folder of the volume at `data_dir`.
#[must_use]
pub fn read(data_dir: &Path) -> IdentityFile {
    let folder = match Folder::on_volume(data_dir) {
        Ok(Some(folder)) => folder,
        Ok(None) => return IdentityFile::Absent,
        Err(error) => return IdentityFile::Unreadable(error.to_string()),
    };
    match folder.read(NAME, MAX_BYTES) {
        Ok(None) => IdentityFile::Absent,
        Ok(Some(bytes)) => parse(&bytes),
        Err(Unreadable::Io(error)) => IdentityFile::Unreadable(error.to_string()),
        Err(other) => IdentityFile::Refused(other.to_string()),
    }
}

fn parse(bytes: &[u8]) -> IdentityFile {
    let document: serde_json::Value = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => return IdentityFile::Refused(format!("it is torn or foreign: {error}")),
    };
    // Another version may look different altogether: that it is one is said first.
    if let Some(version) = document["version"].as_u64()
        && ![VERSION, SET_VERSION].contains(&version)
    {
        let why = format!("it is of version {version}, and this supervisor knows {SET_VERSION}");
        return IdentityFile::Refused(why);
    }
    match serde_json::from_value::<Stored>(document) {
        Ok(stored) if is_id(&stored.volume_id) => IdentityFile::Known(Identity {
            volume_id: stored.volume_id,
            created: stored.created,
            instance_id: stored.instance_id,
            set: stored.set,
            members: stored.members,
        }),
        Ok(_) => IdentityFile::Refused("its volume id is none".to_owned()),
        Err(error) => IdentityFile::Refused(format!("it is foreign: {error}")),
    }
}

/// Writes the identity, in the place of the one that is there.
///
/// # Errors
/// The error of the volume; the identity before is there then, or the new one.
pub fn write(data_dir: &Path, identity: &Identity) -> io::Result<()> {
    let alone = identity.set.is_none() && identity.members.is_empty();
    let stored = Stored {
        version: if alone { VERSION } else { SET_VERSION },
        volume_id: identity.volume_id.clone(),
        created: identity.created.clone(),
        instance_id: identity.instance_id.clone(),
        set: identity.set.clone(),
        members: identity.members.clone(),
    };
    let folder = Folder::make_on_volume(data_dir)?;
    let mut json = serde_json::to_vec(&stored)?;
    json.push(b'\n');
    folder.replace(NAME, &json, MODE)
}

/// Keeps the identity that is there under another name as well; it stays in its place until another one is
/// written. Returns the name; none where there is no identity.
///
/// # Errors
/// The error of the volume.
pub fn keep_copy(data_dir: &Path) -> io::Result<Option<String>> {
    let Some(folder) = Folder::on_volume(data_dir)? else {
        return Ok(None);
    };
    match folder.keep_copy(NAME, MAX_BYTES, MODE) {
        Ok(name) => Ok(Some(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Collects all that [`crate::decide::identity::set::judge_set`] needs to know of one volume.
#[must_use]
pub fn facts(data_dir: &Path, expected: &Expected, places: &Places) -> IdentityFacts {
    let instance = places.instance.as_ref();
    IdentityFacts {
        expected: expected.read(),
        file: read(data_dir),
        instance_id: instance.and_then(instance_id),
        master_present: places.master.as_ref().and_then(Below::is_there),
        empty: is_empty(data_dir),
    }
}

/// Returns the id of the instance, once the engine has written it.
fn instance_id(file: &Below) -> Option<String> {
    id_in(file.file()?).ok().flatten()
}

fn is_empty(data_dir: &Path) -> Option<bool> {
    let mut entries = fs::read_dir(data_dir).ok()?.take(MAX_ENTRIES);
    let own = |name: &std::ffi::OsStr| name == FOLDER || name == "lost+found";
    let others = entries.try_fold(false, |others, entry| {
        Ok::<_, io::Error>(others || !own(&entry?.file_name()))
    });
    others.ok().map(|others| !others)
}

/// Returns the id in a file of its own, blanks around it left out; none where the file is absent or empty.
/// Links are followed: a ConfigMap's files are links.
fn short_text(path: &Path) -> io::Result<Option<String>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    id_in(file)
}

fn id_in(file: File) -> io::Result<Option<String>> {
    let mut text = String::new();
    file.take(MAX_BYTES as u64).read_to_string(&mut text)?;
    match text.trim() {
        "" => Ok(None),
        id if is_id(id) => Ok(Some(id.to_owned())),
        _ => Err(io::Error::other("what it holds is no id")),
    }
}

/// Whether a text can be shown and compared as an id: graphic ASCII characters, not too many.
#[must_use]
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::super::atomic::tests::Scratch;
    use super::*;

    /// Returns an identity with a random id.
    fn new() -> Identity {
        Identity {
            volume_id: random_id(),
            created: today(),
            ..Identity::default()
        }
    }

    /// Returns the engine's files below `data_dir`, where everything lies on one volume.
    fn places(data_dir: &Path) -> Places {
        Places {
            instance: Some(Below::on(data_dir, &data_dir.join(INSTANCE_ID))),
            master: Some(Below::on(data_dir, &data_dir.join("data/master.mdf"))),
        }
    }

    fn volume() -> Scratch {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.0.join(".system")).unwrap();
        fs::create_dir(scratch.0.join("data")).unwrap();
        scratch
    }

    #[test]
    fn what_is_written_is_read_back() {
        let scratch = Scratch::new();
        assert_eq!(read(&scratch.0), IdentityFile::Absent);
        let mut identity = new();
        for instance_id in [None, Some("I-1".to_owned())] {
            identity.instance_id = instance_id;
            write(&scratch.0, &identity).unwrap();
            assert_eq!(read(&scratch.0), IdentityFile::Known(identity.clone()));
        }
        let aside = keep_copy(&scratch.0).unwrap().unwrap();
        assert!(aside.starts_with("identity.refused-"));
        assert_eq!(read(&scratch.0), IdentityFile::Known(identity));
        fs::remove_file(scratch.0.join(FOLDER).join(NAME)).unwrap();
        assert_eq!(keep_copy(&scratch.0).unwrap(), None);
    }

    #[test]
    fn what_is_torn_or_of_another_version_is_refused() {
        let scratch = Scratch::new();
        write(&scratch.0, &new()).unwrap();
        let path = scratch.0.join(FOLDER).join(NAME);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() - 1 {
            fs::write(&path, &whole[..length]).unwrap();
            let found = read(&scratch.0);
            assert!(
                matches!(found, IdentityFile::Refused(_)),
                "{length} {found:?}"
            );
        }
        for (text, why) in [
            (r#"{"version":3,"shape":"another"}"#, "of version 3"),
            (r#"{"version":1,"volumeId":"","created":""}"#, "is none"),
            (
                r#"{"version":1,"volumeId":"a","created":"","x":1}"#,
                "foreign",
            ),
            ("[]", "foreign"),
        ] {
            fs::write(&path, text).unwrap();
            let IdentityFile::Refused(found) = read(&scratch.0) else {
                panic!("{text} is refused");
            };
            assert!(found.contains(why), "{found}");
        }
    }

    #[test]
    fn the_facts_are_those_of_the_volume() {
        let scratch = volume();
        let found = facts(&scratch.0, &Expected::default(), &places(&scratch.0));
        assert_eq!(
            (found.master_present, found.empty),
            (Some(false), Some(false))
        );
        assert_eq!(found.instance_id, None);
        fs::write(scratch.0.join(".system/instance_id"), "ABC-1\n").unwrap();
        fs::write(scratch.0.join("data/master.mdf"), "").unwrap();
        let found = facts(&scratch.0, &Expected::default(), &places(&scratch.0));
        assert_eq!(found.instance_id.as_deref(), Some("ABC-1"));
        assert_eq!(found.master_present, Some(true));

        let empty = Scratch::new();
        fs::create_dir(empty.0.join(FOLDER)).unwrap();
        fs::create_dir(empty.0.join("lost+found")).unwrap();
        assert_eq!(
            facts(&empty.0, &Expected::default(), &Places::default()).empty,
            Some(true)
        );
        let gone = facts(
            &empty.0.join("absent"),
            &Expected::default(),
            &Places::default(),
        );
        assert_eq!(gone.empty, None);
        assert!(matches!(gone.file, IdentityFile::Unreadable(_)));
    }

    #[test]
    fn the_expected_id_is_given_or_stands_in_a_file() {
        let scratch = Scratch::new();
        let path = scratch.0.join("id");
        let expected = Expected {
            id: None,
            file: Some(path.clone()),
        };
        assert_eq!(expected.read(), ExpectedId::Any, "not made yet");
        fs::write(&path, " v-1 \n").unwrap();
        assert_eq!(expected.read(), ExpectedId::Id("v-1".to_owned()));
        fs::write(&path, "two words").unwrap();
        assert!(matches!(expected.read(), ExpectedId::Unreadable(_)));
        let given = Expected {
            id: Some("v-2".to_owned()),
            ..expected
        };
        assert_eq!(given.read(), ExpectedId::Id("v-2".to_owned()));
    }

    #[test]
    fn random_ids_are_uuids_and_differ() {
        let (one, other) = (random_id(), random_id());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(is_id(&one));
    }
}
