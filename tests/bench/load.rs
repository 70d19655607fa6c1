//! What goes on beside a measurement, each on a thread of its own.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::{Client, sleep_until};

/// A thread that works until it is dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Load {
    /// `step` is called at each `pace`, and begins anew when it fails.
    fn start(pace: Duration, mut step: impl FnMut() -> io::Result<()> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                step()?;
                next += pace;
                sleep_until(next);
            }
            Ok(())
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it; an error where it could not do its work.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(done)) => Ok(done?),
            Some(Err(_)) => anyhow::bail!("a load's thread panicked"),
            None => Ok(()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `rate` scrapes of `/metrics` a second on one connection.
pub fn scrapes(address: SocketAddr, rate: u32) -> io::Result<Load> {
    let mut client = Client::connect(address)?;
    let step = move || client.get("/metrics").map(drop);
    Ok(Load::start(Duration::from_secs(1) / rate, step))
}

/// The same, compressed, as Prometheus asks for it.
pub fn compressed_scrapes(address: SocketAddr, rate: u32) -> io::Result<Load> {
    let mut client = Client::connect(address)?;
    let step = move || client.get_compressed("/metrics").map(drop);
    Ok(Load::start(Duration::from_secs(1) / rate, step))
}

/// Connections that send a request's head, one byte a second each, their bytes spread over the
/// second. One that was closed is opened again.
pub struct SlowHeads {
    load: Load,
    open: Arc<AtomicUsize>,
}

impl SlowHeads {
    pub fn start(address: SocketAddr, count: u32) -> Self {
        const HEAD: &[u8] = b"GET /livez HTTP/1.1\r\nX-Slow: ";
        let open = Arc::new(AtomicUsize::new(0));
        let opened = Arc::clone(&open);
        let mut connections: Vec<Option<(TcpStream, usize)>> = Vec::new();
        connections.resize_with(count as usize, || None);
        let mut turn = 0;
        let step = move || {
            let slot = &mut connections[turn];
            turn = (turn + 1) % count as usize;
            let (mut stream, sent) = match slot.take() {
                Some(connection) => connection,
                None => {
                    opened.fetch_add(1, Ordering::Relaxed);
                    (TcpStream::connect(address)?, 0)
                }
            };
            let byte = HEAD.get(sent).copied().unwrap_or(b'x');
            // An error says that it was closed: its turn comes again in a second.
            *slot = stream
                .write_all(&[byte])
                .is_ok()
                .then_some((stream, sent + 1));
            Ok(())
        };
        Self {
            load: Load::start(Duration::from_secs(1) / count, step),
            open,
        }
    }

    /// Connections made so far.
    pub fn opened(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub fn end(self) -> anyhow::Result<()> {
        self.load.end()
    }
}
