//! `mssql.conf`, the engine's own settings: sections of keys, as mssql-conf writes them.
//!
//! ```text
//! [filelocation]
//! masterdatafile = /mnt/fast/master.mdf
//! ```

/// The file's name in the data directory.
pub const NAME: &str = "mssql.conf";

/// The settings of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MssqlConf(Vec<(String, String, String)>);

impl MssqlConf {
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
    use super::MssqlConf;

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
}
