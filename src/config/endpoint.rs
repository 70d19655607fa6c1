//! The address at which the engine is asked: shared by all who ask, and changed by the one who finds out
//! where the engine listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// The port of SQL Server.
pub const DEFAULT_PORT: u16 = 1433;

/// The port of the dedicated administrator connection.
pub const DEFAULT_DAC_PORT: u16 = 1434;

/// Where a connection goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: TargetHost,
    /// The TCP port.
    pub port: u16,
}

/// A host that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetHost {
    /// A name, looked up before each connection.
    Name(String),
    /// Addresses, tried in this order.
    Addresses(Vec<IpAddr>),
}

impl fmt::Display for Target {
    /// The first address that is tried, with the port.
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
    /// This host itself: its loopback addresses.
    #[must_use]
    pub fn loopback() -> Self {
        Self::Addresses(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    /// The host of that name or address. The unspecified address, on which somebody listens, is asked as
    /// this host itself.
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

/// The targets of the engine: that of clients, and that of the administrator connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Where clients are served.
    pub clients: Target,
    /// Where an administrator is; none where that is never asked.
    pub admin: Option<Target>,
}

/// The targets as they are known now, shared by everybody who has a clone of it.
#[derive(Clone, Debug, Default)]
pub struct Endpoint(Arc<Mutex<Option<Targets>>>);

impl Endpoint {
    /// The targets that were found; none while nobody has looked.
    #[must_use]
    pub fn found(&self) -> Option<Targets> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets them for everybody.
    pub fn set(&self, targets: Targets) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(targets);
    }
}

impl super::SqlConfig {
    /// The targets that are asked now: those that were found, else those that the settings name.
    #[must_use]
    pub fn targets(&self) -> Targets {
        self.endpoint.found().unwrap_or_else(|| self.configured())
    }

    /// The targets that the settings name, with the defaults where they leave it open.
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
