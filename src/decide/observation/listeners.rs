//! The addresses on which the engine listens, and the one at which it is asked.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The engine's TCP listeners for clients, and the address that the supervisor asks.
///
/// `core::net` holds plain values: nothing here opens a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenersReport {
    /// The addresses on which the engine's processes listen for clients, read from the kernel's table of
    /// sockets. Left out are the administrator connection, the launchers' port and the platform layer's
    /// own (1434, 1431, 135 by default): those are open in a start that serves nobody yet. An empty list
    /// means that the engine does not listen. Absent where nobody can read whose the sockets are.
    pub listening: Option<Vec<SocketAddr>>,
    /// The address that the configuration names: settings, `MSSQL_TCP_PORT`, `MSSQL_IP_ADDRESS`,
    /// mssql.conf. Absent where it names none.
    pub configured: Option<SocketAddr>,
    /// The address that the supervisor asks. Absent where it has none: the host name can't be resolved.
    pub asked: Option<SocketAddr>,
}

impl ListenersReport {
    /// Whether the engine listens at all; absent where that can't be seen.
    #[must_use]
    pub fn listens(&self) -> Option<bool> {
        let listening = self.listening.as_ref()?;
        Some(!listening.is_empty())
    }

    /// Whether a connection to `address` reaches the engine; absent where that can't be seen.
    #[must_use]
    pub fn serves(&self, address: SocketAddr) -> Option<bool> {
        let listening = self.listening.as_ref()?;
        Some(listening.iter().any(|listener| reaches(*listener, address)))
    }
}

/// Whether a connection to `address` arrives at a socket that listens on `listener`: the same port, and
/// the same address or the unspecified one, which takes every address of its family; that of IPv6 takes
/// those of IPv4 as well (ipv6(7), `IPV6_V6ONLY` is off by default). Of a name that stands for every
/// local address (asking `0.0.0.0`) nothing else is known than the port.
fn reaches(listener: SocketAddr, address: SocketAddr) -> bool {
    let (at, to) = (listener.ip().to_canonical(), address.ip().to_canonical());
    let any = at.is_unspecified() && (at.is_ipv6() || to.is_ipv4());
    listener.port() == address.port() && (any || at == to || to.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(listening: Option<&[&str]>) -> ListenersReport {
        let parse = |text: &&str| text.parse().expect("an address");
        ListenersReport {
            listening: listening.map(|list| list.iter().map(parse).collect()),
            ..ListenersReport::default()
        }
    }

    #[test]
    fn an_unspecified_listener_takes_its_family_and_that_of_ipv6_takes_both() {
        for (listener, address, expected) in [
            ("0.0.0.0:1433", "127.0.0.1:1433", true),
            ("0.0.0.0:1433", "127.0.0.1:1500", false),
            ("0.0.0.0:1433", "[::1]:1433", false),
            ("[::]:1433", "127.0.0.1:1433", true),
            ("[::]:1433", "[::1]:1433", true),
            ("127.0.0.1:1433", "127.0.0.1:1433", true),
            ("127.0.0.1:1433", "127.0.0.2:1433", false),
            ("127.0.0.1:1433", "[::ffff:127.0.0.1]:1433", true),
            ("10.0.0.7:1433", "0.0.0.0:1433", true),
        ] {
            let address = address.parse().expect("an address");
            let seen = report(Some(&[listener])).serves(address);
            assert_eq!(seen, Some(expected), "{listener} for {address}");
        }
    }

    #[test]
    fn what_nobody_can_see_is_not_known() {
        let address = "127.0.0.1:1433".parse().expect("an address");
        assert_eq!(report(None).listens(), None);
        assert_eq!(report(None).serves(address), None);
        assert_eq!(report(Some(&[])).listens(), Some(false));
        assert_eq!(report(Some(&[])).serves(address), Some(false));
        assert_eq!(report(Some(&["[::]:1433"])).listens(), Some(true));
    }
}
