//! What any server costs on this machine, at this moment: a bare thread that answers every request
//! with fixed bytes. The figures of the supervisor are to be read as multiples of its.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// As long as what `/livez` answers.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    content-length: 3\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    cache-control: no-store\r\n\
    x-content-type-options: nosniff\r\n\
    content-security-policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'\r\n\
    x-robots-tag: noindex\r\n\
    date: Mon, 23 Nov 2026 05:00:00 GMT\r\n\r\nok\n";

/// The thread. It serves one connection after the other.
pub struct Floor {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Floor {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A client that went away is served to its satisfaction.
                let _ = stream.and_then(serve);
            }
        });
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Floor {
    /// Its clients have to be gone.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

/// A request is one read here: the client sends it by one write.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = [0; 4096];
    while stream.read(&mut request)? > 0 {
        stream.write_all(RESPONSE)?;
    }
    Ok(())
}
