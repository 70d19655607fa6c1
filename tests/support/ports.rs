//! Ports of loopback that stay free while nobody listens on them.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::bail;

/// Below the ports that the kernel gives to connections and to listeners without a port (32,768 and above):
/// of these one may be another process's by the time of its use.
const PORTS: std::ops::Range<u16> = 22_000..32_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Returns a port that nobody listens on; the next one is given to the next who asks. Processes begin at
/// places of their own.
pub fn free_port() -> anyhow::Result<u16> {
    let count = PORTS.len() as u32;
    let first = process::id().wrapping_mul(7919) % count;
    for _ in 0..count {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + ((first + step) % count) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}
