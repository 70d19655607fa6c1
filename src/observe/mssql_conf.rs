//! `mssql.conf` as it lies on the volume.

use std::io::Read as _;
use std::path::Path;

use crate::config::mssql_conf::{MssqlConf, NAME};
use crate::records::beneath::Below;

/// Bytes of the file that are read; a file with every setting has a tenth of them.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads the settings in the file of the volume at `data_dir`; none where there is no file, or it can't be
/// read. No link is followed. May wait for as long as the device does.
#[must_use]
pub fn read(data_dir: &Path) -> MssqlConf {
    let mut text = Vec::new();
    let file = Below::on(data_dir, &data_dir.join(NAME)).file();
    let read = file.map(|file| file.take(MAX_BYTES).read_to_end(&mut text));
    match read {
        Some(Ok(_)) => MssqlConf::parse(&String::from_utf8_lossy(&text)),
        Some(Err(_)) | None => MssqlConf::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_sets_nothing() {
        assert_eq!(read(Path::new("/nowhere")), MssqlConf::default());
        assert_eq!(read(Path::new("/proc")), MssqlConf::default());
    }
}
