//! Chooses the address at which the engine is asked. Pure.
//!
//! A socket that is listened on counts more than what the errorlog reports, and that more than a
//! configuration, which may be another one than the engine was started with. In this order:
//!
//! 1. the sockets on which the engine's processes listen, where they can be seen and are in the
//!    supervisor's own network namespace: elsewhere an address may lead somewhere else;
//! 2. the settings `sql-host` and `sql-port`, where they are given;
//! 3. what the engine wrote into its errorlog at this start ("Server is listening on");
//! 4. `MSSQL_TCP_PORT` and `MSSQL_IP_ADDRESS` of the engine's process;
//! 5. `network.tcpport` and `network.ipaddress` of mssql.conf;
//! 6. port 1433 of this host.
//!
//! Where sockets are seen the others choose among them: an engine also listens for administrators, for
//! other instances and for its own launchers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::conf::NetworkConf;
use crate::config::SqlConfig;
use crate::config::endpoint::{DEFAULT_DAC_PORT, DEFAULT_PORT, Target, TargetHost, Targets};
use crate::decide::observation::{EngineNetwork, ListenersReport};

/// Ports on which an engine listens for others than clients: those of the launchers, and of the platform
/// layer.
const NOT_FOR_CLIENTS: [u16; 2] = [1431, 135];

/// The listeners that the errorlog of this start reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// The addresses, the administrator connection's among them; `'any'` is the unspecified one.
    pub listening: Vec<SocketAddr>,
    /// The port of the administrator connection.
    pub dac_port: Option<u16>,
}

/// Everything that is known of where the engine listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The network of the engine's processes; none while no engine is seen.
    pub network: Option<EngineNetwork>,
    /// The network namespace of the supervisor.
    pub own_namespace: Option<u64>,
    /// The settings of mssql.conf.
    pub conf: NetworkConf,
    /// The listeners of the errorlog.
    pub logged: Logged,
}

/// Returns the targets, and the report on them.
#[must_use]
pub fn choose(config: &SqlConfig, known: &Known) -> (Targets, ListenersReport) {
    let facts = Facts::of(config, known);
    let port = facts.port();
    let targets = Targets {
        clients: Target {
            host: facts.host(port),
            port,
        },
        admin: facts.admin(port),
    };
    let asked = match &targets.clients.host {
        TargetHost::Addresses(addresses) => {
            let first = addresses.first();
            first.map(|address| SocketAddr::new(*address, port))
        }
        TargetHost::Name(_) => None,
    };
    let report = ListenersReport {
        listening: facts.for_clients(),
        configured: facts.configured(),
        asked,
    };
    (targets, report)
}

struct Facts<'a> {
    config: &'a SqlConfig,
    /// The sockets in this network namespace; none where they can't be seen.
    sockets: Option<&'a [SocketAddr]>,
    /// The ports of the sockets in another network namespace.
    far_ports: Vec<u16>,
    env_port: Option<u16>,
    env_address: Option<IpAddr>,
    conf: &'a NetworkConf,
    logged: &'a Logged,
}

impl<'a> Facts<'a> {
    fn of(config: &'a SqlConfig, known: &'a Known) -> Self {
        let network = known.network.as_ref();
        let sockets = network.and_then(|network| network.sockets.as_deref());
        let namespace = network.and_then(|network| network.namespace);
        let near = namespace.is_some() && namespace == known.own_namespace;
        let far = sockets.filter(|_| !near).unwrap_or_default();
        Self {
            config,
            sockets: sockets.filter(|_| near),
            far_ports: far.iter().map(SocketAddr::port).collect(),
            env_port: network.and_then(|network| network.tcp_port),
            env_address: network.and_then(|network| network.ip_address),
            conf: &known.conf,
            logged: &known.logged,
        }
    }

    /// Returns the ports that are named anywhere, the most trusted first.
    fn named_ports(&self) -> impl Iterator<Item = u16> {
        let logged = self.logged.listening.iter().map(SocketAddr::port);
        self.config
            .port
            .into_iter()
            .chain(logged.filter(|port| !self.is_for_others(*port)))
            .chain(self.env_port)
            .chain(self.conf.tcp_port)
    }

    /// Whether the port is one that is not for clients, unless it is the one that is configured for them.
    fn is_for_others(&self, port: u16) -> bool {
        let configured = [self.config.port, self.env_port, self.conf.tcp_port];
        let dac = self
            .logged
            .dac_port
            .or(self.config.dac_port.filter(|port| *port > 0))
            .unwrap_or(DEFAULT_DAC_PORT);
        !configured.contains(&Some(port)) && (port == dac || NOT_FOR_CLIENTS.contains(&port))
    }

    /// Returns the sockets for clients; none where they can't be seen.
    fn for_clients(&self) -> Option<Vec<SocketAddr>> {
        let sockets = self.sockets?.iter().copied();
        Some(
            sockets
                .filter(|socket| !self.is_for_others(socket.port()))
                .collect(),
        )
    }

    fn port(&self) -> u16 {
        let named = || self.named_ports().chain([DEFAULT_PORT]);
        let first_named = named().next().unwrap_or(DEFAULT_PORT);
        let mut listened: Vec<u16> = match self.for_clients() {
            Some(sockets) => sockets.iter().map(SocketAddr::port).collect(),
            // Of another namespace the port alone may count, and never against the settings.
            None if self.config.port.is_none() => self.far_ports.clone(),
            None => Vec::new(),
        };
        listened.sort_unstable();
        listened.dedup();
        match named().find(|port| listened.contains(port)) {
            Some(port) => port,
            None if listened.len() == 1 => listened[0],
            None => first_named,
        }
    }

    fn host(&self, port: u16) -> TargetHost {
        let listened: Vec<IpAddr> = self
            .sockets
            .unwrap_or_default()
            .iter()
            .filter(|socket| socket.port() == port)
            .map(SocketAddr::ip)
            .collect();
        match self.config.host.as_deref().map(TargetHost::of) {
            Some(TargetHost::Addresses(addresses))
                if !listened.is_empty() && !addresses.iter().any(|to| reached(&listened, *to)) =>
            {
                TargetHost::Addresses(askable(&listened))
            }
            Some(host) => host,
            None if !listened.is_empty() => TargetHost::Addresses(askable(&listened)),
            None => self.unseen_host(port),
        }
    }

    /// Returns the host by the errorlog, the variables and mssql.conf.
    fn unseen_host(&self, port: u16) -> TargetHost {
        let logged = self.logged.listening.iter();
        let logged: Vec<IpAddr> = logged
            .filter(|listener| listener.port() == port)
            .map(SocketAddr::ip)
            .collect();
        let said = self.env_address.or(self.conf.ip_address);
        match said.filter(|address| !address.is_unspecified()) {
            _ if !logged.is_empty() => TargetHost::Addresses(askable(&logged)),
            Some(address) => TargetHost::Addresses(vec![address]),
            None => TargetHost::loopback(),
        }
    }

    fn admin(&self, clients: u16) -> Option<Target> {
        if self.config.dac_port == Some(0) {
            return None;
        }
        let listened = |port: u16| {
            let sockets = self.sockets.unwrap_or_default();
            sockets.iter().any(|socket| socket.port() == port)
        };
        let named = [self.config.dac_port, self.logged.dac_port];
        let named = || named.into_iter().flatten().chain([DEFAULT_DAC_PORT]);
        let port = named()
            .find(|port| listened(*port))
            .or_else(|| self.only_local_port(clients))
            .or_else(|| named().next())?;
        let host = match &self.config.host {
            Some(host) if self.sockets.is_none() => TargetHost::of(host),
            _ => {
                let sockets = self.sockets.unwrap_or_default().iter();
                let on_port = sockets.filter(|socket| socket.port() == port);
                let addresses: Vec<IpAddr> = on_port.map(SocketAddr::ip).collect();
                match addresses.is_empty() {
                    true => TargetHost::loopback(),
                    false => TargetHost::Addresses(askable(&addresses)),
                }
            }
        };
        Some(Target { host, port })
    }

    /// Returns the only port that is listened on for this host alone: the administrator connection's, as a
    /// rule.
    fn only_local_port(&self, clients: u16) -> Option<u16> {
        let sockets = self.sockets?;
        let local = |port: u16| {
            let mut on_port = sockets.iter().filter(|socket| socket.port() == port);
            on_port.all(|socket| socket.ip().is_loopback())
        };
        let mut ports: Vec<u16> = sockets
            .iter()
            .map(SocketAddr::port)
            .filter(|port| *port != clients && !NOT_FOR_CLIENTS.contains(port) && local(*port))
            .collect();
        ports.sort_unstable();
        ports.dedup();
        (ports.len() == 1).then(|| ports[0])
    }

    /// Returns the address that the settings, the variables and mssql.conf name; none where they name no port
    /// and no address, or a host by its name.
    fn configured(&self) -> Option<SocketAddr> {
        let port = self.config.port.or(self.env_port).or(self.conf.tcp_port);
        let address = match self.config.host.as_deref() {
            Some("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
            Some(host) => Some(host.parse::<IpAddr>().ok()?),
            None => self.env_address.or(self.conf.ip_address),
        };
        if port.is_none() && address.is_none() {
            return None;
        }
        // On which somebody is to listen on every address is asked by any of them.
        let address = address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        Some(SocketAddr::new(address, port.unwrap_or(DEFAULT_PORT)))
    }
}

/// Whether a connection to `to` arrives at one of these listeners.
fn reached(listeners: &[IpAddr], to: IpAddr) -> bool {
    listeners.iter().any(|listener| {
        let any = listener.is_unspecified() && (listener.is_ipv6() || to.is_ipv4());
        any || listener.to_canonical() == to.to_canonical()
    })
}

/// Returns the addresses to ask for these listeners: loopback before the others, IPv4 before IPv6.
fn askable(listeners: &[IpAddr]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = listeners
        .iter()
        .map(|listener| match listener {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            other => *other,
        })
        .collect();
    addresses.sort_unstable_by_key(|address| (!address.is_loopback(), *address));
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests;
