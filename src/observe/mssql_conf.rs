//! `mssql.conf`, the engine's own settings: sections of keys, as mssql-conf writes them.
//!
//! ```text
//! [filelocation]
//! masterdatafile = /mnt/fast/master.mdf
//! ```

use std::io::Read as _;
use std::path::Path;

use crate::records::beneath::Below;

/// The file's name in the data directory.
const NAME: &str = "mssql.conf";

/// Bytes of the file that are read; a file with every setting has a tenth of them.
const MAX_BYTES: u64 = 64 * 1024;

/// The settings of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MssqlConf(Vec<(String, String, String)>);

impl MssqlConf {
    /// Reads the settings in the file of the volume at `data_dir`; none where there is no file, or it can't
    /// be read. No link is followed. May wait for as long as the device does.
    #[must_use]
    pub fn read(data_dir: &Path) -> Self {
        let mut text = Vec::new();
        let file = Below::on(data_dir, &data_dir.join(NAME)).file();
        let read = file.map(|file| file.take(MAX_BYTES).read_to_end(&mut text));
        match read {
            Some(Ok(_)) => Self::parse(&String::from_utf8_lossy(&text)),
            Some(Err(_)) | None => Self::default(),
        }
    }

    /// Parses the settings in `text`. Lines that are no settings are passed over, as the engine does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut section = String::new();
        let mut settings = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name.trim().to_ascii_lowercase();
            } else if let Some((key, value)) = line.split_once('=') {
                let key = key.trim().to_ascii_lowercase();
                settings.push((section.clone(), key, value.trim().to_owned()));
            }
        }
        Self(settings)
    }

    /// Returns the value of a setting, the last one where it stands twice; none where it is empty.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let mut settings = self.0.iter().rev();
        let found = settings.find(|(in_section, name, _)| in_section == section && name == key);
        found
            .map(|(_, _, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_section_and_key_whatever_their_case() {
        let conf = MssqlConf::parse(
            "masterdatafile = nowhere\n\
             [EULA]\naccepteula = Y\n\
             ; a comment = no setting\n\
             [FileLocation]\n\
             MasterDataFile=/mnt/fast/master.mdf\n\
             defaultlogdir = \n\
             [network]\ntcpport = 1433\ntcpport = 1500\n",
        );
        assert_eq!(
            conf.get("filelocation", "masterdatafile"),
            Some("/mnt/fast/master.mdf")
        );
        assert_eq!(conf.get("filelocation", "defaultlogdir"), None, "empty");
        assert_eq!(conf.get("network", "tcpport"), Some("1500"), "the last one");
        assert_eq!(conf.get("eula", "tcpport"), None);
    }

    #[test]
    fn a_file_that_is_not_there_sets_nothing() {
        assert_eq!(MssqlConf::read(Path::new("/nowhere")), MssqlConf::default());
        assert_eq!(MssqlConf::read(Path::new("/proc")), MssqlConf::default());
    }
}
