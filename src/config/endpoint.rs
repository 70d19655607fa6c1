//! The address at which the engine is asked. It is shared by all who ask, and changed by the one who finds
//! out where the engine listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// The default TCP port of SQL Server.
pub const DEFAULT_PORT: u16 = 1433;

/// The default TCP port of the dedicated administrator connection.
pub const DEFAULT_DAC_PORT: u16 = 1434;

/// The host and port that a connection goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host to connect to.
    pub host: TargetHost,
    /// The TCP port to connect to.
    pub port: u16,
}

/// A host that connections go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetHost {
    /// A host name, looked up before each connection.
    Name(String),
    /// IP addresses, tried in this order.
    Addresses(Vec<IpAddr>),
}

impl fmt::Display for Target {
    /// Writes the first address that is tried, with the port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            TargetHost::Name(name) => write!(f, "{name}:{}", self.port),
            TargetHost::Addresses(addresses) => match addresses.first() {
                Some(address) => write!(f, "{}", SocketAddr::new(*address, self.port)),
                None => write!(f, "nowhere:{}", self.port),
            },
        }
    }
}

impl TargetHost {
    /// Returns this host itself, by its loopback addresses.
    #[must_use]
    pub fn loopback() -> Self {
        Self::Addresses(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    /// Returns the host of a name or an address. The unspecified address, on which a server listens, stands
    /// for this host itself.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) if address.is_unspecified() => Self::loopback(),
            Ok(IpAddr::V6(address)) if address.is_unspecified() => Self::loopback(),
            Ok(address) => Self::Addresses(vec![address]),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

/// The targets of the engine: the one for clients, and the one of the administrator connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The target at which the engine serves clients.
    pub clients: Target,
    /// The target of the administrator connection; none where that is never asked.
    pub admin: Option<Target>,
}

/// The targets as they are known now, shared by all clones of this.
#[derive(Clone, Debug, Default)]
pub struct Endpoint(Arc<Mutex<Option<Targets>>>);

impl Endpoint {
    /// Returns the targets that were found; none while nobody has looked.
    #[must_use]
    pub fn found(&self) -> Option<Targets> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets the targets for all clones.
    pub fn set(&self, targets: Targets) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(targets);
    }
}

impl super::SqlConfig {
    /// Returns the targets that are asked now: those that were found, else those that the settings name.
    #[must_use]
    pub fn targets(&self) -> Targets {
        self.endpoint.found().unwrap_or_else(|| self.configured())
    }

    /// Returns the targets that the settings name, with defaults for what they leave open.
    #[must_use]
    pub fn configured(&self) -> Targets {
        let host = self
            .host
            .as_deref()
            .map_or_else(TargetHost::loopback, TargetHost::of);
        let admin = match self.dac_port {
            Some(0) => None,
            port => Some(Target {
                host: host.clone(),
                port: port.unwrap_or(DEFAULT_DAC_PORT),
            }),
        };
        let port = self.port.unwrap_or(DEFAULT_PORT);
        Targets {
            clients: Target { host, port },
            admin,
        }
    }
}
