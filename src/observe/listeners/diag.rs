//! The listening TCP sockets of this process's own network namespace, asked of the kernel over
//! netlink (sock_diag(7)).
//!
//! A file in `/proc/PID/net` ends only after the kernel has walked its hash table of connections,
//! whose size goes by the machine's memory and not by the number of connections: 4 ms of processor
//! time on a machine of 8 GiB, and many times that on a large one. For this question it walks the
//! listeners alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// Bytes of one answer; the kernel sends as much at once as fits.
const ANSWER_BYTES: usize = 16 * 1024;

/// The number of answers that are read for one question: 200 sockets fit into each.
const MAX_ANSWERS: usize = 64;

// include/uapi/linux/netlink.h, sock_diag.h, inet_diag.h; include/net/tcp_states.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// The flags `NLM_F_REQUEST | NLM_F_DUMP`: all that match.
const REQUEST_ALL: u16 = 0x301;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const STATES_LISTEN: u32 = 1 << 10;

/// Bytes of `struct nlmsghdr`, and of `struct inet_diag_req_v2` behind it.
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = 56;

/// Returns the addresses and inodes of all listeners, IPv4 and IPv6.
///
/// # Errors
/// The kernel has no such interface, or it is forbidden here.
pub fn listeners() -> Result<Vec<(SocketAddr, u64)>, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        flags,
        Some(netlink::SOCK_DIAG),
    )?;
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        send(&socket, &request(family), SendFlags::empty())?;
        receive(&socket, &mut found)?;
    }
    Ok(found)
}

fn request(family: u8) -> [u8; HEADER_BYTES + REQUEST_BYTES] {
    let mut bytes = [0; HEADER_BYTES + REQUEST_BYTES];
    let length = (HEADER_BYTES + REQUEST_BYTES) as u32;
    bytes[0..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST_ALL.to_ne_bytes());
    bytes[HEADER_BYTES] = family;
    bytes[HEADER_BYTES + 1] = IPPROTO_TCP;
    bytes[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&STATES_LISTEN.to_ne_bytes());
    bytes
}

/// Reads the answer to one request to its end.
fn receive(socket: &OwnedFd, found: &mut Vec<(SocketAddr, u64)>) -> Result<(), Errno> {
    let mut buffer = [0; ANSWER_BYTES];
    for _ in 0..MAX_ANSWERS {
        // An answer is there when the request is, and each further one when this one was read.
        let (_, length) = recv(socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = buffer.get(..length).ok_or(Errno::BADMSG)?;
        while !rest.is_empty() {
            let (kind, body, next) = message(rest).ok_or(Errno::BADMSG)?;
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return Err(Errno::OPNOTSUPP),
                _ => found.extend(listener(body)),
            }
            rest = next;
        }
    }
    Err(Errno::OVERFLOW)
}

/// Returns the type and the body of the first message, and the bytes that follow it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER_BYTES..length)?;
    // Messages begin at multiples of four.
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body, next))
}

/// Returns the address, the port and the inode of a `struct inet_diag_msg`.
fn listener(body: &[u8]) -> Option<(SocketAddr, u64)> {
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let ip: IpAddr = match *body.first()? {
        AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(body.get(8..12)?).ok()?).into(),
        AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(body.get(8..24)?).ok()?).into(),
        _ => return None,
    };
    let inode = u32::from_ne_bytes(body.get(68..72)?.try_into().ok()?);
    Some((SocketAddr::new(ip, port), u64::from(inode)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn listeners_are_found_and_connections_are_not() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::1]:0").unwrap();
        let client = std::net::TcpStream::connect(four.local_addr().unwrap()).unwrap();
        let found = listeners().unwrap();
        let holds = |address| found.iter().any(|(seen, _)| *seen == address);
        assert!(holds(four.local_addr().unwrap()), "{found:?}");
        assert!(holds(six.local_addr().unwrap()), "{found:?}");
        assert!(!holds(client.local_addr().unwrap()), "{found:?}");
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        assert_eq!(message(&[]), None);
        assert_eq!(message(&[200, 0, 0, 0, 20, 0]), None);
        let mut header = request(AF_INET);
        assert!(message(&header).is_some());
        header[0..4].copy_from_slice(&5_u32.to_ne_bytes());
        assert_eq!(message(&header), None, "shorter than its own header");
        assert_eq!(listener(&[AF_INET; 71]), None);
        assert!(listener(&[AF_INET; 72]).is_some());
    }
}
