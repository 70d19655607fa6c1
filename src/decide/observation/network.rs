//! The addresses on which the engine listens, as its own processes show them.

use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The sockets and the variables of the engine's process, read by whoever sees the process: the supervisor
/// where the pod shares its process namespace, the agent otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineNetwork {
    /// The TCP sockets on which the engine's processes listen, whatever for; absent where their
    /// descriptors can't be read.
    pub sockets: Option<Vec<SocketAddr>>,
    /// The network namespace that these sockets are in, by its inode; absent where it can't be read.
    pub namespace: Option<u64>,
    /// The value of `MSSQL_TCP_PORT` in the process's environment.
    pub tcp_port: Option<u16>,
    /// The value of `MSSQL_IP_ADDRESS` in the process's environment.
    pub ip_address: Option<IpAddr>,
}
