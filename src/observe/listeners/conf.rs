//! The network settings of the engine's configuration file: `mssql.conf` in the data directory.
//!
//! ```text
//! [network]
//! tcpport = 1500
//! ipaddress = 10.0.0.7
//! ```

use std::net::IpAddr;
use std::path::Path;

use crate::config::mssql_conf::MssqlConf;
use crate::observe::mssql_conf;

/// The file's settings of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkConf {
    /// The setting `network.tcpport`.
    pub tcp_port: Option<u16>,
    /// The setting `network.ipaddress`.
    pub ip_address: Option<IpAddr>,
}

/// Reads the file of the volume at `data_dir`; nothing is known where it can't be read. May block for as long
/// as the device does.
#[must_use]
pub fn read(data_dir: &Path) -> NetworkConf {
    network(&mssql_conf::read(data_dir))
}

fn network(conf: &MssqlConf) -> NetworkConf {
    let port = conf.get("network", "tcpport");
    let address = conf.get("network", "ipaddress");
    NetworkConf {
        tcp_port: port
            .and_then(|text| text.parse().ok())
            .filter(|port| *port > 0),
        ip_address: address.and_then(|text| text.parse().ok()),
    }
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
        assert_eq!(network(&MssqlConf::parse(text)), expected);
        let odd = "[network]\ntcpport = 0\nipaddress = everywhere\n[unfinished";
        assert_eq!(network(&MssqlConf::parse(odd)), NetworkConf::default());
    }

    #[test]
    fn a_link_is_not_read() {
        let (dir, elsewhere) = (TempDir::new(), TempDir::new());
        assert_eq!(read(dir.path()), NetworkConf::default());
        elsewhere.write("conf", "[network]\ntcpport = 1500\n");
        std::os::unix::fs::symlink(elsewhere.path().join("conf"), dir.path().join("mssql.conf"))
            .unwrap();
        assert_eq!(read(dir.path()), NetworkConf::default());
        assert_eq!(read(&dir.path().join("absent")), NetworkConf::default());
        std::fs::remove_file(dir.path().join("mssql.conf")).unwrap();
        dir.write("mssql.conf", "[network]\ntcpport = 1500\n");
        assert_eq!(read(dir.path()).tcp_port, Some(1500));
    }
}
