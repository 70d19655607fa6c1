//! What the engine's configuration file says of its network: `mssql.conf` in the data directory.
//!
//! ```text
//! [network]
//! tcpport = 1500
//! ipaddress = 10.0.0.7
//! ```

use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use crate::records::beneath::Root;

/// The file's name in the data directory.
const NAME: &str = "mssql.conf";

/// Bytes that are read of it; one with every key there is has a tenth of that.
const MAX_BYTES: u64 = 64 * 1024;

/// The file's settings of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkConf {
    /// `network.tcpport`.
    pub tcp_port: Option<u16>,
    /// `network.ipaddress`.
    pub ip_address: Option<IpAddr>,
}

/// Reads the file of the volume at `data_dir`; nothing is known where it can't be read. No link is
/// followed. It may block for as long as the device does.
#[must_use]
pub fn read(data_dir: &Path) -> NetworkConf {
    let text = || {
        let file = Root::open(data_dir).ok()?.file(NAME).ok()??;
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    text().map_or_else(NetworkConf::default, |text| parse(&text))
}

/// Sections in brackets, one `key = value` a line; names without regard to case, as `mssql-conf` has it.
fn parse(text: &str) -> NetworkConf {
    let mut found = NetworkConf::default();
    let mut in_section = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            in_section = section.trim().eq_ignore_ascii_case("network");
        } else if in_section && let Some((key, value)) = line.split_once('=') {
            match (key.trim(), value.trim()) {
                (key, value) if key.eq_ignore_ascii_case("tcpport") => {
                    found.tcp_port = value.parse().ok().filter(|port| *port > 0);
                }
                (key, value) if key.eq_ignore_ascii_case("ipaddress") => {
                    found.ip_address = value.parse().ok();
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::TempDir;

    #[test]
    fn the_network_is_read_and_nothing_else() {
        let text = "[EULA]\naccepteula = Y\ntcpport = 1\n\n[network]\r\ntcpport=1500\r\n ipaddress = 10.0.0.7 \n# tcpport = 2\n[coredump]\ntcpport = 3\n";
        let expected = NetworkConf {
            tcp_port: Some(1500),
            ip_address: Some("10.0.0.7".parse().unwrap()),
        };
        assert_eq!(parse(text), expected);
        let odd = "[network]\ntcpport = 0\nipaddress = everywhere\n[unfinished";
        assert_eq!(parse(odd), NetworkConf::default());
    }

    #[test]
    fn a_link_is_not_read() {
        let (dir, elsewhere) = (TempDir::new(), TempDir::new());
        assert_eq!(read(dir.path()), NetworkConf::default());
        elsewhere.write("conf", "[network]\ntcpport = 1500\n");
        std::os::unix::fs::symlink(elsewhere.path().join("conf"), dir.path().join(NAME)).unwrap();
        assert_eq!(read(dir.path()), NetworkConf::default());
        assert_eq!(read(&dir.path().join("absent")), NetworkConf::default());
        std::fs::remove_file(dir.path().join(NAME)).unwrap();
        dir.write(NAME, "[network]\ntcpport = 1500\n");
        assert_eq!(read(dir.path()).tcp_port, Some(1500));
    }
}
