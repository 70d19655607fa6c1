//! Where the engine listens: the sockets that its processes hold, and what it was configured with.
//!
//! The kernel reports the listeners of this process's own network namespace over netlink (`diag`), and lists
//! the sockets of any namespace in `/proc/PID/net/tcp` and `tcp6` (proc_pid_net(5)), which costs more. In
//! `/proc/PID/fd` it shows which of them a process holds: by the inode in `socket:[4026]`. Reading another
//! process's descriptors takes the same user (ptrace(2), "ptrace access mode checking"). So the supervisor
//! can do it where the pod shares its process namespace, and the agent always; what is seen stands in
//! [`EnginePid::network`], by which [`target`] chooses the address to ask.
//!
//! **Limits.** At most `MAX_LISTENERS` sockets, `MAX_FDS` descriptors and `MAX_TABLE_BYTES` of each
//! table are looked at; listeners come first in the kernel's tables.

pub mod conf;
mod diag;
pub mod target;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::process::EnginePid;
use crate::decide::observation::EngineNetwork;

/// The pause between two looks while the engine does not listen yet, or has just begun to.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause between two looks once the engine has listened for a while.
const STEADY_INTERVAL: Duration = Duration::from_secs(10);

/// The pause between two questions to the kernel whether the sockets that were found are there still, which
/// costs a hundredth of a look.
const KEPT_INTERVAL: Duration = Duration::from_secs(1);

/// The number of looks at an engine that listens before it counts as steady: the listener for clients opens
/// last.
const LOOKS_TO_STEADY: u32 = 30;

/// The number of sockets that are kept. An engine has four to ten.
const MAX_LISTENERS: usize = 64;

/// The number of descriptors that are looked at; what Microsoft's own unit file allows the engine stays below
/// it.
const MAX_FDS: usize = 1 << 17;

/// Bytes read of each table of sockets; a line has 150.
const MAX_TABLE_BYTES: u64 = 4 << 20;

/// Bytes read of a process's environment.
const MAX_ENVIRONMENT_BYTES: u64 = 256 * 1024;

/// The state LISTEN in the tables of sockets (include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// Looks for ever, and sets [`EnginePid::network`] to what is seen.
///
/// # Cancel safety
/// Drop the future to end it; nothing is held between two looks.
pub async fn observe(proc_root: PathBuf, engine: EnginePid) {
    let mut looks = (None, 0);
    loop {
        let pid = engine.get();
        if looks.0 != pid {
            looks = (pid, 0);
        }
        let (seen, held) = pid.map(|pid| look_at(&proc_root, pid)).unzip();
        let held = held.unwrap_or_default();
        let listens = seen.as_ref().is_some_and(|seen| {
            let sockets = seen.sockets.as_ref();
            sockets.is_some_and(|sockets| !sockets.is_empty())
        });
        looks.1 = if listens { looks.1 + 1 } else { 0 };
        engine.set_network(seen);
        let pause = match looks.1 {
            LOOKS_TO_STEADY.. => STEADY_INTERVAL,
            _ => SEARCH_INTERVAL,
        };
        tokio::select! {
            () = kept(&held, pause) => {}
            () = engine.refused() => {}
        }
    }
}

/// Waits for `longest`, or until one of the sockets with these inodes is gone.
async fn kept(held: &[u64], longest: Duration) {
    let end = Instant::now() + longest;
    loop {
        let next = Instant::now() + KEPT_INTERVAL;
        sleep_until(next.min(end)).await;
        if next >= end || is_one_gone(held) {
            return;
        }
    }
}

/// Whether one of the sockets with these inodes does not listen any more in this network namespace. Where the
/// kernel gives no answer, none is gone.
fn is_one_gone(held: &[u64]) -> bool {
    if held.is_empty() {
        return false;
    }
    let Ok(all) = diag::listeners() else {
        return false;
    };
    let there: BTreeSet<u64> = all.into_iter().map(|(_, inode)| inode).collect();
    held.iter().any(|inode| !there.contains(inode))
}

/// Looks at the process `pid` once.
#[must_use]
pub fn look(proc_root: &Path, pid: i32) -> EngineNetwork {
    look_at(proc_root, pid).0
}

/// Looks at the process once, and returns with it the inodes of the sockets on which it listens, where they
/// are in this process's own network namespace.
fn look_at(proc_root: &Path, pid: i32) -> (EngineNetwork, Vec<u64>) {
    let directory = proc_root.join(pid.to_string());
    let (tcp_port, ip_address) = variables(&directory);
    let namespace = namespace(&directory);
    let near = namespace.is_some() && namespace == own_namespace(proc_root);
    let sockets = sockets(&directory, near);
    let near_sockets = sockets.iter().flatten().filter(|_| near);
    let held = near_sockets.map(|(_, inode)| *inode).collect();
    let network = EngineNetwork {
        sockets: sockets.map(addresses),
        namespace,
        tcp_port,
        ip_address,
    };
    (network, held)
}

/// Returns the network namespace that this process itself is in.
#[must_use]
pub fn own_namespace(proc_root: &Path) -> Option<u64> {
    namespace(&proc_root.join("self"))
}

fn namespace(directory: &Path) -> Option<u64> {
    let found = fs::metadata(directory.join("ns/net")).ok()?;
    Some(found.ino())
}

/// Returns the sockets on which this process listens, with their inodes; none where its descriptors can't be
/// read. `near`: it is in the network namespace of this one.
fn sockets(directory: &Path, near: bool) -> Option<Vec<(SocketAddr, u64)>> {
    let mut inodes = BTreeSet::new();
    for entry in fs::read_dir(directory.join("fd")).ok()?.take(MAX_FDS) {
        // One that was closed meanwhile is passed over.
        let Some(target) = entry
            .ok()
            .and_then(|entry| fs::read_link(entry.path()).ok())
        else {
            continue;
        };
        let inode = target.to_str().and_then(|text| {
            let number = text.strip_prefix("socket:[")?.strip_suffix(']')?;
            number.parse::<u64>().ok()
        });
        inodes.extend(inode);
    }
    let dumped = if near { diag::listeners().ok() } else { None };
    let all = dumped.unwrap_or_else(|| tables(directory));
    let held = all.into_iter().filter(|(_, inode)| inodes.contains(inode));
    Some(held.take(MAX_LISTENERS).collect())
}

/// Returns the addresses of these sockets in order, each once.
fn addresses(sockets: Vec<(SocketAddr, u64)>) -> Vec<SocketAddr> {
    let mut found: Vec<_> = sockets.into_iter().map(|(at, _)| at).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns all listeners in the network namespace of a process, by its tables.
fn tables(directory: &Path) -> Vec<(SocketAddr, u64)> {
    let mut found = Vec::new();
    for table in ["net/tcp", "net/tcp6"] {
        // Without IPv6 in the kernel there is no second table.
        let Ok(file) = File::open(directory.join(table)) else {
            continue;
        };
        found.extend(listeners(BufReader::new(file.take(MAX_TABLE_BYTES))));
    }
    found
}

/// Returns the listeners of a table, as far as it can be read.
fn listeners(table: impl BufRead) -> impl Iterator<Item = (SocketAddr, u64)> {
    // An error may repeat for ever.
    let lines = table.lines().map_while(Result::ok);
    lines.filter_map(|line| listener(&line))
}

/// Returns the address and the inode of a line of the table, if it is a listener:
/// `0: 0100007F:0599 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10001 0 4026 ...`.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(address(ip)?, port), inode))
}

/// Parses an address as the kernel prints it: words of 32 bits, each in the machine's own order of bytes.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// Returns `MSSQL_TCP_PORT` and `MSSQL_IP_ADDRESS` of the process. Its environment holds the password of `sa`
/// as a rule: nothing else is kept of it.
fn variables(directory: &Path) -> (Option<u16>, Option<IpAddr>) {
    let mut text = Vec::new();
    let read = File::open(directory.join("environ"))
        .and_then(|file| file.take(MAX_ENVIRONMENT_BYTES).read_to_end(&mut text));
    if read.is_err() {
        return (None, None);
    }
    let value = |name: &str| {
        let found = text.split(|byte| *byte == 0).find_map(|variable| {
            let value = variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            std::str::from_utf8(value).ok()
        })?;
        Some(found.trim().to_owned())
    };
    let port = value("MSSQL_TCP_PORT").and_then(|text| text.parse().ok());
    let address = value("MSSQL_IP_ADDRESS").and_then(|text| text.parse().ok());
    (port.filter(|port| *port > 0), address)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::observe::testing::TempDir;

    #[test]
    fn lines_of_the_kernels_tables_are_understood() {
        let line = "   0: 0100007F:0599 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 4026 1 00000000a 100 0 0 10 0";
        let expected = ("127.0.0.1:1433".parse().unwrap(), 4026);
        if cfg!(target_endian = "little") {
            assert_eq!(listener(line), Some(expected));
        }
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None, "established");
        assert_eq!(
            listener("  sl  local_address rem_address   st tx_queue"),
            None
        );
        let six = "   1: 00000000000000000000000001000000:059A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1 0 100 0 0 10 0";
        if cfg!(target_endian = "little") {
            assert_eq!(listener(six), Some(("[::1]:1434".parse().unwrap(), 77)));
        }
    }

    #[test]
    fn a_table_that_can_not_be_read_on_has_ended() {
        /// A table whose first line comes, and an error at each read after it.
        struct Torn(usize);
        impl std::io::Read for Torn {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                self.0 += 1;
                assert!(self.0 < 10, "it is read on and on");
                if self.0 > 1 {
                    return Err(std::io::Error::other("no answer"));
                }
                let line = b"0: 0100007F:0599 00000000:0000 0A 0:0 0:0 0 10001 0 4026 1\n";
                into[..line.len()].copy_from_slice(line);
                Ok(line.len())
            }
        }
        let found = listeners(BufReader::new(Torn(0)));
        assert_eq!(found.count(), 1);
    }

    #[test]
    fn the_listeners_of_this_process_are_found_and_those_of_others_are_not() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let any = TcpListener::bind("0.0.0.0:0").unwrap();
        let six = TcpListener::bind("[::1]:0").unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let seen = look(Path::new("/proc"), pid).sockets.unwrap();
        for listener in [&four, &any, &six] {
            assert!(seen.contains(&listener.local_addr().unwrap()), "{seen:?}");
        }
        let gone = four.local_addr().unwrap();
        drop(four);
        let seen = look(Path::new("/proc"), pid).sockets.unwrap();
        assert!(!seen.contains(&gone), "{seen:?}");
        // The first process of the machine has none of ours.
        let others = look(Path::new("/proc"), 1).sockets.unwrap_or_default();
        assert!(!others.contains(&any.local_addr().unwrap()), "{others:?}");
    }

    #[tokio::test]
    async fn a_look_follows_as_soon_as_a_socket_is_gone_or_a_connection_was_refused() {
        let (kept_one, lost) = (
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let pid = i32::try_from(std::process::id()).unwrap();
        let (_, held) = look_at(Path::new("/proc"), pid);
        assert!(held.len() >= 2, "{held:?}");
        let inode = |listener: &TcpListener| rustix::fs::fstat(listener).unwrap().st_ino;
        let held = [inode(&kept_one), inode(&lost)];
        assert!(!is_one_gone(&held));
        assert!(!is_one_gone(&[]), "nothing is known of another namespace");
        drop(lost);
        // The child of another test may have it for the moment between its fork and its exec.
        while !is_one_gone(&held) {
            tokio::task::yield_now().await;
        }
        // Nothing else ends a wait of hours.
        kept(&held, Duration::from_secs(3600)).await;
        let engine = EnginePid::default();
        engine.notify_refused();
        engine.refused().await;
    }

    #[test]
    fn both_ways_to_ask_tell_the_same_of_a_process() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::1]:0").unwrap();
        let own = Path::new("/proc/self");
        for near in [true, false] {
            let seen = addresses(sockets(own, near).unwrap());
            for listener in [&four, &six] {
                let address = listener.local_addr().unwrap();
                assert!(seen.contains(&address), "near {near}: {seen:?}");
            }
        }
    }

    #[test]
    fn of_the_environment_two_variables_are_kept() {
        let proc_root = TempDir::new();
        let text = "MSSQL_SA_PASSWORD=secret\0MSSQL_TCP_PORT=1500\0MSSQL_TCP_PORT_X=1\0MSSQL_IP_ADDRESS= 10.0.0.7\0";
        proc_root.write("7/environ", text);
        let seen = look(proc_root.path(), 7);
        assert_eq!(seen.tcp_port, Some(1500));
        assert_eq!(seen.ip_address, Some("10.0.0.7".parse().unwrap()));
        assert_eq!(seen.sockets, None, "no descriptors can be read there");
        assert!(!format!("{seen:?}").contains("secret"));
        proc_root.write("8/environ", "MSSQL_TCP_PORT=0\0MSSQL_IP_ADDRESS=sql");
        assert_eq!(look(proc_root.path(), 8), EngineNetwork::default());
    }
}
